/* Conformance of simt.h: shuffles, votes, barriers, asynchronous copies, ldmatrix, mma, launches.
 * Numbers (conversions, pairs, approximations) are in conformance_numbers.cu. Each kernel writes
 * words; see conformance.h for what becomes of them. */
#include "gpu/conformance.h"
#include "gpu/conformance_parts.h"
#include "simt.h"

/* ---- Warps ---------------------------------------------------------------------------------- */

__global__ __launch_bounds__(64) void shuffle_kernel(uint32_t *out) {
    const unsigned thread = threadIdx.x, lane = thread % WARP;
    const unsigned value  = thread * 2654435761u + 12345u;
    out[thread]       = __shfl_sync(ALL_LANES, value, (int)(lane * 7 + 3) % 32);
    out[64 + thread]  = __shfl_up_sync(ALL_LANES, value, 5);
    out[128 + thread] = __shfl_down_sync(ALL_LANES, value, 9);
    out[192 + thread] = __shfl_xor_sync(ALL_LANES, value, 21);
}

__global__ __launch_bounds__(64) void vote_kernel(uint32_t *out) {
    const unsigned thread = threadIdx.x;
    out[thread]       = __ballot_sync(ALL_LANES, thread % 3 == 1);
    out[64 + thread]  = (uint32_t)(__any_sync(ALL_LANES, thread == 40) != 0);
    out[128 + thread] = (uint32_t)(__all_sync(ALL_LANES, thread != 40) != 0);
}

/* Sums of thirds: the tree's order shows in the last bits. */
__global__ __launch_bounds__(64) void reduce_kernel(uint32_t *out) {
    const unsigned thread = threadIdx.x;
    const float    value  = (float)(thread * 37 % 101) / 3.0f - 11.0f;
    out[thread]       = bits_of_f32(warp_sum(value));
    out[64 + thread]  = bits_of_f32(warp_max(value));
    out[128 + thread] = bits_of_f32(quad_sum(value));
    out[192 + thread] = bits_of_f32(quad_max(value));
}

static void warps(conformance *c) {
    uint32_t *out  = (uint32_t *)conformance_input(c, NULL, 256 * sizeof *out);
    int       code = simt_launch("shuffle", shuffle_kernel, conformance_grid(c, 1, 64, 0), out);
    if (conformance_result(c, "shuffle", code, out, 256)) { conformance_exact(c, "shuffle", 256); }

    out  = (uint32_t *)conformance_input(c, NULL, 192 * sizeof *out);
    code = simt_launch("vote", vote_kernel, conformance_grid(c, 1, 64, 0), out);
    if (conformance_result(c, "vote", code, out, 192)) { conformance_exact(c, "vote", 192); }

    out  = (uint32_t *)conformance_input(c, NULL, 256 * sizeof *out);
    code = simt_launch("reduce", reduce_kernel, conformance_grid(c, 1, 64, 0), out);
    if (conformance_result(c, "reduce", code, out, 256)) { conformance_exact(c, "reduce", 256); }
}

/* ---- Blocks --------------------------------------------------------------------------------- */

/* Passes numbers on: across the block, across one half of it (named barriers 1 and 2, the halves at
 * different times), across a warp. */
__global__ __launch_bounds__(128) void barrier_kernel(uint32_t *out) {
    SIMT_SHARED(uint32_t, cell, [128]);
    const unsigned thread = threadIdx.x, half = thread / 64, lane = thread % WARP;
    uint32_t       sum    = 0;
    for (unsigned round = 0; round < 4; round++) {
        cell[thread] = thread * 3 + round * 1000;
        __syncthreads();
        sum += cell[127 - thread];
        __syncthreads();
    }
    out[thread] = sum;
    sum         = 0;
    for (unsigned round = 0; round < 2 + 3 * half; round++) {
        cell[thread] = thread * 5 + round * 100;
        bar_sync(1 + half, 64);
        sum += cell[half * 64 + (thread % 64 + 33) % 64];
        bar_sync(1 + half, 64);
    }
    out[128 + thread] = sum;
    __syncthreads();
    cell[thread] = thread * 7;
    __syncwarp();
    out[256 + thread] = cell[thread - lane + (lane + 11) % 32];
}

__global__ __launch_bounds__(32) void index_kernel(uint32_t *out) {
    const unsigned block  = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    const unsigned count  = blockDim.x * blockDim.y * blockDim.z;
    out[block * count + thread] = threadIdx.x | threadIdx.y << 4 | threadIdx.z << 8 |
                                  blockIdx.x << 12 | blockIdx.y << 16 | blockIdx.z << 20;
}

