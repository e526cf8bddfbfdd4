/* Checkpoint tensors -> backend weights; see weights.h. */
#include "model/weights.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "model/weights_stage.h"

/* ---- Dims ----------------------------------------------------------------------------------- */

static clipcu_status open_trunk(const ccu_tower_config *config, ccu_dtype dtype,
                                ccu_transformer *t, clipcu_error *error) {
    *t = (ccu_transformer){.layers = config->layers, .C = config->width, .H = config->heads,
                           .mlp = config->mlp, .act = config->act, .eps = config->eps,
                           .dtype = dtype};
    t->blocks = ccu_alloc_zeroed((size_t)config->layers, sizeof *t->blocks);
    if (t->blocks == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d blocks", config->layers);
    }
    return CLIPCU_OK;
}

clipcu_status ccu_image_weights_open(const ccu_checkpoint *checkpoint, ccu_dtype dtype,
                                     ccu_image_tower *tower, clipcu_error *error) {
    const ccu_model_config *config = &checkpoint->config;
    const int32_t           side   = config->image_size / config->patch_size;
    tower->S = config->image_size;
    tower->P = config->patch_size;
    tower->T = side * side + 1;
    tower->E = config->embed_dim;
    for (int32_t c = 0; c < 3; c++) {
        tower->unscale[c] = 255.0f * config->std[c];
        tower->unshift[c] = 255.0f * config->mean[c] - 128.0f;
    }
    return open_trunk(&config->image, dtype, &tower->trunk, error);
}

clipcu_status ccu_text_weights_open(const ccu_checkpoint *checkpoint, ccu_dtype dtype,
                                    ccu_text_tower *tower, clipcu_error *error) {
    tower->vocab   = checkpoint->config.vocab_size;
    tower->context = checkpoint->config.context_length;
    tower->E       = checkpoint->config.embed_dim;
    return open_trunk(&checkpoint->config.text, dtype, &tower->trunk, error);
}

void ccu_image_weights_close(ccu_image_tower *tower) {
    ccu_free(tower->trunk.blocks);
    tower->trunk.blocks = NULL;
}

void ccu_text_weights_close(ccu_text_tower *tower) {
    ccu_free(tower->trunk.blocks);
    tower->trunk.blocks = NULL;
}

/* ---- Lay-out -------------------------------------------------------------------------------- */

static float *take_f32(ccu_plan *plan, int32_t rows, int32_t width) {
    return ccu_plan_take(plan, (size_t)rows * (size_t)width, sizeof(float));
}

static void *take_linear(ccu_plan *plan, ccu_backend *be, int32_t N, int32_t K, ccu_dtype dtype) {
    return ccu_plan_take(plan, be->ops->linear_bytes(be, N, K, dtype, CCU_WEIGHTS_PLAIN), 1);
}

/* Blocks may have other weights than the linears around them. */
static void *take_block_linear(ccu_plan *plan, ccu_backend *be, const ccu_transformer *t,
                               int32_t N, int32_t K) {
    return ccu_plan_take(plan, be->ops->linear_bytes(be, N, K, t->dtype, t->weights), 1);
}

static void lay_out_blocks(ccu_transformer *t, ccu_backend *be, ccu_plan *plan) {
    const int32_t C = t->C, mlp = t->mlp;
    for (int32_t i = 0; i < t->layers; i++) {
        ccu_block *block = &t->blocks[i];
        block->ln1_w     = take_f32(plan, 1, C);
        block->ln1_b     = take_f32(plan, 1, C);
        if (i < t->layers - 1) {
            block->qkv_w = take_block_linear(plan, be, t, 3 * C, C);
        } else { /* the last block computes queries for fewer rows than keys and values */
            block->q_w  = take_block_linear(plan, be, t, C, C);
            block->kv_w = take_block_linear(plan, be, t, 2 * C, C);
        }
        block->qkv_b = take_f32(plan, 3, C);
        block->out_w = take_block_linear(plan, be, t, C, C);
        block->out_b = take_f32(plan, 1, C);
        block->ln2_w = take_f32(plan, 1, C);
        block->ln2_b = take_f32(plan, 1, C);
        block->fc1_w = take_block_linear(plan, be, t, mlp, C);
        block->fc1_b = take_f32(plan, 1, mlp);
        block->fc2_w = take_block_linear(plan, be, t, C, mlp);
        block->fc2_b = take_f32(plan, 1, C);
    }
}

