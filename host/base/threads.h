/* A parallel loop for work that is not an op: decoding pictures, building tables. */
#ifndef CCU_BASE_THREADS_H
#define CCU_BASE_THREADS_H

#include <stdint.h>

/* Cores this process may run on, at least 1. */
int32_t ccu_threads_online(void);

/* Calls body(context, index) for every index 0 .. count-1 from up to `threads` threads, each index
 * once, in no fixed order. Returns when all are done. */
void ccu_parallel_for(int32_t threads, int32_t count, void (*body)(void *context, int32_t index),
                      void *context);

#endif
