/* open_clip_config.json; see config.h. open_clip describes many architectures with one set of keys:
 * those that change what is computed and are not implemented here are refused by name. */
#include <assert.h>
#include <string.h>

#include "checkpoint/config.h"

typedef enum rule {
    RULE_READ,  /* read below */
    RULE_SKIP,  /* matters in training only, or belongs to a feature that another key switches */
    RULE_REFUSE /* UNSUPPORTED when set to anything but the allowed value */
} rule;

typedef struct key_rule {
    const char *key;
    rule        rule;
    const char *allowed; /* the string that is as good as unset, or NULL */
    const char *reason;  /* what to say, or NULL */
} key_rule;

static const char TIMM[] = "timm image towers are not supported";

static const key_rule VISION_RULES[] = {
    { "layers", RULE_READ, NULL, NULL },
    { "width", RULE_READ, NULL, NULL },
    { "head_width", RULE_READ, NULL, NULL },
    { "mlp_ratio", RULE_READ, NULL, NULL },
    { "patch_size", RULE_READ, NULL, NULL },
    { "image_size", RULE_READ, NULL, NULL },
    { "norm_kwargs", RULE_READ, NULL, NULL },
    { "patch_dropout", RULE_SKIP, NULL, NULL },
    { "attn_pooler_queries", RULE_SKIP, NULL, NULL },
    { "attn_pooler_heads", RULE_SKIP, NULL, NULL },
    { "n_queries", RULE_SKIP, NULL, NULL },
    { "output_tokens", RULE_SKIP, NULL, NULL },
    { "final_ln_after_pool", RULE_SKIP, NULL, NULL }, /* same result with a class token */
    { "timm_model_pretrained", RULE_SKIP, NULL, NULL },
    { "timm_pool", RULE_SKIP, NULL, NULL },
    { "timm_proj", RULE_SKIP, NULL, NULL },
    { "timm_proj_bias", RULE_SKIP, NULL, NULL },
    { "timm_drop", RULE_SKIP, NULL, NULL },
    { "timm_drop_path", RULE_SKIP, NULL, NULL },
    { "timm_model_name", RULE_REFUSE, NULL, TIMM },
    { "attentional_pool", RULE_REFUSE, NULL, NULL },
    { "ls_init_value", RULE_REFUSE, NULL, "layer scale is not supported" },
    { "no_ln_pre", RULE_REFUSE, NULL, NULL },
    { "pos_embed_type", RULE_REFUSE, "learnable", NULL },
    { "pool_type", RULE_REFUSE, "tok", NULL },
    { "act_kwargs", RULE_REFUSE, NULL, NULL },
    { "block_type", RULE_REFUSE, "default", NULL },
    { "qk_norm", RULE_REFUSE, NULL, NULL },
    { "scaled_cosine_attn", RULE_REFUSE, NULL, NULL },
    { "scale_heads", RULE_REFUSE, NULL, NULL },
    { "scale_attn_inner", RULE_REFUSE, NULL, NULL },
    { "scale_attn", RULE_REFUSE, NULL, NULL },
    { "scale_fc", RULE_REFUSE, NULL, NULL },
    { "input_patchnorm", RULE_REFUSE, NULL, NULL },
    { "global_average_pool", RULE_REFUSE, NULL, NULL },
};

