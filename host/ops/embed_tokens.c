/* Token embedding plus position on the CPU. */
#include <assert.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"

/* dtype is a constant where this is expanded. */
static inline __attribute__((always_inline)) void row_as(const ccu_embed_tokens *op, int32_t m,
                                                         ccu_dtype dtype) {
    const size_t C    = (size_t)op->C;
    const size_t from = (size_t)op->ids[m] * C;
    const size_t at   = (size_t)op->at[m] * C;
    for (size_t c = 0; c < C; c += CCU_LANES) {
        const int32_t   left  = (int32_t)(C - c);
        const ccu_lanes token = ccu_lanes_read(op->table, from + c, left, dtype);
        const ccu_lanes place = ccu_lanes_read(op->positions, at + c, left, CCU_F32);
        ccu_lanes_write(op->y, (size_t)m * C + c, token + place, left, dtype);
    }
}

void ccu_cpu_embed_tokens(ccu_backend *be, const ccu_embed_tokens *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "embed_tokens", op->dtype)) { return; }
    assert(op->M >= 0 && op->C > 0);
    assert(op->table != op->y);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int32_t m = 0; m < op->M; m++) {
        if (op->dtype == CCU_F32) {
            row_as(op, m, CCU_F32);
        } else {
            row_as(op, m, CCU_BF16);
        }
    }
}
