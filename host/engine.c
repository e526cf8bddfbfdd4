/* clipcu.h, first half: opens, wires, closes; nothing clever. engine_run.c has the calls on an
 * open engine. */
#include "engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "model/weights.h"
#include "ops/cpu_backend.h"

#define THREADS_MAX 1024

/* Trie rows per chunk of prompts: enough for large matrix products, small enough for the
 * activations (rows x 4 widths) to stay near the caches. */
#define TEXT_ROWS 2048

/* Rows x widths are counted in 32 bits inside ops. */
#define ROWS_MAX (1 << 24)

const char *clipcu_version(void) {
    return "0.1.0";
}

clipcu_options clipcu_options_default(void) {
    return (clipcu_options){.device = CLIPCU_DEVICE_AUTO, .precision = CLIPCU_PRECISION_F32,
                            .batch_max = 32, .crop = CLIPCU_CROP_FLOOR,
                            .tokenizer = CLIPCU_TOKENIZER_OPENAI, .pixels_max = 178956970};
}

/* ---- Open ----------------------------------------------------------------------------------- */

static clipcu_status check_options(const clipcu_options *options, clipcu_error *error) {
    if (options->batch_max < 1 || options->batch_max > CCU_BATCH_MAX) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "batch_max is %d, expected 1 .. %d",
                        options->batch_max, CCU_BATCH_MAX);
    }
    if (options->threads < 0 || options->threads > THREADS_MAX) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "threads is %d, expected 0 .. %d",
                        options->threads, THREADS_MAX);
    }
    if (options->pixels_max < 1) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "pixels_max is %" PRId64 ", expected > 0",
                        options->pixels_max);
    }
    switch (options->device) {
    case CLIPCU_DEVICE_AUTO:
    case CLIPCU_DEVICE_CPU: break;
    case CLIPCU_DEVICE_CUDA:
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "device cuda: this build has no CUDA "
                                                       "backend; use cpu or auto");
    }
    switch (options->precision) {
    case CLIPCU_PRECISION_F32:
    case CLIPCU_PRECISION_BF16: break;
    case CLIPCU_PRECISION_F16:
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "precision f16: not on the CPU; use f32 or bf16");
    }
    return CLIPCU_OK;
}

static void warn(const clipcu_engine *engine, const char *text) {
    if (engine->options.warn != NULL) { engine->options.warn(engine->options.warn_user, text); }
}

static ccu_dtype dtype_of(clipcu_precision precision) {
    return precision == CLIPCU_PRECISION_F32 ? CCU_F32 : CCU_BF16;
}

static clipcu_status open_backend(clipcu_engine *engine, clipcu_error *error) {
    char library[96];
    if (engine->options.threads == 0) { engine->options.threads = ccu_threads_online(); }
    const clipcu_status status = ccu_cpu_open(engine->options.threads, &engine->be, error);
    if (status != CLIPCU_OK) { return status; }
    ccu_cpu_describe(library, sizeof library);
    (void)snprintf(engine->device, sizeof engine->device, "cpu: %s, %d thread%s", library,
                   engine->options.threads, engine->options.threads == 1 ? "" : "s");
    if (engine->options.precision == CLIPCU_PRECISION_BF16 && !ccu_cpu_bf16_native()) {
        warn(engine, "this CPU has no bf16 instructions: results are bf16's, speed is f32's");
    }
    return CLIPCU_OK;
}

/* A model without tokenizer files still encodes pictures. */
static clipcu_status open_tokenizer(clipcu_engine *engine, clipcu_error *error) {
    clipcu_status status = ccu_tokenizer_open(engine->model_dir, engine->options.tokenizer,
                                              &engine->tokenizer, &engine->no_tokenizer);
    if (status == CLIPCU_ERR_IO) {
        warn(engine, engine->no_tokenizer.text);
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

/* Dims of both towers, refused where a batch would not fit 32-bit row arithmetic. */
static clipcu_status open_towers(clipcu_engine *engine, const ccu_checkpoint *checkpoint,
                                 clipcu_error *error) {
    const ccu_dtype dtype  = dtype_of(engine->options.precision);
    clipcu_status   status = CLIPCU_OK;
    if (engine->config.image.present) {
        engine->image.batch_max = engine->options.batch_max;
        status = ccu_image_weights_open(checkpoint, dtype, &engine->image, error);
        if (status != CLIPCU_OK) { return status; }
        if ((int64_t)engine->image.T * engine->options.batch_max > ROWS_MAX) {
            return ccu_fail(error, CLIPCU_ERR_LIMIT,
                            "%d tokens per image x batch of %d: at most %d rows at once",
                            engine->image.T, engine->options.batch_max, ROWS_MAX);
        }
    }
    if (engine->config.text.present) {
        engine->text.rows_max = engine->config.context_length > TEXT_ROWS
                                    ? engine->config.context_length
                                    : TEXT_ROWS;
        status = ccu_text_weights_open(checkpoint, dtype, &engine->text, error);
        if (status == CLIPCU_OK) { status = ccu_text_tower_open_trie(&engine->text, error); }
        if (status == CLIPCU_OK) { status = open_tokenizer(engine, error); }
    }
    return status;
}

static void lay_out_weights(clipcu_engine *engine, ccu_plan *plan) {
    if (engine->config.image.present) {
        ccu_image_weights_lay_out(&engine->image, engine->be, plan);
    }
    if (engine->config.text.present) {
        ccu_text_weights_lay_out(&engine->text, engine->be, plan);
    }
}

static void lay_out_activations(clipcu_engine *engine, ccu_plan *plan) {
    if (engine->config.image.present) { ccu_image_tower_lay_out(&engine->image, engine->be, plan); }
    if (engine->config.text.present) { ccu_text_tower_lay_out(&engine->text, plan); }
}

/* Counts, allocates, and hands out addresses by running the same lay-out twice. */
static clipcu_status open_slab(clipcu_engine *engine, void (*lay_out)(clipcu_engine *, ccu_plan *),
                               const char *name, void **slab, size_t *bytes,
                               clipcu_error *error) {
    ccu_plan plan = {0};
    lay_out(engine, &plan);
    *bytes = plan.bytes;
    *slab  = plan.bytes == SIZE_MAX ? NULL : engine->be->ops->slab_alloc(engine->be, plan.bytes);
    if (*slab == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %zu bytes of %s",
                        engine->model_dir, plan.bytes, name);
    }
    plan = (ccu_plan){.base = *slab};
    lay_out(engine, &plan);
    return CLIPCU_OK;
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
    engine->ranker.batch_max = engine->options.batch_max;

    clipcu_status status = open_backend(engine, error);
    if (status == CLIPCU_OK) { status = open_towers(engine, checkpoint, error); }
    if (status == CLIPCU_OK) {
        status = open_slab(engine, lay_out_weights, "weights", &engine->weights,
                           &engine->weights_bytes, error);
    }
    if (status == CLIPCU_OK) {
        status = open_slab(engine, lay_out_activations, "activations", &engine->activations,
                           &engine->activations_bytes, error);
    }
    return status == CLIPCU_OK ? upload_weights(engine, checkpoint, error) : status;
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
    if (engine->options.precision == CLIPCU_PRECISION_F32) { return "f32"; }
    return ccu_cpu_bf16_native() ? "bf16" : "bf16 (emulated)";
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
