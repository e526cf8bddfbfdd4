/* A bump allocator; see arena.h. */
#include "base/arena.h"

#include <assert.h>

void *ccu_arena_push(ccu_arena *arena, size_t bytes, size_t align) {
    assert(align != 0);
    assert((align & (align - 1)) == 0);
    const uintptr_t at   = (uintptr_t)arena->base + arena->bytes_used;
    const size_t    skip = (size_t)(-at & (align - 1));
    const size_t    left = arena->bytes_max - arena->bytes_used;
    if (skip > left || bytes > left - skip) { return NULL; }
    uint8_t *memory = arena->base + arena->bytes_used + skip;
    arena->bytes_used += skip + bytes;
    return memory;
}
