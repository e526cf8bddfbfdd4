/* Gradients of the activations on the CPU, element by element, in f32. */
#include <assert.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"

#define RUN 4096 /* elements of one item of work */

/* With s = sigmoid(1.702 x): d/dx x s = s (1 + 1.702 x (1 - s)). */
static inline ccu_lanes quick_gelu_slope(ccu_lanes x) {
    const ccu_lanes e = ccu_lanes_exp(x * -1.702f);
    const ccu_lanes s = 1.0f / (1.0f + e);
    /* 1 - s is e s, but where e is infinite s is 0 and the slope is 0 */
    const ccu_lanes_i32 finite = (ccu_lanes_i32)(e < INFINITY);
    const ccu_lanes     rest   = ccu_lanes_select(finite, e * s, ccu_lanes_set(0.0f));
    return s + 1.702f * x * s * rest;
}

/* d/dx x Phi(x) = Phi(x) + x phi(x). Phi(x) is gelu(x) / x, whose tails have no cancellation; at 0
 * it is a half. */
static inline ccu_lanes gelu_slope(ccu_lanes x) {
    const ccu_lanes     phi   = ccu_lanes_exp(x * x * -0.5f) * 0.398942280f;
    const ccu_lanes_i32 small = (ccu_lanes_i32)((x < 1e-20f) & (x > -1e-20f));
    const ccu_lanes     by    = ccu_lanes_select(small, ccu_lanes_set(1.0f), x);
    const ccu_lanes     cdf   = ccu_lanes_select(small, ccu_lanes_set(0.5f),
                                                 ccu_lanes_gelu(x) / by);
    return cdf + x * phi;
}

/* act and dtype are constants where this is expanded. */
static inline __attribute__((always_inline)) void run_as(const ccu_act_backward *op, size_t first,
                                                         size_t end, ccu_act act,
                                                         ccu_dtype dtype) {
    for (size_t i = first; i < end; i += CCU_LANES) {
        const int32_t   left  = end - i < CCU_LANES ? (int32_t)(end - i) : CCU_LANES;
        const ccu_lanes x     = ccu_lanes_read(op->x, i, left, dtype);
        const ccu_lanes dy    = ccu_lanes_read(op->dy, i, left, dtype);
        const ccu_lanes slope = act == CCU_ACT_GELU ? gelu_slope(x) : quick_gelu_slope(x);
        ccu_lanes_write(op->dx, i, dy * slope, left, dtype);
    }
}

static void run(const ccu_act_backward *op, size_t first, size_t end) {
    if (op->dtype == CCU_F32) {
        if (op->act == CCU_ACT_GELU) {
            run_as(op, first, end, CCU_ACT_GELU, CCU_F32);
        } else {
            run_as(op, first, end, CCU_ACT_QUICK_GELU, CCU_F32);
        }
    } else if (op->act == CCU_ACT_GELU) {
        run_as(op, first, end, CCU_ACT_GELU, CCU_BF16);
    } else {
        run_as(op, first, end, CCU_ACT_QUICK_GELU, CCU_BF16);
    }
}

void ccu_cpu_act_backward(ccu_backend *be, const ccu_act_backward *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "act_backward", op->dtype)) { return; }
    assert(op->M >= 0 && op->N > 0);
    assert(op->act == CCU_ACT_QUICK_GELU || op->act == CCU_ACT_GELU);
    const size_t count = (size_t)op->M * (size_t)op->N;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (size_t first = 0; first < count; first += RUN) {
        run(op, first, count - first < RUN ? count : first + RUN);
    }
}
