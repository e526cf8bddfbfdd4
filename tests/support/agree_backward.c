/* Agree cases of the backward ops; see agree_cases.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference/reference.h"
#include "support/agree_cases.h"

typedef struct answer {
    double *want, *bound;
} answer;

static answer answer_new(size_t count) {
    return (answer){ calloc(count + 1, sizeof(double)), calloc(count + 1, sizeof(double)) };
}

static void answer_check(agree *a, agree_tensor *y, const answer *one) {
    (void)agree_check(a, y, one->want, one->bound);
    free(one->want);
    free(one->bound);
}

static const int32_t dims[][2] = { { 1, 1 },   { 2, 3 },    { 77, 512 }, { 31, 61 }, { 5, 2048 },
                                   { 301, 40 }, { 3, 5120 }, { 0, 16 },   { 9, 8 },   { 7, 260 } };
#define DIMS (sizeof dims / sizeof *dims)

void agree_act_backward(agree *a, ccu_dtype dtype) {
    const float spreads[] = { 1, 6, 40, 1e-3f };
    for (size_t i = 0; i < 8 * DIMS; i++) {
        const int32_t M = dims[i / 8][0], N = dims[i / 8][1];
        const ccu_act act      = i % 2 == 0 ? CCU_ACT_QUICK_GELU : CCU_ACT_GELU;
        const bool    in_place = i % 3 == 0;
        const float   spread   = spreads[i / 2 % 4];
        agree_begin(a, "act_backward", "%s M %d N %d act %d x +- %g in place %d",
                    ccu_dtype_name(dtype), M, N, (int)act, (double)spread, in_place);
        agree_tensor *x  = agree_input(a, (size_t)M, (size_t)N, 0, dtype, 0, spread);
        agree_tensor *dy = agree_input(a, (size_t)M, (size_t)N, 0, dtype, 0, 2);
        agree_tensor *dx = in_place ? dy : agree_output(a, (size_t)M, (size_t)N, 0, dtype);

        ccu_act_backward op = { .dx = dx->at, .dy = dy->at, .x = x->at, .M = M, .N = N, .act = act,
                                .dtype = dtype };
        a->be->ops->act_backward(a->be, &op);

        const answer one = answer_new((size_t)M * (size_t)N);
        op.dy = dy->host;
        op.x  = x->host;
        ref_act_backward(&op, one.want, one.bound);
        answer_check(a, dx, &one);
    }
}

void agree_layernorm_backward(agree *a, ccu_dtype dtype) {
    const float means[] = { 0, 0, 30 }, spreads[] = { 1, 1e-2f, 1 };
    for (size_t i = 0; i < 6 * DIMS; i++) {
        const int32_t M = dims[i / 6][0], C = dims[i / 6][1];
        const int32_t residual = (int32_t)(i % 3); /* none, apart, in place */
        agree_begin(a, "layernorm_backward", "%s M %d C %d residual %d x %g +- %g",
                    ccu_dtype_name(dtype), M, C, residual, (double)means[i / 2 % 3],
                    (double)spreads[i / 2 % 3]);
        agree_tensor *x  = agree_input(a, (size_t)M, (size_t)C, 0, dtype, means[i / 2 % 3],
                                       spreads[i / 2 % 3]);
        agree_tensor *dy = agree_input(a, (size_t)M, (size_t)C, 0, dtype, 0, 1);
        agree_tensor *w  = agree_input(a, 1, (size_t)C, 0, CCU_F32, 1, 0.5f);
        agree_tensor *r  = agree_input(a, (size_t)M, (size_t)C, 0, dtype, 0, 1);
        agree_tensor *dx = residual == 2 ? r : agree_output(a, (size_t)M, (size_t)C, 0, dtype);

        ccu_layernorm_backward op = { .dx = dx->at, .dy = dy->at, .x = x->at, .w = w->at,
                                      .r = residual == 0 ? NULL : r->at, .M = M, .C = C,
                                      .eps = 1e-5f, .dtype = dtype };
        a->be->ops->layernorm_backward(a->be, &op);

        const answer one = answer_new((size_t)M * (size_t)C);
        op.dy = dy->host;
        op.x  = x->host;
        op.w  = w->host;
        op.r  = residual == 0 ? NULL : r->host;
        ref_layernorm_backward(&op, one.want, one.bound);
        answer_check(a, dx, &one);
    }
}

