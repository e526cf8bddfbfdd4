/* Random numbers as CPython makes them; see random.h. */
#include "prompt/random.h"

#include <assert.h>
#include <math.h>

#include "base/memory.h"

/* ---- MT19937 -------------------------------------------------------------------------------- */

static void init(ccu_random *r, uint32_t seed) {
    r->words[0] = seed;
    for (uint32_t i = 1; i < CCU_RANDOM_WORDS; i++) {
        const uint32_t last = r->words[i - 1];
        r->words[i]         = 1812433253u * (last ^ (last >> 30)) + i;
    }
    r->at = CCU_RANDOM_WORDS;
}

/* init_by_array of the authors' reference code. */
static void init_array(ccu_random *r, const uint32_t *key, uint32_t length) {
    uint32_t i = 1, j = 0;
    init(r, 19650218u);
    for (uint32_t k = length > CCU_RANDOM_WORDS ? length : CCU_RANDOM_WORDS; k > 0; k--) {
        const uint32_t last = r->words[i - 1];
        r->words[i] = (r->words[i] ^ ((last ^ (last >> 30)) * 1664525u)) + key[j] + j;
        j           = (j + 1) % length;
        if (++i == CCU_RANDOM_WORDS) {
            r->words[0] = r->words[CCU_RANDOM_WORDS - 1];
            i           = 1;
        }
    }
    for (uint32_t k = CCU_RANDOM_WORDS - 1; k > 0; k--) {
        const uint32_t last = r->words[i - 1];
        r->words[i] = (r->words[i] ^ ((last ^ (last >> 30)) * 1566083941u)) - i;
        if (++i == CCU_RANDOM_WORDS) {
            r->words[0] = r->words[CCU_RANDOM_WORDS - 1];
            i           = 1;
        }
    }
    r->words[0] = 0x80000000u;
}

static void next_words(ccu_random *r) {
    for (uint32_t i = 0; i < CCU_RANDOM_WORDS; i++) {
        const uint32_t y = (r->words[i] & 0x80000000u) |
                           (r->words[(i + 1) % CCU_RANDOM_WORDS] & 0x7fffffffu);
        r->words[i] = r->words[(i + 397) % CCU_RANDOM_WORDS] ^ (y >> 1) ^
                      ((y & 1u) != 0 ? 0x9908b0dfu : 0u);
    }
    r->at = 0;
}

uint32_t ccu_random_word(ccu_random *r) {
    if (r->at >= CCU_RANDOM_WORDS) { next_words(r); }
    uint32_t y = r->words[r->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* ---- What CPython makes of it --------------------------------------------------------------- */

void ccu_random_seed(ccu_random *r, uint64_t seed) {
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    init_array(r, key, key[1] != 0 ? 2 : 1);
}

void ccu_random_seed_part(ccu_random *r, uint64_t seed, ccu_random_kind kind, uint64_t part) {
    const uint32_t key[5] = { (uint32_t)seed, (uint32_t)(seed >> 32), (uint32_t)kind,
                              (uint32_t)part, (uint32_t)(part >> 32) };
    init_array(r, key, 5);
}

double ccu_random_unit(ccu_random *r) {
    const double high = (double)(ccu_random_word(r) >> 5);
    const double low  = (double)(ccu_random_word(r) >> 6);
    return (high * 67108864.0 + low) / 9007199254740992.0;
}

/* getrandbits of as many bits as n has, until the number is below n. */
int32_t ccu_random_below(ccu_random *r, int32_t n) {
    uint32_t bits = 0, x = 0;
    assert(n >= 1);
    while (((uint32_t)n >> bits) != 0) { bits++; }
    do { x = ccu_random_word(r) >> (32 - bits); } while (x >= (uint32_t)n);
    return (int32_t)x;
}

double ccu_random_normal(ccu_random *r) {
    const double radius = sqrt(-2.0 * log(1.0 - ccu_random_unit(r)));
    return radius * cos(6.283185307179586 * ccu_random_unit(r));
}

void ccu_random_shuffle(ccu_random *r, int32_t *items, int32_t count) {
    for (int32_t i = count - 1; i > 0; i--) {
        const int32_t j    = ccu_random_below(r, i + 1);
        const int32_t kept = items[i];
        items[i]           = items[j];
        items[j]           = kept;
    }
}

/* Largest population for which sample() draws from a list rather than by a set of what was taken:
 * 21, and for more than 5 a power of 4 above that. */
static int64_t list_max(int32_t count) {
    int64_t most = 21;
    if (count > 5) { most += (int64_t)pow(4.0, ceil(log(count * 3.0) / log(4.0))); }
    return most;
}

static void sample_list(ccu_random *r, int32_t n, int32_t count, int32_t *pool, int32_t *out) {
    for (int32_t i = 0; i < n; i++) { pool[i] = i; }
    for (int32_t i = 0; i < count; i++) {
        const int32_t j = ccu_random_below(r, n - i);
        out[i]          = pool[j];
        pool[j]         = pool[n - i - 1];
    }
}

static void sample_set(ccu_random *r, int32_t n, int32_t count, int32_t *taken, int32_t *out) {
    for (int32_t i = 0; i < count; i++) {
        int32_t j = ccu_random_below(r, n);
        while (taken[j] != 0) { j = ccu_random_below(r, n); }
        taken[j] = 1;
        out[i]   = j;
    }
}

clipcu_status ccu_random_sample(ccu_random *r, int32_t n, int32_t count, int32_t *out,
                                clipcu_error *error) {
    assert(count >= 0 && count <= n);
    int32_t *scratch = ccu_alloc_zeroed((size_t)n + 1, sizeof *scratch);
    if (scratch == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory to draw from %d", n);
    }
    if (n <= list_max(count)) {
        sample_list(r, n, count, scratch, out);
    } else {
        sample_set(r, n, count, scratch, out);
    }
    ccu_free(scratch);
    return CLIPCU_OK;
}
