/* clipcu.h, second half: the calls on an open engine. */
#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "engine.h"
#include "image/image.h"
#include "text/templates.h"

/* A picture file is never much larger than its pixels; this bounds a hostile one. */
#define IMAGE_BYTES_MAX ((size_t)1 << 30)

/* CLIP's own default for one prompt per class. */
static const char *const template_single[] = {"a photo of a {}."};

/* ---- Images --------------------------------------------------------------------------------- */

static clipcu_status fail_null(const char *function, clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: NULL where it is not allowed", function);
}

static clipcu_status need_image(const clipcu_engine *engine, clipcu_error *error) {
    if (engine->config.image.present) { return CLIPCU_OK; }
    return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: this checkpoint has no image tower",
                    engine->model_dir);
}

static clipcu_status fit(const clipcu_engine *engine, const ccu_image *image, uint8_t *pixels,
                         clipcu_error *error) {
    const ccu_model_config *config = &engine->config;
    const ccu_fit how = {.size = config->image_size, .resize_size = config->resize_size,
                         .squash = config->squash, .crop = engine->options.crop,
                         .resample = config->resample};
    return ccu_image_fit(image, &how, pixels, error);
}

static clipcu_status decode(const clipcu_engine *engine, const char *name, const uint8_t *bytes,
                            size_t bytes_count, bool whole, ccu_image *out, clipcu_error *error) {
    const bool               draft   = engine->options.draft != 0 && !whole;
    const ccu_decode_options options = {.pixels_max = engine->options.pixels_max,
                                        .exif       = engine->options.exif != 0,
                                        .draft_side = draft ? 2 * engine->config.resize_size : 0};
    const clipcu_status      status  = need_image(engine, error);
    return status == CLIPCU_OK ? ccu_image_decode(name, bytes, bytes_count, &options, out, error)
                               : status;
}

clipcu_status clipcu_decode_image(const clipcu_engine *engine, const char *name,
                                  const uint8_t *bytes, size_t bytes_count, uint8_t *pixels,
                                  clipcu_error *error) {
    ccu_image image = {0};
    ccu_error_clear(error);
    if (name == NULL || bytes == NULL || pixels == NULL) {
        return fail_null("clipcu_decode_image", error);
    }
    clipcu_status status = decode(engine, name, bytes, bytes_count, false, &image, error);
    if (status == CLIPCU_OK) { status = fit(engine, &image, pixels, error); }
    ccu_image_free(&image);
    return status;
}

clipcu_status ccu_engine_read_image(const clipcu_engine *engine, const char *path, bool whole,
                                    ccu_image *out, clipcu_error *error) {
    uint8_t      *bytes       = NULL;
    size_t        bytes_count = 0;
    clipcu_status status      = ccu_file_read(path, IMAGE_BYTES_MAX, &bytes, &bytes_count, error);
    if (status == CLIPCU_OK) {
        status = decode(engine, path, bytes, bytes_count, whole, out, error);
    }
    ccu_free(bytes);
    return status;
}

clipcu_status clipcu_load_image(const clipcu_engine *engine, const char *path, uint8_t *pixels,
                                clipcu_error *error) {
    ccu_image image = {0};
    ccu_error_clear(error);
    if (path == NULL || pixels == NULL) { return fail_null("clipcu_load_image", error); }
    clipcu_status status = ccu_engine_read_image(engine, path, false, &image, error);
    if (status == CLIPCU_OK) { status = fit(engine, &image, pixels, error); }
    ccu_image_free(&image);
    return status;
}

clipcu_status clipcu_fit_image(const clipcu_engine *engine, const uint8_t *rgb, int32_t width,
                               int32_t height, uint8_t *pixels, clipcu_error *error) {
    ccu_error_clear(error);
    const clipcu_status status = need_image(engine, error);
    if (status != CLIPCU_OK) { return status; }
    if (rgb == NULL || width < 1 || height < 1) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "clipcu_fit_image: %d x %d pixels", width,
                        height);
    }
    const ccu_image image = {.rgb = (uint8_t *)(uintptr_t)rgb, .W = width, .H = height};
    return fit(engine, &image, pixels, error);
}

static clipcu_status encode_images(clipcu_engine *engine, const void *pixels, ccu_pixels kind,
                                   int32_t count, float *embeddings, clipcu_error *error) {
    ccu_error_clear(error);
    const clipcu_status status = need_image(engine, error);
    if (status != CLIPCU_OK) { return status; }
    if (pixels == NULL || embeddings == NULL || count < 1 || count > engine->options.batch_max) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "clipcu_encode_images: %d images, expected "
                                                    "1 .. %d and buffers that are not NULL",
                        count, engine->options.batch_max);
    }
    ccu_backend *be = engine->be;
    ccu_image_tower_run(&engine->image, be, pixels, kind, count);
    be->ops->download(be, embeddings, engine->image.unit,
                      (size_t)count * (size_t)engine->image.E * sizeof(float));
    return be->ops->finish(be, error);
}

