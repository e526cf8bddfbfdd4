/* Agree cases of scores_topk; see agree_cases.h. Near-equal scores may come in either order, so
 * ranks are compared through their scores; where every product is exact (small multiples of a
 * power of two) ties are real and the order must be exact. */
#include <math.h>
#include <stdlib.h>

#include "reference/reference.h"
#include "support/agree_cases.h"

#define ALL_MAX 1e5 /* scores of a case that are all looked at */

typedef enum scores_kind {
    UNIT_ROWS,
    EXACT_TIES, /* few different scores */
    ALL_EQUAL,
    SOME_NAN, /* every third class has no score */
    ASCENDING,
    NAN_ROWS /* every second row has no score, the others exact ties */
} scores_kind;

typedef struct scores_case {
    int32_t     B, K, E, top;
    float       scale;
    scores_kind kind;
} scores_case;

static const scores_case scores_cases[] = {
    { 1, 1, 1, 1, 100, UNIT_ROWS },       { 3, 2, 5, 2, 100, UNIT_ROWS },
    { 32, 10, 512, 5, 100, UNIT_ROWS },   { 7, 1000, 512, 5, 100, UNIT_ROWS },
    { 97, 257, 61, 7, 10, UNIT_ROWS },    { 1, 20011, 64, 10, 100, UNIT_ROWS },
    { 5, 256, 768, 256, 1, UNIT_ROWS },   { 2, 3001, 32, 1024, 30, UNIT_ROWS },
    { 200, 31, 17, 31, 100, UNIT_ROWS },  { 3, 9001, 8, 20, 4, EXACT_TIES },
    { 2, 300, 16, 300, 1, EXACT_TIES },   { 3, 8193, 12, 1024, 2, ALL_EQUAL },
    { 4, 513, 40, 20, 50, SOME_NAN },     { 2, 5, 9, 5, 50, SOME_NAN },
    { 1, 8500, 8, 1000, 1, ASCENDING },
    /* around tiles of 128 classes, the warp's list and the sorted one */
    { 3, 127, 20, 31, 100, UNIT_ROWS },   { 3, 128, 20, 32, 100, UNIT_ROWS },
    { 3, 129, 20, 33, 100, UNIT_ROWS },   { 2, 32, 3, 32, 7, EXACT_TIES },
    { 2, 33, 3, 33, 7, EXACT_TIES },      { 1, 1024, 4, 1024, 1, EXACT_TIES },
    { 2, 1025, 4, 1024, 1, EXACT_TIES },  { 1, 700, 8, 32, 1, ASCENDING },
    /* around tiles of 16 and 64 rows */
    { 15, 1023, 8, 1, 100, UNIT_ROWS },   { 17, 1023, 8, 3, 2, EXACT_TIES },
    { 63, 1500, 36, 5, 100, UNIT_ROWS },  { 64, 1001, 16, 32, 2, EXACT_TIES },
    { 129, 1500, 20, 8, 3, EXACT_TIES },  { 65, 1290, 4, 50, 3, EXACT_TIES },
    { 2000, 3, 4, 2, 10, UNIT_ROWS },     { 66, 129, 10, 129, 5, SOME_NAN },
    /* rows and classes without a score */
    { 5, 300, 8, 7, 3, NAN_ROWS },        { 65, 1400, 12, 32, 3, NAN_ROWS },
    { 4, 1100, 8, 1024, 3, NAN_ROWS },    { 3, 90, 8, 90, 3, SOME_NAN },
    /* one chunk per tile and more, one panel and more */
    { 2, 32767, 4, 33, 2, EXACT_TIES },   { 2, 32769, 4, 1024, 2, EXACT_TIES },
    { 2, 65536, 4, 5, 2, EXACT_TIES },    { 2, 65537, 4, 5, 2, ALL_EQUAL },
    { 3, 70001, 4, 32, 2, EXACT_TIES },   { 1, 70001, 3, 100, 2, EXACT_TIES },
    { 1, 70000, 4, 9, 1, ASCENDING },     { 2, 1000000, 4, 5, 2, EXACT_TIES },
    { 1, 1000000, 3, 40, 1, ASCENDING },
};

