/* kernels/simt.h on the CPU: the CUDA dialect for a C++ compiler, and what the emulator gives a
 * kernel. Each wrapper notes the line it is called from, so that reports can name it. */
#ifndef CCU_EMU_SIMT_EMU_H
#define CCU_EMU_SIMT_EMU_H

#include <math.h>
#include <string.h>

#include <functional>
#include <tuple>

#if defined(__F16C__)
#include <immintrin.h>
#endif

/* ---- The dialect ---------------------------------------------------------------------------- */

#define __global__ __attribute__((unused)) static
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)
#define UNROLL

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(8) uint2 {
    unsigned x, y;
};

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

struct alignas(8) float2 {
    float x, y;
};

struct alignas(16) float4 {
    float x, y, z, w;
};

static inline uint2 make_uint2(unsigned x, unsigned y) {
    return { x, y };
}

static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
    return { x, y, z, w };
}

static inline float2 make_float2(float x, float y) {
    return { x, y };
}

static inline float4 make_float4(float x, float y, float z, float w) {
    return { x, y, z, w };
}

static inline int min(int a, int b) {
    return a < b ? a : b;
}

static inline int max(int a, int b) {
    return a > b ? a : b;
}

template <class T> static inline T __ldg(const T *at) {
    return *at;
}

static inline float rsqrtf(float x) {
    return 1.0f / sqrtf(x);
}

static inline float __fdividef(float a, float b) {
    return a / b;
}

/* ---- The emulator ---------------------------------------------------------------------------- */

typedef void *simt_stream;

namespace simt {

struct Site {
    const char *file;
    int         line;
};

#define SIMT_HERE ::simt::Site site = { __builtin_FILE(), __builtin_LINE() }

/* What the thread that runs sees of itself. */
struct Place {
    uint3 thread, block;
    dim3  threads, blocks;
};

/* NULL outside kernels. Not thread_local, which calls a function where it is used. */
extern __thread const Place *here;

enum Shuffle { FROM_LANE, FROM_BELOW, FROM_ABOVE, FROM_XOR };

void    *shared_dynamic();
void    *shared_static(const void *key, size_t bytes, size_t align);
uint32_t shared_offset(const void *pointer, Site site);
void     barrier(unsigned id, unsigned threads, Site site); /* threads 0: all of the block */
void     warp_sync(uint32_t mask, Site site);
uint32_t shuffle(uint32_t mask, uint32_t value, Shuffle mode, int argument, int width, Site site);
uint32_t ballot(uint32_t mask, int predicate, Site site);
void     copy_async(uint32_t to, const void *from, bool real, Site site);
void     copy_async_commit();
void     copy_async_wait(unsigned newest);
void     load_matrix(uint32_t *r, uint32_t at, bool transposed, Site site);
void     multiply(float *d, const uint32_t *a, uint32_t b0, uint32_t b1, bool bf16, Site site);
float    atomic_add(float *at, float value);
int      atomic_add(int *at, int value);

struct Launch {
    const char           *kernel;
    dim3                  blocks, threads;
    size_t                shared_bytes;
    std::function<void()> body; /* what one thread does */
};

/* Runs the grid, or records it where the stream captures. 0 or CUDA's error code. */
int launch(const Launch &launch, simt_stream stream);

template <class T> constexpr bool is_bf16 = false;
template <> constexpr bool        is_bf16<ccu_bf16> = true;

template <class T> static inline uint32_t bits_of(T value) {
    static_assert(sizeof(T) == 4, "32-bit values only");
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

template <class T> static inline T of_bits(uint32_t bits) {
    T value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

} // namespace simt

#define threadIdx (::simt::here->thread)
#define blockIdx (::simt::here->block)
#define blockDim (::simt::here->threads)
#define gridDim (::simt::here->blocks)

/* ---- Shared memory --------------------------------------------------------------------------- */

typedef uint32_t smem_t;

#define SIMT_DYN_SHARED(T, name) T *name = reinterpret_cast<T *>(::simt::shared_dynamic())
#define SIMT_SHARED(T, name, dims)                                                                 \
    static const char name##_key = 0;                                                              \
    typedef T name##_type dims;                                                                    \
    name##_type &name = *reinterpret_cast<name##_type *>(                                          \
        ::simt::shared_static(&name##_key, sizeof(name##_type), alignof(name##_type)))

static inline smem_t smem_addr(const void *pointer, SIMT_HERE) {
    return simt::shared_offset(pointer, site);
}

static inline void cp_async16(smem_t to, const void *from, bool real, SIMT_HERE) {
    simt::copy_async(to, from, real, site);
}

static inline void cp_async_commit() {
    simt::copy_async_commit();
}

template <int N> static inline void cp_async_wait() {
    simt::copy_async_wait(N);
}

static inline void ldsm_x4(uint32_t (&r)[4], smem_t at, SIMT_HERE) {
    simt::load_matrix(r, at, false, site);
}

static inline void ldsm_x4_t(uint32_t (&r)[4], smem_t at, SIMT_HERE) {
    simt::load_matrix(r, at, true, site);
}

/* ---- Threads together ------------------------------------------------------------------------ */

static inline void __syncthreads(SIMT_HERE) {
    simt::barrier(0, 0, site);
}

static inline void bar_sync(unsigned id, unsigned threads, SIMT_HERE) {
    simt::barrier(id, threads, site);
}

static inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_HERE) {
    simt::warp_sync(mask, site);
}

template <class T>
static inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32, SIMT_HERE) {
    return simt::of_bits<T>(
        simt::shuffle(mask, simt::bits_of(value), simt::FROM_LANE, lane, width, site));
}

template <class T>
static inline T __shfl_up_sync(unsigned mask, T value, int delta, int width = 32, SIMT_HERE) {
    return simt::of_bits<T>(
        simt::shuffle(mask, simt::bits_of(value), simt::FROM_BELOW, delta, width, site));
}

template <class T>
static inline T __shfl_down_sync(unsigned mask, T value, int delta, int width = 32, SIMT_HERE) {
    return simt::of_bits<T>(
        simt::shuffle(mask, simt::bits_of(value), simt::FROM_ABOVE, delta, width, site));
}

template <class T>
static inline T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, SIMT_HERE) {
    return simt::of_bits<T>(
        simt::shuffle(mask, simt::bits_of(value), simt::FROM_XOR, bits, width, site));
}

static inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_HERE) {
    return simt::ballot(mask, predicate, site);
}

static inline int __any_sync(unsigned mask, int predicate, SIMT_HERE) {
    return simt::ballot(mask, predicate, site) != 0;
}

static inline int __all_sync(unsigned mask, int predicate, SIMT_HERE) {
    return simt::ballot(mask, predicate, site) == mask;
}

static inline float atomicAdd(float *at, float value) {
    return simt::atomic_add(at, value);
}

static inline int atomicAdd(int *at, int value) {
    return simt::atomic_add(at, value);
}

template <class T>
static inline void mma_16816(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                             SIMT_HERE) {
    simt::multiply(d, a, b0, b1, simt::is_bf16<T>, site);
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static inline float f32_of_bits(uint32_t bits) {
    return simt::of_bits<float>(bits);
}

static inline uint32_t bits_of_f32(float x) {
    return simt::bits_of(x);
}

#if defined(__F16C__)
static inline float to_f32(ccu_f16 x) {
    return _cvtsh_ss(x.bits);
}

static inline ccu_f16 simt_f16(float x) {
    return { _cvtss_sh(x, 0) };
}
#else
static inline float to_f32(ccu_f16 x) {
    return ccu_f16_to_f32(x);
}

static inline ccu_f16 simt_f16(float x) {
    return ccu_f16_from_f32(x);
}
#endif

template <class T> static inline T from_f32(float x);

template <> inline float from_f32<float>(float x) {
    return x;
}

template <> inline ccu_f16 from_f32<ccu_f16>(float x) {
    return simt_f16(x);
}

template <> inline ccu_bf16 from_f32<ccu_bf16>(float x) {
    return ccu_bf16_from_f32(x);
}

template <class T> static inline uint32_t pack2(float lo, float hi) {
    return from_f32<T>(lo).bits | (uint32_t)from_f32<T>(hi).bits << 16;
}

static inline float exp2_approx(float x) {
    return exp2f(x);
}

static inline float exp_approx(float x) {
    return expf(x);
}

/* ---- Launch ---------------------------------------------------------------------------------- */

struct simt_grid {
    dim3        blocks, threads;
    size_t      shared_bytes;
    simt_stream stream;
};

/* Every thread gets its own copy of the arguments, as on the device. */
template <class... P, class... A>
static inline int simt_launch(const char *name, void (*kernel)(P...), const simt_grid &grid,
                              A &&...arguments) {
    std::tuple<P...> parameters(static_cast<P>(arguments)...);
    return simt::launch({ name, grid.blocks, grid.threads, grid.shared_bytes,
                          [kernel, parameters]() { std::apply(kernel, parameters); } },
                        grid.stream);
}

#endif
