/* Lines of a file or of standard input, one at a time in constant memory. */
#ifndef CCU_STREAM_READER_H
#define CCU_STREAM_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef enum ccu_reader_result {
    CCU_READER_LINE,     /* a line */
    CCU_READER_TOO_LONG, /* the beginning of a line that is too long; the rest is passed over */
    CCU_READER_LATER,    /* nothing yet, within the time given */
    CCU_READER_END,      /* no more, or stopped */
    CCU_READER_FAILED    /* reading failed; errno in .cause */
} ccu_reader_result;

typedef struct ccu_reader {
    int    fd;      /* -1: closed */
    int    wake_fd; /* reading ends when this becomes readable; -1: none */
    int    cause;
    bool   at_end, skipping, first;
    size_t start, end, bytes_max;
    char  *data; /* owned, bytes_max */
} ccu_reader;

/* path NULL is standard input. Lines of up to line_max bytes are given whole, longer ones may come
 * as TOO_LONG. Regular files only, as opening a pipe by name could wait for ever.
 * IO, FORMAT, NOMEM. */
clipcu_status ccu_reader_open(const char *path, size_t line_max, int wake_fd, ccu_reader *reader,
                              clipcu_error *error);
void          ccu_reader_close(ccu_reader *reader);

/* The next line without its LF or CR LF, NUL-terminated, *bytes long; it lives until the next
 * call. A byte order mark before the first line is dropped. Waits up to wait_ms, -1: for ever. */
ccu_reader_result ccu_reader_next(ccu_reader *reader, int wait_ms, const char **line,
                                  size_t *bytes);

#endif
