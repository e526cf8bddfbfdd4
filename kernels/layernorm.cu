/* LayerNorm of (gathered) rows: y[m] = (x[rows[m]] - mean) / sqrt(var + eps) * w + b.
 *
 * A warp has a row. Statistics are f32 in two passes, mean and then squared differences, because
 * the one-pass formula loses everything when the mean is large; with the row in registers the
 * second pass costs no memory.
 *
 *   layernorm_vector_kernel   rows of whole 8-element groups, at most 1792 wide, all pointers on 16
 *                             bytes: one read and one write of 16 bytes per vector, everything
 *                             between in registers. The widths of all towers.
 *   layernorm_plain_kernel    any width and alignment: element by element, three passes over the
 *                             row (the second and third come from the caches).
 *
 * Bound by memory: 2 * C * size bytes per row against 8 C operations; w and b stay in L1. Blocks
 * are 128 threads, 4 rows, and all of a row's loads are issued before the first is used. Registers
 * allow 40 warps at C 768 and 24 at C 1664, so 60 and 78 KiB are under way in each multiprocessor,
 * where 3 TB/s at 800 ns asks 132 of them for 18 KiB. ViT-L/14, 256 images, bf16: 65,792 rows of 4
 * KiB are 270 MB, so 90 us at 3 TB/s. Not yet run on hardware.
 *
 * There is no residual operand: linear's epilogue adds the residual, so a sum never goes through
 * memory on its own. In place (y = x) is allowed: a row is read before it is written and nobody
 * else reads it. A row's sum is in the order of its lanes whatever M is. */
#include <assert.h>

#include "cuda_state.h"
#include "vectors.h"

static constexpr unsigned WARPS = 4; /* rows in a block */

typedef struct layernorm_args {
    void          *y;
    const void    *x;
    const float   *w, *b;
    const int32_t *rows; /* or NULL */
    int32_t        M, C;
    float          eps;
} layernorm_args;

/* (x - mean) * rstd * w + b of one vector; w and b point at its columns. */
template <int N>
__device__ __forceinline__ void scale_vector(float (&x)[N], float mean, float rstd, const float *w,
                                             const float *b) {
    UNROLL for (int i = 0; i < N; i += 4) {
        const float4 w4 = __ldg(reinterpret_cast<const float4 *>(w + i));
        const float4 b4 = __ldg(reinterpret_cast<const float4 *>(b + i));
        x[i]            = fmaf((x[i] - mean) * rstd, w4.x, b4.x);
        x[i + 1]        = fmaf((x[i + 1] - mean) * rstd, w4.y, b4.y);
        x[i + 2]        = fmaf((x[i + 2] - mean) * rstd, w4.z, b4.z);
        x[i + 3]        = fmaf((x[i + 3] - mean) * rstd, w4.w, b4.w);
    }
}

/* A lane has vectors lane, lane + 32, ...: VECTORS of them, those beyond the row's end absent. */
template <class T, int VECTORS>
__global__ __launch_bounds__(WARPS * WARP) void layernorm_vector_kernel(layernorm_args a) {
    constexpr int  N    = 16 / sizeof(T); /* elements of a vector */
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int32_t  m = (int32_t)(blockIdx.x * WARPS + warp), count = a.C / N;
    if (m >= a.M) { return; } /* whole warps */

    const size_t from = (size_t)(a.rows == NULL ? m : a.rows[m]) * (size_t)count;
    const uint4 *x    = static_cast<const uint4 *>(a.x) + from;              /* (count) */
    uint4       *y    = static_cast<uint4 *>(a.y) + (size_t)m * (size_t)count; /* (count) */

    float v[VECTORS][N];
    float sum = 0.0f;
    UNROLL for (int i = 0; i < VECTORS; i++) {
        const int32_t at = i * (int32_t)WARP + (int32_t)lane;
        UNROLL for (int e = 0; e < N; e++) { v[i][e] = 0.0f; }
        if (at < count) { unpack16<T>(x[at], v[i]); }
    }
    UNROLL for (int i = 0; i < VECTORS; i++) {
        UNROLL for (int e = 0; e < N; e++) { sum += v[i][e]; }
    }
    const float mean = warp_sum(sum) / (float)a.C;

    float spread = 0.0f;
    UNROLL for (int i = 0; i < VECTORS; i++) {
        if (i * (int32_t)WARP + (int32_t)lane >= count) { continue; }
        UNROLL for (int e = 0; e < N; e++) { spread += (v[i][e] - mean) * (v[i][e] - mean); }
    }
    const float rstd = 1.0f / sqrtf(warp_sum(spread) / (float)a.C + a.eps);

    UNROLL for (int i = 0; i < VECTORS; i++) {
        const int32_t at = i * (int32_t)WARP + (int32_t)lane;
        if (at >= count) { continue; }
        scale_vector<N>(v[i], mean, rstd, a.w + (size_t)at * N, a.b + (size_t)at * N);
        y[at] = pack16<T>(v[i]);
    }
}

