/* Matrix products for linear and patch_embed: staging rows, sharing tasks, finishing results; see
 * product.h. */
#include "ops/product.h"

#include <assert.h>
#include <omp.h>
#include <string.h>

#include "ops/lanes.h"

/* Rows staged at a time: enough tasks between two barriers for many threads, little enough to
 * stay in a shared cache (3 MiB for K = 2048). */
#define STAGE_ROWS 384

/* Asked for when weights are packed, so that running allocates nothing. */
static size_t stage_bytes(int32_t K) {
    return (size_t)STAGE_ROWS * (size_t)K * sizeof(float);
}

/* bf16 products that the CPU has are oneDNN's, whatever does f32. */
static bool by_panels(const ccu_cpu *cpu, ccu_dtype dtype) {
    return cpu->panels && ccu_cpu_product_dtype(cpu, dtype) == CCU_F32;
}

size_t ccu_product_bytes(ccu_cpu *cpu, int32_t N, int32_t K, ccu_dtype dtype) {
    if (by_panels(cpu, dtype)) { return ccu_panels_bytes(N, K, dtype); }
    return ccu_tiles_bytes(cpu, N, K, dtype);
}

void ccu_product_pack(ccu_cpu *cpu, void *to, const float *host_w, int32_t N, int32_t K,
                      ccu_dtype dtype) {
    if (!ccu_cpu_stage_reserve(cpu, stage_bytes(K))) { return; }
    if (by_panels(cpu, dtype)) {
        ccu_panels_pack(to, host_w, N, K, dtype);
    } else {
        ccu_tiles_pack(cpu, to, host_w, N, K, dtype);
    }
}

/* ---- Finishing ----------------------------------------------------------------------------- */

static inline ccu_lanes activate(ccu_lanes v, ccu_act act) {
    switch (act) {
    case CCU_ACT_NONE: return v;
    case CCU_ACT_QUICK_GELU: return ccu_lanes_quick_gelu(v);
    case CCU_ACT_GELU: return ccu_lanes_gelu(v);
    }
    return v;
}

/* One row's part of a result. */
typedef struct result_row {
    const float *c, *b, *positions; /* b and positions: NULL if there are none */
    size_t       at;                /* element of y and r that column 0 goes to */
} result_row;

/* Columns j .. j + count - 1. act and dtype are constants where this is expanded. */
static inline __attribute__((always_inline)) void finish_part(const ccu_product *op,
                                                              const result_row *row, size_t j,
                                                              int32_t count, ccu_act act,
                                                              ccu_dtype dtype) {
    ccu_lanes v = ccu_lanes_read(row->c, j, count, CCU_F32);
    if (row->b != NULL) { v += ccu_lanes_read(row->b, j, count, CCU_F32); }
    v = activate(v, act);
    if (row->positions != NULL) { v += ccu_lanes_read(row->positions, j, count, CCU_F32); }
    if (op->r != NULL) { v += ccu_lanes_read(op->r, row->at + j, count, dtype); }
    ccu_lanes_write(op->y, row->at + j, v, count, dtype);
}

static inline __attribute__((always_inline)) void finish_as(const ccu_product *op,
                                                            const ccu_product_result *t,
                                                            ccu_act act, ccu_dtype dtype) {
    const size_t n = (size_t)t->n, whole = (size_t)(t->columns - t->columns % CCU_LANES);
    for (int32_t i = 0; i < t->rows; i++) {
        const int32_t m   = t->m + i;
        result_row    row = { .c = t->c + (size_t)i * t->c_stride };
        size_t        to  = (size_t)m;
        if (op->b != NULL) { row.b = op->b + n; }
        if (op->group > 0) {
            to += (size_t)(m / op->group) + 1;
            row.positions = op->positions + (size_t)(m % op->group + 1) * (size_t)op->N + n;
        }
        row.at = to * op->y_stride + n;
        for (size_t j = 0; j < whole; j += CCU_LANES) {
            finish_part(op, &row, j, CCU_LANES, act, dtype);
        }
        if (whole < (size_t)t->columns) {
            finish_part(op, &row, whole, t->columns % CCU_LANES, act, dtype);
        }
    }
}

static void finish_f32(const ccu_product *op, const ccu_product_result *t) {
    switch (op->act) {
    case CCU_ACT_NONE: finish_as(op, t, CCU_ACT_NONE, CCU_F32); break;
    case CCU_ACT_QUICK_GELU: finish_as(op, t, CCU_ACT_QUICK_GELU, CCU_F32); break;
    case CCU_ACT_GELU: finish_as(op, t, CCU_ACT_GELU, CCU_F32); break;
    }
}

