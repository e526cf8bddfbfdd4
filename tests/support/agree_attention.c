/* Agree cases of dense and tree attention; see agree_cases.h. */
#include <stdlib.h>
#include <string.h>

#include "reference/reference.h"
#include "support/agree_cases.h"

typedef struct attention_case {
    int32_t B, Tq, T, H, D;
    int32_t gap;          /* elements between q, k and v rows beyond H * D */
    float   mean, spread; /* of q and k */
} attention_case;

static const attention_case attention_cases[] = {
    { 1, 1, 1, 1, 1, 0, 0, 1 },
    { 1, 1, 2, 1, 3, 5, 0, 1 },
    { 2, 7, 7, 3, 5, 1, 0, 1 },
    { 3, 50, 50, 12, 64, 2 * 768, 0, 1 },  /* B/32 out of a fused q, k, v */
    { 2, 1, 50, 12, 64, 0, 0, 1 },         /* class token only */
    { 1, 257, 257, 2, 64, 0, 0, 1 },       /* L/14 */
    { 1, 61, 197, 3, 64, 0, 0, 4 },
    { 2, 17, 31, 2, 72, 0, 0, 1 },
    { 2, 31, 31, 2, 80, 0, 0, 1 },
    { 1, 33, 65, 3, 88, 8, 0, 1 },
    { 1, 16, 64, 2, 104, 0, 0, 1 },
    { 1, 13, 577, 1, 128, 0, 0, 1 },
    { 1, 5, 1024, 1, 128, 0, 0, 1 },
    { 1, 19, 37, 2, 61, 3, 0, 1 },
    { 1, 20, 40, 2, 64, 0, 30, 1 },        /* large mean: scores near 57,000 */
    { 1, 20, 40, 2, 64, 0, 0, 12 },        /* one key takes all */
    { 1, 20, 40, 2, 64, 0, 0, 1e-4f },     /* all keys alike */
    { 5, 50, 50, 1, 64, 0, 0, 1 },         /* an odd number of heads, all in all */
    { 1, 77, 77, 3, 80, 16, 0, 1 },
    { 1, 197, 197, 1, 64, 128, 0, 1 },     /* B/16 */
    { 1, 257, 257, 1, 80, 0, 0, 1 },       /* H/14 */
    { 1, 17, 577, 1, 64, 0, 0, 8 },        /* the largest score comes late */
    { 1, 35, 1024, 1, 64, 0, 0, 1 },
    { 1, 6, 287, 1, 88, 0, 0, 1 },         /* around multiples of what kernels take at a time */
    { 1, 31, 288, 1, 104, 0, 0, 1 },
    { 1, 32, 289, 1, 72, 0, 0, 1 },
    { 3, 16, 16, 3, 72, 0, 0, 1 },
    { 1, 17, 17, 5, 104, 0, 0, 1 },
    { 1, 33, 33, 3, 64, 0, 0, 1 },
    { 1, 48, 48, 1, 88, 0, 0, 1 },
    { 1, 49, 49, 2, 80, 0, 0, 1 },
    { 2, 63, 63, 1, 64, 0, 0, 1 },
    { 1, 64, 64, 3, 64, 0, 0, 1 },
    { 1, 65, 65, 1, 64, 0, 0, 1 },
    { 1, 9, 128, 1, 64, 0, 0, 1 },
    { 1, 9, 129, 1, 64, 0, 30, 1 },
    { 1, 20, 40, 2, 64, 4, 0, 1 },         /* rows aligned to 8 bytes and to 2 */
    { 1, 20, 40, 2, 64, 1, 0, 1 },
    { 3, 1, 257, 5, 64, 64, 0, 1 },        /* few queries */
    { 1, 1, 577, 3, 80, 0, 0, 4 },
    { 2, 1, 3, 2, 104, 0, 0, 1 },
    { 1, 4, 197, 3, 64, 0, 0, 1 },
    { 2, 5, 50, 1, 64, 0, 0, 1 },
    { 2, 9, 13, 5, 16, 0, 0, 1 },
    { 1, 3, 9, 2, 256, 0, 0, 1 },
    { 1, 3, 9, 1, 264, 0, 0, 1 },
    { 1, 2, 4099, 1, 5, 0, 0, 1 },
};

static void run_attention(agree *a, const attention_case *c, ccu_dtype dtype) {
    const size_t width = (size_t)c->H * (size_t)c->D, stride = width + (size_t)c->gap;
    const size_t queries = (size_t)c->B * (size_t)c->Tq, keys = (size_t)c->B * (size_t)c->T;
    if (agree_too_large(a, 2.0 * (double)(queries * width) * c->T)) { return; }
    agree_begin(a, "attention", "%s B %d Tq %d T %d H %d D %d gap %d q, k %g +- %g",
                ccu_dtype_name(dtype), c->B, c->Tq, c->T, c->H, c->D, c->gap, (double)c->mean,
                (double)c->spread);
    agree_tensor *q = agree_input(a, queries, width, stride, dtype, c->mean, c->spread);
    agree_tensor *k = agree_input(a, keys, width, stride, dtype, c->mean, c->spread);
    agree_tensor *v = agree_input(a, keys, width, stride, dtype, 0, 2);
    agree_tensor *y = agree_output(a, queries, width, 0, dtype);

    ccu_attention op = { .y = y->at, .q = q->at, .k = k->at, .v = v->at,
                         .q_stride = (int32_t)stride, .kv_stride = (int32_t)stride, .B = c->B,
                         .Tq = c->Tq, .T = c->T, .H = c->H, .D = c->D, .dtype = dtype };
    a->be->ops->attention(a->be, &op);

    double *want = malloc(queries * width * sizeof *want);
    double *bound = malloc(queries * width * sizeof *bound);
    op.q = q->host;
    op.k = k->host;
    op.v = v->host;
    ref_attention(&op, want, bound);
    (void)agree_check(a, y, want, bound);
    free(want);
    free(bound);
}

