/* The heap. The only place in host/ where malloc and free are called, so that limits and failing
 * allocations can be tested in one spot. */
#ifndef CCU_BASE_MEMORY_H
#define CCU_BASE_MEMORY_H

#include <stddef.h>

/* bytes of uninitialised memory, 64-byte aligned (a cache line, a full vector register).
 * 0 bytes gives a valid pointer. NULL when memory is exhausted. Freed with ccu_free.
 * From 4 MiB on the system is asked for large pages: weights that are read once per call cost a
 * tenth less to read. */
void *ccu_alloc(size_t bytes);

/* count * size zeroed bytes; NULL also when the product overflows. */
void *ccu_alloc_zeroed(size_t count, size_t size);

/* Grows or shrinks, keeping min(old_bytes, bytes) bytes. On failure NULL, and `old` stays valid.
 * `old` may be NULL with old_bytes 0. */
void *ccu_realloc(void *old, size_t old_bytes, size_t bytes);

/* A copy of text, NUL-terminated. */
char *ccu_strdup(const char *text);

/* NULL is a no-op. */
void ccu_free(void *memory);

#endif
