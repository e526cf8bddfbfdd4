/* Files: read whole or by parts, mapped read-only, or written under another name and renamed.
 *
 * A mapping follows the file on disk: if somebody cuts the file short, the process that touches the
 * lost part gets SIGBUS. So what is copied anyway (weights, banks, pictures, lists) is read, and
 * only what must not be copied (an index of saved embeddings) is mapped. */
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

/* A regular file, open for reading. path NULL means none. */
typedef struct ccu_file {
    int    fd;
    size_t bytes; /* when it was opened */
    char  *path;  /* owned: for messages */
} ccu_file;

/* IO, NOMEM; FORMAT if it is no regular file. */
clipcu_status ccu_file_open(const char *path, ccu_file *file, clipcu_error *error);
/* Fills to[bytes] from byte `offset` on. IO if it cannot, which includes a file that was cut short
 * since it was opened. Any thread, any number at once. */
clipcu_status ccu_file_read_at(const ccu_file *file, size_t offset, size_t bytes, void *to,
                               clipcu_error *error);
/* Maps it; the mapping stays valid when the file is closed. FORMAT if it is empty. */
clipcu_status ccu_file_map(const ccu_file *file, ccu_map *map, clipcu_error *error);
void          ccu_file_close(ccu_file *file);

/* Reads a whole regular file of at most bytes_max bytes (LIMIT above). *data is NUL-terminated
 * past its end and owned by the caller (ccu_free). */
clipcu_status ccu_file_read(const char *path, size_t bytes_max, uint8_t **data, size_t *bytes,
                            clipcu_error *error);

/* True if path names a file, or a folder, through links. */
bool ccu_file_exists(const char *path);
bool ccu_dir_exists(const char *path);

/* True if there is anything of that name, be it a link that leads nowhere, or if that cannot be
 * found out. What must not be passed over when it is there is looked for with this: opening it says
 * what is wrong with it. */
bool ccu_name_exists(const char *path);

/* dir/name into out[CCU_PATH_MAX]; LIMIT if it does not fit. */
clipcu_status ccu_path_join(char *out, const char *dir, const char *name, clipcu_error *error);

/* Writing: open, fwrite to .stream, then commit (flush, sync, rename over path) or abandon
 * (the temporary file is removed). Exactly one of the two ends it. IO if path is there and no file:
 * the rename would replace a device or pipe; if path.part is a link, device or pipe, or if another
 * process is writing it. */
typedef struct ccu_writer {
    FILE *stream;
    char  path[CCU_PATH_MAX];
    char  part[CCU_PATH_MAX]; /* path + ".part" */
} ccu_writer;

clipcu_status ccu_writer_open(const char *path, ccu_writer *writer, clipcu_error *error);
/* The same with what is already in path.part, which has to be there. */
clipcu_status ccu_writer_reopen(const char *path, ccu_writer *writer, clipcu_error *error);
clipcu_status ccu_writer_commit(ccu_writer *writer, clipcu_error *error);
void          ccu_writer_abandon(ccu_writer *writer);

#endif
