/* Data sets that come as CoOp's split files: one JSON object with the parts "train", "val" and
 * "test", each an array of [path, label, name]: label counts the classes from 0, in the order that
 * base and new halves are taken from. Paths start at a folder of pictures. */
#ifndef CCU_STREAM_SPLIT_FILE_H
#define CCU_STREAM_SPLIT_FILE_H

#include <stdbool.h>

#include "base/file.h"
#include "base/json.h"
#include "stream/classes.h"

typedef struct ccu_split_file {
    cJSON       *root; /* owned; NULL: closed */
    const cJSON *next; /* entry of the part that is read */
    const char  *name; /* borrowed: of the file */
    int64_t      number; /* of the entry, from 0 */
    char         folder[CCU_PATH_MAX]; /* that paths start at, with the slash at its end */
    char         path[CCU_PATH_MAX];
} ccu_split_file;

/* Whether an input of that name is a split file: NAME.json. */
bool ccu_split_file_is(const char *name);

/* pictures: the folder that paths start at; NULL: the file's own. IO, FORMAT, LIMIT, NOMEM; the
 * file has to hold the part. `path` must outlive the split. */
clipcu_status ccu_split_file_open(const char *path, const char *part, const char *pictures,
                                  ccu_split_file *split, clipcu_error *error);
void          ccu_split_file_close(ccu_split_file *split); /* harmless on a zeroed one */

/* The next entry; false at the end. error: why it cannot be used, *label is NULL then. Both live
 * until the next call. */
bool ccu_split_file_next(ccu_split_file *split, const char **path, const char **label,
                         clipcu_error *error);

/* The classes of all parts by their label, underscores being spaces. FORMAT also if a label has two
 * names or no part has an entry. */
clipcu_status ccu_split_file_classes(const char *path, ccu_classes *out, clipcu_error *error);

#endif
