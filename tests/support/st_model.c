/* Tiny models; see st_model.h. */
#include "support/st_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t element_bytes(const char *dtype) {
    if (strcmp(dtype, "I64") == 0) { return 8; }
    return strcmp(dtype, "F32") == 0 ? 4 : strcmp(dtype, "U8") == 0 ? 1 : 2;
}

void st_tensor_reset(st_tensor *tensor, const char *dtype, int32_t rank, const int64_t *shape) {
    uint64_t seed = 0x9e3779b97f4a7c15ull;
    if (dtype != NULL) { (void)snprintf(tensor->dtype, sizeof tensor->dtype, "%s", dtype); }
    tensor->rank  = rank;
    tensor->bytes = element_bytes(tensor->dtype);
    for (int32_t i = 0; i < rank; i++) {
        tensor->shape[i] = shape[i];
        tensor->bytes *= (size_t)shape[i];
    }
    free(tensor->data);
    tensor->data = malloc(tensor->bytes + 1);
    for (const char *c = tensor->name; *c != '\0'; c++) { seed = seed * 31 + (uint8_t)*c; }
    for (size_t i = 0; i < tensor->bytes; i++) {
        tensor->data[i] = (uint8_t)(st_random(&seed) >> 32);
    }
    const float two = 2.0f;
    if (strcmp(tensor->name, "logit_scale") == 0 && strcmp(tensor->dtype, "F32") == 0) {
        for (size_t i = 0; i < tensor->bytes; i += 4) { memcpy(tensor->data + i, &two, 4); }
    }
}

/* A name that does not fit is a mistake in the test: it must not be cut silently. */
static void set_name(st_tensor *tensor, const char *name) {
    const size_t bytes = strlen(name) + 1;
    if (bytes > sizeof tensor->name) {
        fprintf(stderr, "st_model: name too long: %s\n", name);
        exit(1);
    }
    memcpy(tensor->name, name, bytes);
}

st_tensor *st_model_add(st_model *model, const char *name, const char *dtype,
                        const int64_t *dims) {
    int32_t    rank   = 0;
    st_tensor *tensor = &model->tensors[model->count++];
    while (dims[rank] != 0) { rank++; }
    memset(tensor, 0, sizeof *tensor);
    set_name(tensor, name);
    st_tensor_reset(tensor, dtype, rank, dims);
    return tensor;
}

st_tensor *st_model_find(st_model *model, const char *name) {
    for (int32_t i = 0; i < model->count; i++) {
        if (strcmp(model->tensors[i].name, name) == 0) { return &model->tensors[i]; }
    }
    return NULL;
}

void st_model_remove(st_model *model, const char *name) {
    st_tensor *tensor = st_model_find(model, name);
    if (tensor == NULL) { exit(1); }
    free(tensor->data);
    *tensor = model->tensors[--model->count];
}

void st_model_free(st_model *model) {
    for (int32_t i = 0; i < model->count; i++) { free(model->tensors[i].data); }
    model->count = 0;
}

static void add(st_model *model, const char *prefix, const char *name, int64_t a, int64_t b) {
    char          whole[256];
    const int64_t dims[3] = { a, b, 0 };
    (void)snprintf(whole, sizeof whole, "%s%s", prefix, name);
    (void)st_model_add(model, whole, "F32", dims);
}

static void add_pair(st_model *model, const char *prefix, const char *name, int64_t a, int64_t b) {
    char whole[128];
    (void)snprintf(whole, sizeof whole, "%s.weight", name);
    add(model, prefix, whole, a, b);
    (void)snprintf(whole, sizeof whole, "%s.bias", name);
    add(model, prefix, whole, a, 0);
}

static void add_blocks(st_model *model, st_layout layout, const char *blocks, int layers, int64_t c,
                       int64_t m) {
    const int hf = layout == ST_HUGGINGFACE;
    for (int i = 0; i < layers; i++) {
        char prefix[96];
        (void)snprintf(prefix, sizeof prefix, "%s%d.", blocks, i);
        add_pair(model, prefix, hf ? "layer_norm1" : "ln_1", c, 0);
        add_pair(model, prefix, hf ? "layer_norm2" : "ln_2", c, 0);
        add_pair(model, prefix, hf ? "mlp.fc1" : "mlp.c_fc", m, c);
        if (hf) {
            add_pair(model, prefix, "self_attn.q_proj", c, c);
            add_pair(model, prefix, "self_attn.k_proj", c, c);
            add_pair(model, prefix, "self_attn.v_proj", c, c);
            add_pair(model, prefix, "self_attn.out_proj", c, c);
        } else {
            add(model, prefix, "attn.in_proj_weight", 3 * c, c);
            add(model, prefix, "attn.in_proj_bias", 3 * c, 0);
            add_pair(model, prefix, "attn.out_proj", c, c);
        }
        add(model, prefix, hf ? "mlp.fc2.weight" : "mlp.c_proj.weight", c, m);
        add(model, prefix, hf ? "mlp.fc2.bias" : "mlp.c_proj.bias", c, 0);
    }
}

