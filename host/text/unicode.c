/* Code points; see unicode.h. */
#include "text/unicode.h"

#include <assert.h>
#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"

#define CAPITAL_SIGMA 0x3a3
#define SMALL_SIGMA 0x3c3
#define FINAL_SIGMA 0x3c2

/* ---- UTF-8 ---------------------------------------------------------------------------------- */

static bool continues(uint8_t byte) {
    return (byte & 0xc0u) == 0x80u;
}

size_t ccu_utf8_decode(const uint8_t *text, size_t bytes, int32_t *code) {
    if (bytes == 0) { return 0; }
    const uint8_t lead = text[0];
    if (lead < 0x80) {
        *code = lead;
        return 1;
    }
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || bytes < length) { return 0; }
    int32_t value = lead & (0x7f >> length);
    for (size_t i = 1; i < length; i++) {
        if (!continues(text[i])) { return 0; }
        value = value << 6 | (text[i] & 0x3f);
    }
    const bool overlong  = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
    const bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (overlong || surrogate || value > 0x10ffff) { return 0; }
    *code = value;
    return length;
}

size_t ccu_utf8_encode(int32_t code, uint8_t *out) {
    assert(code >= 0);
    assert(code <= 0x10ffff);
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

bool ccu_utf8_check(const uint8_t *text, size_t bytes, size_t *bad_at) {
    size_t at = 0;
    while (at < bytes) {
        int32_t      code   = 0;
        const size_t length = ccu_utf8_decode(text + at, bytes - at, &code);
        if (length == 0) {
            *bad_at = at;
            return false;
        }
        at += length;
    }
    return true;
}

int ccu_utf8_fit(const char *text, size_t bytes, size_t bytes_max) {
    if (bytes <= bytes_max) { return (int)bytes; }
    size_t cut = bytes_max;
    while (cut > 0 && continues((uint8_t)text[cut])) { cut--; }
    return (int)cut;
}

/* ---- Properties ----------------------------------------------------------------------------- */

bool ccu_is_letter(int32_t code) {
    const utf8proc_category_t category = utf8proc_category(code);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool ccu_is_number(int32_t code) {
    const utf8proc_category_t category = utf8proc_category(code);
    return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

bool ccu_is_decimal(int32_t code) {
    return utf8proc_category(code) == UTF8PROC_CATEGORY_ND;
}

bool ccu_is_space(int32_t code) {
    if (code < 0x80) { return code == ' ' || (code >= '\t' && code <= '\r'); }
    switch (code) {
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000: return true;
    default: return code >= 0x2000 && code <= 0x200a;
    }
}

/* Cased of Unicode's DerivedCoreProperties, less the characters that are case-ignorable as well:
 * the final sigma rule skips those before it asks. */
static bool is_cased(int32_t code) {
    const utf8proc_category_t category = utf8proc_category(code);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LT) { return true; }
    return code == 0xaa || code == 0xba || (code >= 0x2160 && code <= 0x217f) ||
           (code >= 0x24b6 && code <= 0x24e9) || (code >= 0x1f130 && code <= 0x1f149) ||
           (code >= 0x1f150 && code <= 0x1f169) || (code >= 0x1f170 && code <= 0x1f189);
}

/* Case_Ignorable: Mn, Me, Cf, Lm, Sk and the punctuation that may stand inside a word. */
static bool is_case_ignorable(int32_t code) {
    switch (code) {
    case 0x27:
    case 0x2e:
    case 0x3a:
    case 0xb7:
    case 0x387:
    case 0x55f:
    case 0x5f4:
    case 0x2018:
    case 0x2019:
    case 0x2024:
    case 0x2027:
    case 0xfe13:
    case 0xfe52:
    case 0xfe55:
    case 0xff07:
    case 0xff0e:
    case 0xff1a: return true;
    default: break;
    }
    const utf8proc_category_t category = utf8proc_category(code);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME ||
           category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_LM ||
           category == UTF8PROC_CATEGORY_SK;
}

/* ---- The list ------------------------------------------------------------------------------- */

void ccu_codes_free(ccu_codes *codes) {
    ccu_free(codes->items);
    *codes = (ccu_codes){ 0 };
}

static bool reserve(ccu_codes *codes, size_t more) {
    if (codes->failed) { return false; }
    if (more <= codes->capacity - codes->count) { return true; }
    const size_t limit = SIZE_MAX / sizeof(int32_t) / 4;
    if (more > limit || codes->count > limit) {
        codes->failed = true;
        return false;
    }
    const size_t capacity = 2 * (codes->count + more) + 16;
    int32_t     *items    = ccu_realloc(codes->items, codes->count * sizeof(int32_t),
                                        capacity * sizeof(int32_t));
    if (items == NULL) {
        codes->failed = true;
        return false;
    }
    codes->items    = items;
    codes->capacity = capacity;
    return true;
}

void ccu_codes_push(ccu_codes *codes, int32_t code) {
    if (reserve(codes, 1)) { codes->items[codes->count++] = code; }
}

void ccu_codes_append(ccu_codes *codes, const int32_t *items, size_t count) {
    if (count > 0 && reserve(codes, count)) {
        memcpy(codes->items + codes->count, items, count * sizeof *items);
        codes->count += count;
    }
}

bool ccu_codes_equal(const ccu_codes *a, const ccu_codes *b) {
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->items, b->items, a->count * sizeof *a->items) == 0);
}

