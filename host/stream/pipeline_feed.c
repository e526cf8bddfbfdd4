/* The stages from the source to pixels; see pipeline.h. */
#include <string.h>

#include "base/memory.h"
#include "stream/flow.h"

#define READ_AHEAD_BYTES ((size_t)256 << 20)
/* A picture file is never much larger than its pixels; this bounds a hostile one. */
#define FILE_BYTES_MAX ((size_t)1 << 30)

/* ---- Source --------------------------------------------------------------------------------- */

bool ccu_flow_stopped(const ccu_flow *p) {
    return p->o->stopped != NULL && p->o->stopped(p->o->stopped_context);
}

/* The batch to fill next, once the ring has one to spare; NULL: stop. Locked. */
static ccu_batch *next_to_fill(ccu_flow *p, ccu_stage *own) {
    while (!p->stopping && p->filled - p->taken >= p->batches) {
        ccu_flow_wait(p, &p->room, &own->blocked);
    }
    return p->stopping ? NULL : &p->ring[p->filled % p->batches];
}

bool ccu_flow_take_item(const ccu_source_item *from, ccu_batch_item *item) {
    *item = (ccu_batch_item){ .path        = ccu_strdup(from->path),
                              .sample      = from->sample[0] == '\0' ? NULL
                                                                     : ccu_strdup(from->sample),
                              .class_index = from->class_index,
                              .error       = from->error,
                              .row         = -1,
                              .bytes       = from->bytes,
                              .bytes_count = from->bytes_count,
                              .decoded     = from->decoded,
                              .id          = from->id };
    if (item->path != NULL && (item->sample != NULL || from->sample[0] == '\0')) { return true; }
    ccu_flow_free_item(item);
    return false;
}

void ccu_flow_free_item(ccu_batch_item *item) {
    ccu_free(item->path);
    ccu_free(item->sample);
    ccu_free(item->bytes);
    *item = (ccu_batch_item){ .path = NULL };
}

void ccu_flow_put(ccu_flow *p, ccu_batch *batch, const ccu_batch_item *item) {
    const int32_t index = batch->count++;
    batch->items[index] = *item;
    if (item->error.code != CLIPCU_OK) {
        batch->done++;
        return;
    }
    p->undecoded++;
    ccu_flow_count_queues(p);
    p->read_bytes += item->bytes_count;
    ccu_flow_push(item->bytes != NULL ? &p->to_decode : &p->to_read, batch, index);
}

static void close_batch(ccu_flow *p, ccu_batch *batch) {
    ccu_flow_count_queues(p);
    batch->closed = true;
    p->filled++;
    ccu_flow_wake(&p->ready);
}

/* The next input as an item; *ok false: no memory for it. */
static ccu_source_result next_item(ccu_flow *p, int wait_ms, ccu_batch_item *item, bool *ok,
                                   ccu_stage *own) {
    ccu_source_item   from;
    const double      began  = ccu_flow_now();
    ccu_source_result result = CCU_SOURCE_END;
    if (!ccu_flow_stopped(p)) { result = p->o->next(p->o->next_context, wait_ms, &from); }
    *ok = result != CCU_SOURCE_ITEM || ccu_flow_take_item(&from, item);
    own->busy += ccu_flow_now() - began;
    return result;
}

/* Room for an item, in memory and in a batch. Locked. */
static void wait_for_room(ccu_flow *p, const ccu_batch_item *item, ccu_batch **batch,
                          ccu_stage *own) {
    while (item->bytes != NULL && p->read_bytes > READ_AHEAD_BYTES && !p->stopping) {
        ccu_flow_wait(p, &p->read_room, &own->blocked);
    }
    if (*batch == NULL) { *batch = next_to_fill(p, own); }
}

void *ccu_flow_source(void *context) {
    ccu_flow      *p     = context;
    ccu_stage      own   = { .items = 0 };
    ccu_batch     *batch = NULL;
    ccu_batch_item item  = { .path = NULL };
    for (;;) {
        bool      ok      = true;
        const int wait_ms = batch == NULL ? -1 : CCU_FLOW_WAIT_MS;
        const ccu_source_result result = next_item(p, wait_ms, &item, &ok, &own);
        ccu_flow_lock(p);
        if (!ok) { ccu_flow_fail_path(p); }
        if (ok && result == CCU_SOURCE_ITEM) { wait_for_room(p, &item, &batch, &own); }
        if (p->stopping || result == CCU_SOURCE_END) { break; } /* locked */
        if (result == CCU_SOURCE_ITEM) {
            own.items++;
            own.bytes += item.bytes_count;
            ccu_flow_put(p, batch, &item);
            item = (ccu_batch_item){ .path = NULL };
        }
        if (result == CCU_SOURCE_LATER || batch->count == p->o->batch_max) {
            close_batch(p, batch);
            batch = NULL;
        }
        ccu_flow_unlock(p);
    }
    if (batch != NULL && batch->count > 0) { close_batch(p, batch); }
    p->source_ended = true;
    ccu_flow_wake_all(p);
    ccu_flow_unlock(p);
    ccu_flow_free_item(&item);
    ccu_flow_add_stage(p, CCU_STAGE_SOURCE, &own);
    return NULL;
}

