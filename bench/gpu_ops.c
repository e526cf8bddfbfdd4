/* The ops of an image tower one by one, and the ceilings they are held against. */
#include <string.h>

#include "gpu_bench.h"
#include "gpu/inside.h"

#define CEILING_SIDE 8192
#define CEILING_COPY ((size_t)1 << 30)

/* ---- Linear layers -------------------------------------------------------------------------- */

typedef struct linear_work {
    ccu_linear op;      /* pointers are filled in for each round */
    bool       residual;
    uint8_t   *weights; /* sets of them, weight_bytes each */
    size_t     weight_bytes;
    int32_t    sets;
} linear_work;

static void run_linear(bench *b, void *user, int32_t round) {
    const linear_work *w    = user;
    const size_t       size = ccu_dtype_bytes(w->op.dtype);
    const size_t       x    = (size_t)w->op.M * (size_t)w->op.K * size;
    const size_t       y    = (size_t)w->op.M * (size_t)w->op.N * size;
    ccu_linear         op   = w->op;
    op.x = bench_input(b, x, round);
    op.y = bench_output(b, y, round);
    op.r = w->residual ? bench_input(b, y, round + 1) : NULL;
    op.w = w->weights + (size_t)(round % w->sets) * w->weight_bytes;
    b->be->ops->linear(b->be, &op);
}

/* One packed matrix and copies of it, so that weights come from memory as they do in a tower. */
static bool open_weights(bench *b, linear_work *w) {
    const ccu_linear *op    = &w->op;
    const size_t      count = (size_t)op->N * (size_t)op->K;
    clipcu_error      error = { 0 };
    const size_t      bytes = b->be->ops->linear_bytes(b->be, op->N, op->K, op->dtype,
                                                       op->weights);
    w->weight_bytes = (bytes + 255) / 256 * 256;
    w->sets         = bench_sets(b, w->weight_bytes);
    w->weights      = b->be->ops->slab_alloc(b->be, w->weight_bytes * (size_t)w->sets);
    float *host     = bench_host_random(count, 0.03f);
    if (w->weights != NULL && host != NULL) {
        b->be->ops->linear_pack(b->be, w->weights, host, op->N, op->K, op->dtype,
                                 op->weights);
        for (int32_t i = 1; i < w->sets; i++) {
            b->be->ops->copy(b->be, w->weights + (size_t)i * w->weight_bytes, w->weights,
                             w->weight_bytes);
        }
    }
    bench_host_free(host);
    return b->be->ops->finish(b->be, &error) == CLIPCU_OK && w->weights != NULL;
}

/* One shape by every way there is; the best rate is kept in *best (FLOP/s). */
static void linear_ways(bench *b, bench_row row, linear_work *w, double *best) {
    const char *const ways[] = { "auto", "cublaslt", "wgmma", "mma", "plain" };
    if (!open_weights(b, w)) {
        bench_report_missing(b, &row, "no memory for its weights");
        b->be->ops->slab_free(b->be, w->weights);
        return;
    }
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const char *name    = ways[i];
        ccu_linear  example = w->op;
        example.x = b->pool;
        example.y = b->out;
        example.w = w->weights;
        row.way   = name;
        if (w->op.dtype != CCU_F32 && strcmp(name, "plain") == 0 && !b->tiny) { continue; }
        if (!gpu_set_way(b->be, name)) { continue; } /* not on this device */
        if (!gpu_way_takes(b->be, &example)) { continue; }
        if (bench_measure(b, run_linear, w, &row.time)) {
            bench_report(b, &row);
            const double rate = row.time.ms > 0.0 ? row.flop / row.time.ms * 1e3 : 0.0;
            if (best != NULL && rate > *best) { *best = rate; }
        } else {
            bench_report_missing(b, &row, "failed");
        }
    }
    (void)gpu_set_way(b->be, "auto");
    b->be->ops->slab_free(b->be, w->weights);
}

static void bench_linear(bench *b, const bench_tower *t, const char *part, int32_t batch,
                         ccu_linear op, bool residual) {
    const double M = op.M, N = op.N, K = op.K, size = (double)ccu_dtype_bytes(op.dtype);
    linear_work  w = { .op = op, .residual = residual };
    if ((size_t)op.M * (size_t)(op.N > op.K ? op.N : op.K) * ccu_dtype_bytes(op.dtype) >
        b->pool_bytes) {
        return;
    }
    const bench_row row = { .op = "linear", .tower = t->name, .part = part, .batch = batch,
                            .dtype = op.dtype, .flop = 2.0 * M * N * K,
                            .bytes = (M * K + N * K + M * N * (residual ? 2.0 : 1.0)) * size };
    linear_ways(b, row, &w, NULL);
}