static const key_rule TEXT_RULES[] = {
    { "context_length", RULE_READ, NULL, NULL },
    { "vocab_size", RULE_READ, NULL, NULL },
    { "width", RULE_READ, NULL, NULL },
    { "heads", RULE_READ, NULL, NULL },
    { "layers", RULE_READ, NULL, NULL },
    { "mlp_ratio", RULE_READ, NULL, NULL },
    { "pool_type", RULE_READ, NULL, NULL },
    { "eos_id", RULE_READ, NULL, NULL },
    { "norm_kwargs", RULE_READ, NULL, NULL },
    { "hf_tokenizer_name", RULE_READ, NULL, NULL },
    { "tokenizer_kwargs", RULE_READ, NULL, NULL },
    { "tokenizer_mode", RULE_SKIP, NULL, NULL },
    { "pad_id", RULE_SKIP, NULL, NULL }, /* nothing after the end of a text is computed */
    { "output_tokens", RULE_SKIP, NULL, NULL },
    { "final_ln_after_pool", RULE_SKIP, NULL, NULL },
    { "hf_model_pretrained", RULE_SKIP, NULL, NULL },
    { "hf_proj_type", RULE_SKIP, NULL, NULL },
    { "hf_pooler_type", RULE_SKIP, NULL, NULL },
    { "hf_model_name", RULE_REFUSE, NULL, "Hugging Face text towers are not supported" },
    { "text_arch", RULE_REFUSE, "default", NULL },
    { "ls_init_value", RULE_REFUSE, NULL, "layer scale is not supported" },
    { "embed_cls", RULE_REFUSE, NULL, NULL },
    { "no_causal_mask", RULE_REFUSE, NULL, NULL },
    { "proj_type", RULE_REFUSE, "linear", NULL },
    { "proj_bias", RULE_REFUSE, NULL, NULL },
    { "act_kwargs", RULE_REFUSE, NULL, NULL },
    { "block_type", RULE_REFUSE, "default", NULL },
    { "qk_norm", RULE_REFUSE, NULL, NULL },
    { "scaled_cosine_attn", RULE_REFUSE, NULL, NULL },
    { "scale_heads", RULE_REFUSE, NULL, NULL },
    { "scale_attn_inner", RULE_REFUSE, NULL, NULL },
    { "scale_attn", RULE_REFUSE, NULL, NULL },
    { "scale_fc", RULE_REFUSE, NULL, NULL },
};

static const key_rule MODEL_RULES[] = {
    { "embed_dim", RULE_READ, NULL, NULL },
    { "quick_gelu", RULE_READ, NULL, NULL },
    { "vision_cfg", RULE_READ, NULL, NULL },
    { "text_cfg", RULE_READ, NULL, NULL },
    { "custom_text", RULE_SKIP, NULL, NULL }, /* shows in the tensor names */
    { "init_logit_scale", RULE_SKIP, NULL, NULL },
    { "nonscalar_logit_scale", RULE_SKIP, NULL, NULL },
    { "output_dict", RULE_SKIP, NULL, NULL },
    { "cast_dtype", RULE_SKIP, NULL, NULL },
    { "init_logit_bias", RULE_REFUSE, NULL, "SigLIP models are not supported yet" },
    { "multimodal_cfg", RULE_REFUSE, NULL, "CoCa models are not supported" },
};

typedef struct rules {
    const char     *object; /* "vision_cfg", for messages */
    const key_rule *keys;
    size_t          count;
} rules;

/* False for what Python takes as false: null, false, "", {} and []. */
static bool is_set(const cJSON *item) {
    if (cJSON_IsString(item)) { return item->valuestring[0] != '\0'; }
    if (cJSON_IsObject(item) || cJSON_IsArray(item)) { return item->child != NULL; }
    return !cJSON_IsNull(item) && !cJSON_IsFalse(item);
}

static clipcu_status apply_rules(const cJSON *object, const char *name, const rules *table,
                                 const ccu_warner *warner, clipcu_error *error) {
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        const key_rule *found = NULL;
        for (size_t i = 0; i < table->count && found == NULL; i++) {
            if (strcmp(item->string, table->keys[i].key) == 0) { found = &table->keys[i]; }
        }
        if (!is_set(item)) { continue; }
        const char *text = cJSON_IsString(item) ? item->valuestring : NULL;
        if (found == NULL) {
            ccu_warner_say(warner, "%s: %s.%.60s is not known and has no effect", name,
                           table->object, item->string);
            continue;
        }
        if (found->rule != RULE_REFUSE) { continue; }
        if (found->allowed != NULL && text != NULL && strcmp(text, found->allowed) == 0) {
            continue;
        }
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: %s.%s%s%.60s: %s", name, table->object,
                        item->string, text == NULL ? "" : " ", text == NULL ? "" : text,
                        found->reason == NULL ? "not supported" : found->reason);
    }
    return CLIPCU_OK;
}

