/* Agree cases of the ops that go row by row; see agree_cases.h. */
#include <math.h>
#include <stdlib.h>

#include "reference/reference.h"
#include "support/agree_cases.h"

/* A list of M row numbers below limit. */
static int32_t *make_rows(agree *a, int32_t M, int32_t limit) {
    int32_t *rows = malloc((size_t)M * sizeof *rows + 4);
    for (int32_t m = 0; m < M; m++) { rows[m] = (int32_t)agree_random_below(a, (uint32_t)limit); }
    return rows;
}

typedef struct answer {
    double *want, *bound;
} answer;

static answer answer_new(size_t count) {
    return (answer){ malloc(count * sizeof(double) + 1), malloc(count * sizeof(double) + 1) };
}

static void answer_check(agree *a, agree_tensor *y, const answer *one) {
    (void)agree_check(a, y, one->want, one->bound);
    free(one->want);
    free(one->bound);
}

/* ---- LayerNorm ----------------------------------------------------------------------------- */

typedef struct layernorm_case {
    int32_t M, C;
    bool    gathered, in_place;
    float   mean, spread;
} layernorm_case;

static const layernorm_case layernorm_cases[] = {
    { 1, 1, false, false, 0, 1 },      { 3, 7, false, true, 0, 1 },
    { 5, 64, true, false, 0, 1 },      { 50, 768, false, false, 0, 1 },
    { 50, 768, false, true, 0, 1 },    { 31, 1024, true, false, 0, 1 },
    { 17, 1664, false, false, 0, 1 },  { 13, 127, false, false, 0, 1 },
    { 9, 5120, false, true, 0, 1 },    { 7, 768, false, false, 1000, 1 },
    { 7, 769, true, false, 0, 1e4f },  { 7, 771, false, false, 0, 1e-4f },
    { 7, 100, false, false, 5, 0 },    { 0, 8, false, false, 0, 1 },
    /* whole 8-element groups: one, part of a warp, a warp and one more, and widths of towers */
    { 5, 8, true, false, 0, 1 },       { 6, 192, false, true, 0, 1 },
    { 3, 264, false, false, 0, 1 },    { 9, 640, true, false, 0, 1 },
    { 5, 896, false, true, 1000, 1 },  { 6, 1280, false, true, 0, 1 },
    { 4, 1408, true, false, 0, 1e4f }, { 3, 1792, false, false, 0, 1 },
    { 3, 1800, false, true, 0, 1 },    { 2, 1284, true, false, 0, 1 },
};

static void run_layernorm(agree *a, const layernorm_case *c, ccu_dtype dtype) {
    const size_t M = (size_t)c->M, C = (size_t)c->C, from = c->gathered ? 2 * M + 1 : M;
    agree_begin(a, "layernorm", "%s M %d C %d gathered %d in place %d x %g +- %g",
                ccu_dtype_name(dtype), c->M, c->C, c->gathered, c->in_place, (double)c->mean,
                (double)c->spread);
    int32_t      *rows = make_rows(a, c->M, c->gathered ? (int32_t)from : 1);
    agree_tensor *x    = agree_input(a, from, C, 0, dtype, c->mean, c->spread);
    agree_tensor *w    = agree_input(a, 1, C, 0, CCU_F32, 1, 0.5f);
    agree_tensor *b    = agree_input(a, 1, C, 0, CCU_F32, 0, 1);
    agree_tensor *y    = c->in_place ? x : agree_output(a, M, C, 0, dtype);

    ccu_layernorm op = { .y = y->at, .x = x->at, .w = w->at, .b = b->at, .M = c->M, .C = c->C,
                         .eps = 1e-5f, .dtype = dtype };
    if (c->gathered) { op.rows = agree_bytes(a, rows, M * 4); }
    a->be->ops->layernorm(a->be, &op);

    const answer one = answer_new(M * C);
    op.x    = x->host;
    op.w    = w->host;
    op.b    = b->host;
    op.rows = c->gathered ? rows : NULL;
    ref_layernorm(&op, one.want, one.bound);
    answer_check(a, y, &one);
    free(rows);
}

