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

#endif
