/* All stages at once, and those behind pixels; see pipeline.h. */
#include "stream/pipeline.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "stream/flow.h"

/* ---- Encode --------------------------------------------------------------------------------- */

/* Moves the loaded pictures to the front and numbers them. */
static void pack(const ccu_flow *p, ccu_batch *batch) {
    const size_t bytes = p->o->image_bytes;
    for (int32_t i = 0; i < batch->count; i++) {
        ccu_batch_item *item = &batch->items[i];
        if (item->error.code != CLIPCU_OK) { continue; }
        if (batch->loaded < i) {
            memcpy(batch->pixels + (size_t)batch->loaded * bytes, batch->pixels + (size_t)i * bytes,
                   bytes);
        }
        item->row = batch->loaded++;
    }
}

/* The next batch that is complete; NULL: none comes. Locked. */
static ccu_batch *next_to_encode(ccu_flow *p, ccu_stage *own) {
    for (;;) {
        ccu_batch *batch = &p->ring[p->encoding % p->batches];
        if (p->stopping || (p->encoding == p->filled && p->source_ended)) { return NULL; }
        if (p->encoding < p->filled && batch->done == batch->count) {
            ccu_flow_count_queues(p);
            p->encoding++;
            return batch;
        }
        ccu_flow_wait(p, &p->ready, &own->waiting);
    }
}

static clipcu_status encode_batch(const ccu_flow *p, void *encoder, ccu_batch *batch,
                                  ccu_stage *own, clipcu_error *why) {
    const double began = ccu_flow_now();
    pack(p, batch);
    const clipcu_status status = p->o->encode(encoder, batch, why);
    own->busy += ccu_flow_now() - began;
    own->items += batch->loaded;
    return status;
}

static void encode(ccu_flow *p, void *encoder) {
    ccu_stage own = { .items = 0 };
    ccu_flow_lock(p);
    for (;;) {
        ccu_batch *batch = next_to_encode(p, &own);
        if (batch == NULL) { break; }
        ccu_flow_unlock(p);
        clipcu_error        why    = { .code = CLIPCU_OK };
        const clipcu_status status = encode_batch(p, encoder, batch, &own, &why);
        const bool stop = ccu_flow_stopped(p);
        ccu_flow_lock(p);
        if (status != CLIPCU_OK) {
            ccu_flow_fail(p, status, &why);
            break;
        }
        batch->encoded = true;
        if (stop) {
            p->stopping = true;
            ccu_flow_wake_all(p);
        }
        ccu_flow_wake(&p->results);
    }
    ccu_flow_wake(&p->results);
    ccu_flow_unlock(p);
    ccu_flow_add_stage(p, CCU_STAGE_ENCODE, &own);
}

/* ---- Sink ----------------------------------------------------------------------------------- */

static void empty(ccu_batch *batch) {
    for (int32_t i = 0; i < batch->count; i++) {
        ccu_flow_free_item(&batch->items[i]);
    }
    batch->count   = 0;
    batch->loaded  = 0;
    batch->done    = 0;
    batch->closed  = false;
    batch->encoded = false;
}

/* Whether the sink may still get a batch. Locked. */
static bool more_results(const ccu_flow *p) {
    if (p->taken < p->encoding) { /* one that is encoded, or being so */
        return !p->failed || p->ring[p->taken % p->batches].encoded;
    }
    return !p->stopping && !(p->source_ended && p->encoding == p->filled);
}

/* Takes a batch, counts and empties it. */
static clipcu_status take_batch(ccu_flow *p, ccu_batch *batch, ccu_stage *own, clipcu_error *why) {
    const double        began  = ccu_flow_now();
    const clipcu_status status = p->o->take(p->o->take_context, batch, why);
    own->busy += ccu_flow_now() - began;
    if (status != CLIPCU_OK) { return status; }
    own->items += batch->count;
    p->stages->images += batch->count; /* this thread's alone while the stages run */
    p->stages->errors += batch->count - batch->loaded;
    p->stages->batches++;
    empty(batch);
    return CLIPCU_OK;
}

static void *run_sink(void *context) {
    ccu_flow *p   = context;
    ccu_stage own = { .items = 0 };
    ccu_flow_lock(p);
    while (more_results(p)) {
        ccu_batch *batch = &p->ring[p->taken % p->batches];
        if (!batch->encoded) {
            ccu_flow_wait(p, &p->results, &own.waiting);
            continue;
        }
        ccu_flow_unlock(p);
        clipcu_error        why    = { .code = CLIPCU_OK };
        const clipcu_status status = take_batch(p, batch, &own, &why);
        ccu_flow_lock(p);
        if (status != CLIPCU_OK) {
            ccu_flow_fail(p, status, &why);
            break;
        }
        p->taken++;
        ccu_flow_wake(&p->room);
    }
    ccu_flow_unlock(p);
    ccu_flow_add_stage(p, CCU_STAGE_SINK, &own);
    return NULL;
}

