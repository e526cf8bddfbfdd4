/* Bit stability: rows of a result against the same rows computed alone, elsewhere in a batch and
 * by other backends; see agree_cases.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/reference.h"
#include "support/agree_cases.h"

#define SEED 977

/* Runs one op on units first .. first + count - 1 (rows, sequences, images) of a fixed problem and
 * returns their results, (count, *width). Whatever is random is made in full and in the same order
 * every time. */
typedef float *(*part_fn)(agree *a, ccu_dtype dtype, int32_t first, int32_t count, size_t *width);

/* rows x columns values of which a part becomes a tensor. */
static agree_tensor *part(agree *a, int32_t rows, size_t columns, int32_t first, int32_t count,
                          ccu_dtype dtype) {
    float *all = malloc((size_t)rows * columns * sizeof *all);
    for (size_t i = 0; i < (size_t)rows * columns; i++) { all[i] = agree_random(a, 0, 1); }
    agree_tensor *t = agree_input_from(a, all + (size_t)first * columns, (size_t)count, columns,
                                       dtype);
    free(all);
    return t;
}

static void *weights(agree *a, int32_t N, int32_t K, ccu_dtype dtype) {
    float *w = malloc((size_t)N * (size_t)K * sizeof *w);
    for (size_t i = 0; i < (size_t)N * (size_t)K; i++) { w[i] = agree_random(a, 0, 0.1f); }
    void *packed = agree_weights(a, w, N, K, dtype);
    free(w);
    return packed;
}

#define LINEAR_ROWS 1031

static float *linear_of(agree *a, ccu_dtype dtype, int32_t first, int32_t count, size_t *width,
                        int32_t N, int32_t K) {
    agree_tensor    *x  = part(a, LINEAR_ROWS, (size_t)K, first, count, dtype);
    agree_tensor    *b  = part(a, 1, (size_t)N, 0, 1, CCU_F32);
    agree_tensor    *y  = part(a, LINEAR_ROWS, (size_t)N, first, count, dtype);
    const ccu_linear op = { .y = y->at, .x = x->at, .w = weights(a, N, K, dtype), .b = b->at,
                            .r = y->at, .M = count, .N = N, .K = K, .act = CCU_ACT_QUICK_GELU,
                            .dtype = dtype };
    a->be->ops->linear(a->be, &op);
    *width = (size_t)N;
    return agree_values(a, y);
}

static float *linear_square(agree *a, ccu_dtype dtype, int32_t first, int32_t count,
                            size_t *width) {
    return linear_of(a, dtype, first, count, width, 768, 768);
}

static float *linear_odd(agree *a, ccu_dtype dtype, int32_t first, int32_t count, size_t *width) {
    return linear_of(a, dtype, first, count, width, 331, 203);
}

static float *linear_deep(agree *a, ccu_dtype dtype, int32_t first, int32_t count, size_t *width) {
    return linear_of(a, dtype, first, count, width, 64, 3072);
}

static float *layernorm(agree *a, ccu_dtype dtype, int32_t first, int32_t count, size_t *width) {
    const size_t        C  = 301;
    agree_tensor       *x  = part(a, LINEAR_ROWS, C, first, count, dtype);
    agree_tensor       *w  = part(a, 1, C, 0, 1, CCU_F32);
    agree_tensor       *b  = part(a, 1, C, 0, 1, CCU_F32);
    agree_tensor       *y  = agree_output(a, (size_t)count, C, 0, dtype);
    const ccu_layernorm op = { .y = y->at, .x = x->at, .w = w->at, .b = b->at, .M = count,
                               .C = (int32_t)C, .eps = 1e-5f, .dtype = dtype };
    a->be->ops->layernorm(a->be, &op);
    *width = C;
    return agree_values(a, y);
}

static float *attention(agree *a, ccu_dtype dtype, int32_t first, int32_t count, size_t *width) {
    const int32_t T = 57, H = 3, D = 72;
    const size_t  each = (size_t)(T * H * D);
    agree_tensor *q    = part(a, 33, each, first, count, dtype);
    agree_tensor *k    = part(a, 33, each, first, count, dtype);
    agree_tensor *v    = part(a, 33, each, first, count, dtype);
    agree_tensor *y    = agree_output(a, (size_t)count, each, 0, dtype);
    const ccu_attention op = { .y = y->at, .q = q->at, .k = k->at, .v = v->at, .q_stride = H * D,
                               .kv_stride = H * D, .B = count, .Tq = T, .T = T, .H = H, .D = D,
                               .dtype = dtype };
    a->be->ops->attention(a->be, &op);
    *width = each;
    return agree_values(a, y);
}

