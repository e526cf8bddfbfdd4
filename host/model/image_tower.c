/* The vision transformer; see image_tower.h. */
#include "model/image_tower.h"

#include <assert.h>

static ccu_patch_embed patch_embed_op(const ccu_image_tower *tower, ccu_pixels kind, int32_t B) {
    ccu_patch_embed op = {.y = tower->trunk.x, .pixels = tower->pixels, .w = tower->patch_w,
                          .b = tower->patch_b, .class_token = tower->class_token,
                          .positions = tower->positions, .scratch = tower->scratch, .kind = kind,
                          .B = B, .S = tower->S, .P = tower->P, .C = tower->trunk.C,
                          .dtype = tower->trunk.dtype};
    for (int32_t c = 0; c < 3; c++) {
        op.unscale[c] = tower->unscale[c];
        op.unshift[c] = tower->unshift[c];
    }
    return op;
}

static size_t pixels_bytes(const ccu_image_tower *tower, ccu_pixels kind, int32_t B) {
    const size_t numbers = (size_t)B * 3 * (size_t)tower->S * (size_t)tower->S;
    return kind == CCU_PIXELS_U8 ? numbers : numbers * sizeof(float);
}

void ccu_image_tower_lay_out(ccu_image_tower *tower, ccu_backend *be, ccu_plan *plan) {
    const size_t B = (size_t)tower->batch_max;
    const size_t E = (size_t)tower->E;

    const ccu_patch_embed op = patch_embed_op(tower, CCU_PIXELS_F32, tower->batch_max);
    tower->pixels     = ccu_plan_take(plan, pixels_bytes(tower, CCU_PIXELS_F32, tower->batch_max),
                                      1);
    tower->scratch    = ccu_plan_take(plan, be->ops->patch_embed_scratch(be, &op), 1);
    tower->embeddings = ccu_plan_take(plan, B * E, ccu_dtype_bytes(tower->trunk.dtype));
    tower->unit       = ccu_plan_take(plan, B * E, sizeof(float));
    tower->class_rows = ccu_plan_take(plan, B, sizeof(int32_t));
    ccu_transformer_lay_out(&tower->trunk, plan, tower->batch_max * tower->T, tower->batch_max);
}

void ccu_image_tower_prepare(ccu_image_tower *tower, ccu_backend *be) {
    int32_t rows[CCU_BATCH_MAX];
    assert(tower->batch_max <= CCU_BATCH_MAX);
    for (int32_t b = 0; b < tower->batch_max; b++) { rows[b] = b * tower->T; }
    be->ops->upload(be, tower->class_rows, rows, (size_t)tower->batch_max * sizeof rows[0]);
}

/* Everything between the pixels' way in and the embeddings' way out. */
static void forward(ccu_image_tower *tower, ccu_backend *be, ccu_pixels kind, int32_t B) {
    const ccu_ops   *ops = be->ops;
    ccu_transformer *t   = &tower->trunk;
    const int32_t    M = B * tower->T, C = t->C, E = tower->E;

    const ccu_patch_embed embed = patch_embed_op(tower, kind, B);
    ops->patch_embed(be, &embed);
    ops->layernorm(be, &(ccu_layernorm){.y = t->x, .x = t->x, .w = tower->ln_pre_w,
                                        .b = tower->ln_pre_b, .M = M, .C = C, .eps = t->eps,
                                        .dtype = t->dtype});
    ccu_transformer_run(t, be, M, &(ccu_attend){.B = B, .T = tower->T}, tower->class_rows, B);
    ops->layernorm(be, &(ccu_layernorm){.y = t->pooled_norm, .x = t->pooled_x,
                                        .w = tower->ln_post_w, .b = tower->ln_post_b, .M = B,
                                        .C = C, .eps = t->eps, .dtype = t->dtype});
    ops->linear(be, &(ccu_linear){.y = tower->embeddings, .x = t->pooled_norm, .w = tower->proj_w,
                                  .M = B, .N = E, .K = C, .dtype = t->dtype});
    ops->normalise(be, &(ccu_normalise){.y = tower->unit, .x = tower->embeddings, .M = B, .E = E,
                                        .dtype = t->dtype});
}

/* Repeats with the same pointers for a kind of pixels and a number of pictures. A probe looks at
 * what no replay would show it. */
static void run(ccu_image_tower *tower, ccu_backend *be, ccu_pixels kind, int32_t B) {
    const ccu_ops *ops = be->ops;
    /* Whose memory (64-byte aligned), how many, which kind. */
    const uint64_t key = (uint64_t)(uintptr_t)tower->trunk.x / 64 << 14 | (uint64_t)B << 1 |
                         (uint64_t)kind;
    assert(B >= 1 && B <= tower->batch_max);
    if (tower->trunk.probe != NULL) {
        forward(tower, be, kind, B);
        return;
    }
    if (ops->replay(be, key)) { return; }
    ops->record(be, key);
    forward(tower, be, kind, B);
    if (!ops->record_end(be)) { forward(tower, be, kind, B); }
}

void ccu_image_tower_run(ccu_image_tower *tower, ccu_backend *be, const void *host_pixels,
                         ccu_pixels kind, int32_t B) {
    be->ops->upload(be, tower->pixels, host_pixels, pixels_bytes(tower, kind, B));
    run(tower, be, kind, B);
}

void ccu_image_tower_run_device(ccu_image_tower *tower, ccu_backend *be, const void *pixels,
                                ccu_pixels kind, int32_t B) {
    be->ops->copy(be, tower->pixels, pixels, pixels_bytes(tower, kind, B));
    run(tower, be, kind, B);
}