void ccu_image_weights_lay_out(ccu_image_tower *tower, ccu_backend *be, ccu_plan *plan) {
    ccu_transformer *t = &tower->trunk;
    tower->patch_w     = take_linear(plan, be, t->C, 3 * tower->P * tower->P, t->dtype);
    tower->patch_b     = take_f32(plan, 1, t->C);
    tower->class_token = take_f32(plan, 1, t->C);
    tower->positions   = take_f32(plan, tower->T, t->C);
    tower->ln_pre_w    = take_f32(plan, 1, t->C);
    tower->ln_pre_b    = take_f32(plan, 1, t->C);
    lay_out_blocks(t, be, plan);
    tower->ln_post_w = take_f32(plan, 1, t->C);
    tower->ln_post_b = take_f32(plan, 1, t->C);
    tower->proj_w    = take_linear(plan, be, tower->E, t->C, t->dtype);
}

void ccu_text_weights_lay_out(ccu_text_tower *tower, ccu_backend *be, ccu_plan *plan) {
    ccu_transformer *t = &tower->trunk;
    tower->tokens      = ccu_plan_take(plan, (size_t)tower->vocab * (size_t)t->C,
                                       ccu_dtype_bytes(t->dtype));
    tower->positions   = take_f32(plan, tower->context, t->C);
    lay_out_blocks(t, be, plan);
    tower->ln_final_w = take_f32(plan, 1, t->C);
    tower->ln_final_b = take_f32(plan, 1, t->C);
    tower->proj_w     = take_linear(plan, be, tower->E, t->C, t->dtype);
}

/* ---- Upload --------------------------------------------------------------------------------- */

static void put_f32(ccu_stage *stage, const float *to, const ccu_tensor *tensor) {
    const size_t count = ccu_tensor_count(tensor);
    if (!ccu_stage_read(stage, tensor, 0, count, stage->a)) { return; }
    stage->be->ops->upload(stage->be, ccu_writable(to), stage->a, count * sizeof(float));
}

static void put_linear(ccu_stage *stage, const void *to, const ccu_tensor *tensor, int32_t N,
                       int32_t K, ccu_dtype dtype) {
    assert(ccu_tensor_count(tensor) == (size_t)N * (size_t)K);
    if (!ccu_stage_read(stage, tensor, 0, (size_t)N * (size_t)K, stage->a)) { return; }
    stage->be->ops->linear_pack(stage->be, ccu_writable(to), stage->a, N, K, dtype,
                                CCU_WEIGHTS_PLAIN);
}

/* The projection, (E, C); OpenAI's layout stores it (C, E) and multiplies from the left. */
static void put_projection(ccu_stage *stage, const void *to, const ccu_tensor *tensor,
                           bool transposed, int32_t E, int32_t C, ccu_dtype dtype) {
    if (!transposed) {
        put_linear(stage, to, tensor, E, C, dtype);
        return;
    }
    if (!ccu_stage_read(stage, tensor, 0, (size_t)E * (size_t)C, stage->b)) { return; }
    for (int32_t e = 0; e < E; e++) {
        for (int32_t c = 0; c < C; c++) {
            stage->a[(size_t)e * (size_t)C + (size_t)c] =
                stage->b[(size_t)c * (size_t)E + (size_t)e];
        }
    }
    stage->be->ops->linear_pack(stage->be, ccu_writable(to), stage->a, E, C, dtype,
                                CCU_WEIGHTS_PLAIN);
}

static void put_block_linear(ccu_stage *stage, const ccu_transformer *t, const void *to,
                             const ccu_tensor *tensor, int32_t N, int32_t K) {
    assert(ccu_tensor_count(tensor) == (size_t)N * (size_t)K);
    if (!ccu_stage_read(stage, tensor, 0, (size_t)N * (size_t)K, stage->a)) { return; }
    stage->be->ops->linear_pack(stage->be, ccu_writable(to), stage->a, N, K, t->dtype,
                                t->weights);
}