clipcu_status clipcu_encode_images(clipcu_engine *engine, const uint8_t *pixels, int32_t count,
                                   float *embeddings, clipcu_error *error) {
    return encode_images(engine, pixels, CCU_PIXELS_U8, count, embeddings, error);
}

clipcu_status clipcu_encode_images_f32(clipcu_engine *engine, const float *pixels, int32_t count,
                                       float *embeddings, clipcu_error *error) {
    return encode_images(engine, pixels, CCU_PIXELS_F32, count, embeddings, error);
}

clipcu_status clipcu_encode_images_device(clipcu_engine *engine, const void *pixels, int32_t count,
                                          float *embeddings, clipcu_error *error) {
    ccu_error_clear(error);
    const clipcu_status status = need_image(engine, error);
    if (status != CLIPCU_OK) { return status; }
    if (!engine->on_cuda) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "clipcu_encode_images_device: the engine runs on %s", engine->device);
    }
    if (pixels == NULL || embeddings == NULL || count < 1 || count > engine->options.batch_max) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "clipcu_encode_images_device: %d images, "
                                                    "expected 1 .. %d and buffers that are not "
                                                    "NULL",
                        count, engine->options.batch_max);
    }
    ccu_backend *be = engine->be;
    ccu_image_tower_run_device(&engine->image, be, pixels, CCU_PIXELS_U8, count);
    be->ops->copy(be, embeddings, engine->image.unit,
                  (size_t)count * (size_t)engine->image.E * sizeof(float));
    return be->ops->submit(be, error);
}

/* ---- Texts and banks ------------------------------------------------------------------------ */

clipcu_status ccu_engine_encoder(clipcu_engine *engine, ccu_text_encoder *encoder,
                                 clipcu_error *error) {
    if (!engine->config.text.present) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: this checkpoint has no text tower",
                        engine->model_dir);
    }
    if (engine->tokenizer == NULL) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s", engine->no_tokenizer.text);
    }
    *encoder = (ccu_text_encoder){.be = engine->be, .tower = &engine->text,
                                  .tokenizer = engine->tokenizer, .eot_id = engine->config.eot_id,
                                  .truncate = engine->options.truncate != 0};
    return CLIPCU_OK;
}

clipcu_status clipcu_tokenize(const clipcu_engine *engine, const char *text, int32_t *ids,
                              int32_t ids_max, int32_t *ids_count, clipcu_error *error) {
    ccu_error_clear(error);
    if (engine->tokenizer == NULL) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s",
                        engine->config.text.present ? engine->no_tokenizer.text
                                                    : "this checkpoint has no text tower");
    }
    if (text == NULL || ids == NULL || ids_count == NULL || ids_max < 2) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "clipcu_tokenize: NULL, or room for %d ids "
                                                    "where 2 are the least",
                        ids_max);
    }
    return ccu_tokenize(engine->tokenizer, text, engine->options.truncate != 0, ids, ids_max,
                        ids_count, error);
}

clipcu_status clipcu_encode_texts(clipcu_engine *engine, const char *const *texts, int32_t count,
                                  float *embeddings, clipcu_error *error) {
    ccu_text_encoder encoder;
    ccu_error_clear(error);
    const clipcu_status status = ccu_engine_encoder(engine, &encoder, error);
    if (status != CLIPCU_OK) { return status; }
    if (texts == NULL || embeddings == NULL || count < 1) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "clipcu_encode_texts: %d texts, expected at "
                                                    "least 1 and buffers that are not NULL",
                        count);
    }
    return ccu_encode_texts(&encoder, texts, count, embeddings, error);
}

