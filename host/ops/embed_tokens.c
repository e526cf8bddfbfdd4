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

static inline __attribute__((always_inline)) void row_as(const ccu_embed_tokens *op, const row *r,
                                                         ccu_dtype token_dtype, ccu_dtype dtype) {
    const size_t C = (size_t)op->C, rest = C % CCU_LANES;
    size_t       c = 0;
    for (; c + CCU_LANES <= C; c += CCU_LANES) {
        part_as(op, r, c, CCU_LANES, token_dtype, dtype);
    }
    if (rest > 0) { part_as(op, r, c, (int32_t)rest, token_dtype, dtype); }
}

static void run_row(const ccu_embed_tokens *op, int32_t m) {
    const bool   learned = op->learned != NULL && op->ids[m] >= op->V;
    const size_t C       = (size_t)op->C;
    const row    r       = { .token = learned ? (const void *)op->learned : op->table,
                             .from  = (size_t)(op->ids[m] - (learned ? op->V : 0)) * C,
                             .at    = (size_t)op->at[m] * C,
                             .to    = (size_t)m * C };
    assert(learned || op->ids[m] < op->V);
    if (op->dtype == CCU_F32) {
        row_as(op, &r, CCU_F32, CCU_F32);
    } else if (learned) {
        row_as(op, &r, CCU_F32, CCU_BF16);
    } else {
        row_as(op, &r, CCU_BF16, CCU_BF16);
    }
}

void ccu_cpu_embed_tokens(ccu_backend *be, const ccu_embed_tokens *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "embed_tokens", op->dtype)) { return; }
    assert(op->M >= 0 && op->C > 0 && op->V > 0);
    assert(op->table != op->y);
    assert(op->V > 0 || op->learned != NULL);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int32_t m = 0; m < op->M; m++) { run_row(op, m); }
}
