/* Files; see file.h. */
#define _GNU_SOURCE /* MADV_*, fileno, flock */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

/* Opens a regular file and tells its size. O_NONBLOCK: a FIFO must not wait for a writer. */
static clipcu_status open_regular(const char *path, int *out_fd, size_t *out_bytes,
                                  clipcu_error *error) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    struct stat info;
    if (fstat(fd, &info) != 0) {
        const int cause = errno;
        (void)close(fd); /* nothing was written through it */
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot stat: %s", path, strerror(cause));
    }
    if (!S_ISREG(info.st_mode)) {
        (void)close(fd); /* nothing was written through it */
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: expected a file, found a %s", path,
                        S_ISDIR(info.st_mode) ? "folder" : "device, socket or pipe");
    }
    *out_fd    = fd;
    *out_bytes = (size_t)info.st_size;
    return CLIPCU_OK;
}

/* Maps an open file. */
static clipcu_status map_fd(const char *path, int fd, size_t bytes, ccu_map *map,
                            clipcu_error *error) {
    if (bytes == 0) { return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: the file is empty", path); }
    void *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot map %zu bytes: %s", path, bytes,
                        strerror(errno));
    }
    map->data  = data;
    map->bytes = bytes;
    return CLIPCU_OK;
}

clipcu_status ccu_map_open(const char *path, ccu_map *map, clipcu_error *error) {
    int           fd     = -1;
    size_t        bytes  = 0;
    clipcu_status status = open_regular(path, &fd, &bytes, error);
    if (status != CLIPCU_OK) { return status; }
    status = map_fd(path, fd, bytes, map, error);
    (void)close(fd); /* the mapping keeps the file */
    return status;
}

void ccu_map_close(ccu_map *map) {
    if (map->data != NULL) {
        (void)munmap((void *)(uintptr_t)map->data, map->bytes); /* only fails on a bad argument */
        map->data  = NULL;
        map->bytes = 0;
    }
}

clipcu_status ccu_file_open(const char *path, ccu_file *file, clipcu_error *error) {
    ccu_file            opened = { .fd = -1 };
    const clipcu_status status = open_regular(path, &opened.fd, &opened.bytes, error);
    if (status != CLIPCU_OK) { return status; }
    opened.path = ccu_strdup(path);
    if (opened.path == NULL) {
        (void)close(opened.fd); /* nothing was written through it */
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory", path);
    }
    *file = opened;
    return CLIPCU_OK;
}

clipcu_status ccu_file_read_at(const ccu_file *file, size_t offset, size_t bytes, void *to,
                               clipcu_error *error) {
    uint8_t *out = to;
    while (bytes > 0) {
        const ssize_t got = pread(file->fd, out, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) { continue; }
        if (got < 0) {
            return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot read: %s", file->path,
                            strerror(errno));
        }
        if (got == 0) {
            return ccu_fail(error, CLIPCU_ERR_IO,
                            "%s: ends at byte %zu, it had %zu when it was opened: it was cut "
                            "short meanwhile",
                            file->path, offset, file->bytes);
        }
        out += got;
        offset += (size_t)got;
        bytes -= (size_t)got;
    }
    return CLIPCU_OK;
}

clipcu_status ccu_file_map(const ccu_file *file, ccu_map *map, clipcu_error *error) {
    return map_fd(file->path, file->fd, file->bytes, map, error);
}

void ccu_file_close(ccu_file *file) {
    if (file->path == NULL) { return; }
    (void)close(file->fd); /* nothing was written through it */
    ccu_free(file->path);
    *file = (ccu_file){ .fd = -1 };
}

