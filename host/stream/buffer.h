/* A growing piece of text or bytes: what one batch of results is put together in before it is
 * written at once. */
#ifndef CCU_STREAM_BUFFER_H
#define CCU_STREAM_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* Zeroed is empty. A failed allocation is remembered in `failed` and checked once, by
 * ccu_buffer_status, instead of after each of many small additions. */
typedef struct ccu_buffer {
    char  *data; /* owned; NUL past its end; NULL before the first addition */
    size_t bytes, bytes_max;
    bool   failed;
} ccu_buffer;

void ccu_buffer_free(ccu_buffer *buffer);
/* Empties it and keeps the memory. */
void ccu_buffer_clear(ccu_buffer *buffer);

void ccu_buffer_add(ccu_buffer *buffer, const void *bytes, size_t count);
void ccu_buffer_text(ccu_buffer *buffer, const char *text);
void ccu_buffer_repeat(ccu_buffer *buffer, char c, int32_t count);
/* At most 1023 bytes; longer is cut. */
void ccu_buffer_format(ccu_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* NOMEM if an addition found no memory. */
clipcu_status ccu_buffer_status(const ccu_buffer *buffer, clipcu_error *error);

#endif
