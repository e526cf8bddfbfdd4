/* CoCoOp's meta-net: context vectors of each picture, ctx[m] + W2 relu(W1 x + b1) + b2, and the
 * gradients of all it has (Zhou et al. 2022, "Conditional Prompt Learning", section 3.2). */
#ifndef CCU_PROMPT_META_NET_H
#define CCU_PROMPT_META_NET_H

#include "prompt/prompt.h"

/* context (B, M, C), hidden (B, hidden) relu's output, from x (B, E) unit rows. Host memory. */
void ccu_meta_net_forward(const clipcu_prompt *prompt, const float *x, int32_t B, float *hidden,
                          float *context);

/* gradient (count), laid out as prompt->values, from dcontext (B, M, C), in f64 sums over the
 * pictures in their order. NOMEM. */
clipcu_status ccu_meta_net_backward(const clipcu_prompt *prompt, const float *x,
                                    const float *hidden, const float *dcontext, int32_t B,
                                    float *gradient, clipcu_error *error);

#endif
