/* Checkpoint tensors -> weights in the backend's memory, in the layout it multiplies fastest. */
#ifndef CCU_MODEL_WEIGHTS_H
#define CCU_MODEL_WEIGHTS_H

#include "checkpoint/checkpoint.h"
#include "model/image_tower.h"
#include "model/text_tower.h"

/* Dims of a tower from the configuration, and its array of blocks (host memory). NOMEM. */
clipcu_status ccu_image_weights_open(const ccu_checkpoint *checkpoint, ccu_dtype dtype,
                                     ccu_image_tower *tower, clipcu_error *error);
clipcu_status ccu_text_weights_open(const ccu_checkpoint *checkpoint, ccu_dtype dtype,
                                    ccu_text_tower *tower, clipcu_error *error);
void          ccu_image_weights_close(ccu_image_tower *tower);
void          ccu_text_weights_close(ccu_text_tower *tower);

/* Takes every weight from the plan. */
void ccu_image_weights_lay_out(ccu_image_tower *tower, ccu_backend *be, ccu_plan *plan);
void ccu_text_weights_lay_out(ccu_text_tower *tower, ccu_backend *be, ccu_plan *plan);

/* Reads, converts, folds, packs and uploads. Needs the lay-out's addresses. NOMEM, IO if a file
 * cannot be read, or what the backend reports at its next finish. */
clipcu_status ccu_image_weights_upload(const ccu_checkpoint *checkpoint, ccu_image_tower *tower,
                                       ccu_backend *be, clipcu_error *error);
clipcu_status ccu_text_weights_upload(const ccu_checkpoint *checkpoint, ccu_text_tower *tower,
                                      ccu_backend *be, clipcu_error *error);

/* Folds pixel scaling and normalisation into the patch embedding, see ccu_patch_embed.
 *
 *   w  (C, 3 * area) in: the checkpoint's weights; out: w / (255 std), rounded to dtype
 *   b  (C) out: sum over k of w[k] * (128 - 255 mean), of the rounded w, so that a wide dtype's
 *      bias cancels exactly what the products add for a mid-grey pixel. */
void ccu_patch_fold(float *w, float *b, int32_t C, int32_t area, const float mean[3],
                    const float std[3], ccu_dtype dtype);

#endif