/* A chain of 60 tokens from which 40 others branch off; a part is a run of queries. */
static float *attention_tree(agree *a, ccu_dtype dtype, int32_t first, int32_t count,
                             size_t *width) {
    const int32_t M = 100, H = 5, D = 64;
    const size_t  C = (size_t)(H * D);
    int32_t       starts[100], depths[100], rows[100], path[100 * 61], total = 0;
    for (int32_t m = 0; m < M; m++) {
        const int32_t shared = m < 60 ? m : m - 50;
        starts[m]            = total;
        depths[m]            = shared + 1;
        rows[m]              = m;
        for (int32_t j = 0; j < shared; j++) { path[total++] = j; }
        path[total++] = m;
    }
    agree_tensor *q = part(a, M, C, first, count, dtype);
    agree_tensor *k = part(a, M, C, 0, M, dtype);
    agree_tensor *v = part(a, M, C, 0, M, dtype);
    agree_tensor *y = agree_output(a, (size_t)count, C, 0, dtype);
    const ccu_attention_tree op = {
        .y = y->at, .q = q->at, .k = k->at, .v = v->at, .q_stride = H * D, .kv_stride = H * D,
        .rows = agree_bytes(a, rows + first, (size_t)count * 4),
        .path_first = agree_bytes(a, starts, sizeof starts),
        .path_count = agree_bytes(a, depths, sizeof depths),
        .path = agree_bytes(a, path, (size_t)total * 4), .Mq = count, .M = M, .H = H, .D = D,
        .path_max = 61, .dtype = dtype };
    a->be->ops->attention_tree(a->be, &op);
    *width = C;
    return agree_values(a, y);
}

static float *patch_embed(agree *a, ccu_dtype dtype, int32_t first, int32_t count, size_t *width) {
    const int32_t S = 112, P = 16, C = 96, T = 50;
    const size_t  each = (size_t)(S * S * 3);
    uint8_t      *all  = malloc(33 * each);
    for (size_t i = 0; i < 33 * each; i++) { all[i] = (uint8_t)agree_random_below(a, 256); }
    agree_tensor   *b         = part(a, 1, (size_t)C, 0, 1, CCU_F32);
    agree_tensor   *token     = part(a, 1, (size_t)C, 0, 1, CCU_F32);
    agree_tensor   *positions = part(a, T, (size_t)C, 0, T, CCU_F32);
    agree_tensor   *y         = agree_output(a, (size_t)(count * T), (size_t)C, 0, dtype);
    ccu_patch_embed op = { .y = y->at, .w = weights(a, C, 3 * P * P, dtype), .b = b->at,
                           .class_token = token->at, .positions = positions->at,
                           .kind = CCU_PIXELS_U8, .B = count, .S = S, .P = P, .C = C,
                           .dtype = dtype };
    op.pixels = agree_bytes(a, all + (size_t)first * each, (size_t)count * each);
    const size_t bytes = a->be->ops->patch_embed_scratch(a->be, &op);
    op.scratch = bytes == 0 ? NULL : agree_output(a, (bytes + 3) / 4, 1, 0, CCU_F32)->at;
    a->be->ops->patch_embed(a->be, &op);
    free(all);
    *width = (size_t)(T * C);
    return agree_values(a, y);
}

static float *normalise(agree *a, ccu_dtype dtype, int32_t first, int32_t count, size_t *width) {
    agree_tensor       *x  = part(a, LINEAR_ROWS, 513, first, count, dtype);
    agree_tensor       *y  = agree_output(a, (size_t)count, 513, 0, CCU_F32);
    const ccu_normalise op = { .y = y->at, .x = x->at, .M = count, .E = 513, .dtype = dtype };
    a->be->ops->normalise(a->be, &op);
    *width = 513;
    return agree_values(a, y);
}

