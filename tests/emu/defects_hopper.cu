/* Mistakes with mbarriers, TMA and wgmma; see defects.h. */
#include "emu/defects.h"

#include "simt_hopper.h"

extern "C" {
#include "device.h"
}

static constexpr int K_STEPS = 3, TILE_BYTES = 64 * 128;

enum ring_defect {
    RING_RIGHT,
    NO_EMPTY_WAIT,
    WRONG_PHASE,
    TOO_FEW_BYTES,
    TOO_MANY_BYTES,
    NO_INIT_FENCE,
    NO_WGMMA_FENCE,
    NO_WGMMA_WAIT,
    EARLY_RELEASE,
    TOUCHED_EARLY,
    HALF_A_WARPGROUP,
    MISALIGNED_TILE
};

/* d (64, 64) = a . b^T, both (64, K) K-major: warp 4 loads tiles of 64 k into a ring of two, the
 * other four multiply. */
__global__ __launch_bounds__(160) void ring_kernel(const __grid_constant__ TensorMap map_a,
                                                   const __grid_constant__ TensorMap map_b,
                                                   float *y, int defect) {
    SIMT_DYN_SHARED(unsigned char, shared);
    const smem_t a = smem_addr(shared), b = a + 2 * TILE_BYTES, full = b + 2 * TILE_BYTES;
    const smem_t empty = full + 16;
    const int    t = (int)threadIdx.x, lane = t % 32, warp = t / 32;
    if (t == 0) {
        for (int s = 0; s < 2; s++) {
            mbar_init(full + 8 * (smem_t)s, 1);
            mbar_init(empty + 8 * (smem_t)s, 4);
        }
        if (defect != NO_INIT_FENCE) { fence_mbar_init(); }
    }
    __syncthreads();
    if (warp == 4) {
        for (int k = 0; k < K_STEPS && lane == 0; k++) {
            const smem_t   s     = (smem_t)(k % 2);
            const uint32_t bytes = defect == TOO_FEW_BYTES    ? TILE_BYTES
                                   : defect == TOO_MANY_BYTES ? 3 * TILE_BYTES
                                                              : 2 * TILE_BYTES;
            if (defect != NO_EMPTY_WAIT) { mbar_wait(empty + 8 * s, (uint32_t)(k / 2 % 2 ^ 1)); }
            mbar_arrive_expect_tx(full + 8 * s, bytes);
            tma_load_2d(a + s * TILE_BYTES + (defect == MISALIGNED_TILE ? 512 : 0), &map_a, k * 64,
                        0, full + 8 * s);
            tma_load_2d(b + s * TILE_BYTES, &map_b, k * 64, 0, full + 8 * s);
        }
        return;
    }
    float d[32] = {};
    for (int k = 0; k < K_STEPS; k++) {
        const smem_t   s     = (smem_t)(k % 2);
        const uint32_t phase = (uint32_t)(k / 2 % 2);
        mbar_wait(full + 8 * s, defect == WRONG_PHASE ? phase ^ 1 : phase);
        if (defect != NO_WGMMA_FENCE && !(defect == HALF_A_WARPGROUP && warp >= 2)) {
            wgmma_fence();
        }
        for (smem_t step = 0; step < 4; step++) {
            wgmma_ss<ccu_f16, 64, false>(d, wgmma_desc_k_major(a + s * TILE_BYTES + step * 32),
                                         wgmma_desc_k_major(b + s * TILE_BYTES + step * 32), 1);
        }
        wgmma_commit();
        if (defect == TOUCHED_EARLY) { d[5] = 0.0f; }
        if (defect == EARLY_RELEASE && lane == 0) { mbar_arrive(empty + 8 * s); }
        if (defect != NO_WGMMA_WAIT) { wgmma_wait<0>(); }
        if (defect != EARLY_RELEASE && lane == 0) { mbar_arrive(empty + 8 * s); }
    }
    for (int i = 0; i < 32; i++) {
        const int row = warp * 16 + lane / 4 + i / 2 % 2 * 8;
        y[row * 64 + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
    }
}

/* ---- a in registers, b written by ordinary stores -------------------------------------------- */

enum stores_defect { STORES_RIGHT, NO_PROXY_FENCE, CHANGED_REGISTERS };

__global__ __launch_bounds__(128) void stores_kernel(const ccu_f16 *a, const ccu_f16 *b, float *y,
                                                     int defect) {
    SIMT_DYN_SHARED(ccu_f16, tile);
    const int t = (int)threadIdx.x, lane = t % 32, warp = t / 32;
    uint32_t  fragment[4][4];
    float     d[32] = {};
    for (int i = t; i < 64 * 64; i += 128) {
        const int row = i / 64, column = i % 64;
        tile[row * 64 + ((column / 8) ^ (row % 8)) * 8 + column % 8] = b[i];
    }
    if (defect != NO_PROXY_FENCE) { fence_proxy_async(); }
    __syncthreads();
    for (int step = 0; step < 4; step++) {
        for (int r = 0; r < 4; r++) {
            const int row = warp * 16 + lane / 4 + r % 2 * 8, k = step * 16 + r / 2 * 8;
            memcpy(&fragment[step][r], a + row * 64 + k + lane % 4 * 2, 4);
        }
    }
    wgmma_fence();
    for (int step = 0; step < 4; step++) {
        wgmma_rs<ccu_f16, 64, false>(d, fragment[step],
                                     wgmma_desc_k_major(smem_addr(tile) + (smem_t)step * 32), 1);
    }
    wgmma_commit();
    if (defect == CHANGED_REGISTERS) { fragment[3][0] ^= 1; }
    wgmma_wait<0>();
    for (int i = 0; i < 32; i++) {
        const int row = warp * 16 + lane / 4 + i / 2 % 2 * 8;
        y[row * 64 + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
    }
}

/* ---- Both on the same matrices --------------------------------------------------------------- */

static void run(int defect, bool ring) {
    const int    K    = ring ? K_STEPS * 64 : 64;
    const size_t size = (size_t)64 * (size_t)K;
    ccu_device  *device = NULL;
    void        *a = NULL, *b = NULL;
    TensorMap    map_a, map_b;
    bool         right = ccu_device_open(0, NULL, &device, NULL) == CLIPCU_OK;
    right = right && ccu_device_alloc(device, size * 2, &a) == 0;
    right = right && ccu_device_alloc(device, size * 2, &b) == 0;
    float *y = (float *)defect_alloc(64 * 64 * sizeof *y);
    for (size_t i = 0; i < size; i++) {
        ((ccu_f16 *)a)[i] = ccu_f16_from_f32((float)(i * 7 % 13) - 6.0f);
        ((ccu_f16 *)b)[i] = ccu_f16_from_f32((float)(i * 5 % 11) - 5.0f);
    }
    if (ring) {
        const uint64_t wide = (uint64_t)K;
        right = right && ccu_device_tensor_map(device, &map_a, a, 2, wide, 64, wide * 2, 64, 64,
                                               128) == 0;
        right = right && ccu_device_tensor_map(device, &map_b, b, 2, wide, 64, wide * 2, 64, 64,
                                               128) == 0;
        simt_launch("ring_kernel", ring_kernel,
                    simt_grid{ dim3(1), dim3(160), 4 * TILE_BYTES + 32, NULL }, map_a, map_b, y,
                    defect);
    } else {
        simt_launch("stores_kernel", stores_kernel,
                    simt_grid{ dim3(1), dim3(128), TILE_BYTES, NULL }, (const ccu_f16 *)a,
                    (const ccu_f16 *)b, y, defect);
    }
    for (int i = 0; i < 64; i++) {
        for (int j = 0; j < 64; j++) {
            float want = 0.0f;
            for (int k = 0; k < K; k++) {
                want += ccu_f16_to_f32(((ccu_f16 *)a)[i * K + k]) *
                        ccu_f16_to_f32(((ccu_f16 *)b)[j * K + k]);
            }
            right = right && y[i * 64 + j] == want;
        }
    }
    if (!right) { defect_wrong_result(); }
    defect_free(y);
    ccu_device_free(device, a);
    ccu_device_free(device, b);
    ccu_device_close(device);
}

static void run_ring(int defect) {
    run(defect, true);
}

static void run_stores(int defect) {
    run(defect, false);
}

const defect hopper_defects[] = {
    { "a ring of tiles", run_ring, RING_RIGHT, 0, NULL },
    { "the producer does not wait", run_ring, NO_EMPTY_WAIT, IN_ALL, "more arrivals" },
    { "the wrong phase", run_ring, WRONG_PHASE, IN_ALL, "" },
    { "too few bytes expected", run_ring, TOO_FEW_BYTES, IN_ALL, "" },
    { "too many bytes expected", run_ring, TOO_MANY_BYTES, IN_ALL, "deadlock" },
    { "no fence after mbar_init", run_ring, NO_INIT_FENCE, IN_RACE, "without fence_proxy_async" },
    { "no wgmma_fence", run_ring, NO_WGMMA_FENCE, IN_ALL, "no wgmma_fence" },
    { "no wgmma_wait", run_ring, NO_WGMMA_WAIT, IN_ALL, "" },
    { "the tile is given back too early", run_ring, EARLY_RELEASE, IN_RACE,
      "race in shared memory" },
    { "accumulators written before the wait", run_ring, TOUCHED_EARLY, IN_ALL,
      "touched the accumulators" },
    { "half a warpgroup", run_ring, HALF_A_WARPGROUP, IN_ALL, "divergent warpgroup" },
    { "a tile off its 1024 bytes", run_ring, MISALIGNED_TILE, IN_ALL, "1024-byte aligned" },
    { "a in registers", run_stores, STORES_RIGHT, 0, NULL },
    { "no fence after stores", run_stores, NO_PROXY_FENCE, IN_RACE, "without fence_proxy_async" },
    { "registers of a changed early", run_stores, CHANGED_REGISTERS, IN_ALL,
      "changed its registers" },
    { NULL, NULL, 0, 0, NULL },
};
