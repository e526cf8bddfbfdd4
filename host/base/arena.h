/* A bump allocator over one block: pushes are pointer arithmetic, everything is released at
 * once. Slabs of a backend are carved the same way (see model/plan.h). */
#ifndef CCU_BASE_ARENA_H
#define CCU_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct ccu_arena {
    uint8_t *base;       /* borrowed; NULL: sizes are counted, nothing is handed out */
    size_t   bytes_max;
    size_t   bytes_used;
} ccu_arena;

/* bytes aligned to align (a power of two), or NULL if it does not fit. */
void *ccu_arena_push(ccu_arena *arena, size_t bytes, size_t align);

#endif
