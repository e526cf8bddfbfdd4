/* The double-precision gradients that backends are held against, held against finite differences
 * of the functions whose gradients they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference/reference.h"

#define STEP 0x1p-10f
#define COUNT_MAX 512

/* Deterministic numbers in -1 .. 1 on a grid that steps of STEP do not leave. */
static float number(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)(*state >> 20) / 2048.0f - 1.0f;
}

static void fill(float *to, size_t count, uint32_t seed) {
    for (size_t i = 0; i < count; i++) { to[i] = number(&seed); }
}

/* Sum over y of weights. */
static double weigh(const double *y, const float *weights, size_t count) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) { sum += y[i] * (double)weights[i]; }
    return sum;
}

/* want[i] = df / dx[i] by differences of f(user), in which x is an input; compares. */
static void check(const char *what, float *x, size_t count, const double *got,
                  double (*f)(const void *user), const void *user) {
    for (size_t i = 0; i < count; i++) {
        const float before = x[i];
        x[i]               = before + STEP;
        const double up    = f(user);
        x[i]               = before - STEP;
        const double down  = f(user);
        x[i]               = before;
        const double want  = (up - down) / (2.0 * (double)STEP);
        if (!(fabs(want - got[i]) <= 2e-5 * (1.0 + fabs(want)))) {
            fail_msg("%s, number %zu: %.9g, by differences %.9g", what, i, got[i], want);
        }
    }
}

/* ---- Rows ----------------------------------------------------------------------------------- */

typedef struct rows {
    float         x[COUNT_MAX], w[COUNT_MAX], b[COUNT_MAX], dy[COUNT_MAX];
    ccu_layernorm layernorm;
    ccu_normalise normalise;
    ccu_linear    linear;
} rows;

static double layernorm(const void *user) {
    const rows *r = user;
    double      y[COUNT_MAX];
    ref_layernorm(&r->layernorm, y, NULL);
    return weigh(y, r->dy, (size_t)r->layernorm.M * (size_t)r->layernorm.C);
}

static double normalise(const void *user) {
    const rows *r = user;
    double      y[COUNT_MAX];
    ref_normalise(&r->normalise, y, NULL);
    return weigh(y, r->dy, (size_t)r->normalise.M * (size_t)r->normalise.E);
}

/* An activation is a linear layer with weight 1. */
static double activation(const void *user) {
    const rows *r = user;
    double      y[COUNT_MAX];
    ref_linear(&r->linear, y, NULL);
    return weigh(y, r->dy, (size_t)r->linear.M);
}

static rows *make_rows(uint32_t seed) {
    rows *r = calloc(1, sizeof *r);
    assert_non_null(r);
    fill(r->x, COUNT_MAX, seed);
    fill(r->w, COUNT_MAX, seed + 1);
    fill(r->b, COUNT_MAX, seed + 2);
    fill(r->dy, COUNT_MAX, seed + 3);
    return r;
}

static void rows_go_backward(void **state) {
    (void)state;
    rows  *r = make_rows(1);
    double dx[COUNT_MAX];
    r->layernorm = (ccu_layernorm){ .x = r->x, .w = r->w, .b = r->b, .M = 3, .C = 17,
                                    .eps = 1e-5f };
    const ccu_layernorm_backward layernorm_op = { .dy = r->dy, .x = r->x, .w = r->w, .M = 3,
                                                  .C = 17, .eps = 1e-5f };
    ref_layernorm_backward(&layernorm_op, dx, NULL);
    check("layernorm", r->x, 51, dx, layernorm, r);

    r->normalise = (ccu_normalise){ .x = r->x, .M = 4, .E = 9 };
    const ccu_normalise_backward normalise_op = { .dy = r->dy, .x = r->x, .M = 4, .E = 9 };
    ref_normalise_backward(&normalise_op, dx, NULL);
    check("normalise", r->x, 36, dx, normalise, r);
    free(r);
}

static void activations_go_backward(void **state) {
    (void)state;
    for (int act = CCU_ACT_QUICK_GELU; act <= CCU_ACT_GELU; act++) {
        rows  *r = make_rows(7);
        double dx[COUNT_MAX];
        r->w[0] = 1.0f;
        for (int i = 0; i < 100; i++) { r->x[i] = (float)(i - 50) / 8.0f; }
        r->linear = (ccu_linear){ .x = r->x, .w = r->w, .M = 100, .N = 1, .K = 1,
                                  .act = (ccu_act)act };
        const ccu_act_backward op = { .dy = r->dy, .x = r->x, .M = 100, .N = 1,
                                      .act = (ccu_act)act };
        ref_act_backward(&op, dx, NULL);
        check(act == CCU_ACT_GELU ? "gelu" : "quick gelu", r->x, 100, dx, activation, r);
        free(r);
    }
}

/* ---- Attention ------------------------------------------------------------------------------ */

#define ROWS 6
#define HEADS 2
#define SIZE 5
#define WIDTH (HEADS * SIZE)

/*  0 - 1 - 2
 *    \   \ 3
 *      4 - 5   */
