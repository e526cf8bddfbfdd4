/* Gradient of LayerNorm's input on the CPU, in f32; mean and variance as in layernorm.c. */
#include <assert.h>
#include <math.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"

typedef struct row {
    size_t at; /* element 0 of the row */
    float  mean, rstd;
    float  mean_u, mean_ux; /* of u = dy w, and of u x^ */
} row;

/* What is left of a row beyond whole lanes counts as `fill`. */
static inline __attribute__((always_inline)) ccu_lanes load(const void *from, size_t at,
                                                            int32_t left, float fill,
                                                            ccu_dtype dtype) {
    if (left >= CCU_LANES) { return ccu_lanes_read(from, at, CCU_LANES, dtype); }
    float lanes[CCU_LANES];
    ccu_lanes_store(lanes, ccu_lanes_read(from, at, left, dtype));
    for (int32_t i = left; i < CCU_LANES; i++) { lanes[i] = fill; }
    return ccu_lanes_load(lanes);
}

/* dtype is a constant where this is expanded. Three passes over a row that stays in the cache. */
static inline __attribute__((always_inline)) void row_as(const ccu_layernorm_backward *op,
                                                         int32_t m, ccu_dtype dtype) {
    const int32_t C   = op->C;
    row           r   = { .at = (size_t)m * (size_t)C };
    ccu_lanes     sum = { 0 }, square = { 0 }, sum_u = { 0 }, sum_ux = { 0 };
    for (int32_t c = 0; c < C; c += CCU_LANES) {
        sum += load(op->x, r.at + (size_t)c, C - c, 0.0f, dtype);
    }
    r.mean = ccu_lanes_sum(sum) / (float)C;
    for (int32_t c = 0; c < C; c += CCU_LANES) {
        const ccu_lanes d = load(op->x, r.at + (size_t)c, C - c, r.mean, dtype) - r.mean;
        const ccu_lanes u = load(op->dy, r.at + (size_t)c, C - c, 0.0f, dtype) *
                            load(op->w, (size_t)c, C - c, 0.0f, CCU_F32);
        square += d * d;
        sum_u += u;
        sum_ux += u * d;
    }
    r.rstd    = 1.0f / sqrtf(ccu_lanes_sum(square) / (float)C + op->eps);
    r.mean_u  = ccu_lanes_sum(sum_u) / (float)C;
    r.mean_ux = ccu_lanes_sum(sum_ux) / (float)C * r.rstd;
    for (int32_t c = 0; c < C; c += CCU_LANES) {
        const int32_t   left = C - c < CCU_LANES ? C - c : CCU_LANES;
        const size_t    at   = r.at + (size_t)c;
        const ccu_lanes x    = (ccu_lanes_read(op->x, at, left, dtype) - r.mean) * r.rstd;
        const ccu_lanes u    = ccu_lanes_read(op->dy, at, left, dtype) *
                            ccu_lanes_read(op->w, (size_t)c, left, CCU_F32);
        ccu_lanes dx = r.rstd * (u - r.mean_u - x * r.mean_ux);
        if (op->r != NULL) { dx += ccu_lanes_read(op->r, at, left, dtype); }
        ccu_lanes_write(op->dx, at, dx, left, dtype);
    }
}

void ccu_cpu_layernorm_backward(ccu_backend *be, const ccu_layernorm_backward *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "layernorm_backward", op->dtype)) { return; }
    assert(op->M >= 0 && op->C > 0);
    assert(op->dx != op->x);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int32_t m = 0; m < op->M; m++) {
        if (op->dtype == CCU_F32) {
            row_as(op, m, CCU_F32);
        } else {
            row_as(op, m, CCU_BF16);
        }
    }
}