/* ---- Without threads ------------------------------------------------------------------------ */

/* The next inputs, up to a batch of them; false: there are none. */
static bool fill_alone(ccu_flow *p, ccu_batch *batch, ccu_stage *own) {
    ccu_source_item from;
    ccu_batch_item  item;
    const double    began = ccu_flow_now();
    while (batch->count < p->o->batch_max && !p->failed && !ccu_flow_stopped(p) &&
           p->o->next(p->o->next_context, batch->count == 0 ? -1 : CCU_FLOW_WAIT_MS, &from) ==
               CCU_SOURCE_ITEM) {
        if (ccu_flow_take_item(&from, &item)) {
            ccu_flow_put(p, batch, &item);
            own->items++;
            own->bytes += item.bytes_count;
        } else {
            ccu_flow_fail_path(p);
        }
    }
    own->busy += ccu_flow_now() - began;
    return batch->count > 0 && !p->failed;
}

static void load_alone(ccu_flow *p, ccu_stage *read, ccu_stage *decoding) {
    while (p->to_read.count > 0) {
        const ccu_place at = ccu_flow_pop(&p->to_read);
        ccu_flow_read_item(&at.batch->items[at.index], read);
        if (at.batch->items[at.index].error.code == CLIPCU_OK) {
            ccu_flow_decode_item(p, at, decoding);
        }
    }
    while (p->to_decode.count > 0) { /* those that came with their bytes */
        ccu_flow_decode_item(p, ccu_flow_pop(&p->to_decode), decoding);
    }
}

/* One stage after the other on the caller's thread, where no others can be started. */
static void run_alone(ccu_flow *p) {
    ccu_batch   *batch             = &p->ring[0];
    ccu_stage    stage[CCU_STAGES] = { { .items = 0 } };
    clipcu_error why               = { .code = CLIPCU_OK };
    while (fill_alone(p, batch, &stage[CCU_STAGE_SOURCE])) {
        load_alone(p, &stage[CCU_STAGE_READ], &stage[CCU_STAGE_DECODE]);
        clipcu_status status = encode_batch(p, p->o->encoders[0], batch,
                                            &stage[CCU_STAGE_ENCODE], &why);
        if (status == CLIPCU_OK) { status = take_batch(p, batch, &stage[CCU_STAGE_SINK], &why); }
        if (status != CLIPCU_OK) { ccu_flow_fail(p, status, &why); }
    }
    for (int32_t s = 0; s < CCU_STAGES; s++) { ccu_flow_add_stage(p, s, &stage[s]); }
}

/* ---- All of it ------------------------------------------------------------------------------ */

typedef struct encoder_thread {
    ccu_flow *p;
    void     *encoder;
} encoder_thread;

static void *run_encoder(void *context) {
    encoder_thread *thread = context;
    encode(thread->p, thread->encoder);
    return NULL;
}

static clipcu_status open_ring(ccu_flow *p, clipcu_error *error) {
    const size_t places = (size_t)p->batches * (size_t)p->o->batch_max;
    p->ring             = ccu_alloc_zeroed((size_t)p->batches, sizeof *p->ring);
    p->to_read.places   = ccu_alloc_zeroed(places, sizeof(ccu_place));
    p->to_decode.places = ccu_alloc_zeroed(places, sizeof(ccu_place));
    p->to_read.max      = (int32_t)places;
    p->to_decode.max    = (int32_t)places;
    bool whole = p->ring != NULL && p->to_read.places != NULL && p->to_decode.places != NULL;
    for (int32_t i = 0; i < p->batches && whole; i++) {
        ccu_batch *batch = &p->ring[i];
        batch->items      = ccu_alloc_zeroed((size_t)p->o->batch_max, sizeof *batch->items);
        batch->pixels     = ccu_alloc((size_t)p->o->batch_max * p->o->image_bytes);
        batch->embeddings = ccu_alloc_zeroed(1, p->o->embeddings_bytes + 1);
        batch->results    = ccu_alloc_zeroed(1, p->o->results_bytes + 1);
        whole = batch->items != NULL && batch->pixels != NULL && batch->embeddings != NULL &&
                batch->results != NULL;
    }
    if (whole) { return CLIPCU_OK; }
    return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d batches of %d pictures",
                    (int)p->batches, (int)p->o->batch_max);
}

static void close_ring(ccu_flow *p) {
    for (int32_t i = 0; i < p->batches && p->ring != NULL; i++) {
        if (p->ring[i].items != NULL) { empty(&p->ring[i]); }
        ccu_free(p->ring[i].items);
        ccu_free(p->ring[i].pixels);
        ccu_free(p->ring[i].embeddings);
        ccu_free(p->ring[i].results);
    }
    ccu_free(p->ring);
    ccu_free(p->to_read.places);
    ccu_free(p->to_decode.places);
}