static const int32_t path[]  = { 0, 0, 1, 0, 1, 2, 0, 1, 3, 0, 4, 0, 4, 5 };
static const int32_t first[] = { 0, 1, 3, 6, 9, 11 };
static const int32_t count[] = { 1, 2, 3, 3, 2, 3 };
static const int32_t some[]  = { 1, 3, 3, 5 }; /* rows that ask, one of them twice */

typedef struct tree {
    float              q[ROWS * WIDTH], k[ROWS * WIDTH], v[ROWS * WIDTH], dy[ROWS * WIDTH];
    ccu_attention_tree op;
} tree;

static double attention(const void *user) {
    const tree *t = user;
    double      y[ROWS * WIDTH];
    ref_attention_tree(&t->op, y, NULL);
    return weigh(y, t->dy, (size_t)t->op.Mq * WIDTH);
}

static void attention_goes_backward(void **state) {
    (void)state;
    for (int32_t listed = 0; listed < 2; listed++) {
        tree   t;
        double dq[ROWS * WIDTH], dk[ROWS * WIDTH], dv[ROWS * WIDTH];
        fill(t.q, ROWS * WIDTH, 11);
        fill(t.k, ROWS * WIDTH, 12);
        fill(t.v, ROWS * WIDTH, 13);
        fill(t.dy, ROWS * WIDTH, 14);
        t.op = (ccu_attention_tree){ .q = t.q, .k = t.k, .v = t.v, .path_first = first,
                                     .path_count = count, .path = path, .q_stride = WIDTH,
                                     .kv_stride = WIDTH, .Mq = listed ? 4 : ROWS, .M = ROWS,
                                     .H = HEADS, .D = SIZE, .path_max = 3,
                                     .rows = listed ? some : NULL };
        const ccu_attention_tree_backward op = { .dy = t.dy, .q = t.q, .k = t.k, .v = t.v,
                                                 .rows = t.op.rows, .path_first = first,
                                                 .path_count = count, .path = path,
                                                 .q_stride = WIDTH, .kv_stride = WIDTH,
                                                 .Mq = t.op.Mq, .M = ROWS, .H = HEADS, .D = SIZE,
                                                 .path_max = 3 };
        ref_attention_tree_backward(&op, dq, NULL, dk, NULL, dv, NULL);
        check("dq", t.q, (size_t)t.op.Mq * WIDTH, dq, attention, &t);
        check("dk", t.k, ROWS * WIDTH, dk, attention, &t);
        check("dv", t.v, ROWS * WIDTH, dv, attention, &t);
    }
}

/* ---- The loss ------------------------------------------------------------------------------- */

typedef struct loss {
    float                     x[3 * 4], bank[3 * 5 * 4];
    ccu_softmax_cross_entropy op;
} loss;

static void losses(const loss *l, double *each, double *dbank) {
    double z[15], bound[15], dbank_bound[60];
    ref_softmax_cross_entropy(&l->op, z, each, bound, dbank, dbank_bound);
}

static double mean_loss(const void *user) {
    const loss *l = user;
    double      each[3], dbank[60];
    losses(l, each, dbank);
    return (each[0] + each[1] + each[2]) / 3.0;
}

static void the_loss_goes_backward(void **state) {
    (void)state;
    const int32_t label[3] = { 4, 0, 2 };
    for (int32_t own = 0; own < 2; own++) {
        loss   l;
        double each[3], dbank[60];
        fill(l.x, 12, 21);
        fill(l.bank, 60, 22);
        l.op = (ccu_softmax_cross_entropy){ .x = l.x, .bank = l.bank, .label = label,
                                            .scale = 3.0f, .weight = 1.0f / 3.0f, .B = 3, .K = 5,
                                            .E = 4, .own_banks = own == 1 };
        losses(&l, each, dbank);
        check("dbank", l.bank, own ? 60 : 20, dbank, mean_loss, &l);
    }
}

/* ---- The check can fail --------------------------------------------------------------------- */

static void a_wrong_formula_is_noticed(void **state) {
    (void)state;
    rows  *r = make_rows(3);
    double dx[COUNT_MAX];
    r->normalise = (ccu_normalise){ .x = r->x, .M = 1, .E = 9 };
    const ccu_normalise_backward op = { .dy = r->dy, .x = r->x, .M = 1, .E = 9 };
    ref_normalise_backward(&op, dx, NULL);
    dx[4] *= 1.001;
    double worst = 0.0;
    for (size_t i = 0; i < 9; i++) {
        const float before = r->x[i];
        r->x[i]            = before + STEP;
        const double up    = normalise(r);
        r->x[i]            = before - STEP;
        const double down  = normalise(r);
        r->x[i]            = before;
        const double want  = (up - down) / (2.0 * (double)STEP);
        worst              = fmax(worst, fabs(want - dx[i]) / (2e-5 * (1.0 + fabs(want))));
    }
    assert_true(worst > 1.0);
    free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_go_backward),         cmocka_unit_test(activations_go_backward),
        cmocka_unit_test(attention_goes_backward),  cmocka_unit_test(the_loss_goes_backward),
        cmocka_unit_test(a_wrong_formula_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
