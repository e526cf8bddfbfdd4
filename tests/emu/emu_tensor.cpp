/* ldmatrix and mma.sync. Fragments are as the PTX manual draws them: of an 8x8 tile of 16-bit
 * elements, lane l holds elements 2 (l % 4) and 2 (l % 4) + 1 of row l / 4. */
#include <algorithm>

#include "emu/emu.h"

namespace simt {

/* ---- ldmatrix -------------------------------------------------------------------------------- */

struct Load {
    uint32_t *r;
    uint32_t  at; /* of the row whose address this lane gives: tile lane / 8, row lane % 8 */
    Site      site;
};

static uint32_t two_in_a_row(const unsigned char *const *rows, unsigned lane) {
    uint32_t pair;
    memcpy(&pair, rows[lane / 4] + 4 * (lane % 4), sizeof pair);
    return pair;
}

static uint32_t two_in_a_column(const unsigned char *const *rows, unsigned lane) {
    uint16_t lo, hi;
    memcpy(&lo, rows[2 * (lane % 4)] + 2 * (lane / 4), sizeof lo);
    memcpy(&hi, rows[2 * (lane % 4) + 1] + 2 * (lane / 4), sizeof hi);
    return lo | (uint32_t)hi << 16;
}

template <bool TRANSPOSED> static void load(Thread *warp, void **arguments, uint32_t) {
    for (unsigned tile = 0; tile < 4; tile++) {
        const unsigned char *rows[8];
        for (unsigned row = 0; row < 8; row++) {
            const Load *lane = (const Load *)arguments[8 * tile + row];
            rows[row] = shared_at(warp->owner, lane->at, 16, 16, lane->site, "ldmatrix");
            race_use(lane->at, 16, READ, lane->site);
        }
        for (unsigned lane = 0; lane < WARP; lane++) {
            ((const Load *)arguments[lane])->r[tile] =
                TRANSPOSED ? two_in_a_column(rows, lane) : two_in_a_row(rows, lane);
        }
    }
}

void load_matrix(uint32_t *r, uint32_t at, bool transposed, Site site) {
    Load argument = { r, at, site };
    meet(ALL_LANES, OP_LOAD + transposed, &argument, site, transposed ? load<true> : load<false>);
}

/* ---- mma m16n8k16 ---------------------------------------------------------------------------- */

typedef float eight_floats __attribute__((vector_size(32)));

struct Multiply {
    float          *d;
    const uint32_t *a;
    uint32_t        b[2];
};

static void widen(float *to, const uint16_t *from, bool bf16) {
#if defined(__F16C__) && defined(__AVX__)
    if (!bf16) {
        _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from)));
        return;
    }
#endif
    for (int i = 0; i < 8; i++) {
        to[i] = bf16 ? of_bits<float>((uint32_t)from[i] << 16) : to_f32(ccu_f16{ from[i] });
    }
}

/* Rows of a and b from the lanes' fragments. */
static void gather(uint16_t (*a)[16], uint16_t (*b)[8], void **arguments) {
    for (unsigned lane = 0; lane < WARP; lane++) {
        const Multiply *one = (const Multiply *)arguments[lane];
        const unsigned  row = lane / 4, at = 2 * (lane % 4);
        memcpy(&a[row][at], &one->a[0], 4);
        memcpy(&a[row + 8][at], &one->a[1], 4);
        memcpy(&a[row][at + 8], &one->a[2], 4);
        memcpy(&a[row + 8][at + 8], &one->a[3], 4);
        b[at][row]     = (uint16_t)one->b[0];
        b[at + 1][row] = (uint16_t)(one->b[0] >> 16);
        b[at + 8][row] = (uint16_t)one->b[1];
        b[at + 9][row] = (uint16_t)(one->b[1] >> 16);
    }
}

/* Sums in the order of k, rounded to f32 each time; hardware rounds less often and truncates. */
template <bool BF16> static void multiply_tile(Thread *, void **arguments, uint32_t) {
    uint16_t     a[16][16], b[16][8];
    eight_floats d[16], b_wide[16];
    gather(a, b, arguments);
    for (unsigned lane = 0; lane < WARP; lane++) {
        const float *own = ((const Multiply *)arguments[lane])->d;
        memcpy((float *)&d[lane / 4] + 2 * (lane % 4), own, 8);
        memcpy((float *)&d[lane / 4 + 8] + 2 * (lane % 4), own + 2, 8);
    }
    for (int k = 0; k < 16; k++) { widen((float *)&b_wide[k], b[k], BF16); }
    for (int i = 0; i < 16; i++) {
        float a_wide[16];
        widen(a_wide, a[i], BF16);
        widen(a_wide + 8, a[i] + 8, BF16);
        eight_floats sum = d[i];
        for (int k = 0; k < 16; k++) { sum += a_wide[k] * b_wide[k]; }
        d[i] = sum;
    }
    for (unsigned lane = 0; lane < WARP; lane++) {
        float *own = ((const Multiply *)arguments[lane])->d;
        memcpy(own, (float *)&d[lane / 4] + 2 * (lane % 4), 8);
        memcpy(own + 2, (float *)&d[lane / 4 + 8] + 2 * (lane % 4), 8);
    }
}

void multiply(float *d, const uint32_t *a, uint32_t b0, uint32_t b1, bool bf16, Site site) {
    Multiply argument = { d, a, { b0, b1 } };
    meet(ALL_LANES, OP_MULTIPLY + bf16, &argument, site,
         bf16 ? multiply_tile<true> : multiply_tile<false>);
}

} // namespace simt
