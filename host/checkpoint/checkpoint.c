/* Opening a model directory; see checkpoint.h. */
#include "checkpoint/checkpoint.h"

#include <assert.h>

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/config.h"
#include "checkpoint/fingerprint.h"
#include "checkpoint/names.h"
#include "checkpoint/roles.h"
#include "checkpoint/shards.h"

#define CONFIG_BYTES_MAX ((size_t)1 << 20)

static const char HF_CONFIG[]        = "config.json";
static const char HF_WEIGHTS[]       = "model.safetensors";
static const char HF_INDEX[]         = "model.safetensors.index.json";
static const char HF_PREPROCESSOR[]  = "preprocessor_config.json";
static const char HF_PROCESSOR[]     = "processor_config.json";
static const char OPEN_CLIP_CONFIG[]  = "open_clip_config.json";
static const char OPEN_CLIP_WEIGHTS[] = "open_clip_model.safetensors";

/* What lies in the directory. */
typedef struct listing {
    bool hf_config, hf_weights, hf_index, open_clip_config, open_clip_weights, pickle;
} listing;

/* A path that is too long names no file: false, and the open that follows says why. */
static bool has(const char *dir, const char *name) {
    char path[CCU_PATH_MAX];
    return ccu_path_join(path, dir, name, NULL) == CLIPCU_OK && ccu_name_exists(path);
}

static clipcu_status read_json(const char *dir, const char *file, char path[CCU_PATH_MAX],
                               cJSON **root, clipcu_error *error) {
    const clipcu_status status = ccu_path_join(path, dir, file, error);
    return status == CLIPCU_OK ? ccu_json_read(path, CONFIG_BYTES_MAX, root, error) : status;
}

/* Hugging Face unless its files are incomplete, or its config.json is of something else while
 * open_clip's files are there (timm's repositories hold both). */
static clipcu_status choose_layout(const char *dir, const listing *found, ccu_layout *layout,
                                   clipcu_error *error) {
    const bool hf        = found->hf_config && (found->hf_weights || found->hf_index);
    const bool open_clip = found->open_clip_config && found->open_clip_weights;
    if (hf && open_clip) {
        char                path[CCU_PATH_MAX];
        cJSON              *root   = NULL;
        const clipcu_status status = read_json(dir, HF_CONFIG, path, &root, error);
        if (status != CLIPCU_OK) { return status; }
        *layout = ccu_config_is_huggingface_clip(root) ? CCU_LAYOUT_HUGGINGFACE
                                                       : CCU_LAYOUT_OPEN_CLIP;
        cJSON_Delete(root);
        return CLIPCU_OK;
    }
    if (hf || open_clip) {
        *layout = hf ? CCU_LAYOUT_HUGGINGFACE : CCU_LAYOUT_OPEN_CLIP;
        return CLIPCU_OK;
    }
    if (found->pickle) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: only pickled weights (.bin, .pt), which are not read; get %s or %s",
                        dir, HF_WEIGHTS, OPEN_CLIP_WEIGHTS);
    }
    if (found->hf_config || found->open_clip_config) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: a configuration, but no %s", dir,
                        found->hf_config ? HF_WEIGHTS : OPEN_CLIP_WEIGHTS);
    }
    return ccu_fail(error, CLIPCU_ERR_FORMAT,
                    "%s: no model: expected %s with %s, or %s with %s", dir, HF_CONFIG, HF_WEIGHTS,
                    OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS);
}

static clipcu_status list_dir(const char *dir, listing *found, clipcu_error *error) {
    if (!ccu_dir_exists(dir)) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: no such folder", dir);
    }
    *found = (listing){
        .hf_config         = has(dir, HF_CONFIG),
        .hf_weights        = has(dir, HF_WEIGHTS),
        .hf_index          = has(dir, HF_INDEX),
        .open_clip_config  = has(dir, OPEN_CLIP_CONFIG),
        .open_clip_weights = has(dir, OPEN_CLIP_WEIGHTS),
        .pickle            = has(dir, "pytorch_model.bin") ||
                  has(dir, "pytorch_model.bin.index.json") ||
                  has(dir, "open_clip_pytorch_model.bin"),
    };
    return CLIPCU_OK;
}

static clipcu_status read_config(const char *dir, ccu_layout layout, const ccu_warner *warner,
                                 ccu_model_config *config, clipcu_error *error) {
    char          path[CCU_PATH_MAX];
    cJSON        *root = NULL;
    const bool    hf   = layout == CCU_LAYOUT_HUGGINGFACE;
    clipcu_status status =
        read_json(dir, hf ? HF_CONFIG : OPEN_CLIP_CONFIG, path, &root, error);
    if (status != CLIPCU_OK) { return status; }
    status = hf ? ccu_config_huggingface(root, path, config, error)
                : ccu_config_open_clip(root, path, warner, config, error);
    cJSON_Delete(root);
    return status;
}

/* preprocessor_config.json, or the image_processor of processor_config.json, where newer
 * versions of transformers put it. */
