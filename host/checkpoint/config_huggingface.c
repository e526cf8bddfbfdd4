/* config.json of Hugging Face transformers; see config.h. */
#include <assert.h>
#include <string.h>

#include "checkpoint/config.h"

/* Keys that a tower's configuration may lack take these, the defaults of CLIPTextConfig and
 * CLIPVisionConfig: published configurations are sparse. */
static const ccu_tower_config IMAGE_DEFAULT = {
    .present = true, .layers = 12, .width = 768, .heads = 12, .mlp = 3072,
    .act = CCU_ACT_QUICK_GELU, .eps = 1e-5f,
};
static const ccu_tower_config TEXT_DEFAULT = {
    .present = true, .layers = 12, .width = 512, .heads = 8, .mlp = 2048,
    .act = CCU_ACT_QUICK_GELU, .eps = 1e-5f,
};
#define EMBED_DIM_DEFAULT 512
/* Most published configurations carry it by mistake; transformers then pools at the largest id. */
#define EOS_LEGACY 2

typedef struct refusal {
    const char *model_type, *reason;
} refusal;

static const refusal REFUSALS[] = {
    { "siglip", "SigLIP models are not supported yet" },
    { "siglip_text_model", "SigLIP models are not supported yet" },
    { "siglip_vision_model", "SigLIP models are not supported yet" },
    { "siglip2", "SigLIP 2 models are not supported yet" },
    { "siglip2_text_model", "SigLIP 2 models are not supported yet" },
    { "siglip2_vision_model", "SigLIP 2 models are not supported yet" },
    { "metaclip_2", "MetaCLIP 2 models (multilingual vocabulary) are not supported" },
    { "chinese_clip", "Chinese-CLIP models (BERT text tower) are not supported" },
    { "altclip", "AltCLIP models (XLM-RoBERTa text tower) are not supported" },
    { "clipseg", "CLIPSeg models are not supported" },
    { "clip-seg", "CLIPSeg models are not supported" },
    { "xclip", "X-CLIP video models are not supported" },
    { "vision-text-dual-encoder", "dual encoders of other towers are not supported" },
};

static const char *model_type_of(const cJSON *root) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "model_type");
    if (cJSON_IsString(item)) { return item->valuestring; }
    const bool clip = ccu_json_has(root, "text_config") || ccu_json_has(root, "vision_config") ||
                      ccu_json_has(root, "text_config_dict") ||
                      ccu_json_has(root, "vision_config_dict");
    return clip ? "clip" : "";
}

bool ccu_config_is_huggingface_clip(const cJSON *root) {
    const char *type = model_type_of(root);
    return strcmp(type, "clip") == 0 || strcmp(type, "clip_text_model") == 0 ||
           strcmp(type, "clip_vision_model") == 0;
}

static clipcu_status refuse_type(const char *name, const char *type, clipcu_error *error) {
    for (size_t i = 0; i < sizeof REFUSALS / sizeof REFUSALS[0]; i++) {
        if (strcmp(type, REFUSALS[i].model_type) == 0) {
            return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: model_type \"%s\": %s", name, type,
                            REFUSALS[i].reason);
        }
    }
    return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                    "%s: model_type \"%.60s\"; expected clip, clip_text_model or clip_vision_model",
                    name, type);
}

static clipcu_status read_act(const cJSON *object, const char *name, ccu_act *act,
                              clipcu_error *error) {
    const char         *text   = NULL;
    const clipcu_status status = ccu_json_string(object, name, "hidden_act", &text, error);
    if (status != CLIPCU_OK || text == NULL) { return status; }
    if (strcmp(text, "quick_gelu") == 0) {
        *act = CCU_ACT_QUICK_GELU;
    } else if (strcmp(text, "gelu") == 0) {
        *act = CCU_ACT_GELU;
    } else {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: hidden_act \"%.60s\"; quick_gelu and gelu are supported", name, text);
    }
    return CLIPCU_OK;
}

static clipcu_status read_tower(const cJSON *object, const char *name, ccu_tower_config *tower,
                                clipcu_error *error) {
    const struct {
        const char *key;
        int32_t    *value;
    } keys[] = {
        { "num_hidden_layers", &tower->layers },
        { "hidden_size", &tower->width },
        { "num_attention_heads", &tower->heads },
        { "intermediate_size", &tower->mlp },
    };
    double        eps    = tower->eps;
    clipcu_status status = CLIPCU_OK;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0] && status == CLIPCU_OK; i++) {
        status = ccu_json_int(object, name, keys[i].key, 1, INT32_MAX, keys[i].value, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_json_double(object, name, "layer_norm_eps", &eps, error);
    }
    if (status == CLIPCU_OK) { status = read_act(object, name, &tower->act, error); }
    tower->eps = (float)eps;
    return status;
}

