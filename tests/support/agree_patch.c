/* Agree cases of patch_embed; see agree_cases.h. */
#include <stdlib.h>

#include "reference/reference.h"
#include "support/agree_cases.h"

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
    /* whole runs of 16 pixels; more than one tile each way; odd widths */
    { 3, 112, 16, 192, CCU_PIXELS_U8 }, { 2, 80, 16, 131, CCU_PIXELS_U8 },
    { 5, 64, 32, 65, CCU_PIXELS_U8 },   { 1, 48, 48, 12, CCU_PIXELS_U8 },
    { 3, 32, 16, 34, CCU_PIXELS_U8 },   { 17, 32, 16, 5, CCU_PIXELS_U8 },
    /* patches smaller than what is read at a time; sides that are no multiple of the patch */
    { 1, 8, 1, 5, CCU_PIXELS_U8 },      { 2, 5, 1, 70, CCU_PIXELS_F32 },
    { 1, 19, 3, 33, CCU_PIXELS_U8 },    { 2, 20, 3, 33, CCU_PIXELS_F32 },
    { 1, 50, 16, 24, CCU_PIXELS_U8 },   { 2, 31, 14, 129, CCU_PIXELS_F32 },
    { 1, 100, 24, 66, CCU_PIXELS_U8 },
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
    if (agree_too_large(a, (double)rows * (double)C * (double)K)) { return; }
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
