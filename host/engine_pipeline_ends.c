/* Pictures in, results out; see engine_pipeline.h and clipcu.h. */
#include "engine_pipeline.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)

/* ---- Waiting -------------------------------------------------------------------------------- */

void ccu_handoff_lock(clipcu_pipeline *p) {
    (void)pthread_mutex_lock(&p->lock); /* a plain mutex: cannot fail */
}

void ccu_handoff_unlock(clipcu_pipeline *p) {
    (void)pthread_mutex_unlock(&p->lock); /* held by this thread */
}

void ccu_handoff_wake(pthread_cond_t *condition) {
    (void)pthread_cond_broadcast(condition); /* cannot fail */
}

struct timespec ccu_handoff_deadline(int32_t wait_ms) {
    struct timespec at = { .tv_sec = 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &at); /* always there on POSIX 2008 */
    at.tv_sec += wait_ms / 1000;
    at.tv_nsec += (long)(wait_ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

bool ccu_handoff_wait(clipcu_pipeline *p, pthread_cond_t *condition, int32_t wait_ms,
                     const struct timespec *until) {
    if (wait_ms == 0) { return false; }
    if (wait_ms < 0) {
        (void)pthread_cond_wait(condition, &p->lock); /* cannot fail */
        return true;
    }
    return pthread_cond_timedwait(condition, &p->lock, until) != ETIMEDOUT;
}

clipcu_result ccu_handoff_result(const clipcu_pipeline *p, const ccu_batch *batch, int32_t index) {
    const ccu_batch_item *item   = &batch->items[index];
    clipcu_result         result = { .id = item->id, .status = item->error.code };
    if (item->row < 0) {
        result.error = item->error.text;
        return result;
    }
    result.embedding = (const float *)(const void *)batch->embeddings +
                       (size_t)item->row * (size_t)p->info.embed_dim;
    if (p->options.bank != NULL) {
        result.matches = (const clipcu_match *)(const void *)batch->results +
                         (size_t)item->row * (size_t)p->options.top;
        result.matches_count = p->options.top;
    }
    return result;
}

/* ---- In and out ----------------------------------------------------------------------------- */

/* Why the pipeline takes nothing any more; OK: it does. Locked. */
static clipcu_status failure(const clipcu_pipeline *p, clipcu_error *error) {
    if (p->why.code == CLIPCU_OK) { return CLIPCU_OK; }
    return ccu_fail(error, p->why.code, "%s", p->why.text);
}

/* Puts it in the queue, which owns it then. */
static clipcu_status put(clipcu_pipeline *p, const ccu_pending *item, int32_t wait_ms,
                         clipcu_error *error) {
    const struct timespec until  = ccu_handoff_deadline(wait_ms < 0 ? 0 : wait_ms);
    bool                  in_time = true;
    ccu_handoff_lock(p);
    while (p->count == p->options.pending_max && !p->finished && !p->ended && in_time) {
        in_time = ccu_handoff_wait(p, &p->room, wait_ms, &until);
    }
    clipcu_status status = failure(p, error);
    if (status == CLIPCU_OK && (p->finished || p->ended)) {
        status = ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                          "clipcu_pipeline_submit: behind clipcu_pipeline_finish");
    }
    if (status == CLIPCU_OK && p->count == p->options.pending_max) {
        status = ccu_fail(error, CLIPCU_ERR_LIMIT,
                          "clipcu_pipeline_submit: no room for a picture within %d ms",
                          (int)wait_ms);
    }
    if (status == CLIPCU_OK) {
        p->queue[(p->head + p->count++) % p->options.pending_max] = *item;
        ccu_handoff_wake(&p->more);
    }
    ccu_handoff_unlock(p);
    return status;
}

static clipcu_status submit(clipcu_pipeline *p, ccu_pending *item, int32_t wait_ms,
                            clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    if (item->path == NULL && item->bytes == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM,
                          "clipcu_pipeline_submit: no memory for %zu bytes", item->count);
    }
    if (status == CLIPCU_OK) { status = put(p, item, wait_ms, error); }
    if (status != CLIPCU_OK) {
        ccu_free(item->path);
        ccu_free(item->bytes);
    }
    return status;
}

