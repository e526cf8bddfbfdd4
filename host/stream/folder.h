/* A walk through a folder and the folders in it, handing out pictures one at a time.
 *
 * Order: the entries of each folder by the bytes of their names, a folder's content where its name
 * stands. Memory: one listing for each folder between the top and the current one, never the
 * whole tree. Links to folders are not followed, so there are no loops. Names that begin with a
 * dot are passed over. */
#ifndef CCU_STREAM_FOLDER_H
#define CCU_STREAM_FOLDER_H

#include <stdbool.h>

#include "base/file.h"

#define CCU_FOLDER_DEPTH 64

typedef struct ccu_listing {
    char  *names;   /* owned: for each entry 'd' or 'f', its name, NUL */
    char **entries; /* owned (count): into names, sorted by name */
    size_t count, next;
    size_t path_bytes; /* length of the folder's path, with the slash at its end */
} ccu_listing;

typedef struct ccu_folder {
    ccu_listing listings[CCU_FOLDER_DEPTH];
    int32_t     depth; /* listings in use; 0: closed */
    int64_t     pictures, links_skipped;
    char        path[CCU_PATH_MAX];
} ccu_folder;

/* True for names that end like a picture's: .jpg, .png and so on, in either case. Also formats
 * that this version cannot read, so that such a file is reported and not silently missing. */
bool ccu_folder_is_picture(const char *name);

/* IO if the folder cannot be listed, NOMEM, LIMIT. */
clipcu_status ccu_folder_open(const char *path, ccu_folder *folder, clipcu_error *error);
void          ccu_folder_close(ccu_folder *folder);

/* The next picture, or a folder that cannot be listed: then error holds why. *path lives until the
 * next call. False at the end. */
bool ccu_folder_next(ccu_folder *folder, const char **path, clipcu_error *error);

#endif