void agree_attention(agree *a, ccu_dtype dtype) {
    for (size_t i = 0; i < sizeof attention_cases / sizeof *attention_cases; i++) {
        run_attention(a, &attention_cases[i], dtype);
    }
}

/* ---- Trees --------------------------------------------------------------------------------- */

typedef struct tree_case {
    int32_t M, H, D;
    int32_t depth_max; /* longest path */
    int32_t branch;    /* a row's parent is one of the `branch` rows before it; 0: any */
    int32_t queries;   /* 0: every row, through rows NULL */
    int32_t gap;
} tree_case;

static const tree_case tree_cases[] = {
    { 1, 1, 1, 1, 1, 0, 0 },
    { 2, 1, 3, 2, 1, 0, 2 },
    { 77, 2, 64, 77, 1, 0, 0 },      /* one text: a chain */
    { 77, 8, 64, 77, 1, 1, 512 },    /* its last token */
    { 64, 3, 24, 1, 0, 0, 0 },       /* roots only */
    { 211, 8, 64, 20, 0, 0, 1024 },  /* a bushy trie */
    { 211, 3, 61, 40, 3, 17, 1 },
    { 97, 5, 80, 77, 2, 0, 0 },
    { 40, 2, 128, 30, 1, 40, 0 },
    { 120, 6, 64, 9, 4, 33, 64 },
    { 66, 12, 64, 33, 1, 0, 0 },     /* a group of 32 keys and one more */
    { 50, 3, 64, 12, 0, 0, 1 },      /* rows aligned to 2 bytes */
    { 30, 2, 256, 8, 2, 0, 0 },
};

typedef struct tree {
    int32_t *first, *count, *path, *rows;
    int32_t  path_total;
} tree;

static tree make_tree(agree *a, const tree_case *c) {
    const size_t M = (size_t)c->M;
    tree         t = { calloc(M, 4), calloc(M, 4), calloc(M * (size_t)c->depth_max, 4),
                       calloc(M, 4), 0 };
    for (int32_t m = 0; m < c->M; m++) {
        const uint32_t reach  = (uint32_t)(c->branch == 0 || c->branch > m ? m : c->branch);
        const int32_t  parent = m == 0 ? -1 : m - 1 - (int32_t)agree_random_below(a, reach);
        t.first[m]            = t.path_total;
        if (parent >= 0 && t.count[parent] < c->depth_max) {
            t.count[m] = t.count[parent];
            memcpy(t.path + t.path_total, t.path + t.first[parent], (size_t)t.count[m] * 4);
        }
        t.path[t.path_total + t.count[m]++] = m;
        t.path_total += t.count[m];
    }
    for (int32_t i = 0; i < c->queries; i++) {
        t.rows[i] = c->queries == 1 ? c->M - 1 : (int32_t)agree_random_below(a, (uint32_t)c->M);
    }
    return t;
}

static void free_tree(const tree *t) {
    free(t->first);
    free(t->count);
    free(t->path);
    free(t->rows);
}

static void run_tree(agree *a, const tree_case *c, ccu_dtype dtype) {
    const size_t width = (size_t)c->H * (size_t)c->D, stride = width + (size_t)c->gap;
    const size_t M = (size_t)c->M, Mq = (size_t)(c->queries == 0 ? c->M : c->queries);
    if (agree_too_large(a, 2.0 * (double)(Mq * width) * (c->depth_max + 1))) { return; }
    agree_begin(a, "attention_tree", "%s M %d H %d D %d depth %d branch %d queries %d gap %d",
                ccu_dtype_name(dtype), c->M, c->H, c->D, c->depth_max, c->branch, c->queries,
                c->gap);
    const tree    t = make_tree(a, c);
    agree_tensor *q = agree_input(a, Mq, width, stride, dtype, 0, 1.5f);
    agree_tensor *k = agree_input(a, M, width, stride, dtype, 0, 1.5f);
    agree_tensor *v = agree_input(a, M, width, stride, dtype, 0, 2);
    agree_tensor *y = agree_output(a, Mq, width, 0, dtype);

    ccu_attention_tree op = { .y = y->at, .q = q->at, .k = k->at, .v = v->at,
                              .q_stride = (int32_t)stride, .kv_stride = (int32_t)stride,
                              .Mq = (int32_t)Mq, .M = c->M, .H = c->H, .D = c->D,
                              .path_max = c->depth_max, .dtype = dtype };
    op.rows       = c->queries == 0 ? NULL : agree_bytes(a, t.rows, Mq * 4);
    op.path_first = agree_bytes(a, t.first, M * 4);
    op.path_count = agree_bytes(a, t.count, M * 4);
    op.path       = agree_bytes(a, t.path, (size_t)t.path_total * 4);
    a->be->ops->attention_tree(a->be, &op);

    double *want = malloc(Mq * width * sizeof *want), *bound = malloc(Mq * width * sizeof *bound);
    op.q          = q->host;
    op.k          = k->host;
    op.v          = v->host;
    op.rows       = c->queries == 0 ? NULL : t.rows;
    op.path_first = t.first;
    op.path_count = t.count;
    op.path       = t.path;
    ref_attention_tree(&op, want, bound);
    (void)agree_check(a, y, want, bound);
    free(want);
    free(bound);
    free_tree(&t);
}

void agree_attention_tree(agree *a, ccu_dtype dtype) {
    for (size_t i = 0; i < sizeof tree_cases / sizeof *tree_cases; i++) {
        run_tree(a, &tree_cases[i], dtype);
    }
}