/* Starts up to `wanted` threads; *count grows. At least one has to start. */
static clipcu_status start(ccu_flow *p, void *(*run)(void *), int32_t wanted, pthread_t *threads,
                           int32_t *count, clipcu_error *error) {
    int32_t begun = 0;
    while (begun < wanted && pthread_create(&threads[*count], NULL, run, p) == 0) {
        begun++;
        (*count)++;
    }
    return begun > 0 ? CLIPCU_OK
                     : ccu_fail(error, CLIPCU_ERR_LIMIT, "no thread can be started for a pipeline");
}

/* Starts every stage but the first encoder; *count threads, in any case to be joined. */
static clipcu_status start_all(ccu_flow *p, int32_t readers, int32_t decoders, pthread_t *threads,
                               int32_t *count, encoder_thread *others, clipcu_error *error) {
    clipcu_status status = start(p, run_sink, 1, threads, count, error);
    if (status == CLIPCU_OK) {
        status = start(p, ccu_flow_decoder, decoders, threads, count, error);
    }
    if (status == CLIPCU_OK) { status = start(p, ccu_flow_reader, readers, threads, count, error); }
    if (status == CLIPCU_OK) { status = start(p, ccu_flow_source, 1, threads, count, error); }
    for (int32_t i = 1; i < p->o->encoders_count && status == CLIPCU_OK; i++) {
        others[i] = (encoder_thread){ p, p->o->encoders[i] };
        if (pthread_create(&threads[*count], NULL, run_encoder, &others[i]) != 0) { break; }
        (*count)++; /* fewer do it, where threads cannot be started */
    }
    return status;
}

static void join(const pthread_t *threads, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        (void)pthread_join(threads[i], NULL); /* threads of our own, joined once: cannot fail */
    }
}

static void run_all(ccu_flow *p, int32_t readers, int32_t decoders, pthread_t *threads,
                    encoder_thread *others) {
    int32_t             count  = 0;
    const clipcu_status status = start_all(p, readers, decoders, threads, &count, others, NULL);
    if (status == CLIPCU_OK) {
        encode(p, p->o->encoders[0]);
        join(threads, count);
        return;
    }
    ccu_flow_lock(p); /* the source was the last to start: no input is lost */
    p->stopping = true;
    ccu_flow_wake_all(p);
    ccu_flow_unlock(p);
    join(threads, count);
    p->stopping = false;
    *p->stages  = (ccu_stages){ .seconds = 0.0 };
    run_alone(p);
}

clipcu_status ccu_pipeline_run(const ccu_pipeline_options *options, ccu_stages *stages,
                               clipcu_error *error) {
    const int32_t readers  = options->readers > 0 ? options->readers : 2;
    const int32_t decoders = options->decoders > 0 ? options->decoders : ccu_threads_online();
    const int32_t encoders = options->encoders_count;
    ccu_flow      p        = { .o = options, .stages = stages };
    assert(options->batch_max > 0 && options->image_bytes > 0 && encoders > 0);
    p.batches               = options->batches >= 2 ? options->batches : 3 + encoders;
    *stages                 = (ccu_stages){ .seconds = 0.0 };
    pthread_cond_t *const conditions[] = { &p.room,    &p.read_room,    &p.ready,
                                           &p.results, &p.to_read.more, &p.to_decode.more };
    const size_t    threads_max = 2 + (size_t)readers + (size_t)decoders + (size_t)encoders;
    pthread_t      *threads     = ccu_alloc_zeroed(threads_max, sizeof *threads);
    encoder_thread *others      = ccu_alloc_zeroed((size_t)encoders, sizeof *others);
    clipcu_status   status      = open_ring(&p, error);
    if (status == CLIPCU_OK && (threads == NULL || others == NULL)) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %zu threads", threads_max);
    }
    if (status == CLIPCU_OK) {
        (void)pthread_mutex_init(&p.lock, NULL); /* with default attributes: cannot fail */
        for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
            (void)pthread_cond_init(conditions[i], NULL); /* as above */
        }
        p.started   = ccu_flow_now();
        p.queued_at = p.started;
        run_all(&p, readers, decoders, threads, others);
        stages->seconds = ccu_flow_now() - p.started;
        if (stages->seconds > 0.0) {
            stages->queue_decode /= stages->seconds;
            stages->queue_encode /= stages->seconds;
        }
        for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
            (void)pthread_cond_destroy(conditions[i]); /* nobody waits on it */
        }
        (void)pthread_mutex_destroy(&p.lock); /* nobody holds it */
        if (p.failed) { status = ccu_fail(error, p.why.code, "%s", p.why.text); }
    }
    ccu_free(threads);
    ccu_free(others);
    close_ring(&p);
    return status;
}