/* q, k and v of a block: one matrix, or in the last block q apart from k and v. */
static void put_qkv(ccu_stage *stage, const ccu_transformer *t, const ccu_block *block,
                    const ccu_block_tensors *from) {
    const ccu_ops *ops  = stage->be->ops;
    const int32_t  C    = t->C;
    const size_t   area = (size_t)C * (size_t)C;
    for (size_t i = 0; i < 3; i++) {
        if (!ccu_stage_read(stage, &from->qkv_w[i], 0, area, stage->a + i * area) ||
            !ccu_stage_read(stage, &from->qkv_b[i], 0, (size_t)C, stage->b + i * (size_t)C)) {
            return;
        }
    }
    ops->upload(stage->be, ccu_writable(block->qkv_b), stage->b, 3 * (size_t)C * sizeof(float));
    if (block->qkv_w != NULL) {
        ops->linear_pack(stage->be, ccu_writable(block->qkv_w), stage->a, 3 * C, C, t->dtype,
                         t->weights);
    } else {
        ops->linear_pack(stage->be, ccu_writable(block->q_w), stage->a, C, C, t->dtype,
                         t->weights);
        ops->linear_pack(stage->be, ccu_writable(block->kv_w), stage->a + area, 2 * C, C, t->dtype,
                         t->weights);
    }
}

static void put_blocks(ccu_stage *stage, const ccu_transformer *t,
                       const ccu_block_tensors *blocks) {
    for (int32_t i = 0; i < t->layers; i++) {
        const ccu_block         *to   = &t->blocks[i];
        const ccu_block_tensors *from = &blocks[i];
        put_f32(stage, to->ln1_w, &from->ln1_w);
        put_f32(stage, to->ln1_b, &from->ln1_b);
        put_qkv(stage, t, to, from);
        put_block_linear(stage, t, to->out_w, &from->out_w, t->C, t->C);
        put_f32(stage, to->out_b, &from->out_b);
        put_f32(stage, to->ln2_w, &from->ln2_w);
        put_f32(stage, to->ln2_b, &from->ln2_b);
        put_block_linear(stage, t, to->fc1_w, &from->fc1_w, t->mlp, t->C);
        put_f32(stage, to->fc1_b, &from->fc1_b);
        put_block_linear(stage, t, to->fc2_w, &from->fc2_w, t->C, t->mlp);
        put_f32(stage, to->fc2_b, &from->fc2_b);
    }
}

/* Rounds to what dtype can hold, so that sums over the rounded weights can be formed. */
static float round_to(float value, ccu_dtype dtype) {
    switch (dtype) {
    case CCU_F32: break;
    case CCU_BF16: return ccu_bf16_to_f32(ccu_bf16_from_f32(value));
    case CCU_F16: return ccu_f16_to_f32(ccu_f16_from_f32(value));
    }
    return value;
}

void ccu_patch_fold(float *w, float *b, int32_t C, int32_t area, const float mean[3],
                    const float std[3], ccu_dtype dtype) {
    for (int32_t n = 0; n < C; n++) {
        double bias = 0.0;
        for (int32_t c = 0; c < 3; c++) {
            const double scale = 1.0 / (255.0 * (double)std[c]);
            const double shift = 128.0 - 255.0 * (double)mean[c];
            float       *row   = w + ((size_t)n * 3 + (size_t)c) * (size_t)area;
            for (int32_t k = 0; k < area; k++) {
                row[k] = round_to((float)((double)row[k] * scale), dtype);
                bias += (double)row[k] * shift;
            }
        }
        b[n] = (float)bias;
    }
}

static void put_patches(ccu_stage *stage, const ccu_image_tower *tower, const ccu_tensor *patches,
                        const ccu_model_config *config) {
    const int32_t C = tower->trunk.C, area = tower->P * tower->P;
    if (!ccu_stage_read(stage, patches, 0, ccu_tensor_count(patches), stage->a)) { return; }
    ccu_patch_fold(stage->a, stage->b, C, area, config->mean, config->std, tower->trunk.dtype);
    stage->be->ops->upload(stage->be, ccu_writable(tower->patch_b), stage->b,
                           (size_t)C * sizeof(float));
    stage->be->ops->linear_pack(stage->be, ccu_writable(tower->patch_w), stage->a, C, 3 * area,
                                tower->trunk.dtype, CCU_WEIGHTS_PLAIN);
}

