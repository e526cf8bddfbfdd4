/* Warps: shuffles, votes, ldmatrix, mma against their definitions; see semantics.h. */
#include "emu/semantics.h"

#include <stdio.h>

#include "simt.h"

extern "C" {
#include "device.h"
}

static constexpr int LANES = 32, RESULTS = 20;

/* Results of lane l at y[l * RESULTS]. */
__global__ void warp_kernel(uint32_t *y, const ccu_f16 *tiles) {
    SIMT_SHARED(ccu_f16, shared, [4 * 64]);
    const unsigned lane = threadIdx.x % 32;
    uint32_t      *own  = y + lane * RESULTS;
    for (unsigned i = threadIdx.x; i < 4 * 64; i += 32) { shared[i] = tiles[i]; }
    __syncwarp();
    own[0] = __shfl_sync(ALL_LANES, 100 + lane, 7);
    own[1] = __shfl_up_sync(ALL_LANES, 100 + lane, 3);
    own[2] = __shfl_down_sync(ALL_LANES, 100 + lane, 3);
    own[3] = __shfl_xor_sync(ALL_LANES, 100 + lane, 5);
    own[4] = __shfl_sync(ALL_LANES, 100 + lane, 9, 8); /* of groups of 8 lanes: their lane 1 */
    own[5] = __shfl_up_sync(ALL_LANES, 100 + lane, 3, 8);
    own[6] = __ballot_sync(ALL_LANES, lane % 3 == 0);
    own[7] = (uint32_t)__any_sync(ALL_LANES, lane == 31);
    own[8] = (uint32_t)__all_sync(ALL_LANES, lane < 31);
    own[9] = lane < 16 ? __ballot_sync(0xffffu, 1) : __ballot_sync(0xffff0000u, lane % 2 == 0);
    uint32_t rows[4], columns[4];
    ldsm_x4(rows, smem_addr(shared + lane * 8));
    ldsm_x4_t(columns, smem_addr(shared + lane * 8));
    for (int i = 0; i < 4; i++) {
        own[10 + i] = rows[i];
        own[14 + i] = columns[i];
    }
    own[18] = bits_of_f32(warp_sum((float)lane));
    own[19] = bits_of_f32(quad_max((float)lane));
}

static uint32_t pair(const ccu_f16 *tile, int row, int column, int next_row, int next_column) {
    return tile[row * 8 + column].bits | (uint32_t)tile[next_row * 8 + next_column].bits << 16;
}

static void expect(uint32_t *want, uint32_t lane, const ccu_f16 *tiles) {
    want[0] = 107;
    want[1] = 100 + (lane < 3 ? lane : lane - 3);
    want[2] = 100 + (lane > 28 ? lane : lane + 3);
    want[3] = 100 + (lane ^ 5);
    want[4] = 100 + lane / 8 * 8 + 1;
    want[5] = 100 + (lane % 8 < 3 ? lane : lane - 3);
    want[6] = 0x49249249u;
    want[7] = 1;
    want[8] = 0;
    want[9] = lane < 16 ? 0xffffu : 0x55550000u;
    for (int i = 0; i < 4; i++) {
        const int outer = (int)lane / 4, inner = (int)lane % 4 * 2;
        want[10 + i] = pair(tiles + 64 * i, outer, inner, outer, inner + 1);
        want[14 + i] = pair(tiles + 64 * i, inner, outer, inner + 1, outer);
    }
    want[18] = bits_of_f32(496.0f);
    want[19] = bits_of_f32((float)(lane | 3));
}

/* d (16, 8) = a (16, 16) . b (16, 8), fragments as the manual draws them. */
template <class T> __global__ void mma_kernel(float *y, const T *a, const T *b) {
    const int lane = (int)threadIdx.x, row = lane / 4, pair_at = lane % 4 * 2;
    uint32_t  fragment[4], b0 = 0, b1 = 0;
    float     d[4] = {};
    for (int i = 0; i < 4; i++) {
        const T *at = a + (row + i % 2 * 8) * 16 + pair_at + i / 2 * 8;
        fragment[i] = at[0].bits | (uint32_t)at[1].bits << 16;
    }
    b0 = b[pair_at * 8 + row].bits | (uint32_t)b[(pair_at + 1) * 8 + row].bits << 16;
    b1 = b[(pair_at + 8) * 8 + row].bits | (uint32_t)b[(pair_at + 9) * 8 + row].bits << 16;
    mma_16816<T>(d, fragment, b0, b1);
    for (int i = 0; i < 4; i++) { y[(row + i / 2 * 8) * 8 + pair_at + i % 2] = d[i]; }
}

template <class T> static int check_mma(ccu_device *device) {
    void *y = NULL, *a = NULL, *b = NULL;
    int   wrong = ccu_device_alloc(device, 16 * 8 * 4, &y) + ccu_device_alloc(device, 512, &a) +
                ccu_device_alloc(device, 256, &b);
    for (int i = 0; i < 256; i++) { ((T *)a)[i] = from_f32<T>((float)(i * 7 % 13 - 6)); }
    for (int i = 0; i < 128; i++) { ((T *)b)[i] = from_f32<T>((float)(i * 5 % 11 - 5)); }
    wrong += simt_launch("mma_kernel", mma_kernel<T>, simt_grid{ dim3(1), dim3(32), 0, NULL },
                         (float *)y, (const T *)a, (const T *)b);
    for (int i = 0; i < 16 * 8; i++) {
        float want = 0.0f;
        for (int k = 0; k < 16; k++) {
            want += to_f32(((T *)a)[i / 8 * 16 + k]) * to_f32(((T *)b)[k * 8 + i % 8]);
        }
        wrong += ((float *)y)[i] != want;
    }
    printf("mma: %d wrong\n", wrong);
    ccu_device_free(device, y);
    ccu_device_free(device, a);
    ccu_device_free(device, b);
    return wrong;
}

int semantics_of_warps() {
    ccu_device *device = NULL;
    void       *y = NULL, *tiles = NULL;
    int         wrong = ccu_device_open(0, NULL, &device, NULL);
    wrong += ccu_device_alloc(device, LANES * RESULTS * 4, &y);
    wrong += ccu_device_alloc(device, 4 * 64 * 2, &tiles);
    for (int i = 0; i < 4 * 64; i++) { ((ccu_f16 *)tiles)[i].bits = (uint16_t)i; }
    wrong += simt_launch("warp_kernel", warp_kernel, simt_grid{ dim3(1), dim3(32), 0, NULL },
                         (uint32_t *)y, (const ccu_f16 *)tiles);
    for (uint32_t lane = 0; lane < LANES; lane++) {
        uint32_t want[RESULTS];
        expect(want, lane, (const ccu_f16 *)tiles);
        for (int i = 0; i < RESULTS; i++) {
            const uint32_t got = ((const uint32_t *)y)[lane * RESULTS + (uint32_t)i];
            if (got == want[i]) { continue; }
            printf("lane %u, result %d: %08x, expected %08x\n", lane, i, got, want[i]);
            wrong++;
        }
    }
    printf("shuffles, votes, ldmatrix: %d wrong\n", wrong);
    wrong += check_mma<ccu_f16>(device) + check_mma<ccu_bf16>(device);
    ccu_device_free(device, y);
    ccu_device_free(device, tiles);
    ccu_device_close(device);
    return wrong;
}
