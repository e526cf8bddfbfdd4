/* Rows of saved embeddings as lanes: f32, f16 and bf16 at any address. For search.c. */
#ifndef CCU_BANK_ROW_LANES_H
#define CCU_BANK_ROW_LANES_H

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "ops/dots.h"

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
