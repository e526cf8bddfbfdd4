/* Pictures on their way through the model, all stages at once:
 *
 *   source -> read -> decode -> encode -> sink
 *
 * A ring of batches goes round. The source hands its inputs out to the places of the batch being
 * filled; readers fetch files, decoders write pixels to those places; a full batch is encoded and
 * its results are taken, batch after batch in input order. Every stage waits when the next has no
 * room, so memory is that of the ring plus at most READ_AHEAD_BYTES of files read and not yet
 * decoded; those of an archive come from the source with their bytes. Every input is one item, with
 * its pixels or its error: nothing is lost. Where no threads can be started, one stage follows the
 * other on the caller's. */
#ifndef CCU_STREAM_PIPELINE_H
#define CCU_STREAM_PIPELINE_H

#include "stream/source.h"
#include "stream/stages.h"

typedef struct ccu_batch_item {
    char        *path;        /* owned by the pipeline, as sample and bytes are */
    char        *sample;      /* what its archive says of it, see source.h; NULL: nothing */
    int32_t      class_index; /* of a labelled data set; -1: none */
    clipcu_error error;       /* OK: loaded */
    int32_t      row;         /* of pixels and of all that is computed from them; -1: not loaded */
    uint8_t     *bytes;       /* of the file, until it is decoded */
    size_t       bytes_count;
    bool         decoded;     /* bytes are the pixels, image_bytes of them */
    uint64_t     id;          /* see source.h */
} ccu_batch_item;

typedef struct ccu_batch {
    ccu_batch_item *items;   /* (count_max), in input order */
    uint8_t        *pixels;  /* (count_max) pictures, the loaded ones packed to the front */
    uint8_t        *embeddings; /* (embeddings_bytes), and */
    uint8_t        *results;    /* (results_bytes): for the encoder to fill and the sink to read;
                                   aligned for any number */
    int32_t         count;   /* items of this batch */
    int32_t         loaded;  /* rows of pixels */
    int32_t         done;    /* items that are decoded or have failed */
    bool            closed;  /* no further items come */
    bool            encoded;
} ccu_batch;

/* The next input, as ccu_source_next. Always from the same thread. */
typedef ccu_source_result (*ccu_next_fn)(void *context, int wait_ms, ccu_source_item *item);
/* Picture file in memory -> pixels; called by several threads at once. */
typedef clipcu_status (*ccu_decode_fn)(const void *context, const char *name, const uint8_t *bytes,
                                       size_t bytes_count, uint8_t *pixels, clipcu_error *error);
/* One batch of at least one item, of which `loaded` have pixels (maybe none). encode: always from
 * the same thread for one encoder. take: one batch after the other, in input order. */
typedef clipcu_status (*ccu_batch_fn)(void *context, ccu_batch *batch, clipcu_error *error);

typedef struct ccu_pipeline_options {
    int32_t       batch_max;   /* items of a batch */
    int32_t       batches;     /* in the ring, 2 ..; 0: 4, and one more for each further encoder */
    int32_t       readers;     /* threads; 0: 2 */
    int32_t       decoders;    /* threads; 0: one per online core */
    size_t        image_bytes; /* of one decoded picture */
    size_t        embeddings_bytes, results_bytes; /* of a batch */
    ccu_next_fn   next;
    void         *next_context;
    ccu_decode_fn decode;
    const void   *decode_context;
    ccu_batch_fn  encode;
    void *const  *encoders; /* (encoders_count) contexts, each with a thread; the first encoder's
                               thread is the caller's */
    int32_t       encoders_count;
    ccu_batch_fn  take;
    void         *take_context;
    bool        (*stopped)(void *context); /* asked before every input and batch; true: no further
                                              one is begun. Any thread. NULL: never */
    void         *stopped_context;
} ccu_pipeline_options;

/* Runs until the inputs end, or is stopped, or something fails that is not an input's own, and
 * tells in *stages what each stage did. What was encoded before is taken in any case but for a
 * failure of take itself. NOMEM, or what the callbacks return. */
clipcu_status ccu_pipeline_run(const ccu_pipeline_options *options, ccu_stages *stages,
                               clipcu_error *error);

#endif
