/* Texts as JSON, CSV, HTML and terminal output; see escape.h. */
#include "stream/escape.h"

#include <math.h>
#include <string.h>
#include <utf8proc.h>

/* Decodes one character; *code is -1 for a byte that is no UTF-8. Returns its bytes, 0 at the
 * end. utf8proc refuses overlong forms, surrogates and anything above U+10FFFF. */
static size_t next_code(const char *text, int32_t *code) {
    const unsigned char first = (unsigned char)*text;
    if (first < 0x80) {
        *code = first;
        return first == 0 ? 0 : 1;
    }
    const size_t           bytes = strnlen(text, 4);
    const utf8proc_ssize_t used  = utf8proc_iterate((const utf8proc_uint8_t *)text,
                                                    (utf8proc_ssize_t)bytes, code);
    if (used < 1) {
        *code = -1;
        return 1;
    }
    return (size_t)used;
}

bool ccu_utf8_valid(const char *text) {
    int32_t code = 0;
    for (size_t used; (used = next_code(text, &code)) > 0; text += used) {
        if (code < 0) { return false; }
    }
    return true;
}

void ccu_escape_json(ccu_buffer *buffer, const char *text) {
    int32_t code = 0;
    ccu_buffer_text(buffer, "\"");
    for (size_t used; (used = next_code(text, &code)) > 0; text += used) {
        if (code == '"') {
            ccu_buffer_text(buffer, "\\\"");
        } else if (code == '\\') {
            ccu_buffer_text(buffer, "\\\\");
        } else if (code == '\n') {
            ccu_buffer_text(buffer, "\\n");
        } else if (code == '\t') {
            ccu_buffer_text(buffer, "\\t");
        } else if (code < 0) {
            ccu_buffer_text(buffer, "\\ufffd");
        } else if (code < 0x20 || code == 0x7f) {
            ccu_buffer_format(buffer, "\\u%04x", (unsigned)code);
        } else {
            ccu_buffer_add(buffer, text, used);
        }
    }
    ccu_buffer_text(buffer, "\"");
}

void ccu_escape_base64(ccu_buffer *buffer, const void *bytes, size_t count) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t    *from     = bytes;
    for (size_t at = 0; at < count; at += 3) {
        const size_t left  = count - at;
        uint32_t     three = (uint32_t)from[at] << 16;
        if (left > 1) { three |= (uint32_t)from[at + 1] << 8; }
        if (left > 2) { three |= (uint32_t)from[at + 2]; }
        const char four[4] = { digits[three >> 18], digits[(three >> 12) & 63],
                               left > 1 ? digits[(three >> 6) & 63] : '=',
                               left > 2 ? digits[three & 63] : '=' };
        ccu_buffer_add(buffer, four, sizeof four);
    }
}

void ccu_escape_json_path(ccu_buffer *buffer, const char *key, const char *text) {
    ccu_buffer_format(buffer, "\"%s\":", key);
    ccu_escape_json(buffer, text);
    if (!ccu_utf8_valid(text)) {
        ccu_buffer_format(buffer, ",\"%s_base64\":\"", key);
        ccu_escape_base64(buffer, text, strlen(text));
        ccu_buffer_text(buffer, "\"");
    }
}

void ccu_escape_json_number(ccu_buffer *buffer, float value, int32_t digits) {
    if (isfinite(value)) {
        ccu_buffer_format(buffer, "%.*g", (int)digits, (double)value);
    } else {
        ccu_buffer_text(buffer, "null");
    }
}

void ccu_escape_csv(ccu_buffer *buffer, const char *text) {
    if (strpbrk(text, "\",\r\n") == NULL) {
        ccu_buffer_text(buffer, text);
        return;
    }
    ccu_buffer_text(buffer, "\"");
    for (; *text != '\0'; text++) {
        if (*text == '"') { ccu_buffer_text(buffer, "\""); }
        ccu_buffer_add(buffer, text, 1);
    }
    ccu_buffer_text(buffer, "\"");
}

/* Characters that move the cursor, end a line or turn the reading direction around. */
static bool disturbs(int32_t code) {
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

void ccu_escape_plain(ccu_buffer *buffer, const char *text) {
    int32_t code = 0;
    for (size_t used; (used = next_code(text, &code)) > 0; text += used) {
        if (code < 0) {
            ccu_buffer_format(buffer, "\\x%02x", (unsigned)(unsigned char)*text);
        } else if (!disturbs(code)) {
            ccu_buffer_add(buffer, text, used);
        } else if (code < 0x80) {
            ccu_buffer_format(buffer, "\\x%02x", (unsigned)code);
        } else {
            ccu_buffer_format(buffer, "\\u%04x", (unsigned)code);
        }
    }
}

void ccu_escape_html(ccu_buffer *buffer, const char *text) {
    int32_t code = 0;
    for (size_t used; (used = next_code(text, &code)) > 0; text += used) {
        switch (code) {
        case '&': ccu_buffer_text(buffer, "&amp;"); break;
        case '<': ccu_buffer_text(buffer, "&lt;"); break;
        case '>': ccu_buffer_text(buffer, "&gt;"); break;
        case '"': ccu_buffer_text(buffer, "&quot;"); break;
        case '\'': ccu_buffer_text(buffer, "&#39;"); break;
        case -1: ccu_buffer_text(buffer, "\xef\xbf\xbd"); break; /* U+FFFD */
        default:
            if (disturbs(code)) {
                ccu_buffer_format(buffer, code < 0x80 ? "\\x%02x" : "\\u%04x", (unsigned)code);
            } else {
                ccu_buffer_add(buffer, text, used);
            }
        }
    }
}

int32_t ccu_plain_columns(const char *text) {
    int32_t columns = 0;
    int32_t code    = 0;
    for (size_t used; (used = next_code(text, &code)) > 0; text += used) {
        if (code < 0 || (code < 0x80 && disturbs(code))) {
            columns += 4;
        } else if (disturbs(code)) {
            columns += 6;
        } else {
            columns += utf8proc_charwidth(code);
        }
    }
    return columns;
}
