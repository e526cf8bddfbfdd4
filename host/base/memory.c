/* The heap; see memory.h. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN_BYTES ((size_t)64)

void *ccu_alloc(size_t bytes) {
    if (bytes > SIZE_MAX - ALIGN_BYTES) { return NULL; }
    const size_t rounded = (bytes + ALIGN_BYTES - 1) & ~(ALIGN_BYTES - 1);
    return aligned_alloc(ALIGN_BYTES, rounded == 0 ? ALIGN_BYTES : rounded);
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
