/* Sums of rows per class on the CPU, in the order of the list. */
#include <assert.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"

static void add_group(const ccu_ensemble *op, int32_t group) {
    const size_t E   = (size_t)op->E;
    float       *sum = op->sum + (size_t)op->class_ids[group] * E;
    for (int32_t i = op->first[group]; i < op->first[group + 1]; i++) {
        const float *x = op->x + (size_t)op->rows[i] * E;
        for (size_t e = 0; e < E; e += CCU_LANES) {
            const int32_t   left  = (int32_t)(E - e);
            const ccu_lanes total = ccu_lanes_read(sum, e, left, CCU_F32) +
                                    ccu_lanes_read(x, e, left, CCU_F32);
            ccu_lanes_write(sum, e, total, left, CCU_F32);
        }
    }
}

void ccu_cpu_ensemble(ccu_backend *be, const ccu_ensemble *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "ensemble", CCU_F32)) { return; }
    assert(op->groups >= 0 && op->E > 0);
    assert(op->sum != op->x);
    /* each class is in one group: no two threads add to one row */
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int32_t group = 0; group < op->groups; group++) { add_group(op, group); }
}
