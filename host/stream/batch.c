/* One batch of pictures; see batch.h. */
#include "stream/batch.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"

#define WAIT_MS 50 /* for further inputs: not felt by a person, long for a program writing paths */

clipcu_status ccu_batch_open(const ccu_batch_options *options, ccu_batch *batch,
                             clipcu_error *error) {
    const size_t count_max = (size_t)options->count_max;
    assert(options->count_max > 0);
    assert(options->image_bytes > 0);
    *batch        = (ccu_batch){ .options = *options };
    batch->pixels = ccu_alloc_zeroed(count_max, options->image_bytes);
    batch->items  = ccu_alloc_zeroed(count_max, sizeof *batch->items);
    if (batch->pixels == NULL || batch->items == NULL) {
        ccu_batch_close(batch);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a batch of %d pictures",
                        (int)options->count_max);
    }
    if (batch->options.threads < 1) { batch->options.threads = ccu_threads_online(); }
    return CLIPCU_OK;
}

static void empty(ccu_batch *batch) {
    for (int32_t i = 0; i < batch->count; i++) {
        ccu_free(batch->items[i].path);
        batch->items[i].path = NULL;
    }
    batch->count  = 0;
    batch->loaded = 0;
}

void ccu_batch_close(ccu_batch *batch) {
    if (batch->items != NULL) { empty(batch); }
    ccu_free(batch->items);
    ccu_free(batch->pixels);
    *batch = (ccu_batch){ .count = 0 };
}

static void load_item(void *context, int32_t index) {
    ccu_batch      *batch = context;
    ccu_batch_item *item  = &batch->items[index];
    if (item->error.code != CLIPCU_OK) { return; }
    uint8_t            *pixels = batch->pixels + (size_t)index * batch->options.image_bytes;
    const clipcu_status status = batch->options.load(batch->options.context, item->path, pixels,
                                                     &item->error);
    if (status != CLIPCU_OK && item->error.code == CLIPCU_OK) { item->error.code = status; }
}

/* Moves the loaded pictures to the front and numbers them. */
static void pack(ccu_batch *batch) {
    const size_t bytes = batch->options.image_bytes;
    for (int32_t i = 0; i < batch->count; i++) {
        ccu_batch_item *item = &batch->items[i];
        item->row            = -1;
        if (item->error.code != CLIPCU_OK) { continue; }
        if (batch->loaded < i) {
            memcpy(batch->pixels + (size_t)batch->loaded * bytes, batch->pixels + (size_t)i * bytes,
                   bytes);
        }
        item->row = batch->loaded++;
    }
}

clipcu_status ccu_batch_fill(ccu_batch *batch, ccu_source *source, clipcu_error *error) {
    ccu_source_item next;
    empty(batch);
    while (batch->count < batch->options.count_max) {
        const int wait_ms = batch->count == 0 ? -1 : WAIT_MS;
        if (ccu_source_next(source, wait_ms, &next) != CCU_SOURCE_ITEM) { break; }
        ccu_batch_item *item = &batch->items[batch->count];
        item->error          = next.error;
        item->class_index    = next.class_index;
        item->path           = ccu_strdup(next.path);
        if (item->path == NULL) {
            return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for the path of a picture");
        }
        batch->count++;
    }
    ccu_parallel_for(batch->options.threads, batch->count, load_item, batch);
    pack(batch);
    return CLIPCU_OK;
}