/* norm_kwargs: only eps, the layer norms' epsilon. */
static clipcu_status read_norm(const cJSON *object, const char *name, float *eps,
                               clipcu_error *error) {
    const cJSON  *norm   = NULL;
    double        value  = *eps;
    clipcu_status status = ccu_config_object(object, name, "norm_kwargs", &norm, error);
    if (status != CLIPCU_OK || norm == NULL) { return status; }
    for (const cJSON *item = norm->child; item != NULL; item = item->next) {
        if (strcmp(item->string, "eps") != 0) {
            return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: norm_kwargs.%.60s: not supported",
                            name, item->string);
        }
    }
    status = ccu_json_double(norm, name, "eps", &value, error);
    *eps   = (float)value;
    return status;
}

/* width, layers, mlp and eps of a tower. */
static clipcu_status read_tower(const cJSON *object, const char *name, ccu_tower_config *tower,
                                clipcu_error *error) {
    double        ratio  = 4.0;
    clipcu_status status = ccu_json_int(object, name, "width", 1, INT32_MAX, &tower->width, error);
    if (status == CLIPCU_OK) {
        status = ccu_json_int(object, name, "layers", 1, INT32_MAX, &tower->layers, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_json_double(object, name, "mlp_ratio", &ratio, error);
    }
    if (status == CLIPCU_OK) { status = read_norm(object, name, &tower->eps, error); }
    if (status != CLIPCU_OK) { return status; }
    const double mlp = tower->width * ratio;
    if (!(mlp >= 1.0 && mlp <= CCU_MLP_MAX)) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT,
                        "%s: width %d with mlp_ratio %.6g gives an mlp width of %.6g, expected "
                        "1 .. %d",
                        name, tower->width, ratio, mlp, CCU_MLP_MAX);
    }
    tower->mlp = (int32_t)mlp; /* cut, not rounded: int(width * mlp_ratio) in open_clip */
    return CLIPCU_OK;
}

static clipcu_status read_vision(const cJSON *object, const char *name, const ccu_warner *warner,
                                 ccu_model_config *config, clipcu_error *error) {
    static const rules table = { "vision_cfg", VISION_RULES,
                                 sizeof VISION_RULES / sizeof VISION_RULES[0] };
    int32_t            head_width = 64;
    if (cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(object, "layers"))) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: vision_cfg.layers is a list: ResNet towers are not supported yet",
                        name);
    }
    clipcu_status status = apply_rules(object, name, &table, warner, error);
    if (status == CLIPCU_OK) { status = read_tower(object, name, &config->image, error); }
    if (status == CLIPCU_OK) {
        status = ccu_json_int(object, name, "head_width", 1, INT32_MAX, &head_width, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_config_side(object, name, "patch_size", &config->patch_size, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_config_side(object, name, "image_size", &config->image_size, error);
    }
    config->image.heads = config->image.width / head_width;
    return status;
}

/* Tokenizers other than CLIP's own would give wrong ids without any error later. */
static clipcu_status check_tokenizer(const cJSON *object, const char *name,
                                     const ccu_warner *warner, int32_t vocab_size,
                                     clipcu_error *error) {
    const char   *tokenizer = NULL;
    const char   *clean     = NULL;
    const cJSON  *options   = NULL;
    clipcu_status status = ccu_json_string(object, name, "hf_tokenizer_name", &tokenizer, error);
    if (status == CLIPCU_OK) {
        status = ccu_config_object(object, name, "tokenizer_kwargs", &options, error);
    }
    if (status == CLIPCU_OK) { status = ccu_json_string(options, name, "clean", &clean, error); }
    if (status != CLIPCU_OK) { return status; }
    if (clean != NULL && strcmp(clean, "lower") != 0) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: tokenizer_kwargs.clean \"%.60s\": only \"lower\" is supported", name,
                        clean);
    }
    if (tokenizer != NULL && tokenizer[0] != '\0' && vocab_size != 49408) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: text_cfg.hf_tokenizer_name \"%.60s\" with a vocabulary of %d: only "
                        "CLIP's own tokenizer is supported",
                        name, tokenizer, vocab_size);
    }
    if (tokenizer != NULL && tokenizer[0] != '\0') {
        ccu_warner_say(warner, "%s: hf_tokenizer_name \"%.60s\" is taken for CLIP's tokenizer",
                       name, tokenizer);
    }
    return CLIPCU_OK;
}

