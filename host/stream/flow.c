/* What the files of the pipeline share; see flow.h. */
#include "stream/flow.h"

#include <assert.h>
#include <time.h>

double ccu_flow_now(void) {
    struct timespec time = { .tv_sec = 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &time); /* always there on POSIX 2008 */
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

void ccu_flow_lock(ccu_flow *p) {
    (void)pthread_mutex_lock(&p->lock); /* a plain mutex: cannot fail */
}

void ccu_flow_unlock(ccu_flow *p) {
    (void)pthread_mutex_unlock(&p->lock); /* held by this thread */
}

void ccu_flow_wake(pthread_cond_t *condition) {
    (void)pthread_cond_broadcast(condition); /* cannot fail */
}

void ccu_flow_wake_all(ccu_flow *p) {
    ccu_flow_wake(&p->room);
    ccu_flow_wake(&p->read_room);
    ccu_flow_wake(&p->ready);
    ccu_flow_wake(&p->results);
    ccu_flow_wake(&p->to_read.more);
    ccu_flow_wake(&p->to_decode.more);
}

/* Waits, and adds the time to *seconds. Locked. */
void ccu_flow_wait(ccu_flow *p, pthread_cond_t *condition, double *seconds) {
    const double began = ccu_flow_now();
    (void)pthread_cond_wait(condition, &p->lock); /* locked by this thread: cannot fail */
    *seconds += ccu_flow_now() - began;
}

/* The first failure stays; nothing new is begun. Locked. */
void ccu_flow_fail(ccu_flow *p, clipcu_status status, const clipcu_error *why) {
    if (!p->failed) {
        p->failed   = true;
        p->why      = *why;
        p->why.code = status;
    }
    p->stopping = true;
    ccu_flow_wake_all(p);
}

void ccu_flow_fail_path(ccu_flow *p) {
    clipcu_error why = { .code = CLIPCU_OK };
    (void)ccu_fail(&why, CLIPCU_ERR_NOMEM, "no memory for the path of a picture");
    ccu_flow_fail(p, CLIPCU_ERR_NOMEM, &why);
}

/* Sums the depths of both queues over time. Locked, before they change. */
void ccu_flow_count_queues(ccu_flow *p) {
    const double at  = ccu_flow_now();
    const double gap = at - p->queued_at;
    int32_t      full = 0;
    for (int64_t n = p->encoding; n < p->filled; n++) {
        const ccu_batch *batch = &p->ring[n % p->batches];
        if (batch->done == batch->count) { full++; }
    }
    p->stages->queue_decode += gap * p->to_decode.count;
    p->stages->queue_encode += gap * full;
    p->queued_at = at;
}

void ccu_flow_push(ccu_place_queue *q, ccu_batch *batch, int32_t index) {
    assert(q->count < q->max);
    q->places[(q->head + q->count++) % q->max] = (ccu_place){ batch, index };
    (void)pthread_cond_signal(&q->more); /* cannot fail */
}

ccu_place ccu_flow_pop(ccu_place_queue *q) {
    const ccu_place first = q->places[q->head];
    assert(q->count > 0);
    q->head = (q->head + 1) % q->max;
    q->count--;
    return first;
}

/* Adds what a thread did to its stage. */
void ccu_flow_add_stage(ccu_flow *p, int32_t s, const ccu_stage *own) {
    ccu_flow_lock(p);
    ccu_stage *stage = &p->stages->stage[s];
    stage->threads++;
    stage->items += own->items;
    stage->bytes += own->bytes;
    stage->busy += own->busy;
    stage->waiting += own->waiting;
    stage->blocked += own->blocked;
    ccu_flow_unlock(p);
}
