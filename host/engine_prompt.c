/* clipcu.h, learned prompts: the calls that need an engine. */
#include <string.h>

#include "base/memory.h"
#include "engine.h"
#include "prompt/class_rows.h"
#include "prompt/learner.h"
#include "prompt/nearest.h"
#include "prompt/views.h"

static clipcu_status fail_null(const char *function, clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: NULL where it is not allowed", function);
}

clipcu_status clipcu_prompt_save(const clipcu_prompt *prompt, const char *path,
                                 clipcu_error *error) {
    ccu_error_clear(error);
    if (prompt == NULL || path == NULL) { return fail_null("clipcu_prompt_save", error); }
    return ccu_prompt_write(prompt, NULL, NULL, path, error);
}

clipcu_status clipcu_prompt_load(const char *path, clipcu_prompt **out, clipcu_error *error) {
    ccu_error_clear(error);
    if (path == NULL || out == NULL) { return fail_null("clipcu_prompt_load", error); }
    *out = NULL;
    return ccu_prompt_read(path, out, NULL, NULL, error);
}

/* ---- Nearest tokens ------------------------------------------------------------------------- */

static clipcu_status check_near(const clipcu_engine *engine, const clipcu_prompt *p, int32_t top,
                                clipcu_error *error) {
    if (top < 1 || top > 100 || top > engine->config.vocab_size) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_prompt_nearest: top %d, expected 1 .. 100", top);
    }
    if (p->class_specific) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "a class-specific prompt has %d vectors for each of %d classes: their "
                        "nearest tokens are not looked for",
                        p->M, p->K);
    }
    return ccu_prompt_check_model(p, engine->fingerprint, engine->text.trunk.C,
                                  engine->config.embed_dim, engine->model_dir, error);
}

clipcu_status clipcu_prompt_nearest(clipcu_engine *engine, const clipcu_prompt *prompt,
                                    int32_t top, clipcu_near_token *near, clipcu_error *error) {
    ccu_text_encoder encoder;
    ccu_checkpoint   checkpoint = {0};
    ccu_error_clear(error);
    if (engine == NULL || prompt == NULL || near == NULL) {
        return fail_null("clipcu_prompt_nearest", error);
    }
    clipcu_status status = ccu_engine_encoder(engine, &encoder, error);
    if (status == CLIPCU_OK) { status = check_near(engine, prompt, top, error); }
    if (status == CLIPCU_OK) {
        status = ccu_checkpoint_open(engine->model_dir, NULL, NULL, &checkpoint, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_prompt_near(prompt, &checkpoint.text.tokens, top, near, error);
    }
    ccu_checkpoint_close(&checkpoint);
    for (int32_t i = 0; i < prompt->M * top && status == CLIPCU_OK; i++) {
        bool ends = false;
        if (!ccu_tokenizer_text(engine->tokenizer, near[i].id, near[i].text, sizeof near[i].text,
                                &ends)) {
            near[i].text[0] = '\0';
        }
        near[i].ends_word = ends;
    }
    return status;
}

/* ---- Class banks ---------------------------------------------------------------------------- */

static void close_conditional(void *conditional) {
    ccu_conditional_close(conditional);
}

/* A class-specific prompt's vectors belong to its names. */
static clipcu_status check_names(const clipcu_prompt *p, const char *const *labels, int32_t count,
                                 clipcu_error *error) {
    if (!p->class_specific) { return CLIPCU_OK; }
    if (count != p->K) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "the prompt is class-specific: expected the %d class names it was learned "
                        "with, found %d",
                        p->K, count);
    }
    for (int32_t i = 0; i < count; i++) {
        if (labels[i] != NULL && strcmp(labels[i], p->labels[i]) != 0) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                            "the prompt is class-specific: class %d is \"%.80s\", it was learned "
                            "for \"%.80s\"",
                            i + 1, labels[i], p->labels[i]);
        }
    }
    return CLIPCU_OK;
}

