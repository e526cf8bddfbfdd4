/* Tar archives for tests, put together member by member in memory. */
#ifndef CCU_SUPPORT_ST_TAR_H
#define CCU_SUPPORT_ST_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "support/st_dir.h"

#define ST_TAR_BYTES_MAX 65536

/* Zeroed is empty. */
typedef struct st_tar {
    uint8_t bytes[ST_TAR_BYTES_MAX];
    size_t  count;
} st_tar;

/* A ustar header for `size` bytes, and the bytes; name is cut to 99. */
void st_tar_add(st_tar *tar, const char *name, const void *data, size_t size);
void st_tar_add_text(st_tar *tar, const char *name, const char *text);
/* Writes it, with the two empty blocks that end an archive. */
void st_tar_write(const st_tar *tar, const st_dir *dir, const char *name);

#endif
