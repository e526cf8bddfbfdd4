/* Checkpoint tensors as checked f32 numbers on their way into the backend. For the files of model/
 * that upload weights. */
#ifndef CCU_MODEL_WEIGHTS_STAGE_H
#define CCU_MODEL_WEIGHTS_STAGE_H

#include "checkpoint/checkpoint.h"
#include "model/transformer.h"

/* Where conversions happen: two host buffers of the largest weight's size. Zeroed is closed. */
typedef struct ccu_stage {
    ccu_backend  *be;
    float        *a, *b;
    clipcu_status status; /* after a failure to read nothing more is read, packed or uploaded */
    clipcu_error *error;
} ccu_stage;

/* Numbers in the largest matrix of a tower, at least first and second. */
size_t ccu_stage_numbers(const ccu_transformer *t, size_t first, size_t second);

/* NOMEM. */
clipcu_status ccu_stage_open(ccu_stage *stage, ccu_backend *be, size_t numbers,
                             clipcu_error *error);
void          ccu_stage_close(ccu_stage *stage);

/* Elements first .. first+count-1 of a tensor as f32; false after the first failure. FORMAT for
 * one that is infinite or NaN: it would make every embedding NaN. */
bool ccu_stage_read(ccu_stage *stage, const ccu_tensor *tensor, size_t first, size_t count,
                    float *to);

/* Weights are const to everyone but the files that fill them, once. */
void *ccu_writable(const void *weights);

#endif
