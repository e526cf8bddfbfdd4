/* Binding tensors to their roles; see names.h. */
#include "checkpoint/names.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 160
#define SHAPE_BYTES 128
#define WARNINGS_MAX 20

/* A tower to fill, and where. */
typedef struct tower_binding {
    const char             *tower; /* "image" or "text" */
    const char             *prefix; /* before every name: "text." or "" */
    const char             *blocks_prefix;
    const ccu_role         *roles;
    int32_t                 role_count;
    void                   *tensors;
    ccu_block_tensors      *blocks;
    const ccu_tower_config *config;
} tower_binding;

typedef struct binder {
    const char             *dir;
    ccu_shards             *shards;
    ccu_layout              layout;
    const ccu_model_config *config;
    clipcu_error           *error;
} binder;

typedef struct hint {
    const char *prefix, *reason;
} hint;

static const hint HINTS[] = {
    { "visual.layer1.", "ResNet towers are not supported yet" },
    { "visual.trunk.", "timm image towers are not supported" },
    { "visual.attn_pool.", "attentional pooling is not supported" },
    { "vision_model.head.", "SigLIP models are not supported yet" },
    { "logit_bias", "SigLIP's bias is not supported yet" },
    { "text_decoder.", "CoCa models are not supported" },
    { "text.transformer.embeddings.", "Hugging Face text towers are not supported" },
    { "text.text_projection.bias", "a text projection with bias is not supported" },
    { "vision_model.embeddings.patch_embedding.bias", "a biased patch embedding is not supported" },
};

clipcu_status ccu_names_refuse(const char *dir, const ccu_shards *shards, clipcu_error *error) {
    for (size_t i = 0; i < sizeof HINTS / sizeof HINTS[0]; i++) {
        if (ccu_shards_any(shards, HINTS[i].prefix)) {
            return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: the weights hold %s%s: %s", dir,
                            HINTS[i].prefix,
                            HINTS[i].prefix[strlen(HINTS[i].prefix) - 1] == '.' ? "..." : "",
                            HINTS[i].reason);
        }
    }
    return CLIPCU_OK;
}

/* Tensors that some files carry and nothing needs. */
static bool is_superfluous(const char *name) {
    static const char *const whole[] = { "attn_mask", "input_resolution", "context_length",
                                         "vocab_size" };
    static const char *const last[]  = { "position_ids", "num_batches_tracked", "attn_mask" };
    const char              *dot     = strrchr(name, '.');
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        if (strcmp(name, whole[i]) == 0) { return true; }
    }
    for (size_t i = 0; dot != NULL && i < sizeof last / sizeof last[0]; i++) {
        if (strcmp(dot + 1, last[i]) == 0) { return true; }
    }
    return false;
}

/* What a tower's names begin with, by layout; NULL ends a list. */
static const char *const IMAGE_PREFIXES[2][3] = {
    { "vision_model.", "visual_projection.", NULL },
    { "visual.", NULL, NULL },
};
static const char *const TEXT_PREFIXES[2][7] = {
    { "text_model.", "text_projection.", NULL, NULL, NULL, NULL, NULL },
    { "transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection",
      "text.", NULL },
};

static bool any_of(const ccu_shards *shards, const char *const *prefixes) {
    for (int32_t i = 0; i < shards->count; i++) {
        const char *name = shards->entries[i].name;
        if (is_superfluous(name)) { continue; }
        for (size_t p = 0; prefixes[p] != NULL; p++) {
            if (strncmp(name, prefixes[p], strlen(prefixes[p])) == 0) { return true; }
        }
    }
    return false;
}

clipcu_status ccu_names_find_towers(const char *dir, const ccu_shards *shards, ccu_layout layout,
                                    ccu_model_config *config, clipcu_error *error) {
    const ccu_tower_config none = { .present = false };
    if (!any_of(shards, IMAGE_PREFIXES[layout])) {
        config->image      = none;
        config->image_size = config->patch_size = 0;
    }
    if (!any_of(shards, TEXT_PREFIXES[layout])) {
        config->text       = none;
        config->vocab_size = config->context_length = 0;
    }
    if (!config->image.present && !config->text.present) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: none of the %d tensors belongs to a CLIP tower of the configuration",
                        dir, shards->count);
    }
    return CLIPCU_OK;
}

static void format_shape(int32_t rank, const int64_t *shape, char out[SHAPE_BYTES]) {
    size_t used = 0;
    out[used++] = '(';
    for (int32_t i = 0; i < rank && used < SHAPE_BYTES - 24; i++) {
        used += (size_t)snprintf(out + used, SHAPE_BYTES - used, "%s%lld", i == 0 ? "" : ", ",
                                 (long long)shape[i]);
    }
    (void)snprintf(out + used, SHAPE_BYTES - used, ")"); /* room was kept */
}

