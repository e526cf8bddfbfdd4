/* Gradient of LayerNorm's input: with x^ = (x - mean) rstd and u = dy w,
 * dx = rstd (u - mean(u) - x^ mean(u x^)) + r.
 *
 * A warp has a row and goes over it three times: mean; squared differences, u and u x^; dx. Only
 * the first pass finds x in memory, and the second dy: a row is some KiB, later passes are L1's.
 * Wide form: 16 bytes of a lane at a time, where width and pointers allow. Bound by memory: 4 *
 * size bytes per element with a residual; 5000 rows of 512 in bf16 are 20 MB, 7 us at 3 TB/s. Not
 * yet run on hardware.
 *
 * dx may equal dy or r: a lane reads an element for the last time just before it writes it. */
#include <assert.h>

#include "cuda_state.h"
#include "vectors.h"

static constexpr unsigned WARPS = 4; /* rows in a block */

/* COUNT: elements of a lane at a time; C is a multiple of it. */
template <class T, int COUNT>
__global__ __launch_bounds__(WARPS * WARP) void layernorm_backward_kernel(
    const ccu_layernorm_backward op) {
    const int     lane = (int)(threadIdx.x % WARP), warp = (int)(threadIdx.x / WARP);
    const int32_t m = (int32_t)(blockIdx.x * WARPS) + warp;
    if (m >= op.M) { return; } /* whole warps */
    constexpr int STEP  = COUNT * (int)WARP;
    const int     first = COUNT * lane;
    const size_t  row   = (size_t)m * (size_t)op.C;
    const T      *x     = static_cast<const T *>(op.x) + row;
    const T      *dy    = static_cast<const T *>(op.dy) + row;
    const T      *r     = static_cast<const T *>(op.r) + (op.r == NULL ? 0 : row);
    T            *dx    = static_cast<T *>(op.dx) + row;
    float         v[COUNT], u[COUNT], w[COUNT];

    float sum = 0.0f;
    for (int32_t c = first; c < op.C; c += STEP) {
        load_some<T>(x + c, v);
        UNROLL for (int i = 0; i < COUNT; i++) { sum += v[i]; }
    }
    const float mean = warp_sum(sum) / (float)op.C;

    float square = 0.0f, sum_u = 0.0f, sum_ux = 0.0f;
    for (int32_t c = first; c < op.C; c += STEP) {
        load_some<T>(x + c, v);
        load_some<T>(dy + c, u);
        load_some<float>(op.w + c, w);
        UNROLL for (int i = 0; i < COUNT; i++) {
            const float d = v[i] - mean;
            u[i] *= w[i];
            square = fmaf(d, d, square);
            sum_u += u[i];
            sum_ux = fmaf(u[i], d, sum_ux);
        }
    }
    const float rstd    = 1.0f / sqrtf(warp_sum(square) / (float)op.C + op.eps);
    const float mean_u  = warp_sum(sum_u) / (float)op.C;
    const float mean_ux = warp_sum(sum_ux) / (float)op.C * rstd;

    for (int32_t c = first; c < op.C; c += STEP) {
        load_some<T>(x + c, v);
        load_some<T>(dy + c, u);
        load_some<float>(op.w + c, w);
        UNROLL for (int i = 0; i < COUNT; i++) {
            u[i] = rstd * (u[i] * w[i] - mean_u - (v[i] - mean) * rstd * mean_ux);
        }
        if (op.r != NULL) {
            load_some<T>(r + c, v);
            UNROLL for (int i = 0; i < COUNT; i++) { u[i] += v[i]; }
        }
        store_some<T>(dx + c, u);
    }
}

template <class T> static int launch(const ccu_cuda *cuda, const ccu_layernorm_backward *op) {
    const simt_grid grid = ccu_cuda_grid(cuda, dim3(ccu_cuda_blocks((size_t)op->M, WARPS)),
                                         WARPS * WARP, 0);
    const uintptr_t all  = (uintptr_t)op->dx | (uintptr_t)op->dy | (uintptr_t)op->x |
                          (uintptr_t)op->w | (uintptr_t)op->r;
    if (op->C % EACH16<T> == 0 && all % 16 == 0) {
        return simt_launch("layernorm_backward", layernorm_backward_kernel<T, EACH16<T>>, grid,
                           *op);
    }
    return simt_launch("layernorm_backward_plain", layernorm_backward_kernel<T, 1>, grid, *op);
}

static int launch_as(const ccu_cuda *cuda, const ccu_layernorm_backward *op) {
    switch (op->dtype) {
    case CCU_F32: return launch<float>(cuda, op);
    case CCU_BF16: return launch<ccu_bf16>(cuda, op);
    case CCU_F16: return launch<ccu_f16>(cuda, op);
    }
    return 0;
}

void ccu_cuda_layernorm_backward(ccu_backend *be, const ccu_layernorm_backward *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->M == 0) { return; }
    assert(op->M > 0 && op->C > 0);
    assert(op->dx != NULL && op->dy != NULL && op->x != NULL && op->w != NULL);
    assert(op->dx != op->x);
    ccu_cuda_result(cuda, launch_as(cuda, op), "layernorm_backward: M %d C %d %s", op->M, op->C,
                    ccu_dtype_name(op->dtype));
}
