/* Where everything stands in a slab, by arithmetic alone.
 *
 * A lay-out function takes its pieces from a plan, one ccu_plan_take after another. Run with a NULL
 * base it only counts, so the memory a model needs can be told before any of it is allocated; run
 * again with the slab's address, the same code hands out the pointers. */
#ifndef CCU_MODEL_PLAN_H
#define CCU_MODEL_PLAN_H

#include <stddef.h>
#include <stdint.h>

#define CCU_PLAN_ALIGN ((size_t)64)

typedef struct ccu_plan {
    uint8_t *base;  /* slab in backend memory, 64-byte aligned; NULL while counting */
    size_t   bytes; /* taken so far; SIZE_MAX once a sum has overflowed */
} ccu_plan;

/* count * size bytes, 64-byte aligned. NULL while counting. */
void *ccu_plan_take(ccu_plan *plan, size_t count, size_t size);

#endif
