/* The commands, one file each. They report their own failures and return the exit status. */
#ifndef CCU_CLI_COMMANDS_H
#define CCU_CLI_COMMANDS_H

#include "cli/interrupt.h"
#include "cli/options.h"

int ccu_cmd_classify(const ccu_arguments *arguments, ccu_interrupt *interrupt);
int ccu_cmd_embed(const ccu_arguments *arguments, ccu_interrupt *interrupt);
int ccu_cmd_bank(const ccu_arguments *arguments);
int ccu_cmd_search(const ccu_arguments *arguments, ccu_interrupt *interrupt);
int ccu_cmd_eval(const ccu_arguments *arguments, ccu_interrupt *interrupt);
int ccu_cmd_learn(const ccu_arguments *arguments, ccu_interrupt *interrupt);
int ccu_cmd_info(const ccu_arguments *arguments);

#endif