static clipcu_status fill(const ccu_text_encoder *encoder, const clipcu_prompt *p,
                          clipcu_bank *bank, clipcu_error *error) {
    const char *const *labels = (const char *const *)bank->labels;
    if (p->hidden == 0) {
        const clipcu_status status = ccu_class_rows(encoder, p, labels, bank->K, bank->rows,
                                                    error);
        if (status == CLIPCU_OK) { ccu_bank_seal(bank); }
        return status;
    }
    ccu_conditional    *conditional = NULL;
    const clipcu_status status      = ccu_conditional_open(encoder, p, labels, bank->K,
                                                           &conditional, error);
    if (status != CLIPCU_OK) { return status; }
    ccu_free(bank->rows);
    bank->rows              = NULL;
    bank->conditional       = conditional;
    bank->conditional_close = close_conditional;
    return CLIPCU_OK;
}

clipcu_status clipcu_bank_build_prompt(clipcu_engine *engine, const clipcu_prompt *prompt,
                                       const char *const *labels, int32_t count,
                                       clipcu_bank **out, clipcu_error *error) {
    ccu_text_encoder encoder;
    clipcu_bank     *bank = NULL;
    ccu_error_clear(error);
    if (out == NULL || prompt == NULL) { return fail_null("clipcu_bank_build_prompt", error); }
    *out = NULL;
    if (labels == NULL || count == 0) {
        labels = prompt->labels;
        count  = prompt->K;
    }
    clipcu_status status = ccu_engine_encoder(engine, &encoder, error);
    if (status == CLIPCU_OK) {
        status = ccu_prompt_check_model(prompt, engine->fingerprint, engine->text.trunk.C,
                                        engine->config.embed_dim, engine->model_dir, error);
    }
    if (status == CLIPCU_OK) { status = check_names(prompt, labels, count, error); }
    if (status == CLIPCU_OK) {
        status = ccu_bank_create(labels, count, engine->config.embed_dim, &bank, error);
    }
    if (status != CLIPCU_OK) { return status; }
    bank->fingerprint = engine->fingerprint;
    bank->logit_scale = engine->logit_scale;
    status            = fill(&encoder, prompt, bank, error);
    if (status != CLIPCU_OK) {
        clipcu_bank_close(bank);
        return status;
    }
    *out = bank;
    return CLIPCU_OK;
}

/* Pictures `from` .. against rows of their own, which stand in `rows` (images, K, E). */
static clipcu_status rank_own(clipcu_engine *engine, const ccu_ranking *ranking, int32_t from,
                              int32_t images, const float *rows, clipcu_error *error) {
    const clipcu_bank *bank = ranking->bank;
    const size_t       E = (size_t)bank->E, K = (size_t)bank->K;
    clipcu_status      status = CLIPCU_OK;
    for (size_t b = 0; b < (size_t)images && status == CLIPCU_OK; b++) {
        const size_t at  = (size_t)from + b;
        clipcu_bank  own = {.K = bank->K, .E = bank->E, .fingerprint = bank->fingerprint};
        ccu_ranking  one = *ranking;
        own.rows         = (float *)(uintptr_t)(rows + b * K * E); /* only read */
        ccu_bank_seal(&own);
        one.bank       = &own;
        one.embeddings = ranking->embeddings + at * E;
        one.count      = 1;
        one.matches    = ranking->matches + at * (size_t)ranking->top;
        one.cosines    = ranking->cosines == NULL ? NULL : ranking->cosines + at * K;
        status         = ccu_rank(&engine->ranker, engine->be, &one, error);
    }
    return status;
}

