/* Files: mapped read-only, read whole, or written under another name and renamed. */
#ifndef CCU_BASE_FILE_H
#define CCU_BASE_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"

#define CCU_PATH_MAX 4096

/* A file mapped read-only. Zeroed means none. */
typedef struct ccu_map {
    const uint8_t *data;
    size_t         bytes;
} ccu_map;

/* IO if the file cannot be opened or mapped; FORMAT if it is empty or no regular file. */
clipcu_status ccu_map_open(const char *path, ccu_map *map, clipcu_error *error);
void          ccu_map_close(ccu_map *map);

/* Reads a whole regular file of at most bytes_max bytes (LIMIT above). *data is NUL-terminated
 * past its end and owned by the caller (ccu_free). */
clipcu_status ccu_file_read(const char *path, size_t bytes_max, uint8_t **data, size_t *bytes,
                            clipcu_error *error);

/* True if path names something that can be opened for reading. */
bool ccu_file_exists(const char *path);
bool ccu_dir_exists(const char *path);

/* dir/name into out[CCU_PATH_MAX]; LIMIT if it does not fit. */
clipcu_status ccu_path_join(char *out, const char *dir, const char *name, clipcu_error *error);

/* Writing: open, fwrite to .stream, then commit (flush, sync, rename over path) or abandon
 * (the temporary file is removed). Exactly one of the two ends it. */
typedef struct ccu_writer {
    FILE *stream;
    char  path[CCU_PATH_MAX];
    char  part[CCU_PATH_MAX]; /* path + ".part" */
} ccu_writer;

clipcu_status ccu_writer_open(const char *path, ccu_writer *writer, clipcu_error *error);
clipcu_status ccu_writer_commit(ccu_writer *writer, clipcu_error *error);
void          ccu_writer_abandon(ccu_writer *writer);

#endif
