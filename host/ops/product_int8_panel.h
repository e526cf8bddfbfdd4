/* The arithmetic of int8 products: rows and weights as whole numbers with one scale per row and per
 * output, sums in 32-bit integers. Sums are exact, so the same sums come out of every instruction
 * set, batch and number of threads.
 *
 * The rule, for a row v of x or of w (one output):
 *   top     the largest |v[k]|; of w also the largest |v[k] + v[k + 1]| with k even
 *   q[k]    v[k] * (127 / top) rounded to the nearest whole number, ties to even; 127 / top is
 *           f32, the product with it is not rounded before q is
 *   scale   top / 127, f32
 * A row with top < 1e-30 is zeros; one with a NaN or an infinity has scale NaN and zeros. Then
 *   y = (float)(sum of q_x[k] q_w[k]) * (scale_x * scale_w)
 *
 * Instructions that multiply bytes want one side unsigned: x is stored as q + 128, and what the 128
 * adds, 128 times the sum of q_w, is known beforehand: sums start from minus that. Below VNNI
 * pmaddubsw adds two neighbours up in 16 bits, which overflow beyond 128 * 255: the sums of
 * neighbours in w's top see to it that this cannot happen, and cost w a third of a bit in the
 * mean where limiting w to +-64 would cost one. (pmaddwd on 16-bit numbers needs no care, and is
 * slower: 1.6 instead of 2.0 times the f32 kernel on Zen 3, where additions have three pipes.)
 *
 * Weights lie in panels of CCU_INT8_PANEL outputs, four neighbours of K of each output together.
 * CCU_INT8_MODEL, which only a test defines, takes plain C for the instruction. */
#ifndef CCU_OPS_PRODUCT_INT8_PANEL_H
#define CCU_OPS_PRODUCT_INT8_PANEL_H

#include <math.h>

#include "ops/lanes.h"

#if defined(__SSSE3__)
#include <immintrin.h>
#endif

#define CCU_INT8_PANEL (2 * CCU_LANES)
#define CCU_INT8_ROWS 5 /* 10 sums, 2 of weights, 1 of x, 2 products, ones: AVX2's 16 registers */
#define CCU_INT8_TOP 127
#define CCU_INT8_ZERO 128    /* what stands for 0 in x */
#define CCU_INT8_K_MAX 32768 /* (128 + 255) * 127 * K stays below 2^31: no sum overflows */

/* K rounded up to whole quads; what is added is zero. */
static inline size_t ccu_int8_depth(int32_t K) {
    return ((size_t)K + 3) / 4 * 4;
}

/* ---- Rounding ------------------------------------------------------------------------------ */

typedef struct ccu_int8_scale {
    float scale;   /* times q is v */
    float inverse; /* v times it, rounded, is q; 0: every q is 0 */
} ccu_int8_scale;

/* Bits of |v| grow with it, and those of a NaN are beyond infinity's. */
static inline uint32_t ccu_int8_size(float v) {
    return ccu_f32_bits(v) & 0x7fffffffu;
}

/* top as ccu_int8_size gives it */
static inline ccu_int8_scale ccu_int8_scale_of(uint32_t top) {
    const float value = ccu_f32_from_bits(top);
    if (!isfinite(value)) { return (ccu_int8_scale){ NAN, 0.0f }; }
    if (value < 1e-30f) { return (ccu_int8_scale){ 0.0f, 0.0f }; }
    return (ccu_int8_scale){ value / CCU_INT8_TOP, CCU_INT8_TOP / value };
}

/* fmaf rounds once: adding 1.5 * 2^23 leaves a whole number in the low bits. */
static inline int32_t ccu_int8_round(float v, float inverse) {
    const float magic = 12582912.0f;
    return (int32_t)(ccu_f32_bits(fmaf(v, inverse, magic)) - ccu_f32_bits(magic));
}