void agree_normalise_backward(agree *a, ccu_dtype dtype) {
    const float spreads[] = { 1, 1e3f, 1e-3f, 0 };
    for (size_t i = 0; i < 4 * DIMS; i++) {
        const int32_t M = dims[i / 4][0], E = dims[i / 4][1];
        const bool    in_place = i % 2 == 0;
        if (spreads[i % 4] == 0.0f && dtype == CCU_F16) { continue; } /* 1 / 1e-12 is beyond f16 */
        agree_begin(a, "normalise_backward", "%s M %d E %d x +- %g in place %d",
                    ccu_dtype_name(dtype), M, E, (double)spreads[i % 4], in_place);
        agree_tensor *x  = agree_input(a, (size_t)M, (size_t)E, 0, dtype, 0, spreads[i % 4]);
        agree_tensor *dy = agree_input(a, (size_t)M, (size_t)E, 0, CCU_F32, 0, 1);
        agree_tensor *dx = in_place ? x : agree_output(a, (size_t)M, (size_t)E, 0, dtype);

        ccu_normalise_backward op = { .dx = dx->at, .dy = dy->at, .x = x->at, .M = M, .E = E,
                                      .dtype = dtype };
        a->be->ops->normalise_backward(a->be, &op);

        const answer one = answer_new((size_t)M * (size_t)E);
        op.dy = dy->host;
        op.x  = x->host;
        ref_normalise_backward(&op, one.want, one.bound);
        answer_check(a, dx, &one);
    }
}

/* ---- Trees --------------------------------------------------------------------------------- */

typedef struct tree_case {
    int32_t M, H, D;
    int32_t depth_max;
    int32_t queries; /* 0: every row, through rows NULL; else that many, some rows twice */
    int32_t gap;
} tree_case;

static const tree_case tree_cases[] = {
    { 1, 1, 1, 1, 0, 0 },     { 2, 1, 3, 2, 0, 2 },     { 77, 2, 64, 77, 0, 0 },
    { 77, 8, 64, 77, 1, 512 }, { 64, 3, 24, 1, 0, 0 },   { 211, 8, 64, 12, 0, 1024 },
    { 211, 3, 61, 40, 17, 1 }, { 97, 5, 80, 77, 0, 0 },  { 40, 2, 128, 30, 40, 0 },
    { 120, 6, 64, 9, 33, 64 }, { 50, 3, 64, 12, 70, 1 }, { 9, 2, 64, 5, 0, 0 },
    { 20, 2, 33, 6, 400, 0 }, /* more queries below a row than one warp takes */
};

typedef struct tree {
    int32_t *first, *count, *path, *rows, *below_first, *below_end;
    int32_t  path_total;
} tree;

/* Rows in preorder: each hangs on a row of the path to the one before it. */
static tree make_tree(agree *a, const tree_case *c) {
    const size_t M = (size_t)c->M, queries = (size_t)c->queries + 1;
    tree         t = { calloc(M, 4), calloc(M, 4), calloc(M * (size_t)c->depth_max, 4),
                       calloc(queries, 4), calloc(M, 4), calloc(M, 4), 0 };
    for (int32_t m = 0; m < c->M; m++) {
        int32_t depth = 0;
        if (m > 0) {
            const int32_t most = t.count[m - 1] < c->depth_max ? t.count[m - 1] : c->depth_max - 1;
            depth = most - (int32_t)agree_random_below(a, 3);
            depth = depth < 0 ? 0 : depth;
            memcpy(t.path + t.path_total, t.path + t.first[m - 1], (size_t)depth * 4);
        }
        t.first[m]                     = t.path_total;
        t.count[m]                     = depth + 1;
        t.path[t.path_total + depth] = m;
        t.path_total += depth + 1;
    }
    for (int32_t i = 0; i < c->queries; i++) { /* ascending, the last ones not all reached */
        t.rows[i] = (int32_t)((int64_t)i * c->M / c->queries);
    }
    for (int32_t j = 0; j < c->M; j++) {
        int32_t end = j + 1;
        while (end < c->M && t.count[end] > t.count[j]) { end++; }
        t.below_first[j] = j;
        t.below_end[j]   = end;
        if (c->queries > 0) {
            int32_t first = 0, last = 0;
            while (first < c->queries && t.rows[first] < j) { first++; }
            for (last = first; last < c->queries && t.rows[last] < end;) { last++; }
            t.below_first[j] = first;
            t.below_end[j]   = last;
        }
    }
    return t;
}

