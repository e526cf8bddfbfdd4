/* What commands do before they start: find the model, open the engine, make a class bank. All of
 * these report their own failures and return the exit status, CCU_EXIT_OK to go on. */
#ifndef CCU_CLI_SESSION_H
#define CCU_CLI_SESSION_H

#include "cli/options.h"
#include "stream/words.h"

/* Class names and templates. */
typedef struct ccu_vocabulary {
    ccu_words          labels;
    ccu_words          template_words; /* where they come from a file */
    const char *const *templates;
    int32_t            templates_count;
    clipcu_prompt     *prompt; /* instead of templates; NULL: none */
} ccu_vocabulary;

/* Reads --labels or --classes, and --templates or --prompt. */
int  ccu_session_vocabulary(const ccu_arguments *arguments, ccu_vocabulary *out);
/* Reads --templates or --prompt alone. */
int  ccu_session_templates(const ccu_arguments *arguments, ccu_vocabulary *out);
void ccu_vocabulary_free(ccu_vocabulary *vocabulary);

/* Opens --model, else $CLIPCU_MODEL, else the demo model. */
int ccu_session_open(const ccu_arguments *arguments, clipcu_engine **out);

int ccu_session_bank(clipcu_engine *engine, const ccu_vocabulary *vocabulary, clipcu_bank **out);

int ccu_session_load_bank(const char *path, clipcu_bank **out);

/* A bank to compare pictures with: *bank, which came from `path`, if it was made with this model;
 * where *bank is NULL, one of the vocabulary. */
int ccu_session_classes(clipcu_engine *engine, const char *path, const ccu_vocabulary *vocabulary,
                        clipcu_bank **bank);

/* The exit status for a failure to read words. */
int ccu_session_exit_of_words(clipcu_status status);

#endif
