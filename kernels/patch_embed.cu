/* Pixels to tokens: y[b, 0] = class_token + positions[0], y[b, 1 + p] = patch p . w^T + b +
 * positions[1 + p], in one launch and without scratch: patches are read where they are.
 *
 *   patch_embed_mma_kernel     16-bit dtypes, any P, S and C: patch_embed_mma.cu
 *   patch_embed_plain_kernel   f32: 32 x 32 tiles, 16 of K at a time through shared memory, a
 *                              thread has four patches of an output; fused multiply-adds in the
 *                              order of K. The reference precision, not made for speed.
 *
 * The thread that has an image's first patch writes its class token too. Not yet run on
 * hardware. */
#include "patch_embed.h"

#include <assert.h>

static constexpr int SIDE    = 32; /* patches, outputs of a tile */
static constexpr int STEP    = 16; /* of K */
static constexpr int THREADS = 256;
static constexpr int ROWS    = SIDE * SIDE / THREADS; /* patches of a thread */

typedef struct plain_shared {
    float patches[SIDE][STEP + 1]; /* + 1: a column's rows lie in different banks */
    float weights[SIDE][STEP + 1];
} plain_shared;

static_assert(sizeof(plain_shared) == 4352, "4.25 KB");
static_assert(SIDE * STEP % THREADS == 0, "whole loads");

/* Element k of the patch whose first pixel is `corner` of image b, as u - 128. */
template <bool FLOATS>
__device__ __forceinline__ float pixel_of(const patch_problem &p, int32_t m, int32_t k) {
    int32_t          image;
    const size_t     corner = patch_corner(p, m, &image);
    const patch_walk at     = walk_to(k, p.P);
    const size_t     plane  = (size_t)p.S * (size_t)p.S;
    const size_t     pixel  = corner + (size_t)at.ky * (size_t)p.S + (size_t)at.kx;
    if constexpr (FLOATS) {
        const float v = static_cast<const float *>(
            p.pixels)[((size_t)image * 3 + (size_t)at.c) * plane + pixel];
        return fmaf(v, of_channel(p.unscale, at.c), of_channel(p.unshift, at.c));
    } else {
        return centred(static_cast<const uint8_t *>(
            p.pixels)[((size_t)image * plane + pixel) * 3 + (size_t)at.c]);
    }
}

/* Tile (blockIdx.x of N, blockIdx.y of M). Barriers: two per step, all threads. */
template <bool FLOATS>
__global__ __launch_bounds__(THREADS) void patch_embed_plain_kernel(patch_problem p) {
    SIMT_SHARED(plain_shared, shared, [1]);
    const int32_t n0 = (int32_t)blockIdx.x * SIDE, m0 = (int32_t)blockIdx.y * SIDE;
    const int32_t column = (int32_t)threadIdx.x % SIDE; /* output of the tile */
    const int32_t first  = (int32_t)threadIdx.x / SIDE * ROWS;
    const float  *w      = static_cast<const float *>(p.w);
    float         sum[ROWS] = {};
    for (int32_t k0 = 0; k0 < p.K; k0 += STEP) {
        UNROLL for (int i = 0; i < SIDE * STEP / THREADS; i++) {
            const int32_t at = (int32_t)threadIdx.x + i * THREADS;
            const int32_t r = at / STEP, k = k0 + at % STEP;
            const bool    inside = k < p.K;
            shared->patches[r][at % STEP] =
                inside && m0 + r < p.M ? pixel_of<FLOATS>(p, m0 + r, k) : 0.0f;
            shared->weights[r][at % STEP] =
                inside && n0 + r < p.N ? w[(size_t)(n0 + r) * (size_t)p.w_stride + k] : 0.0f;
        }
        __syncthreads();
        UNROLL for (int k = 0; k < STEP; k++) {
            UNROLL for (int r = 0; r < ROWS; r++) {
                sum[r] = fmaf(shared->patches[first + r][k], shared->weights[column][k], sum[r]);
            }
        }
        __syncthreads();
    }
    UNROLL for (int r = 0; r < ROWS; r++) {
        const int32_t m = m0 + first + r;
        if (m < p.M && n0 + column < p.N) {
            int32_t      position;
            const size_t row = token_row(p, m, &position);
            store_token<float>(p, row, position, n0 + column, sum[r]);
        }
    }
}

/* ---- Launch --------------------------------------------------------------------------------- */

static int launch_plain(const ccu_cuda *cuda, const ccu_patch_embed *op, const patch_problem &p) {
    const dim3 blocks(ccu_cuda_blocks((size_t)p.N, SIDE), ccu_cuda_blocks((size_t)p.M, SIDE));
    const simt_grid grid = ccu_cuda_grid(cuda, blocks, THREADS, 0);
    if (op->kind == CCU_PIXELS_F32) {
        return simt_launch("patch_embed plain", patch_embed_plain_kernel<true>, grid, p);
    }
    return simt_launch("patch_embed plain", patch_embed_plain_kernel<false>, grid, p);
}

size_t ccu_cuda_patch_embed_scratch(ccu_backend *be, const ccu_patch_embed *op) {
    (void)be;
    (void)op;
    return 0;
}

void ccu_cuda_patch_embed(ccu_backend *be, const ccu_patch_embed *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->B == 0) { return; }
    assert(op->B > 0 && op->P > 0 && op->S >= op->P && op->C > 0);
    assert(op->y != NULL && op->pixels != NULL && op->w != NULL && op->b != NULL);
    assert(op->class_token != NULL && op->positions != NULL);
    const int32_t G = op->S / op->P;
    patch_problem p = {};
    p.y             = op->y;
    p.pixels        = op->pixels;
    p.w             = op->w;
    p.b             = op->b;
    p.class_token   = op->class_token;
    p.positions     = op->positions;
    p.M             = op->B * G * G;
    p.N             = op->C;
    p.K             = 3 * op->P * op->P;
    p.S             = op->S;
    p.P             = op->P;
    p.G             = G;
    p.skip_kx       = CCU_PATCH_PIECE % op->P;
    p.skip_ky       = CCU_PATCH_PIECE / op->P;
    p.w_stride      = ccu_cuda_weight_stride(p.K, op->dtype);
    for (int c = 0; c < 3; c++) {
        p.unscale[c] = op->unscale[c];
        p.unshift[c] = op->unshift[c];
    }
    const int code = op->dtype == CCU_F32
                         ? launch_plain(cuda, op, p)
                         : ccu_cuda_patch_embed_mma(cuda, op, p);
    ccu_cuda_result(cuda, code, "patch_embed: B %d S %d P %d C %d %s", op->B, op->S, op->P, op->C,
                    ccu_dtype_name(op->dtype));
}
