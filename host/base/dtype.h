/* Number formats of weights and activations. bf16 and f16 are one-member structs, so that
 * arithmetic on their bits does not compile. Conversions round to nearest, ties to even. */
#ifndef CCU_BASE_DTYPE_H
#define CCU_BASE_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum ccu_dtype { CCU_F32 = 0, CCU_BF16 = 1, CCU_F16 = 2 } ccu_dtype;

typedef struct ccu_bf16 {
    uint16_t bits;
} ccu_bf16;

typedef struct ccu_f16 {
    uint16_t bits;
} ccu_f16;

static inline size_t ccu_dtype_bytes(ccu_dtype dtype) {
    return dtype == CCU_F32 ? 4 : 2;
}

static inline const char *ccu_dtype_name(ccu_dtype dtype) {
    switch (dtype) {
    case CCU_F32: return "f32";
    case CCU_BF16: return "bf16";
    case CCU_F16: return "f16";
    }
    return "?";
}

static inline float ccu_f32_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t ccu_f32_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float ccu_bf16_to_f32(ccu_bf16 value) {
    return ccu_f32_from_bits((uint32_t)value.bits << 16);
}

static inline ccu_bf16 ccu_bf16_from_f32(float value) {
    const uint32_t bits = ccu_f32_bits(value);
    ccu_bf16       out;
    if ((bits & 0x7fffffffu) > 0x7f800000u) { /* NaN stays NaN: rounding could carry into inf */
        out.bits = (uint16_t)((bits >> 16) | 0x40u);
        return out;
    }
    out.bits = (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    return out;
}

static inline float ccu_f16_to_f32(ccu_f16 value) {
    const uint32_t sign     = (uint32_t)(value.bits & 0x8000u) << 16;
    const uint32_t exponent = (value.bits >> 10) & 0x1fu;
    const uint32_t mantissa = value.bits & 0x3ffu;
    if (exponent == 0x1f) { return ccu_f32_from_bits(sign | 0x7f800000u | (mantissa << 13)); }
    if (exponent == 0) { /* zero and subnormals: mantissa * 2^-24, exact in f32 */
        const float magnitude = (float)mantissa * 5.9604644775390625e-8f;
        return ccu_f32_from_bits(sign | ccu_f32_bits(magnitude));
    }
    return ccu_f32_from_bits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

/* Above 65504 + 16 (half a step) it is inf; NaN stays NaN. */
static inline ccu_f16 ccu_f16_from_f32(float value) {
    const uint32_t bits      = ccu_f32_bits(value);
    const uint32_t magnitude = bits & 0x7fffffffu;
    const uint32_t sign      = (bits >> 16) & 0x8000u;
    ccu_f16        out;
    if (magnitude > 0x7f800000u) { /* the upper mantissa bits stay, quiet */
        out.bits = (uint16_t)(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
        return out;
    }
    uint32_t half;
    if (magnitude >= 0x477ff000u) { /* 65520: the middle between 65504 and 65536 */
        half = 0x7c00u;
    } else if (magnitude < 0x38800000u) { /* below 2^-14: a multiple of 2^-24, which is the step of
                                             f32 in 0.5 .. 1: the sum rounds to it */
        half = ccu_f32_bits(ccu_f32_from_bits(magnitude) + 0.5f) - 0x3f000000u;
    } else { /* 13 bits go; the carry may reach the exponent, as it should */
        half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    }
    out.bits = (uint16_t)(sign | half);
    return out;
}

#endif