/* ---- Read and decode ------------------------------------------------------------------------ */

/* An item has its pixels or its error. Locked. */
static void finish_item(ccu_flow *p, ccu_batch *batch) {
    ccu_flow_count_queues(p);
    batch->done++;
    p->undecoded--;
    if (batch->closed && batch->done == batch->count) { ccu_flow_wake(&p->ready); }
    if (p->undecoded == 0 && p->source_ended) { ccu_flow_wake(&p->to_decode.more); }
}

void ccu_flow_read_item(ccu_batch_item *item, ccu_stage *own) {
    const double        began  = ccu_flow_now();
    const clipcu_status status = ccu_file_read(item->path, FILE_BYTES_MAX, &item->bytes,
                                               &item->bytes_count, &item->error);
    own->busy += ccu_flow_now() - began;
    own->items++;
    own->bytes += status == CLIPCU_OK ? item->bytes_count : 0;
    item->error.code = status;
}

void ccu_flow_decode_item(const ccu_flow *p, ccu_place at, ccu_stage *own) {
    ccu_batch_item     *item   = &at.batch->items[at.index];
    const double        began  = ccu_flow_now();
    uint8_t            *pixels = at.batch->pixels + (size_t)at.index * p->o->image_bytes;
    clipcu_status       status = CLIPCU_OK;
    if (item->decoded) {
        memcpy(pixels, item->bytes, p->o->image_bytes);
    } else {
        status = p->o->decode(p->o->decode_context, item->path, item->bytes, item->bytes_count,
                              pixels, &item->error);
    }
    item->error.code = status;
    ccu_free(item->bytes);
    item->bytes = NULL;
    own->busy += ccu_flow_now() - began;
    own->items++;
    own->bytes += status == CLIPCU_OK ? p->o->image_bytes : 0;
}

void *ccu_flow_reader(void *context) {
    ccu_flow *p   = context;
    ccu_stage own = { .items = 0 };
    ccu_flow_lock(p);
    for (;;) {
        while (p->to_read.count == 0 && !p->source_ended && !p->stopping) {
            ccu_flow_wait(p, &p->to_read.more, &own.waiting);
        }
        if (p->to_read.count == 0 || p->stopping) { break; }
        const ccu_place     at   = ccu_flow_pop(&p->to_read);
        ccu_batch_item *item = &at.batch->items[at.index];
        ccu_flow_unlock(p);
        ccu_flow_read_item(item, &own);
        ccu_flow_lock(p);
        if (item->error.code != CLIPCU_OK) {
            finish_item(p, at.batch);
            continue;
        }
        while (p->read_bytes > READ_AHEAD_BYTES && !p->stopping) {
            ccu_flow_wait(p, &p->read_room, &own.blocked);
        }
        ccu_flow_count_queues(p);
        p->read_bytes += item->bytes_count;
        ccu_flow_push(&p->to_decode, at.batch, at.index);
    }
    ccu_flow_unlock(p);
    ccu_flow_add_stage(p, CCU_STAGE_READ, &own);
    return NULL;
}

void *ccu_flow_decoder(void *context) {
    ccu_flow *p   = context;
    ccu_stage own = { .items = 0 };
    ccu_flow_lock(p);
    for (;;) {
        while (p->to_decode.count == 0 && !(p->source_ended && p->undecoded == 0) &&
               !p->stopping) {
            ccu_flow_wait(p, &p->to_decode.more, &own.waiting);
        }
        if (p->to_decode.count == 0 || p->stopping) { break; }
        ccu_flow_count_queues(p);
        const ccu_place at = ccu_flow_pop(&p->to_decode);
        ccu_flow_unlock(p);
        ccu_flow_decode_item(p, at, &own);
        ccu_flow_lock(p);
        p->read_bytes -= at.batch->items[at.index].bytes_count;
        ccu_flow_wake(&p->read_room);
        finish_item(p, at.batch);
    }
    ccu_flow_unlock(p);
    ccu_flow_add_stage(p, CCU_STAGE_DECODE, &own);
    return NULL;
}
