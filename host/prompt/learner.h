/* A prompt while it is learned: one step of gradient descent at a time; see clipcu_learner in
 * clipcu.h. Shared by learner.c and the engine's files. */
#ifndef CCU_PROMPT_LEARNER_H
#define CCU_PROMPT_LEARNER_H

#include "prompt/prompt.h"
#include "prompt/prompt_tower.h"

struct clipcu_learner {
    clipcu_learn_options options;
    clipcu_prompt       *prompt; /* owned */
    ccu_prompt_list      list;   /* its prompts, of batch_max pictures for CoCoOp */
    ccu_prompt_tower     tower;
    float                logit_scale;
    int64_t              steps;    /* 0: momentum holds nothing yet */
    float               *momentum, *gradient;            /* (count) */
    float               *context, *dcontext;             /* CoCoOp: (batch_max, M, C) */
    float               *hidden;                         /* CoCoOp: (batch_max, hidden) */
    float               *loss;                           /* (batch_max) */
    int32_t             *best;                           /* (batch_max) */
};

/* encoder, tower and checkpoint are the engine's. prompt: with its start values, taken over on
 * success. */
clipcu_status ccu_learner_create(const ccu_text_encoder *encoder, const ccu_checkpoint *checkpoint,
                                 const clipcu_learn_options *options, clipcu_prompt *prompt,
                                 float logit_scale, clipcu_learner **out, clipcu_error *error);

#endif
