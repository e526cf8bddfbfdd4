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
} ccu_vocabulary;

/* Reads --labels or --classes and --templates. */
int  ccu_session_vocabulary(const ccu_arguments *arguments, ccu_vocabulary *out);
void ccu_vocabulary_free(ccu_vocabulary *vocabulary);

/* Opens --model, else $CLIPCU_MODEL, else the demo model. */
int ccu_session_open(const ccu_arguments *arguments, clipcu_engine **out);

int ccu_session_bank(clipcu_engine *engine, const ccu_vocabulary *vocabulary, clipcu_bank **out);

#endif
