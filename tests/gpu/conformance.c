/* What the conformance cases share: memory, comparison, golden files; see conformance.h. */
#include "gpu/conformance.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define HASH_WORDS 1024

/* ---- Memory --------------------------------------------------------------------------------- */

static void fail(conformance *c, const char *name, const char *what) {
    c->failures += 1;
    printf("conformance %s: %s\n", name, what);
}

void *conformance_input(conformance *c, const void *host, size_t bytes) {
    void *memory = NULL, *pinned = NULL;
    int   code   = ccu_device_alloc(c->device, bytes, &memory);
    if (code == 0) { code = ccu_device_alloc_pinned(c->device, bytes, &pinned); }
    if (code == 0) {
        if (host != NULL) {
            memcpy(pinned, host, bytes);
        } else {
            memset(pinned, 0xa5, bytes);
        }
        code = ccu_device_upload(c->device, memory, pinned, bytes);
    }
    if (code == 0) { code = ccu_device_sync(c->device); }
    ccu_device_free_pinned(c->device, pinned);
    if (code != 0) {
        fail(c, "memory", ccu_device_text(code));
        ccu_device_free(c->device, memory);
        return NULL;
    }
    return memory;
}

void conformance_release(conformance *c, void *memory) {
    ccu_device_free(c->device, memory);
}

bool conformance_result(conformance *c, const char *name, int code, void *result, size_t count) {
    const size_t bytes  = count * sizeof c->words[0];
    void        *pinned = NULL;
    if (count > CONFORMANCE_WORDS_MAX) {
        fail(c, name, "more words than CONFORMANCE_WORDS_MAX");
        return false;
    }
    if (code == 0) { code = ccu_device_alloc_pinned(c->device, bytes, &pinned); }
    if (code == 0) { code = ccu_device_download(c->device, pinned, result, bytes); }
    if (code == 0) { code = ccu_device_sync(c->device); }
    if (code == 0) { memcpy(c->words, pinned, bytes); }
    ccu_device_free_pinned(c->device, pinned);
    ccu_device_free(c->device, result);
    if (code != 0) { fail(c, name, ccu_device_text(code)); }
    return code == 0;
}

/* ---- Comparison ----------------------------------------------------------------------------- */

static float f32_of(uint32_t word) {
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static bool same(uint32_t got, uint32_t want, bool exact, double relative, double absolute) {
    const double a = (double)f32_of(got), b = (double)f32_of(want);
    if (exact || got == want) { return got == want; }
    if (isnan(b) || isinf(b)) { return isnan(b) && isnan(a); }
    return fabs(a - b) <= relative * fabs(b) + absolute; /* false for NaN */
}

/* Finds "case NAME exact COUNT" or "case NAME near R A COUNT". The golden file's own tolerance is
 * what is compared with, so a looser one in the code shows as a changed file. */
static bool read_header(conformance *c, const char *name, bool *exact, double *relative,
                        double *absolute, size_t count) {
    char   line[256], found[64] = "", kind[16] = "";
    size_t words = 0;
    *relative = *absolute = 0.0;
    rewind(c->golden);
    while (strcmp(found, name) != 0) {
        if (fgets(line, sizeof line, c->golden) == NULL) {
            fail(c, name, "the golden file has no such case");
            return false;
        }
        if (sscanf(line, "case %63s %15s", found, kind) != 2) { found[0] = '\0'; }
    }
    *exact = strcmp(kind, "exact") == 0;
    const int fields = *exact ? sscanf(line, "case %*s exact %zu", &words)
                              : sscanf(line, "case %*s near %lg %lg %zu", relative, absolute,
                                       &words);
    if (fields != (*exact ? 1 : 3) || words != count) {
        fail(c, name, "the golden file has this case with another number of words");
        return false;
    }
    return true;
}

int32_t conformance_golden_cases(conformance *c) {
    char    line[256];
    int32_t cases = 0;
    rewind(c->golden);
    while (fgets(line, sizeof line, c->golden) != NULL) {
        cases += strncmp(line, "case ", 5) == 0;
    }
    return cases;
}

static void compare(conformance *c, const char *name, size_t count) {
    size_t different = 0;
    double relative, absolute;
    bool   exact;
    if (!read_header(c, name, &exact, &relative, &absolute, count)) { return; }
    for (size_t i = 0; i < count; i++) {
        uint32_t want = 0;
        if (fscanf(c->golden, "%" SCNx32, &want) != 1) {
            fail(c, name, "the golden file ends within this case");
            return;
        }
        if (same(c->words[i], want, exact, relative, absolute)) { continue; }
        if (different == 0) {
            printf("conformance %s: word %zu is %08" PRIx32 " (%g), expected %08" PRIx32 " (%g)\n",
                   name, i, c->words[i], (double)f32_of(c->words[i]), want, (double)f32_of(want));
        }
        different += 1;
    }
    if (different > 0) {
        c->failures += 1;
        printf("conformance %s: %zu of %zu words differ\n", name, different, count);
    }
}

static void print(conformance *c, size_t count) {
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(c->print, "%" PRIx32 "%c", c->words[i],
                      i % 11 == 10 || i + 1 == count ? '\n' : ' ');
    }
}

