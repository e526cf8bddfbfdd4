/* simt_hopper.h on the device: PTX of sm_90a. Operand order and modifiers are those of the PTX ISA
 * manual 9.0; ptxas accepts them, hardware has not run them yet. */
#ifndef CCU_KERNELS_SIMT_PTX_HOPPER_H
#define CCU_KERNELS_SIMT_PTX_HOPPER_H

#include "simt_ptx.h"

/* CUtensorMap, which is the driver's own. */
struct alignas(64) TensorMap {
    unsigned char opaque[128];
};

/* ---- Barriers in shared memory --------------------------------------------------------------- */

__device__ __forceinline__ void mbar_init(smem_t bar, uint32_t count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count) : "memory");
}

__device__ __forceinline__ void mbar_arrive(smem_t bar) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
}

__device__ __forceinline__ void mbar_arrive_expect_tx(smem_t bar, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes)
                 : "memory");
}

/* try_wait sleeps for a while by itself; it says whether the phase is over. */
__device__ __forceinline__ void mbar_wait(smem_t bar, uint32_t parity) {
    uint32_t over = 0;
    do {
        asm volatile("{\n"
                     ".reg .pred p;\n"
                     "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
                     "selp.u32 %0, 1, 0, p;\n"
                     "}\n"
                     : "=r"(over)
                     : "r"(bar), "r"(parity)
                     : "memory");
    } while (over == 0);
}

__device__ __forceinline__ void fence_mbar_init() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void fence_proxy_async() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* ---- TMA ------------------------------------------------------------------------------------- */

__device__ __forceinline__ void tma_prefetch(const TensorMap *map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

/* A block alone is a cluster of one, so its shared::cta addresses are shared::cluster ones. */
__device__ __forceinline__ void tma_load_2d(smem_t to, const TensorMap *map, int x, int y,
                                            smem_t bar) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%2, %3}], [%4];" ::"r"(to),
                 "l"(map), "r"(x), "r"(y), "r"(bar)
                 : "memory");
}

/* ---- wgmma ----------------------------------------------------------------------------------- */

__device__ __forceinline__ void wgmma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int N> __device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

template <int COUNT> __device__ __forceinline__ void wgmma_hold(float (&d)[COUNT]) {
    UNROLL for (int i = 0; i < COUNT; i++) { asm volatile("" : "+f"(d[i])::"memory"); }
}

template <int N> __device__ __forceinline__ void register_give() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

template <int N> __device__ __forceinline__ void register_take() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}

template <class T> constexpr bool WGMMA_BF16           = false;
template <> constexpr bool        WGMMA_BF16<ccu_bf16> = true;

/* The names of ten operands, %t0 .. %t9, and of the 32, 64 and 128 accumulators of N = 64, 128 and
 * 256. */
#define WGMMA_TEN(t)                                                                            \
    "%" #t "0, %" #t "1, %" #t "2, %" #t "3, %" #t "4, %" #t "5, %" #t "6, %" #t "7, %" #t      \
    "8, %" #t "9"
#define WGMMA_D30  WGMMA_TEN() ", " WGMMA_TEN(1) ", " WGMMA_TEN(2)
#define WGMMA_D32  WGMMA_D30 ", %30, %31"
#define WGMMA_D60  WGMMA_D30 ", " WGMMA_TEN(3) ", " WGMMA_TEN(4) ", " WGMMA_TEN(5)
#define WGMMA_D64  WGMMA_D60 ", %60, %61, %62, %63"
#define WGMMA_D90  WGMMA_D60 ", " WGMMA_TEN(6) ", " WGMMA_TEN(7) ", " WGMMA_TEN(8)
#define WGMMA_D120 WGMMA_D90 ", " WGMMA_TEN(9) ", " WGMMA_TEN(10) ", " WGMMA_TEN(11)
#define WGMMA_D128 WGMMA_D120 ", %120, %121, %122, %123, %124, %125, %126, %127"

/* The same accumulators as operands that are read and written. */
#define WGMMA_8(i)                                                                              \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), \
        "+f"(d[i + 6]), "+f"(d[i + 7])
#define WGMMA_32(i)  WGMMA_8(i), WGMMA_8(i + 8), WGMMA_8(i + 16), WGMMA_8(i + 24)
#define WGMMA_64(i)  WGMMA_32(i), WGMMA_32(i + 32)
#define WGMMA_128(i) WGMMA_64(i), WGMMA_64(i + 64)

/* One instruction: d, a, b, scale-d, then the factors of a and b (1), then which operands in shared
 * memory are transposed. `a`, `b`, `keep` and `turn` are the names of operands. */
#define WGMMA_TEXT(shape, type, d_names, a, b, keep, turn)                                      \
    "{\n"                                                                                       \
    ".reg .pred p;\n"                                                                           \
    "setp.ne.b32 p, " keep ", 0;\n"                                                             \
    "wgmma.mma_async.sync.aligned." shape ".f32." type "." type " {" d_names "}, " a ", " b     \
    ", p, 1, 1, " turn ";\n"                                                                    \
    "}\n"
