/* Configurations of published CLIP models in both formats, and what they mean. */
#ifndef CCU_SUPPORT_ST_ARCHITECTURES_H
#define CCU_SUPPORT_ST_ARCHITECTURES_H

#include "checkpoint/checkpoint.h"

typedef struct st_architecture {
    const char *name;
    const char *huggingface; /* config.json */
    const char *open_clip;   /* model_cfg of open_clip_config.json */
    struct {
        int32_t layers, width, heads, mlp;
    } image, text;
    int32_t image_size, patch_size, embed_dim;
    int32_t eot_id;                  /* of the Hugging Face file */
    ccu_act act_huggingface, act_open_clip;
} st_architecture;

#define ST_ARCHITECTURES 13

extern const st_architecture ST_ARCHITECTURE[ST_ARCHITECTURES];

#endif
