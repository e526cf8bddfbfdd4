/* Agree cases of linear; see agree_cases.h. */
#include <stdlib.h>

#include "reference/reference.h"
#include "support/agree_cases.h"

typedef enum residual { NO_RESIDUAL, IN_PLACE, SEPARATE } residual;

typedef struct linear_case {
    int32_t  M, N, K;
    int32_t  x_stride, y_stride; /* 0: packed */
    ccu_act  act;
    bool     bias;
    residual r;
    float    mean, spread; /* of x */
} linear_case;

static const linear_case linear_cases[] = {
    { 1, 1, 1, 0, 0, CCU_ACT_NONE, false, NO_RESIDUAL, 0, 1 },
    { 1, 1, 1, 0, 0, CCU_ACT_NONE, true, SEPARATE, 0, 1 },
    { 1, 768, 768, 0, 0, CCU_ACT_NONE, true, NO_RESIDUAL, 0, 1 },
    { 2, 3, 5, 0, 0, CCU_ACT_QUICK_GELU, true, IN_PLACE, 0, 1 },
    { 7, 13, 17, 0, 0, CCU_ACT_GELU, true, SEPARATE, 0, 1 },
    { 31, 127, 61, 64, 129, CCU_ACT_NONE, true, IN_PLACE, 0, 1 },
    { 32, 128, 64, 0, 0, CCU_ACT_NONE, false, NO_RESIDUAL, 0, 1 },
    { 33, 129, 65, 66, 130, CCU_ACT_QUICK_GELU, true, SEPARATE, 0, 1 },
    { 5, 512, 768, 50 * 768, 0, CCU_ACT_NONE, false, NO_RESIDUAL, 0, 1 }, /* class tokens */
    { 50, 2304, 768, 0, 0, CCU_ACT_NONE, true, NO_RESIDUAL, 0, 1 },       /* fused q, k, v */
    { 50, 3072, 768, 0, 0, CCU_ACT_QUICK_GELU, true, NO_RESIDUAL, 0, 3 },
    { 50, 768, 3072, 0, 0, CCU_ACT_NONE, true, IN_PLACE, 0, 1 },
    { 257, 1024, 256, 0, 0, CCU_ACT_GELU, true, NO_RESIDUAL, 0, 3 },
    { 97, 192, 768, 768 * 3, 192 * 3, CCU_ACT_NONE, true, NO_RESIDUAL, 0, 1 },
    { 193, 320, 251, 0, 0, CCU_ACT_NONE, true, SEPARATE, 0, 1 },
    { 389, 256, 127, 128, 0, CCU_ACT_QUICK_GELU, true, IN_PLACE, 0, 2 },
    { 11, 1000, 5120, 0, 0, CCU_ACT_NONE, true, IN_PLACE, 0, 1 },
    { 11, 5120, 40, 0, 0, CCU_ACT_GELU, true, NO_RESIDUAL, 0, 1 },
    { 23, 67, 640, 0, 0, CCU_ACT_NONE, true, IN_PLACE, 1000, 1 },   /* large mean */
    { 23, 67, 640, 0, 0, CCU_ACT_QUICK_GELU, true, IN_PLACE, 0, 1e4f }, /* both tails */
    { 23, 67, 640, 0, 0, CCU_ACT_GELU, true, SEPARATE, 0, 1e4f },
    { 23, 67, 640, 0, 0, CCU_ACT_GELU, true, NO_RESIDUAL, 0, 1e-4f },
    /* K in eights: whole tiles of tensor cores and every kind of edge */
    { 17, 64, 8, 0, 0, CCU_ACT_NONE, true, IN_PLACE, 0, 1 },
    { 50, 65, 40, 0, 0, CCU_ACT_GELU, true, SEPARATE, 0, 1 },
    { 64, 72, 16, 24, 0, CCU_ACT_QUICK_GELU, false, NO_RESIDUAL, 0, 1 },
    { 128, 128, 64, 0, 0, CCU_ACT_GELU, true, IN_PLACE, 0, 1 },
    { 129, 136, 72, 0, 0, CCU_ACT_QUICK_GELU, true, SEPARATE, 0, 1 },
    { 130, 520, 104, 0, 528, CCU_ACT_GELU, true, IN_PLACE, 0, 1 },
    { 257, 384, 72, 80, 388, CCU_ACT_NONE, false, SEPARATE, 0, 1 },
    { 256, 257, 96, 0, 264, CCU_ACT_QUICK_GELU, true, IN_PLACE, 0, 1 },
    { 1100, 200, 40, 0, 208, CCU_ACT_NONE, true, SEPARATE, 0, 1 }, /* many tiles of rows */
};