/* One row of x into q, ccu_int8_depth(K) numbers; returns its scale. */
static inline float ccu_int8_row(const float *x, int32_t K, uint8_t *q) {
    uint32_t top = 0;
    for (int32_t k = 0; k < K; k++) {
        const uint32_t size = ccu_int8_size(x[k]);
        top = size > top ? size : top;
    }
    const ccu_int8_scale s = ccu_int8_scale_of(top);
    if (s.inverse == 0.0f) {
        memset(q, CCU_INT8_ZERO, ccu_int8_depth(K));
        return s.scale;
    }
    for (int32_t k = 0; k < K; k++) {
        q[k] = (uint8_t)(ccu_int8_round(x[k], s.inverse) + CCU_INT8_ZERO);
    }
    memset(q + K, CCU_INT8_ZERO, ccu_int8_depth(K) - (size_t)K);
    return s.scale;
}

/* ---- Weights ------------------------------------------------------------------------------- */

/* A panel: depth * CCU_INT8_PANEL numbers, then CCU_INT8_PANEL f32 scales, then as many s32 from
 * which sums start. */
static inline size_t ccu_int8_panel_bytes(int32_t K) {
    return CCU_INT8_PANEL * (ccu_int8_depth(K) + sizeof(float) + sizeof(int32_t));
}

static inline ccu_int8_scale ccu_int8_weight_scale(const float *w, int32_t K) {
    uint32_t top = 0;
    for (int32_t k = 0; k < K; k++) {
        const uint32_t one = ccu_int8_size(w[k]);
        const uint32_t two = k % 2 == 0 && k + 1 < K ? ccu_int8_size(w[k] + w[k + 1]) : 0;
        top = one > top ? one : top;
        top = two > top ? two : top;
    }
    return ccu_int8_scale_of(top);
}

/* Outputs n .. n + CCU_INT8_PANEL - 1 of w (N, K); those from N on are zeros. */
static inline void ccu_int8_pack_panel(const float *w, int32_t n, int32_t N, int32_t K,
                                       uint8_t *to) {
    uint8_t *scales = to + CCU_INT8_PANEL * ccu_int8_depth(K);
    uint8_t *starts = scales + CCU_INT8_PANEL * sizeof(float);
    memset(to, 0, ccu_int8_panel_bytes(K));
    for (size_t j = 0; j < CCU_INT8_PANEL && n + (int32_t)j < N; j++) {
        const float         *row   = w + (size_t)(n + (int32_t)j) * (size_t)K;
        const ccu_int8_scale s     = ccu_int8_weight_scale(row, K);
        int32_t              start = 0;
        for (size_t k = 0; k < (size_t)K && s.inverse != 0.0f; k++) {
            const int32_t q = ccu_int8_round(row[k], s.inverse);
            to[k / 4 * 4 * CCU_INT8_PANEL + j * 4 + k % 4] = (uint8_t)q;
            start -= CCU_INT8_ZERO * q;
        }
        memcpy(scales + j * sizeof s.scale, &s.scale, sizeof s.scale);
        memcpy(starts + j * sizeof start, &start, sizeof start);
    }
}

/* ---- The product --------------------------------------------------------------------------- */

/* sum[i] += x[4i] w[4i] + ... + x[4i + 3] w[4i + 3] in bytes, x unsigned and w signed */
static inline ccu_lanes_i32 ccu_int8_dot(ccu_lanes_i32 sum, ccu_lanes_i32 x, ccu_lanes_i32 w) {
#if defined(CCU_INT8_MODEL)
    return ccu_int8_model_dot(sum, x, w);
#elif CCU_LANES == 16 && defined(__AVX512VNNI__)
    return (ccu_lanes_i32)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
#elif CCU_LANES == 16 && defined(__AVX512BW__)
    const __m512i pairs = _mm512_maddubs_epi16((__m512i)x, (__m512i)w);
    return sum + (ccu_lanes_i32)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#elif CCU_LANES == 8 && defined(__AVXVNNI__)
    return (ccu_lanes_i32)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)x, (__m256i)w);
