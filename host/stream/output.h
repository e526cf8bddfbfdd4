/* Where results go: standard output, a file that appears under its name only when it is complete,
 * or a device or pipe that is written as it is. Unbuffered: callers hand over whole batches. */
#ifndef CCU_STREAM_OUTPUT_H
#define CCU_STREAM_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/file.h"

typedef struct ccu_output {
    int         fd;          /* -1: closed */
    bool        atomic;      /* written to writer.part, renamed at the end */
    bool        broken_pipe; /* the reader has gone: no one is left to be told */
    uint64_t    bytes;       /* written so far */
    const char *name;        /* borrowed; "standard output" or the path */
    ccu_writer  writer;
} ccu_output;

/* path NULL or "-" is standard output. IO if it cannot be written, LIMIT for a long path.
 * `path` must outlive the output. */
clipcu_status ccu_output_open(const char *path, ccu_output *output, clipcu_error *error);

/* Goes on with path.part, which a run did not finish and which has to be there, at its end.
 * ccu_output_cut says how much of it stays. */
clipcu_status ccu_output_reopen(const char *path, ccu_output *output, clipcu_error *error);
clipcu_status ccu_output_cut(ccu_output *output, uint64_t bytes, clipcu_error *error);

/* Whether ccu_output_open(path) is likely to work, without making the file: for finding a mistyped
 * folder before minutes of work. */
clipcu_status ccu_output_check(const char *path, clipcu_error *error);

clipcu_status ccu_output_write(ccu_output *output, const void *bytes, size_t count,
                               clipcu_error *error);

/* Overwrites bytes already written; atomic outputs only. */
clipcu_status ccu_output_patch(ccu_output *output, size_t offset, const void *bytes, size_t count,
                               clipcu_error *error);

/* Ends the output. complete: the file gets its name. Else what was written stays in FILE.part,
 * or nothing stays if nothing was written. Harmless on a closed one. */
clipcu_status ccu_output_close(ccu_output *output, bool complete, clipcu_error *error);

#endif