void bench_linears(bench *b, const bench_tower *t, int32_t batch) {
    const int32_t M    = batch * bench_tokens(t);
    float        *bias = bench_random_f32(b, (size_t)(t->mlp > 3 * t->C ? t->mlp : 3 * t->C));
    if (bias == NULL) { return; }
    const ccu_linear qkv = { .b = bias, .M = M, .N = 3 * t->C, .K = t->C, .dtype = b->dtype };
    const ccu_linear out = { .b = bias, .M = M, .N = t->C, .K = t->C, .dtype = b->dtype };
    const ccu_linear fc1 = { .b = bias, .M = M, .N = t->mlp, .K = t->C, .act = t->act,
                             .dtype = b->dtype };
    const ccu_linear fc2 = { .b = bias, .M = M, .N = t->C, .K = t->mlp, .dtype = b->dtype };
    bench_linear(b, t, "qkv", batch, qkv, false);
    bench_linear(b, t, "out", batch, out, true);
    bench_linear(b, t, "fc1", batch, fc1, false);
    bench_linear(b, t, "fc2", batch, fc2, true);
    b->be->ops->slab_free(b->be, bias);
}

/* ---- Ceilings ------------------------------------------------------------------------------- */

static void run_copy(bench *b, void *user, int32_t round) {
    const size_t bytes = *(const size_t *)user;
    (void)round;
    b->be->ops->copy(b->be, b->out, b->pool, bytes);
}

/* The copy counts bytes read and bytes written; the product is of random numbers. */
void bench_ceilings(bench *b) {
    const int32_t side  = b->tiny ? 64 : CEILING_SIDE;
    size_t        bytes = b->tiny ? 4096 : CEILING_COPY;
    bench_row     copy  = { .op = "ceiling", .tower = "", .part = "copy", .way = "",
                            .dtype = b->dtype, .bytes = 2.0 * (double)bytes };
    if (bench_measure(b, run_copy, &bytes, &copy.time)) {
        b->copy_bytes_s = copy.time.ms > 0.0 ? copy.bytes / copy.time.ms * 1e3 : 0.0;
        bench_report(b, &copy);
    } else {
        bench_report_missing(b, &copy, "failed");
    }
    const double cube = (double)side * side * side;
    bench_row    row  = { .op = "ceiling", .tower = "", .part = "product", .dtype = b->dtype,
                          .flop = 2.0 * cube,
                          .bytes = 3.0 * side * side * (double)ccu_dtype_bytes(b->dtype) };
    linear_work  w    = { .op = { .M = side, .N = side, .K = side, .dtype = b->dtype } };
    linear_ways(b, row, &w, &b->product_flop_s);
}

/* ---- The other ops -------------------------------------------------------------------------- */

typedef struct op_work {
    const bench_tower *t;
    int32_t            batch;
    float             *f32;     /* parameters: weights, biases, positions */
    uint8_t           *weights; /* packed patch embedding */
    void              *scratch;
} op_work;

static void run_layernorm(bench *b, void *user, int32_t round) {
    const op_work *w     = user;
    const int32_t  M     = w->batch * bench_tokens(w->t);
    const size_t   bytes = (size_t)M * (size_t)w->t->C * ccu_dtype_bytes(b->dtype);
    b->be->ops->layernorm(b->be, &(ccu_layernorm){ .y = bench_output(b, bytes, round),
                                                   .x = bench_input(b, bytes, round),
                                                   .w = w->f32, .b = w->f32 + w->t->C, .M = M,
                                                   .C = w->t->C, .eps = 1e-5f,
                                                   .dtype = b->dtype });
}

static void run_attention(bench *b, void *user, int32_t round) {
    const op_work *w    = user;
    const int32_t  T    = bench_tokens(w->t), C = w->t->C;
    const size_t   size = ccu_dtype_bytes(b->dtype);
    const size_t   rows = (size_t)w->batch * (size_t)T;
    const uint8_t *qkv  = bench_input(b, rows * 3 * (size_t)C * size, round);
    b->be->ops->attention(b->be,
                          &(ccu_attention){ .y = bench_output(b, rows * (size_t)C * size, round),
                                            .q = qkv, .k = qkv + (size_t)C * size,
                                            .v = qkv + 2 * (size_t)C * size, .q_stride = 3 * C,
                                            .kv_stride = 3 * C, .B = w->batch, .Tq = T, .T = T,
                                            .H = w->t->H, .D = C / w->t->H, .dtype = b->dtype });
}