clipcu_status clipcu_bank_build(clipcu_engine *engine, const char *const *labels, int32_t count,
                                const char *const *templates, int32_t templates_count,
                                clipcu_bank **out, clipcu_error *error) {
    ccu_text_encoder encoder;
    clipcu_bank     *bank = NULL;
    ccu_error_clear(error);
    if (out == NULL) { return fail_null("clipcu_bank_build", error); }
    *out = NULL;
    if (templates == NULL || templates_count == 0) {
        templates       = template_single;
        templates_count = 1;
    }
    clipcu_status status = ccu_engine_encoder(engine, &encoder, error);
    for (int32_t i = 0; i < templates_count && status == CLIPCU_OK; i++) {
        status = ccu_template_check(templates[i], error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_bank_create(labels, count, engine->config.embed_dim, &bank, error);
    }
    if (status != CLIPCU_OK) { return status; }
    bank->fingerprint = engine->fingerprint;
    bank->logit_scale = engine->logit_scale;
    status = ccu_bank_fill(bank, &encoder, templates, templates_count, error);
    if (status != CLIPCU_OK) {
        clipcu_bank_close(bank);
        return status;
    }
    *out = bank;
    return CLIPCU_OK;
}

const char *const *clipcu_builtin_templates(const char *name, int32_t *count) {
    *count = 0;
    if (strcmp(name, "single") == 0) {
        *count = 1;
        return template_single;
    }
    if (strcmp(name, "openai7") == 0) {
        *count = 7;
        return ccu_templates_openai7;
    }
    if (strcmp(name, "openai80") == 0) {
        *count = 80;
        return ccu_templates_openai80;
    }
    return NULL;
}

clipcu_status clipcu_bank_save(const clipcu_bank *bank, const char *path, clipcu_error *error) {
    ccu_error_clear(error);
    if (bank == NULL || path == NULL) { return fail_null("clipcu_bank_save", error); }
    if (bank->rows == NULL) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: classes of a CoCoOp prompt depend on the picture: keep the prompt and "
                        "the names instead",
                        path);
    }
    return ccu_bank_write(bank, path, error);
}

clipcu_status clipcu_bank_load(const char *path, clipcu_bank **out, clipcu_error *error) {
    ccu_error_clear(error);
    if (path == NULL || out == NULL) { return fail_null("clipcu_bank_load", error); }
    *out = NULL;
    return ccu_bank_read(path, out, error);
}

/* ---- Classification ------------------------------------------------------------------------- */

static clipcu_status rank(clipcu_engine *engine, const char *function, ccu_ranking *ranking,
                          clipcu_error *error) {
    const clipcu_bank *bank = ranking->bank;
    if (bank == NULL || ranking->embeddings == NULL || ranking->matches == NULL) {
        return fail_null(function, error);
    }
    if (bank->fingerprint != engine->fingerprint || bank->E != engine->config.embed_dim) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "the class bank was made by another model: its fingerprint is %016" PRIx64
                        " (width %d), %s has %016" PRIx64 " (width %d)",
                        bank->fingerprint, bank->E, engine->model_dir, engine->fingerprint,
                        engine->config.embed_dim);
    }
    if (ranking->count < 1 || ranking->count > engine->options.batch_max) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: %d rows, expected 1 .. %d", function,
                        ranking->count, engine->options.batch_max);
    }
    const int32_t top_max = bank->K < CCU_TOP_MAX ? bank->K : CCU_TOP_MAX;
    if (ranking->top < 1 || ranking->top > top_max) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: top %d, expected 1 .. %d", function,
                        ranking->top, top_max);
    }
    ranking->scale = engine->logit_scale;
    if (bank->conditional != NULL) { return ccu_engine_rank_conditional(engine, ranking, error); }
    return ccu_rank(&engine->ranker, engine->be, ranking, error);
}

clipcu_status clipcu_rank(clipcu_engine *engine, const clipcu_bank *bank, const float *embeddings,
                          int32_t count, int32_t top, clipcu_match *matches,
                          clipcu_error *error) {
    ccu_ranking ranking = {.bank = bank, .embeddings = embeddings, .count = count, .top = top,
                           .matches = matches};
    ccu_error_clear(error);
    return rank(engine, "clipcu_rank", &ranking, error);
}

clipcu_status clipcu_rank_all(clipcu_engine *engine, const clipcu_bank *bank,
                              const float *embeddings, int32_t count, int32_t top,
                              clipcu_match *matches, float *cosines, clipcu_error *error) {
    ccu_ranking ranking = {.bank = bank, .embeddings = embeddings, .count = count, .top = top,
                           .matches = matches, .cosines = cosines};
    ccu_error_clear(error);
    if (cosines == NULL) { return fail_null("clipcu_rank_all", error); }
    return rank(engine, "clipcu_rank_all", &ranking, error);
}

clipcu_status clipcu_classify_file(clipcu_engine *engine, const clipcu_bank *bank,
                                   const char *path, int32_t top, clipcu_match *matches,
                                   clipcu_error *error) {
    const size_t S          = (size_t)engine->config.image_size;
    uint8_t     *pixels     = ccu_alloc(S * S * 3);
    float       *embeddings = ccu_alloc((size_t)engine->config.embed_dim * sizeof *embeddings);
    ccu_error_clear(error);
    clipcu_status status = CLIPCU_OK;
    if (pixels == NULL || embeddings == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for its pixels", path);
    }
    if (status == CLIPCU_OK) { status = clipcu_load_image(engine, path, pixels, error); }
    if (status == CLIPCU_OK) {
        status = clipcu_encode_images(engine, pixels, 1, embeddings, error);
    }
    if (status == CLIPCU_OK) {
        status = clipcu_rank(engine, bank, embeddings, 1, top, matches, error);
    }
    ccu_free(embeddings);
    ccu_free(pixels);
    return status;
}
