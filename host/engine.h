/* What an engine holds; shared by the engine's own files only: engine.c opens and closes,
 * engine_device.c picks what it runs on, engine_run.c has the calls on an open one. */
#ifndef CCU_ENGINE_H
#define CCU_ENGINE_H

#include "bank/bank.h"
#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "image/image.h"
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
    bool             on_cuda;
    char             model_dir[CCU_PATH_MAX];
    char             device[192];
};

void ccu_engine_warn(const clipcu_engine *engine, const char *text);

/* Opens engine->be as the options want it and resolves precision. UNSUPPORTED, CUDA, NOMEM. */
clipcu_status ccu_engine_open_backend(clipcu_engine *engine, clipcu_error *error);

/* Settles options.batch_max where it is 0. Backend and towers are open; nothing is allocated.
 * LIMIT where a batch would not fit 32-bit row arithmetic. */
clipcu_status ccu_engine_pick_batch(clipcu_engine *engine, clipcu_error *error);

/* Allocates both slabs and lays the towers out in them. NOMEM with the figures, LIMIT. */
clipcu_status ccu_engine_open_slabs(clipcu_engine *engine, clipcu_error *error);

/* NOMEM if the CPU's libraries would not have the memory that they need later, and end the process
 * for want of. */
clipcu_status ccu_engine_check_headroom(const clipcu_engine *engine, clipcu_error *error);

/* A decoded picture file; whole: with every pixel whatever options.draft says. IO, FORMAT,
 * UNSUPPORTED, LIMIT, NOMEM. */
clipcu_status ccu_engine_read_image(const clipcu_engine *engine, const char *path, bool whole,
                                    ccu_image *out, clipcu_error *error);

/* What encoding texts needs. UNSUPPORTED without a text tower or a tokenizer. */
clipcu_status ccu_engine_encoder(clipcu_engine *engine, ccu_text_encoder *encoder,
                                 clipcu_error *error);

/* clipcu_rank_all for classes that depend on the picture, without its checks. */
clipcu_status ccu_engine_rank_conditional(clipcu_engine *engine, const ccu_ranking *ranking,
                                          clipcu_error *error);

#endif
