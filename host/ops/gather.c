/* y[m] = x[rows[m]] on the CPU. */
#include <assert.h>
#include <string.h>

#include "ops/cpu_state.h"

void ccu_cpu_gather(ccu_backend *be, const ccu_gather *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "gather", op->dtype)) { return; }
    assert(op->M >= 0 && op->C > 0);
    assert(op->x != op->y);
    const size_t bytes = (size_t)op->C * ccu_dtype_bytes(op->dtype);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int32_t m = 0; m < op->M; m++) {
        memcpy((uint8_t *)op->y + (size_t)m * bytes,
               (const uint8_t *)op->x + (size_t)op->rows[m] * bytes, bytes);
    }
}
