/* A small model with prompts of a few classes, for tests of the prompt tower on any backend. */
#ifndef CCU_SUPPORT_PROMPT_FIXTURE_H
#define CCU_SUPPORT_PROMPT_FIXTURE_H

#include "prompt/layout.h"
#include "prompt/prompt_tower.h"
#include "support/golden_towers.h"

#define PROMPT_IMAGES 5
#define PROMPT_CLASSES 6
#define PROMPT_KINDS 6

typedef struct prompt_fixture {
    golden_file      golden;
    golden_towers   *towers;
    ccu_tokenizer   *tokenizer;
    ccu_text_encoder encoder;
    ccu_prompt_list  list;
    ccu_prompt_tower pt;
    float           *context, *dcontext, *x;
    int32_t          M, contexts, C, E;
    int32_t          label[PROMPT_IMAGES], best[PROMPT_IMAGES];
    float            loss[PROMPT_IMAGES];
} prompt_fixture;


typedef struct prompt_kind {
    clipcu_position position;
    int32_t      M;
    bool         class_specific, own_banks;
} prompt_kind;

extern const char *const prompt_names[PROMPT_CLASSES];
extern const prompt_kind prompt_kinds[PROMPT_KINDS]; /* every layout, each with some M */

/* -1 .. 1 */
float prompt_number(uint32_t *state);

/* The model alone. folder: of the goldens; be: as golden_towers_open_on, NULL for the CPU backend.
 * Close with prompt_fixture_close. */
void prompt_fixture_open(prompt_fixture *f, const char *folder, ccu_backend *be, ccu_dtype dtype);
void prompt_fixture_close(prompt_fixture *f);
/* Prompts, contexts and images; memory_max as in ccu_prompt_plan. */
void prompt_fixture_prompts(prompt_fixture *f, const prompt_kind *kind, size_t memory_max);
/* The mean loss; f->dcontext is its gradient. */
double prompt_fixture_step(prompt_fixture *f);

#endif
