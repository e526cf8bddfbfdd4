/* Class names and prompt templates as the command line gives them. */
#ifndef CCU_STREAM_WORDS_H
#define CCU_STREAM_WORDS_H

#include "base/status.h"
#include "text/templates.h"

typedef struct ccu_words {
    char    **items; /* (count) */
    int32_t   count;
    char     *text;  /* owned, with items, where the words come from the command line */
    ccu_lines lines; /* owner of items where they come from a file */
} ccu_words;

/* Harmless on a zeroed one. */
void ccu_words_free(ccu_words *words);

/* Class names of a file, one per line (see ccu_lines_read). FORMAT if there are none. */
clipcu_status ccu_words_labels(const char *path, ccu_words *out, clipcu_error *error);

/* Class names parted by commas; spaces around them are dropped. ARGUMENT if one is empty. */
clipcu_status ccu_words_classes(const char *text, ccu_words *out, clipcu_error *error);

/* A name that stands there more than once, or NULL. Allowed (CLIP's own 1000 ImageNet names hold
 * two such pairs), but worth a word: equal classes share their probability. */
const char *ccu_words_repeated(const ccu_words *words);

/* Prompt templates of a file, one per line, each with one {}. FORMAT. */
clipcu_status ccu_words_templates(const char *path, ccu_words *out, clipcu_error *error);

#endif
