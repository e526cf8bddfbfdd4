/* The text tower's own ops and the head: tokens, tree attention, sums of rows, scores. */
#include <stdlib.h>

#include "gpu_bench.h"

#define ROWS 2048    /* trie rows of a chunk, as engine.c has it */
#define CHAIN 16     /* depth of every chain of the trie measured here */
#define VOCAB 49408
#define CLASSES 1000
#define TOP 5

typedef struct text_work {
    int32_t  C, H, E, M;
    int32_t *ids, *at, *path_first, *path_count, *path, *rows, *first, *class_ids;
    float   *f32;
    float   *bank; /* (CLASSES, E) */
    void    *slab, *scratch;
    int32_t  classes;
} text_work;

/* Row m is element m % CHAIN of a chain of its own. */
static bool open_trie(bench *b, text_work *w) {
    const size_t M     = (size_t)w->M;
    int32_t     *host  = calloc(7 * M + M * CHAIN + 8, sizeof *host);
    clipcu_error error = { 0 };
    if (host == NULL) { return false; }
    int32_t *ids = host, *at = ids + M, *first = at + M, *count = first + M, *path = count + M;
    int32_t *rows = path + M * CHAIN, *groups = rows + M, *classes = groups + M + 1;
    int32_t  used = 0;
    for (int32_t m = 0; m < w->M; m++) {
        ids[m]     = (int32_t)((uint32_t)m * 40503u % VOCAB);
        at[m]      = m % CHAIN;
        first[m]   = used;
        count[m]   = m % CHAIN + 1;
        rows[m]    = (int32_t)((uint32_t)m * 7919u % (uint32_t)w->M);
        groups[m]  = m;
        classes[m] = m;
        for (int32_t i = 0; i < count[m]; i++) { path[used++] = m - m % CHAIN + i; }
    }
    const size_t bytes = (7 * M + M * CHAIN + 8) * sizeof *host;
    w->slab = b->be->ops->slab_alloc(b->be, bytes);
    if (w->slab != NULL) {
        int32_t *on = w->slab;
        b->be->ops->upload(b->be, on, host, bytes);
        w->ids        = on;
        w->at         = on + (at - host);
        w->path_first = on + (first - host);
        w->path_count = on + (count - host);
        w->path       = on + (path - host);
        w->rows       = on + (rows - host);
        w->first      = on + (groups - host);
        w->class_ids  = on + (classes - host);
    }
    const bool good = b->be->ops->finish(b->be, &error) == CLIPCU_OK && w->slab != NULL;
    free(host);
    return good;
}

static void run_embed(bench *b, void *user, int32_t round) {
    const text_work *w    = user;
    const size_t     size = (size_t)w->M * (size_t)w->C * ccu_dtype_bytes(b->dtype);
    b->be->ops->embed_tokens(b->be, &(ccu_embed_tokens){ .y = bench_output(b, size, round),
                                                         .table = b->pool, .positions = w->f32,
                                                         .ids = w->ids, .at = w->at, .M = w->M,
                                                         .C = w->C, .V = INT32_MAX,
                                                         .dtype = b->dtype });
}

static void run_tree(bench *b, void *user, int32_t round) {
    const text_work *w    = user;
    const size_t     size = ccu_dtype_bytes(b->dtype), C = (size_t)w->C, M = (size_t)w->M;
    const uint8_t   *qkv  = bench_input(b, M * 3 * C * size, round);
    b->be->ops->attention_tree(
        b->be, &(ccu_attention_tree){ .y = bench_output(b, M * C * size, round), .q = qkv,
                                      .k = qkv + C * size, .v = qkv + 2 * C * size,
                                      .path_first = w->path_first, .path_count = w->path_count,
                                      .path = w->path, .q_stride = 3 * w->C,
                                      .kv_stride = 3 * w->C, .Mq = w->M, .M = w->M, .H = w->H,
                                      .D = w->C / w->H, .path_max = 77, .dtype = b->dtype });
}

static void run_gather(bench *b, void *user, int32_t round) {
    const text_work *w    = user;
    const size_t     size = (size_t)w->M * (size_t)w->C * ccu_dtype_bytes(b->dtype);
    b->be->ops->gather(b->be, &(ccu_gather){ .y = bench_output(b, size, round),
                                             .x = bench_input(b, size, round), .rows = w->rows,
                                             .M = w->M, .C = w->C, .dtype = b->dtype });
}

static void run_segment_sum(bench *b, void *user, int32_t round) {
    const text_work *w = user;
    (void)round;
    b->be->ops->segment_sum(b->be, &(ccu_segment_sum){ .y = b->out, .x = w->f32,
                                                       .groups = w->M / 8, .ids = w->class_ids,
                                                       .first = w->first, .rows = w->rows,
                                                       .C = w->E, .x_dtype = CCU_F32,
                                                       .y_dtype = CCU_F32 });
}

