/* Class names -> prompts with learned context vectors in them (Zhou et al. 2022, "Learning to
 * Prompt for Vision-Language Models", section 3.1). The name, its full stop and the end token are
 * tokens; context vectors are ids from the size of the vocabulary on, so that prompts are sorted
 * into a trie like any others, and what they share is computed once.
 *
 *   end     start  v1 .. vM  name  .  end
 *   middle  start  v1 .. vh  name  vh+1 .. vM  .  end      h = M / 2, rounded down
 *   front   start  name  v1 .. vM  .  end
 *
 * A name that ends in ")" makes one token with the full stop: that token counts as the name's. */
#ifndef CCU_PROMPT_LAYOUT_H
#define CCU_PROMPT_LAYOUT_H

#include "bank/encode.h"

/* Appends the prompt of one class; its context vectors are rows context_first .. + M - 1.
 * Underscores in the name are blanks. LIMIT if the prompt is longer than the tower's context,
 * FORMAT for invalid UTF-8, ARGUMENT for a name without a token, NOMEM. */
clipcu_status ccu_layout_add(ccu_prompt_list *list, const ccu_text_encoder *encoder,
                             const char *name, clipcu_position position, int32_t M,
                             int32_t context_first, clipcu_error *error);

#endif
