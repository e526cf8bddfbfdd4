/* Sums of listed rows on the CPU, in the order of the list. */
#include <assert.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"

/* Lanes c .. of a group, added up in registers. dtypes are constants where this is expanded. */
static inline __attribute__((always_inline)) void part_as(const ccu_segment_sum *op, int32_t group,
                                                          size_t c, int32_t count,
                                                          ccu_dtype x_dtype, ccu_dtype y_dtype) {
    const size_t C   = (size_t)op->C, to = (size_t)op->ids[group] * C + c;
    ccu_lanes    sum = ccu_lanes_read(op->y, to, count, y_dtype);
    for (int32_t i = op->first[group]; i < op->first[group + 1]; i++) {
        sum += ccu_lanes_read(op->x, (size_t)op->rows[i] * C + c, count, x_dtype);
    }
    ccu_lanes_write(op->y, to, sum, count, y_dtype);
}

static inline __attribute__((always_inline)) void group_as(const ccu_segment_sum *op, int32_t group,
                                                           ccu_dtype x_dtype, ccu_dtype y_dtype) {
    const size_t C = (size_t)op->C, rest = C % CCU_LANES;
    size_t       c = 0;
    for (; c + CCU_LANES <= C; c += CCU_LANES) {
        part_as(op, group, c, CCU_LANES, x_dtype, y_dtype);
    }
    if (rest > 0) { part_as(op, group, c, (int32_t)rest, x_dtype, y_dtype); }
}

void ccu_cpu_segment_sum(ccu_backend *be, const ccu_segment_sum *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "segment_sum", op->x_dtype)) { return; }
    assert(op->groups >= 0 && op->C > 0);
    assert(op->y != op->x);
    assert(op->y_dtype == CCU_F32 || op->y_dtype == op->x_dtype);
    /* each row of y is in one group: no two threads add to it */
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int32_t group = 0; group < op->groups; group++) {
        if (op->x_dtype == CCU_F32) {
            group_as(op, group, CCU_F32, CCU_F32);
        } else if (op->y_dtype == CCU_F32) {
            group_as(op, group, CCU_BF16, CCU_F32);
        } else {
            group_as(op, group, CCU_BF16, CCU_BF16);
        }
    }
}
