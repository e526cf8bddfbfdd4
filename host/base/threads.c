/* A parallel loop; see threads.h. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "base/threads.h"

#include <assert.h>
#include <sched.h>

int32_t ccu_threads_online(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) { return 1; }
    const int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count;
}

void ccu_parallel_for(int32_t threads, int32_t count, void (*body)(void *context, int32_t index),
                      void *context) {
    assert(threads > 0);
    assert(count >= 0);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
    for (int32_t index = 0; index < count; index++) { body(context, index); }
}