void agree_layernorm(agree *a, ccu_dtype dtype) {
    for (size_t i = 0; i < sizeof layernorm_cases / sizeof *layernorm_cases; i++) {
        run_layernorm(a, &layernorm_cases[i], dtype);
    }
}

/* ---- Tokens and rows ----------------------------------------------------------------------- */

static const int32_t row_dims[][2] = { { 1, 1 },  { 2, 3 },    { 77, 512 }, { 31, 61 },
                                       { 5, 768 }, { 301, 40 }, { 3, 5120 }, { 0, 16 },
                                       { 9, 8 },   { 7, 260 },  { 6, 1284 } };

void agree_embed_tokens(agree *a, ccu_dtype dtype) {
    for (size_t i = 0; i < sizeof row_dims / sizeof *row_dims; i++) {
        const int32_t M = row_dims[i][0], C = row_dims[i][1], V = 101, T = 77;
        agree_begin(a, "embed_tokens", "%s M %d C %d", ccu_dtype_name(dtype), M, C);
        const int32_t learned_rows = i % 3 == 0 ? 0 : 7;
        int32_t      *ids          = make_rows(a, M, V + 4 * learned_rows);
        int32_t      *at           = make_rows(a, M, T);
        for (int32_t m = 0; m < M; m++) { ids[m] -= ids[m] < V ? 0 : (ids[m] - V) / 7 * 7; }
        agree_tensor *table     = agree_input(a, (size_t)V, (size_t)C, 0, dtype, 0, 1);
        agree_tensor *learned   = agree_input(a, 7, (size_t)C, 0, CCU_F32, 0, 1);
        agree_tensor *positions = agree_input(a, (size_t)T, (size_t)C, 0, CCU_F32, 0, 1);
        agree_tensor *y         = agree_output(a, (size_t)M, (size_t)C, 0, dtype);

        ccu_embed_tokens op = { .y = y->at, .table = table->at, .positions = positions->at,
                                .ids = agree_bytes(a, ids, (size_t)M * 4),
                                .at = agree_bytes(a, at, (size_t)M * 4), .M = M, .C = C, .V = V,
                                .learned = learned_rows == 0 ? NULL : learned->at,
                                .dtype = dtype };
        a->be->ops->embed_tokens(a->be, &op);

        const answer one = answer_new((size_t)M * (size_t)C);
        op.table     = table->host;
        op.learned   = learned->host;
        op.positions = positions->host;
        op.ids       = ids;
        op.at        = at;
        ref_embed_tokens(&op, one.want, one.bound);
        answer_check(a, y, &one);
        free(ids);
        free(at);
    }
}

void agree_gather(agree *a, ccu_dtype dtype) {
    for (size_t i = 0; i < sizeof row_dims / sizeof *row_dims; i++) {
        const int32_t M = row_dims[i][0], C = row_dims[i][1];
        agree_begin(a, "gather", "%s M %d C %d", ccu_dtype_name(dtype), M, C);
        int32_t      *rows = make_rows(a, M, 2 * M + 1);
        agree_tensor *x    = agree_input(a, 2 * (size_t)M + 1, (size_t)C, 0, dtype, 0, 1);
        agree_tensor *y    = agree_output(a, (size_t)M, (size_t)C, 0, dtype);

        ccu_gather op = { .y = y->at, .x = x->at, .rows = agree_bytes(a, rows, (size_t)M * 4),
                          .M = M, .C = C, .dtype = dtype };
        a->be->ops->gather(a->be, &op);

        const answer one = answer_new((size_t)M * (size_t)C);
        op.x    = x->host;
        op.rows = rows;
        ref_gather(&op, one.want, one.bound);
        answer_check(a, y, &one);
        free(rows);
    }
}

