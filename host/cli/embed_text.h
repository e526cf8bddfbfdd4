/* The part of clipcu embed that reads lines of text instead of pictures. */
#ifndef CCU_CLI_EMBED_TEXT_H
#define CCU_CLI_EMBED_TEXT_H

#include "cli/runner.h"
#include "cli/vectors.h"

/* Embeds every line of --text, also empty ones, so that row i is line i. A line that cannot be
 * embedded is a result with an error. Reports failures, prints the summary and returns the exit
 * status as ccu_runner_run does. run->take is not used. */
int ccu_embed_text_run(const ccu_run *run, ccu_vectors *vectors);

#endif
