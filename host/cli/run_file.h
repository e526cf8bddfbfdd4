/* What a run of classify or embed -o was begun with, kept in FILE.part.run beside the unfinished
 * results, so that --resume does not put results of two kinds into one file. */
#ifndef CCU_CLI_RUN_FILE_H
#define CCU_CLI_RUN_FILE_H

#include "cli/options.h"
#include "stream/buffer.h"

typedef enum ccu_run_state {
    CCU_RUN_NEW,      /* nothing to go on with */
    CCU_RUN_PART,     /* FILE.part and what it was begun with are there */
    CCU_RUN_COMPLETE  /* FILE is there, and no unfinished one */
} ccu_run_state;

/* What is there of the results in `path`. */
ccu_run_state ccu_run_file_state(const char *path);

/* Whether --resume fits the other options, reported: CCU_EXIT_USAGE if not. */
int ccu_run_file_check_arguments(const ccu_arguments *arguments);

/* Adds what all results depend on, a "name value" line each. */
void ccu_run_file_describe(const ccu_arguments *arguments, const clipcu_info *info,
                           ccu_buffer *text);
/* Adds the classes: a hash of their names and vectors, or of the prompt file that makes these for
 * each picture. IO where that cannot be read. */
clipcu_status ccu_run_file_describe_classes(const clipcu_bank *bank, const char *prompt,
                                            ccu_buffer *text, clipcu_error *error);

/* Both take a text of such lines. check: ARGUMENT names the first line that differs. */
clipcu_status ccu_run_file_write(const char *path, const ccu_buffer *text, clipcu_error *error);
clipcu_status ccu_run_file_check(const char *path, const ccu_buffer *text, clipcu_error *error);
void          ccu_run_file_remove(const char *path);

#endif
