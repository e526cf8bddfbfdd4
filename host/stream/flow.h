/* What the files of the pipeline share; private to them.
 *
 * One mutex guards what goes from stage to stage. It is held for a few instructions at a time: a
 * picture costs tens of microseconds at least, a pass through here well under one. */
#ifndef CCU_STREAM_FLOW_H
#define CCU_STREAM_FLOW_H

#include <pthread.h>

#include "stream/pipeline.h"

#define CCU_FLOW_WAIT_MS 50 /* for further inputs: not felt by a person, long for a program writing
                               paths */

typedef struct ccu_place {
    ccu_batch *batch;
    int32_t    index;
} ccu_place;

/* Places in the order of the inputs. The ring of batches bounds them. */
typedef struct ccu_place_queue {
    ccu_place     *places; /* owned (max) */
    int32_t        head, count, max;
    pthread_cond_t more;
} ccu_place_queue;

typedef struct ccu_flow {
    const ccu_pipeline_options *o;
    ccu_batch                  *ring; /* owned (batches) */
    int64_t                     filled, encoding, taken; /* batches so far, in order */
    int32_t                     batches;
    ccu_place_queue             to_read, to_decode;
    size_t                      read_bytes;   /* of files read and not yet decoded */
    int32_t                     undecoded;    /* items that are with readers or decoders */
    bool                        source_ended; /* no further batch comes */
    bool                        stopping;     /* begin nothing new */
    bool                        failed;
    clipcu_error                why;
    ccu_stages                 *stages;
    double                      started, queued_at;
    pthread_mutex_t             lock;
    pthread_cond_t              room, read_room, ready, results; /* for source, readers, encoders,
                                                                    sink */
} ccu_flow;

/* Seconds of a clock that only goes forward. */
double ccu_flow_now(void);

void ccu_flow_lock(ccu_flow *p);
void ccu_flow_unlock(ccu_flow *p);
void ccu_flow_wake(pthread_cond_t *condition);
void ccu_flow_wake_all(ccu_flow *p);
/* Waits, and adds the time to *seconds. Locked. */
void ccu_flow_wait(ccu_flow *p, pthread_cond_t *condition, double *seconds);
/* The first failure stays; nothing new is begun. Locked. */
void ccu_flow_fail(ccu_flow *p, clipcu_status status, const clipcu_error *why);
/* That for want of memory for a path. */
void ccu_flow_fail_path(ccu_flow *p);
/* Sums the depths of both queues over time. Locked, before they change. */
void ccu_flow_count_queues(ccu_flow *p);
/* Locked. */
void ccu_flow_push(ccu_place_queue *q, ccu_batch *batch, int32_t index);
ccu_place ccu_flow_pop(ccu_place_queue *q);
/* Adds what a thread did to its stage. Not locked. */
void ccu_flow_add_stage(ccu_flow *p, int32_t s, const ccu_stage *own);

/* pipeline_feed.c: the stages up to pixels. */
bool ccu_flow_stopped(const ccu_flow *p);
/* Makes an item of an input, with its bytes. False: no memory; then they are freed. */
bool ccu_flow_take_item(const ccu_source_item *from, ccu_batch_item *item);
void ccu_flow_free_item(ccu_batch_item *item);
/* Puts it in the next place of the batch. Locked. */
void ccu_flow_put(ccu_flow *p, ccu_batch *batch, const ccu_batch_item *item);
void ccu_flow_read_item(ccu_batch_item *item, ccu_stage *own);
void ccu_flow_decode_item(const ccu_flow *p, ccu_place at, ccu_stage *own);
/* Threads; context is the ccu_flow. */
void *ccu_flow_source(void *context);
void *ccu_flow_reader(void *context);
void *ccu_flow_decoder(void *context);

#endif