static clipcu_status read_text(const cJSON *object, const char *name, const ccu_warner *warner,
                               ccu_model_config *config, clipcu_error *error) {
    static const rules table = { "text_cfg", TEXT_RULES,
                                 sizeof TEXT_RULES / sizeof TEXT_RULES[0] };
    const char        *pool  = "argmax";
    int32_t            eos   = 2; /* CLIPTextCfg's default */
    clipcu_status status = apply_rules(object, name, &table, warner, error);
    if (status == CLIPCU_OK) { status = read_tower(object, name, &config->text, error); }
    if (status == CLIPCU_OK) {
        status = ccu_json_int(object, name, "heads", 1, INT32_MAX, &config->text.heads, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_json_int(object, name, "vocab_size", 1, INT32_MAX, &config->vocab_size, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_json_int(object, name, "context_length", 1, INT32_MAX,
                              &config->context_length, error);
    }
    if (status == CLIPCU_OK) { status = ccu_json_string(object, name, "pool_type", &pool, error); }
    if (status == CLIPCU_OK) {
        status = ccu_json_int(object, name, "eos_id", 0, INT32_MAX, &eos, error);
    }
    if (status == CLIPCU_OK) {
        status = check_tokenizer(object, name, warner, config->vocab_size, error);
    }
    if (status != CLIPCU_OK) { return status; }
    if (strcmp(pool, "argmax") == 0) {
        config->eot_id = -1;
    } else if (strcmp(pool, "eos") == 0) {
        config->eot_id = eos;
    } else {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: text_cfg.pool_type \"%.60s\": argmax and eos are supported", name,
                        pool);
    }
    return CLIPCU_OK;
}

clipcu_status ccu_config_open_clip(const cJSON *root, const char *name, const ccu_warner *warner,
                                   ccu_model_config *out, clipcu_error *error) {
    static const rules table = { "model_cfg", MODEL_RULES,
                                 sizeof MODEL_RULES / sizeof MODEL_RULES[0] };
    assert(root != NULL);
    assert(out != NULL);
    const cJSON     *model      = NULL;
    const cJSON     *vision     = NULL;
    const cJSON     *text       = NULL;
    const cJSON     *preprocess = NULL;
    bool             quick_gelu = false;
    ccu_model_config config     = {
        .image = { .present = true, .layers = 12, .width = 768, .eps = 1e-5f },
        .text  = { .present = true, .layers = 12, .width = 512, .heads = 8, .eps = 1e-5f },
        .image_size = 224, .patch_size = 16, .vocab_size = 49408, .context_length = 77,
    };
    clipcu_status status = ccu_config_object(root, name, "model_cfg", &model, error);
    if (status == CLIPCU_OK) {
        status = ccu_config_object(model, name, "vision_cfg", &vision, error);
    }
    if (status == CLIPCU_OK) { status = ccu_config_object(model, name, "text_cfg", &text, error); }
    if (status == CLIPCU_OK) {
        status = ccu_config_object(root, name, "preprocess_cfg", &preprocess, error);
    }
    if (status != CLIPCU_OK) { return status; }
    if (model == NULL || vision == NULL || text == NULL || !ccu_json_has(model, "embed_dim")) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: expected model_cfg with embed_dim, vision_cfg and text_cfg", name);
    }
    status = apply_rules(model, name, &table, warner, error);
    if (status == CLIPCU_OK) {
        status = ccu_json_int(model, name, "embed_dim", 1, INT32_MAX, &config.embed_dim, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_json_bool(model, name, "quick_gelu", &quick_gelu, error);
    }
    config.image.act = config.text.act = quick_gelu ? CCU_ACT_QUICK_GELU : CCU_ACT_GELU;
    if (status == CLIPCU_OK) { status = read_vision(vision, name, warner, &config, error); }
    if (status == CLIPCU_OK) { status = read_text(text, name, warner, &config, error); }
    if (status == CLIPCU_OK) {
        status = ccu_config_open_clip_preprocess(preprocess, name, warner, &config, error);
    }
    if (status == CLIPCU_OK) { *out = config; }
    return status;
}