clipcu_status ccu_engine_rank_conditional(clipcu_engine *engine, const ccu_ranking *ranking,
                                          clipcu_error *error) {
    ccu_text_encoder       encoder;
    const ccu_conditional *conditional = ranking->bank->conditional;
    const size_t           E = (size_t)ranking->bank->E, K = (size_t)ranking->bank->K;
    const int32_t          count = ranking->count;
    const int32_t          most  = ccu_conditional_images(conditional);
    const int32_t          parts = most < count ? most : count;
    float                 *rows  = NULL;
    clipcu_status          status = ccu_engine_encoder(engine, &encoder, error);
    if (status != CLIPCU_OK) { return status; }
    rows = ccu_alloc((size_t)parts * K * E * sizeof *rows);
    if (rows == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for class rows of %d pictures", parts);
    }
    for (int32_t from = 0; from < count && status == CLIPCU_OK; from += parts) {
        const int32_t images = count - from < parts ? count - from : parts;
        status = ccu_conditional_rows(conditional, &encoder,
                                      ranking->embeddings + (size_t)from * E, images, rows, error);
        if (status == CLIPCU_OK) {
            status = rank_own(engine, ranking, from, images, rows, error);
        }
    }
    ccu_free(rows);
    return status;
}

/* ---- Views ----------------------------------------------------------------------------------- */

clipcu_status clipcu_load_view(const clipcu_engine *engine, const char *path, uint64_t seed,
                               uint64_t draw, uint8_t *pixels, clipcu_error *error) {
    ccu_image image = {0};
    ccu_error_clear(error);
    if (path == NULL || pixels == NULL) { return fail_null("clipcu_load_view", error); }
    clipcu_status status = ccu_engine_read_image(engine, path, true, &image, error);
    if (status == CLIPCU_OK) {
        ccu_random random;
        ccu_random_seed_part(&random, seed, CCU_RANDOM_VIEW, draw);
        const ccu_view view = ccu_view_draw(&random, image.W, image.H);
        status = ccu_view_render(&image, &view, engine->config.image_size,
                                 engine->config.resample, pixels, error);
    }
    ccu_image_free(&image);
    return status;
}

/* ---- Learning ------------------------------------------------------------------------------- */

clipcu_learn_options clipcu_learn_options_default(void) {
    return (clipcu_learn_options){.context_count = 16, .seed = 1, .batch_max = 32,
                                  .momentum = 0.9f, .weight_decay = 5e-4f};
}

/* Words are parted by blanks, underscores being blanks; each has to be one token, so that vectors
 * and words are the same in number. */
static int32_t count_words(const char *text) {
    int32_t words = 0;
    bool    in    = false;
    for (; *text != '\0'; text++) {
        const bool blank = *text == ' ' || *text == '_' || *text == '\t';
        words += !blank && !in ? 1 : 0;
        in = !blank;
    }
    return words;
}

/* Token ids of init, without start and end, into memory of the caller's (ccu_free). */
static clipcu_status tokenize_init(const clipcu_engine *engine, const char *init, int32_t **out,
                                   int32_t *count, clipcu_error *error) {
    const int32_t context = engine->config.context_length, words = count_words(init);
    int32_t      *ids     = ccu_alloc((size_t)context * sizeof *ids);
    char         *text    = ccu_strdup(init);
    clipcu_status status  = CLIPCU_OK;
    if (ids == NULL || text == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for the words \"%.100s\"", init);
    }
    for (char *at = text; status == CLIPCU_OK && *at != '\0'; at++) {
        if (*at == '_') { *at = ' '; }
    }
    if (status == CLIPCU_OK) {
        status = ccu_tokenize(engine->tokenizer, text, false, ids, context, count, error);
    }
    if (status == CLIPCU_OK && (words < 1 || *count - 2 != words)) {
        status = ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                          "the words \"%.100s\" are %d in %d tokens: context vectors begin as "
                          "words of one token each",
                          init, words, *count - 2);
    }
    ccu_free(text);
    if (status != CLIPCU_OK) {
        ccu_free(ids);
        return status;
    }
    *count -= 2;
    *out = ids;
    return CLIPCU_OK;
}

/* The embeddings of tokens ids[1] .. ids[M] as context vectors. */
static clipcu_status start_as_words(const ccu_checkpoint *checkpoint, const int32_t *ids,
                                    const char *init, clipcu_prompt *p, clipcu_error *error) {
    const size_t  C      = (size_t)p->C;
    clipcu_status status = CLIPCU_OK;
    for (int32_t m = 0; m < p->M && status == CLIPCU_OK; m++) {
        status = ccu_tensor_to_f32(&checkpoint->text.tokens, (size_t)ids[m + 1] * C, C,
                                   p->context + (size_t)m * C, error);
    }
    p->init = ccu_strdup(init);
    if (status == CLIPCU_OK && p->init == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for the words \"%.100s\"", init);
    }
    return status;
}

