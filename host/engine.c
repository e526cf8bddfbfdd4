/* clipcu.h, first half: opens, wires, closes; nothing clever. engine_run.c has the calls on an
 * open engine. */
#include "engine.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "model/weights.h"
#include "ops/cpu_backend.h"

/* Trie rows per chunk of prompts: enough for large matrix products, small enough for the
 * activations (rows x 4 widths) to stay near the caches. */
#define TEXT_ROWS 2048

const char *clipcu_version(void) {
    return "0.1.0";
}

clipcu_options clipcu_options_default(void) {
    return (clipcu_options){.device = CLIPCU_DEVICE_AUTO, .precision = CLIPCU_PRECISION_F32,
                            .batch_max = 0, .crop = CLIPCU_CROP_FLOOR,
                            .tokenizer = CLIPCU_TOKENIZER_OPENAI, .pixels_max = 178956970};
}

/* ---- Open ----------------------------------------------------------------------------------- */

static clipcu_status check_options(const clipcu_options *options, clipcu_error *error) {
    if (options->batch_max < 0 || options->batch_max > CCU_BATCH_MAX) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "batch_max is %d, expected 0 .. %d",
                        options->batch_max, CCU_BATCH_MAX);
    }
    if (options->threads < 0 || options->threads > CCU_THREADS_MAX) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "threads is %d, expected 0 .. %d",
                        options->threads, CCU_THREADS_MAX);
    }
    if (options->pixels_max < 1) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "pixels_max is %" PRId64 ", expected > 0",
                        options->pixels_max);
    }
    if ((int)options->device < CLIPCU_DEVICE_AUTO || (int)options->device > CLIPCU_DEVICE_CUDA) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "device %d is none", (int)options->device);
    }
    if ((int)options->precision < CLIPCU_PRECISION_F32 ||
        (int)options->precision > CLIPCU_PRECISION_INT8) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "precision %d is none",
                        (int)options->precision);
    }
    if ((int)options->crop < CLIPCU_CROP_FLOOR || (int)options->crop > CLIPCU_CROP_HALF_EVEN) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "crop %d is none", (int)options->crop);
    }
    if ((int)options->tokenizer < CLIPCU_TOKENIZER_OPENAI ||
        (int)options->tokenizer > CLIPCU_TOKENIZER_HF_FAST) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "tokenizer %d is none",
                        (int)options->tokenizer);
    }
    if (options->device_index < 0) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "device_index is %d, expected 0 or more",
                        options->device_index);
    }
    if (options->device == CLIPCU_DEVICE_CPU && options->precision == CLIPCU_PRECISION_F16) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "precision f16: not on the CPU; use f32 or bf16");
    }
    if (options->device == CLIPCU_DEVICE_CUDA && options->precision == CLIPCU_PRECISION_INT8) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "precision int8: not on CUDA; use f32, bf16 or f16");
    }
    return CLIPCU_OK;
}

static ccu_dtype dtype_of(clipcu_precision precision) {
    switch (precision) {
    case CLIPCU_PRECISION_F32: return CCU_F32;
    case CLIPCU_PRECISION_BF16: return CCU_BF16;
    case CLIPCU_PRECISION_F16: return CCU_F16;
    case CLIPCU_PRECISION_INT8: return CCU_F32; /* what stands between the products */
    case CLIPCU_PRECISION_AUTO: break; /* resolved when the backend opened */
    }
    assert(false);
    return CCU_F32;
}

/* A model without tokenizer files still encodes pictures. */
static clipcu_status open_tokenizer(clipcu_engine *engine, clipcu_error *error) {
    clipcu_status status = ccu_tokenizer_open(engine->model_dir, engine->options.tokenizer,
                                              &engine->tokenizer, &engine->no_tokenizer);
    if (status == CLIPCU_ERR_IO) {
        ccu_engine_warn(engine, engine->no_tokenizer.text);
        return CLIPCU_OK;
    }
    if (status != CLIPCU_OK) {
        return ccu_fail(error, status, "%s", engine->no_tokenizer.text);
    }
    const int32_t vocab = ccu_tokenizer_vocab_size(engine->tokenizer);
    if (vocab > engine->config.vocab_size) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: the tokenizer has %d tokens, the text tower embeds only %d",
                        engine->model_dir, vocab, engine->config.vocab_size);
    }
    return CLIPCU_OK;
}

/* Dims of both towers, and what turns texts into tokens. */
static clipcu_status open_towers(clipcu_engine *engine, const ccu_checkpoint *checkpoint,
                                 clipcu_error *error) {
    const bool        int8    = engine->options.precision == CLIPCU_PRECISION_INT8;
    const ccu_dtype   dtype   = dtype_of(engine->options.precision);
    const ccu_weights weights = int8 ? CCU_WEIGHTS_INT8 : CCU_WEIGHTS_PLAIN;
    clipcu_status     status  = CLIPCU_OK;
    if (engine->config.image.present) {
        status = ccu_image_weights_open(checkpoint, dtype, &engine->image, error);
        if (status != CLIPCU_OK) { return status; }
        engine->image.trunk.weights = weights;
    }
    if (engine->config.text.present) {
        engine->text.rows_max = engine->config.context_length > TEXT_ROWS
                                    ? engine->config.context_length
                                    : TEXT_ROWS;
        status = ccu_text_weights_open(checkpoint, dtype, &engine->text, error);
        engine->text.trunk.weights = weights;
        if (status == CLIPCU_OK) { status = ccu_text_tower_open_trie(&engine->text, error); }
        if (status == CLIPCU_OK) { status = open_tokenizer(engine, error); }
    }
    return status;
}