static void *packed(agree *a, const float *w, const ccu_linear *op) {
    if (op->weights == CCU_WEIGHTS_PLAIN) { return agree_weights(a, w, op->N, op->K, op->dtype); }
    const size_t  bytes = a->be->ops->linear_bytes(a->be, op->N, op->K, op->dtype, op->weights);
    agree_tensor *t     = agree_output(a, (bytes + 3) / 4, 1, 0, CCU_F32);
    a->be->ops->linear_pack(a->be, t->at, w, op->N, op->K, op->dtype, op->weights);
    return t->at;
}

static void run_linear(agree *a, const linear_case *c, ccu_dtype dtype, ccu_weights weights) {
    const size_t M = (size_t)c->M, N = (size_t)c->N, K = (size_t)c->K;
    if (agree_too_large(a, (double)M * (double)N * (double)K)) { return; }
    agree_begin(a, "linear", "%s%s M %d N %d K %d strides %d %d act %d residual %d x %g +- %g",
                weights == CCU_WEIGHTS_INT8 ? "int8 " : "", ccu_dtype_name(dtype), c->M, c->N,
                c->K, c->x_stride, c->y_stride, (int)c->act, (int)c->r, (double)c->mean,
                (double)c->spread);
    float *w = malloc(N * K * sizeof *w);
    for (size_t i = 0; i < N * K; i++) { w[i] = ref_round(agree_random(a, 0, 0.1f), dtype); }
    agree_tensor *x = agree_input(a, M, K, (size_t)c->x_stride, dtype, c->mean, c->spread);
    agree_tensor *b = agree_input(a, 1, N, 0, CCU_F32, 0, 1);
    agree_tensor *r = NULL, *y = NULL;
    if (c->r != NO_RESIDUAL) { r = agree_input(a, M, N, (size_t)c->y_stride, dtype, 0, 2); }
    y = c->r == IN_PLACE ? r : agree_output(a, M, N, (size_t)c->y_stride, dtype);

    ccu_linear op = { .y        = y->at,
                      .x        = x->at,
                      .b        = c->bias ? b->at : NULL,
                      .r        = r == NULL ? NULL : r->at,
                      .M        = c->M,
                      .N        = c->N,
                      .K        = c->K,
                      .x_stride = c->x_stride,
                      .y_stride = c->y_stride,
                      .act      = c->act,
                      .dtype    = dtype,
                      .weights  = weights };
    op.w = packed(a, w, &op);
    a->be->ops->linear(a->be, &op);

    double *want = malloc(M * N * sizeof *want), *bound = malloc(M * N * sizeof *bound);
    op.x = x->host;
    op.w = w;
    op.b = c->bias ? b->host : NULL;
    op.r = r == NULL ? NULL : r->host;
    ref_linear(&op, want, bound);
    (void)agree_check(a, y, want, bound);
    free(want);
    free(bound);
    free(w);
}

void agree_linear(agree *a, ccu_dtype dtype) {
    for (size_t i = 0; i < sizeof linear_cases / sizeof *linear_cases; i++) {
        run_linear(a, &linear_cases[i], dtype, CCU_WEIGHTS_PLAIN);
    }
}

void agree_linear_int8(agree *a) {
    for (size_t i = 0; i < sizeof linear_cases / sizeof *linear_cases; i++) {
        run_linear(a, &linear_cases[i], CCU_F32, CCU_WEIGHTS_INT8);
    }
}
