/* preprocessor_config.json of Hugging Face and preprocess_cfg of open_clip; see config.h. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "checkpoint/config.h"

/* {"height": n, "width": n}, both there and equal. */
static clipcu_status read_square(const cJSON *object, const char *name, const char *key,
                                 int32_t *side, clipcu_error *error) {
    int32_t       height = 0;
    int32_t       width  = 0;
    clipcu_status status = ccu_json_int(object, name, "height", 1, INT32_MAX, &height, error);
    if (status == CLIPCU_OK) {
        status = ccu_json_int(object, name, "width", 1, INT32_MAX, &width, error);
    }
    if (status != CLIPCU_OK) { return status; }
    if (height == 0 || height != width) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: \"%s\" is %d x %d; only squares are supported", name, key, height,
                        width);
    }
    *side = height;
    return CLIPCU_OK;
}

/* size: n or {"shortest_edge": n} keeps the aspect ratio, {"height", "width"} does not. */
static clipcu_status read_size(const cJSON *root, const char *name, ccu_model_config *config,
                               clipcu_error *error) {
    if (!ccu_json_has(root, "size")) { return CLIPCU_OK; }
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(root, "size");
    if (!cJSON_IsObject(size)) {
        return ccu_json_int(root, name, "size", 1, INT32_MAX, &config->resize_size, error);
    }
    if (ccu_json_has(size, "shortest_edge") && !ccu_json_has(size, "longest_edge")) {
        return ccu_json_int(size, name, "shortest_edge", 1, INT32_MAX, &config->resize_size, error);
    }
    if (ccu_json_has(size, "height") && ccu_json_has(size, "width")) {
        config->squash = true;
        return read_square(size, name, "size", &config->resize_size, error);
    }
    return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                    "%s: \"size\" should be a number, shortest_edge, or height and width", name);
}

/* Checks that what the crop leaves is the image tower's input. */
static clipcu_status read_crop(const cJSON *root, const char *name,
                               const ccu_model_config *config, clipcu_error *error) {
    const int32_t side    = config->image_size;
    int32_t       crop    = side;
    bool          do_crop = true;
    clipcu_status status  = ccu_json_bool(root, name, "do_center_crop", &do_crop, error);
    if (status != CLIPCU_OK) { return status; }
    if (cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(root, "crop_size"))) {
        status = read_square(cJSON_GetObjectItemCaseSensitive(root, "crop_size"), name,
                             "crop_size", &crop, error);
    } else {
        status = ccu_json_int(root, name, "crop_size", 1, INT32_MAX, &crop, error);
    }
    if (status != CLIPCU_OK) { return status; }
    if (!do_crop && !config->squash) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: do_center_crop false with a shortest-edge size leaves pictures that "
                        "are not square",
                        name);
    }
    if (do_crop && crop != side) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: crop_size is %d, the image tower expects image_size %d", name, crop,
                        side);
    }
    if (config->squash && config->resize_size != side) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: size %d x %d, the image tower expects image_size %d", name,
                        config->resize_size, config->resize_size, side);
    }
    if (config->resize_size < side) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: size %d is smaller than the crop of %d; padding is not supported",
                        name, config->resize_size, side);
    }
    if (config->resize_size > CCU_IMAGE_SIZE_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: size is %d, at most %d is supported", name,
                        config->resize_size, CCU_IMAGE_SIZE_MAX);
    }
    return CLIPCU_OK;
}

/* Numbers of PIL.Image.Resampling. */
static clipcu_status read_resample(const cJSON *root, const char *name, ccu_resample *resample,
                                   clipcu_error *error) {
    static const ccu_resample filters[] = {
        [1] = CCU_RESAMPLE_LANCZOS, [2] = CCU_RESAMPLE_BILINEAR, [3] = CCU_RESAMPLE_BICUBIC,
        [4] = CCU_RESAMPLE_BOX,     [5] = CCU_RESAMPLE_HAMMING,
    };
    int32_t             code   = 3;
    const clipcu_status status = ccu_json_int(root, name, "resample", 0, 5, &code, error);
    if (status != CLIPCU_OK) { return status; }
    if (code == 0) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: resample 0 (nearest) is not supported", name);
    }
    *resample = filters[code];
    return CLIPCU_OK;
}

