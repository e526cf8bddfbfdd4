/* kernels/simt_hopper.h on the CPU: mbarriers, TMA loads and wgmma, by the emulator. */
#ifndef CCU_EMU_SIMT_EMU_HOPPER_H
#define CCU_EMU_SIMT_EMU_HOPPER_H

#include "simt_emu.h"

static inline void mbar_init(smem_t bar, uint32_t count, SIMT_HERE) {
    simt::mb_init(bar, count, loc);
}

static inline void mbar_arrive(smem_t bar, SIMT_HERE) {
    simt::mb_arrive(bar, 0, loc);
}

static inline void mbar_arrive_expect_tx(smem_t bar, uint32_t bytes, SIMT_HERE) {
    simt::mb_arrive(bar, bytes, loc);
}

static inline void mbar_wait(smem_t bar, uint32_t parity, SIMT_HERE) {
    simt::mb_wait(bar, parity, loc);
}

static inline void fence_mbar_init() {
    simt::proxy_fence();
}

static inline void fence_proxy_async() {
    simt::proxy_fence();
}

static inline void tma_prefetch(const TensorMap *) {
}

static inline void tma_load_2d(smem_t to, const TensorMap *map, int x, int y, smem_t bar,
                               SIMT_HERE) {
    simt::tma2d(to, map, x, y, bar, loc);
}

static inline void wgmma_fence(SIMT_HERE) {
    simt::wg_fence(loc);
}

static inline void wgmma_commit(SIMT_HERE) {
    simt::wg_commit(loc);
}

template <int N> static inline void wgmma_wait(SIMT_HERE) {
    simt::wg_wait(N, loc);
}

namespace simt {
template <class T> constexpr bool is_bf16 = false;
template <> constexpr bool is_bf16<ccu_bf16> = true;
}

template <class T, int N, bool B_TRANSPOSED>
static inline void wgmma_ss(float (&d)[N / 2], uint64_t desc_a, uint64_t desc_b, int accumulate,
                            SIMT_HERE) {
    static_assert(N == 64 || N == 128 || N == 256, "the widths this project uses");
    simt::wg_mma(d, N, nullptr, desc_a, desc_b, B_TRANSPOSED, simt::is_bf16<T>, accumulate, loc);
}

template <class T, int N, bool B_TRANSPOSED>
static inline void wgmma_rs(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t desc_b,
                            int accumulate, SIMT_HERE) {
    static_assert(N == 64 || N == 128 || N == 256, "the widths this project uses");
    simt::wg_mma(d, N, a, 0, desc_b, B_TRANSPOSED, simt::is_bf16<T>, accumulate, loc);
}

template <int N> static inline void wgmma_hold(float (&d)[N]) {
    (void)d;
}

template <int N> static inline void register_give(SIMT_HERE) {
    static_assert(N >= 24 && N <= 256 && N % 8 == 0, "setmaxnreg takes multiples of 8");
    simt::wg_fence(loc);
}

template <int N> static inline void register_take(SIMT_HERE) {
    static_assert(N >= 24 && N <= 256 && N % 8 == 0, "setmaxnreg takes multiples of 8");
    simt::wg_fence(loc);
}

#endif
