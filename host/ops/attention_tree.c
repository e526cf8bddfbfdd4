/* Causal attention over a token trie on the CPU: each query row reads the rows on its path. Paths
 * are short (a context of 77 and usually far less), so this is one dot product per key and one
 * multiply-add per value, over lanes of the head; threads take runs of query rows. */
#include <assert.h>
#include <math.h>
#include <omp.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"
#include "ops/softmax.h"

#define ROWS_PER_ITEM 8
#define VALUE_LANES 4 /* sums held in registers while a path's values stream by */

/* Query row m: the row it is, where it reads and writes. */
typedef struct query {
    const int32_t *path; /* (count) */
    int32_t        count;
    size_t         q, y; /* offsets of the row, elements */
} query;

/* scores[j] = q . k[path[j]] / sqrt D of the head at offset head. */
static inline __attribute__((always_inline)) void scores_as(const ccu_attention_tree *op,
                                                            const query *m, size_t head,
                                                            float *scores, ccu_dtype dtype) {
    const float scale = 1.0f / sqrtf((float)op->D);
    for (int32_t j = 0; j < m->count; j++) {
        const size_t k   = (size_t)m->path[j] * (size_t)op->kv_stride + head;
        const size_t q   = m->q + head;
        ccu_lanes    sum = { 0 };
        int32_t      d   = 0;
        for (; d + CCU_LANES <= op->D; d += CCU_LANES) {
            sum += ccu_lanes_read(op->q, q + (size_t)d, CCU_LANES, dtype) *
                   ccu_lanes_read(op->k, k + (size_t)d, CCU_LANES, dtype);
        }
        if (d < op->D) {
            sum += ccu_lanes_read(op->q, q + (size_t)d, op->D - d, dtype) *
                   ccu_lanes_read(op->k, k + (size_t)d, op->D - d, dtype);
        }
        scores[j] = ccu_lanes_sum(sum) * scale;
    }
}

/* y = sum over j of weights[j] v[path[j]] / total, for lanes d .. d + lanes of the head. */
static inline __attribute__((always_inline)) void values_as(const ccu_attention_tree *op,
                                                            const query *m, size_t at,
                                                            const float *weights, float total,
                                                            int32_t width, ccu_dtype dtype) {
    ccu_lanes sum[VALUE_LANES] = { { 0 } };
    for (int32_t j = 0; j < m->count; j++) {
        const size_t v = (size_t)m->path[j] * (size_t)op->kv_stride + at;
        for (int32_t i = 0; i < VALUE_LANES; i++) {
            const int32_t left = width - i * CCU_LANES;
            if (left <= 0) { break; }
            sum[i] += weights[j] * ccu_lanes_read(op->v, v + (size_t)(i * CCU_LANES), left, dtype);
        }
    }
    for (int32_t i = 0; i < VALUE_LANES; i++) {
        const int32_t left = width - i * CCU_LANES;
        if (left <= 0) { break; }
        ccu_lanes_write(op->y, m->y + at + (size_t)(i * CCU_LANES), sum[i] / total, left, dtype);
    }
}

/* dtype is a constant where this is expanded. */
static inline __attribute__((always_inline)) void query_as(const ccu_attention_tree *op,
                                                           const query *m, float *scores,
                                                           ccu_dtype dtype) {
    const int32_t step = VALUE_LANES * CCU_LANES;
    for (int32_t h = 0; h < op->H; h++) {
        const size_t head = (size_t)h * (size_t)op->D;
        scores_as(op, m, head, scores, dtype);
        const float total = ccu_softmax_row(scores, m->count);
        int32_t     d     = 0;
        for (; d + step <= op->D; d += step) {
            values_as(op, m, head + (size_t)d, scores, total, step, dtype);
        }
        if (d < op->D) { values_as(op, m, head + (size_t)d, scores, total, op->D - d, dtype); }
    }
}

static void run_row(const ccu_attention_tree *op, int32_t m, float *scores) {
    const int32_t row = op->rows == NULL ? m : op->rows[m];
    const query   q   = { .path  = op->path + op->path_first[row],
                          .count = op->path_count[row],
                          .q     = (size_t)m * (size_t)op->q_stride,
                          .y     = (size_t)m * (size_t)op->H * (size_t)op->D };
    assert(q.count >= 1 && q.count <= op->path_max);
    if (op->dtype == CCU_F32) {
        query_as(op, &q, scores, CCU_F32);
    } else {
        query_as(op, &q, scores, CCU_BF16);
    }
}

void ccu_cpu_attention_tree(ccu_backend *be, const ccu_attention_tree *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "attention_tree", op->dtype)) { return; }
    assert(op->Mq >= 0 && op->H > 0 && op->D > 0);
    assert(op->rows != NULL || op->Mq == op->M);
    assert(op->q_stride >= op->H * op->D && op->kv_stride >= op->H * op->D);
    if (((size_t)op->path_max + CCU_LANES) * sizeof(float) > CCU_CPU_SCRATCH_BYTES) {
        (void)ccu_fail(&be->error, CLIPCU_ERR_UNSUPPORTED,
                       "attention_tree: a context of %d is too long for the CPU backend",
                       op->path_max);
        return;
    }
#pragma omp parallel for schedule(dynamic, ROWS_PER_ITEM) num_threads(cpu->threads)
    for (int32_t m = 0; m < op->Mq; m++) {
        run_row(op, m, ccu_cpu_scratch(cpu, omp_get_thread_num()));
    }
}