static clipcu_status new_prompt(const clipcu_engine *engine, const ccu_checkpoint *checkpoint,
                                const clipcu_learn_options *options, const char *const *labels,
                                int32_t K, clipcu_prompt **out, clipcu_error *error) {
    ccu_prompt_shape shape  = {.method         = options->method,
                               .position       = options->position,
                               .class_specific = options->class_specific != 0,
                               .M              = options->context_count,
                               .C              = engine->text.trunk.C,
                               .E              = engine->config.embed_dim,
                               .K              = K,
                               .labels         = labels};
    int32_t         *ids    = NULL;
    clipcu_status    status = CLIPCU_OK;
    if (options->init != NULL) {
        shape.class_specific = false;
        status = tokenize_init(engine, options->init, &ids, &shape.M, error);
    }
    if (status == CLIPCU_OK) { status = ccu_prompt_create(&shape, out, error); }
    if (status == CLIPCU_OK) {
        (*out)->fingerprint = engine->fingerprint;
        ccu_prompt_randomise(*out, options->seed);
    }
    if (status == CLIPCU_OK && ids != NULL) {
        status = start_as_words(checkpoint, ids, options->init, *out, error);
    }
    ccu_free(ids);
    return status;
}

static clipcu_status check_options(const clipcu_engine *engine, const clipcu_learn_options *o,
                                   clipcu_error *error) {
    if (!engine->config.image.present) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: this checkpoint has no image tower",
                        engine->model_dir);
    }
    const int32_t room = engine->config.context_length - 4; /* start, a token, full stop, end */
    if (o->init == NULL && (o->context_count < 1 || o->context_count > room)) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "%d context vectors: expected 1 .. %d, the context has room for %d tokens",
                        o->context_count, room, engine->config.context_length);
    }
    if ((unsigned)o->method > CLIPCU_METHOD_COCOOP ||
        (unsigned)o->position > CLIPCU_POSITION_FRONT || o->batch_max < 1 ||
        o->batch_max > 4096 || !(o->momentum >= 0.0f) || !(o->weight_decay >= 0.0f)) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "learn options: method %d, position %d, batch_max %d, momentum %g, "
                        "weight_decay %g: one is out of range",
                        (int)o->method, (int)o->position, o->batch_max, (double)o->momentum,
                        (double)o->weight_decay);
    }
    return CLIPCU_OK;
}

clipcu_status clipcu_learner_open(clipcu_engine *engine, const clipcu_learn_options *options,
                                  const char *const *labels, int32_t count, clipcu_learner **out,
                                  clipcu_error *error) {
    ccu_text_encoder encoder;
    ccu_checkpoint   checkpoint = {0};
    clipcu_prompt   *prompt     = NULL;
    ccu_error_clear(error);
    if (engine == NULL || options == NULL || labels == NULL || out == NULL) {
        return fail_null("clipcu_learner_open", error);
    }
    *out                 = NULL;
    clipcu_status status = ccu_engine_encoder(engine, &encoder, error);
    if (status == CLIPCU_OK) { status = check_options(engine, options, error); }
    if (status == CLIPCU_OK) {
        status = ccu_checkpoint_open(engine->model_dir, NULL, NULL, &checkpoint, error);
    }
    if (status == CLIPCU_OK && checkpoint.fingerprint != engine->fingerprint) {
        status = ccu_fail(error, CLIPCU_ERR_IO, "%s: changed since it was opened",
                          engine->model_dir);
    }
    if (status == CLIPCU_OK) {
        status = new_prompt(engine, &checkpoint, options, labels, count, &prompt, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_learner_create(&encoder, &checkpoint, options, prompt, engine->logit_scale,
                                    out, error);
    }
    ccu_checkpoint_close(&checkpoint);
    if (status != CLIPCU_OK) { clipcu_prompt_close(prompt); }
    return status;
}