#elif CCU_LANES == 8 && defined(__AVX2__)
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)x, (__m256i)w);
    return sum + (ccu_lanes_i32)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#elif CCU_LANES == 4 && defined(__SSSE3__)
    const __m128i pairs = _mm_maddubs_epi16((__m128i)x, (__m128i)w);
    return sum + (ccu_lanes_i32)_mm_madd_epi16(pairs, _mm_set1_epi16(1));
#else
    for (int32_t k = 0; k < 32; k += 8) { /* each byte of the quads in turn */
        const ccu_lanes_i32 a = (x >> k) & 0xff;
        const ccu_lanes_i32 b = (ccu_lanes_i32)((ccu_lanes_u32)w << (24 - k)) >> 24;
        sum += a * b;
    }
    return sum;
#endif
}

typedef struct ccu_int8_panel {
    float         *c;      /* (rows, CCU_INT8_PANEL) */
    const uint8_t *x;      /* rows x_stride apart, as ccu_int8_row wrote them */
    const float   *scales; /* (rows), what it returned */
    const uint8_t *w;      /* as ccu_int8_pack_panel wrote it */
    size_t         x_stride;
    int32_t        K;
} ccu_int8_panel;

static inline ccu_lanes_i32 ccu_int8_quads(const uint8_t *from) {
    ccu_lanes_i32 v;
    memcpy(&v, from, sizeof v);
    return v;
}

/* rows is a constant where this is expanded. */
static inline __attribute__((always_inline)) void ccu_int8_rows(const ccu_int8_panel *p,
                                                                int32_t rows) {
    const size_t   depth  = ccu_int8_depth(p->K);
    const uint8_t *w      = p->w;
    const uint8_t *scales = w + CCU_INT8_PANEL * depth;
    ccu_lanes_i32  sum[CCU_INT8_ROWS][2];
#pragma GCC unroll 5
    for (int32_t i = 0; i < rows; i++) {
        sum[i][0] = ccu_int8_quads(scales + CCU_INT8_PANEL * sizeof(float));
        sum[i][1] = ccu_int8_quads(scales + (CCU_INT8_PANEL + CCU_LANES) * sizeof(float));
    }
    for (size_t k = 0; k < depth; k += 4) {
        const ccu_lanes_i32 left  = ccu_int8_quads(w);
        const ccu_lanes_i32 right = ccu_int8_quads(w + sizeof left);
#pragma GCC unroll 5
        for (int32_t i = 0; i < rows; i++) {
            int32_t quad;
            memcpy(&quad, p->x + (size_t)i * p->x_stride + k, sizeof quad);
            const ccu_lanes_i32 x = quad + (ccu_lanes_i32){ 0 };
            sum[i][0] = ccu_int8_dot(sum[i][0], x, left);
            sum[i][1] = ccu_int8_dot(sum[i][1], x, right);
        }
        w += 2 * sizeof left;
    }
    const ccu_lanes left  = (ccu_lanes)ccu_int8_quads(scales);
    const ccu_lanes right = (ccu_lanes)ccu_int8_quads(scales + sizeof left);
#pragma GCC unroll 5
    for (int32_t i = 0; i < rows; i++) {
        float          *c     = p->c + (size_t)i * CCU_INT8_PANEL;
        const ccu_lanes times = ccu_lanes_set(p->scales[i]);
        ccu_lanes_store(c, __builtin_convertvector(sum[i][0], ccu_lanes) * (times * left));
        ccu_lanes_store(c + CCU_LANES,
                        __builtin_convertvector(sum[i][1], ccu_lanes) * (times * right));
    }
}

/* The first CCU_INT8_ROWS of `rows` rows, or all if they are fewer. */
static inline __attribute__((always_inline)) void ccu_int8_run_panel(const ccu_int8_panel *p,
                                                                     int32_t rows) {
    switch (rows) {
    case 1: ccu_int8_rows(p, 1); break;
    case 2: ccu_int8_rows(p, 2); break;
    case 3: ccu_int8_rows(p, 3); break;
    case 4: ccu_int8_rows(p, 4); break;
    default: ccu_int8_rows(p, CCU_INT8_ROWS); break;
    }
}

#endif
