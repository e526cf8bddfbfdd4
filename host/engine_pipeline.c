/* The pipeline of stream/ for programs: pictures are handed in, results handed out. See clipcu.h.
 *
 * One mutex guards what waits to be begun and the batch whose results are being fetched. The
 * pipeline runs on a thread of its own, which is also that of the first engine. */
#include "engine_pipeline.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "engine.h"

#define TOP_MAX 1024
#define THREADS_MAX 1024

clipcu_pipeline_options clipcu_pipeline_options_default(void) {
    return (clipcu_pipeline_options){ .top = 1 };
}

/* ---- What the pipeline calls ---------------------------------------------------------------- */

static ccu_source_result next_input(void *context, int wait_ms, ccu_source_item *item) {
    clipcu_pipeline      *p     = context;
    const struct timespec until = ccu_handoff_deadline(wait_ms < 0 ? 0 : wait_ms);
    ccu_handoff_lock(p);
    while (p->count == 0 && !p->finished && !atomic_load(&p->closing)) {
        if (!ccu_handoff_wait(p, &p->more, wait_ms, &until)) {
            ccu_handoff_unlock(p);
            return CCU_SOURCE_LATER;
        }
    }
    if (p->count == 0 || atomic_load(&p->closing)) {
        ccu_handoff_unlock(p);
        return CCU_SOURCE_END;
    }
    ccu_pending *first = &p->queue[p->head];
    p->head        = (p->head + 1) % p->options.pending_max;
    p->count--;
    ccu_free(p->path);
    p->path = first->path; /* lives until the next call, as bytes are the receiver's */
    (void)snprintf(p->name, sizeof p->name, "picture %" PRIu64, first->id); /* fits */
    *item   = (ccu_source_item){ .path        = first->path != NULL ? first->path : p->name,
                                 .class_index = -1,
                                 .bytes       = first->bytes,
                                 .bytes_count = first->count,
                                 .decoded     = first->decoded,
                                 .id          = first->id,
                                 .sample      = "" };
    *first = (ccu_pending){ .path = NULL };
    ccu_handoff_wake(&p->room);
    ccu_handoff_unlock(p);
    return CCU_SOURCE_ITEM;
}

static clipcu_status decode(const void *context, const char *name, const uint8_t *bytes,
                            size_t bytes_count, uint8_t *pixels, clipcu_error *error) {
    return clipcu_decode_image(context, name, bytes, bytes_count, pixels, error);
}

static clipcu_status encode(void *context, ccu_batch *batch, clipcu_error *error) {
    const ccu_worker          *w          = context;
    const clipcu_pipeline *p          = w->p;
    float                 *embeddings = (float *)(void *)batch->embeddings;
    if (batch->loaded == 0) { return CLIPCU_OK; }
    const clipcu_status status = clipcu_encode_images(w->engine, batch->pixels, batch->loaded,
                                                      embeddings, error);
    if (status != CLIPCU_OK || p->options.bank == NULL) { return status; }
    return clipcu_rank(w->engine, p->options.bank, embeddings, batch->loaded, p->options.top,
                       (clipcu_match *)(void *)batch->results, error);
}

static clipcu_status take(void *context, ccu_batch *batch, clipcu_error *error) {
    clipcu_pipeline *p = context;
    (void)error;
    if (p->options.take != NULL) {
        for (int32_t i = 0; i < batch->count; i++) {
            const clipcu_result result = ccu_handoff_result(p, batch, i);
            p->options.take(p->options.user, &result);
        }
        return CLIPCU_OK;
    }
    ccu_handoff_lock(p);
    p->batch = batch;
    p->next  = 0;
    ccu_handoff_wake(&p->results);
    while (p->batch != NULL && !atomic_load(&p->closing)) {
        (void)pthread_cond_wait(&p->results, &p->lock); /* cannot fail */
    }
    p->batch = NULL;
    ccu_handoff_unlock(p);
    return CLIPCU_OK;
}

static bool stopped(void *context) {
    clipcu_pipeline *p = context;
    return atomic_load(&p->closing);
}

static void *run(void *context) {
    clipcu_pipeline           *p       = context;
    const size_t               matches = p->options.bank == NULL ? 0 : (size_t)p->options.top;
    ccu_stages                 stages;
    clipcu_error               why     = { .code = CLIPCU_OK };
    const ccu_pipeline_options options = {
        .batch_max        = p->batch_max,
        .decoders         = p->options.threads,
        .image_bytes      = (size_t)p->info.image_size * (size_t)p->info.image_size * 3,
        .embeddings_bytes = p->embeddings_bytes,
        .results_bytes    = (size_t)p->batch_max * matches * sizeof(clipcu_match),
        .next             = next_input,
        .next_context     = p,
        .decode           = decode,
        .decode_context   = p->workers[0].engine,
        .encode           = encode,
        .encoders         = p->contexts,
        .encoders_count   = p->engines_count,
        .take             = take,
        .take_context     = p,
        .stopped          = stopped,
        .stopped_context  = p,
    };
    const clipcu_status status = ccu_pipeline_run(&options, &stages, &why);
    ccu_handoff_lock(p);
    p->ended = true;
    if (status != CLIPCU_OK) {
        p->why      = why;
        p->why.code = status;
    }
    ccu_handoff_wake(&p->room);
    ccu_handoff_wake(&p->results);
    ccu_handoff_unlock(p);
    return NULL;
}

/* ---- Opening and closing -------------------------------------------------------------------- */

