// simt_emu.h - host side of the wrappers: CUDA C++ dialect + declarations of the emulator (simt_emu.cpp).
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <tuple>
#include <utility>
#if defined(__F16C__)
#include <immintrin.h>
#endif
#define __global__ __attribute__((unused)) static
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)
#define UNROLL
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
typedef void *simt_stream;
struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {} };
struct alignas(8) uint2 { unsigned x, y; };   struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };     struct alignas(16) float4 { float x, y, z, w; };
static inline float2 make_float2(float a, float b) { return {a, b}; }
static inline uint4 make_uint4(unsigned a, unsigned b, unsigned c, unsigned d) { return {a, b, c, d}; }
// ---- half: storage types with explicit conversions only (kernels compute in float or in half2 helpers) ----
namespace simt {
uint16_t f2h_soft(float f); float h2f_soft(uint16_t h);
static inline float h2f(uint16_t h) {
#if defined(__F16C__)
    return _cvtsh_ss(h);
#else
    return h2f_soft(h);
#endif
}
static inline uint16_t f2h(float f) {
#if defined(__F16C__)
    return _cvtss_sh(f, 0);
#else
    return f2h_soft(f);
#endif
}
}
static inline float to_f32(ccu_f16 h) { return simt::h2f(h.bits); }
static inline float f32_of_bits(uint32_t u) { float v; memcpy(&v, &u, 4); return v; }
static inline uint32_t bits_of_f32(float v) { uint32_t u; memcpy(&u, &v, 4); return u; }
template <class T> static inline T from_f32(float x);
template <> inline float from_f32<float>(float x) { return x; }
template <> inline ccu_f16 from_f32<ccu_f16>(float x) { return ccu_f16{simt::f2h(x)}; }
template <> inline ccu_bf16 from_f32<ccu_bf16>(float x) { return ccu_bf16_from_f32(x); }
template <class T> static inline uint32_t pack2(float lo, float hi);
template <> inline uint32_t pack2<ccu_f16>(float lo, float hi) { return simt::f2h(lo) | (uint32_t)simt::f2h(hi) << 16; }
template <> inline uint32_t pack2<ccu_bf16>(float lo, float hi) { return ccu_bf16_from_f32(lo).bits | (uint32_t)ccu_bf16_from_f32(hi).bits << 16; }
static inline float exp2_approx(float x) { return exp2f(x); }
static inline float exp_approx(float x) { return expf(x); }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __fdividef(float a, float b) { return a / b; }
template <class T> static inline T __ldg(const T *p) { return *p; }
static inline float4 make_float4(float a, float b, float c, float d) { return {a, b, c, d}; }
static inline uint2 make_uint2(unsigned a, unsigned b) { return {a, b}; }

