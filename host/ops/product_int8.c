/* Int8 products on the CPU's threads; see product_int8.h. A stage of rows is rounded, each row
 * once, then tasks of some rows by some panels of weights multiply them. */
#include "ops/product_int8.h"

#include <assert.h>
#include <omp.h>

#include "ops/product_int8_panel.h"

#define STAGE_ROWS 640 /* rounded between two barriers: 2 MiB for K = 3072 */
#define ROWS_MAX 160   /* rows of a task: their bytes stay in the second-level cache */
#define TASKS_PER_THREAD 4

static_assert((size_t)ROWS_MAX * CCU_INT8_PANEL * sizeof(float) <= CCU_CPU_SCRATCH_BYTES,
              "one panel of results fits a thread's scratch");
static_assert((CCU_INT8_ZERO + 255ull) * CCU_INT8_TOP * CCU_INT8_K_MAX < 1ull << 31,
              "sums fit 32 bits wherever they start");

/* Rows in the stage start on a cache line; the rows' scales stand before them. */
static size_t row_bytes(int32_t K) {
    return (ccu_int8_depth(K) + 63) & ~(size_t)63;
}

static size_t stage_bytes(int32_t K) {
    return STAGE_ROWS * (sizeof(float) + row_bytes(K));
}

size_t ccu_int8_bytes(ccu_cpu *cpu, int32_t N, int32_t K) {
    if (K > CCU_INT8_K_MAX) {
        (void)ccu_fail(&cpu->base.error, CLIPCU_ERR_UNSUPPORTED,
                       "linear: int8 weights of %d inputs, expected at most %d", K,
                       CCU_INT8_K_MAX);
        return 0;
    }
    return (size_t)ccu_ceil_div(N, CCU_INT8_PANEL) * ccu_int8_panel_bytes(K);
}

void ccu_int8_pack(ccu_cpu *cpu, void *to, const float *host_w, int32_t N, int32_t K) {
    uint8_t *panels = to;
    if (K > CCU_INT8_K_MAX || !ccu_cpu_stage_reserve(cpu, stage_bytes(K))) { return; }
    const int32_t count = ccu_ceil_div(N, CCU_INT8_PANEL);
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
    for (int32_t i = 0; i < count; i++) {
        ccu_int8_pack_panel(host_w, i * CCU_INT8_PANEL, N, K,
                            panels + (size_t)i * ccu_int8_panel_bytes(K));
    }
}

/* ---- Running ------------------------------------------------------------------------------- */

/* The rows of a stage and how they are shared. */
typedef struct block {
    const ccu_product *op;
    float             *scales;    /* (rows) */
    uint8_t           *x;         /* rows row_bytes apart */
    int32_t            m, rows;   /* rows m .. m + rows - 1 of the product */
    int32_t            height;    /* rows of a task */
    int32_t            panels;    /* panels of a task */
    int32_t            row_tasks; /* tasks of the same rows */
    int32_t            tasks;
} block;

static block plan(const ccu_cpu *cpu, const ccu_product *op, int32_t m, int32_t rows) {
    block         b      = { .op = op, .m = m, .rows = rows };
    const int32_t panels = ccu_ceil_div(op->N, CCU_INT8_PANEL);
    const int32_t tiles  = ccu_ceil_div(rows, ROWS_MAX);
    b.scales             = (float *)(void *)cpu->stage;
    b.x                  = cpu->stage + STAGE_ROWS * sizeof(float);
    b.height             = ccu_round_up(ccu_ceil_div(rows, tiles), CCU_INT8_ROWS);
    const int32_t used   = ccu_ceil_div(rows, b.height);
    const int32_t each   = panels * used / (cpu->threads * TASKS_PER_THREAD);
    b.panels             = each < 1 ? 1 : each;
    b.row_tasks          = ccu_ceil_div(panels, b.panels);
    b.tasks              = used * b.row_tasks;
    return b;
}

/* All panels of one tile of rows. */
static void run_task(ccu_cpu *cpu, const block *b, int32_t task) {
    const ccu_product *op     = b->op;
    const size_t       stride = row_bytes(op->K);
    const int32_t      first  = task / b->row_tasks * b->height;
    const int32_t      left   = b->rows - first;
    const int32_t      rows   = left < b->height ? left : b->height;
    const int32_t      start  = task % b->row_tasks * b->panels * CCU_INT8_PANEL;
    const int32_t      end    = start + b->panels * CCU_INT8_PANEL;
    const int32_t      stop   = end < op->N ? end : op->N;
    float             *c      = ccu_cpu_scratch(cpu, omp_get_thread_num());
    assert(rows >= 1 && rows <= ROWS_MAX);
    for (int32_t n = start; n < stop; n += CCU_INT8_PANEL) {
        const uint8_t *w = (const uint8_t *)op->w +
                           (size_t)(n / CCU_INT8_PANEL) * ccu_int8_panel_bytes(op->K);
        for (int32_t i = 0; i < rows; i += CCU_INT8_ROWS) {
            const ccu_int8_panel panel = { .c        = c + (size_t)i * CCU_INT8_PANEL,
                                           .x        = b->x + (size_t)(first + i) * stride,
                                           .scales   = b->scales + first + i,
                                           .w        = w,
                                           .x_stride = stride,
                                           .K        = op->K };
            ccu_int8_run_panel(&panel, rows - i);
        }
        const ccu_product_result result = { .c        = c,
                                            .c_stride = CCU_INT8_PANEL,
                                            .m        = b->m + first,
                                            .rows     = rows,
                                            .n        = n,
                                            .columns  = stop - n < CCU_INT8_PANEL
                                                            ? stop - n
                                                            : CCU_INT8_PANEL };
        ccu_product_finish(op, &result);
    }
}

static void run_block(ccu_cpu *cpu, const block *b) {
    const ccu_product *op = b->op;
    const float       *x  = op->x;
#pragma omp parallel num_threads(cpu->threads)
    {
#pragma omp for schedule(static)
        for (int32_t i = 0; i < b->rows; i++) {
            b->scales[i] = ccu_int8_row(x + (size_t)(b->m + i) * op->x_stride, op->K,
                                        b->x + (size_t)i * row_bytes(op->K));
        }
#pragma omp for schedule(dynamic, 1)
        for (int32_t task = 0; task < b->tasks; task++) { run_task(cpu, b, task); }
    }
}

/* Stages of about equal height. */
void ccu_int8_run(ccu_cpu *cpu, const ccu_product *op) {
    assert(op->dtype == CCU_F32 && op->fill == NULL && op->group == 0);
    assert(op->x != NULL && op->y != NULL && op->w != NULL);
    if (!ccu_cpu_stage_reserve(cpu, stage_bytes(op->K))) { return; }
    const int32_t step = ccu_ceil_div(op->M, ccu_ceil_div(op->M, STAGE_ROWS));
    for (int32_t m = 0; m < op->M; m += step) {
        const block b = plan(cpu, op, m, op->M - m < step ? op->M - m : step);
        run_block(cpu, &b);
    }
}

const char *ccu_int8_instructions(void) {
#if CCU_LANES == 16 && defined(__AVX512VNNI__)
    return "AVX-512 VNNI";
#elif CCU_LANES == 16 && defined(__AVX512BW__)
    return "AVX-512";
#elif CCU_LANES == 8 && defined(__AVXVNNI__)
    return "AVX-VNNI";
#elif CCU_LANES == 8 && defined(__AVX2__)
    return "AVX2";
#elif CCU_LANES == 4 && defined(__SSSE3__)
    return "SSSE3";
#else
    return "plain C";
#endif
}
