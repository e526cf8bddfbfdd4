/* Products by our own f32 kernel (panel.h); see product.h.
 *
 * Weights lie in panels of CCU_PANEL outputs, (K, CCU_PANEL) each, f32 or bf16. bf16 panels are
 * expanded once per task; for a few rows in registers instead, since then reading weights is what
 * limits. One pass covers all of K: a panel and six rows of x stream from the second-level cache as
 * fast as the kernel multiplies. (Passes over 192 .. 384 of K were tried on Zen 3: 0 to 10 %
 * slower.) */
#include <assert.h>
#include <omp.h>

#include "ops/panel.h"
#include "ops/product.h"

#define ROWS_MAX 192  /* rows of a task; 48 .. 144 were 3 to 15 % slower on Zen 3 at M = 1600 */
#define PANELS_MAX 16 /* panels of a task */
#define RESULTS ((size_t)ROWS_MAX * CCU_PANEL) /* floats of a panel's results */
#define TASKS_PER_THREAD 8 /* 4: 2 % slower at batch 1, 9 tasks for two threads */

static_assert(RESULTS * sizeof(float) <= CCU_CPU_SCRATCH_BYTES / 4,
              "one panel of results and one of weights fit a thread's scratch");

size_t ccu_panels_bytes(int32_t N, int32_t K, ccu_dtype dtype) {
    return (size_t)ccu_round_up(N, CCU_PANEL) * (size_t)K * ccu_dtype_bytes(dtype);
}

void ccu_panels_pack(void *to, const float *host_w, int32_t N, int32_t K, ccu_dtype dtype) {
    assert(N >= 1 && K >= 1);
    const size_t wide = (size_t)ccu_round_up(N, CCU_PANEL);
    for (size_t n = 0; n < wide; n++) {
        const size_t panel = n / CCU_PANEL * CCU_PANEL * (size_t)K + n % CCU_PANEL;
        for (size_t k = 0; k < (size_t)K; k++) {
            const float  w  = n < (size_t)N ? host_w[n * (size_t)K + k] : 0.0f;
            const size_t at = panel + k * CCU_PANEL;
            if (dtype == CCU_F32) {
                ((float *)to)[at] = w;
            } else {
                ((ccu_bf16 *)to)[at] = ccu_bf16_from_f32(w);
            }
        }
    }
}

/* Row tiles of equal height; as many panels to a task as leave enough tasks for the threads. */
void ccu_panels_plan(const ccu_cpu *cpu, ccu_product_block *block) {
    const int32_t share   = ccu_ceil_div(block->rows, ccu_ceil_div(block->rows, ROWS_MAX));
    const int64_t panels  = ccu_ceil_div(block->op->N, CCU_PANEL);
    const int64_t wanted  = (int64_t)cpu->threads * TASKS_PER_THREAD;
    block->height         = ccu_round_up(share, CCU_PANEL_ROWS);
    block->row_tiles      = ccu_ceil_div(block->rows, block->height);
    const int64_t each    = panels * block->row_tiles / wanted;
    const int64_t clamped = each < 1 ? 1 : each > PANELS_MAX ? PANELS_MAX : each;
    block->columns   = (int32_t)clamped * CCU_PANEL;
    block->row_tasks = ccu_ceil_div(block->op->N, block->columns);
    block->tasks     = block->row_tiles * block->row_tasks;
}

/* One panel of weights by rows first .. first + rows - 1 of the block, into c. b_dtype is a
 * constant where this is expanded. */
static inline __attribute__((always_inline)) void multiply(const ccu_product_block *block,
                                                           int32_t first, int32_t rows,
                                                           const void *b, float *c,
                                                           ccu_dtype b_dtype) {
    const float *x = (const float *)(const void *)block->x + (size_t)first * block->x_stride;
    ccu_panel    p = { .c_stride = CCU_PANEL,
                       .a_stride = block->x_stride,
                       .b        = b,
                       .b_stride = CCU_PANEL,
                       .K        = block->op->K };
    for (int32_t i = 0; i < rows; i += CCU_PANEL_ROWS) {
        p.c = c + (size_t)i * CCU_PANEL;
        p.a = x + (size_t)i * block->x_stride;
        ccu_panel_run(&p, rows - i, b_dtype);
    }
}

/* The same from bf16 weights. Both ways multiply the same numbers in the same order. */
static void multiply_bf16(const ccu_product_block *block, int32_t first, int32_t rows,
                          const ccu_bf16 *b, float *c) {
    const size_t count = (size_t)block->op->K * CCU_PANEL;
    float       *wide  = c + RESULTS;
    if (rows <= 2 * CCU_PANEL_ROWS || (RESULTS + count) * sizeof *wide > CCU_CPU_SCRATCH_BYTES) {
        multiply(block, first, rows, b, c, CCU_BF16);
        return;
    }
    for (size_t i = 0; i < count; i += CCU_LANES) {
        ccu_lanes_store(wide + i, ccu_lanes_read(b, i, CCU_LANES, CCU_BF16));
    }
    multiply(block, first, rows, wide, c, CCU_F32);
}

/* All panels of one tile of rows, then the next tile. */
void ccu_panels_run(ccu_cpu *cpu, const ccu_product_block *block, int32_t task) {
    const ccu_product *op    = block->op;
    const int32_t      first = task / block->row_tasks * block->height;
    const int32_t      left  = block->rows - first;
    const int32_t      rows  = left < block->height ? left : block->height;
    const int32_t      start = task % block->row_tasks * block->columns;
    const int32_t      stop  = start + block->columns < op->N ? start + block->columns : op->N;
    float             *c     = ccu_cpu_scratch(cpu, omp_get_thread_num());
    assert(rows >= 1 && rows <= ROWS_MAX);
    for (int32_t n = start; n < stop; n += CCU_PANEL) {
        const size_t             panel  = (size_t)n * (size_t)op->K;
        const ccu_product_result result = { .c        = c,
                                            .c_stride = CCU_PANEL,
                                            .m        = block->m + first,
                                            .rows     = rows,
                                            .n        = n,
                                            .columns  = stop - n < CCU_PANEL ? stop - n
                                                                             : CCU_PANEL };
        if (op->dtype == CCU_F32) {
            multiply(block, first, rows, (const float *)op->w + panel, c, CCU_F32);
        } else {
            multiply_bf16(block, first, rows, (const ccu_bf16 *)op->w + panel, c);
        }
        ccu_product_finish(op, &result);
    }
}
