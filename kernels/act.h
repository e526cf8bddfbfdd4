/* Activations on the device: the same formulas as host/ops/lanes.h.
 *
 * T is the dtype of the result. 16-bit results take the hardware's exponential and reciprocal (a
 * few ulp of f32, more in the far tails where the value is next to 0); f32 results take expf and a
 * true division. */
#ifndef CCU_KERNELS_ACT_H
#define CCU_KERNELS_ACT_H

#include "simt.h"

extern "C" {
#include "base/kinds.h"
}

/* Not exp_approx: that spends three instructions on keeping subnormal results. */
template <class T> __device__ __forceinline__ float act_exp(float x) {
    return exp2_approx(x * 1.4426950408889634f);
}

template <> __device__ __forceinline__ float act_exp<float>(float x) {
    return expf(x);
}

template <class T> __device__ __forceinline__ float act_quotient(float a, float b) {
    return __fdividef(a, b);
}

template <> __device__ __forceinline__ float act_quotient<float>(float a, float b) {
    return a / b;
}

/* x sigmoid(1.702 x) */
template <class T> __device__ __forceinline__ float act_quick_gelu(float x) {
    return act_quotient<T>(x, 1.0f + act_exp<T>(-1.702f * x));
}

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|), with Phi(-a) = exp(-a^2 / 2) t q(t), t = 1 / (1 + 0.35 a):
 * no cancellation in either tail. q, of degree 8, is fitted for least relative error on
 * 0 <= a <= 14 (6e-8); from 13.2 on the tail is 0. NaN stays NaN. */
template <class T> __device__ __forceinline__ float act_gelu(float x) {
    const float a = fminf(fabsf(x), 14.0f);
    const float t = act_quotient<T>(1.0f, fmaf(0.35f, a, 1.0f));
    float       q = -0.029145928f;
    q = fmaf(q, t, 0.14397168f);
    q = fmaf(q, t, -0.25571424f);
    q = fmaf(q, t, 0.15917413f);
    q = fmaf(q, t, -0.023109816f);
    q = fmaf(q, t, 0.10550799f);
    q = fmaf(q, t, 0.11983287f);
    q = fmaf(q, t, 0.13986187f);
    q = fmaf(q, t, 0.13962141f);
    const float positive = x < 0.0f ? 0.0f : x;
    return positive - a * (act_exp<T>(a * a * -0.5f) * (q * t));
}

/* x[0 .. COUNT-1] = act(x). One branch for all of them. */
template <class T, int COUNT>
__device__ __forceinline__ void act_apply(float (&x)[COUNT], ccu_act act) {
    if (act == CCU_ACT_QUICK_GELU) {
        UNROLL for (int i = 0; i < COUNT; i++) { x[i] = act_quick_gelu<T>(x[i]); }
    } else if (act == CCU_ACT_GELU) {
        UNROLL for (int i = 0; i < COUNT; i++) { x[i] = act_gelu<T>(x[i]); }
    }
}

#endif