static uint8_t *copy(const uint8_t *bytes, size_t count) {
    uint8_t *own = ccu_alloc(count);
    if (own != NULL) { memcpy(own, bytes, count); }
    return own;
}

clipcu_status clipcu_pipeline_submit(clipcu_pipeline *pipeline, uint64_t id, const uint8_t *bytes,
                                     size_t bytes_count, int32_t wait_ms, clipcu_error *error) {
    ccu_error_clear(error);
    if (pipeline == NULL || bytes == NULL || bytes_count > FILE_BYTES_MAX) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_pipeline_submit: expected a pipeline and at most %zu bytes",
                        FILE_BYTES_MAX);
    }
    ccu_pending item = { .id = id, .bytes = copy(bytes, bytes_count), .count = bytes_count };
    return submit(pipeline, &item, wait_ms, error);
}

clipcu_status clipcu_pipeline_submit_file(clipcu_pipeline *pipeline, uint64_t id, const char *path,
                                          int32_t wait_ms, clipcu_error *error) {
    ccu_error_clear(error);
    if (pipeline == NULL || path == NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_pipeline_submit_file: expected a pipeline and a path");
    }
    ccu_pending item = { .id = id, .path = ccu_strdup(path), .count = strlen(path) };
    if (item.path != NULL) { item.count = 0; }
    return submit(pipeline, &item, wait_ms, error);
}

clipcu_status clipcu_pipeline_submit_pixels(clipcu_pipeline *pipeline, uint64_t id,
                                            const uint8_t *pixels, int32_t wait_ms,
                                            clipcu_error *error) {
    ccu_error_clear(error);
    if (pipeline == NULL || pixels == NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_pipeline_submit_pixels: expected a pipeline and pixels");
    }
    const size_t side  = (size_t)pipeline->info.image_size;
    const size_t count = side * side * 3;
    ccu_pending item = { .id = id, .bytes = copy(pixels, count), .count = count, .decoded = true };
    return submit(pipeline, &item, wait_ms, error);
}

clipcu_status clipcu_pipeline_finish(clipcu_pipeline *pipeline, clipcu_error *error) {
    ccu_error_clear(error);
    if (pipeline == NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "clipcu_pipeline_finish: pipeline is NULL");
    }
    ccu_handoff_lock(pipeline);
    pipeline->finished = true;
    ccu_handoff_wake(&pipeline->more);
    ccu_handoff_wake(&pipeline->room);
    while (pipeline->options.take != NULL && !pipeline->ended) {
        (void)pthread_cond_wait(&pipeline->results, &pipeline->lock); /* cannot fail */
    }
    const clipcu_status status = failure(pipeline, error);
    ccu_handoff_unlock(pipeline);
    return status;
}

/* Lets go of the result that was fetched last. Locked. */
static void release(clipcu_pipeline *p) {
    if (!p->held) { return; }
    p->held = false;
    if (++p->next == p->batch->count) {
        p->batch = NULL;
        ccu_handoff_wake(&p->results);
    }
}

clipcu_status clipcu_pipeline_next(clipcu_pipeline *pipeline, int32_t wait_ms,
                                   clipcu_result *result, clipcu_arrival *arrival,
                                   clipcu_error *error) {
    ccu_error_clear(error);
    if (pipeline == NULL || result == NULL || arrival == NULL || pipeline->options.take != NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_pipeline_next: expected a pipeline without options.take, and "
                        "places for result and arrival");
    }
    clipcu_pipeline      *p     = pipeline;
    const struct timespec until = ccu_handoff_deadline(wait_ms < 0 ? 0 : wait_ms);
    bool                  in_time = true;
    *result                       = (clipcu_result){ .id = 0 };
    ccu_handoff_lock(p);
    release(p);
    while (p->batch == NULL && !p->ended && in_time) {
        in_time = ccu_handoff_wait(p, &p->results, wait_ms, &until);
    }
    clipcu_status status = CLIPCU_OK;
    if (p->batch != NULL) {
        *result  = ccu_handoff_result(p, p->batch, p->next);
        p->held  = true;
        *arrival = CLIPCU_ARRIVAL_RESULT;
    } else {
        *arrival = p->ended ? CLIPCU_ARRIVAL_END : CLIPCU_ARRIVAL_LATER;
        status   = failure(p, error);
    }
    ccu_handoff_unlock(p);
    return status;
}
