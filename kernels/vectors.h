/* Rows read and written 16 bytes at a time, as f32 in registers. */
#ifndef CCU_KERNELS_VECTORS_H
#define CCU_KERNELS_VECTORS_H

#include "simt.h"

/* Elements in 16 bytes. */
template <class T> static constexpr int EACH16 = 16 / (int)sizeof(T);

template <class T>
__device__ __forceinline__ void unpack16(const uint4 &raw, float (&x)[EACH16<T>]) {
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
    UNROLL for (int i = 0; i < 4; i++) {
        if constexpr (sizeof(T) == 4) {
            x[i] = f32_of_bits(words[i]);
        } else {
            const float2 pair = unpack2<T>(words[i]);
            x[2 * i]          = pair.x;
            x[2 * i + 1]      = pair.y;
        }
    }
}

template <class T> __device__ __forceinline__ uint4 pack16(const float (&x)[EACH16<T>]) {
    uint32_t words[4];
    UNROLL for (int i = 0; i < 4; i++) {
        if constexpr (sizeof(T) == 4) {
            words[i] = bits_of_f32(x[i]);
        } else {
            words[i] = pack2<T>(x[2 * i], x[2 * i + 1]);
        }
    }
    return make_uint4(words[0], words[1], words[2], words[3]);
}

/* 16 bytes at element `at` of x; zeros where !real. */
template <class T>
__device__ __forceinline__ uint4 read16(const T *x, size_t at, bool real) {
    return real ? __ldg(reinterpret_cast<const uint4 *>(x + at)) : make_uint4(0, 0, 0, 0);
}

/* ---- COUNT elements, 1 or EACH16<T>: the plain and the wide form of a kernel in one --------- */

/* Not __ldg: x may be what the kernel writes. */
template <class T, int COUNT>
__device__ __forceinline__ void load_some(const T *x, float (&to)[COUNT]) {
    if constexpr (COUNT == 1) {
        to[0] = to_f32(*x);
    } else {
        UNROLL for (int i = 0; i < COUNT; i += EACH16<T>) {
            float part[EACH16<T>];
            unpack16<T>(*reinterpret_cast<const uint4 *>(x + i), part);
            UNROLL for (int e = 0; e < EACH16<T>; e++) { to[i + e] = part[e]; }
        }
    }
}

template <class T, int COUNT>
__device__ __forceinline__ void store_some(T *x, const float (&from)[COUNT]) {
    if constexpr (COUNT == 1) {
        *x = from_f32<T>(from[0]);
    } else {
        static_assert(COUNT == EACH16<T>, "one vector");
        *reinterpret_cast<uint4 *>(x) = pack16<T>(from);
    }
}

#endif
