/* A parallel loop; see threads.h. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/threads.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>

int32_t ccu_threads_online(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) { return 1; }
    const int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count;
}

/* Starts at most CCU_THREADS_MAX - 1 threads; returns how many it could. */
static int32_t start(int32_t wanted, void *(*run)(void *), void *context,
                     pthread_t ids[CCU_THREADS_MAX]) {
    int32_t count = 0;
    assert(wanted < CCU_THREADS_MAX);
    while (count < wanted && pthread_create(&ids[count], NULL, run, context) == 0) { count++; }
    return count;
}

static void wait_for(const pthread_t *ids, int32_t count) {
    for (int32_t i = 0; i < count; i++) {
        (void)pthread_join(ids[i], NULL); /* threads of our own, joined once: cannot fail */
    }
}

/* ---- How many -------------------------------------------------------------------------------- */

static void *wait_at_gate(void *context) {
    pthread_mutex_t *gate = context;
    (void)pthread_mutex_lock(gate); /* a plain mutex: cannot fail */
    (void)pthread_mutex_unlock(gate);
    return NULL;
}

int32_t ccu_threads_startable(int32_t wanted) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t       ids[CCU_THREADS_MAX];
    assert(wanted >= 1 && wanted <= CCU_THREADS_MAX);
    (void)pthread_mutex_lock(&gate); /* all of them are there at once */
    const int32_t others = start(wanted - 1, wait_at_gate, &gate, ids);
    (void)pthread_mutex_unlock(&gate);
    wait_for(ids, others);
    (void)pthread_mutex_destroy(&gate); /* nobody holds it */
    return 1 + others;
}

/* ---- The loop -------------------------------------------------------------------------------- */

typedef struct loop {
    void (*body)(void *context, int32_t index);
    void      *context;
    int32_t    count;
    atomic_int next;
} loop;

static void *run_loop(void *context) {
    loop *l = context;
    for (;;) {
        const int32_t index = atomic_fetch_add(&l->next, 1);
        if (index >= l->count) { return NULL; }
        l->body(l->context, index);
    }
}

/* Not OpenMP's: it ends the process when a thread cannot be started. */
void ccu_parallel_for(int32_t threads, int32_t count, void (*body)(void *context, int32_t index),
                      void *context) {
    loop      l = { .body = body, .context = context, .count = count };
    pthread_t ids[CCU_THREADS_MAX];
    assert(threads >= 1 && threads <= CCU_THREADS_MAX);
    assert(count >= 0 && count <= INT32_MAX - CCU_THREADS_MAX);
    atomic_init(&l.next, 0);
    const int32_t most   = threads < count ? threads : count;
    const int32_t others = most > 1 ? start(most - 1, run_loop, &l, ids) : 0;
    (void)run_loop(&l); /* returns NULL */
    wait_for(ids, others);
}
