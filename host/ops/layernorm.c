/* LayerNorm on the CPU: mean, then variance of the differences, then the row, all in f32. Two
 * passes, because the one-pass formula loses everything when the mean is large. */
#include <assert.h>
#include <math.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"

static inline __attribute__((always_inline)) float row_mean(const void *x, size_t at, int32_t C,
                                                            ccu_dtype dtype) {
    ccu_lanes sum = { 0 };
    for (int32_t c = 0; c < C; c += CCU_LANES) {
        sum += ccu_lanes_read(x, at + (size_t)c, C - c, dtype);
    }
    return ccu_lanes_sum(sum) / (float)C;
}

/* Sum of (x - mean)^2; the last vector's missing lanes count as the mean. */
static inline __attribute__((always_inline)) float row_spread(const void *x, size_t at, int32_t C,
                                                              float mean, ccu_dtype dtype) {
    ccu_lanes sum = { 0 };
    int32_t   c   = 0;
    for (; c + CCU_LANES <= C; c += CCU_LANES) {
        const ccu_lanes d = ccu_lanes_read(x, at + (size_t)c, CCU_LANES, dtype) - mean;
        sum += d * d;
    }
    if (c < C) {
        float last[CCU_LANES] = { 0 };
        ccu_lanes_store(last, ccu_lanes_read(x, at + (size_t)c, C - c, dtype) - mean);
        for (int32_t i = C - c; i < CCU_LANES; i++) { last[i] = 0.0f; }
        const ccu_lanes d = ccu_lanes_load(last);
        sum += d * d;
    }
    return ccu_lanes_sum(sum);
}

/* dtype is a constant where this is expanded. */
static inline __attribute__((always_inline)) void row_as(const ccu_layernorm *op, int32_t m,
                                                         ccu_dtype dtype) {
    const size_t from = (size_t)(op->rows == NULL ? m : op->rows[m]) * (size_t)op->C;
    const size_t to   = (size_t)m * (size_t)op->C;
    const float  mean = row_mean(op->x, from, op->C, dtype);
    const float  var  = row_spread(op->x, from, op->C, mean, dtype) / (float)op->C;
    const float  rstd = 1.0f / sqrtf(var + op->eps);
    for (int32_t c = 0; c < op->C; c += CCU_LANES) {
        const int32_t   left = op->C - c;
        const ccu_lanes w    = ccu_lanes_read(op->w, (size_t)c, left, CCU_F32);
        const ccu_lanes b    = ccu_lanes_read(op->b, (size_t)c, left, CCU_F32);
        const ccu_lanes x    = ccu_lanes_read(op->x, from + (size_t)c, left, dtype);
        ccu_lanes_write(op->y, to + (size_t)c, (x - mean) * rstd * w + b, left, dtype);
    }
}

void ccu_cpu_layernorm(ccu_backend *be, const ccu_layernorm *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "layernorm", op->dtype)) { return; }
    assert(op->M >= 0 && op->C > 0);
    assert(op->rows == NULL || op->x != op->y);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int32_t m = 0; m < op->M; m++) {
        if (op->dtype == CCU_F32) {
            row_as(op, m, CCU_F32);
        } else {
            row_as(op, m, CCU_BF16);
        }
    }
}