__global__ __launch_bounds__(96) void atomic_kernel(int *counter, float *sum) {
    SIMT_SHARED(int, local, [1]);
    if (threadIdx.x == 0) { local[0] = 0; }
    __syncthreads();
    atomicAdd(&local[0], (int)threadIdx.x);
    atomicAdd(&counter[blockIdx.x % 2], 3);
    atomicAdd(sum, 0.25f);
    __syncthreads();
    if (threadIdx.x == 0) { atomicAdd(&counter[2], local[0]); }
}

static void blocks(conformance *c) {
    uint32_t *out  = (uint32_t *)conformance_input(c, NULL, 384 * sizeof *out);
    int       code = simt_launch("barrier", barrier_kernel, conformance_grid(c, 1, 128, 0), out);
    if (conformance_result(c, "barrier", code, out, 384)) { conformance_exact(c, "barrier", 384); }

    simt_grid grid = conformance_grid(c, 1, 1, 0);
    grid.blocks    = dim3(2, 3, 2);
    grid.threads   = dim3(4, 4, 2);
    out            = (uint32_t *)conformance_input(c, NULL, 384 * sizeof *out);
    code           = simt_launch("index", index_kernel, grid, out);
    if (conformance_result(c, "index", code, out, 384)) { conformance_exact(c, "index", 384); }

    const uint32_t zeros[4] = { 0, 0, 0, 0 };
    out  = (uint32_t *)conformance_input(c, zeros, sizeof zeros);
    code = simt_launch("atomic", atomic_kernel, conformance_grid(c, 5, 96, 0), (int *)(void *)out,
                       (float *)(void *)(out + 3));
    if (conformance_result(c, "atomic", code, out, 4)) { conformance_exact(c, "atomic", 4); }
}

/* ---- Shared memory -------------------------------------------------------------------------- */

/* Dynamic memory of any size: every word is written, read by another thread; where it stands. */
__global__ __launch_bounds__(256) void dynamic_kernel(uint32_t *out, int words) {
    SIMT_DYN_SHARED(uint32_t, all);
    const int thread = (int)threadIdx.x;
    for (int i = thread; i < words; i += 256) { all[i] = (uint32_t)i * 2246822519u; }
    __syncthreads();
    uint32_t sum = 0;
    for (int i = thread; i < words; i += 256) { sum += all[words - 1 - i] ^ (uint32_t)i; }
    out[thread] = sum;
    if (thread == 0) {
        out[256] = smem_addr(all) % 1024;
        out[257] = smem_addr(all + 33) - smem_addr(all);
    }
}

/* Three groups of copies in flight. Group g brings 16 words per thread-quad; the zeroed ones are
 * every fifth. What is read after wait<2>, wait<1> and wait<0> has landed by then. */
__global__ __launch_bounds__(64) void copy_kernel(uint32_t *out, const uint32_t *from) {
    SIMT_SHARED(uint4, cell, [3][64]);
    const unsigned thread = threadIdx.x;
    const uint4   *vector = reinterpret_cast<const uint4 *>(from);
    UNROLL for (unsigned g = 0; g < 3; g++) {
        cp_async16(smem_addr(&cell[g][thread]), &vector[(thread + g * 17) % 64],
                   (thread + g) % 5 != 0);
        cp_async_commit();
    }
    cp_async_wait<2>();
    out[thread] = cell[0][thread].x ^ cell[0][thread].w << 8;
    cp_async_wait<1>();
    out[64 + thread] = cell[1][thread].y ^ cell[1][thread].z << 8;
    cp_async_wait<0>();
    __syncthreads();
    const uint4 other  = cell[2][63 - thread];
    out[128 + thread]  = other.x + other.y * 3 + other.z * 5 + other.w * 7;
}

/* A 32 x 16 tile of 16-bit numbers in rows of 80 bytes: padded, and every row 16-byte aligned. */
__global__ __launch_bounds__(32) void ldmatrix_kernel(uint32_t *out) {
    SIMT_SHARED(uint4, space, [32 * 5]);
    const unsigned lane = threadIdx.x;
    uint16_t      *tile = reinterpret_cast<uint16_t *>(&space[0]);
    for (unsigned i = lane; i < 32 * 40; i += WARP) { tile[i] = (uint16_t)(i * 31 + 7); }
    __syncwarp();
    uint32_t r[4], t[4];
    ldsm_x4(r, smem_addr(tile + lane * 40));
    ldsm_x4_t(t, smem_addr(tile + (lane ^ 5) * 40 + 8));
    UNROLL for (unsigned i = 0; i < 4; i++) {
        out[i * 32 + lane]       = r[i];
        out[128 + i * 32 + lane] = t[i];
    }
}

