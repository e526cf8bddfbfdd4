/* Prompt templates: a class name put into sentences. */
#ifndef CCU_TEXT_TEMPLATES_H
#define CCU_TEXT_TEMPLATES_H

#include "base/status.h"

/* A list of strings; one block owns them. Zeroed is empty. */
typedef struct ccu_lines {
    char   **items;
    int32_t  count;
    char    *text; /* owned */
} ccu_lines;

/* One line each; a trailing CR and empty lines are dropped, a BOM too. Lines of spaces only are
 * empty. FORMAT if nothing is left or a line is not UTF-8. */
clipcu_status ccu_lines_read(const char *path, ccu_lines *out, clipcu_error *error);
void          ccu_lines_free(ccu_lines *lines);

/* A template must hold {} exactly once. */
clipcu_status ccu_template_check(const char *text, clipcu_error *error);

/* template with name in place of {}; owned by the caller (ccu_free), NULL when out of memory. */
char *ccu_template_fill(const char *text, const char *name);

/* OpenAI's 80 ImageNet templates in their published order, and the 7 of its notebook. */
extern const char *const ccu_templates_openai80[80];
extern const char *const ccu_templates_openai7[7];

#endif