/* Row r of a table of `rows` rows. */
static void make_row(agree *a, float *row, int32_t r, const scores_case *c, bool bank) {
    double norm = 0.0;
    for (int32_t e = 0; e < c->E; e++) {
        const float step = (float)agree_random_below(a, 5) / 4.0f - 0.5f;
        switch (c->kind) {
        case UNIT_ROWS:
        case SOME_NAN: row[e] = agree_random(a, 0, 1); break;
        case EXACT_TIES: row[e] = step; break;
        case ALL_EQUAL: row[e] = bank ? 0.25f : step; break;
        case ASCENDING: row[e] = bank ? (e == 0 ? (float)r / 8192.0f : 0.0f) : 0.5f; break;
        case NAN_ROWS: row[e] = !bank && r % 2 == 1 ? NAN : step; break;
        }
        norm += (double)row[e] * row[e];
    }
    if (c->kind != UNIT_ROWS && c->kind != SOME_NAN) { return; }
    for (int32_t e = 0; e < c->E; e++) { row[e] = (float)(row[e] / sqrt(norm)); }
    if (c->kind == SOME_NAN && bank && r % 3 == 1) { row[c->E / 2] = NAN; }
}

static float *make_rows(agree *a, int32_t rows, const scores_case *c, bool bank) {
    float *table = malloc((size_t)rows * (size_t)c->E * sizeof *table);
    for (int32_t r = 0; r < rows; r++) {
        make_row(a, table + (size_t)r * (size_t)c->E, r, c, bank);
    }
    return table;
}

typedef struct results {
    int32_t *index;
    float   *cosine, *probability;
} results;

/* A cosine or -inf equals another within `by`. */
static bool near(double got, double want, double by) {
    return got == want || fabs(got - want) <= by;
}

static bool check_row(agree *a, const ccu_scores_topk *op, int32_t b, const results *got,
                      const results *want, const double *want_cosine, const double *want_p) {
    const bool   exact = want != NULL;
    const double by    = (8.0 + 2.0 * sqrt((double)op->E)) * REF_U32;
    for (int32_t t = 0; t < op->top; t++) {
        const size_t  at    = (size_t)b * (size_t)op->top + (size_t)t;
        const int32_t index = got->index[at];
        const double  c     = got->cosine[at], p = got->probability[at];
        /* logits are off by scale * by at most, the total with them; plus f32 in exp and sum */
        const double p_by = want_p[at] * (2.0 * op->scale * by + op->scale * 4 * REF_U32 + 2e-6);
        if (index < 0 || index >= op->K) {
            return agree_fail(a, "row %d rank %d: class %d of %d", b, t, index, op->K);
        }
        if (!near(c, ref_cosine(op, b, index), by) || !near(c, want_cosine[at], by)) {
            return agree_fail(a, "row %d rank %d: class %d has cosine %.9g, reported %.9g, "
                                 "rank's is %.9g within %.3g", b, t, index,
                              ref_cosine(op, b, index), c, want_cosine[at], by);
        }
        if (!(fabs(p - want_p[at]) <= p_by + 1e-30)) {
            return agree_fail(a, "row %d rank %d: probability %.9g, expected %.9g within %.3g", b,
                              t, p, want_p[at], p_by);
        }
        if (t > 0 && (got->cosine[at - 1] < got->cosine[at] ||
                      (got->cosine[at - 1] == got->cosine[at] && got->index[at - 1] >= index))) {
            return agree_fail(a, "row %d rank %d: class %d is out of order", b, t, index);
        }
        if (exact && index != want->index[at]) {
            return agree_fail(a, "row %d rank %d: class %d, expected %d", b, t, index,
                              want->index[at]);
        }
    }
    return true;
}

static void check(agree *a, ccu_scores_topk *op, const results *got, scores_kind kind) {
    const size_t count = (size_t)op->B * (size_t)op->top;
    results      want  = { calloc(count, 4), NULL, NULL };
    double      *cosine = calloc(count, sizeof *cosine), *p = calloc(count, sizeof *p);
    bool         good   = true;
    ref_scores_topk(op, want.index, cosine, p);
    if (a->inject) {
        got->cosine[count / 2] += 1e-3f;
        a->inject = false;
    }
    const bool exact = kind != UNIT_ROWS && kind != SOME_NAN;
    for (int32_t b = 0; good && b < op->B; b++) {
        good = check_row(a, op, b, got, exact ? &want : NULL, cosine, p);
    }
    free(want.index);
    free(cosine);
    free(p);
}