static void free_tree(const tree *t) {
    free(t->first);
    free(t->count);
    free(t->path);
    free(t->rows);
    free(t->below_first);
    free(t->below_end);
}

static void run_tree(agree *a, const tree_case *c, ccu_dtype dtype) {
    const size_t width = (size_t)c->H * (size_t)c->D, stride = width + (size_t)c->gap;
    const size_t M = (size_t)c->M, Mq = (size_t)(c->queries == 0 ? c->M : c->queries);
    if (agree_too_large(a, 6.0 * (double)(Mq * width) * (c->depth_max + 1))) { return; }
    agree_begin(a, "attention_tree_backward", "%s M %d H %d D %d depth %d queries %d gap %d",
                ccu_dtype_name(dtype), c->M, c->H, c->D, c->depth_max, c->queries, c->gap);
    const tree    t  = make_tree(a, c);
    agree_tensor *q  = agree_input(a, Mq, width, stride, dtype, 0, 1);
    agree_tensor *k  = agree_input(a, M, width, stride, dtype, 0, 1);
    agree_tensor *v  = agree_input(a, M, width, stride, dtype, 0, 2);
    agree_tensor *dy = agree_input(a, Mq, width, 0, dtype, 0, 1);
    agree_tensor *dq = agree_output(a, Mq, width, stride, dtype);
    agree_tensor *dk = agree_output(a, M, width, stride, dtype);
    agree_tensor *dv = agree_output(a, M, width, stride, dtype);

    ccu_attention_tree_backward op = { .dq = dq->at, .dk = dk->at, .dv = dv->at, .dy = dy->at,
                                       .q = q->at, .k = k->at, .v = v->at,
                                       .path_used = (size_t)t.path_total,
                                       .q_stride = (int32_t)stride, .kv_stride = (int32_t)stride,
                                       .Mq = (int32_t)Mq, .M = c->M, .H = c->H, .D = c->D,
                                       .path_max = c->depth_max, .dtype = dtype };
    op.rows        = c->queries == 0 ? NULL : agree_bytes(a, t.rows, Mq * 4);
    op.path_first  = agree_bytes(a, t.first, M * 4);
    op.path_count  = agree_bytes(a, t.count, M * 4);
    op.path        = agree_bytes(a, t.path, (size_t)t.path_total * 4);
    op.below_first = agree_bytes(a, t.below_first, M * 4);
    op.below_end   = agree_bytes(a, t.below_end, M * 4);
    const size_t scratch = a->be->ops->attention_tree_backward_scratch(a->be, &op);
    op.scratch = agree_output(a, 1, scratch / sizeof(float) + 1, 0, CCU_F32)->at;
    a->be->ops->attention_tree_backward(a->be, &op);

    const answer of_q = answer_new(Mq * width), of_k = answer_new(M * width),
                 of_v = answer_new(M * width);
    op.q          = q->host;
    op.k          = k->host;
    op.v          = v->host;
    op.dy         = dy->host;
    op.rows       = c->queries == 0 ? NULL : t.rows;
    op.path_first = t.first;
    op.path_count = t.count;
    op.path       = t.path;
    ref_attention_tree_backward(&op, of_q.want, of_q.bound, of_k.want, of_k.bound, of_v.want,
                                of_v.bound);
    answer_check(a, dq, &of_q);
    answer_check(a, dk, &of_k);
    answer_check(a, dv, &of_v);
    free_tree(&t);
}

void agree_attention_tree_backward(agree *a, ccu_dtype dtype) {
    for (size_t i = 0; i < sizeof tree_cases / sizeof *tree_cases; i++) {
        run_tree(a, &tree_cases[i], dtype);
    }
}

/* ---- The loss ------------------------------------------------------------------------------ */

typedef struct loss_case {
    int32_t B, K, E;
    float   scale;
    bool    own_banks;
} loss_case;