/* The message says what the configuration holds and what the file holds. */
static clipcu_status fail_shape(const binder *b, const tower_binding *t, const ccu_role *role,
                                const ccu_st_entry *entry, int32_t rank, const int64_t *shape,
                                int32_t block) {
    char                    expected[SHAPE_BYTES];
    char                    found[SHAPE_BYTES];
    const ccu_model_config *config = b->config;
    format_shape(rank, shape, expected);
    format_shape(entry->rank, entry->shape, found);
    if (role->shape == CCU_SHAPE_IMAGE_POSITIONS) {
        return ccu_fail(b->error, CLIPCU_ERR_FORMAT,
                        "%s: tensor %s: found %s, expected %s: image_size %d with patch_size %d "
                        "gives %lld positions",
                        b->dir, entry->name, found, expected, config->image_size,
                        config->patch_size, (long long)shape[0]);
    }
    if (block > 0) { /* block 0 agreed with the configuration */
        return ccu_fail(b->error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: tensor %s: found %s, expected %s as in layer 0; layers of different "
                        "widths are not supported",
                        b->dir, entry->name, found, expected);
    }
    return ccu_fail(b->error, CLIPCU_ERR_FORMAT,
                    "%s: tensor %s: found %s, expected %s by the configuration (%s tower: width "
                    "%d, mlp %d, embedding %d)",
                    b->dir, entry->name, found, expected, t->tower, t->config->width,
                    t->config->mlp, config->embed_dim);
}

/* Takes one part of a tensor of three times as many rows. */
static void take_third(ccu_tensor *tensor, int32_t third) {
    tensor->shape[0] /= 3;
    tensor->offset +=
        (size_t)third * ccu_tensor_count(tensor) * ccu_dtype_bytes(tensor->dtype);
}

static clipcu_status bind_role(const binder *b, const tower_binding *t, const ccu_role *role,
                               int32_t block, void *tensors) {
    char      name[NAME_BYTES];
    int64_t   shape[4] = { 0, 0, 0, 0 };
    const int written  = block < 0 ? snprintf(name, sizeof name, "%s%s", t->prefix,
                                              role->name[b->layout])
                                   : snprintf(name, sizeof name, "%s%s%d.%s", t->prefix,
                                              t->blocks_prefix, block, role->name[b->layout]);
    assert(written > 0);
    assert(written < NAME_BYTES); /* the tables' names are short */
    (void)written;
    const bool       fused = b->layout == CCU_LAYOUT_OPEN_CLIP && role->third >= 0;
    ccu_shard_entry *entry = ccu_shards_find(b->shards, name);
    if (entry == NULL) {
        return ccu_fail(b->error, CLIPCU_ERR_FORMAT, "%s: tensor %s is missing (%s tower)", b->dir,
                        name, t->tower);
    }
    const int32_t rank = ccu_role_shape(role, b->layout, b->config, t->config, shape);
    if (fused) { shape[0] *= 3; }
    bool same = entry->tensor->rank == rank;
    for (int32_t i = 0; i < rank && same; i++) { same = entry->tensor->shape[i] == shape[i]; }
    if (!same) { return fail_shape(b, t, role, entry->tensor, rank, shape, block); }

    ccu_tensor *out = (ccu_tensor *)(void *)((uint8_t *)tensors + role->offset);
    const clipcu_status status = ccu_st_tensor(entry->file, entry->tensor, out, b->error);
    if (status != CLIPCU_OK) { return status; }
    if (fused) { take_third(out, role->third); }
    entry->used = true;
    return CLIPCU_OK;
}

/* Layers in the files that the configuration does not know would be left out silently. */
static clipcu_status check_layers(const binder *b, const tower_binding *t) {
    char prefix[NAME_BYTES];
    (void)snprintf(prefix, sizeof prefix, "%s%s", t->prefix, t->blocks_prefix); /* short names */
    const size_t length = strlen(prefix);
    for (int32_t i = 0; i < b->shards->count; i++) {
        const ccu_shard_entry *entry = &b->shards->entries[i];
        if (entry->used || strncmp(entry->name, prefix, length) != 0) { continue; }
        char      *end   = NULL;
        const long index = strtol(entry->name + length, &end, 10);
        if (end != entry->name + length && *end == '.' && index >= t->config->layers) {
            return ccu_fail(b->error, CLIPCU_ERR_FORMAT,
                            "%s: tensor %s: the configuration has %d layers in the %s tower",
                            b->dir, entry->name, t->config->layers, t->tower);
        }
    }
    return CLIPCU_OK;
}

