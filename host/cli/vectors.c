/* Results of embed; see vectors.h. */
#include "cli/vectors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "stream/escape.h"
#include "stream/sink.h"

#define DIGITS 9 /* enough to get the same f32 back */

static bool is_standard(const char *prefix) {
    return prefix == NULL || strcmp(prefix, "-") == 0;
}

clipcu_status ccu_vectors_path(const char *prefix, const char *ending, char out[CCU_PATH_MAX],
                               clipcu_error *error) {
    size_t bytes = strlen(prefix);
    if (bytes > 4 && strcmp(prefix + bytes - 4, ".npy") == 0) { bytes -= 4; }
    if (bytes + 12 > CCU_PATH_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes", prefix,
                        CCU_PATH_MAX - 12);
    }
    (void)snprintf(out, CCU_PATH_MAX, "%.*s%s", (int)bytes, prefix, ending); /* fits */
    return CLIPCU_OK;
}

clipcu_status ccu_vectors_check(const char *prefix, clipcu_error *error) {
    char        path[CCU_PATH_MAX];
    struct stat info;
    if (is_standard(prefix)) { return CLIPCU_OK; }
    if (prefix[strlen(prefix) - 1] == '/') { /* the files would be called .npy and .jsonl */
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "%s: expected a prefix for the names of two files, found a folder", prefix);
    }
    if (stat(prefix, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "%s: expected a prefix for the names of two files, found a device, socket "
                        "or pipe",
                        prefix);
    }
    clipcu_status status = ccu_vectors_path(prefix, ".npy", path, error);
    if (status == CLIPCU_OK) { status = ccu_output_check(path, error); }
    return status;
}

static clipcu_status begin(const char *prefix, const char *key, int32_t columns,
                           ccu_vectors *vectors, clipcu_error *error) {
    vectors->key         = key;
    vectors->columns     = columns;
    vectors->to_files    = true;
    clipcu_status status = ccu_vectors_path(prefix, ".npy", vectors->matrix_path, error);
    if (status != CLIPCU_OK) { return status; }
    return ccu_vectors_path(prefix, ".jsonl", vectors->lines_path, error);
}

clipcu_status ccu_vectors_reopen(const char *prefix, const char *key, int32_t columns,
                                 ccu_dtype dtype, ccu_vectors *vectors, clipcu_error *error) {
    clipcu_status status = begin(prefix, key, columns, vectors, error);
    if (status == CLIPCU_OK) {
        status = ccu_npy_reopen(vectors->matrix_path, columns, dtype, &vectors->matrix, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_output_reopen(vectors->lines_path, &vectors->lines, error);
    }
    return status;
}

clipcu_status ccu_vectors_skip(ccu_vectors *vectors, ccu_source *source,
                               const ccu_resume_options *options, ccu_resumed *out,
                               clipcu_error *error) {
    ccu_resume_options own = *options;
    own.path               = vectors->lines.writer.part;
    own.rows               = true;
    own.most               = vectors->matrix.rows;
    clipcu_status status   = ccu_resume_read(&own, source, out, error);
    if (status != CLIPCU_OK || out->stopped) { return status; }
    vectors->row = out->items;
    status       = ccu_output_cut(&vectors->lines, out->bytes, error);
    return status == CLIPCU_OK ? ccu_npy_cut(&vectors->matrix, out->items, error) : status;
}

clipcu_status ccu_vectors_open(const char *prefix, const char *key, int32_t columns,
                               ccu_dtype dtype, ccu_vectors *vectors, clipcu_error *error) {
    if (is_standard(prefix)) {
        vectors->key     = key;
        vectors->columns = columns;
        return ccu_output_open(NULL, &vectors->lines, error);
    }
    clipcu_status status = begin(prefix, key, columns, vectors, error);
    if (status == CLIPCU_OK) {
        status = ccu_npy_open(vectors->matrix_path, columns, dtype, &vectors->matrix, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_output_open(vectors->lines_path, &vectors->lines, error);
    }
    return status;
}

static void add_embedding(ccu_vectors *vectors, const float *vector) {
    ccu_buffer_text(&vectors->buffer, ",\"embedding\":[");
    for (int32_t i = 0; i < vectors->columns; i++) {
        if (i > 0) { ccu_buffer_text(&vectors->buffer, ","); }
        ccu_escape_json_number(&vectors->buffer, vector[i], DIGITS);
    }
    ccu_buffer_text(&vectors->buffer, "]");
}

clipcu_status ccu_vectors_add(ccu_vectors *vectors, const char *name, const float *vector,
                              const char *why, const char *sample, clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    ccu_buffer_text(&vectors->buffer, "{");
    ccu_escape_json_path(&vectors->buffer, vectors->key, name);
    if (vectors->to_files) {
        ccu_buffer_format(&vectors->buffer, ",\"row\":%" PRId64, vectors->row);
        status = vector != NULL ? ccu_npy_add(&vectors->matrix, vector, 1, error)
                                : ccu_npy_add_missing(&vectors->matrix, error);
    } else if (vector != NULL) {
        add_embedding(vectors, vector);
    }
    if (vector == NULL) {
        ccu_buffer_text(&vectors->buffer, ",\"error\":");
        ccu_escape_json(&vectors->buffer, ccu_sink_bare_error(name, why));
    }
    if (sample != NULL) { ccu_buffer_text(&vectors->buffer, sample); }
    ccu_buffer_text(&vectors->buffer, "}\n");
    vectors->row++;
    return status;
}

clipcu_status ccu_vectors_flush(ccu_vectors *vectors, clipcu_error *error) {
    clipcu_status status = ccu_buffer_status(&vectors->buffer, error);
    if (status == CLIPCU_OK) {
        status = ccu_output_write(&vectors->lines, vectors->buffer.data, vectors->buffer.bytes,
                                  error);
    }
    ccu_buffer_clear(&vectors->buffer);
    return status;
}

clipcu_status ccu_vectors_close(ccu_vectors *vectors, bool complete, clipcu_error *error) {
    const clipcu_status matrix = vectors->to_files
                                     ? ccu_npy_close(&vectors->matrix, complete, error)
                                     : CLIPCU_OK;
    const clipcu_status lines  = ccu_output_close(&vectors->lines, complete && matrix == CLIPCU_OK,
                                                  error);
    ccu_buffer_free(&vectors->buffer);
    return matrix != CLIPCU_OK ? matrix : lines;
}