clipcu_status ccu_image_weights_upload(const ccu_checkpoint *checkpoint, ccu_image_tower *tower,
                                       ccu_backend *be, clipcu_error *error) {
    const ccu_image_tensors *from = &checkpoint->image;
    const ccu_transformer   *t    = &tower->trunk;
    const size_t patches   = 3 * (size_t)tower->P * (size_t)tower->P * (size_t)t->C;
    const size_t positions = (size_t)tower->T * (size_t)t->C;
    const size_t proj      = (size_t)tower->E * (size_t)t->C;
    ccu_stage stage     = {0};

    const size_t numbers = ccu_stage_numbers(t, patches, positions > proj ? positions : proj);
    if (ccu_stage_open(&stage, be, numbers, error) == CLIPCU_OK) {
        put_patches(&stage, tower, &from->patch_w, &checkpoint->config);
        put_f32(&stage, tower->class_token, &from->class_token);
        put_f32(&stage, tower->positions, &from->positions);
        put_f32(&stage, tower->ln_pre_w, &from->ln_pre_w);
        put_f32(&stage, tower->ln_pre_b, &from->ln_pre_b);
        put_blocks(&stage, t, from->blocks);
        put_f32(&stage, tower->ln_post_w, &from->ln_post_w);
        put_f32(&stage, tower->ln_post_b, &from->ln_post_b);
        put_projection(&stage, tower->proj_w, &from->proj, from->proj_transposed, tower->E, t->C,
                       t->dtype);
    }
    ccu_stage_close(&stage);
    return stage.status;
}

/* Numbers into a 16-bit dtype. */
static void round_all(void *to, const float *from, size_t count, ccu_dtype dtype) {
    assert(dtype == CCU_BF16 || dtype == CCU_F16);
    if (dtype == CCU_BF16) {
        ccu_bf16 *out = to;
        for (size_t i = 0; i < count; i++) { out[i] = ccu_bf16_from_f32(from[i]); }
    } else {
        ccu_f16 *out = to;
        for (size_t i = 0; i < count; i++) { out[i] = ccu_f16_from_f32(from[i]); }
    }
}

/* The token table, by slices of what the staging buffer holds: it is the largest tensor. */
static void put_tokens(ccu_stage *stage, const ccu_text_tower *tower, const ccu_tensor *tokens,
                       size_t slice) {
    const size_t count = (size_t)tower->vocab * (size_t)tower->trunk.C;
    const size_t size  = ccu_dtype_bytes(tower->trunk.dtype);
    for (size_t first = 0; first < count; first += slice) {
        const size_t n  = count - first < slice ? count - first : slice;
        uint8_t     *to = (uint8_t *)ccu_writable(tower->tokens) + first * size;
        if (!ccu_stage_read(stage, tokens, first, n, stage->a)) { return; }
        if (tower->trunk.dtype == CCU_F32) {
            stage->be->ops->upload(stage->be, to, stage->a, n * size);
            continue;
        }
        round_all(stage->b, stage->a, n, tower->trunk.dtype);
        stage->be->ops->upload(stage->be, to, stage->b, n * size);
    }
}

clipcu_status ccu_text_weights_upload(const ccu_checkpoint *checkpoint, ccu_text_tower *tower,
                                      ccu_backend *be, clipcu_error *error) {
    const ccu_text_tensors *from = &checkpoint->text;
    const ccu_transformer  *t    = &tower->trunk;
    const size_t positions = (size_t)tower->context * (size_t)t->C;
    const size_t proj      = (size_t)tower->E * (size_t)t->C;
    ccu_stage stage     = {0};

    const size_t numbers = ccu_stage_numbers(t, positions, proj);
    if (ccu_stage_open(&stage, be, numbers, error) == CLIPCU_OK) {
        put_tokens(&stage, tower, &from->tokens, numbers);
        put_f32(&stage, tower->positions, &from->positions);
        put_blocks(&stage, t, from->blocks);
        put_f32(&stage, tower->ln_final_w, &from->ln_final_w);
        put_f32(&stage, tower->ln_final_b, &from->ln_final_b);
        put_projection(&stage, tower->proj_w, &from->proj, from->proj_transposed, tower->E, t->C,
                       t->dtype);
    }
    ccu_stage_close(&stage);
    return stage.status;
}
