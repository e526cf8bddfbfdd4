/* Names for which one pattern stands, as a shell would write them: shard-{000..127}.tar,
 * {train,test}/..., and * ? [..] for what is there. For patterns that no shell has expanded: in a
 * job description, or because there are more than a command line holds. */
#ifndef CCU_STREAM_EXPAND_H
#define CCU_STREAM_EXPAND_H

#include <glob.h>
#include <stdbool.h>

#include "base/file.h"

#define CCU_EXPAND_BRACES 8

typedef struct ccu_brace {
    const char *text; /* behind the { */
    size_t      bytes;
    int64_t     first, step; /* of a range; step 0: a list */
    int64_t     count;
    int32_t     digits; /* that numbers of a range are filled up to */
} ccu_brace;

/* Zeroed is closed. */
typedef struct ccu_expand {
    const char *pattern; /* borrowed; NULL: closed */
    ccu_brace   braces[CCU_EXPAND_BRACES];
    int32_t     braces_count;
    int64_t     next, count; /* of what braces stand for */
    glob_t      found;
    bool        globbed;
    size_t      found_next;
    char        name[CCU_PATH_MAX];
} ccu_expand;

/* Whether a name may stand for others. */
bool ccu_expand_is(const char *name);

/* LIMIT for more than ten million names, or too many braces. Braces that are neither a list nor a
 * range of numbers stand for themselves. */
clipcu_status ccu_expand_open(const char *pattern, ccu_expand *expand, clipcu_error *error);
void          ccu_expand_close(ccu_expand *expand);

/* The next name; braces as a shell orders them, what is found by its bytes. A pattern that nothing
 * matches is a name with an error. *name lives until the next call. False at the end. */
bool ccu_expand_next(ccu_expand *expand, const char **name, clipcu_error *error);

#endif
