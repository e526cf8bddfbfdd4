/* Lines of a file; see reader.h. */
#include "stream/reader.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

#define READ_BYTES 65536

clipcu_status ccu_reader_open(const char *path, size_t line_max, int wake_fd, ccu_reader *reader,
                              clipcu_error *error) {
    struct stat info;
    *reader = (ccu_reader){ .fd = -1, .wake_fd = wake_fd, .first = true };
    /* One byte for the LF, one for the CR, one for the NUL of a last line without LF. */
    const size_t bytes_max = line_max + 3 > READ_BYTES ? line_max + 3 : READ_BYTES;
    const int    fd = path == NULL ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    if (path != NULL && (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))) {
        (void)close(fd); /* nothing was written through it */
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: expected a file of lines, found a %s", path,
                        S_ISDIR(info.st_mode) ? "folder" : "device, socket or pipe");
    }
    reader->data = ccu_alloc(bytes_max);
    if (reader->data == NULL) {
        if (path != NULL) { (void)close(fd); } /* nothing was written through it */
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %zu bytes",
                        path == NULL ? "standard input" : path, bytes_max);
    }
    reader->fd        = fd;
    reader->bytes_max = bytes_max;
    return CLIPCU_OK;
}

void ccu_reader_close(ccu_reader *reader) {
    if (reader->fd > STDIN_FILENO) { (void)close(reader->fd); } /* nothing was written */
    ccu_free(reader->data);
    *reader = (ccu_reader){ .fd = -1 };
}

/* Reads more behind what is there. LINE: something came (or the end, in at_end). */
static ccu_reader_result fill(ccu_reader *reader, int wait_ms) {
    if (reader->start > 0) {
        memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    for (;;) {
        struct pollfd fds[2] = { { .fd = reader->fd, .events = POLLIN },
                                 { .fd = reader->wake_fd, .events = POLLIN } };
        const int     ready  = poll(fds, 2, wait_ms); /* a negative fd is passed over */
        if (ready < 0 && errno == EINTR) { continue; }
        if (ready == 0) { return CCU_READER_LATER; }
        if (ready > 0 && fds[1].revents != 0) { return CCU_READER_END; }
        const ssize_t got = read(reader->fd, reader->data + reader->end,
                                 reader->bytes_max - 1 - reader->end);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) { continue; }
        if (got < 0) {
            reader->cause = errno;
            return CCU_READER_FAILED;
        }
        if (got == 0) { reader->at_end = true; }
        reader->end += (size_t)got;
        return CCU_READER_LINE;
    }
}

/* Hands out data[start .. stop) and goes on behind `skip` more bytes. */
static void take(ccu_reader *reader, size_t stop, size_t skip, const char **line, size_t *bytes) {
    size_t start = reader->start;
    size_t end   = stop;
    if (end > start && reader->data[end - 1] == '\r') { end--; }
    reader->data[end] = '\0'; /* on the CR, the LF, or the byte kept free at the end */
    if (reader->first && end - start >= 3 && memcmp(reader->data + start, "\xef\xbb\xbf", 3) == 0) {
        start += 3;
    }
    reader->first = false;
    reader->start = stop + skip;
    *line         = reader->data + start;
    *bytes        = end - start;
}

ccu_reader_result ccu_reader_next(ccu_reader *reader, int wait_ms, const char **line,
                                  size_t *bytes) {
    assert(reader->fd >= 0);
    for (;;) {
        const size_t left    = reader->end - reader->start;
        const char  *newline = left == 0 ? NULL : memchr(reader->data + reader->start, '\n', left);
        if (newline != NULL) {
            const bool rest = reader->skipping; /* of a line already reported as too long */
            take(reader, (size_t)(newline - reader->data), 1, line, bytes);
            reader->skipping = false;
            if (rest) { continue; }
            return CCU_READER_LINE;
        }
        if (reader->at_end) {
            if (left == 0 || reader->skipping) { return CCU_READER_END; }
            take(reader, reader->end, 0, line, bytes);
            return CCU_READER_LINE;
        }
        if (left >= reader->bytes_max - 1) {
            const bool rest = reader->skipping;
            take(reader, reader->end, 0, line, bytes);
            reader->skipping = true;
            if (!rest) { return CCU_READER_TOO_LONG; }
            continue;
        }
        const ccu_reader_result result = fill(reader, wait_ms);
        if (result != CCU_READER_LINE) { return result; }
    }
}
