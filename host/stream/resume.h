/* Where a run goes on that did not end: results are the journal.
 *
 * Every input is one record of a .jsonl or .csv file, in order, and its bits do not depend on which
 * batch it was in. So what is whole in the file is done, if record by record it has the path that
 * the inputs have there. Whatever happened to the process, the rest is cut off and made again. */
#ifndef CCU_STREAM_RESUME_H
#define CCU_STREAM_RESUME_H

#include "stream/source.h"

typedef struct ccu_resume_options {
    const char *path;    /* of the unfinished file */
    bool        csv;     /* else .jsonl */
    const char *heading; /* the first record, with its LF; "": none */
    bool        rows;    /* "row":N stands behind each path */
    int64_t     most;    /* records to go on behind; the rest is cut as well. -1: all */
    bool      (*stopped)(void *context); /* true: give up. NULL: never */
    void       *stopped_context;
} ccu_resume_options;

typedef struct ccu_resumed {
    int64_t  items, errors; /* records, without the heading; those of them with an error */
    uint64_t bytes;         /* that they and the heading take; 0: not even the heading is whole */
    bool     stopped;
} ccu_resumed;

/* Passes over the inputs that have a record. IO; FORMAT, with the number of the first record that
 * is not of the inputs. */
clipcu_status ccu_resume_read(const ccu_resume_options *options, ccu_source *source,
                              ccu_resumed *out, clipcu_error *error);

#endif
