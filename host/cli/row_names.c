/* What rows are called; see row_names.h. */
#include "cli/row_names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "stream/reader.h"

#define LINE_BYTES_MAX (1 << 20) /* a text of 64 KiB, each byte escaped, fits */

clipcu_status ccu_row_names_open(const char *vectors, const char *names, ccu_row_names *out,
                                 clipcu_error *error) {
    const char *dot = strrchr(vectors, '.');
    *out            = (ccu_row_names){ .vectors = vectors };
    if (names != NULL) {
        if (!ccu_file_exists(names) || strlen(names) >= sizeof out->path) {
            return ccu_fail(error, CLIPCU_ERR_IO, "--names: %.300s: no such file", names);
        }
        (void)snprintf(out->path, sizeof out->path, "%s", names); /* fits */
        out->key   = "name";
        out->lines = true;
        return CLIPCU_OK;
    }
    if (dot != NULL && strcmp(dot, ".safetensors") == 0 &&
        clipcu_bank_load(vectors, &out->bank, NULL) == CLIPCU_OK) {
        out->key = "label";
        return CLIPCU_OK;
    }
    const int prefix = (int)(dot == NULL ? strlen(vectors) : (size_t)(dot - vectors));
    const int length = snprintf(out->path, sizeof out->path, "%.*s.jsonl", prefix, vectors);
    out->json  = length > 0 && (size_t)length < sizeof out->path && ccu_file_exists(out->path);
    out->lines = out->json;
    return CLIPCU_OK;
}

void ccu_row_names_close(ccu_row_names *names) {
    clipcu_bank_close(names->bank);
    names->bank = NULL;
}

void ccu_row_names_free(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        ccu_free(names[i]);
        names[i] = NULL;
    }
}

/* ---- One line ------------------------------------------------------------------------------- */

static int32_t base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') { return c - 'A'; }
    if (c >= 'a' && c <= 'z') { return c - 'a' + 26; }
    if (c >= '0' && c <= '9') { return c - '0' + 52; }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* The exact bytes of a name that is no UTF-8, in place; stops at what is no digit. */
static void decode_base64(char *text) {
    uint32_t bits  = 0;
    int32_t  count = 0;
    char    *to    = text;
    for (const char *from = text; base64_digit(*from) >= 0; from++) {
        bits = bits << 6 | (uint32_t)base64_digit(*from);
        count += 6;
        if (count >= 8) {
            count -= 8;
            *to++ = (char)(bits >> count & 0xff);
        }
    }
    *to = '\0';
}

/* The name in a line of clipcu embed; *out is owned by the caller. */
static clipcu_status read_object(ccu_row_names *names, int64_t row, const char *line, size_t bytes,
                                 char **out, clipcu_error *error) {
    static const char *const keys[]    = { "path", "text" };
    static const char *const encoded[] = { "path_base64", "text_base64" };
    cJSON                   *object    = NULL;
    clipcu_status            status    = ccu_json_parse(names->path, (const uint8_t *)line, bytes,
                                                        &object, error);
    const cJSON             *number    = cJSON_GetObjectItemCaseSensitive(object, "row");
    if (status == CLIPCU_OK && (!cJSON_IsNumber(number) || number->valuedouble != (double)row)) {
        status = ccu_fail(error, CLIPCU_ERR_FORMAT,
                          "%s: line %" PRId64 " is not of row %" PRId64 "; it does not belong to "
                          "%s, or its lines were moved",
                          names->path, row + 1, row, names->vectors);
    }
    for (int i = 0; i < 2 && status == CLIPCU_OK && *out == NULL; i++) {
        const cJSON *text  = cJSON_GetObjectItemCaseSensitive(object, keys[i]);
        const cJSON *exact = cJSON_GetObjectItemCaseSensitive(object, encoded[i]);
        if (!cJSON_IsString(text)) { continue; }
        names->key = keys[i];
        *out       = ccu_strdup(cJSON_IsString(exact) ? exact->valuestring : text->valuestring);
        if (*out != NULL && cJSON_IsString(exact)) { decode_base64(*out); }
        if (*out == NULL) {
            status = ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for names of rows");
        }
    }
    if (status == CLIPCU_OK && *out == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_FORMAT,
                          "%s: line %" PRId64 " holds neither \"path\" nor \"text\"", names->path,
                          row + 1);
    }
    cJSON_Delete(object);
    return status;
}

static clipcu_status read_name(ccu_row_names *names, int64_t row, const char *line, size_t bytes,
                               char **out, clipcu_error *error) {
    if (names->json) { return read_object(names, row, line, bytes, out, error); }
    *out = ccu_strdup(line);
    if (*out == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for names of rows");
    }
    return CLIPCU_OK;
}

/* ---- The lines of some rows ----------------------------------------------------------------- */

typedef struct wanted {
    int64_t row;
    size_t  at; /* in the caller's list */
} wanted;

static int by_row(const void *a, const void *b) {
    const wanted *x = a;
    const wanted *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Goes to the line of a row; *line is where the reader stands. */
static clipcu_status go_to(const ccu_row_names *names, ccu_reader *reader, int64_t row,
                           int64_t *next, const char **line, size_t *bytes, clipcu_error *error) {
    for (; *next <= row; (*next)++) {
        const ccu_reader_result result = ccu_reader_next(reader, -1, line, bytes);
        if (result == CCU_READER_FAILED) {
            return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot read: %s", names->path,
                            strerror(reader->cause));
        }
        if (result != CCU_READER_LINE && result != CCU_READER_TOO_LONG) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: holds %" PRId64 " lines, but row %" PRId64 " of %s has to have "
                            "one; the two do not belong together",
                            names->path, *next, row, names->vectors);
        }
    }
    return CLIPCU_OK;
}

static clipcu_status read_lines(ccu_row_names *names, const wanted *list, size_t count, char **out,
                                clipcu_error *error) {
    ccu_reader    reader = { .fd = -1 };
    const char   *line   = NULL;
    size_t        bytes  = 0;
    int64_t       next   = 0; /* line to be read */
    clipcu_status status = ccu_reader_open(names->path, LINE_BYTES_MAX, -1, &reader, error);
    for (size_t i = 0; i < count && status == CLIPCU_OK; i++) {
        status = go_to(names, &reader, list[i].row, &next, &line, &bytes, error);
        if (status == CLIPCU_OK) {
            status = read_name(names, list[i].row, line, bytes, &out[list[i].at], error);
        }
    }
    ccu_reader_close(&reader);
    return status;
}

clipcu_status ccu_row_names_get(ccu_row_names *names, const clipcu_hit *hits, size_t count,
                                char **out, clipcu_error *error) {
    wanted       *list   = ccu_alloc_zeroed(count, sizeof *list);
    size_t        found  = 0;
    clipcu_status status = CLIPCU_OK;
    for (size_t i = 0; i < count; i++) { out[i] = NULL; }
    if (list == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for names of rows"); }
    for (size_t i = 0; i < count; i++) {
        if (hits[i].row >= 0) { list[found++] = (wanted){ .row = hits[i].row, .at = i }; }
    }
    qsort(list, found, sizeof *list, by_row);
    if (names->lines) { status = read_lines(names, list, found, out, error); }
    for (size_t i = 0; names->bank != NULL && i < found && status == CLIPCU_OK; i++) {
        const char *label = clipcu_bank_label(names->bank, (int32_t)list[i].row);
        out[list[i].at]   = label == NULL ? NULL : ccu_strdup(label);
    }
    ccu_free(list);
    return status;
}