void conformance_exact(conformance *c, const char *name, size_t count) {
    c->cases += 1;
    if (c->golden != NULL) {
        compare(c, name, count);
        return;
    }
    (void)fprintf(c->print, "case %s exact %zu\n", name, count);
    print(c, count);
}

void conformance_near(conformance *c, const char *name, double relative, double absolute,
                      size_t count) {
    c->cases += 1;
    if (c->golden != NULL) {
        compare(c, name, count);
        return;
    }
    (void)fprintf(c->print, "case %s near %g %g %zu\n", name, relative, absolute, count);
    print(c, count);
}

/* ---- Short forms of long results ------------------------------------------------------------ */

size_t conformance_digest(conformance *c, size_t rows, size_t columns) {
    uint32_t row_sums[CONFORMANCE_WORDS_MAX / 64] = { 0 };
    uint32_t column_sums[CONFORMANCE_WORDS_MAX / 64] = { 0 };
    for (size_t r = 0; r < rows; r++) {
        for (size_t n = 0; n < columns; n++) {
            /* Whatever is not an integer counts as its bits, and shows. */
            const uint32_t word  = c->words[r * columns + n];
            const float    value = f32_of(word);
            const bool     whole = fabsf(value) < 1e9f && value == floorf(value);
            const uint32_t term  = whole ? (uint32_t)(int32_t)value : word;
            row_sums[r] += term * (uint32_t)(2 * n + 1);
            column_sums[n] += term * (uint32_t)(2 * r + 1);
        }
    }
    memcpy(c->words, row_sums, rows * sizeof row_sums[0]);
    memcpy(c->words + rows, column_sums, columns * sizeof column_sums[0]);
    return rows + columns;
}

size_t conformance_hashes(conformance *c, size_t count) {
    size_t hashes = 0;
    for (size_t first = 0; first < count; first += HASH_WORDS) {
        uint32_t hash = 2166136261u; /* FNV-1a, by words */
        for (size_t i = first; i < count && i < first + HASH_WORDS; i++) {
            hash = (hash ^ c->words[i]) * 16777619u;
        }
        c->words[hashes] = hash;
        hashes += 1;
    }
    return hashes;
}

void conformance_plain_nans16(conformance *c, size_t count, uint32_t infinity) {
    for (size_t i = 0; i < count; i++) {
        uint32_t low = c->words[i] & 0xffffu, high = c->words[i] >> 16;
        if ((low & 0x7fffu) > infinity) { low = 0x7fffu; }
        if ((high & 0x7fffu) > infinity) { high = 0x7fffu; }
        c->words[i] = high << 16 | low;
    }
}

void conformance_plain_nans32(conformance *c, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if ((c->words[i] & 0x7fffffffu) > 0x7f800000u) { c->words[i] = 0x7fffffffu; }
    }
}
