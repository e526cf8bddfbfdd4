/* A growing piece of text; see buffer.h. */
#include "stream/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define BYTES_FIRST 4096
#define FORMAT_BYTES 1024

void ccu_buffer_free(ccu_buffer *buffer) {
    ccu_free(buffer->data);
    *buffer = (ccu_buffer){ .data = NULL };
}

void ccu_buffer_clear(ccu_buffer *buffer) {
    buffer->bytes  = 0;
    buffer->failed = false;
    if (buffer->data != NULL) { buffer->data[0] = '\0'; }
}

/* Room for count more bytes and the NUL. */
static bool reserve(ccu_buffer *buffer, size_t count) {
    if (buffer->failed) { return false; }
    if (count > SIZE_MAX / 4 - buffer->bytes) {
        buffer->failed = true;
        return false;
    }
    const size_t needed = buffer->bytes + count + 1;
    if (needed <= buffer->bytes_max) { return true; }

    size_t bytes_max = buffer->bytes_max == 0 ? BYTES_FIRST : 2 * buffer->bytes_max;
    if (bytes_max < needed) { bytes_max = needed; }
    char *data = ccu_realloc(buffer->data, buffer->bytes, bytes_max);
    if (data == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->data      = data;
    buffer->bytes_max = bytes_max;
    return true;
}

void ccu_buffer_add(ccu_buffer *buffer, const void *bytes, size_t count) {
    if (!reserve(buffer, count)) { return; }
    if (count > 0) { memcpy(buffer->data + buffer->bytes, bytes, count); }
    buffer->bytes += count;
    buffer->data[buffer->bytes] = '\0';
}

void ccu_buffer_text(ccu_buffer *buffer, const char *text) {
    ccu_buffer_add(buffer, text, strlen(text));
}

void ccu_buffer_repeat(ccu_buffer *buffer, char c, int32_t count) {
    for (int32_t i = 0; i < count; i++) { ccu_buffer_add(buffer, &c, 1); }
}

void ccu_buffer_format(ccu_buffer *buffer, const char *format, ...) {
    char    text[FORMAT_BYTES];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length > 0) { ccu_buffer_text(buffer, text); }
}

clipcu_status ccu_buffer_status(const ccu_buffer *buffer, clipcu_error *error) {
    if (buffer->failed) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "results: no memory beyond %zu bytes of output",
                        buffer->bytes);
    }
    return CLIPCU_OK;
}