/* (top) cosines, then probabilities, then indices of each row. */
static float *scores_topk(agree *a, ccu_dtype dtype, int32_t first, int32_t count, size_t *width) {
    const int32_t K = 9001, E = 72, top = 7;
    (void)dtype;
    agree_tensor   *x     = part(a, 133, (size_t)E, first, count, CCU_F32);
    agree_tensor   *bank  = part(a, K, (size_t)E, 0, K, CCU_F32);
    agree_tensor   *y[3];
    for (int32_t i = 0; i < 3; i++) {
        y[i] = agree_output(a, (size_t)count, (size_t)top, 0, CCU_F32);
    }
    ccu_scores_topk op = { .index = y[2]->at, .cosine = y[0]->at, .probability = y[1]->at,
                           .x = x->at, .bank = bank->at, .scale = 2, .B = count, .K = K, .E = E,
                           .top = top };
    const size_t bytes = a->be->ops->scores_topk_scratch(a->be, &op);
    op.scratch = bytes == 0 ? NULL : agree_output(a, (bytes + 3) / 4, 1, 0, CCU_F32)->at;
    a->be->ops->scores_topk(a->be, &op);
    float *all = calloc((size_t)(count * 3 * top), sizeof *all);
    for (int32_t i = 0; i < 3 * count; i++) {
        float *values = agree_values(a, y[i % 3]);
        if (values == NULL) {
            free(all);
            return NULL;
        }
        memcpy(all + (size_t)(i * top), values + (size_t)(i / 3 * top), (size_t)top * 4);
        free(values);
    }
    *width = (size_t)(3 * top);
    return all;
}

/* ---- The comparison ------------------------------------------------------------------------ */

typedef struct stable_op {
    const char *name;
    part_fn     run;
    int32_t     units;
    bool        f32_only;
} stable_op;

static const stable_op stable_ops[] = {
    { "linear 768 x 768", linear_square, LINEAR_ROWS, false },
    { "linear 331 x 203", linear_odd, LINEAR_ROWS, false },
    { "linear 64 x 3072", linear_deep, LINEAR_ROWS, false },
    { "layernorm", layernorm, LINEAR_ROWS, false },
    { "attention", attention, 33, false },
    { "attention_tree", attention_tree, 100, false },
    { "patch_embed", patch_embed, 33, false },
    { "normalise", normalise, LINEAR_ROWS, false },
    { "scores_topk", scores_topk, 133, true },
};

/* Heights around what tiles are made of. */
static const int32_t counts[] = { 1,  2,  3,  5,  6,   7,   8,   13, 32,
                                  50, 65, 99, 131, 191, 193, 250, 509 };

/* Units first .. first + count - 1 run alone on be; true if their bits are those in `whole`. */
static bool same(agree *a, const stable_op *op, ccu_dtype dtype, int32_t first, int32_t count,
                 const float *whole) {
    size_t width = 0;
    a->random    = SEED;
    agree_begin(a, op->name, "%s units %d .. %d", ccu_dtype_name(dtype), first, first + count - 1);
    float *values = op->run(a, dtype, first, count, &width);
    bool   good   = values != NULL;
    for (size_t i = 0; good && i < (size_t)count * width; i++) {
        const float want = whole[(size_t)first * width + i];
        if (memcmp(&values[i], &want, sizeof want) != 0) {
            good = agree_fail(a, "[%zu, %zu] is %.9g here and %.9g in the whole batch",
                              i / width, i % width, (double)values[i], (double)want);
        }
    }
    free(values);
    return good;
}

static int32_t run_op(ccu_backend *const *backends, int32_t count, const stable_op *op,
                      ccu_dtype dtype) {
    size_t width = 0;
    agree  first;
    agree_init(&first, backends[0], SEED);
    agree_begin(&first, op->name, "%s whole", ccu_dtype_name(dtype));
    float  *whole    = op->run(&first, dtype, 0, op->units, &width);
    int32_t failures = whole == NULL ? 1 : 0;
    agree_end(&first);
    for (int32_t b = 0; whole != NULL && b < count; b++) {
        agree a;
        agree_init(&a, backends[b], SEED);
        bool good = same(&a, op, dtype, 0, op->units, whole);
        for (size_t i = 0; good && i < sizeof counts / sizeof *counts; i++) {
            if (counts[i] > op->units) { break; }
            const int32_t last = op->units - counts[i];
            const int32_t at   = last < 3 ? last : (int32_t)(i % 2 == 0 ? (size_t)last : 3 + i % 5);
            good = same(&a, op, dtype, at < last ? at : last, counts[i], whole);
        }
        agree_end(&a);
        failures += a.failures;
    }
    free(whole);
    return failures;
}

int32_t agree_stable(ccu_backend *const *backends, int32_t count, ccu_dtype dtype,
                     const char *only) {
    int32_t failures = 0;
    for (size_t i = 0; i < sizeof stable_ops / sizeof *stable_ops; i++) {
        if (stable_ops[i].f32_only && dtype != CCU_F32) { continue; }
        if (only != NULL && strcmp(only, stable_ops[i].name) != 0) { continue; }
        failures += run_op(backends, count, &stable_ops[i], dtype);
    }
    return failures;
}
