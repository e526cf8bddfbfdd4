/* Rows to unit length on the CPU, as PyTorch's normalize: the norm is at least 1e-12. Squares are
 * added in double, element by element: rows are few and short, and no f32 overflow is possible. */
#include <assert.h>
#include <math.h>

#include "ops/cpu_state.h"

static float element(const void *x, size_t at, ccu_dtype dtype) {
    return dtype == CCU_F32 ? ((const float *)x)[at] : ccu_bf16_to_f32(((const ccu_bf16 *)x)[at]);
}

static void normalise_row(const ccu_normalise *op, int32_t m) {
    const size_t at  = (size_t)m * (size_t)op->E;
    double       sum = 0.0;
    for (int32_t e = 0; e < op->E; e++) {
        const double v = element(op->x, at + (size_t)e, op->dtype);
        sum += v * v;
    }
    const double norm = sqrt(sum);
    const double by   = norm < 1e-12 ? 1e-12 : norm;
    for (int32_t e = 0; e < op->E; e++) {
        op->y[at + (size_t)e] = (float)(element(op->x, at + (size_t)e, op->dtype) / by);
    }
}

void ccu_cpu_normalise(ccu_backend *be, const ccu_normalise *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "normalise", op->dtype)) { return; }
    assert(op->M >= 0 && op->E > 0);
    assert(op->dtype == CCU_F32 || op->x != op->y);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int32_t m = 0; m < op->M; m++) { normalise_row(op, m); }
}
