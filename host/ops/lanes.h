/* Vectors of f32 lanes through GCC's vector extension, for the CPU ops. The width is fixed when
 * this is compiled (-march), never chosen at run time, and every sum over lanes has one fixed
 * order: so an op gives equal bits wherever a row stands in memory or in the batch. Loads and
 * stores need no alignment. */
#ifndef CCU_OPS_LANES_H
#define CCU_OPS_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/dtype.h"

#if defined(__AVX512F__)
#define CCU_LANES 16
#elif defined(__AVX__)
#define CCU_LANES 8
#else
#define CCU_LANES 4
#endif

typedef float    ccu_lanes __attribute__((vector_size(4 * CCU_LANES)));
typedef int32_t  ccu_lanes_i32 __attribute__((vector_size(4 * CCU_LANES)));
typedef uint32_t ccu_lanes_u32 __attribute__((vector_size(4 * CCU_LANES)));
typedef uint16_t ccu_lanes_u16 __attribute__((vector_size(2 * CCU_LANES)));

/* value - 0 is value, also for -0, so this compiles to one broadcast (0 + value would not). */
static inline ccu_lanes ccu_lanes_set(float value) {
    return value - (ccu_lanes){ 0 };
}

static inline ccu_lanes ccu_lanes_load(const float *from) {
    ccu_lanes v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline void ccu_lanes_store(float *to, ccu_lanes v) {
    memcpy(to, &v, sizeof v);
}

/* The first count lanes from memory, the others 0. */
static inline ccu_lanes ccu_lanes_load_part(const float *from, int32_t count) {
    ccu_lanes v = { 0 };
    memcpy(&v, from, (size_t)count * sizeof *from);
    return v;
}

static inline void ccu_lanes_store_part(float *to, ccu_lanes v, int32_t count) {
    memcpy(to, &v, (size_t)count * sizeof *to);
}

static inline ccu_lanes ccu_lanes_from_bf16(ccu_lanes_u16 bits) {
    return (ccu_lanes)(__builtin_convertvector(bits, ccu_lanes_u32) << 16);
}

/* Rounds to nearest, ties to even; NaN stays NaN, as ccu_bf16_from_f32. */
static inline ccu_lanes_u16 ccu_lanes_to_bf16(ccu_lanes v) {
    const ccu_lanes_u32 bits    = (ccu_lanes_u32)v;
    const ccu_lanes_u32 rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const ccu_lanes_u32 quiet   = (bits >> 16) | 0x40u;
    const ccu_lanes_u32 is_nan  = (ccu_lanes_u32)(v != v);
    return __builtin_convertvector((rounded & ~is_nan) | (quiet & is_nan), ccu_lanes_u16);
}

/* Elements at, at + 1, ... of an array of dtype (f32 or bf16); count < CCU_LANES reads only that
 * many. dtype is a constant at every call that matters. */
static inline ccu_lanes ccu_lanes_read(const void *from, size_t at, int32_t count,
                                       ccu_dtype dtype) {
    if (dtype == CCU_F32) {
        const float *x = (const float *)from + at;
        return count >= CCU_LANES ? ccu_lanes_load(x) : ccu_lanes_load_part(x, count);
    }
    const ccu_bf16 *x    = (const ccu_bf16 *)from + at;
    ccu_lanes_u16   bits = { 0 };
    if (count >= CCU_LANES) {
        memcpy(&bits, x, sizeof bits); /* a size known to the compiler: one load */
    } else {
        memcpy(&bits, x, (size_t)count * sizeof *x);
    }
    return ccu_lanes_from_bf16(bits);
}

static inline void ccu_lanes_write(void *to, size_t at, ccu_lanes v, int32_t count,
                                   ccu_dtype dtype) {
    if (dtype == CCU_F32) {
        float *y = (float *)to + at;
        if (count >= CCU_LANES) {
            ccu_lanes_store(y, v);
        } else {
            ccu_lanes_store_part(y, v, count);
        }
        return;
    }
    const ccu_lanes_u16 bits = ccu_lanes_to_bf16(v);
    ccu_bf16           *y    = (ccu_bf16 *)to + at;
    if (count >= CCU_LANES) {
        memcpy(y, &bits, sizeof bits);
    } else {
        memcpy(y, &bits, (size_t)count * sizeof *y);
    }
}

/* Lanes are added pairwise: i with i + half, halving. */
static inline float ccu_lanes_sum(ccu_lanes v) {
    float lane[CCU_LANES];
    ccu_lanes_store(lane, v);
    for (int32_t half = CCU_LANES / 2; half > 0; half /= 2) {
        for (int32_t i = 0; i < half; i++) { lane[i] += lane[i + half]; }
    }
    return lane[0];
}

/* mask ? a : b, lane by lane; mask is a comparison's result. */
static inline ccu_lanes ccu_lanes_select(ccu_lanes_i32 mask, ccu_lanes a, ccu_lanes b) {
    return (ccu_lanes)(((ccu_lanes_i32)a & mask) | ((ccu_lanes_i32)b & ~mask));
}

/* A NaN in a is dropped, a NaN in b is kept. */
static inline ccu_lanes ccu_lanes_max(ccu_lanes a, ccu_lanes b) {
    return ccu_lanes_select((ccu_lanes_i32)(a > b), a, b);
}

static inline float ccu_lanes_max_of(ccu_lanes v) {
    float lane[CCU_LANES];
    ccu_lanes_store(lane, v);
    float max = lane[0];
    for (int32_t i = 1; i < CCU_LANES; i++) { max = lane[i] > max ? lane[i] : max; }
    return max;
}

/* e^x. With n = round(x / ln 2) and r = x - n ln 2: 2^n (1 + r + r^2 p(r)), p of degree 4 fitted
 * for least relative error. At most 1 ulp off over the whole range (all floats tested). Below
 * -87.33 (where the result leaves the normal numbers) it is 0, above 88.37 it is inf. */
static inline ccu_lanes ccu_lanes_exp(ccu_lanes x) {
    const float below = -87.33654f;
    const float above = 88.37626f;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */

    ccu_lanes in = ccu_lanes_select((ccu_lanes_i32)(x < below), ccu_lanes_set(below), x);
    in = ccu_lanes_select((ccu_lanes_i32)(in > above), ccu_lanes_set(above), in);
    const ccu_lanes     shifted = in * 1.44269504f + magic; /* wraps for NaN, which r keeps */
    const ccu_lanes     n       = shifted - magic;
    const ccu_lanes_u32 n_int   = (ccu_lanes_u32)shifted - (ccu_lanes_u32)ccu_lanes_set(magic);
    /* ln 2 in two parts, the first with so few bits that n times it is exact */
    const ccu_lanes r = (in - n * 0.693359375f) - n * -2.12194440e-4f;

    ccu_lanes p = ccu_lanes_set(0.0013814584f);
    p = p * r + 0.008368724f;
    p = p * r + 0.04166839f;
    p = p * r + 0.16666521f;
    p = p * r + 0.49999994f;
    p = p * (r * r) + r + 1.0f;
    ccu_lanes y = p * (ccu_lanes)((n_int + 127u) << 23);
    y = ccu_lanes_select((ccu_lanes_i32)(x < below), ccu_lanes_set(0.0f), y);
    return ccu_lanes_select((ccu_lanes_i32)(x > above), ccu_lanes_set(INFINITY), y);
}

/* x sigmoid(1.702 x) */
static inline ccu_lanes ccu_lanes_quick_gelu(ccu_lanes x) {
    return x / (1.0f + ccu_lanes_exp(x * -1.702f));
}

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|), with Phi(-a) = exp(-a^2 / 2) t q(t), t = 1 / (1 + 0.35 a):
 * no cancellation in either tail. q, of degree 8, is fitted for least relative error on
 * 0 <= a <= 14 (6e-8). */
static inline ccu_lanes ccu_lanes_gelu(ccu_lanes x) {
    const ccu_lanes a = (ccu_lanes)((ccu_lanes_i32)x & 0x7fffffff);
    const ccu_lanes t = 1.0f / (1.0f + 0.35f * a);
    ccu_lanes       q = ccu_lanes_set(-0.029145928f);
    q = q * t + 0.14397168f;
    q = q * t + -0.25571424f;
    q = q * t + 0.15917413f;
    q = q * t + -0.023109816f;
    q = q * t + 0.10550799f;
    q = q * t + 0.11983287f;
    q = q * t + 0.13986187f;
    q = q * t + 0.13962141f;
    const ccu_lanes tail     = ccu_lanes_exp(a * a * -0.5f) * (q * t);
    const ccu_lanes positive = ccu_lanes_select((ccu_lanes_i32)(x < 0.0f), ccu_lanes_set(0.0f), x);
    /* the tail is 0 from a = 13.2 on; skip inf * 0 */
    const ccu_lanes_i32 far = (ccu_lanes_i32)(a > 14.0f);
    return positive - ccu_lanes_select(far, ccu_lanes_set(0.0f), a * tail);
}

#endif
