/* A parallel loop for work that is not an op: decoding pictures, searching. Ops have OpenMP's. */
#ifndef CCU_BASE_THREADS_H
#define CCU_BASE_THREADS_H

#include <stdint.h>

#define CCU_THREADS_MAX 1024

/* Cores this process may run on, at least 1. */
int32_t ccu_threads_online(void);

/* How many of `wanted` threads (1 .. CCU_THREADS_MAX), the caller's among them, there can be: fewer
 * where the system has set a limit. Takes the time to start and end them, 20 us each. Asked before
 * OpenMP is given that many: it would end the process. */
int32_t ccu_threads_startable(int32_t wanted);

/* Calls body(context, index) for every index 0 .. count-1 from up to `threads` threads
 * (1 .. CCU_THREADS_MAX), the caller's among them, each index once, in no fixed order. Returns when
 * all are done. Where threads cannot be started, fewer do it. */
void ccu_parallel_for(int32_t threads, int32_t count, void (*body)(void *context, int32_t index),
                      void *context);

#endif