static clipcu_status upload_weights(clipcu_engine *engine, const ccu_checkpoint *checkpoint,
                                    clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    if (engine->config.image.present) {
        status = ccu_image_weights_upload(checkpoint, &engine->image, engine->be, error);
        if (status != CLIPCU_OK) { return status; }
        ccu_image_tower_prepare(&engine->image, engine->be);
    }
    if (engine->config.text.present) {
        status = ccu_text_weights_upload(checkpoint, &engine->text, engine->be, error);
    }
    return status == CLIPCU_OK ? engine->be->ops->finish(engine->be, error) : status;
}

static clipcu_status open_engine(clipcu_engine *engine, const ccu_checkpoint *checkpoint,
                                 clipcu_error *error) {
    engine->config      = checkpoint->config;
    engine->logit_scale = checkpoint->logit_scale;
    engine->fingerprint = checkpoint->fingerprint;
    engine->layout      = checkpoint->layout;
    engine->parameters  = checkpoint->parameters;

    clipcu_status status = ccu_engine_open_backend(engine, error);
    if (status == CLIPCU_OK) { status = open_towers(engine, checkpoint, error); }
    if (status == CLIPCU_OK) {
        status = ccu_engine_pick_batch(engine, error);
    }
    if (status == CLIPCU_OK) { status = ccu_engine_open_slabs(engine, error); }
    if (status == CLIPCU_OK) { status = upload_weights(engine, checkpoint, error); }
    return status == CLIPCU_OK ? ccu_engine_check_headroom(engine, error) : status;
}

clipcu_status clipcu_open(const char *model_dir, const clipcu_options *options,
                          clipcu_engine **out, clipcu_error *error) {
    ccu_checkpoint checkpoint = {0};
    ccu_error_clear(error);
    if (out != NULL) { *out = NULL; }
    if (model_dir == NULL || options == NULL || out == NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "clipcu_open: model_dir, options and engine "
                                                    "must not be NULL");
    }
    clipcu_status status = check_options(options, error);
    if (status != CLIPCU_OK) { return status; }
    if (strlen(model_dir) >= CCU_PATH_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes", model_dir,
                        CCU_PATH_MAX - 1);
    }
    clipcu_engine *engine = ccu_alloc_zeroed(1, sizeof *engine);
    if (engine == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for an engine"); }
    engine->options = *options;
    (void)snprintf(engine->model_dir, sizeof engine->model_dir, "%s", model_dir);

    status = ccu_checkpoint_open(model_dir, options->warn, options->warn_user, &checkpoint, error);
    if (status == CLIPCU_OK) { status = open_engine(engine, &checkpoint, error); }
    ccu_checkpoint_close(&checkpoint);
    if (status != CLIPCU_OK) {
        clipcu_close(engine);
        return status;
    }
    *out = engine;
    return CLIPCU_OK;
}

void clipcu_close(clipcu_engine *engine) {
    if (engine == NULL) { return; }
    if (engine->be != NULL) {
        const ccu_ops *ops = engine->be->ops;
        ccu_ranker_close(&engine->ranker, engine->be);
        if (engine->activations != NULL) { ops->slab_free(engine->be, engine->activations); }
        if (engine->weights != NULL) { ops->slab_free(engine->be, engine->weights); }
        ops->close(engine->be);
    }
    ccu_tokenizer_close(engine->tokenizer);
    ccu_text_tower_close_trie(&engine->text);
    ccu_text_weights_close(&engine->text);
    ccu_image_weights_close(&engine->image);
    ccu_free(engine);
}

static const char *precision_name(const clipcu_engine *engine) {
    if (!engine->on_cuda && engine->options.precision == CLIPCU_PRECISION_BF16 &&
        !ccu_cpu_bf16_native()) {
        return "bf16 (emulated)";
    }
    if (engine->options.precision == CLIPCU_PRECISION_INT8) { return "int8"; }
    return ccu_dtype_name(dtype_of(engine->options.precision));
}

clipcu_info clipcu_engine_info(const clipcu_engine *engine) {
    const ccu_model_config *config = &engine->config;
    const ccu_tower_config *image = &config->image, *text = &config->text;
    const ccu_act           act   = image->present ? image->act : text->act;
    clipcu_info info = {.model_dir = engine->model_dir, .family = "clip", .layout = engine->layout,
                        .device = engine->device, .precision = precision_name(engine),
                        .activation = act == CCU_ACT_QUICK_GELU ? "quick_gelu" : "gelu",
                        .fingerprint = engine->fingerprint,
                        .has_image = image->present,
                        .has_text = text->present && engine->tokenizer != NULL,
                        .embed_dim = config->embed_dim, .batch_max = engine->options.batch_max,
                        .logit_scale = engine->logit_scale, .parameters = engine->parameters,
                        .weights_bytes = engine->weights_bytes,
                        .activations_bytes = engine->activations_bytes};
    if (image->present) {
        info.image_size   = config->image_size;
        info.patch_size   = config->patch_size;
        info.image_width  = image->width;
        info.image_layers = image->layers;
        info.image_heads  = image->heads;
    }
    if (text->present) {
        info.text_width     = text->width;
        info.text_layers    = text->layers;
        info.text_heads     = text->heads;
        info.context_length = config->context_length;
        info.vocab_size     = config->vocab_size;
    }
    return info;
}
