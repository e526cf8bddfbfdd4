/* Where embed puts its results: PREFIX.npy and PREFIX.jsonl, or JSON lines with the vectors in
 * them on standard output. */
#ifndef CCU_CLI_VECTORS_H
#define CCU_CLI_VECTORS_H

#include <stdbool.h>

#include "stream/buffer.h"
#include "stream/npy.h"
#include "stream/resume.h"

typedef struct ccu_vectors {
    ccu_output  lines;  /* PREFIX.jsonl or standard output */
    ccu_npy     matrix; /* where there is a PREFIX */
    bool        to_files;
    const char *key; /* "path" or "text": what an input is called in a line */
    int32_t     columns;
    int64_t     row; /* of the next input */
    ccu_buffer  buffer;
    char        lines_path[CCU_PATH_MAX], matrix_path[CCU_PATH_MAX];
} ccu_vectors;

/* PREFIX with the ending, .npy or .jsonl. LIMIT if it is too long. */
clipcu_status ccu_vectors_path(const char *prefix, const char *ending, char out[CCU_PATH_MAX],
                               clipcu_error *error);

/* Whether ccu_vectors_open is likely to work. prefix NULL or "-": standard output; a .npy at its
 * end is taken off. ARGUMENT for a prefix that ends in / or names a device or pipe. */
clipcu_status ccu_vectors_check(const char *prefix, clipcu_error *error);

/* dtype: of the matrix; lines always hold f32. */
clipcu_status ccu_vectors_open(const char *prefix, const char *key, int32_t columns,
                               ccu_dtype dtype, ccu_vectors *vectors, clipcu_error *error);

/* Goes on with both .part files of a run that did not end; ccu_vectors_skip says where. */
clipcu_status ccu_vectors_reopen(const char *prefix, const char *key, int32_t columns,
                                 ccu_dtype dtype, ccu_vectors *vectors, clipcu_error *error);
/* Passes over the inputs that are in both files and cuts off the rest. */
clipcu_status ccu_vectors_skip(ccu_vectors *vectors, ccu_source *source,
                               const ccu_resume_options *options, ccu_resumed *out,
                               clipcu_error *error);

/* Adds one input: its vector (columns), or NULL with why there is none. sample: what its archive
 * says of it, see source.h; NULL: nothing. */
clipcu_status ccu_vectors_add(ccu_vectors *vectors, const char *name, const float *vector,
                              const char *why, const char *sample, clipcu_error *error);

/* Writes the lines added since the last flush. */
clipcu_status ccu_vectors_flush(ccu_vectors *vectors, clipcu_error *error);

/* Ends both files; see ccu_output_close. Harmless on one that is not open (fd -1). */
clipcu_status ccu_vectors_close(ccu_vectors *vectors, bool complete, clipcu_error *error);

#endif