static clipcu_status bind_tower(const binder *b, const tower_binding *t) {
    for (int32_t i = 0; i < t->role_count; i++) {
        const clipcu_status status = bind_role(b, t, &t->roles[i], -1, t->tensors);
        if (status != CLIPCU_OK) { return status; }
    }
    for (int32_t layer = 0; layer < t->config->layers; layer++) {
        for (int32_t i = 0; i < CCU_BLOCK_ROLES; i++) {
            const clipcu_status status =
                bind_role(b, t, &CCU_BLOCK_ROLE[i], layer, &t->blocks[layer]);
            if (status != CLIPCU_OK) { return status; }
        }
    }
    return check_layers(b, t);
}

static clipcu_status bind_scale(const binder *b, ccu_checkpoint *out) {
    ccu_tensor       tensor = { .data = NULL };
    ccu_shard_entry *entry  = ccu_shards_find(b->shards, "logit_scale");
    float            stored = logf(1.0f / 0.07f);
    if (entry == NULL) {
        if (b->config->image.present && b->config->text.present) {
            return ccu_fail(b->error, CLIPCU_ERR_FORMAT, "%s: tensor logit_scale is missing",
                            b->dir);
        }
        out->logit_scale = expf(stored);
        return CLIPCU_OK;
    }
    clipcu_status status = ccu_st_tensor(entry->file, entry->tensor, &tensor, b->error);
    if (status != CLIPCU_OK) { return status; }
    if (ccu_tensor_count(&tensor) != 1) {
        return ccu_fail(b->error, CLIPCU_ERR_FORMAT,
                        "%s: tensor logit_scale holds %zu elements, expected 1", b->dir,
                        ccu_tensor_count(&tensor));
    }
    status = ccu_tensor_to_f32(&tensor, 0, 1, &stored, b->error);
    if (status != CLIPCU_OK) { return status; }
    out->logit_scale = expf(stored);
    if (!isfinite(out->logit_scale)) {
        return ccu_fail(b->error, CLIPCU_ERR_FORMAT,
                        "%s: tensor logit_scale is %g, its exponential is not finite", b->dir,
                        (double)stored);
    }
    entry->used = true;
    return CLIPCU_OK;
}

clipcu_status ccu_names_bind(const char *dir, ccu_shards *shards, ccu_layout layout,
                             ccu_checkpoint *out, clipcu_error *error) {
    static const char *const image_blocks[2] = { "vision_model.encoder.layers.",
                                                 "visual.transformer.resblocks." };
    static const char *const text_blocks[2]  = { "text_model.encoder.layers.",
                                                 "transformer.resblocks." };
    const bool          open_clip = layout == CCU_LAYOUT_OPEN_CLIP;
    const bool          custom    = open_clip && ccu_shards_any(shards, "text.");
    const binder        b         = { dir, shards, layout, &out->config, error };
    const tower_binding image     = { "image", "", image_blocks[layout], CCU_IMAGE_ROLE,
                                      CCU_IMAGE_ROLES, &out->image, out->image.blocks,
                                      &out->config.image };
    const tower_binding text      = { "text", custom ? "text." : "", text_blocks[layout],
                                      CCU_TEXT_ROLE, CCU_TEXT_ROLES, &out->text,
                                      out->text.blocks, &out->config.text };
    clipcu_status       status    = CLIPCU_OK;
    if (out->config.image.present) { status = bind_tower(&b, &image); }
    if (status == CLIPCU_OK && out->config.text.present) { status = bind_tower(&b, &text); }
    if (status == CLIPCU_OK) { status = bind_scale(&b, out); }
    out->image.proj_transposed = open_clip && out->config.image.present;
    out->text.proj_transposed  = open_clip && out->config.text.present;
    return status;
}

void ccu_names_warn_unused(const char *dir, const ccu_shards *shards, const ccu_warner *warner) {
    int32_t unknown = 0;
    for (int32_t i = 0; i < shards->count; i++) {
        const ccu_shard_entry *entry = &shards->entries[i];
        if (entry->used || is_superfluous(entry->name)) { continue; }
        unknown++;
        if (unknown <= WARNINGS_MAX) {
            ccu_warner_say(warner, "%s: tensor %s is not known and not used", dir,
                           entry->tensor->name);
        }
    }
    if (unknown > WARNINGS_MAX) {
        ccu_warner_say(warner, "%s: %d more tensors are not known and not used", dir,
                       unknown - WARNINGS_MAX);
    }
}