/* do_resize, do_rescale and rescale_factor must be what every CLIP model has. */
static clipcu_status check_steps(const cJSON *root, const char *name, clipcu_error *error) {
    static const char *const steps[] = { "do_resize", "do_rescale" };
    double                   factor  = 1.0 / 255.0;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        bool                enabled = true;
        const clipcu_status status  = ccu_json_bool(root, name, steps[i], &enabled, error);
        if (status != CLIPCU_OK) { return status; }
        if (!enabled) {
            return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: %s false is not supported", name,
                            steps[i]);
        }
    }
    const clipcu_status status = ccu_json_double(root, name, "rescale_factor", &factor, error);
    if (status != CLIPCU_OK) { return status; }
    if (fabs(factor * 255.0 - 1.0) > 1e-6) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: rescale_factor is %.17g; only 1/255 is supported", name, factor);
    }
    return CLIPCU_OK;
}

/* Processors of other models have other defaults; say so rather than guess silently. */
static void warn_of_type(const cJSON *root, const char *name, const ccu_warner *warner) {
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(root, "image_processor_type");
    if (type == NULL) { type = cJSON_GetObjectItemCaseSensitive(root, "feature_extractor_type"); }
    if (cJSON_IsString(type) && strncmp(type->valuestring, "CLIP", 4) != 0) {
        ccu_warner_say(warner, "%s: %.60s is read as a CLIPImageProcessor", name,
                       type->valuestring);
    }
}

clipcu_status ccu_config_preprocessor(const cJSON *root, const char *name,
                                      const ccu_warner *warner, ccu_model_config *config,
                                      clipcu_error *error) {
    assert(config->image_size > 0);
    bool             normalise = true;
    ccu_model_config found     = *config;
    ccu_config_default_preprocess(&found);
    if (root == NULL) {
        ccu_warner_say(warner, "%s: not found, preprocessing as OpenAI's CLIP at %d pixels", name,
                       config->image_size);
        *config = found;
        return CLIPCU_OK;
    }
    warn_of_type(root, name, warner);
    clipcu_status status = check_steps(root, name, error);
    if (status == CLIPCU_OK) { status = read_size(root, name, &found, error); }
    if (status == CLIPCU_OK) { status = read_crop(root, name, &found, error); }
    if (status == CLIPCU_OK) { status = read_resample(root, name, &found.resample, error); }
    if (status == CLIPCU_OK) {
        status = ccu_config_mean_std(root, name, "image_mean", "image_std", &found, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_json_bool(root, name, "do_normalize", &normalise, error);
    }
    if (status != CLIPCU_OK) { return status; }
    if (!normalise) {
        for (int i = 0; i < 3; i++) {
            found.mean[i] = 0.0f;
            found.std[i]  = 1.0f;
        }
    }
    *config = found;
    return CLIPCU_OK;
}

/* Refuses a string that is none of the accepted ones; *index says which it is. */
static clipcu_status read_choice(const cJSON *object, const char *name, const char *key,
                                 const char *const *choices, int32_t count, int32_t *index,
                                 clipcu_error *error) {
    const char         *text   = NULL;
    const clipcu_status status = ccu_json_string(object, name, key, &text, error);
    if (status != CLIPCU_OK || text == NULL) { return status; }
    for (int32_t i = 0; i < count; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *index = i;
            return CLIPCU_OK;
        }
    }
    return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: %s \"%.60s\" is not supported", name, key,
                    text);
}

clipcu_status ccu_config_open_clip_preprocess(const cJSON *object, const char *name,
                                              const ccu_warner *warner, ccu_model_config *config,
                                              clipcu_error *error) {
    /* open_clip reads "random", a training option, as bicubic. */
    static const char *const filters[] = { "bicubic", "random", "bilinear" };
    static const char *const modes[]   = { "shortest", "squash" };
    static const char *const colours[] = { "RGB" };
    int32_t                  filter    = 0;
    int32_t                  mode      = 0;
    int32_t                  colour    = 0;
    int32_t                  size      = config->image_size;
    ccu_model_config         found     = *config;
    ccu_config_default_preprocess(&found);
    clipcu_status status = read_choice(object, name, "interpolation", filters, 3, &filter, error);
    if (status == CLIPCU_OK) {
        status = read_choice(object, name, "resize_mode", modes, 2, &mode, error);
    }
    if (status == CLIPCU_OK) {
        status = read_choice(object, name, "mode", colours, 1, &colour, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_config_mean_std(object, name, "mean", "std", &found, error);
    }
    if (status == CLIPCU_OK) { status = ccu_config_side(object, name, "size", &size, error); }
    if (status != CLIPCU_OK) { return status; }
    if (size != config->image_size) { /* open_clip takes the tower's size, whatever is written */
        ccu_warner_say(warner, "%s: preprocess_cfg size %d ignored, image_size is %d", name, size,
                       config->image_size);
    }
    found.resample = filter == 2 ? CCU_RESAMPLE_BILINEAR : CCU_RESAMPLE_BICUBIC;
    found.squash   = mode == 1;
    *config        = found;
    return CLIPCU_OK;
}
