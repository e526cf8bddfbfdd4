/* JSON configurations -> ccu_model_config. Private to checkpoint/; checkpoint.c calls these in the
 * order read, (towers without tensors dropped), check, preprocessor. */
#ifndef CCU_CHECKPOINT_CONFIG_H
#define CCU_CHECKPOINT_CONFIG_H

#include "base/json.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/warn.h"

#define CCU_LAYERS_MAX 128
#define CCU_WIDTH_MAX 8192
#define CCU_MLP_MAX 65536
#define CCU_HEADS_MAX 256
#define CCU_HEAD_SIZE_MAX 256
#define CCU_VOCAB_MAX 2000000
#define CCU_CONTEXT_MAX 1024
#define CCU_IMAGE_SIZE_MAX 2048
#define CCU_PATCH_SIZE_MAX 256
#define CCU_EMBED_DIM_MAX 8192

/* Every reader: `name` (a path) stands in messages; *out and *config are written only on success
 * (as far as the function fills them). FORMAT for a value that makes no sense, UNSUPPORTED by name
 * for a feature this build does not have. */

/* config.json of a Hugging Face CLIP model or of one of its towers. Absent keys take the defaults
 * of transformers' configuration classes. Preprocessing fields hold OpenAI's values. */
clipcu_status ccu_config_huggingface(const cJSON *root, const char *name, ccu_model_config *out,
                                     clipcu_error *error);

/* True if model_type says (or, absent, the keys suggest) a CLIP model of Hugging Face. */
bool ccu_config_is_huggingface_clip(const cJSON *root);

/* preprocessor_config.json; image_size of *config is known. root NULL: there is no file. */
clipcu_status ccu_config_preprocessor(const cJSON *root, const char *name,
                                      const ccu_warner *warner, ccu_model_config *config,
                                      clipcu_error *error);

/* open_clip_config.json, preprocessing included. */
clipcu_status ccu_config_open_clip(const cJSON *root, const char *name, const ccu_warner *warner,
                                   ccu_model_config *out, clipcu_error *error);

/* preprocess_cfg of open_clip (NULL: none); image_size of *config is known. */
clipcu_status ccu_config_open_clip_preprocess(const cJSON *object, const char *name,
                                              const ccu_warner *warner, ccu_model_config *config,
                                              clipcu_error *error);

/* Limits (LIMIT) and relations (FORMAT) of the towers that are present. */
clipcu_status ccu_config_check(const ccu_model_config *config, const char *name,
                               clipcu_error *error);

/* OpenAI's mean, std, bicubic shortest-side resize to image_size. */
void ccu_config_default_preprocess(ccu_model_config *config);

/* A side given as n or [n, n]; absent leaves *value. */
clipcu_status ccu_config_side(const cJSON *object, const char *name, const char *key,
                              int32_t *value, clipcu_error *error);

/* Three channels given as [r, g, b] or one number; absent leaves value. */
clipcu_status ccu_config_channels(const cJSON *object, const char *name, const char *key,
                                  float value[3], clipcu_error *error);

/* Channels of the preprocessing: mean finite, std finite and positive. */
clipcu_status ccu_config_mean_std(const cJSON *object, const char *name, const char *mean_key,
                                  const char *std_key, ccu_model_config *config,
                                  clipcu_error *error);

/* A sub-object, NULL if absent or null; FORMAT if it is something else. */
clipcu_status ccu_config_object(const cJSON *object, const char *name, const char *key,
                                const cJSON **value, clipcu_error *error);

#endif
