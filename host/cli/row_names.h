/* What the rows of saved embeddings are called: the paths or texts that clipcu embed wrote beside
 * them, the lines of a file, the classes of a bank, or nothing. Files are read line by line up to
 * the last row asked for; nothing is kept in memory but what was asked for. */
#ifndef CCU_CLI_ROW_NAMES_H
#define CCU_CLI_ROW_NAMES_H

#include "base/file.h"
#include "clipcu.h"

typedef struct ccu_row_names {
    const char  *key;   /* "path", "text", "label" or "name"; NULL: rows have no names */
    clipcu_bank *bank;  /* owned; NULL: not from a bank */
    bool         lines; /* from `path`, */
    bool         json;  /* one object a line, as clipcu embed writes them */
    const char  *vectors; /* borrowed, for messages */
    char         path[CCU_PATH_MAX];
} ccu_row_names;

/* Finds the names of the file `vectors` (NAME.npy or NAME.safetensors): in `names` if it is not
 * NULL, else in a bank's own labels, else in NAME.jsonl if it is there. `vectors` must outlive it.
 * IO if `names` is no file. */
clipcu_status ccu_row_names_open(const char *vectors, const char *names, ccu_row_names *out,
                                 clipcu_error *error);
void          ccu_row_names_close(ccu_row_names *names);

/* The names of hits (count), in their order; NULL where a row has none or there is no row. Owned by
 * the caller: ccu_row_names_free, also after a failure. IO, NOMEM; FORMAT if the lines are not
 * those of these rows. names->key may become known here. */
clipcu_status ccu_row_names_get(ccu_row_names *names, const clipcu_hit *hits, size_t count,
                                char **out, clipcu_error *error);
void          ccu_row_names_free(char **names, size_t count);

#endif
