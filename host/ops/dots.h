/* Dot products of rows with rows as they lie in memory, in tiles held in registers. Each product is
 * one chain of lanes over the columns, summed up in one order: its bits do not depend on the tile
 * it is computed in. For scores_topk.c and bank/search.c. */
#ifndef CCU_OPS_DOTS_H
#define CCU_OPS_DOTS_H

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "ops/lanes.h"

/* A tile: 12 sums, 3 rows and a column's number fill the 16 registers of AVX2. 76 GFLOP/s on one
 * core of a Zen 3 with everything in cache, 2 x 4 78, 1 x 4 56. */
#define CCU_DOTS_ROWS 3
#define CCU_DOTS_OTHERS 4

/* sum + x * y, rounded once where the machine can. Said outright: left to the compiler, some loops
 * were fused and others not, and the last bits depended on the number of queries. */
static inline ccu_lanes ccu_row_add_product(ccu_lanes sum, ccu_lanes x, ccu_lanes y) {
#if defined(__AVX512F__)
    return (ccu_lanes)_mm512_fmadd_ps((__m512)x, (__m512)y, (__m512)sum);
#elif defined(__AVX__) && defined(__FMA__)
    return (ccu_lanes)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)sum);
#else
    return sum + x * y;
#endif
}

/* The sums of four vectors of lanes, each added up as ccu_lanes_sum does, but side by side: a chain
 * of scalars per sum is slow, and each row has one per query. */
static inline void ccu_row_sum_four(const ccu_lanes v[4], float out[4]) {
#if defined(__SSE2__)
    __m128 four[4];
#pragma GCC unroll 4
    for (int32_t i = 0; i < 4; i++) {
#if defined(__AVX512F__)
        const __m256 upper = _mm256_castpd_ps(_mm512_extractf64x4_pd((__m512d)v[i], 1));
        const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256((__m512)v[i]), upper);
        four[i] = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
#elif defined(__AVX__)
        four[i] = _mm_add_ps(_mm256_castps256_ps128((__m256)v[i]),
                             _mm256_extractf128_ps((__m256)v[i], 1));
#else
        four[i] = (__m128)v[i];
#endif
    }
    _MM_TRANSPOSE4_PS(four[0], four[1], four[2], four[3]);
    _mm_storeu_ps(out, _mm_add_ps(_mm_add_ps(four[0], four[2]), _mm_add_ps(four[1], four[3])));
#else
    for (int32_t i = 0; i < 4; i++) { out[i] = ccu_lanes_sum(v[i]); }
#endif
}

/* out[r][o] = rows[r] . others[o], R x O of them, both constants where this is expanded; E columns.
 * Rows stand row_stride numbers apart, others other_stride. ahead: bytes behind each row's read
 * position to prefetch, 0 none. */
static inline __attribute__((always_inline)) void
ccu_dots(const float *rows, size_t row_stride, const float *others, size_t other_stride, int32_t E,
         int32_t R, int32_t O, size_t ahead, float out[][CCU_DOTS_OTHERS]) {
    ccu_lanes sum[CCU_DOTS_OTHERS][CCU_DOTS_OTHERS];
    int32_t   k = 0;
#pragma GCC unroll 4
    for (int32_t r = 0; r < R; r++) {
#pragma GCC unroll 4
        for (int32_t o = 0; o < CCU_DOTS_OTHERS; o++) { sum[r][o] = ccu_lanes_set(0.0f); }
    }
    for (; k + CCU_LANES <= E; k += CCU_LANES) {
        ccu_lanes part[CCU_DOTS_OTHERS];
#pragma GCC unroll 4
        for (int32_t r = 0; r < R; r++) {
            const float *at = rows + (size_t)r * row_stride + (size_t)k;
            if (ahead > 0) { __builtin_prefetch((const uint8_t *)at + ahead); }
            part[r] = ccu_lanes_load(at);
        }
#pragma GCC unroll 4
        for (int32_t o = 0; o < O; o++) {
            const ccu_lanes y = ccu_lanes_load(others + (size_t)o * other_stride + (size_t)k);
#pragma GCC unroll 4
            for (int32_t r = 0; r < R; r++) {
                sum[r][o] = ccu_row_add_product(sum[r][o], part[r], y);
            }
        }
    }
    if (k < E) {
#pragma GCC unroll 4
        for (int32_t o = 0; o < O; o++) {
            const float    *other = others + (size_t)o * other_stride + (size_t)k;
            const ccu_lanes y     = ccu_lanes_load_part(other, E - k);
#pragma GCC unroll 4
            for (int32_t r = 0; r < R; r++) {
                const float *row = rows + (size_t)r * row_stride + (size_t)k;
                sum[r][o] = ccu_row_add_product(sum[r][o], ccu_lanes_load_part(row, E - k), y);
            }
        }
    }
#pragma GCC unroll 4
    for (int32_t r = 0; r < R; r++) { ccu_row_sum_four(sum[r], out[r]); }
}

#endif