static ccu_scores_topk scores_op(const bench *b, const text_work *w) {
    const size_t part = (size_t)w->M * TOP * 4;
    uint8_t     *out  = b->out;
    return (ccu_scores_topk){ .index = (int32_t *)(void *)out,
                              .cosine = (float *)(void *)(out + part),
                              .probability = (float *)(void *)(out + 2 * part), .x = w->f32,
                              .bank = w->bank, .scratch = w->scratch, .scale = 100.0f,
                              .B = w->M, .K = w->classes, .E = w->E, .top = TOP };
}

static void run_scores(bench *b, void *user, int32_t round) {
    const ccu_scores_topk op = scores_op(b, user);
    (void)round;
    b->be->ops->scores_topk(b->be, &op);
}

static void one(bench *b, bench_row row, bench_work work, text_work *w) {
    if (bench_measure(b, work, w, &row.time)) {
        bench_report(b, &row);
    } else {
        bench_report_missing(b, &row, "failed");
    }
}

static void measure_text(bench *b, text_work *w) {
    const double M = w->M, C = w->C, size = (double)ccu_dtype_bytes(b->dtype);
    bench_row    row = { .tower = "text", .part = "", .way = "", .batch = w->M,
                         .dtype = b->dtype };
    row.op    = "embed_tokens";
    row.bytes = 2.0 * M * C * size + CHAIN * C * 4.0;
    one(b, row, run_embed, w);
    row.op    = "attention_tree";
    row.bytes = 4.0 * M * C * size;
    row.flop  = 4.0 * M * (CHAIN + 1) / 2.0 * C;
    one(b, row, run_tree, w);
    row.op    = "gather";
    row.flop  = 0.0;
    row.bytes = 2.0 * M * C * size;
    one(b, row, run_gather, w);
    row.op    = "segment_sum";
    row.dtype = CCU_F32;
    row.bytes = w->M / 8 * (double)w->E * 12.0;
    one(b, row, run_segment_sum, w);
}

/* f32 throughout, so the 16-bit product's ceiling does not apply: bytes alone are counted. */
static void measure_scores(bench *b, text_work *w, int32_t batch, int32_t classes) {
    bench_row    row   = { .op = "scores_topk", .tower = "head", .part = classes > CLASSES
                           ? "21841 classes" : "1000 classes", .way = "", .batch = batch,
                           .dtype = CCU_F32,
                           .bytes = 4.0 * ((double)batch + classes) * w->E };
    clipcu_error error = { 0 };
    w->M       = batch;
    w->classes = classes;
    const ccu_scores_topk op    = scores_op(b, w);
    const size_t          bytes = b->be->ops->scores_topk_scratch(b->be, &op);
    w->scratch = bytes == 0 ? NULL : b->be->ops->slab_alloc(b->be, bytes);
    if (bytes > 0 && w->scratch == NULL) {
        (void)b->be->ops->finish(b->be, &error);
        bench_report_missing(b, &row, "no memory for its scratch");
        return;
    }
    one(b, row, run_scores, w);
    if (w->scratch != NULL) { b->be->ops->slab_free(b->be, w->scratch); }
    w->scratch = NULL;
}

void bench_text_and_head(bench *b) {
    const int32_t many = b->tiny ? 32 : 21841;
    text_work     w    = { .C = b->tiny ? 64 : 512, .H = b->tiny ? 1 : 8, .E = b->tiny ? 64 : 512,
                           .M = b->tiny ? 32 : ROWS };
    const size_t  f32  = (size_t)w.M * (size_t)w.C;
    w.f32  = bench_random_f32(b, f32);
    w.bank = bench_random_f32(b, (size_t)many * (size_t)w.E);
    if (w.f32 == NULL || w.bank == NULL || !open_trie(b, &w)) {
        const bench_row row = { .op = "text", .tower = "text", .part = "", .way = "",
                                .dtype = b->dtype };
        bench_report_missing(b, &row, "no memory");
    } else {
        measure_text(b, &w);
        measure_scores(b, &w, b->tiny ? 4 : 256, b->tiny ? 16 : CLASSES);
        measure_scores(b, &w, b->tiny ? 4 : 256, many);
    }
    if (w.slab != NULL) { b->be->ops->slab_free(b->be, w.slab); }
    if (w.bank != NULL) { b->be->ops->slab_free(b->be, w.bank); }
    if (w.f32 != NULL) { b->be->ops->slab_free(b->be, w.f32); }
}