namespace simt {
struct Block;
struct Ctx { uint3 tid, bid; dim3 bdim, gdim; uint32_t lin, lane, warp; Block *blk; };   // what a fiber sees of itself
extern __thread Ctx *cur;
struct Loc { const char *file; int line; };
#define SIMT_HERE ::simt::Loc loc = {__builtin_FILE(), __builtin_LINE()}
[[noreturn]] void fail(Loc l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void *dyn_smem();
void *static_smem(const void *key, size_t bytes, size_t align);
uint32_t smem_off(const void *p, Loc l);
void bar_sync(unsigned id, unsigned n, Loc l);
void sync_warp(uint32_t mask, Loc l);
uint32_t shfl(uint32_t mask, uint32_t v, int mode, int arg, int width, Loc l);   // mode 0 idx 1 up 2 down 3 xor
uint32_t ballot(uint32_t mask, int p, Loc l);
void cp_async(uint32_t dst, const void *src, int bytes, int src_bytes, Loc l);
void cp_commit(); void cp_wait(unsigned n);
void ldsm(uint32_t *r, int n, bool trans, uint32_t addr, Loc l);
void mma16816(float *d, const uint32_t *a, uint32_t b0, uint32_t b1, bool bf16, Loc l);
void mb_init(uint32_t b, uint32_t n, Loc l); void mb_arrive(uint32_t b, uint32_t tx, Loc l); void mb_wait(uint32_t b, uint32_t parity, Loc l);
void proxy_fence();
void wg_fence(Loc l); void wg_commit(Loc l); void wg_wait(unsigned n, Loc l);
void wg_mma(float *d, int n, const uint32_t *ra, uint64_t da, uint64_t db, bool tb, bool bf16, int scale_d, Loc l);
float atomic_addf(float *p, float v); int atomic_addi(int *p, int v);
struct Cfg { dim3 grid, block; size_t smem; };
void run_grid(const char *name, const Cfg &c, void (*fn)(void *), void *arg);
struct Stats { uint64_t switches, collectives, mma, wgmma, ldsm_phases, ldsm_conflicts, barriers; };
extern __thread Stats stats;
void *dev_malloc(size_t n); void dev_free(void *p);   // 256-byte aligned, filled with 0xff (NaN), ASan red zones, known to the race detector
template <class T> static inline uint32_t bits(T v) { static_assert(sizeof(T) == 4, "32-bit only"); uint32_t u; memcpy(&u, &v, 4); return u; }
template <class T> static inline T unbits(uint32_t u) { T v; memcpy(&v, &u, 4); return v; }
}
#define threadIdx (::simt::cur->tid)
#define blockIdx (::simt::cur->bid)
#define blockDim (::simt::cur->bdim)
#define gridDim (::simt::cur->gdim)
#define SIMT_DYN_SHARED(T, name) T *name = reinterpret_cast<T *>(::simt::dyn_smem())
#define SIMT_SHARED(T, name, dims) static const char name##_key = 0; typedef T name##_t dims; name##_t &name = *reinterpret_cast<name##_t *>(::simt::static_smem(&name##_key, sizeof(name##_t), alignof(name##_t)))
static inline void __syncthreads(SIMT_HERE) { simt::bar_sync(0, 0, loc); }
static inline void bar_sync(unsigned id, unsigned n, SIMT_HERE) { simt::bar_sync(id, n, loc); }
static inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_HERE) { simt::sync_warp(mask, loc); }
template <class T> static inline T __shfl_sync(unsigned m, T v, int src, int w = 32, SIMT_HERE) { return simt::unbits<T>(simt::shfl(m, simt::bits(v), 0, src, w, loc)); }
template <class T> static inline T __shfl_up_sync(unsigned m, T v, int d, int w = 32, SIMT_HERE) { return simt::unbits<T>(simt::shfl(m, simt::bits(v), 1, d, w, loc)); }
template <class T> static inline T __shfl_down_sync(unsigned m, T v, int d, int w = 32, SIMT_HERE) { return simt::unbits<T>(simt::shfl(m, simt::bits(v), 2, d, w, loc)); }
template <class T> static inline T __shfl_xor_sync(unsigned m, T v, int x, int w = 32, SIMT_HERE) { return simt::unbits<T>(simt::shfl(m, simt::bits(v), 3, x, w, loc)); }
static inline unsigned __ballot_sync(unsigned m, int p, SIMT_HERE) { return simt::ballot(m, p, loc); }
static inline int __any_sync(unsigned m, int p, SIMT_HERE) { return simt::ballot(m, p, loc) != 0; }
static inline int __all_sync(unsigned m, int p, SIMT_HERE) { return simt::ballot(m, p, loc) == m; }
static inline float atomicAdd(float *p, float v) { return simt::atomic_addf(p, v); }
static inline int atomicAdd(int *p, int v) { return simt::atomic_addi(p, v); }
typedef uint32_t smem_t;
static inline smem_t smem_addr(const void *p, SIMT_HERE) { return simt::smem_off(p, loc); }
static inline void cp_async16(smem_t dst, const void *src, bool pred, SIMT_HERE) { simt::cp_async(dst, src, 16, pred ? 16 : 0, loc); }
static inline void cp_async_commit() { simt::cp_commit(); }
template <int N> static inline void cp_async_wait() { simt::cp_wait(N); }
static inline void ldsm_x4(uint32_t (&r)[4], smem_t a, SIMT_HERE) { simt::ldsm(r, 4, false, a, loc); }
static inline void ldsm_x4_t(uint32_t (&r)[4], smem_t a, SIMT_HERE) { simt::ldsm(r, 4, true, a, loc); }
template <class T> static inline void mma_16816(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, SIMT_HERE);
template <> inline void mma_16816<ccu_f16>(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, simt::Loc loc) { simt::mma16816(d, a, b0, b1, false, loc); }
template <> inline void mma_16816<ccu_bf16>(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, simt::Loc loc) { simt::mma16816(d, a, b0, b1, true, loc); }
// ---- Hopper ----
struct alignas(64) TensorMap { const unsigned char *base; uint64_t dim[2], stride; uint32_t box[2], esize, swizzle; unsigned char rest[80]; };   // swizzle 1 = 128B (as in the wgmma descriptor)
static_assert(sizeof(TensorMap) == 128, "as on the device");
namespace simt { void tma2d(uint32_t dst, const TensorMap *m, int x, int y, uint32_t bar, Loc l); }
// ---- launch: same call on both sides; arguments are copied into P... per thread, as on the device ----
struct simt_grid { dim3 blocks, threads; size_t shared_bytes; simt_stream stream; };
template <class... P, class... A>
static inline int simt_launch(const char *name, void (*k)(P...), const simt_grid &c, A &&...a) {
    struct Pack { void (*k)(P...); std::tuple<P...> t; } pk{k, std::tuple<P...>(static_cast<P>(a)...)};
    simt::run_grid(name, {c.blocks, c.threads, c.shared_bytes}, [](void *p) { Pack *q = (Pack *)p; std::apply(q->k, q->t); }, &pk);
    return 0;
}