#define WGMMA_SS(shape, type, d_names, d_values, a, b, keep, turn)                              \
    asm volatile(WGMMA_TEXT(shape, type, d_names, a, b, keep, "0, " turn)                       \
                 : d_values                                                                     \
                 : "l"(desc_a), "l"(desc_b), "r"(accumulate), "n"((int)B_TRANSPOSED))
#define WGMMA_RS(shape, type, d_names, d_values, a, b, keep, turn)                              \
    asm volatile(WGMMA_TEXT(shape, type, d_names, "{" a "}", b, keep, turn)                     \
                 : d_values                                                                     \
                 : "r"(a_pairs[0]), "r"(a_pairs[1]), "r"(a_pairs[2]), "r"(a_pairs[3]),          \
                   "l"(desc_b), "r"(accumulate), "n"((int)B_TRANSPOSED))

template <class T, int N, bool B_TRANSPOSED>
__device__ __forceinline__ void wgmma_ss(float (&d)[N / 2], uint64_t desc_a, uint64_t desc_b,
                                         int accumulate) {
    constexpr bool BF16 = WGMMA_BF16<T>;
    static_assert(N == 64 || N == 128 || N == 256, "the widths this project uses");
    if constexpr (N == 64 && !BF16) {
        WGMMA_SS("m64n64k16", "f16", WGMMA_D32, WGMMA_32(0), "%32", "%33", "%34", "%35");
    }
    if constexpr (N == 64 && BF16) {
        WGMMA_SS("m64n64k16", "bf16", WGMMA_D32, WGMMA_32(0), "%32", "%33", "%34", "%35");
    }
    if constexpr (N == 128 && !BF16) {
        WGMMA_SS("m64n128k16", "f16", WGMMA_D64, WGMMA_64(0), "%64", "%65", "%66", "%67");
    }
    if constexpr (N == 128 && BF16) {
        WGMMA_SS("m64n128k16", "bf16", WGMMA_D64, WGMMA_64(0), "%64", "%65", "%66", "%67");
    }
    if constexpr (N == 256 && !BF16) {
        WGMMA_SS("m64n256k16", "f16", WGMMA_D128, WGMMA_128(0), "%128", "%129", "%130", "%131");
    }
    if constexpr (N == 256 && BF16) {
        WGMMA_SS("m64n256k16", "bf16", WGMMA_D128, WGMMA_128(0), "%128", "%129", "%130", "%131");
    }
}

template <class T, int N, bool B_TRANSPOSED>
__device__ __forceinline__ void wgmma_rs(float (&d)[N / 2], const uint32_t (&a_pairs)[4],
                                         uint64_t desc_b, int accumulate) {
    constexpr bool BF16 = WGMMA_BF16<T>;
    static_assert(N == 64 || N == 128 || N == 256, "the widths this project uses");
    if constexpr (N == 64 && !BF16) {
        WGMMA_RS("m64n64k16", "f16", WGMMA_D32, WGMMA_32(0), "%32, %33, %34, %35", "%36", "%37",
                 "%38");
    }
    if constexpr (N == 64 && BF16) {
        WGMMA_RS("m64n64k16", "bf16", WGMMA_D32, WGMMA_32(0), "%32, %33, %34, %35", "%36", "%37",
                 "%38");
    }
    if constexpr (N == 128 && !BF16) {
        WGMMA_RS("m64n128k16", "f16", WGMMA_D64, WGMMA_64(0), "%64, %65, %66, %67", "%68", "%69",
                 "%70");
    }
    if constexpr (N == 128 && BF16) {
        WGMMA_RS("m64n128k16", "bf16", WGMMA_D64, WGMMA_64(0), "%64, %65, %66, %67", "%68", "%69",
                 "%70");
    }
    if constexpr (N == 256 && !BF16) {
        WGMMA_RS("m64n256k16", "f16", WGMMA_D128, WGMMA_128(0), "%128, %129, %130, %131", "%132",
                 "%133", "%134");
    }
    if constexpr (N == 256 && BF16) {
        WGMMA_RS("m64n256k16", "bf16", WGMMA_D128, WGMMA_128(0), "%128, %129, %130, %131", "%132",
                 "%133", "%134");
    }
}

#undef WGMMA_TEN
#undef WGMMA_D30
#undef WGMMA_D32
#undef WGMMA_D60
#undef WGMMA_D64
#undef WGMMA_D90
#undef WGMMA_D120
#undef WGMMA_D128
#undef WGMMA_8
#undef WGMMA_32
#undef WGMMA_64
#undef WGMMA_128
#undef WGMMA_TEXT
#undef WGMMA_SS
#undef WGMMA_RS

#endif
