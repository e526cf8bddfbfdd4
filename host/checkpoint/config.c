/* What the configuration readers share: limits, defaults, small parsers. See config.h. */
#include "checkpoint/config.h"

#include <math.h>
#include <string.h>

typedef struct limit {
    const char *what;
    int32_t     value, max;
} limit;

static clipcu_status check_limits(const char *name, const char *tower, const limit *limits,
                                  size_t count, clipcu_error *error) {
    for (size_t i = 0; i < count; i++) {
        if (limits[i].value < 1) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: %s%s is %d, expected at least 1", name,
                            tower, limits[i].what, limits[i].value);
        }
        if (limits[i].value > limits[i].max) {
            return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: %s%s is %d, at most %d is supported",
                            name, tower, limits[i].what, limits[i].value, limits[i].max);
        }
    }
    return CLIPCU_OK;
}

static clipcu_status check_tower(const char *name, const char *tower,
                                 const ccu_tower_config *config, clipcu_error *error) {
    const limit limits[] = {
        { "layers", config->layers, CCU_LAYERS_MAX },
        { "width", config->width, CCU_WIDTH_MAX },
        { "heads", config->heads, CCU_HEADS_MAX },
        { "mlp width", config->mlp, CCU_MLP_MAX },
    };
    const clipcu_status status =
        check_limits(name, tower, limits, sizeof limits / sizeof limits[0], error);
    if (status != CLIPCU_OK) { return status; }
    if (config->width % config->heads != 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: %swidth %d is not a multiple of the %d attention heads", name, tower,
                        config->width, config->heads);
    }
    if (config->width / config->heads > CCU_HEAD_SIZE_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT,
                        "%s: %swidth %d over %d heads: heads of at most %d are supported", name,
                        tower, config->width, config->heads, CCU_HEAD_SIZE_MAX);
    }
    if (!(config->eps >= 0.0f && config->eps < 1.0f)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: %slayer norm epsilon is %g", name, tower,
                        (double)config->eps);
    }
    return CLIPCU_OK;
}

clipcu_status ccu_config_check(const ccu_model_config *config, const char *name,
                               clipcu_error *error) {
    const limit   embed[] = { { "embedding width", config->embed_dim, CCU_EMBED_DIM_MAX } };
    clipcu_status status  = check_limits(name, "", embed, 1, error);
    if (status != CLIPCU_OK) { return status; }
    if (config->image.present) {
        const limit limits[] = {
            { "image size", config->image_size, CCU_IMAGE_SIZE_MAX },
            { "patch size", config->patch_size, CCU_PATCH_SIZE_MAX },
        };
        status = check_limits(name, "", limits, 2, error);
        if (status == CLIPCU_OK) { status = check_tower(name, "image ", &config->image, error); }
        if (status != CLIPCU_OK) { return status; }
        if (config->patch_size > config->image_size) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: patch size %d exceeds image size %d",
                            name, config->patch_size, config->image_size);
        }
    }
    if (config->text.present) {
        const limit limits[] = {
            { "vocabulary", config->vocab_size, CCU_VOCAB_MAX },
            { "context length", config->context_length, CCU_CONTEXT_MAX },
        };
        status = check_limits(name, "", limits, 2, error);
        if (status == CLIPCU_OK) { status = check_tower(name, "text ", &config->text, error); }
        if (status != CLIPCU_OK) { return status; }
        if (config->eot_id >= config->vocab_size) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: end-of-text id %d is outside the vocabulary of %d", name,
                            config->eot_id, config->vocab_size);
        }
    }
    return CLIPCU_OK;
}

void ccu_config_default_preprocess(ccu_model_config *config) {
    static const float mean[3] = { 0.48145466f, 0.4578275f, 0.40821073f };
    static const float std[3]  = { 0.26862954f, 0.26130258f, 0.27577711f };
    memcpy(config->mean, mean, sizeof mean);
    memcpy(config->std, std, sizeof std);
    config->squash      = false;
    config->resample    = CCU_RESAMPLE_BICUBIC;
    config->resize_size = config->image_size;
}

clipcu_status ccu_config_side(const cJSON *object, const char *name, const char *key,
                              int32_t *value, clipcu_error *error) {
    const cJSON *item = object == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsArray(item)) {
        return ccu_json_int(object, name, key, 1, INT32_MAX, value, error);
    }
    const cJSON *height = item->child;
    const cJSON *width  = height == NULL ? NULL : height->next;
    if (width == NULL || width->next != NULL || !cJSON_IsNumber(height) ||
        !cJSON_IsNumber(width) || !(height->valuedouble >= 1.0) ||
        !(height->valuedouble <= INT32_MAX) || floor(height->valuedouble) != height->valuedouble) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"%s\" should be n or [n, n]", name, key);
    }
    if (height->valuedouble < width->valuedouble || height->valuedouble > width->valuedouble) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: \"%s\" is %.17g x %.17g; only squares are supported", name, key,
                        height->valuedouble, width->valuedouble);
    }
    *value = (int32_t)height->valuedouble;
    return CLIPCU_OK;
}

clipcu_status ccu_config_channels(const cJSON *object, const char *name, const char *key,
                                  float value[3], clipcu_error *error) {
    if (!ccu_json_has(object, key)) { return CLIPCU_OK; }
    const cJSON *item    = cJSON_GetObjectItemCaseSensitive(object, key);
    const bool   scalar  = cJSON_IsNumber(item) != 0;
    const cJSON *channel = scalar ? item : item->child;
    float        found[3];
    if (!scalar && (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 3)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"%s\" should be three numbers or one",
                        name, key);
    }
    for (int i = 0; i < 3; i++) {
        found[i] = cJSON_IsNumber(channel) ? (float)channel->valuedouble : NAN;
        if (!isfinite(found[i])) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"%s\" should be three numbers or one",
                            name, key);
        }
        if (!scalar) { channel = channel->next; }
    }
    memcpy(value, found, sizeof found);
    return CLIPCU_OK;
}

clipcu_status ccu_config_mean_std(const cJSON *object, const char *name, const char *mean_key,
                                  const char *std_key, ccu_model_config *config,
                                  clipcu_error *error) {
    clipcu_status status = ccu_config_channels(object, name, mean_key, config->mean, error);
    if (status != CLIPCU_OK) { return status; }
    status = ccu_config_channels(object, name, std_key, config->std, error);
    if (status != CLIPCU_OK) { return status; }
    for (int i = 0; i < 3; i++) {
        if (config->std[i] <= 0.0f) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"%s\" is %g, expected more than 0",
                            name, std_key, (double)config->std[i]);
        }
    }
    return CLIPCU_OK;
}

clipcu_status ccu_config_object(const cJSON *object, const char *name, const char *key,
                                const cJSON **value, clipcu_error *error) {
    *value = NULL;
    if (!ccu_json_has(object, key)) { return CLIPCU_OK; }
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsObject(item)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"%s\" should be an object", name, key);
    }
    *value = item;
    return CLIPCU_OK;
}
