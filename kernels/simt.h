/* The device vocabulary: the only header that a kernel includes (Hopper ones: simt_hopper.h too).
 *
 * nvcc sees CUDA and PTX (simt_ptx.h); a C++ compiler sees the emulator (tests/emu), which runs the
 * same .cu files on a CPU. Both sides give exactly the names listed here; there is no inline PTX
 * anywhere else and no <<<>>>.
 *
 *   CUDA's own     __global__ __device__ __forceinline__ __restrict__ __launch_bounds__, threadIdx,
 *                  blockIdx, blockDim, gridDim, dim3, uint2, uint4, float2, float4, make_*,
 *                  __syncthreads, __syncwarp, __shfl_{,up_,down_,xor_}sync, __ballot_sync,
 *                  __any_sync, __all_sync, atomicAdd (int, float), __ldg, min, max, math.h's f32
 *                  functions, rsqrtf, __fdividef
 *   UNROLL         before a loop: unroll it fully
 *   SIMT_DYN_SHARED(T, name)         T *name: the block's dynamic shared memory, 1024-byte aligned
 *   SIMT_SHARED(T, name, [n][m])     a static shared array
 *   bar_sync(id, threads)            named barrier 1 .. 15; threads is a multiple of 32
 *   smem_t, smem_addr(pointer)       32-bit shared-memory address
 *   cp_async16(smem_t to, const void *from, bool real)   16 bytes, zeros where !real; both aligned
 *   cp_async_commit(), cp_async_wait<N>()                all but the newest N groups have landed
 *   ldsm_x4(r, a), ldsm_x4_t(r, a)   ldmatrix, four 8x8 tiles of 16-bit elements; _t transposed
 *   mma_16816<T>(d, a, b0, b1)       d (16x8 f32) += a (16x16) . b (16x8), T is ccu_f16 or ccu_bf16
 *   to_f32(x), from_f32<T>(x)        T is float, ccu_bf16 or ccu_f16; nearest, ties to even
 *   unpack2<T>(uint32_t) -> float2, pack2<T>(lo, hi) -> uint32_t    two 16-bit elements
 *   f32_of_bits, bits_of_f32
 *   exp2_approx(x), exp_approx(x)    hardware exponential: about 2 ulp of f32
 *   simt_launch(name, kernel, (simt_grid){...}, args...) -> 0 or the device's error code
 */
#ifndef CCU_KERNELS_SIMT_H
#define CCU_KERNELS_SIMT_H

#include <stddef.h>
#include <stdint.h>

extern "C" {
#include "base/dtype.h"
}

#if defined(__CUDACC__)
#include "simt_ptx.h"
#else
#include "emu/simt_emu.h"
#endif

/* ---- The same on both sides ----------------------------------------------------------------- */

static constexpr unsigned WARP     = 32;
static constexpr unsigned ALL_LANES = 0xffffffffu;

__device__ __forceinline__ float to_f32(float x) {
    return x;
}

__device__ __forceinline__ float to_f32(ccu_bf16 x) {
    return f32_of_bits((uint32_t)x.bits << 16);
}

template <class T> __device__ __forceinline__ float2 unpack2(uint32_t pair);

template <> __device__ __forceinline__ float2 unpack2<ccu_bf16>(uint32_t pair) {
    return make_float2(f32_of_bits(pair << 16), f32_of_bits(pair & 0xffff0000u));
}

template <> __device__ __forceinline__ float2 unpack2<ccu_f16>(uint32_t pair) {
    return make_float2(to_f32(ccu_f16{(uint16_t)pair}), to_f32(ccu_f16{(uint16_t)(pair >> 16)}));
}

__device__ __forceinline__ float warp_sum(float x) {
    UNROLL for (int step = 16; step > 0; step >>= 1) { x += __shfl_xor_sync(ALL_LANES, x, step); }
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
    UNROLL for (int step = 16; step > 0; step >>= 1) {
        x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, step));
    }
    return x;
}

/* Over the four lanes that share a row of an mma fragment. */
__device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(ALL_LANES, x, 1);
    return x + __shfl_xor_sync(ALL_LANES, x, 2);
}

__device__ __forceinline__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, 1));
    return fmaxf(x, __shfl_xor_sync(ALL_LANES, x, 2));
}

#endif
