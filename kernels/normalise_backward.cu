/* Gradient of rows to unit length: dx = (dy - y (y . dy)) / |x|, y = x / |x|.
 *
 * A warp has a row. As in normalise.cu elements are first multiplied by the power of two that
 * brings the row's largest to 1 .. 2, so that no f32 square overflows or vanishes, and the launch
 * costs more than the one short row per class. dx may equal x: a lane reads an element for the last
 * time just before it writes it. Not yet run on hardware. */
#include <assert.h>

#include "cuda_state.h"

static constexpr unsigned WARPS = 4; /* rows in a block */

static constexpr float NORM_MIN = 1e-12f; /* torch.nn.functional.normalize */

template <class T>
__global__ __launch_bounds__(WARPS * WARP) void normalise_backward_kernel(T *dx, const float *dy,
                                                                          const T *x, int32_t M,
                                                                          int32_t E) {
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int32_t  m = (int32_t)(blockIdx.x * WARPS + warp);
    if (m >= M) { return; } /* whole warps */
    const T     *from = x + (size_t)m * (size_t)E;  /* (E) */
    const float *d    = dy + (size_t)m * (size_t)E; /* (E) */
    T           *to   = dx + (size_t)m * (size_t)E; /* (E) */

    float top = 0.0f;
    for (int32_t e = (int32_t)lane; e < E; e += (int32_t)WARP) {
        top = fmaxf(top, fabsf(to_f32(from[e])));
    }
    top = warp_max(top);
    /* 2^(n - 127) is in top's exponent bits; its inverse has 254 - n there, a normal number too */
    const int      bits    = (int)(bits_of_f32(top) >> 23);
    const uint32_t n       = (uint32_t)min(max(bits, 1), 253);
    const float    unit    = f32_of_bits(n << 23);
    const float    inverse = f32_of_bits((254u - n) << 23);

    float square = 0.0f, along = 0.0f;
    for (int32_t e = (int32_t)lane; e < E; e += (int32_t)WARP) {
        const float v = to_f32(from[e]) * inverse;
        square        = fmaf(v, v, square);
        along         = fmaf(v, d[e], along);
    }
    const float norm = sqrtf(warp_sum(square)); /* of the row times inverse */
    along            = warp_sum(along) / norm;  /* y . dy */
    const bool tiny  = norm * unit < NORM_MIN;  /* the divisor is a constant there */
    for (int32_t e = (int32_t)lane; e < E; e += (int32_t)WARP) {
        const float y = to_f32(from[e]) * inverse / norm;
        to[e] = from_f32<T>(tiny ? d[e] / NORM_MIN : (d[e] - y * along) / (norm * unit));
    }
}

template <class T> static int launch(const ccu_cuda *cuda, const ccu_normalise_backward *op) {
    const simt_grid grid = ccu_cuda_grid(cuda, dim3(ccu_cuda_blocks((size_t)op->M, WARPS)),
                                         WARPS * WARP, 0);
    return simt_launch("normalise_backward", normalise_backward_kernel<T>, grid,
                       static_cast<T *>(op->dx), op->dy, static_cast<const T *>(op->x), op->M,
                       op->E);
}

static int launch_as(const ccu_cuda *cuda, const ccu_normalise_backward *op) {
    switch (op->dtype) {
    case CCU_F32: return launch<float>(cuda, op);
    case CCU_BF16: return launch<ccu_bf16>(cuda, op);
    case CCU_F16: return launch<ccu_f16>(cuda, op);
    }
    return 0;
}

void ccu_cuda_normalise_backward(ccu_backend *be, const ccu_normalise_backward *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->M == 0) { return; }
    assert(op->M > 0 && op->E > 0);
    assert(op->dx != NULL && op->dy != NULL && op->x != NULL && op->dx != (void *)op->dy);
    ccu_cuda_result(cuda, launch_as(cuda, op), "normalise_backward: M %d E %d %s", op->M, op->E,
                    ccu_dtype_name(op->dtype));
}
