/* Where results go; see output.h. */
#include "stream/output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_standard(const char *path) {
    return path == NULL || strcmp(path, "-") == 0;
}

clipcu_status ccu_output_check(const char *path, clipcu_error *error) {
    struct stat info;
    if (is_standard(path)) { return CLIPCU_OK; }
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            return ccu_fail(error, CLIPCU_ERR_IO, "%s: expected a file to write, found a folder",
                            path);
        }
        if (!S_ISREG(info.st_mode)) { return CLIPCU_OK; }
    }
    char        folder[CCU_PATH_MAX] = ".";
    const char *slash                = strrchr(path, '/');
    if (slash != NULL) {
        const size_t bytes = (size_t)(slash - path) + 1; /* with it: a file is no folder then */
        if (bytes >= sizeof folder) {
            return ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes", path,
                            CCU_PATH_MAX - 1);
        }
        memcpy(folder, path, bytes);
        folder[bytes] = '\0';
    }
    if (access(folder, W_OK | X_OK) != 0) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot write in folder %s: %s", path, folder,
                        strerror(errno));
    }
    return CLIPCU_OK;
}

clipcu_status ccu_output_open(const char *path, ccu_output *output, clipcu_error *error) {
    struct stat info;
    *output = (ccu_output){ .fd = -1, .name = is_standard(path) ? "standard output" : path };
    if (is_standard(path)) {
        output->fd = STDOUT_FILENO;
        return CLIPCU_OK;
    }
    const clipcu_status status = ccu_output_check(path, error);
    if (status != CLIPCU_OK) { return status; }
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        /* A device or pipe cannot be renamed over. */
        output->fd = open(path, O_WRONLY | O_CLOEXEC);
        if (output->fd < 0) {
            return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        }
        return CLIPCU_OK;
    }
    const clipcu_status opened = ccu_writer_open(path, &output->writer, error);
    if (opened != CLIPCU_OK) { return opened; }
    output->atomic = true;
    output->fd     = fileno(output->writer.stream);
    return CLIPCU_OK;
}

clipcu_status ccu_output_reopen(const char *path, ccu_output *output, clipcu_error *error) {
    *output                    = (ccu_output){ .fd = -1, .name = path };
    const clipcu_status opened = ccu_writer_reopen(path, &output->writer, error);
    if (opened != CLIPCU_OK) { return opened; }
    output->atomic  = true;
    output->fd      = fileno(output->writer.stream);
    const off_t end = lseek(output->fd, 0, SEEK_END);
    output->bytes   = end < 0 ? 0 : (uint64_t)end;
    return CLIPCU_OK;
}

clipcu_status ccu_output_cut(ccu_output *output, uint64_t bytes, clipcu_error *error) {
    assert(output->fd >= 0);
    assert(output->atomic);
    if (ftruncate(output->fd, (off_t)bytes) != 0 || lseek(output->fd, 0, SEEK_END) < 0) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot cut it: %s", output->writer.part,
                        strerror(errno));
    }
    output->bytes = bytes;
    return CLIPCU_OK;
}

clipcu_status ccu_output_write(ccu_output *output, const void *bytes, size_t count,
                               clipcu_error *error) {
    const char *at = bytes;
    assert(output->fd >= 0);
    while (count > 0) {
        const ssize_t wrote = write(output->fd, at, count);
        if (wrote < 0 && errno == EINTR) { continue; }
        if (wrote < 0) {
            output->broken_pipe = errno == EPIPE;
            return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot write: %s", output->name,
                            strerror(errno));
        }
        at += wrote;
        count -= (size_t)wrote;
        output->bytes += (uint64_t)wrote;
    }
    return CLIPCU_OK;
}

clipcu_status ccu_output_patch(ccu_output *output, size_t offset, const void *bytes, size_t count,
                               clipcu_error *error) {
    assert(output->fd >= 0);
    assert(output->atomic);
    const ssize_t wrote = pwrite(output->fd, bytes, count, (off_t)offset);
    if (wrote < 0 || (size_t)wrote != count) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot write: %s", output->name,
                        wrote < 0 ? strerror(errno) : "cut short");
    }
    return CLIPCU_OK;
}

clipcu_status ccu_output_close(ccu_output *output, bool complete, clipcu_error *error) {
    const int fd = output->fd;
    if (fd < 0) { return CLIPCU_OK; }
    output->fd = -1;
    if (output->atomic) {
        clipcu_status status = CLIPCU_OK;
        if (complete && fsync(fd) != 0 && errno != EINVAL && errno != EROFS) {
            /* What got through stays, as after any other failure to write. */
            status = ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot write: %s", output->writer.part,
                              strerror(errno));
        } else if (complete) {
            return ccu_writer_commit(&output->writer, error);
        }
        if (output->bytes == 0) {
            ccu_writer_abandon(&output->writer);
            return status;
        }
        FILE *stream          = output->writer.stream;
        output->writer.stream = NULL;
        if (fclose(stream) != 0) {
            return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot write: %s", output->writer.part,
                            strerror(errno));
        }
        return status;
    }
    if (fd != STDOUT_FILENO && close(fd) != 0) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot write: %s", output->name,
                        strerror(errno));
    }
    return CLIPCU_OK;
}