/* eos_token_id is a number, or a list of one. */
static clipcu_status read_eos(const cJSON *object, const char *name, int32_t *eot_id,
                              clipcu_error *error) {
    const cJSON  *item = cJSON_GetObjectItemCaseSensitive(object, "eos_token_id");
    int32_t       eos  = 49407;
    clipcu_status status;
    if (cJSON_IsArray(item)) {
        if (cJSON_GetArraySize(item) != 1 || !cJSON_IsNumber(item->child) ||
            !(item->child->valuedouble >= 0 && item->child->valuedouble <= INT32_MAX)) {
            return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                            "%s: eos_token_id is a list; one id is supported", name);
        }
        eos    = (int32_t)item->child->valuedouble;
        status = CLIPCU_OK;
    } else {
        status = ccu_json_int(object, name, "eos_token_id", 0, INT32_MAX, &eos, error);
    }
    *eot_id = eos == EOS_LEGACY ? -1 : eos;
    return status;
}

static clipcu_status read_image(const cJSON *object, const char *name, ccu_model_config *config,
                                clipcu_error *error) {
    int32_t channels = 3;
    config->image      = IMAGE_DEFAULT;
    config->image_size = 224;
    config->patch_size = 32;
    clipcu_status status = read_tower(object, name, &config->image, error);
    if (status == CLIPCU_OK) {
        status = ccu_config_side(object, name, "image_size", &config->image_size, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_config_side(object, name, "patch_size", &config->patch_size, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_json_int(object, name, "num_channels", 1, INT32_MAX, &channels, error);
    }
    if (status == CLIPCU_OK && channels != 3) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: num_channels is %d, expected 3", name,
                        channels);
    }
    return status;
}

static clipcu_status read_text(const cJSON *object, const char *name, ccu_model_config *config,
                               clipcu_error *error) {
    config->text           = TEXT_DEFAULT;
    config->vocab_size     = 49408;
    config->context_length = 77;
    clipcu_status status   = read_tower(object, name, &config->text, error);
    if (status == CLIPCU_OK) {
        status = ccu_json_int(object, name, "vocab_size", 1, INT32_MAX, &config->vocab_size, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_json_int(object, name, "max_position_embeddings", 1, INT32_MAX,
                              &config->context_length, error);
    }
    if (status == CLIPCU_OK) { status = read_eos(object, name, &config->eot_id, error); }
    return status;
}

/* The object that counts for a tower. transformers builds a full configuration from a legacy
 * *_config_dict, defaults included, and lets it override every key of *_config. */
static clipcu_status choose_object(const cJSON *root, const char *name, const char *key,
                                   const char *legacy_key, const cJSON **out,
                                   clipcu_error *error) {
    const cJSON  *current = NULL;
    const cJSON  *legacy  = NULL;
    clipcu_status status  = ccu_config_object(root, name, key, &current, error);
    if (status == CLIPCU_OK) {
        status = ccu_config_object(root, name, legacy_key, &legacy, error);
    }
    *out = legacy != NULL ? legacy : current;
    return status;
}

clipcu_status ccu_config_huggingface(const cJSON *root, const char *name, ccu_model_config *out,
                                     clipcu_error *error) {
    assert(root != NULL);
    assert(out != NULL);
    const char      *type   = model_type_of(root);
    const bool       whole  = strcmp(type, "clip") == 0;
    const cJSON     *image  = root;
    const cJSON     *text   = root;
    clipcu_status    status = CLIPCU_OK;
    ccu_model_config config = { .embed_dim = EMBED_DIM_DEFAULT, .eot_id = -1 };
    if (!ccu_config_is_huggingface_clip(root)) { return refuse_type(name, type, error); }

    if (whole) {
        status = choose_object(root, name, "vision_config", "vision_config_dict", &image, error);
        if (status != CLIPCU_OK) { return status; }
        status = choose_object(root, name, "text_config", "text_config_dict", &text, error);
        if (status != CLIPCU_OK) { return status; }
    }
    if (whole || strcmp(type, "clip_vision_model") == 0) {
        status = read_image(image, name, &config, error);
        if (status != CLIPCU_OK) { return status; }
    }
    if (whole || strcmp(type, "clip_text_model") == 0) {
        status = read_text(text, name, &config, error);
        if (status != CLIPCU_OK) { return status; }
    }
    status = ccu_json_int(root, name, "projection_dim", 1, INT32_MAX, &config.embed_dim, error);
    if (status != CLIPCU_OK) { return status; }
    ccu_config_default_preprocess(&config);
    *out = config;
    return CLIPCU_OK;
}
