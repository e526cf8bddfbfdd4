/* Mistakes with shared memory, barriers, warps and copies; see defects.h. */
#include "emu/defects.h"

#include "simt.h"

static constexpr int THREADS = 128, BLOCKS = 2, COUNT = THREADS * BLOCKS;

/* ---- A sum per block, through dynamic and static shared memory ------------------------------- */

enum sum_defect {
    SUM_RIGHT,
    NO_BARRIER,
    DIVERGENT_BARRIER,
    TWO_BARRIERS,
    BARRIER_AFTER_EXIT,
    DYNAMIC_BOUNDS,
    STATIC_BOUNDS,
    GLOBAL_BOUNDS,
    DIVERGENT_SHUFFLE,
    SHUFFLE_AS_FENCE,
    SYNCWARP_ACROSS_WARPS,
    MISALIGNED_VECTOR,
    RACE_BETWEEN_BLOCKS,
    RACE_IN_GLOBAL,
    UNWRITTEN_OUTPUT,
    UNWRITTEN_SHARED
};

__global__ void sum_kernel(float *y, const float *x, float *scratch, int defect) {
    SIMT_DYN_SHARED(float, all);
    SIMT_SHARED(float, sums, [THREADS / 32]);
    const int t = (int)threadIdx.x, lane = t % 32, warp = t / 32;
    float     extra = 0.0f;
    all[t]          = x[blockIdx.x * THREADS + (unsigned)t];
    if (defect != NO_BARRIER) { __syncthreads(); }
    const float sum = warp_sum(all[t ^ 64]);
    if (lane == 0 && !(defect == UNWRITTEN_SHARED && warp == 3)) { sums[warp] = sum; }
    if (defect == DIVERGENT_BARRIER && t >= 64) { extra = 0.0f; } else { __syncthreads(); }
    if (defect == TWO_BARRIERS) {
        if (t < 64) {
            __syncthreads();
        } else {
            __syncthreads();
        }
    }
    if (defect == BARRIER_AFTER_EXIT) {
        if (t >= 32) { return; }
        __syncthreads();
    }
    if (defect == DYNAMIC_BOUNDS && t == 5) { all[THREADS] = 1.0f; }
    if (defect == STATIC_BOUNDS) { (sums + (t == 99))[3] = sums[3]; }
    if (defect == GLOBAL_BOUNDS && t == 7) { y[BLOCKS] = 1.0f; }
    if (defect == DIVERGENT_SHUFFLE && lane % 2 == 1) { extra = __shfl_sync(ALL_LANES, sum, 0); }
    if (defect == SHUFFLE_AS_FENCE) {
        all[t] = sum;
        extra  = __shfl_xor_sync(ALL_LANES, sum, 1) - all[t ^ 1];
    }
    if (defect == SYNCWARP_ACROSS_WARPS) {
        if (t == 0) { all[0] = sum; }
        __syncwarp();
        if (warp == 2) { extra = fminf(all[0], 0.0f); }
    }
    if (defect == MISALIGNED_VECTOR) {
        extra = fminf(((const float4 *)(x + 1))[t / 8].x, 0.0f);
    }
    if (defect == RACE_BETWEEN_BLOCKS) { scratch[0] = 1.0f; }
    if (defect == RACE_IN_GLOBAL) {
        scratch[blockIdx.x * THREADS + (unsigned)t] = sum;
        extra = fminf(scratch[blockIdx.x * THREADS + (unsigned)(t ^ 64)], 0.0f);
    }
    if (t == 0 && !(defect == UNWRITTEN_OUTPUT && blockIdx.x == 1)) {
        y[blockIdx.x] = sums[0] + sums[1] + sums[2] + sums[3] + extra;
    }
}

static void run_sum(int defect) {
    float *y = (float *)defect_alloc(BLOCKS * sizeof *y);
    float *x = (float *)defect_alloc((COUNT + 4) * sizeof *x);
    float *scratch = (float *)defect_alloc(COUNT * sizeof *scratch);
    float  want[BLOCKS] = {};
    for (int i = 0; i < COUNT; i++) {
        x[i] = (float)(i % 7);
        want[i / THREADS] += x[i];
    }
    simt_launch("sum_kernel", sum_kernel,
                simt_grid{ dim3(BLOCKS), dim3(THREADS), THREADS * sizeof(float), NULL }, y, x,
                scratch, defect);
    if (y[0] != want[0] || y[1] != want[1]) { defect_wrong_result(); }
    defect_free(y);
    defect_free(x);
    defect_free(scratch);
}

/* ---- A copy through shared memory with cp.async, and a product from it ----------------------- */

enum tile_defect {
    TILE_RIGHT,
    NO_COPY_WAIT,
    NO_COPY_COMMIT,
    NO_TILE_BARRIER,
    MISALIGNED_COPY,
    COPY_BOUNDS,
    LOAD_BOUNDS,
    NAMED_BARRIER_COUNT
};

