/* Gradients of attention over a token trie on the CPU. First threads share the queries: each makes
 * its weights P and dS once more, which stay in scratch, and its dq. Then they share rows and
 * heads: dk and dv of a row are sums over the queries below it, which are a run, in their order. A
 * root has thousands below it and most rows none but themselves, so work goes out in small items,
 * the first rows first: a trie's roots. */
#include <assert.h>
#include <math.h>
#include <omp.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"
#include "ops/softmax.h"

#define QUERIES_PER_ITEM 8
#define ROWS_PER_ITEM 4
#define SUM_LANES 4 /* lanes of dk and of dv held in registers while a run of queries streams by */

typedef struct op_state {
    const ccu_attention_tree_backward *op;
    float *p, *ds; /* scratch: (entries of all queries' paths, H); a query's begin at entry[i] */
} op_state;

/* Query i's row, and where its weights begin: those of row r's path for all rows; for a list of
 * rows, path_max entries each. */
static int32_t row_of(const ccu_attention_tree_backward *op, int32_t i) {
    return op->rows == NULL ? i : op->rows[i];
}

static size_t entry_of(const ccu_attention_tree_backward *op, int32_t i) {
    return op->rows == NULL ? (size_t)op->path_first[i] : (size_t)i * (size_t)op->path_max;
}

static size_t entries(const ccu_attention_tree_backward *op) {
    return op->rows == NULL ? op->path_used : (size_t)op->Mq * (size_t)op->path_max;
}

size_t ccu_cpu_attention_tree_backward_scratch(ccu_backend *be,
                                               const ccu_attention_tree_backward *op) {
    (void)be;
    const size_t listed = (size_t)op->Mq * (size_t)op->path_max;
    const size_t most   = op->path_used > listed ? op->path_used : listed;
    return 2 * most * (size_t)op->H * sizeof(float);
}

/* sum over D of a and b, elements from there on */
static inline __attribute__((always_inline)) float dot_as(const void *a, size_t from_a,
                                                          const void *b, size_t from_b, int32_t D,
                                                          ccu_dtype dtype) {
    ccu_lanes sum = { 0 };
    int32_t   d   = 0;
    for (; d + CCU_LANES <= D; d += CCU_LANES) {
        sum += ccu_lanes_read(a, from_a + (size_t)d, CCU_LANES, dtype) *
               ccu_lanes_read(b, from_b + (size_t)d, CCU_LANES, dtype);
    }
    if (d < D) {
        sum += ccu_lanes_read(a, from_a + (size_t)d, D - d, dtype) *
               ccu_lanes_read(b, from_b + (size_t)d, D - d, dtype);
    }
    return ccu_lanes_sum(sum);
}

/* ---- Queries: P, dS, dq --------------------------------------------------------------------- */

/* Query i in head h. weights and slopes (count) are the thread's own. dtype is a constant where
 * this is expanded. */
static inline __attribute__((always_inline)) void query_as(const op_state *s, int32_t i, int32_t h,
                                                           float *weights, float *slopes,
                                                           ccu_dtype dtype) {
    const ccu_attention_tree_backward *op = s->op;
    const int32_t  row   = row_of(op, i), count = op->path_count[row], D = op->D;
    const int32_t *path  = op->path + op->path_first[row];
    const size_t   head  = (size_t)h * (size_t)D, width = (size_t)op->H * (size_t)D;
    const size_t   q     = (size_t)i * (size_t)op->q_stride + head;
    const size_t   dy    = (size_t)i * width + head;
    const float    scale = 1.0f / sqrtf((float)D);
    float          mean  = 0.0f;
    for (int32_t j = 0; j < count; j++) {
        const size_t at = (size_t)path[j] * (size_t)op->kv_stride + head;
        weights[j]      = dot_as(op->q, q, op->k, at, D, dtype) * scale;
        slopes[j]       = dot_as(op->dy, dy, op->v, at, D, dtype);
    }
    const float total = ccu_softmax_row(weights, count);
    for (int32_t j = 0; j < count; j++) {
        weights[j] /= total;
        mean += weights[j] * slopes[j];
    }
    float *p = s->p + entry_of(op, i) * (size_t)op->H + (size_t)h;
    float *ds = s->ds + entry_of(op, i) * (size_t)op->H + (size_t)h;
    for (int32_t j = 0; j < count; j++) {
        slopes[j]                       = weights[j] * (slopes[j] - mean) * scale;
        p[(size_t)j * (size_t)op->H]  = weights[j];
        ds[(size_t)j * (size_t)op->H] = slopes[j];
    }
    for (int32_t d = 0; d < D; d += CCU_LANES) {
        const int32_t left = D - d < CCU_LANES ? D - d : CCU_LANES;
        ccu_lanes     sum  = { 0 };
        for (int32_t j = 0; j < count; j++) {
            const size_t at = (size_t)path[j] * (size_t)op->kv_stride + head + (size_t)d;
            sum += slopes[j] * ccu_lanes_read(op->k, at, left, dtype);
        }
        ccu_lanes_write(op->dq, q + (size_t)d, sum, left, dtype);
    }
}

