/* Token embedding, or a learned row in its place, plus position on the CPU. */
#include <assert.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"

/* count columns of a row: token at element `from` of a table, place at element `at` of the
 * positions, to element `to` of y. dtypes are constants where this is expanded. */
static inline __attribute__((always_inline)) void part_as(const ccu_embed_tokens *op,
                                                          const void *table, ccu_dtype table_dtype,
                                                          size_t from, size_t at, size_t to,
                                                          int32_t count, ccu_dtype dtype) {
    const ccu_lanes token = ccu_lanes_read(table, from, count, table_dtype);
    const ccu_lanes place = ccu_lanes_read(op->positions, at, count, CCU_F32);
    ccu_lanes_write(op->y, to, token + place, count, dtype);
}

static inline __attribute__((always_inline)) void row_from(const ccu_embed_tokens *op, int32_t m,
                                                           const void *table, int32_t id,
                                                           ccu_dtype table_dtype,
                                                           ccu_dtype dtype) {
    const size_t C = (size_t)op->C, rest = C % CCU_LANES;
    const size_t from = (size_t)id * C, at = (size_t)op->at[m] * C, to = (size_t)m * C;
    size_t       c = 0;
    for (; c + CCU_LANES <= C; c += CCU_LANES) {
        part_as(op, table, table_dtype, from + c, at + c, to + c, CCU_LANES, dtype);
    }
    if (rest > 0) {
        part_as(op, table, table_dtype, from + c, at + c, to + c, (int32_t)rest, dtype);
    }
}

static inline __attribute__((always_inline)) void row_as(const ccu_embed_tokens *op, int32_t m,
                                                         ccu_dtype dtype) {
    const int32_t id = op->ids[m];
    if (id < op->V) {
        row_from(op, m, op->table, id, dtype, dtype);
    } else {
        row_from(op, m, op->learned, id - op->V, CCU_F32, dtype);
    }
}

void ccu_cpu_embed_tokens(ccu_backend *be, const ccu_embed_tokens *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "embed_tokens", op->dtype)) { return; }
    assert(op->M >= 0 && op->C > 0);
    assert(op->table != op->y);
    assert(op->V > 0 || op->learned != NULL);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int32_t m = 0; m < op->M; m++) {
        if (op->dtype == CCU_F32) {
            row_as(op, m, CCU_F32);
        } else {
            row_as(op, m, CCU_BF16);
        }
    }
}
