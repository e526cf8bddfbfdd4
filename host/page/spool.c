/* Pieces of a page that wait in a file; see spool.h. A record is its length and its bytes. */
#include "page/spool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK_BYTES 16384

static FILE *open_beside(const char *beside, clipcu_error *error) {
    char      name[CCU_PATH_MAX];
    const int length = snprintf(name, sizeof name, "%s.XXXXXX", beside);
    if (length < 0 || (size_t)length >= sizeof name) {
        (void)ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes", beside,
                       CCU_PATH_MAX - 8);
        return NULL;
    }
    const int fd = mkstemp(name);
    if (fd < 0) { return NULL; }
    (void)unlink(name); /* it then stays for a person to find */
    FILE *file = fdopen(fd, "w+b");
    if (file == NULL) { (void)close(fd); } /* already failing */
    return file;
}

clipcu_status ccu_spool_open(const char *beside, ccu_spool *spool, clipcu_error *error) {
    *spool      = (ccu_spool){ .file = NULL };
    spool->file = beside == NULL ? tmpfile() : open_beside(beside, error);
    if (spool->file == NULL) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot make a temporary file: %s",
                        beside == NULL ? "page" : beside, strerror(errno));
    }
    return CLIPCU_OK;
}

void ccu_spool_close(ccu_spool *spool) {
    if (spool->file != NULL) { (void)fclose(spool->file); } /* it is thrown away */
    *spool = (ccu_spool){ .file = NULL };
}

clipcu_status ccu_spool_add(ccu_spool *spool, const void *bytes, size_t count,
                            clipcu_error *error) {
    const uint32_t length = (uint32_t)count;
    assert(spool->file != NULL);
    assert(count <= UINT32_MAX);
    if (fwrite(&length, sizeof length, 1, spool->file) != 1 ||
        fwrite(bytes, 1, count, spool->file) != count) {
        return ccu_fail(error, CLIPCU_ERR_IO, "temporary file of the page: cannot write: %s",
                        strerror(errno));
    }
    spool->records++;
    return CLIPCU_OK;
}

clipcu_status ccu_spool_copy(ccu_spool *spool, int64_t records_max, ccu_output *output,
                             clipcu_error *error) {
    char          chunk[CHUNK_BYTES];
    const int64_t records = spool->records < records_max ? spool->records : records_max;
    if (fflush(spool->file) != 0 || fseek(spool->file, 0, SEEK_SET) != 0) {
        return ccu_fail(error, CLIPCU_ERR_IO, "temporary file of the page: cannot write: %s",
                        strerror(errno));
    }
    for (int64_t i = 0; i < records; i++) {
        uint32_t left = 0;
        bool     read = fread(&left, sizeof left, 1, spool->file) == 1;
        while (read && left > 0) {
            const size_t count = left < sizeof chunk ? left : sizeof chunk;
            read = fread(chunk, 1, count, spool->file) == count;
            left -= (uint32_t)count;
            if (read && ccu_output_write(output, chunk, count, error) != CLIPCU_OK) {
                return CLIPCU_ERR_IO;
            }
        }
        if (!read) {
            return ccu_fail(error, CLIPCU_ERR_IO, "temporary file of the page: cannot read: %s",
                            feof(spool->file) != 0 ? "cut short" : strerror(errno));
        }
    }
    return CLIPCU_OK;
}
