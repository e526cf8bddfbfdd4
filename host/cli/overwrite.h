/* Results must not take the place of what they are made from. */
#ifndef CCU_CLI_OVERWRITE_H
#define CCU_CLI_OVERWRITE_H

#include "cli/options.h"

/* Looks at every file that the command will write: CCU_EXIT_USAGE, reported, if it is also one that
 * it reads, under whatever name, or if two are the same. Pictures within folders and lists are not
 * looked at. */
int ccu_overwrite_check(const ccu_command *command, const ccu_arguments *arguments);

#endif