void agree_normalise(agree *a, ccu_dtype dtype) {
    const float spreads[] = { 1, 1e4f, 1e-4f, 0, 1e-15f, 1e18f };
    for (size_t i = 0; i < 6 * (sizeof row_dims / sizeof *row_dims); i++) {
        const int32_t M = row_dims[i / 6][0], E = row_dims[i / 6][1];
        const float   spread   = dtype == CCU_F16 ? fminf(spreads[i % 6], 65504) : spreads[i % 6];
        const bool    in_place = dtype == CCU_F32 && i % 2 == 1;
        agree_begin(a, "normalise", "%s M %d E %d x +- %g in place %d", ccu_dtype_name(dtype), M, E,
                    (double)spread, in_place);
        agree_tensor *x = agree_input(a, (size_t)M, (size_t)E, 0, dtype, 0, spread);
        agree_tensor *y = in_place ? x : agree_output(a, (size_t)M, (size_t)E, 0, CCU_F32);

        ccu_normalise op = { .y = y->at, .x = x->at, .M = M, .E = E, .dtype = dtype };
        a->be->ops->normalise(a->be, &op);

        const answer one = answer_new((size_t)M * (size_t)E);
        op.x = x->host;
        ref_normalise(&op, one.want, one.bound);
        answer_check(a, y, &one);
    }
}

/* ---- Sums of listed rows ------------------------------------------------------------------- */

/* Groups of 0, 1, 2, ... rows into every other row, backwards. Other rows keep what they have. */
static void run_segment_sum(agree *a, int32_t groups, int32_t C, ccu_dtype x_dtype,
                            ccu_dtype y_dtype) {
    int32_t first[64], ids[64], rows[2048];
    int32_t total = 0;
    agree_begin(a, "segment_sum", "%s to %s groups %d C %d", ccu_dtype_name(x_dtype),
                ccu_dtype_name(y_dtype), groups, C);
    for (int32_t g = 0; g < groups; g++) {
        first[g] = total;
        ids[g]   = 2 * (groups - 1 - g) + 1;
        for (int32_t i = 0; i < g; i++) { rows[total++] = (int32_t)agree_random_below(a, 97); }
    }
    first[groups]        = total;
    const size_t  listed = (size_t)groups * (size_t)C, count = (2 * (size_t)groups + 1) * (size_t)C;
    agree_tensor *y      = agree_input(a, 2 * (size_t)groups + 1, (size_t)C, 0, y_dtype, 0, 1);
    agree_tensor *x      = agree_input(a, 97, (size_t)C, 0, x_dtype, 0, 1);

    ccu_segment_sum op = { .y = y->at, .x = x->at, .groups = groups, .C = C,
                           .ids = agree_bytes(a, ids, (size_t)groups * 4),
                           .first = agree_bytes(a, first, ((size_t)groups + 1) * 4),
                           .rows = agree_bytes(a, rows, (size_t)total * 4 + 4),
                           .x_dtype = x_dtype, .y_dtype = y_dtype };
    a->be->ops->segment_sum(a->be, &op);

    const answer sums = answer_new(listed), all = answer_new(count);
    op.y     = y->host;
    op.x     = x->host;
    op.ids   = ids;
    op.first = first;
    op.rows  = rows;
    ref_segment_sum(&op, sums.want, sums.bound);
    for (size_t i = 0; i < count; i++) {
        all.want[i]  = y->host[i];
        all.bound[i] = 0.0;
    }
    for (size_t i = 0; i < listed; i++) {
        const size_t to = (size_t)ids[i / (size_t)C] * (size_t)C + i % (size_t)C;
        all.want[to]    = sums.want[i];
        all.bound[to]   = sums.bound[i];
    }
    answer_check(a, y, &all);
    free(sums.want);
    free(sums.bound);
}

void agree_segment_sum(agree *a, ccu_dtype dtype) {
    const int32_t dims[][2] = { { 0, 5 }, { 1, 1 }, { 7, 61 }, { 40, 512 }, { 23, 1281 } };
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        run_segment_sum(a, dims[i][0], dims[i][1], dtype, CCU_F32);
        if (dtype != CCU_F32) { run_segment_sum(a, dims[i][0], dims[i][1], dtype, dtype); }
    }
}
