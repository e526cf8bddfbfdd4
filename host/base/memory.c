/* The heap; see memory.h. */
#define _GNU_SOURCE /* madvise */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN_BYTES ((size_t)64)
#define HUGE_BYTES ((size_t)2 << 20) /* a large page of x86-64 and of most arm64 */
#define HUGE_LEAST (2 * HUGE_BYTES)

void *ccu_alloc(size_t bytes) {
    const size_t align = bytes < HUGE_LEAST ? ALIGN_BYTES : HUGE_BYTES;
    if (bytes > SIZE_MAX - align) { return NULL; }
    const size_t rounded = (bytes + align - 1) & ~(align - 1);
    void *memory = aligned_alloc(align, rounded == 0 ? align : rounded);
    if (memory != NULL && align == HUGE_BYTES) {
        /* Only a wish: small pages serve as well, if slower. */
        (void)madvise(memory, rounded, MADV_HUGEPAGE);
    }
    return memory;
}

void *ccu_alloc_zeroed(size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) { return NULL; }
    void *memory = ccu_alloc(count * size);
    if (memory != NULL) { memset(memory, 0, count * size); }
    return memory;
}

void *ccu_realloc(void *old, size_t old_bytes, size_t bytes) {
    void *memory = ccu_alloc(bytes);
    if (memory == NULL) { return NULL; }
    if (old != NULL) {
        memcpy(memory, old, old_bytes < bytes ? old_bytes : bytes);
        free(old);
    }
    return memory;
}

char *ccu_strdup(const char *text) {
    const size_t bytes = strlen(text) + 1;
    char *copy = ccu_alloc(bytes);
    if (copy != NULL) { memcpy(copy, text, bytes); }
    return copy;
}

void ccu_free(void *memory) {
    free(memory);
}