clipcu_status ccu_file_read(const char *path, size_t bytes_max, uint8_t **out_data,
                            size_t *out_bytes, clipcu_error *error) {
    uint8_t      *data   = NULL;
    int           fd     = -1;
    size_t        bytes  = 0;
    size_t        filled = 0;
    clipcu_status status = open_regular(path, &fd, &bytes, error);
    if (status != CLIPCU_OK) { return status; }
    if (bytes > bytes_max) {
        status = ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: %zu bytes, at most %zu are read", path,
                          bytes, bytes_max);
        goto done;
    }
    data = ccu_alloc(bytes + 1);
    if (data == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %zu bytes", path, bytes);
        goto done;
    }
    while (filled < bytes) {
        const ssize_t got = read(fd, data + filled, bytes - filled);
        if (got < 0 && errno == EINTR) { continue; }
        if (got < 0) {
            status = ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
            goto done;
        }
        if (got == 0) { break; } /* the file shrank while it was read: use what there is */
        filled += (size_t)got;
    }
    data[filled] = '\0';
    *out_data    = data;
    *out_bytes   = filled;
    data         = NULL; /* ownership moved to the caller */

done:
    ccu_free(data);
    (void)close(fd); /* nothing was written through it */
    return status;
}

bool ccu_file_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool ccu_dir_exists(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool ccu_name_exists(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

clipcu_status ccu_path_join(char *out, const char *dir, const char *name, clipcu_error *error) {
    const int length = snprintf(out, CCU_PATH_MAX, "%s/%s", dir, name);
    if (length < 0 || length >= CCU_PATH_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes", dir,
                        CCU_PATH_MAX - 1);
    }
    return CLIPCU_OK;
}

/* Opens the file that is written under another name. Not through a link that lies in the way, and
 * not waiting for the reader of a pipe that does. */
static FILE *open_part(const char *part, bool again) {
    struct stat info;
    const int   flags  = O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (again ? 0 : O_CREAT);
    const int   fd     = open(part, flags, 0666);
    FILE       *stream = NULL;
    if (fd < 0) { return NULL; }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        errno = EEXIST;
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        errno = EBUSY; /* where there are no locks, go without */
    } else if (again || ftruncate(fd, 0) == 0) {
        stream = fdopen(fd, "wb");
        if (stream == NULL && !again) { (void)unlink(part); } /* already failing */
    }
    if (stream == NULL) {
        const int cause = errno;
        (void)close(fd); /* nothing was written through it */
        errno = cause;
    }
    return stream;
}

static clipcu_status open_writer(const char *path, bool again, ccu_writer *writer,
                                 clipcu_error *error) {
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: expected a file to write, found a %s", path,
                        S_ISDIR(info.st_mode) ? "folder" : "device, socket or pipe");
    }
    if (strlen(path) + sizeof ".part" > CCU_PATH_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes", path,
                        CCU_PATH_MAX - 6);
    }
    (void)snprintf(writer->path, sizeof writer->path, "%s", path); /* length checked above */
    (void)snprintf(writer->part, sizeof writer->part, "%.*s.part", CCU_PATH_MAX - 6, path);
    writer->stream = open_part(writer->part, again);
    if (writer->stream == NULL) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot write: %s", writer->part,
                        errno == EBUSY ? "another process does" : strerror(errno));
    }
    return CLIPCU_OK;
}

clipcu_status ccu_writer_open(const char *path, ccu_writer *writer, clipcu_error *error) {
    return open_writer(path, false, writer, error);
}

clipcu_status ccu_writer_reopen(const char *path, ccu_writer *writer, clipcu_error *error) {
    return open_writer(path, true, writer, error);
}

clipcu_status ccu_writer_commit(ccu_writer *writer, clipcu_error *error) {
    FILE *stream   = writer->stream;
    writer->stream = NULL;
    const bool written = ferror(stream) == 0 && fflush(stream) == 0 && fsync(fileno(stream)) == 0;
    const int  cause   = errno;
    if (fclose(stream) != 0 || !written) {
        (void)unlink(writer->part); /* already failing */
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot write: %s", writer->path,
                        strerror(cause));
    }
    if (rename(writer->part, writer->path) != 0) {
        const int rename_cause = errno;
        (void)unlink(writer->part); /* already failing */
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot rename: %s", writer->path,
                        strerror(rename_cause));
    }
    return CLIPCU_OK;
}

void ccu_writer_abandon(ccu_writer *writer) {
    if (writer->stream != NULL) {
        (void)fclose(writer->stream); /* the file is thrown away */
        (void)unlink(writer->part);
        writer->stream = NULL;
    }
}
