/* Rows to unit length: y[m] = x[m] / max(|x[m]|, 1e-12), f32 whatever x is.
 *
 * A warp has a row and goes over it three times, the second and third from the caches. No f32
 * square may overflow or vanish, so elements are first multiplied by the power of two that brings
 * the row's largest to 1 .. 2, which is exact; f64 would do as well, but many devices have a 64th
 * of the f32 rate for it. One kernel, element by element: a call has one short row per image or
 * text (512 * 512 f16: 1.5 MB, under a microsecond at 3 TB/s), so what is seen is the launch. In
 * place is allowed: a lane reads an element for the last time just before it writes it. Not yet run
 * on hardware. */
#include <assert.h>

#include "cuda_state.h"

static constexpr unsigned WARPS = 4; /* rows in a block */

static constexpr float NORM_MIN = 1e-12f; /* torch.nn.functional.normalize */

template <class T>
__global__ __launch_bounds__(WARPS * WARP) void normalise_kernel(float *y, const T *x, int32_t M,
                                                                 int32_t E) {
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int32_t  m = (int32_t)(blockIdx.x * WARPS + warp);
    if (m >= M) { return; } /* whole warps */
    const T *from = x + (size_t)m * (size_t)E; /* (E) */
    float   *to   = y + (size_t)m * (size_t)E; /* (E) */

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

    float sum = 0.0f;
    for (int32_t e = (int32_t)lane; e < E; e += (int32_t)WARP) {
        const float v = to_f32(from[e]) * inverse;
        sum           = fmaf(v, v, sum);
    }
    const float norm = sqrtf(warp_sum(sum)); /* of the row times inverse */
    const bool  tiny = norm * unit < NORM_MIN;
    for (int32_t e = (int32_t)lane; e < E; e += (int32_t)WARP) {
        const float v = to_f32(from[e]);
        to[e]         = tiny ? v / NORM_MIN : v * inverse / norm;
    }
}

template <class T> static int launch(const ccu_cuda *cuda, const ccu_normalise *op) {
    const simt_grid grid = ccu_cuda_grid(cuda, dim3(ccu_cuda_blocks((size_t)op->M, WARPS)),
                                         WARPS * WARP, 0);
    return simt_launch("normalise", normalise_kernel<T>, grid, op->y,
                       static_cast<const T *>(op->x), op->M, op->E);
}

static int launch_as(const ccu_cuda *cuda, const ccu_normalise *op) {
    switch (op->dtype) {
    case CCU_F32: return launch<float>(cuda, op);
    case CCU_BF16: return launch<ccu_bf16>(cuda, op);
    case CCU_F16: return launch<ccu_f16>(cuda, op);
    }
    return 0;
}

void ccu_cuda_normalise(ccu_backend *be, const ccu_normalise *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->M == 0) { return; }
    assert(op->M > 0 && op->E > 0);
    assert(op->y != NULL && op->x != NULL);
    assert(op->dtype == CCU_F32 || op->x != op->y);
    ccu_cuda_result(cuda, launch_as(cuda, op), "normalise: M %d E %d %s", op->M, op->E,
                    ccu_dtype_name(op->dtype));
}
