/* simt.h on the device: CUDA C++ and PTX. */
#ifndef CCU_KERNELS_SIMT_PTX_H
#define CCU_KERNELS_SIMT_PTX_H

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define UNROLL _Pragma("unroll")
#define SIMT_DYN_SHARED(T, name) T *name = reinterpret_cast<T *>(simt_dynamic_shared)
#define SIMT_SHARED(T, name, dims) __shared__ T name dims

extern __shared__ __align__(1024) unsigned char simt_dynamic_shared[];

typedef cudaStream_t simt_stream;

typedef struct simt_grid {
    dim3        blocks, threads;
    size_t      shared_bytes; /* dynamic */
    simt_stream stream;
} simt_grid;

/* Returns the cudaError_t of the launch. */
template <class... P, class... A>
inline int simt_launch(const char *, void (*kernel)(P...), const simt_grid &grid, A &&...args) {
    if (grid.shared_bytes > 48 * 1024) {
        const cudaError_t error = cudaFuncSetAttribute(
            (const void *)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
            (int)grid.shared_bytes);
        if (error != cudaSuccess) { return (int)error; }
    }
    cudaLaunchConfig_t config = {};
    config.gridDim          = grid.blocks;
    config.blockDim         = grid.threads;
    config.dynamicSmemBytes = grid.shared_bytes;
    config.stream           = grid.stream;
    return (int)cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...);
}

/* ---- Numbers --------------------------------------------------------------------------------- */

__device__ __forceinline__ float f32_of_bits(uint32_t bits) {
    return __uint_as_float(bits);
}

__device__ __forceinline__ uint32_t bits_of_f32(float x) {
    return __float_as_uint(x);
}

__device__ __forceinline__ float to_f32(ccu_f16 x) {
    return __half2float(__ushort_as_half(x.bits));
}

template <class T> __device__ __forceinline__ T from_f32(float x);

template <> __device__ __forceinline__ float from_f32<float>(float x) {
    return x;
}

template <> __device__ __forceinline__ ccu_f16 from_f32<ccu_f16>(float x) {
    return ccu_f16{__half_as_ushort(__float2half_rn(x))};
}

template <> __device__ __forceinline__ ccu_bf16 from_f32<ccu_bf16>(float x) {
    return ccu_bf16{__bfloat16_as_ushort(__float2bfloat16_rn(x))};
}

template <class T> __device__ __forceinline__ uint32_t pack2(float lo, float hi);

template <> __device__ __forceinline__ uint32_t pack2<ccu_f16>(float lo, float hi) {
    uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
    return pair;
}

template <> __device__ __forceinline__ uint32_t pack2<ccu_bf16>(float lo, float hi) {
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(hi), "f"(lo));
    return pair;
}

__device__ __forceinline__ float exp2_approx(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ __forceinline__ float exp_approx(float x) {
    return __expf(x);
}

/* ---- Shared memory --------------------------------------------------------------------------- */

typedef uint32_t smem_t;

__device__ __forceinline__ smem_t smem_addr(const void *pointer) {
    return (smem_t)__cvta_generic_to_shared(pointer);
}

__device__ __forceinline__ void bar_sync(unsigned id, unsigned threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

__device__ __forceinline__ void cp_async16(smem_t to, const void *from, bool real) {
    const int bytes = real ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to),
                 "l"(__cvta_generic_to_global(from)), "r"(bytes)
                 : "memory");
}

__device__ __forceinline__ void cp_async_commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int N> __device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

__device__ __forceinline__ void ldsm_x4(uint32_t (&r)[4], smem_t at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}

__device__ __forceinline__ void ldsm_x4_t(uint32_t (&r)[4], smem_t at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at)
                 : "memory");
}

/* ---- Tensor cores ---------------------------------------------------------------------------- */

template <class T>
__device__ __forceinline__ void mma_16816(float (&d)[4], const uint32_t (&a)[4], uint32_t b0,
                                          uint32_t b1);

template <>
__device__ __forceinline__ void mma_16816<ccu_f16>(float (&d)[4], const uint32_t (&a)[4],
                                                   uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

template <>
__device__ __forceinline__ void mma_16816<ccu_bf16>(float (&d)[4], const uint32_t (&a)[4],
                                                    uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#endif
