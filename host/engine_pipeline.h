/* What the files of clipcu_pipeline_* share; private to them: engine_pipeline.c runs the pipeline
 * of stream/, engine_pipeline_ends.c takes pictures in and hands results out. */
#ifndef CCU_ENGINE_PIPELINE_H
#define CCU_ENGINE_PIPELINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "stream/pipeline.h"

#define CCU_PENDING_NAME_BYTES 48

typedef struct ccu_pending {
    uint64_t id;
    char    *path;  /* owned; NULL: bytes */
    uint8_t *bytes; /* owned */
    size_t   count;
    bool     decoded;
} ccu_pending;

typedef struct ccu_worker {
    clipcu_pipeline *p;
    clipcu_engine   *engine;
} ccu_worker;

struct clipcu_pipeline {
    clipcu_pipeline_options options;
    clipcu_info             info; /* of the first engine */
    int32_t                 batch_max;
    size_t                  embeddings_bytes;
    ccu_worker             *workers; /* owned (engines_count) */
    void                  **contexts; /* owned (engines_count): of workers */
    int32_t                 engines_count;
    pthread_t               thread;
    pthread_mutex_t         lock;
    pthread_cond_t          more, room, results; /* for the source, who submits, who fetches and
                                                    the sink */
    ccu_pending              *queue; /* owned (options.pending_max), a ring */
    int32_t                 head, count;
    bool                    finished; /* no more pictures come */
    bool                    ended;    /* the pipeline has run to its end */
    bool                    joined;
    atomic_bool             closing;
    clipcu_error            why;      /* it failed */
    ccu_batch              *batch;    /* whose results are fetched; NULL: none */
    int32_t                 next;     /* item of it */
    bool                    held;     /* the caller still looks at it */
    char                    name[CCU_PENDING_NAME_BYTES]; /* of the item that the source hands on */
    char                   *path;     /* owned, as above */
};

void ccu_handoff_lock(clipcu_pipeline *p);
void ccu_handoff_unlock(clipcu_pipeline *p);
void ccu_handoff_wake(pthread_cond_t *condition);
/* When wait_ms will have passed. */
struct timespec ccu_handoff_deadline(int32_t wait_ms);
/* Waits to be woken; false: the time has passed. Locked. */
bool ccu_handoff_wait(clipcu_pipeline *p, pthread_cond_t *condition, int32_t wait_ms,
                      const struct timespec *until);
/* Of one item of a batch that was encoded. */
clipcu_result ccu_handoff_result(const clipcu_pipeline *p, const ccu_batch *batch, int32_t index);

#endif
