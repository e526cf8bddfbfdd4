/* Gradient of rows to unit length on the CPU, in double as normalise.c. */
#include <assert.h>
#include <math.h>

#include "ops/cpu_state.h"

static double element(const void *x, size_t at, ccu_dtype dtype) {
    return (double)(dtype == CCU_F32 ? ((const float *)x)[at]
                                     : ccu_bf16_to_f32(((const ccu_bf16 *)x)[at]));
}

static void put(void *to, size_t at, double value, ccu_dtype dtype) {
    if (dtype == CCU_F32) {
        ((float *)to)[at] = (float)value;
    } else {
        ((ccu_bf16 *)to)[at] = ccu_bf16_from_f32((float)value);
    }
}

static void row(const ccu_normalise_backward *op, int32_t m) {
    const size_t at     = (size_t)m * (size_t)op->E;
    double       square = 0.0, along = 0.0; /* |x|^2, x . dy */
    for (size_t e = 0; e < (size_t)op->E; e++) {
        const double x = element(op->x, at + e, op->dtype);
        square += x * x;
        along += x * (double)op->dy[at + e];
    }
    const double norm = sqrt(square), by = norm < 1e-12 ? 1e-12 : norm;
    if (norm < 1e-12) { along = 0.0; } /* the divisor is a constant there */
    for (size_t e = 0; e < (size_t)op->E; e++) {
        const double y = element(op->x, at + e, op->dtype) / by;
        put(op->dx, at + e, ((double)op->dy[at + e] - y * (along / by)) / by, op->dtype);
    }
}

void ccu_cpu_normalise_backward(ccu_backend *be, const ccu_normalise_backward *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "normalise_backward", op->dtype)) { return; }
    assert(op->M >= 0 && op->E > 0);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int32_t m = 0; m < op->M; m++) { row(op, m); }
}
