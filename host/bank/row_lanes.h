/* Rows of saved embeddings as lanes: f32, f16 and bf16 at any address, and sums that are the same
 * wherever they are computed. For search.c. */
#ifndef CCU_BANK_ROW_LANES_H
#define CCU_BANK_ROW_LANES_H

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "ops/lanes.h"

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

static inline ccu_lanes ccu_row_from_f16(ccu_lanes_u16 bits) {
#if defined(__AVX512F__)
    return (ccu_lanes)_mm512_cvtph_ps((__m256i)bits);
#elif defined(__AVX__) && defined(__F16C__)
    return (ccu_lanes)_mm256_cvtph_ps((__m128i)bits);
#else
    const ccu_lanes_u32 wide      = __builtin_convertvector(bits, ccu_lanes_u32);
    const ccu_lanes_u32 magnitude = wide & 0x7fffu;
    const ccu_lanes_u32 special   = (ccu_lanes_u32)(magnitude > 0x7bffu) & 0x7f800000u;
    /* the exponent moves from bias 15 to 127: exact, also for what is subnormal in f16 */
    const ccu_lanes value = (ccu_lanes)(magnitude << 13) * 0x1p112f;
    return (ccu_lanes)((ccu_lanes_u32)value | special | (wide & 0x8000u) << 16);
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

/* count numbers of a row from column k on, zeros behind them. dtype is a constant where this is
 * expanded. The row may lie at any address. */
static inline __attribute__((always_inline)) ccu_lanes
ccu_row_load(const uint8_t *row, int32_t k, int32_t count, ccu_dtype dtype) {
    if (dtype == CCU_F32) {
        ccu_lanes v = { 0 };
        if (count == CCU_LANES) {
            memcpy(&v, row + (size_t)k * sizeof(float), sizeof v); /* one load */
        } else {
            memcpy(&v, row + (size_t)k * sizeof(float), (size_t)count * sizeof(float));
        }
        return v;
    }
    ccu_lanes_u16 bits = { 0 };
    if (count == CCU_LANES) {
        memcpy(&bits, row + (size_t)k * sizeof(uint16_t), sizeof bits);
    } else {
        memcpy(&bits, row + (size_t)k * sizeof(uint16_t), (size_t)count * sizeof(uint16_t));
    }
    return dtype == CCU_F16 ? ccu_row_from_f16(bits) : ccu_lanes_from_bf16(bits);
}

#endif
