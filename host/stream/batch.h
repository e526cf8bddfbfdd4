/* One batch of pictures: taken from a source, loaded by several threads, packed for the engine. */
#ifndef CCU_STREAM_BATCH_H
#define CCU_STREAM_BATCH_H

#include "stream/source.h"

/* Loads one picture into pixels; called by several threads at once. */
typedef clipcu_status (*ccu_load_fn)(const void *context, const char *path, uint8_t *pixels,
                                     clipcu_error *error);

typedef struct ccu_batch_options {
    int32_t     count_max;
    int32_t     threads;     /* 0: one per online core */
    size_t      image_bytes; /* of one loaded picture */
    ccu_load_fn load;
    const void *context;
} ccu_batch_options;

typedef struct ccu_batch_item {
    char        *path;
    int32_t      class_index; /* of a labelled data set; -1: none */
    clipcu_error error;       /* OK: loaded */
    int32_t      row; /* in pixels and whatever is computed from them; -1: not loaded */
} ccu_batch_item;

typedef struct ccu_batch {
    ccu_batch_options options;
    ccu_batch_item   *items;  /* (count_max), in input order */
    uint8_t          *pixels; /* (count_max) pictures, the loaded ones packed to the front */
    int32_t           count;  /* items of this batch */
    int32_t           loaded; /* rows of pixels */
} ccu_batch;

clipcu_status ccu_batch_open(const ccu_batch_options *options, ccu_batch *batch,
                             clipcu_error *error);
void          ccu_batch_close(ccu_batch *batch);

/* Replaces the batch by the next inputs of the source; count 0 is the end. Waits for the first
 * input, and only a moment for further ones, so that a slow list on standard input is answered
 * as it comes. A picture that cannot be loaded is an item with its error. NOMEM. */
clipcu_status ccu_batch_fill(ccu_batch *batch, ccu_source *source, clipcu_error *error);

#endif