static ccu_patch_embed patch_op(const bench *b, const op_work *w, int32_t round) {
    const size_t S = (size_t)w->t->S, B = (size_t)w->batch;
    const size_t y = B * (size_t)bench_tokens(w->t) * (size_t)w->t->C * ccu_dtype_bytes(b->dtype);
    return (ccu_patch_embed){ .y = bench_output(b, y, round),
                              .pixels = bench_input(b, B * S * S * 3, round), .w = w->weights,
                              .b = w->f32, .class_token = w->f32, .positions = w->f32,
                              .scratch = w->scratch, .unscale = { 68.0f, 66.0f, 70.0f },
                              .unshift = { -5.0f, -11.0f, -24.0f }, .kind = CCU_PIXELS_U8,
                              .B = w->batch, .S = w->t->S, .P = w->t->P, .C = w->t->C,
                              .dtype = b->dtype };
}

static void run_patch(bench *b, void *user, int32_t round) {
    const ccu_patch_embed op = patch_op(b, user, round);
    b->be->ops->patch_embed(b->be, &op);
}

static void run_normalise(bench *b, void *user, int32_t round) {
    const op_work *w = user;
    const size_t   n = (size_t)w->batch * (size_t)w->t->E;
    b->be->ops->normalise(b->be, &(ccu_normalise){ .y = bench_output(b, n * 4, round),
                                                   .x = bench_input(b, n * 2, round),
                                                   .M = w->batch, .E = w->t->E,
                                                   .dtype = b->dtype });
}

static void one_op(bench *b, bench_row row, bench_work work, op_work *w) {
    if (bench_measure(b, work, w, &row.time)) {
        bench_report(b, &row);
    } else {
        bench_report_missing(b, &row, "failed");
    }
}

/* Weights of the patch embedding and scratch; false if there is no memory. */
static bool open_patch(bench *b, op_work *w) {
    const int32_t K = 3 * w->t->P * w->t->P;
    clipcu_error  error = { 0 };
    float        *host  = bench_host_random((size_t)w->t->C * (size_t)K, 1e-3f);
    w->weights = b->be->ops->slab_alloc(b->be, b->be->ops->linear_bytes(b->be, w->t->C, K,
                                                                        b->dtype,
                                                                        CCU_WEIGHTS_PLAIN));
    if (host != NULL && w->weights != NULL) {
        b->be->ops->linear_pack(b->be, w->weights, host, w->t->C, K, b->dtype, CCU_WEIGHTS_PLAIN);
    }
    bench_host_free(host);
    const ccu_patch_embed op    = patch_op(b, w, 0);
    const size_t          bytes = b->be->ops->patch_embed_scratch(b->be, &op);
    if (bytes > 0) { w->scratch = b->be->ops->slab_alloc(b->be, bytes); }
    return b->be->ops->finish(b->be, &error) == CLIPCU_OK;
}

void bench_ops(bench *b, const bench_tower *t, int32_t batch) {
    const double size = (double)ccu_dtype_bytes(b->dtype);
    const double T = bench_tokens(t), C = t->C, M = (double)batch * T, K = 3.0 * t->P * t->P;
    op_work      w = { .t = t, .batch = batch };
    if ((size_t)(M * 3.0 * C * size) > b->pool_bytes) { return; }
    w.f32 = bench_random_f32(b, (size_t)(T * C + 2 * C));
    bench_row row = { .tower = t->name, .part = "", .way = "", .batch = batch, .dtype = b->dtype };
    if (w.f32 == NULL || !open_patch(b, &w)) {
        row.op = "ops";
        bench_report_missing(b, &row, "no memory for its weights");
        return;
    }
    row.op    = "patch_embed";
    row.flop  = 2.0 * batch * (T - 1) * C * K;
    row.bytes = (double)batch * t->S * t->S * 3.0 + C * K * size + M * C * size;
    one_op(b, row, run_patch, &w);
    row.op    = "layernorm";
    row.flop  = 0.0;
    row.bytes = 2.0 * M * C * size;
    one_op(b, row, run_layernorm, &w);
    row.op    = "attention";
    row.flop  = 4.0 * M * T * C;
    row.bytes = 4.0 * M * C * size;
    one_op(b, row, run_attention, &w);
    row.op    = "normalise";
    row.flop  = 0.0;
    row.bytes = (double)batch * t->E * (size + 4.0);
    one_op(b, row, run_normalise, &w);
    b->be->ops->slab_free(b->be, w.f32);
    b->be->ops->slab_free(b->be, w.weights);
    if (w.scratch != NULL) { b->be->ops->slab_free(b->be, w.scratch); }
}
