/* The manual page and the completions of bash, zsh and fish, made from the tables of options.h by
 * a program of their own while clipcu is built (docs_main.c). The command has none of this.
 * Errors of writing stay in the file's error flag. */
#ifndef CCU_CLI_DOCS_DOCS_H
#define CCU_CLI_DOCS_DOCS_H

#include <stdio.h>

#include "cli/options.h"

/* clipcu.1, in the man macros that groff and mandoc read. */
void ccu_docs_manual(FILE *out);

void ccu_docs_bash(FILE *out);
void ccu_docs_zsh(FILE *out);
void ccu_docs_fish(FILE *out);

/* Whether this version has the option in any command, or (command not NULL) in that command. */
bool ccu_docs_has(const ccu_option *option, const ccu_command *command);

#endif
