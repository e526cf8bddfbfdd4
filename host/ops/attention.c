/* Dense attention on the CPU. One item of work is one head of one sequence (or a run of its
 * queries): its keys and values are laid out as panels in the thread's scratch, then six queries
 * at a time go through scores, softmax and weighted sum. */
#include <assert.h>
#include <math.h>
#include <omp.h>

#include "ops/cpu_state.h"
#include "ops/panel.h"
#include "ops/softmax.h"

/* A thread's scratch, in floats. Widths are rounded up to whole panels. */
typedef struct workspace {
    float  *keys;    /* panels of CCU_PANEL keys: (D, CCU_PANEL) each */
    float  *values;  /* (T, D_wide) */
    float  *scores;  /* (CCU_PANEL_ROWS, T_wide) */
    float  *queries; /* (CCU_PANEL_ROWS, D_wide) */
    float  *sums;    /* (CCU_PANEL_ROWS, D_wide) */
    size_t  T_wide, D_wide;
} workspace;

static size_t whole_panels(int32_t count) {
    return ((size_t)count + CCU_PANEL - 1) / CCU_PANEL * CCU_PANEL;
}

static size_t workspace_floats(const ccu_attention *op) {
    const size_t T = whole_panels(op->T), D = whole_panels(op->D);
    return T * (size_t)op->D + (size_t)op->T * D + CCU_PANEL_ROWS * (T + 2 * D);
}

static workspace workspace_cut(const ccu_attention *op, float *scratch) {
    workspace w = { .T_wide = whole_panels(op->T), .D_wide = whole_panels(op->D) };
    w.keys      = scratch;
    w.values    = w.keys + w.T_wide * (size_t)op->D;
    w.scores    = w.values + (size_t)op->T * w.D_wide;
    w.queries   = w.scores + CCU_PANEL_ROWS * w.T_wide;
    w.sums      = w.queries + CCU_PANEL_ROWS * w.D_wide;
    return w;
}

/* Key row of D numbers at element `at` of k, spread over one column of its panel. dtype is a
 * constant where this is expanded. */
static inline __attribute__((always_inline)) void lay_key_as(const ccu_attention *op, size_t at,
                                                             float *to, ccu_dtype dtype) {
    const size_t D = (size_t)op->D;
    for (size_t d = 0; d < D; d++) {
        to[d * CCU_PANEL] = dtype == CCU_F32 ? ((const float *)op->k)[at + d]
                                             : ccu_bf16_to_f32(((const ccu_bf16 *)op->k)[at + d]);
    }
}

/* Keys of head h of sequence b with D outside and keys inside; keys beyond T are 0. */
static void lay_keys(const ccu_attention *op, const workspace *w, int32_t b, int32_t h) {
    const size_t stride = (size_t)op->kv_stride, D = (size_t)op->D;
    for (size_t j = 0; j < w->T_wide; j++) {
        const size_t at = ((size_t)b * (size_t)op->T + j) * stride + (size_t)h * D;
        float       *to = w->keys + j / CCU_PANEL * CCU_PANEL * D + j % CCU_PANEL;
        if (j >= (size_t)op->T) {
            for (size_t d = 0; d < D; d++) { to[d * CCU_PANEL] = 0.0f; }
        } else if (op->dtype == CCU_F32) {
            lay_key_as(op, at, to, CCU_F32);
        } else {
            lay_key_as(op, at, to, CCU_BF16);
        }
    }
}

/* A row of D numbers at element `at` of x, times scale and widened with zeros to whole panels. */
static inline __attribute__((always_inline)) void lay_row_as(const void *x, size_t at, int32_t D,
                                                             float scale, float *to,
                                                             ccu_dtype dtype) {
    const size_t wide = whole_panels(D), rest = (size_t)D % CCU_LANES;
    size_t       d = 0;
    for (; d + CCU_LANES <= (size_t)D; d += CCU_LANES) {
        ccu_lanes_store(to + d, ccu_lanes_read(x, at + d, CCU_LANES, dtype) * scale);
    }
    if (rest > 0) {
        ccu_lanes_store(to + d, ccu_lanes_read(x, at + d, (int32_t)rest, dtype) * scale);
        d += CCU_LANES;
    }
    for (; d < wide; d += CCU_LANES) { ccu_lanes_store(to + d, (ccu_lanes){ 0 }); }
}

/* count rows, stride apart. */
static void lay_rows(const ccu_attention *op, const void *x, size_t at, size_t stride,
                     int32_t count, float scale, float *to) {
    for (int32_t i = 0; i < count; i++) {
        if (op->dtype == CCU_F32) {
            lay_row_as(x, at, op->D, scale, to, CCU_F32);
        } else {
            lay_row_as(x, at, op->D, scale, to, CCU_BF16);
        }
        at += stride;
        to += whole_panels(op->D);
    }
}

/* The sums of one query over their total, to element `at` of y. */
static inline __attribute__((always_inline)) void write_row_as(const ccu_attention *op, size_t at,
                                                               const float *sums, float total,
                                                               ccu_dtype dtype) {
    int32_t d = 0;
    for (; d + CCU_LANES <= op->D; d += CCU_LANES) {
        ccu_lanes_write(op->y, at + (size_t)d, ccu_lanes_load(sums + d) / total, CCU_LANES, dtype);
    }
    if (d < op->D) {
        ccu_lanes_write(op->y, at + (size_t)d, ccu_lanes_load(sums + d) / total, op->D - d, dtype);
    }
}

