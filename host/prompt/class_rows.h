/* Class rows of a learned prompt, without learning: what class banks are made of. */
#ifndef CCU_PROMPT_CLASS_ROWS_H
#define CCU_PROMPT_CLASS_ROWS_H

#include "bank/bank.h"
#include "prompt/prompt.h"

/* rows (K, E) of CoOp's prompt with these names; rows in host memory. LIMIT, FORMAT, NOMEM. */
clipcu_status ccu_class_rows(const ccu_text_encoder *encoder, const clipcu_prompt *prompt,
                             const char *const *labels, int32_t K, float *rows,
                             clipcu_error *error);

/* CoCoOp's classes, whose rows depend on the picture. */
typedef struct ccu_conditional ccu_conditional;

/* Copies what it needs of the prompt. */
clipcu_status ccu_conditional_open(const ccu_text_encoder *encoder, const clipcu_prompt *prompt,
                                   const char *const *labels, int32_t K, ccu_conditional **out,
                                   clipcu_error *error);
/* NULL is a no-op. */
void ccu_conditional_close(ccu_conditional *conditional);

/* rows (count, K, E) for pictures x (count, E), unit rows; host memory. */
clipcu_status ccu_conditional_rows(const ccu_conditional *conditional,
                                   const ccu_text_encoder *encoder, const float *x, int32_t count,
                                   float *rows, clipcu_error *error);
/* How many pictures are worth doing at once: more share nothing. */
int32_t ccu_conditional_images(const ccu_conditional *conditional);

#endif