static clipcu_status read_preprocessor(const char *dir, const ccu_warner *warner,
                                       ccu_model_config *config, clipcu_error *error) {
    char          path[CCU_PATH_MAX];
    cJSON        *root   = NULL;
    const cJSON  *object = NULL;
    clipcu_status status = CLIPCU_OK;
    if (has(dir, HF_PREPROCESSOR)) {
        status = read_json(dir, HF_PREPROCESSOR, path, &root, error);
        object = root;
    } else if (has(dir, HF_PROCESSOR)) {
        status = read_json(dir, HF_PROCESSOR, path, &root, error);
        if (status == CLIPCU_OK) {
            status = ccu_config_object(root, path, "image_processor", &object, error);
        }
    } else {
        status = ccu_path_join(path, dir, HF_PREPROCESSOR, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_config_preprocessor(object, path, warner, config, error);
    }
    cJSON_Delete(root);
    return status;
}

static clipcu_status open_shards(const char *dir, ccu_layout layout, const listing *found,
                                 ccu_shards *shards, clipcu_error *error) {
    if (layout == CCU_LAYOUT_OPEN_CLIP) {
        return ccu_shards_open(dir, OPEN_CLIP_WEIGHTS, shards, error);
    }
    if (found->hf_weights) { return ccu_shards_open(dir, HF_WEIGHTS, shards, error); }
    return ccu_shards_open_index(dir, HF_INDEX, shards, error);
}

/* Everything after the shards are open: which towers there are, and their tensors. */
static clipcu_status bind(const char *dir, ccu_layout layout, const ccu_warner *warner,
                          ccu_checkpoint *checkpoint, clipcu_error *error) {
    ccu_shards       *shards = checkpoint->files;
    ccu_model_config *config = &checkpoint->config;
    clipcu_status     status = ccu_names_refuse(dir, shards, error);
    if (status == CLIPCU_OK) {
        status = ccu_names_find_towers(dir, shards, layout, config, error);
    }
    if (status == CLIPCU_OK) { status = ccu_config_check(config, dir, error); }
    if (status == CLIPCU_OK && config->image.present && layout == CCU_LAYOUT_HUGGINGFACE) {
        status = read_preprocessor(dir, warner, config, error);
    }
    if (status != CLIPCU_OK) { return status; }
    checkpoint->image.blocks =
        ccu_alloc_zeroed((size_t)config->image.layers, sizeof checkpoint->image.blocks[0]);
    checkpoint->text.blocks =
        ccu_alloc_zeroed((size_t)config->text.layers, sizeof checkpoint->text.blocks[0]);
    if (checkpoint->image.blocks == NULL || checkpoint->text.blocks == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %d layers", dir,
                        config->image.layers + config->text.layers);
    }
    return ccu_names_bind(dir, shards, layout, checkpoint, error);
}

/* Numbers in the tensors that roles name. */
static int64_t count_numbers(const void *tensors, const ccu_role *roles, int32_t count) {
    int64_t numbers = 0;
    for (int32_t i = 0; i < count; i++) {
        const void *tensor = (const uint8_t *)tensors + roles[i].offset;
        numbers += (int64_t)ccu_tensor_count(tensor);
    }
    return numbers;
}

static int64_t count_parameters(const ccu_checkpoint *checkpoint) {
    const ccu_model_config *config  = &checkpoint->config;
    int64_t                 numbers = 1; /* the temperature */
    if (config->image.present) {
        numbers += count_numbers(&checkpoint->image, CCU_IMAGE_ROLE, CCU_IMAGE_ROLES);
        for (int32_t i = 0; i < config->image.layers; i++) {
            numbers += count_numbers(&checkpoint->image.blocks[i], CCU_BLOCK_ROLE, CCU_BLOCK_ROLES);
        }
    }
    if (config->text.present) {
        numbers += count_numbers(&checkpoint->text, CCU_TEXT_ROLE, CCU_TEXT_ROLES);
        for (int32_t i = 0; i < config->text.layers; i++) {
            numbers += count_numbers(&checkpoint->text.blocks[i], CCU_BLOCK_ROLE, CCU_BLOCK_ROLES);
        }
    }
    return numbers;
}

clipcu_status ccu_checkpoint_open(const char *dir, clipcu_warn_fn warn, void *warn_user,
                                  ccu_checkpoint *out, clipcu_error *error) {
    assert(dir != NULL);
    assert(out != NULL);
    const ccu_warner warner     = { warn, warn_user };
    ccu_layout       layout     = CCU_LAYOUT_HUGGINGFACE;
    listing          found      = { .pickle = false };
    ccu_checkpoint   checkpoint = { .files = NULL };
    clipcu_status    status     = list_dir(dir, &found, error);
    if (status == CLIPCU_OK) { status = choose_layout(dir, &found, &layout, error); }
    if (status == CLIPCU_OK) {
        status = read_config(dir, layout, &warner, &checkpoint.config, error);
    }
    if (status != CLIPCU_OK) { return status; }

    ccu_shards *shards = ccu_alloc_zeroed(1, sizeof *shards);
    if (shards == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory", dir); }
    checkpoint.files  = shards;
    checkpoint.layout = layout == CCU_LAYOUT_HUGGINGFACE ? "huggingface" : "open_clip";
    status            = open_shards(dir, layout, &found, shards, error);
    if (status == CLIPCU_OK) { status = bind(dir, layout, &warner, &checkpoint, error); }
    if (status == CLIPCU_OK) {
        status = ccu_fingerprint(&checkpoint, &checkpoint.fingerprint, error);
    }
    if (status != CLIPCU_OK) {
        ccu_checkpoint_close(&checkpoint);
        return status;
    }
    checkpoint.parameters = count_parameters(&checkpoint);
    ccu_names_warn_unused(dir, shards, &warner);
    *out = checkpoint;
    return CLIPCU_OK;
}

void ccu_checkpoint_close(ccu_checkpoint *checkpoint) {
    ccu_free(checkpoint->image.blocks);
    ccu_free(checkpoint->text.blocks);
    if (checkpoint->files != NULL) { ccu_shards_close(checkpoint->files); }
    ccu_free(checkpoint->files);
    *checkpoint = (ccu_checkpoint){ .files = NULL };
}
