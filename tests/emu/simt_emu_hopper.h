/* kernels/simt_hopper.h on the CPU: mbarriers, TMA loads, wgmma. */
#ifndef CCU_EMU_SIMT_EMU_HOPPER_H
#define CCU_EMU_SIMT_EMU_HOPPER_H

#include "emu/simt_emu.h"

/* Made by ccu_device_tensor_map, which checks it. */
struct alignas(64) TensorMap {
    uint64_t             mark; /* MAP_MARK */
    const unsigned char *base;
    uint64_t             width, height; /* elements */
    uint64_t             row_bytes;
    uint32_t             box_width, box_height;
    uint32_t             element_bytes, swizzle_bytes;
    unsigned char        rest[72];
};

static_assert(sizeof(TensorMap) == 128, "as on the device");

namespace simt {

static constexpr uint64_t MAP_MARK = 0x70616d726f736e74;

void mbarrier_init(uint32_t at, uint32_t count, Site site);
void mbarrier_arrive(uint32_t at, uint32_t expect_bytes, Site site);
void mbarrier_wait(uint32_t at, uint32_t parity, Site site);
void proxy_fence();
void tma_load(uint32_t to, const TensorMap *map, int x, int y, uint32_t mbarrier, Site site);

struct WgmmaShape {
    int  columns;
    bool b_transposed, bf16, accumulate;
};

void warpgroup_fence(Site site);
void warpgroup_commit(Site site);
void warpgroup_wait(unsigned newest, Site site);
void warpgroup_registers(int count, Site site);
/* a NULL: desc_a says where it is */
void warpgroup_multiply(float *d, const uint32_t *a, uint64_t desc_a, uint64_t desc_b,
                        WgmmaShape shape, Site site);

} // namespace simt

static inline void mbar_init(smem_t bar, uint32_t count, SIMT_HERE) {
    simt::mbarrier_init(bar, count, site);
}

static inline void mbar_arrive(smem_t bar, SIMT_HERE) {
    simt::mbarrier_arrive(bar, 0, site);
}

static inline void mbar_arrive_expect_tx(smem_t bar, uint32_t bytes, SIMT_HERE) {
    simt::mbarrier_arrive(bar, bytes, site);
}

static inline void mbar_wait(smem_t bar, uint32_t parity, SIMT_HERE) {
    simt::mbarrier_wait(bar, parity, site);
}

static inline void fence_mbar_init() {
    simt::proxy_fence();
}

static inline void fence_proxy_async() {
    simt::proxy_fence();
}

static inline void tma_prefetch(const TensorMap *map) {
    (void)map;
}

static inline void tma_load_2d(smem_t to, const TensorMap *map, int x, int y, smem_t bar,
                               SIMT_HERE) {
    simt::tma_load(to, map, x, y, bar, site);
}

static inline void wgmma_fence(SIMT_HERE) {
    simt::warpgroup_fence(site);
}

static inline void wgmma_commit(SIMT_HERE) {
    simt::warpgroup_commit(site);
}

template <int N> static inline void wgmma_wait(SIMT_HERE) {
    simt::warpgroup_wait(N, site);
}

/* Nothing to hold: results appear with the wait. */
template <int N> static inline void wgmma_hold(float (&d)[N]) {
    (void)d;
}

template <class T, int N, bool B_TRANSPOSED>
static inline void wgmma_ss(float (&d)[N / 2], uint64_t desc_a, uint64_t desc_b, int accumulate,
                            SIMT_HERE) {
    static_assert(N == 64 || N == 128 || N == 256, "the widths of simt_hopper.h");
    simt::warpgroup_multiply(d, nullptr, desc_a, desc_b,
                             { N, B_TRANSPOSED, simt::is_bf16<T>, accumulate != 0 }, site);
}

template <class T, int N, bool B_TRANSPOSED>
static inline void wgmma_rs(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t desc_b,
                            int accumulate, SIMT_HERE) {
    static_assert(N == 64 || N == 128 || N == 256, "the widths of simt_hopper.h");
    simt::warpgroup_multiply(d, a, 0, desc_b,
                             { N, B_TRANSPOSED, simt::is_bf16<T>, accumulate != 0 }, site);
}

template <int N> static inline void register_give(SIMT_HERE) {
    static_assert(N >= 24 && N <= 256 && N % 8 == 0, "setmaxnreg takes multiples of 8");
    simt::warpgroup_registers(N, site);
}

template <int N> static inline void register_take(SIMT_HERE) {
    static_assert(N >= 24 && N <= 256 && N % 8 == 0, "setmaxnreg takes multiples of 8");
    simt::warpgroup_registers(N, site);
}

#endif
