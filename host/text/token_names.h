/* Token texts and their ids while a vocabulary is read. */
#ifndef CCU_TEXT_TOKEN_NAMES_H
#define CCU_TEXT_TOKEN_NAMES_H

#include <stdbool.h>

#include "base/status.h"

#define CCU_VOCAB_MAX 2000000 /* tokens, and merges, of one vocabulary */

/* One token: borrowed text. */
typedef struct ccu_name {
    const char *text;
    size_t      bytes;
    bool        used;
} ccu_name;

typedef struct ccu_names {
    const char *path;        /* borrowed, for messages */
    ccu_name   *by_id;       /* (ids_max) */
    int32_t    *slots;       /* (slots_count) id or -1, open addressing */
    uint32_t    slots_count; /* a power of two */
    int32_t     ids_max, count;
} ccu_names;

/* For ids 0 .. ids_max - 1. LIMIT if ids_max is not 1 .. CCU_VOCAB_MAX. path and the texts added
 * later live as long as names. */
clipcu_status ccu_names_init(ccu_names *names, const char *path, int64_t ids_max,
                             clipcu_error *error);
/* A zeroed one is fine. */
void ccu_names_free(ccu_names *names);

/* FORMAT, naming the token, if id is out of range or taken, or the text is there already. */
clipcu_status ccu_names_add(ccu_names *names, const char *text, size_t bytes, int32_t id,
                            clipcu_error *error);

/* The id of the text left + right, or -1. */
int32_t ccu_names_find(const ccu_names *names, const char *left, size_t left_bytes,
                       const char *right, size_t right_bytes);

/* FORMAT naming the first id that has no token, if there is one below count. */
clipcu_status ccu_names_check_dense(const ccu_names *names, clipcu_error *error);

#endif