/* Every score: near the reference's, NaN where it has none, those of the best with their bits. */
static void check_all(agree *a, const ccu_scores_topk *op, const results *got, const float *all) {
    const double by = (8.0 + 2.0 * sqrt((double)op->E)) * REF_U32;
    for (int32_t b = 0; b < op->B; b++) {
        const float *row = all + (size_t)b * (size_t)op->K;
        for (int32_t k = 0; k < op->K; k++) {
            const double want = ref_cosine(op, b, k);
            const bool   good = want > -INFINITY ? fabs(row[k] - want) <= by : isnan(row[k]);
            if (!good) {
                (void)agree_fail(a, "row %d class %d: %.9g, expected %.9g within %.3g", b, k,
                                 (double)row[k], want, by);
                return;
            }
        }
        for (int32_t t = 0; t < op->top; t++) {
            const size_t at = (size_t)b * (size_t)op->top + (size_t)t;
            if (got->cosine[at] > -INFINITY && got->cosine[at] != row[got->index[at]]) {
                (void)agree_fail(a, "row %d rank %d: %.9g among the best, %.9g among all", b, t,
                                 (double)got->cosine[at], (double)row[got->index[at]]);
                return;
            }
        }
    }
}

/* every: all (B, K) scores are asked for too. */
static void run_scores(agree *a, const scores_case *c, bool every) {
    const size_t count = (size_t)c->B * (size_t)c->top;
    if (agree_too_large(a, (double)c->B * c->K * c->E)) { return; }
    agree_begin(a, "scores_topk", "B %d K %d E %d top %d scale %g kind %d%s", c->B, c->K, c->E,
                c->top, (double)c->scale, (int)c->kind, every ? " all" : "");
    float        *x     = make_rows(a, c->B, c, false);
    float        *bank  = make_rows(a, c->K, c, true);
    agree_tensor *index = agree_output(a, 1, count, 0, CCU_F32);
    agree_tensor *cos   = agree_output(a, 1, count, 0, CCU_F32);
    agree_tensor *p     = agree_output(a, 1, count, 0, CCU_F32);
    agree_tensor *all   = every ? agree_output(a, (size_t)c->B, (size_t)c->K, 0, CCU_F32) : NULL;

    ccu_scores_topk op = { .index = index->at, .cosine = cos->at, .probability = p->at,
                           .all = every ? all->at : NULL, .scale = c->scale, .B = c->B, .K = c->K,
                           .E = c->E, .top = c->top };
    op.x    = agree_bytes(a, x, (size_t)c->B * (size_t)c->E * sizeof *x);
    op.bank = agree_bytes(a, bank, (size_t)c->K * (size_t)c->E * sizeof *bank);
    const size_t bytes = a->be->ops->scores_topk_scratch(a->be, &op);
    op.scratch = bytes == 0 ? NULL : agree_output(a, (bytes + 3) / 4, 1, 0, CCU_F32)->at;
    a->be->ops->scores_topk(a->be, &op);

    float        *index_bits = agree_values(a, index);
    const results got = { (int32_t *)index_bits, agree_values(a, cos), agree_values(a, p) };
    float        *scores = every ? agree_values(a, all) : NULL;
    op.x    = x;
    op.bank = bank;
    if (got.index != NULL && got.cosine != NULL && got.probability != NULL) {
        check(a, &op, &got, c->kind);
        if (scores != NULL) { check_all(a, &op, &got, scores); }
    }
    free(scores);
    free(index_bits);
    free(got.cosine);
    free(got.probability);
    free(x);
    free(bank);
}

void agree_scores_topk(agree *a, ccu_dtype dtype) {
    (void)dtype; /* always f32 */
    for (size_t i = 0; i < sizeof scores_cases / sizeof *scores_cases; i++) {
        const scores_case *c = &scores_cases[i];
        run_scores(a, c, false);
        if ((double)c->B * c->K <= ALL_MAX) { run_scores(a, c, true); }
    }
}
