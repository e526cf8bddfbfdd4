/* The agree tests: every op of a backend against the double-precision reference, over the shapes
 * that break kernels. One backend at a time, through its table; CPU and CUDA share the cases. */
#ifndef CCU_SUPPORT_AGREE_CASES_H
#define CCU_SUPPORT_AGREE_CASES_H

#include "support/agree_tensor.h"

/* One op over its cases. */
void agree_linear(agree *a, ccu_dtype dtype);
void agree_linear_int8(agree *a); /* int8 weights: the CPU backend only */
void agree_layernorm(agree *a, ccu_dtype dtype);
void agree_attention(agree *a, ccu_dtype dtype);
void agree_attention_tree(agree *a, ccu_dtype dtype);
void agree_embed_tokens(agree *a, ccu_dtype dtype);
void agree_resize_crop(agree *a, ccu_dtype dtype); /* bytes whatever dtype is */
void agree_patch_embed(agree *a, ccu_dtype dtype);
void agree_gather(agree *a, ccu_dtype dtype);
void agree_normalise(agree *a, ccu_dtype dtype);
void agree_segment_sum(agree *a, ccu_dtype dtype);
void agree_scores_topk(agree *a, ccu_dtype dtype); /* f32 whatever dtype is */
void agree_act_backward(agree *a, ccu_dtype dtype);
void agree_layernorm_backward(agree *a, ccu_dtype dtype);
void agree_attention_tree_backward(agree *a, ccu_dtype dtype);
void agree_normalise_backward(agree *a, ccu_dtype dtype);
void agree_softmax_cross_entropy(agree *a, ccu_dtype dtype); /* f32 whatever dtype is */

typedef struct agree_op {
    const char *name;
    void (*run)(agree *a, ccu_dtype dtype);
    bool f32_only;
} agree_op;

/* Every op of the table, the last entry empty. */
extern const agree_op agree_ops[];

/* All ops of a list with dtype. The number of failed cases; prints one line per failure and a
 * summary. */
int32_t agree_run(ccu_backend *be, const agree_op *ops, ccu_dtype dtype);

/* Bit stability. Every op runs on whole batches and on parts of them; a row must have the same bits
 * however many rows there are, wherever it stands and whichever backend of the list ran it (the
 * same backend with other thread counts). backends[0] makes what the others are compared with.
 * only: the op of that name alone; NULL: all.
 * The number of differences; prints the first of each op. */
int32_t agree_stable(ccu_backend *const *backends, int32_t count, ccu_dtype dtype,
                     const char *only);

#endif
