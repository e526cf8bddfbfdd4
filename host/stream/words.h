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

/* Class names of a file, one per line (see ccu_lines_read). FORMAT if there are none or one stands
 * there twice. */
clipcu_status ccu_words_labels(const char *path, ccu_words *out, clipcu_error *error);

/* Class names parted by commas; spaces around them are dropped. ARGUMENT if one is empty or given
 * twice. */
clipcu_status ccu_words_classes(const char *text, ccu_words *out, clipcu_error *error);

/* Prompt templates of a file, one per line, each with one {}. FORMAT. */
clipcu_status ccu_words_templates(const char *path, ccu_words *out, clipcu_error *error);

#endif