static void shared_memory(conformance *c) {
    const char *const names[]  = { "dynamic_1k", "dynamic_48k", "dynamic_96k" };
    const size_t      kibs[3]  = { 1, 48, 96 };
    uint32_t          from[256];
    for (int i = 0; i < 3; i++) {
        uint32_t *out  = (uint32_t *)conformance_input(c, NULL, 258 * sizeof *out);
        const int code = simt_launch("dynamic", dynamic_kernel,
                                     conformance_grid(c, 1, 256, kibs[i] * 1024), out,
                                     (int)kibs[i] * 256);
        if (conformance_result(c, names[i], code, out, 258)) {
            conformance_exact(c, names[i], 258);
        }
    }
    for (uint32_t i = 0; i < 256; i++) { from[i] = i * 40503u + 1; }
    uint32_t *out   = (uint32_t *)conformance_input(c, NULL, 192 * sizeof *out);
    uint32_t *input = (uint32_t *)conformance_input(c, from, sizeof from);
    int       code  = simt_launch("copy", copy_kernel, conformance_grid(c, 1, 64, 0), out,
                                  (const uint32_t *)input);
    if (conformance_result(c, "cp_async", code, out, 192)) {
        conformance_exact(c, "cp_async", 192);
    }
    conformance_release(c, input);

    out  = (uint32_t *)conformance_input(c, NULL, 256 * sizeof *out);
    code = simt_launch("ldmatrix", ldmatrix_kernel, conformance_grid(c, 1, 32, 0), out);
    if (conformance_result(c, "ldmatrix", code, out, 256)) {
        conformance_exact(c, "ldmatrix", 256);
    }
}

/* ---- mma ------------------------------------------------------------------------------------ */

/* Fragments of small integers, so that every order of adding gives the same sum: two products into
 * one accumulator that starts at lane numbers. scale: 1, or 1/3 for what must not be exact. */
template <class T>
__global__ __launch_bounds__(32) void mma_kernel(uint32_t *out, float scale) {
    const unsigned lane = threadIdx.x;
    float          d[4];
    UNROLL for (unsigned i = 0; i < 4; i++) { d[i] = (float)(lane * 4 + i); }
    UNROLL for (unsigned k = 0; k < 2; k++) {
        uint32_t a[4], b[2];
        UNROLL for (unsigned i = 0; i < 4; i++) {
            const unsigned seed = (lane * 4 + i) * 2 + k;
            a[i] = pack2<T>((float)((int)(seed * 29 % 17) - 8) * scale,
                            (float)((int)(seed * 43 % 19) - 9) * scale);
        }
        UNROLL for (unsigned i = 0; i < 2; i++) {
            const unsigned seed = (lane * 2 + i) * 2 + k;
            b[i] = pack2<T>((float)((int)(seed * 31 % 13) - 6) * scale,
                            (float)((int)(seed * 37 % 15) - 7) * scale);
        }
        mma_16816<T>(d, a, b[0], b[1]);
    }
    UNROLL for (unsigned i = 0; i < 4; i++) { out[lane * 4 + i] = bits_of_f32(d[i]); }
}

/* Tensor cores truncate where f32 rounds: sixteen products of at most 9 add at most 17 roundings of
 * terms up to 16 * 9 * 9 / 9 + 127. */
#define MMA_ABSOLUTE 6e-4

template <class T> static void mma(conformance *c, const char *integers, const char *thirds) {
    uint32_t *out  = (uint32_t *)conformance_input(c, NULL, 128 * sizeof *out);
    int       code = simt_launch("mma", mma_kernel<T>, conformance_grid(c, 1, 32, 0), out, 1.0f);
    if (conformance_result(c, integers, code, out, 128)) { conformance_exact(c, integers, 128); }
    out  = (uint32_t *)conformance_input(c, NULL, 128 * sizeof *out);
    code = simt_launch("mma", mma_kernel<T>, conformance_grid(c, 1, 32, 0), out, 1.0f / 3.0f);
    if (conformance_result(c, thirds, code, out, 128)) {
        conformance_near(c, thirds, 0.0, MMA_ABSOLUTE, 128);
    }
}

void conformance_simt(conformance *c) {
    warps(c);
    blocks(c);
    shared_memory(c);
    mma<ccu_f16>(c, "mma_f16", "mma_f16_thirds");
    mma<ccu_bf16>(c, "mma_bf16", "mma_bf16_thirds");
    conformance_numbers(c);
}