/* rows queries from i on: y = softmax(q . k^T) . v */
static void run_queries(const ccu_attention *op, const workspace *w, size_t row, int32_t h,
                        int32_t rows) {
    const size_t head  = (size_t)h * (size_t)op->D;
    const size_t width = (size_t)op->H * (size_t)op->D;
    float        sum[CCU_PANEL_ROWS];

    lay_rows(op, op->q, row * (size_t)op->q_stride + head, (size_t)op->q_stride, rows,
             1.0f / sqrtf((float)op->D), w->queries);
    for (size_t j = 0; j < w->T_wide; j += CCU_PANEL) { /* 1. scores */
        const ccu_panel p = { .c = w->scores + j, .c_stride = w->T_wide,
                              .a = w->queries, .a_stride = w->D_wide,
                              .b = w->keys + j * (size_t)op->D, .b_stride = CCU_PANEL,
                              .K = op->D };
        ccu_panel_run(&p, rows, CCU_F32);
    }
    for (int32_t i = 0; i < rows; i++) { /* 2. weights, not yet divided by their sum */
        sum[i] = ccu_softmax_row(w->scores + (size_t)i * w->T_wide, op->T);
    }
    for (size_t d = 0; d < w->D_wide; d += CCU_PANEL) { /* 3. weighted values */
        const ccu_panel p = { .c = w->sums + d, .c_stride = w->D_wide,
                              .a = w->scores, .a_stride = w->T_wide,
                              .b = w->values + d, .b_stride = w->D_wide,
                              .K = op->T };
        ccu_panel_run(&p, rows, CCU_F32);
    }
    for (int32_t i = 0; i < rows; i++) { /* 4. divide and round */
        const float *from = w->sums + (size_t)i * w->D_wide;
        const size_t at   = (row + (size_t)i) * width + head;
        if (op->dtype == CCU_F32) {
            write_row_as(op, at, from, sum[i], CCU_F32);
        } else {
            write_row_as(op, at, from, sum[i], CCU_BF16);
        }
    }
}

/* Queries first .. first + count - 1 of head h of sequence b. */
static void run_item(const ccu_attention *op, float *scratch, int32_t b, int32_t h, int32_t first,
                     int32_t count) {
    const workspace w  = workspace_cut(op, scratch);
    const size_t    at = (size_t)b * (size_t)op->T * (size_t)op->kv_stride +
                      (size_t)h * (size_t)op->D;
    lay_keys(op, &w, b, h);
    lay_rows(op, op->v, at, (size_t)op->kv_stride, op->T, 1.0f, w.values);
    for (int32_t i = first; i < first + count; i += CCU_PANEL_ROWS) {
        const int32_t left = first + count - i;
        run_queries(op, &w, (size_t)b * (size_t)op->Tq + (size_t)i, h,
                    left < CCU_PANEL_ROWS ? left : CCU_PANEL_ROWS);
    }
}

/* Queries per item: all of a sequence's, unless there are too few heads to keep threads busy. */
static int32_t queries_per_item(const ccu_attention *op, int32_t threads) {
    const int64_t heads = (int64_t)op->B * op->H;
    const int64_t cuts  = (4 * (int64_t)threads + heads - 1) / heads;
    const int64_t count = (op->Tq + cuts - 1) / cuts;
    const int64_t least = 4 * CCU_PANEL_ROWS; /* laying out keys must pay */
    const int64_t whole = (count + CCU_PANEL_ROWS - 1) / CCU_PANEL_ROWS * CCU_PANEL_ROWS;
    return (int32_t)(whole < least ? least : whole);
}

void ccu_cpu_attention(ccu_backend *be, const ccu_attention *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "attention", op->dtype) || op->B == 0) { return; }
    assert(op->B > 0 && op->H > 0 && op->D > 0);
    assert(op->Tq > 0 && op->Tq <= op->T);
    assert(op->q_stride >= op->H * op->D && op->kv_stride >= op->H * op->D);
    if (workspace_floats(op) * sizeof(float) > CCU_CPU_SCRATCH_BYTES) {
        (void)ccu_fail(&be->error, CLIPCU_ERR_UNSUPPORTED,
                       "attention: %d tokens of head size %d are too many for the CPU backend",
                       op->T, op->D);
        return;
    }
    const int32_t each  = queries_per_item(op, cpu->threads);
    const int32_t cuts  = (op->Tq + each - 1) / each;
    const int64_t items = (int64_t)op->B * op->H * cuts;
#pragma omp parallel for schedule(dynamic, 1) num_threads(cpu->threads)
    for (int64_t item = 0; item < items; item++) {
        const int32_t first = (int32_t)(item % cuts) * each;
        const int32_t left  = op->Tq - first;
        run_item(op, ccu_cpu_scratch(cpu, omp_get_thread_num()), (int32_t)(item / cuts / op->H),
                 (int32_t)(item / cuts % op->H), first, left < each ? left : each);
    }
}