static clipcu_status check(clipcu_engine *const *engines, int32_t engines_count,
                           const clipcu_pipeline_options *o, clipcu_error *error) {
    if (engines == NULL || o == NULL || engines_count < 1) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_pipeline_open: expected at least one engine, and options");
    }
    for (int32_t i = 0; i < engines_count; i++) {
        const clipcu_info info = clipcu_engine_info(engines[i]);
        if (info.has_image == 0) {
            return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: this model has no image tower",
                            info.model_dir);
        }
        if (info.fingerprint != engines[0]->fingerprint) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                            "clipcu_pipeline_open: expected engines of one model, found %s and %s",
                            engines[0]->model_dir, info.model_dir);
        }
    }
    if (o->threads < 0 || o->threads > THREADS_MAX || o->pending_max < 0) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_pipeline_open: expected 0 .. %d threads and a pending_max of 0 or "
                        "more, found %d and %d",
                        THREADS_MAX, (int)o->threads, (int)o->pending_max);
    }
    if (o->bank == NULL) { return CLIPCU_OK; }
    const int32_t K    = clipcu_bank_count(o->bank);
    const int32_t most = K < TOP_MAX ? K : TOP_MAX;
    if (o->top < 1 || o->top > most) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_pipeline_open: expected a top of 1 .. %d, found %d", (int)most,
                        (int)o->top);
    }
    if (clipcu_bank_fingerprint(o->bank) != engines[0]->fingerprint) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_pipeline_open: the bank was made by another model than %s",
                        engines[0]->model_dir);
    }
    return CLIPCU_OK;
}

static void free_pipeline(clipcu_pipeline *p) {
    for (int32_t i = 0; p->queue != NULL && i < p->options.pending_max; i++) {
        ccu_free(p->queue[i].path);
        ccu_free(p->queue[i].bytes);
    }
    ccu_free(p->queue);
    ccu_free(p->workers);
    ccu_free(p->contexts);
    ccu_free(p->path);
    ccu_free(p);
}

/* Waits are by a clock that nobody sets. */
static void open_conditions(clipcu_pipeline *p) {
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes); /* none of these can fail on Linux */
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->more, &attributes);
    (void)pthread_cond_init(&p->room, &attributes);
    (void)pthread_cond_init(&p->results, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

static void close_conditions(clipcu_pipeline *p) {
    (void)pthread_cond_destroy(&p->more); /* nobody waits on any of them */
    (void)pthread_cond_destroy(&p->room);
    (void)pthread_cond_destroy(&p->results);
    (void)pthread_mutex_destroy(&p->lock);
}

static clipcu_status allocate(clipcu_pipeline *p, clipcu_engine *const *engines,
                              clipcu_error *error) {
    const size_t count = (size_t)p->engines_count;
    p->batch_max       = INT32_MAX;
    for (size_t i = 0; i < count; i++) {
        const int32_t own = engines[i]->options.batch_max;
        if (own < p->batch_max) { p->batch_max = own; }
    }
    if (p->options.pending_max == 0) { p->options.pending_max = 2 * p->batch_max; }
    p->embeddings_bytes = (size_t)p->batch_max * (size_t)p->info.embed_dim * sizeof(float);
    p->queue            = ccu_alloc_zeroed((size_t)p->options.pending_max, sizeof *p->queue);
    p->workers          = ccu_alloc_zeroed(count, sizeof *p->workers);
    p->contexts         = ccu_alloc_zeroed(count, sizeof *p->contexts);
    if (p->queue == NULL || p->workers == NULL || p->contexts == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "clipcu_pipeline_open: no memory for %d pictures",
                        (int)p->options.pending_max);
    }
    for (size_t i = 0; i < count; i++) {
        p->workers[i]  = (ccu_worker){ .p = p, .engine = engines[i] };
        p->contexts[i] = &p->workers[i];
    }
    return CLIPCU_OK;
}

clipcu_status clipcu_pipeline_open(clipcu_engine *const *engines, int32_t engines_count,
                                   const clipcu_pipeline_options *options,
                                   clipcu_pipeline **pipeline, clipcu_error *error) {
    ccu_error_clear(error);
    if (pipeline == NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "clipcu_pipeline_open: pipeline is NULL");
    }
    *pipeline            = NULL;
    clipcu_status status = check(engines, engines_count, options, error);
    if (status != CLIPCU_OK) { return status; }
    clipcu_pipeline *p = ccu_alloc_zeroed(1, sizeof *p);
    if (p == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "clipcu_pipeline_open: no memory for %zu bytes",
                        sizeof *p);
    }
    p->options       = *options;
    p->info          = clipcu_engine_info(engines[0]);
    p->engines_count = engines_count;
    status           = allocate(p, engines, error);
    if (status == CLIPCU_OK) {
        open_conditions(p);
        if (pthread_create(&p->thread, NULL, run, p) != 0) {
            close_conditions(p);
            status = ccu_fail(error, CLIPCU_ERR_LIMIT,
                              "clipcu_pipeline_open: no thread can be started");
        }
    }
    if (status != CLIPCU_OK) {
        free_pipeline(p);
        return status;
    }
    *pipeline = p;
    return CLIPCU_OK;
}

/* Waits for the end of the pipeline's thread. */
static void join(clipcu_pipeline *p) {
    ccu_handoff_lock(p);
    const bool mine = !p->joined;
    p->joined       = true;
    ccu_handoff_unlock(p);
    if (mine) { (void)pthread_join(p->thread, NULL); } /* ours, joined once: cannot fail */
}

void clipcu_pipeline_close(clipcu_pipeline *pipeline) {
    if (pipeline == NULL) { return; }
    ccu_handoff_lock(pipeline);
    atomic_store(&pipeline->closing, true);
    ccu_handoff_wake(&pipeline->more);
    ccu_handoff_wake(&pipeline->results);
    ccu_handoff_unlock(pipeline);
    join(pipeline);
    close_conditions(pipeline);
    free_pipeline(pipeline);
}
