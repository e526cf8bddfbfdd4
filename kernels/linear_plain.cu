/* y = act(x . w^T + b) + r for every dtype, shape, stride and alignment: f32, and what the
 * tensor-core ways leave.
 *
 * A block of 256 threads makes a 64x64 tile of y, 4x4 outputs per thread. 16 columns of K at a time
 * stand in shared memory as f32, transposed, so that a thread reads four rows of x (or w) as one
 * float4; the next 16 are loaded into registers meanwhile. Each output is one chain of fmaf in the
 * order of K: its bits do not depend on anything else.
 *
 * Bound by: f32 arithmetic; 2 shared loads of 16 bytes for 16 fmaf per thread. Elements are read
 * one by one (no alignment is asked for). Not yet run on hardware. */
#include <assert.h>

#include "act.h"
#include "linear_ways.h"

static constexpr int TILE    = 64;
static constexpr int DEPTH   = 16;
static constexpr int THREADS = 256;
static constexpr int LOADS   = TILE * DEPTH / THREADS; /* per thread and operand */

struct plain_layout {
    alignas(16) float x[DEPTH][TILE + 4]; /* + 4: a thread's column of stores spreads over banks */
    alignas(16) float w[DEPTH][TILE + 4];
};
static_assert(sizeof(plain_layout) == 2 * DEPTH * (TILE + 4) * 4, "no padding");

template <class T> struct plain_problem {
    T           *y;
    const T     *x, *w;
    const float *b;
    const T     *r; /* may equal y */
    int32_t      M, N, K;
    int32_t      x_stride, y_stride, w_stride;
    ccu_act      act;
};

/* Element (row, k) of each of this thread's LOADS, zeros outside. */
template <class T>
__device__ __forceinline__ void plain_read(float (&to)[LOADS], const T *from, int32_t stride,
                                           int row0, int rows, int k0, int K) {
    const int k = k0 + (int)threadIdx.x % DEPTH;
    UNROLL for (int i = 0; i < LOADS; i++) {
        const int  row  = row0 + (int)threadIdx.x / DEPTH + i * (THREADS / DEPTH);
        const bool real = row < rows && k < K;
        to[i] = real ? to_f32(from[(size_t)row * (size_t)stride + (size_t)k]) : 0.0f;
    }
}

__device__ __forceinline__ void plain_write(float (&to)[DEPTH][TILE + 4],
                                            const float (&from)[LOADS]) {
    UNROLL for (int i = 0; i < LOADS; i++) {
        to[threadIdx.x % DEPTH][(int)threadIdx.x / DEPTH + i * (THREADS / DEPTH)] = from[i];
    }
}

template <class T>
__global__ __launch_bounds__(THREADS, 2) void linear_plain_kernel(plain_problem<T> p) {
    SIMT_SHARED(plain_layout, tile, [1]);
    const int col_tiles = (p.N + TILE - 1) / TILE;
    const int m0 = (int)blockIdx.x / col_tiles * TILE, n0 = (int)blockIdx.x % col_tiles * TILE;
    const int m4 = (int)threadIdx.x / 16 * 4, n4 = (int)threadIdx.x % 16 * 4; /* this thread's */
    float     sums[4][4] = {};
    float     x_next[LOADS], w_next[LOADS];
    plain_read<T>(x_next, p.x, p.x_stride, m0, p.M, 0, p.K);
    plain_read<T>(w_next, p.w, p.w_stride, n0, p.N, 0, p.K);
    for (int k0 = 0; k0 < p.K; k0 += DEPTH) {
        __syncthreads(); /* the last columns are used up */
        plain_write(tile[0].x, x_next);
        plain_write(tile[0].w, w_next);
        __syncthreads();
        if (k0 + DEPTH < p.K) {
            plain_read<T>(x_next, p.x, p.x_stride, m0, p.M, k0 + DEPTH, p.K);
            plain_read<T>(w_next, p.w, p.w_stride, n0, p.N, k0 + DEPTH, p.K);
        }
        UNROLL for (int k = 0; k < DEPTH; k++) {
            const float4 x4   = *reinterpret_cast<const float4 *>(&tile[0].x[k][m4]);
            const float4 w4   = *reinterpret_cast<const float4 *>(&tile[0].w[k][n4]);
            const float  x[4] = { x4.x, x4.y, x4.z, x4.w }, w[4] = { w4.x, w4.y, w4.z, w4.w };
            UNROLL for (int i = 0; i < 4; i++) {
                UNROLL for (int j = 0; j < 4; j++) { sums[i][j] = fmaf(x[i], w[j], sums[i][j]); }
            }
        }
    }

    float bias[4];
    UNROLL for (int j = 0; j < 4; j++) {
        bias[j] = p.b != NULL && n0 + n4 + j < p.N ? p.b[n0 + n4 + j] : 0.0f;
    }
    UNROLL for (int i = 0; i < 4; i++) {
        const int    m  = m0 + m4 + i;
        const size_t at = (size_t)m * (size_t)p.y_stride + (size_t)(n0 + n4);
        UNROLL for (int j = 0; j < 4; j++) { sums[i][j] += bias[j]; }
        act_apply<T>(sums[i], p.act);
        UNROLL for (int j = 0; j < 4; j++) {
            if (m < p.M && n0 + n4 + j < p.N) {
                const float add = p.r == NULL ? 0.0f : to_f32(p.r[at + (size_t)j]);
                p.y[at + (size_t)j] = from_f32<T>(sums[i][j] + add);
            }
        }
    }
}

/* ---- Launch --------------------------------------------------------------------------------- */

template <class T> static int launch(ccu_cuda *cuda, const ccu_linear *op) {
    const size_t tiles = (size_t)ccu_cuda_blocks((size_t)op->M, TILE) *
                         (size_t)ccu_cuda_blocks((size_t)op->N, TILE);
    const plain_problem<T> problem = { (T *)op->y,
                                       (const T *)op->x,
                                       (const T *)op->w,
                                       op->b,
                                       (const T *)op->r,
                                       op->M,
                                       op->N,
                                       op->K,
                                       ccu_linear_x_stride(op),
                                       ccu_linear_y_stride(op),
                                       ccu_cuda_weight_stride(op->K, op->dtype),
                                       op->act };
    return simt_launch("linear_plain", linear_plain_kernel<T>,
                       ccu_cuda_grid(cuda, dim3((unsigned)tiles), THREADS, 0), problem);
}

bool ccu_cuda_linear_plain_can(const ccu_cuda *cuda, const ccu_linear *op) {
    (void)cuda;
    (void)op;
    return true;
}

int ccu_cuda_linear_plain(ccu_cuda *cuda, const ccu_linear *op) {
    assert(op->M > 0 && op->N > 0 && op->K > 0);
    switch (op->dtype) {
    case CCU_F32: return launch<float>(cuda, op);
    case CCU_BF16: return launch<ccu_bf16>(cuda, op);
    case CCU_F16: return launch<ccu_f16>(cuda, op);
    }
    return 0;
}