void ccu_codes_swap(ccu_codes *a, ccu_codes *b) {
    const ccu_codes other = *a;
    *a                    = *b;
    *b                    = other;
}

void ccu_codes_append_utf8(ccu_codes *codes, const uint8_t *text, size_t bytes) {
    if (!reserve(codes, bytes)) { return; }
    size_t at = 0;
    while (at < bytes) {
        int32_t      code   = 0;
        const size_t length = ccu_utf8_decode(text + at, bytes - at, &code);
        assert(length > 0);
        codes->items[codes->count++] = code;
        at += length;
    }
}

char *ccu_codes_to_utf8(const ccu_codes *codes, size_t *bytes) {
    char *text = codes->failed ? NULL : ccu_alloc(4 * codes->count + 1);
    if (text == NULL) { return NULL; }
    size_t at = 0;
    for (size_t i = 0; i < codes->count; i++) {
        at += ccu_utf8_encode(codes->items[i], (uint8_t *)text + at);
    }
    text[at] = '\0';
    *bytes   = at;
    return text;
}

/* ---- Normalisation and case ----------------------------------------------------------------- */

static int32_t combining_class(int32_t code) {
    return code < 0x300 ? 0 : utf8proc_get_property(code)->combining_class;
}

/* Stable sort of one run of combining marks by class: counting, because an insertion sort (which
 * utf8proc's own decomposition uses) is quadratic on a text made of marks. */
static void reorder_run(int32_t *run, size_t count, ccu_codes *scratch) {
    size_t first[257] = { 0 };
    scratch->count    = 0;
    ccu_codes_append(scratch, run, count);
    if (scratch->failed) { return; }
    for (size_t i = 0; i < count; i++) { first[combining_class(run[i]) + 1]++; }
    for (size_t i = 1; i < 257; i++) { first[i] += first[i - 1]; }
    for (size_t i = 0; i < count; i++) {
        run[first[combining_class(scratch->items[i])]++] = scratch->items[i];
    }
}

static void reorder(ccu_codes *codes) {
    ccu_codes scratch = { 0 };
    size_t    i       = 0;
    while (i < codes->count) {
        size_t end = i;
        while (end < codes->count && combining_class(codes->items[end]) != 0) { end++; }
        if (end - i > 1) { reorder_run(codes->items + i, end - i, &scratch); }
        i = end + 1;
    }
    codes->failed = codes->failed || scratch.failed;
    ccu_codes_free(&scratch);
}

void ccu_codes_nfc(const ccu_codes *in, ccu_codes *out) {
    assert(out->count == 0);
    bool composed = true; /* nothing below U+0300 decomposes unless a mark follows it */
    for (size_t i = 0; i < in->count; i++) { composed = composed && in->items[i] < 0x300; }
    if (composed) {
        ccu_codes_append(out, in->items, in->count);
        return;
    }
    for (size_t i = 0; i < in->count; i++) {
        utf8proc_int32_t       parts[8]; /* the longest canonical decomposition has 4 */
        int                    boundary = 0;
        const utf8proc_ssize_t count    = utf8proc_decompose_char(in->items[i], parts, 8,
                                                                  UTF8PROC_DECOMPOSE, &boundary);
        if (count < 0 || count > 8) {
            ccu_codes_push(out, in->items[i]);
        } else {
            ccu_codes_append(out, parts, (size_t)count);
        }
    }
    reorder(out);
    if (out->failed) { return; }
    const utf8proc_ssize_t left = utf8proc_normalize_utf32(out->items, (utf8proc_ssize_t)out->count,
                                                           UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    assert(left >= 0);
    if (left >= 0) { out->count = (size_t)left; }
}

/* Python's rule (Unicode's Final_Sigma): a cased letter before, no cased letter after,
 * case-ignorable characters skipped on both sides. The caller knows what stood before. */
static bool ends_word(const ccu_codes *in, size_t at) {
    size_t i = at + 1;
    while (i < in->count && is_case_ignorable(in->items[i])) { i++; }
    return i == in->count || !is_cased(in->items[i]);
}

void ccu_codes_lower(const ccu_codes *in, bool final_sigma, ccu_codes *out) {
    bool cased_before = false; /* of the last character that is not case-ignorable */
    for (size_t i = 0; i < in->count; i++) {
        const int32_t code = in->items[i];
        if (code == CAPITAL_SIGMA) {
            const bool final = final_sigma && cased_before && ends_word(in, i);
            ccu_codes_push(out, final ? FINAL_SIGMA : SMALL_SIGMA);
        } else if (code == 0x130) {
            ccu_codes_push(out, 'i');
            ccu_codes_push(out, 0x307);
        } else {
            ccu_codes_push(out, utf8proc_tolower(code));
        }
        if (!is_case_ignorable(code)) { cased_before = is_cased(code); }
    }
}