template <class T>
__global__ __launch_bounds__(WARPS * WARP) void layernorm_plain_kernel(layernorm_args a) {
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int32_t  m = (int32_t)(blockIdx.x * WARPS + warp);
    if (m >= a.M) { return; } /* whole warps */
    const T *x = static_cast<const T *>(a.x) +
                 (size_t)(a.rows == NULL ? m : a.rows[m]) * (size_t)a.C; /* (C) */
    T *y = static_cast<T *>(a.y) + (size_t)m * (size_t)a.C;              /* (C) */

    float sum = 0.0f, spread = 0.0f;
    for (int32_t c = (int32_t)lane; c < a.C; c += (int32_t)WARP) { sum += to_f32(x[c]); }
    const float mean = warp_sum(sum) / (float)a.C;
    for (int32_t c = (int32_t)lane; c < a.C; c += (int32_t)WARP) {
        const float d = to_f32(x[c]) - mean;
        spread += d * d;
    }
    const float rstd = 1.0f / sqrtf(warp_sum(spread) / (float)a.C + a.eps);
    for (int32_t c = (int32_t)lane; c < a.C; c += (int32_t)WARP) {
        y[c] = from_f32<T>(fmaf((to_f32(x[c]) - mean) * rstd, a.w[c], a.b[c]));
    }
}

/* ---- The choice ------------------------------------------------------------------------------ */

static bool aligned(const void *pointer) {
    return (uintptr_t)pointer % 16 == 0;
}

/* Groups of 8 elements per lane that hold a row, 0 for the plain kernel. A few sizes, each for one
 * or two tower widths, so that few elements are absent and none are in a register too many. */
static int32_t groups_of(const ccu_layernorm *op) {
    const bool whole = op->C % 8 == 0 && aligned(op->x) && aligned(op->y) && aligned(op->w) &&
                       aligned(op->b);
    const int32_t groups = (op->C + 255) / 256;
    if (!whole || groups > 7) { return 0; }
    if (groups <= 2) { return 2; }  /* 192, 384, 512 */
    if (groups == 3) { return 3; }  /* 640, 768 */
    if (groups == 4) { return 4; }  /* 896, 1024 */
    return groups == 5 ? 5 : 7;     /* 1280; 1408, 1664 */
}

template <class T> static int launch(const ccu_cuda *cuda, const ccu_layernorm *op) {
    constexpr int        PER  = sizeof(T) / 2; /* vectors of a group */
    const layernorm_args args = {op->y,    op->x, op->w, op->b, op->rows,
                                 op->M,    op->C, op->eps};
    const simt_grid      grid = ccu_cuda_grid(cuda, dim3(ccu_cuda_blocks((size_t)op->M, WARPS)),
                                              WARPS * WARP, 0);
    switch (groups_of(op)) {
    case 2: return simt_launch("layernorm_2", layernorm_vector_kernel<T, 2 * PER>, grid, args);
    case 3: return simt_launch("layernorm_3", layernorm_vector_kernel<T, 3 * PER>, grid, args);
    case 4: return simt_launch("layernorm_4", layernorm_vector_kernel<T, 4 * PER>, grid, args);
    case 5: return simt_launch("layernorm_5", layernorm_vector_kernel<T, 5 * PER>, grid, args);
    case 7: return simt_launch("layernorm_7", layernorm_vector_kernel<T, 7 * PER>, grid, args);
    }
    return simt_launch("layernorm_plain", layernorm_plain_kernel<T>, grid, args);
}

static int launch_as(const ccu_cuda *cuda, const ccu_layernorm *op) {
    switch (op->dtype) {
    case CCU_F32: return launch<float>(cuda, op);
    case CCU_BF16: return launch<ccu_bf16>(cuda, op);
    case CCU_F16: return launch<ccu_f16>(cuda, op);
    }
    return 0;
}

void ccu_cuda_layernorm(ccu_backend *be, const ccu_layernorm *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->M == 0) { return; }
    assert(op->M > 0 && op->C > 0);
    assert(op->y != NULL && op->x != NULL && op->w != NULL && op->b != NULL);
    assert(op->rows == NULL || op->x != op->y);
    ccu_cuda_result(cuda, launch_as(cuda, op), "layernorm: M %d C %d %s", op->M, op->C,
                    ccu_dtype_name(op->dtype));
}