static void add_image(st_model *model, st_layout layout) {
    enum { C = ST_IMAGE_WIDTH, E = ST_EMBED, N = 5 };
    const int64_t patch[5] = { C, 3, ST_PATCH, ST_PATCH, 0 };
    if (layout == ST_HUGGINGFACE) {
        const char *v = "vision_model.";
        (void)st_model_add(model, "vision_model.embeddings.patch_embedding.weight", "F32", patch);
        add(model, v, "embeddings.class_embedding", C, 0);
        add(model, v, "embeddings.position_embedding.weight", N, C);
        add_pair(model, v, "pre_layrnorm", C, 0);
        add_pair(model, v, "post_layernorm", C, 0);
        add(model, "", "visual_projection.weight", E, C);
        add_blocks(model, layout, "vision_model.encoder.layers.", ST_IMAGE_LAYERS, C, ST_IMAGE_MLP);
        return;
    }
    (void)st_model_add(model, "visual.conv1.weight", "F32", patch);
    add(model, "visual.", "class_embedding", C, 0);
    add(model, "visual.", "positional_embedding", N, C);
    add_pair(model, "visual.", "ln_pre", C, 0);
    add_pair(model, "visual.", "ln_post", C, 0);
    add(model, "visual.", "proj", C, E);
    add_blocks(model, layout, "visual.transformer.resblocks.", ST_IMAGE_LAYERS, C, ST_IMAGE_MLP);
}

static void add_text(st_model *model, st_layout layout) {
    enum { C = ST_TEXT_WIDTH, E = ST_EMBED };
    if (layout == ST_HUGGINGFACE) {
        add(model, "text_model.", "embeddings.token_embedding.weight", ST_VOCAB, C);
        add(model, "text_model.", "embeddings.position_embedding.weight", ST_CONTEXT, C);
        add_pair(model, "text_model.", "final_layer_norm", C, 0);
        add(model, "", "text_projection.weight", E, C);
        add_blocks(model, layout, "text_model.encoder.layers.", ST_TEXT_LAYERS, C, ST_TEXT_MLP);
        return;
    }
    const int   custom = layout == ST_OPEN_CLIP_CUSTOM;
    const char *prefix = custom ? "text." : "";
    add(model, prefix, "token_embedding.weight", ST_VOCAB, C);
    add(model, prefix, "positional_embedding", ST_CONTEXT, C);
    add_pair(model, prefix, "ln_final", C, 0);
    add(model, prefix, "text_projection", C, E);
    add_blocks(model, layout, custom ? "text.transformer.resblocks." : "transformer.resblocks.",
               ST_TEXT_LAYERS, C, ST_TEXT_MLP);
}

void st_model_init(st_model *model, st_layout layout, int image, int text) {
    model->count = 0;
    if (image) { add_image(model, layout); }
    if (text) { add_text(model, layout); }
    if (image && text) { add(model, "", "logit_scale", 0, 0); }
}

void st_model_save(const st_model *model, const st_dir *dir, const char *file, const char *prefix,
                   int32_t parts, int32_t part) {
    size_t   bytes  = 0;
    size_t   used   = 1;
    size_t   room   = 64 + (size_t)model->count * 320;
    char    *header = malloc(room);
    uint8_t *data   = NULL;
    header[0]       = '{';
    for (int32_t i = part; i < model->count; i += parts) {
        const st_tensor *tensor = &model->tensors[i];
        used += (size_t)snprintf(header + used, room - used,
                                 "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[",
                                 bytes == 0 ? "" : ",", prefix, tensor->name, tensor->dtype);
        for (int32_t d = 0; d < tensor->rank; d++) {
            used += (size_t)snprintf(header + used, room - used, "%s%lld", d == 0 ? "" : ",",
                                     (long long)tensor->shape[d]);
        }
        used += (size_t)snprintf(header + used, room - used, "],\"data_offsets\":[%zu,%zu]}",
                                 bytes, bytes + tensor->bytes);
        data = realloc(data, bytes + tensor->bytes + 1);
        memcpy(data + bytes, tensor->data, tensor->bytes);
        bytes += tensor->bytes;
    }
    used += (size_t)snprintf(header + used, room - used, "}");
    st_dir_write_tensors(dir, file, used, header, used, data, bytes);
    free(header);
    free(data);
}

void st_model_save_config(st_layout layout, const st_dir *dir) {
    if (layout != ST_HUGGINGFACE) {
        st_dir_write_text(dir, "open_clip_config.json",
                          "{\"model_cfg\":{\"embed_dim\":10,\"vision_cfg\":{\"image_size\":8,"
                          "\"layers\":2,\"width\":12,\"head_width\":4,\"mlp_ratio\":1.7,"
                          "\"patch_size\":4},\"text_cfg\":{\"context_length\":6,\"vocab_size\":11,"
                          "\"width\":8,\"heads\":2,\"layers\":3,\"mlp_ratio\":2.0}},"
                          "\"preprocess_cfg\":{\"resize_mode\":\"squash\"}}");
        return;
    }
    st_dir_write_text(dir, "config.json",
                      "{\"model_type\":\"clip\",\"projection_dim\":10,\"text_config\":{"
                      "\"hidden_size\":8,\"intermediate_size\":16,\"num_attention_heads\":2,"
                      "\"num_hidden_layers\":3,\"vocab_size\":11,\"max_position_embeddings\":6,"
                      "\"eos_token_id\":10},\"vision_config\":{\"hidden_size\":12,"
                      "\"intermediate_size\":20,\"num_attention_heads\":3,\"num_hidden_layers\":2,"
                      "\"image_size\":8,\"patch_size\":4,\"hidden_act\":\"gelu\"}}");
    st_dir_write_text(dir, "preprocessor_config.json", "{\"size\":9,\"crop_size\":8}");
}