static void finish_bf16(const ccu_product *op, const ccu_product_result *t) {
    switch (op->act) {
    case CCU_ACT_NONE: finish_as(op, t, CCU_ACT_NONE, CCU_BF16); break;
    case CCU_ACT_QUICK_GELU: finish_as(op, t, CCU_ACT_QUICK_GELU, CCU_BF16); break;
    case CCU_ACT_GELU: finish_as(op, t, CCU_ACT_GELU, CCU_BF16); break;
    }
}

void ccu_product_finish(const ccu_product *op, const ccu_product_result *result) {
    if (op->dtype == CCU_F32) {
        finish_f32(op, result);
    } else {
        finish_bf16(op, result);
    }
}

/* ---- Running ------------------------------------------------------------------------------- */

/* Rows of x for a stage: x has fewer rows than the lowest tile. */
typedef struct rows_of_x {
    const uint8_t *x;
    size_t         stride_bytes, row_bytes;
} rows_of_x;

static void copy_row(const void *context, int32_t row, void *to) {
    const rows_of_x *from = context;
    memcpy(to, from->x + (size_t)row * from->stride_bytes, from->row_bytes);
}

/* Fills the stage, if there is one, then runs every task. */
static void run_block(ccu_cpu *cpu, const ccu_product_block *block, ccu_product_fill fill,
                      const void *context) {
    const ccu_product *op        = block->op;
    const bool         panels    = by_panels(cpu, op->dtype);
    const ccu_dtype    type      = ccu_cpu_product_dtype(cpu, op->dtype);
    const size_t       row_bytes = (size_t)op->K * ccu_dtype_bytes(type);
    const int32_t      staged    = fill == NULL ? 0 : block->memory_rows;
    int32_t            failures  = 0;
#pragma omp parallel num_threads(cpu->threads) reduction(+ : failures)
    {
        omp_set_num_threads(1); /* this region's own setting: oneDNN stays on its thread */
#pragma omp for schedule(static)
        for (int32_t i = 0; i < staged; i++) {
            uint8_t *to = cpu->stage + (size_t)i * row_bytes;
            if (i < block->rows) {
                fill(context, block->m + i, to);
            } else {
                memset(to, 0, row_bytes);
            }
        }
#pragma omp for schedule(dynamic, 1)
        for (int32_t task = 0; task < block->tasks; task++) {
            if (panels) {
                ccu_panels_run(cpu, block, task);
            } else {
                failures += ccu_tiles_run(cpu, block, task) ? 0 : 1;
            }
        }
    }
    if (failures > 0) {
        (void)ccu_fail(&cpu->base.error, CLIPCU_ERR_BACKEND,
                       "oneDNN: a product of %d x %d by %d failed", op->M, op->K, op->N);
    }
}

void ccu_product_run(ccu_cpu *cpu, const ccu_product *op) {
    assert(op->y != NULL && op->w != NULL);
    assert(op->fill != NULL || op->x != NULL);
    const bool       panels  = by_panels(cpu, op->dtype);
    const size_t     bytes   = ccu_dtype_bytes(ccu_cpu_product_dtype(cpu, op->dtype));
    const rows_of_x  x       = { op->x, op->x_stride * bytes, (size_t)op->K * bytes };
    const void      *context = op->fill_context;
    ccu_product_fill fill    = op->fill;
    if (fill == NULL && !panels && op->M < ccu_tiles_height(op->M)) {
        fill    = copy_row;
        context = &x;
    }
    if (fill != NULL && !ccu_cpu_stage_reserve(cpu, stage_bytes(op->K))) { return; }

    const int32_t step = fill == NULL ? op->M : STAGE_ROWS;
    for (int32_t m = 0; m < op->M; m += step) {
        ccu_product_block block = { .op = op, .x = op->x, .x_stride = op->x_stride, .m = m };
        block.rows              = m + step <= op->M ? step : op->M - m;
        block.memory_rows       = block.rows;
        if (fill != NULL) {
            block.x        = cpu->stage;
            block.x_stride = (size_t)op->K;
            if (!panels) { block.memory_rows = ccu_tiles_memory_rows(block.rows); }
        }
        if (panels) {
            ccu_panels_plan(cpu, &block);
        } else if (!ccu_tiles_plan(cpu, &block)) {
            return;
        }
        assert(block.memory_rows <= step || fill == NULL);
        run_block(cpu, &block, fill, context);
    }
}
