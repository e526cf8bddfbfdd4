/* The pages of --help, made from the tables of options.h. */
#ifndef CCU_CLI_HELP_H
#define CCU_CLI_HELP_H

#include "cli/options.h"
#include "stream/buffer.h"

/* What clipcu is, its commands, a few examples. */
void ccu_help_overview(ccu_buffer *out);
/* Usage, every option with its default, examples. */
void ccu_help_command(const ccu_command *command, ccu_buffer *out);

#endif
