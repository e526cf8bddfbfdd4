/* Every op once more, in double precision and as the formula is written: no blocking, no vectors,
 * no cleverness.
 *
 * Functions read the op's own argument struct, but its tensors are f32 host memory whatever
 * op->dtype says (already rounded to it) and weights are plain rows. Results go to y, contiguous.
 * `bound`, if not NULL, gets for each element how far a backend that computes in f32 and rounds its
 * result to op->dtype may be from it: derived from the sizes of the terms, not from what backends
 * do. */
#ifndef CCU_REFERENCE_REFERENCE_H
#define CCU_REFERENCE_REFERENCE_H

#include "ops/ops.h"

#define REF_U32 5.9604644775390625e-8 /* unit roundoff of f32, 2^-24 */

/* Unit roundoff of dtype: 2^-24, 2^-8 or 2^-11. */
double ref_unit(ccu_dtype dtype);

/* value as stored in dtype. */
float ref_round(float value, ccu_dtype dtype);

/* y (M, N). w (N, K) rows. r is contiguous with op->y_stride. */
void ref_linear(const ccu_linear *op, double *y, double *bound);
/* A row of x (or of weights) as whole numbers q (K) and its scale, by the rule in
 * ops/product_int8_panel.h. */
double ref_int8(const float *v, int32_t K, bool weights, int32_t *q);
/* y (M, C) */
void ref_layernorm(const ccu_layernorm *op, double *y, double *bound);
/* y (B * Tq, H * D). The bound allows for weights rounded to a 16-bit dtype. */
void ref_attention(const ccu_attention *op, double *y, double *bound);
/* y (Mq, H * D) */
void ref_attention_tree(const ccu_attention_tree *op, double *y, double *bound);
/* y (M, C) */
void ref_embed_tokens(const ccu_embed_tokens *op, double *y, double *bound);
/* y (B * (G * G + 1), C). w (C, 3 * P * P) rows. */
void ref_patch_embed(const ccu_patch_embed *op, double *y, double *bound);
/* y (M, C), exact: bound is 0 */
void ref_gather(const ccu_gather *op, double *y, double *bound);
/* y (M, E) */
void ref_normalise(const ccu_normalise *op, double *y, double *bound);
/* y (rows of op->y that are listed, in list order; groups of C). op->y is read only. */
void ref_segment_sum(const ccu_segment_sum *op, double *y, double *bound);
/* Cosine of row b with class k; NaN is -inf. */
double ref_cosine(const ccu_scores_topk *op, int32_t b, int32_t k);
/* index, cosine, probability: (B, top) each. */
void ref_scores_topk(const ccu_scores_topk *op, int32_t *index, double *cosine,
                     double *probability);

/* Backward: dx (M, N), (M, C), (M, E). */
void ref_act_backward(const ccu_act_backward *op, double *dx, double *bound);
void ref_layernorm_backward(const ccu_layernorm_backward *op, double *dx, double *bound);
void ref_normalise_backward(const ccu_normalise_backward *op, double *dx, double *bound);
/* dq (Mq, H * D), dk and dv (M, H * D), contiguous. below_first and below_end are not read. */
void ref_attention_tree_backward(const ccu_attention_tree_backward *op, double *dq,
                                 double *dq_bound, double *dk, double *dk_bound, double *dv,
                                 double *dv_bound);
/* z (B, K) scores, loss (B), dbank as the op's. */
void ref_softmax_cross_entropy(const ccu_softmax_cross_entropy *op, double *z, double *loss,
                               double *loss_bound, double *dbank, double *dbank_bound);

#endif
