/* What an engine holds; shared by engine.c and engine_run.c only. */
#ifndef CCU_ENGINE_H
#define CCU_ENGINE_H

#include "bank/bank.h"
#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "model/image_tower.h"
#include "model/text_tower.h"

struct clipcu_engine {
    clipcu_options   options;
    ccu_backend     *be;
    ccu_image_tower  image;
    ccu_text_tower   text;
    ccu_tokenizer   *tokenizer; /* NULL: the directory has none, texts are refused */
    clipcu_error     no_tokenizer; /* why */
    ccu_ranker       ranker;
    void            *weights, *activations; /* slabs */
    size_t           weights_bytes, activations_bytes;
    ccu_model_config config;
    float            logit_scale;
    uint64_t         fingerprint;
    int64_t          parameters;
    const char      *layout;
    char             model_dir[CCU_PATH_MAX];
    char             device[128];
};

#endif
