/* Texts and numbers as JSON, CSV, HTML and terminal output. File names are bytes, not text: they
 * may hold anything but NUL, and every format must survive that. */
#ifndef CCU_STREAM_ESCAPE_H
#define CCU_STREAM_ESCAPE_H

#include "stream/buffer.h"

bool ccu_utf8_valid(const char *text);

/* A JSON string with its quotes. Control characters are \u-escaped. A byte that is no UTF-8
 * becomes U+FFFD: JSON cannot hold it (see ccu_escape_json_path). */
void ccu_escape_json(ccu_buffer *buffer, const char *text);

/* "key":"text", and where text is no UTF-8 also ,"key_base64":"..." with its exact bytes, so that
 * the file can still be found. */
void ccu_escape_json_path(ccu_buffer *buffer, const char *key, const char *text);

/* A JSON number with `digits` significant digits; null if it is not finite. */
void ccu_escape_json_number(ccu_buffer *buffer, float value, int32_t digits);

/* A CSV field by RFC 4180: quoted if it holds a quote, comma or line end, quotes doubled. Bytes
 * that are no UTF-8 pass as they are. */
void ccu_escape_csv(ccu_buffer *buffer, const char *text);

/* For people's eyes: control characters, direction overrides and bytes that are no UTF-8 become
 * \xNN or \uNNNN, so that no file name can move the cursor or forge a line. */
void ccu_escape_plain(ccu_buffer *buffer, const char *text);

/* Text of an HTML page, in an element or a quoted attribute. What could end either is a character
 * reference; a byte that is no UTF-8 becomes U+FFFD; the rest of what ccu_escape_plain makes
 * visible is made visible as there. */
void ccu_escape_html(ccu_buffer *buffer, const char *text);

/* RFC 4648, padded. */
void ccu_escape_base64(ccu_buffer *buffer, const void *bytes, size_t count);

/* Terminal columns that ccu_escape_plain's text takes. */
int32_t ccu_plain_columns(const char *text);

#endif
