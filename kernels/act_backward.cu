/* Gradients of the activations: dx = dy * act'(x), in f32; formulas as host/ops/act_backward.c.
 *
 * A thread has 16 bytes, or one element where pointers are not aligned or elements are left over.
 * Bound by memory: 3 * size bytes per element. 5000 rows of 2048 in bf16 are 61 MB, 20 us at
 * 3 TB/s. Not yet run on hardware. */
#include <assert.h>

#include "act.h"
#include "cuda_state.h"
#include "vectors.h"

static constexpr unsigned THREADS = 256;

/* With s = sigmoid(1.702 x): s (1 + 1.702 x (1 - s)). */
template <class T> __device__ __forceinline__ float quick_gelu_slope(float x) {
    const float e = act_exp<T>(-1.702f * x);
    const float s = act_quotient<T>(1.0f, 1.0f + e);
    /* 1 - s is e s, but where e is infinite s is 0 and the slope is 0 */
    const float rest = e < INFINITY ? e * s : 0.0f;
    return fmaf(1.702f * x * s, rest, s);
}

/* Phi(x) + x phi(x). Phi(x) is gelu(x) / x, whose tails have no cancellation; at 0 it is a half. */
template <class T> __device__ __forceinline__ float gelu_slope(float x) {
    const float phi = act_exp<T>(x * x * -0.5f) * 0.398942280f;
    const float cdf = fabsf(x) < 1e-20f ? 0.5f : act_quotient<T>(act_gelu<T>(x), x);
    return fmaf(x, phi, cdf);
}

/* COUNT elements of a thread. dx may equal dy or x. */
template <class T, int COUNT>
__global__ __launch_bounds__(THREADS) void act_backward_kernel(T *dx, const T *dy, const T *x,
                                                               size_t count, ccu_act act) {
    const size_t at = ((size_t)blockIdx.x * THREADS + threadIdx.x) * COUNT;
    if (at >= count) { return; }
    float slope[COUNT], d[COUNT];
    load_some<T>(x + at, slope);
    load_some<T>(dy + at, d);
    UNROLL for (int i = 0; i < COUNT; i++) {
        slope[i] = act == CCU_ACT_GELU ? gelu_slope<T>(slope[i]) : quick_gelu_slope<T>(slope[i]);
        d[i] *= slope[i];
    }
    store_some<T>(dx + at, d);
}

template <class T, int COUNT>
static int launch_part(const ccu_cuda *cuda, const ccu_act_backward *op, size_t first,
                       size_t count) {
    if (count == 0) { return 0; }
    const dim3 blocks(ccu_cuda_blocks(count, (size_t)THREADS * COUNT));
    return simt_launch("act_backward", act_backward_kernel<T, COUNT>,
                       ccu_cuda_grid(cuda, blocks, THREADS, 0), static_cast<T *>(op->dx) + first,
                       static_cast<const T *>(op->dy) + first,
                       static_cast<const T *>(op->x) + first, count, op->act);
}

/* Whole vectors, then what is left. */
template <class T> static int launch(const ccu_cuda *cuda, const ccu_act_backward *op) {
    const uintptr_t all   = (uintptr_t)op->dx | (uintptr_t)op->dy | (uintptr_t)op->x;
    const size_t    count = (size_t)op->M * (size_t)op->N;
    const size_t    whole = all % 16 == 0 ? count / EACH16<T> * EACH16<T> : 0;
    const int       code  = launch_part<T, EACH16<T>>(cuda, op, 0, whole);
    return code != 0 ? code : launch_part<T, 1>(cuda, op, whole, count - whole);
}

static int launch_as(const ccu_cuda *cuda, const ccu_act_backward *op) {
    switch (op->dtype) {
    case CCU_F32: return launch<float>(cuda, op);
    case CCU_BF16: return launch<ccu_bf16>(cuda, op);
    case CCU_F16: return launch<ccu_f16>(cuda, op);
    }
    return 0;
}

void ccu_cuda_act_backward(ccu_backend *be, const ccu_act_backward *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->M == 0) { return; }
    assert(op->M > 0 && op->N > 0);
    assert(op->dx != NULL && op->dy != NULL && op->x != NULL);
    assert(op->act == CCU_ACT_QUICK_GELU || op->act == CCU_ACT_GELU);
    ccu_cuda_result(cuda, launch_as(cuda, op), "act_backward: M %d N %d %s", op->M, op->N,
                    ccu_dtype_name(op->dtype));
}
