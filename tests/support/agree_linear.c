/* Agree cases of linear and patch_embed; see agree_cases.h. */
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
};

static void run_linear(agree *a, const linear_case *c, ccu_dtype dtype) {
    const size_t M = (size_t)c->M, N = (size_t)c->N, K = (size_t)c->K;
    agree_begin(a, "linear", "%s M %d N %d K %d strides %d %d act %d residual %d x %g +- %g",
                ccu_dtype_name(dtype), c->M, c->N, c->K, c->x_stride, c->y_stride, (int)c->act,
                (int)c->r, (double)c->mean, (double)c->spread);
    float *w = malloc(N * K * sizeof *w);
    for (size_t i = 0; i < N * K; i++) { w[i] = ref_round(agree_random(a, 0, 0.1f), dtype); }
    agree_tensor *x = agree_input(a, M, K, (size_t)c->x_stride, dtype, c->mean, c->spread);
    agree_tensor *b = agree_input(a, 1, N, 0, CCU_F32, 0, 1);
    agree_tensor *r = NULL, *y = NULL;
    if (c->r != NO_RESIDUAL) { r = agree_input(a, M, N, (size_t)c->y_stride, dtype, 0, 2); }
    y = c->r == IN_PLACE ? r : agree_output(a, M, N, (size_t)c->y_stride, dtype);

    ccu_linear op = { .y        = y->at,
                      .x        = x->at,
                      .w        = agree_weights(a, w, c->N, c->K, dtype),
                      .b        = c->bias ? b->at : NULL,
                      .r        = r == NULL ? NULL : r->at,
                      .M        = c->M,
                      .N        = c->N,
                      .K        = c->K,
                      .x_stride = c->x_stride,
                      .y_stride = c->y_stride,
                      .act      = c->act,
                      .dtype    = dtype };
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
        run_linear(a, &linear_cases[i], dtype);
    }
}

/* ---- Patch embedding ----------------------------------------------------------------------- */

typedef struct patch_case {
    int32_t    B, S, P, C;
    ccu_pixels kind;
} patch_case;

static const patch_case patch_cases[] = {
    { 1, 1, 1, 1, CCU_PIXELS_U8 },      { 1, 5, 5, 3, CCU_PIXELS_F32 },
    { 3, 14, 7, 17, CCU_PIXELS_U8 },    { 3, 14, 7, 17, CCU_PIXELS_F32 },
    { 1, 224, 32, 768, CCU_PIXELS_U8 }, { 2, 224, 32, 97, CCU_PIXELS_F32 },
    { 3, 224, 14, 64, CCU_PIXELS_U8 },  { 7, 96, 16, 131, CCU_PIXELS_F32 },
    { 0, 32, 16, 8, CCU_PIXELS_U8 },
};

/* Pixels 0 .. 255, or the same normalised as CLIP does, planar. */
static void *make_pixels(agree *a, const patch_case *c, ccu_patch_embed *op, void **host) {
    const size_t side = (size_t)c->S, count = (size_t)c->B * side * side * 3;
    const double mean[3] = { 0.48145466, 0.4578275, 0.40821073 };
    const double std[3]  = { 0.26862954, 0.26130258, 0.27577711 };
    uint8_t     *u8      = malloc(count + 4);
    float       *f32     = malloc((count + 1) * sizeof *f32);
    for (size_t i = 0; i < 3; i++) {
        op->unscale[i] = (float)(255.0 * std[i]);
        op->unshift[i] = (float)(255.0 * mean[i] - 128.0);
    }
    for (size_t i = 0; i < count; i++) {
        const size_t channel = i / (side * side) % 3;
        u8[i]                = (uint8_t)agree_random_below(a, 256);
        f32[i] = (float)((u8[i] / 255.0 - mean[channel]) / std[channel]);
    }
    const bool bytes = c->kind == CCU_PIXELS_U8;
    void      *at    = bytes ? agree_bytes(a, u8, count) : agree_bytes(a, f32, count * sizeof *f32);
    *host = bytes ? (void *)u8 : (void *)f32;
    free(bytes ? (void *)f32 : (void *)u8);
    return at;
}

static void run_patch(agree *a, const patch_case *c, ccu_dtype dtype) {
    const size_t T = (size_t)(c->S / c->P) * (size_t)(c->S / c->P) + 1, C = (size_t)c->C;
    const size_t K = 3 * (size_t)c->P * (size_t)c->P, rows = (size_t)c->B * T;
    void        *pixels = NULL;
    agree_begin(a, "patch_embed", "%s B %d S %d P %d C %d kind %d", ccu_dtype_name(dtype), c->B,
                c->S, c->P, c->C, (int)c->kind);
    float *w = malloc(C * K * sizeof *w);
    for (size_t i = 0; i < C * K; i++) { w[i] = ref_round(agree_random(a, 0, 1e-3f), dtype); }
    agree_tensor *b         = agree_input(a, 1, C, 0, CCU_F32, 0, 1);
    agree_tensor *token     = agree_input(a, 1, C, 0, CCU_F32, 0, 1);
    agree_tensor *positions = agree_input(a, T, C, 0, CCU_F32, 0, 1);
    agree_tensor *y         = agree_output(a, rows, C, 0, dtype);

    ccu_patch_embed op = { .y = y->at, .b = b->at, .class_token = token->at,
                           .positions = positions->at, .kind = c->kind, .B = c->B, .S = c->S,
                           .P = c->P, .C = c->C, .dtype = dtype };
    op.pixels  = make_pixels(a, c, &op, &pixels);
    op.w       = agree_weights(a, w, c->C, (int32_t)K, dtype);
    const size_t bytes = a->be->ops->patch_embed_scratch(a->be, &op);
    op.scratch = bytes == 0 ? NULL : agree_output(a, (bytes + 3) / 4, 1, 0, CCU_F32)->at;
    a->be->ops->patch_embed(a->be, &op);

    double *want  = malloc(rows * C * sizeof *want + 1);
    double *bound = malloc(rows * C * sizeof *bound + 1);
    op.pixels      = pixels;
    op.w           = w;
    op.b           = b->host;
    op.class_token = token->host;
    op.positions   = positions->host;
    ref_patch_embed(&op, want, bound);
    (void)agree_check(a, y, want, bound);
    free(want);
    free(bound);
    free(pixels);
    free(w);
}

void agree_patch_embed(agree *a, ccu_dtype dtype) {
    for (size_t i = 0; i < sizeof patch_cases / sizeof *patch_cases; i++) {
        run_patch(a, &patch_cases[i], dtype);
    }
}
