/* Tokens whose embeddings stand nearest to context vectors; see clipcu_prompt_nearest. */
#ifndef CCU_PROMPT_NEAREST_H
#define CCU_PROMPT_NEAREST_H

#include "prompt/prompt.h"

/* near (M, top), without texts. tokens (V, C) of the checkpoint, V >= top. IO, NOMEM. */
clipcu_status ccu_prompt_near(const clipcu_prompt *prompt, const ccu_tensor *tokens, int32_t top,
                              clipcu_near_token *near, clipcu_error *error);

#endif
