/* Patch embedding as its kernels take it, and what they share: pixels by number, the last step. */
#ifndef CCU_KERNELS_PATCH_EMBED_H
#define CCU_KERNELS_PATCH_EMBED_H

#include "cuda_state.h"

/* Elements of K that a thread of the mma kernel reads at a time: half a step. */
static constexpr int32_t CCU_PATCH_PIECE = 24;

typedef struct patch_problem {
    void        *y;
    const void  *pixels;
    const void  *w;
    const float *b, *class_token, *positions;
    float        unscale[3], unshift[3];
    int32_t      M, N, K;  /* patches of all images, C, 3 P P */
    int32_t      S, P, G;
    int32_t      w_stride; /* elements */
    int32_t      skip_kx, skip_ky; /* CCU_PATCH_PIECE % P, / P: that much further in K */
} patch_problem;

/* Tensor cores; 16-bit dtypes. 0 or the device's code. */
int ccu_cuda_patch_embed_mma(const ccu_cuda *cuda, const ccu_patch_embed *op,
                             const patch_problem &p);

/* Where an element of K is in a picture, walked without divisions. */
typedef struct patch_walk {
    int32_t c, ky, kx;
} patch_walk;

__device__ __forceinline__ patch_walk walk_to(int32_t k, int32_t P) {
    const int32_t plane = P * P;
    return patch_walk{k / plane, k % plane / P, k % P};
}

__device__ __forceinline__ void walk_on(patch_walk *at, int32_t P) {
    at->kx++;
    if (at->kx == P) {
        at->kx = 0;
        at->ky++;
    }
    if (at->ky == P) {
        at->ky = 0;
        at->c++;
    }
}

/* The scale or shift of a channel: an index would put them into memory. */
__device__ __forceinline__ float of_channel(const float (&value)[3], int32_t c) {
    return c == 0 ? value[0] : c == 1 ? value[1] : value[2];
}

/* First pixel of patch m: (image * S + row) * S + column, channels and planes apart. */
__device__ __forceinline__ size_t patch_corner(const patch_problem &p, int32_t m, int32_t *image) {
    const int32_t each = p.G * p.G;
    const int32_t b    = m / each, i = m % each;
    *image             = b;
    return (size_t)(i / p.G * p.P) * (size_t)p.S + (size_t)(i % p.G * p.P);
}

/* The byte u of a word's magnitude: u - 128, exact. 0x4b000000 is 2^23, whose unit is 1. */
__device__ __forceinline__ float centred(uint32_t byte) {
    return f32_of_bits(0x4b000000u | byte) - 8388736.0f;
}

/* The token row of patch m, and the one before it where an image's first patch writes the class
 * token too. */
__device__ __forceinline__ size_t token_row(const patch_problem &p, int32_t m, int32_t *position) {
    const int32_t each = p.G * p.G;
    const int32_t b    = m / each;
    *position          = 1 + m - b * each;
    return (size_t)b * (size_t)(each + 1) + (size_t)*position;
}

template <class T>
__device__ __forceinline__ void store_token(const patch_problem &p, size_t row, int32_t position,
                                            int32_t n, float sum) {
    T           *y  = static_cast<T *>(p.y) + row * (size_t)p.N;
    const float *at = p.positions + (size_t)position * (size_t)p.N;
    y[n]            = from_f32<T>(sum + p.b[n] + at[n]);
    if (position == 1) { (y - p.N)[n] = from_f32<T>(p.class_token[n] + p.positions[n]); }
}

/* The same of columns n and n + 1, where N is even. */
template <class T>
__device__ __forceinline__ void store_tokens(const patch_problem &p, size_t row, int32_t position,
                                             int32_t n, float2 sum) {
    uint32_t    *y  = reinterpret_cast<uint32_t *>(static_cast<T *>(p.y) + row * (size_t)p.N + n);
    const float2 b  = *reinterpret_cast<const float2 *>(p.b + n);
    const float2 at = *reinterpret_cast<const float2 *>(p.positions +
                                                        (size_t)position * (size_t)p.N + n);
    *y = pack2<T>(sum.x + b.x + at.x, sum.y + b.y + at.y);
    if (position == 1) {
        const float2 token = *reinterpret_cast<const float2 *>(p.class_token + n);
        const float2 first = *reinterpret_cast<const float2 *>(p.positions + n);
        y[-(p.N / 2)]      = pack2<T>(token.x + first.x, token.y + first.y);
    }
}

#endif