static void query(const op_state *s, int32_t i, float *scratch) {
    const ccu_attention_tree_backward *op = s->op;
    float *slopes = scratch + (size_t)op->path_max + CCU_LANES;
    assert(op->path_count[row_of(op, i)] <= op->path_max);
    for (int32_t h = 0; h < op->H; h++) {
        if (op->dtype == CCU_F32) {
            query_as(s, i, h, scratch, slopes, CCU_F32);
        } else {
            query_as(s, i, h, scratch, slopes, CCU_BF16);
        }
    }
}

/* ---- Rows: dk, dv --------------------------------------------------------------------------- */

/* Columns d .. of head h of row j. dtype is a constant where this is expanded. */
static inline __attribute__((always_inline)) void columns_as(const op_state *s, int32_t j,
                                                             int32_t h, int32_t d, int32_t width,
                                                             ccu_dtype dtype) {
    const ccu_attention_tree_backward *op = s->op;
    const size_t at    = (size_t)h * (size_t)op->D + (size_t)d;
    const size_t depth = (size_t)(op->path_count[j] - 1), H = (size_t)op->H;
    ccu_lanes    dk[SUM_LANES] = { { 0 } }, dv[SUM_LANES] = { { 0 } };
    for (int32_t i = op->below_first[j]; i < op->below_end[j]; i++) {
        const size_t entry = (entry_of(op, i) + depth) * H + (size_t)h;
        const float  p = s->p[entry], ds = s->ds[entry];
        const size_t q  = (size_t)i * (size_t)op->q_stride + at;
        const size_t dy = (size_t)i * H * (size_t)op->D + at;
        for (int32_t l = 0; l < SUM_LANES; l++) {
            const int32_t left = width - l * CCU_LANES;
            if (left <= 0) { break; }
            dk[l] += ds * ccu_lanes_read(op->q, q + (size_t)(l * CCU_LANES), left, dtype);
            dv[l] += p * ccu_lanes_read(op->dy, dy + (size_t)(l * CCU_LANES), left, dtype);
        }
    }
    const size_t to = (size_t)j * (size_t)op->kv_stride + at;
    for (int32_t l = 0; l < SUM_LANES; l++) {
        const int32_t left = width - l * CCU_LANES;
        if (left <= 0) { break; }
        ccu_lanes_write(op->dk, to + (size_t)(l * CCU_LANES), dk[l], left, dtype);
        ccu_lanes_write(op->dv, to + (size_t)(l * CCU_LANES), dv[l], left, dtype);
    }
}

static inline __attribute__((always_inline)) void head_as(const op_state *s, int32_t j, int32_t h,
                                                          ccu_dtype dtype) {
    const int32_t step = SUM_LANES * CCU_LANES, D = s->op->D;
    int32_t       d    = 0;
    for (; d + step <= D; d += step) { columns_as(s, j, h, d, step, dtype); }
    if (d < D) { columns_as(s, j, h, d, D - d, dtype); }
}

void ccu_cpu_attention_tree_backward(ccu_backend *be, const ccu_attention_tree_backward *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "attention_tree_backward", op->dtype)) { return; }
    assert(op->Mq >= 0 && op->M >= 0 && op->H > 0 && op->D > 0);
    assert(op->rows != NULL || op->Mq == op->M);
    assert(op->scratch != NULL);
    if (2 * ((size_t)op->path_max + CCU_LANES) * sizeof(float) > CCU_CPU_SCRATCH_BYTES) {
        (void)ccu_fail(&be->error, CLIPCU_ERR_UNSUPPORTED,
                       "attention_tree_backward: a context of %d is too long for the CPU backend",
                       op->path_max);
        return;
    }
    op_state s = { .op = op, .p = op->scratch };
    s.ds       = s.p + entries(op) * (size_t)op->H;
#pragma omp parallel num_threads(cpu->threads)
    {
        float *scratch = ccu_cpu_scratch(cpu, omp_get_thread_num());
#pragma omp for schedule(dynamic, QUERIES_PER_ITEM)
        for (int32_t i = 0; i < op->Mq; i++) { query(&s, i, scratch); }
#pragma omp for schedule(dynamic, ROWS_PER_ITEM) collapse(2)
        for (int32_t j = 0; j < op->M; j++) {
            for (int32_t h = 0; h < op->H; h++) {
                if (op->dtype == CCU_F32) {
                    head_as(&s, j, h, CCU_F32);
                } else {
                    head_as(&s, j, h, CCU_BF16);
                }
            }
        }
    }
}