/* y (16, 16) = a . b^T, both (16, 16) row-major; two warps, one for each half of b's rows. */
__global__ void tile_kernel(float *y, const ccu_f16 *a, const ccu_f16 *b, int defect) {
    SIMT_DYN_SHARED(ccu_f16, tile); /* a, then b: rows of 16 */
    const int    t = (int)threadIdx.x, lane = t % 32, warp = t / 32;
    const smem_t at = smem_addr(tile);
    const int    row = t / 4, half = t % 2, second = t / 2 % 2; /* 64 threads: 16 rows x 2 x 2 */
    const int    shift = defect == MISALIGNED_COPY ? 8 : 0;
    const int    past  = defect == COPY_BOUNDS && t == 63 ? 512 : 0;
    cp_async16(at + (smem_t)(second * 512 + row * 32 + half * 16 + shift + past),
               (second != 0 ? b : a) + row * 16 + half * 8, true);
    if (defect != NO_COPY_COMMIT) { cp_async_commit(); }
    if (defect != NO_COPY_WAIT) {
        cp_async_wait<0>();
    }
    if (defect == NO_COPY_COMMIT) { cp_async_commit(); }
    if (defect == NAMED_BARRIER_COUNT) {
        bar_sync(1, warp == 0 ? 64 : 32);
    } else if (defect != NO_TILE_BARRIER) {
        __syncthreads();
    }
    uint32_t    fragment_a[4], fragment_b[4];
    float       d[4] = {};
    const smem_t past_end = defect == LOAD_BOUNDS ? 512 : 0;
    ldsm_x4(fragment_a, at + (smem_t)(lane % 16 * 32 + lane / 16 * 16));
    ldsm_x4(fragment_b, at + 512 + past_end + (smem_t)((warp * 8 + lane % 8) * 32 +
                                                        lane / 8 % 2 * 16));
    mma_16816<ccu_f16>(d, fragment_a, fragment_b[0], fragment_b[1]);
    for (int e = 0; e < 4; e++) {
        y[(lane / 4 + e / 2 * 8) * 16 + warp * 8 + lane % 4 * 2 + e % 2] = d[e];
    }
}

static void run_tile(int defect) {
    float   *y = (float *)defect_alloc(256 * sizeof *y);
    ccu_f16 *a = (ccu_f16 *)defect_alloc(256 * sizeof *a);
    ccu_f16 *b = (ccu_f16 *)defect_alloc(256 * sizeof *b);
    bool     right = true;
    for (int i = 0; i < 256; i++) {
        a[i] = ccu_f16_from_f32((float)(i * 7 % 13) - 6.0f);
        b[i] = ccu_f16_from_f32((float)(i * 5 % 11) - 5.0f);
    }
    simt_launch("tile_kernel", tile_kernel, simt_grid{ dim3(1), dim3(64), 1024, NULL }, y, a, b,
                defect);
    for (int i = 0; i < 16; i++) {
        for (int j = 0; j < 16; j++) {
            float want = 0.0f;
            for (int k = 0; k < 16; k++) {
                want += ccu_f16_to_f32(a[i * 16 + k]) * ccu_f16_to_f32(b[j * 16 + k]);
            }
            right = right && y[i * 16 + j] == want;
        }
    }
    if (!right) { defect_wrong_result(); }
    defect_free(y);
    defect_free(a);
    defect_free(b);
}

const defect basic_defects[] = {
    { "a sum", run_sum, SUM_RIGHT, 0, NULL },
    { "no barrier between write and read", run_sum, NO_BARRIER, IN_RACE, "shared memory at byte" },
    { "a barrier for half of the block", run_sum, DIVERGENT_BARRIER, IN_ALL, "deadlock" },
    { "two barriers for two halves", run_sum, TWO_BARRIERS, IN_ALL, "divergent barrier" },
    { "a barrier after threads left", run_sum, BARRIER_AFTER_EXIT, IN_ALL, "have left the kernel" },
    { "write past dynamic shared memory", run_sum, DYNAMIC_BOUNDS, IN_ASAN, "AddressSanitizer" },
    { "write past a static array", run_sum, STATIC_BOUNDS, IN_ASAN, "AddressSanitizer" },
    { "write past global memory", run_sum, GLOBAL_BOUNDS, IN_ASAN, "AddressSanitizer" },
    { "a shuffle in one branch", run_sum, DIVERGENT_SHUFFLE, IN_ALL, "deadlock" },
    { "a shuffle instead of __syncwarp", run_sum, SHUFFLE_AS_FENCE, IN_RACE,
      "race in shared memory" },
    { "__syncwarp for another warp", run_sum, SYNCWARP_ACROSS_WARPS, IN_RACE,
      "race in shared memory" },
    { "a vector load at 4 bytes", run_sum, MISALIGNED_VECTOR, IN_ASAN, "misaligned address" },
    { "all blocks write one word", run_sum, RACE_BETWEEN_BLOCKS, IN_RACE, "race in global memory" },
    { "global memory without a barrier", run_sum, RACE_IN_GLOBAL, IN_RACE,
      "race in global memory" },
    { "an output is not written", run_sum, UNWRITTEN_OUTPUT, IN_ALL, "wrong result" },
    { "shared memory is not written", run_sum, UNWRITTEN_SHARED, IN_PLAIN | IN_ASAN,
      "wrong result" },
    { "the same", run_sum, UNWRITTEN_SHARED, IN_RACE, "which nobody has written" },
    { "a tile", run_tile, TILE_RIGHT, 0, NULL },
    { "no wait for cp.async", run_tile, NO_COPY_WAIT, IN_PLAIN | IN_ASAN, "wrong result" },
    { "commit after the wait", run_tile, NO_COPY_COMMIT, IN_PLAIN | IN_ASAN, "wrong result" },
    { "no barrier after cp.async", run_tile, NO_TILE_BARRIER, IN_RACE, "race in shared memory" },
    { "cp.async to 8 bytes", run_tile, MISALIGNED_COPY, IN_ALL, "not 16-byte aligned" },
    { "cp.async past the end", run_tile, COPY_BOUNDS, IN_ALL, "outside shared memory" },
    { "ldmatrix past the end", run_tile, LOAD_BOUNDS, IN_ALL, "outside shared memory" },
    { "two sizes of a named barrier", run_tile, NAMED_BARRIER_COUNT, IN_ALL, "for 64 at" },
    { NULL, NULL, 0, 0, NULL },
};
