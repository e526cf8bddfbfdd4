/* LayerNorm on the CPU: mean, then variance of the differences, then the row, all in f32. Two
 * passes, because the one-pass formula loses everything when the mean is large.
 *
 * Loops run over whole vectors, then over what is left: with the rest inside the loop, its call to
 * memcpy kept the sums out of registers and bf16 rows took four times as long. */
#include <assert.h>
#include <math.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"

/* x is row-major from element at on; dtype is a constant where these are expanded. */
static inline __attribute__((always_inline)) float row_mean(const void *x, size_t at, int32_t C,
                                                            ccu_dtype dtype) {
    ccu_lanes sum = { 0 };
    int32_t   c   = 0;
    for (; c + CCU_LANES <= C; c += CCU_LANES) {
        sum += ccu_lanes_read(x, at + (size_t)c, CCU_LANES, dtype);
    }
    if (c < C) { sum += ccu_lanes_read(x, at + (size_t)c, C - c, dtype); }
    return ccu_lanes_sum(sum) / (float)C;
}

/* Sum of (x - mean)^2 */
static inline __attribute__((always_inline)) float row_spread(const void *x, size_t at, int32_t C,
                                                              float mean, ccu_dtype dtype) {
    ccu_lanes sum = { 0 };
    int32_t   c   = 0;
    for (; c + CCU_LANES <= C; c += CCU_LANES) {
        const ccu_lanes d = ccu_lanes_read(x, at + (size_t)c, CCU_LANES, dtype) - mean;
        sum += d * d;
    }
    if (c < C) { /* lanes that are missing count as the mean */
        float last[CCU_LANES];
        ccu_lanes_store(last, ccu_lanes_read(x, at + (size_t)c, C - c, dtype) - mean);
        for (int32_t i = C - c; i < CCU_LANES; i++) { last[i] = 0.0f; }
        const ccu_lanes d = ccu_lanes_load(last);
        sum += d * d;
    }
    return ccu_lanes_sum(sum);
}

typedef struct row {
    size_t from, to; /* element 0 of x's and y's row */
    float  mean, rstd;
} row;

static inline __attribute__((always_inline)) void write_part(const ccu_layernorm *op, const row *r,
                                                             int32_t c, int32_t count,
                                                             ccu_dtype dtype) {
    const size_t    at = (size_t)c;
    const ccu_lanes w  = ccu_lanes_read(op->w, at, count, CCU_F32);
    const ccu_lanes b  = ccu_lanes_read(op->b, at, count, CCU_F32);
    const ccu_lanes x  = ccu_lanes_read(op->x, r->from + at, count, dtype);
    ccu_lanes_write(op->y, r->to + at, (x - r->mean) * r->rstd * w + b, count, dtype);
}

static inline __attribute__((always_inline)) void row_as(const ccu_layernorm *op, int32_t m,
                                                         ccu_dtype dtype) {
    const size_t source = (size_t)(op->rows == NULL ? m : op->rows[m]);
    row          r      = { .from = source * (size_t)op->C, .to = (size_t)m * (size_t)op->C };
    r.mean              = row_mean(op->x, r.from, op->C, dtype);
    const float var     = row_spread(op->x, r.from, op->C, r.mean, dtype) / (float)op->C;
    r.rstd              = 1.0f / sqrtf(var + op->eps);
    int32_t c           = 0;
    for (; c + CCU_LANES <= op->C; c += CCU_LANES) { write_part(op, &r, c, CCU_LANES, dtype); }
    if (c < op->C) { write_part(op, &r, c, op->C - c, dtype); }
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
