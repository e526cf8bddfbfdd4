/* The heap of a test program, which can be told to run dry: failing_heap.c takes the place of
 * malloc and its family for the whole program, the libraries below included. */
#ifndef CCU_HOSTILE_FAILING_HEAP_H
#define CCU_HOSTILE_FAILING_HEAP_H

#include <stdbool.h>
#include <stdint.h>

typedef enum heap_who {
    HEAP_OURS, /* aligned_alloc: what host/base/memory.c calls, and nobody else */
    HEAP_ALL   /* everything, but for libraries that end the process when memory runs out */
} heap_who;

/* From now on allocation number n (from 0) of `who` fails; with `lasting`, every later one too. */
void heap_fail_at(heap_who who, int64_t n, bool lasting);

/* Nothing fails any more. True if something had failed. */
bool heap_stop(void);

/* Whether everything that was refused was asked for by libc itself (qsort, stdio, opendir): it can
 * do without some of it. */
bool heap_refused_only_libc(void);

/* Allocations of everybody that were not freed yet. */
int64_t heap_live(void);

#endif
