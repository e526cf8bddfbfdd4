/* Tables of tensor names; see roles.h. */
#include "checkpoint/roles.h"

#include <stddef.h>

#define BLOCK(member) offsetof(ccu_block_tensors, member)
#define IMAGE(member) offsetof(ccu_image_tensors, member)
#define TEXT(member) offsetof(ccu_text_tensors, member)

/* open_clip stores q, k and v as one tensor, rows in that order (torch's MultiheadAttention). */
const ccu_role CCU_BLOCK_ROLE[CCU_BLOCK_ROLES] = {
    { "ln1.weight", { "layer_norm1.weight", "ln_1.weight" }, BLOCK(ln1_w), CCU_SHAPE_C, -1 },
    { "ln1.bias", { "layer_norm1.bias", "ln_1.bias" }, BLOCK(ln1_b), CCU_SHAPE_C, -1 },
    { "q.weight", { "self_attn.q_proj.weight", "attn.in_proj_weight" }, BLOCK(qkv_w[0]),
      CCU_SHAPE_C_C, 0 },
    { "q.bias", { "self_attn.q_proj.bias", "attn.in_proj_bias" }, BLOCK(qkv_b[0]), CCU_SHAPE_C, 0 },
    { "k.weight", { "self_attn.k_proj.weight", "attn.in_proj_weight" }, BLOCK(qkv_w[1]),
      CCU_SHAPE_C_C, 1 },
    { "k.bias", { "self_attn.k_proj.bias", "attn.in_proj_bias" }, BLOCK(qkv_b[1]), CCU_SHAPE_C, 1 },
    { "v.weight", { "self_attn.v_proj.weight", "attn.in_proj_weight" }, BLOCK(qkv_w[2]),
      CCU_SHAPE_C_C, 2 },
    { "v.bias", { "self_attn.v_proj.bias", "attn.in_proj_bias" }, BLOCK(qkv_b[2]), CCU_SHAPE_C, 2 },
    { "out.weight", { "self_attn.out_proj.weight", "attn.out_proj.weight" }, BLOCK(out_w),
      CCU_SHAPE_C_C, -1 },
    { "out.bias", { "self_attn.out_proj.bias", "attn.out_proj.bias" }, BLOCK(out_b), CCU_SHAPE_C,
      -1 },
    { "ln2.weight", { "layer_norm2.weight", "ln_2.weight" }, BLOCK(ln2_w), CCU_SHAPE_C, -1 },
    { "ln2.bias", { "layer_norm2.bias", "ln_2.bias" }, BLOCK(ln2_b), CCU_SHAPE_C, -1 },
    { "fc1.weight", { "mlp.fc1.weight", "mlp.c_fc.weight" }, BLOCK(fc1_w), CCU_SHAPE_M_C, -1 },
    { "fc1.bias", { "mlp.fc1.bias", "mlp.c_fc.bias" }, BLOCK(fc1_b), CCU_SHAPE_M, -1 },
    { "fc2.weight", { "mlp.fc2.weight", "mlp.c_proj.weight" }, BLOCK(fc2_w), CCU_SHAPE_C_M, -1 },
    { "fc2.bias", { "mlp.fc2.bias", "mlp.c_proj.bias" }, BLOCK(fc2_b), CCU_SHAPE_C, -1 },
};

/* "pre_layrnorm" is how transformers spells it. */
const ccu_role CCU_IMAGE_ROLE[CCU_IMAGE_ROLES] = {
    { "patch", { "vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight" },
      IMAGE(patch_w), CCU_SHAPE_PATCH, -1 },
    { "class", { "vision_model.embeddings.class_embedding", "visual.class_embedding" },
      IMAGE(class_token), CCU_SHAPE_C, -1 },
    { "positions",
      { "vision_model.embeddings.position_embedding.weight", "visual.positional_embedding" },
      IMAGE(positions), CCU_SHAPE_IMAGE_POSITIONS, -1 },
    { "ln_pre.weight", { "vision_model.pre_layrnorm.weight", "visual.ln_pre.weight" },
      IMAGE(ln_pre_w), CCU_SHAPE_C, -1 },
    { "ln_pre.bias", { "vision_model.pre_layrnorm.bias", "visual.ln_pre.bias" }, IMAGE(ln_pre_b),
      CCU_SHAPE_C, -1 },
    { "ln_post.weight", { "vision_model.post_layernorm.weight", "visual.ln_post.weight" },
      IMAGE(ln_post_w), CCU_SHAPE_C, -1 },
    { "ln_post.bias", { "vision_model.post_layernorm.bias", "visual.ln_post.bias" },
      IMAGE(ln_post_b), CCU_SHAPE_C, -1 },
    { "proj", { "visual_projection.weight", "visual.proj" }, IMAGE(proj), CCU_SHAPE_PROJ, -1 },
};

const ccu_role CCU_TEXT_ROLE[CCU_TEXT_ROLES] = {
    { "tokens", { "text_model.embeddings.token_embedding.weight", "token_embedding.weight" },
      TEXT(tokens), CCU_SHAPE_TOKENS, -1 },
    { "positions", { "text_model.embeddings.position_embedding.weight", "positional_embedding" },
      TEXT(positions), CCU_SHAPE_TEXT_POSITIONS, -1 },
    { "ln_final.weight", { "text_model.final_layer_norm.weight", "ln_final.weight" },
      TEXT(ln_final_w), CCU_SHAPE_C, -1 },
    { "ln_final.bias", { "text_model.final_layer_norm.bias", "ln_final.bias" }, TEXT(ln_final_b),
      CCU_SHAPE_C, -1 },
    { "proj", { "text_projection.weight", "text_projection" }, TEXT(proj), CCU_SHAPE_PROJ, -1 },
};

static int32_t set_shape(int64_t shape[4], int32_t rank, int64_t a, int64_t b) {
    shape[0] = a;
    shape[1] = b;
    return rank;
}

int32_t ccu_role_shape(const ccu_role *role, ccu_layout layout, const ccu_model_config *config,
                       const ccu_tower_config *tower, int64_t shape[4]) {
    const int64_t C = tower->width;
    const int64_t M = tower->mlp;
    const int64_t E = config->embed_dim;
    const int64_t P = config->patch_size;
    const int64_t G = P == 0 ? 0 : config->image_size / P;
    switch (role->shape) {
    case CCU_SHAPE_C: return set_shape(shape, 1, C, 0);
    case CCU_SHAPE_C_C: return set_shape(shape, 2, C, C);
    case CCU_SHAPE_M: return set_shape(shape, 1, M, 0);
    case CCU_SHAPE_M_C: return set_shape(shape, 2, M, C);
    case CCU_SHAPE_C_M: return set_shape(shape, 2, C, M);
    case CCU_SHAPE_PATCH:
        shape[2] = shape[3] = P;
        return set_shape(shape, 4, C, 3);
    case CCU_SHAPE_IMAGE_POSITIONS: return set_shape(shape, 2, G * G + 1, C);
    case CCU_SHAPE_TOKENS: return set_shape(shape, 2, config->vocab_size, C);
    case CCU_SHAPE_TEXT_POSITIONS: return set_shape(shape, 2, config->context_length, C);
    case CCU_SHAPE_PROJ:
        return layout == CCU_LAYOUT_HUGGINGFACE ? set_shape(shape, 2, E, C)
                                                : set_shape(shape, 2, C, E);
    }
    return 0;
}