static const loss_case loss_cases[] = {
    { 1, 1, 1, 1, false },       { 1, 2, 5, 100, false },   { 32, 10, 512, 100, false },
    { 7, 1000, 64, 100, false }, { 3, 257, 61, 30, true },  { 1, 129, 512, 100, true },
    { 5, 64, 33, 1, true },      { 33, 130, 20, 10, false },
};

/* Rows as unit vectors. */
static agree_tensor *unit_rows(agree *a, size_t rows, size_t E) {
    float *values = malloc(rows * E * sizeof *values);
    for (size_t r = 0; r < rows; r++) {
        double square = 0.0;
        for (size_t e = 0; e < E; e++) {
            values[r * E + e] = agree_random(a, 0, 1) + 1e-3f;
            square += (double)values[r * E + e] * values[r * E + e];
        }
        for (size_t e = 0; e < E; e++) { values[r * E + e] /= (float)sqrt(square); }
    }
    agree_tensor *t = agree_input_from(a, values, rows, E, CCU_F32);
    free(values);
    return t;
}

/* The class that was called best has, within rounding, the highest score. */
static void check_best(agree *a, const loss_case *c, const double *z, const int32_t *best) {
    for (int32_t b = 0; b < c->B; b++) {
        const double *row = z + (size_t)b * (size_t)c->K;
        for (int32_t k = 0; k < c->K; k++) {
            if (best[b] < 0 || best[b] >= c->K ||
                row[k] > row[best[b]] + 1e-5 * (double)c->scale) {
                (void)agree_fail(a, "picture %d: class %d is called best, %d is better", b,
                                 best[b], k);
                return;
            }
        }
    }
}

static void run_loss(agree *a, const loss_case *c) {
    const size_t B = (size_t)c->B, K = (size_t)c->K, E = (size_t)c->E;
    const size_t banks = c->own_banks ? B : 1;
    int32_t     *label = malloc(B * sizeof *label), *best = malloc(B * sizeof *best);
    agree_begin(a, "softmax_cross_entropy", "B %d K %d E %d scale %g own banks %d", c->B, c->K,
                c->E, (double)c->scale, c->own_banks);
    for (size_t b = 0; b < B; b++) { label[b] = (int32_t)agree_random_below(a, (uint32_t)K); }
    agree_tensor *x     = unit_rows(a, B, E);
    agree_tensor *bank  = unit_rows(a, banks * K, E);
    agree_tensor *loss  = agree_output(a, 1, B, 0, CCU_F32);
    agree_tensor *dbank = agree_output(a, banks * K, E, 0, CCU_F32);
    memset(best, 0xff, B * sizeof *best);
    int32_t *best_at = agree_bytes(a, best, B * sizeof *best);

    ccu_softmax_cross_entropy op = { .loss = loss->at, .best = best_at, .dbank = dbank->at,
                                     .x = x->at, .bank = bank->at,
                                     .label = agree_bytes(a, label, B * sizeof *label),
                                     .scale = c->scale, .weight = 1.0f / (float)B, .B = c->B,
                                     .K = c->K, .E = c->E, .own_banks = c->own_banks };
    const size_t scratch = a->be->ops->softmax_cross_entropy_scratch(a->be, &op);
    op.scratch = agree_output(a, 1, scratch / sizeof(float) + 1, 0, CCU_F32)->at;
    a->be->ops->softmax_cross_entropy(a->be, &op);
    a->be->ops->download(a->be, best, best_at, B * sizeof *best);
    (void)a->be->ops->finish(a->be, NULL);

    const answer of_loss = answer_new(B), of_bank = answer_new(banks * K * E);
    double      *z       = malloc(B * K * sizeof *z);
    op.x     = x->host;
    op.bank  = bank->host;
    op.label = label;
    ref_softmax_cross_entropy(&op, z, of_loss.want, of_loss.bound, of_bank.want, of_bank.bound);
    check_best(a, c, z, best);
    answer_check(a, loss, &of_loss);
    answer_check(a, dbank, &of_bank);
    free(z);
    free(label);
    free(best);
}

void agree_softmax_cross_entropy(agree *a, ccu_dtype dtype) {
    (void)dtype; /* always f32 */
    for (size_t i = 0; i < sizeof loss_cases / sizeof *loss_cases; i++) {
        run_loss(a, &loss_cases[i]);
    }
}
