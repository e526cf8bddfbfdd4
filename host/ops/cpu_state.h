/* The CPU backend's own struct and what its ops share. Only files of this folder include it. */
#ifndef CCU_OPS_CPU_STATE_H
#define CCU_OPS_CPU_STATE_H

#include "ops/cpu_backend.h"
#include "ops/dnnl_wrap.h"

/* Scratch of one thread, allocated at open: the largest tile any op keeps in cache. */
#define CCU_CPU_SCRATCH_BYTES ((size_t)2 << 20)

typedef struct ccu_cpu {
    ccu_backend base; /* first: a ccu_backend pointer is a ccu_cpu pointer */
    int32_t     threads;
    bool        bf16_native; /* bf16 products are the CPU's */
    bool        panels;      /* f32 products are ours, not oneDNN's; see product.h */
    ccu_dnnl   *dnnl;
    uint8_t    *scratch;     /* (threads) blocks of CCU_CPU_SCRATCH_BYTES */
    uint8_t    *stage;       /* rows on their way into a product; see product.h */
    size_t      stage_bytes; /* grows when weights are packed */
} ccu_cpu;

static inline ccu_cpu *ccu_cpu_of(ccu_backend *be) {
    return (ccu_cpu *)be;
}

static inline void *ccu_cpu_scratch(const ccu_cpu *cpu, int32_t thread) {
    return cpu->scratch + (size_t)thread * CCU_CPU_SCRATCH_BYTES;
}

/* True if the op should run: no failure so far and dtype is one this backend has. Records
 * UNSUPPORTED, naming op and dtype, otherwise. */
bool ccu_cpu_ready(ccu_cpu *cpu, const char *op, ccu_dtype dtype);

/* stage holds at least bytes; NOMEM is recorded and false returned if it cannot. */
bool ccu_cpu_stage_reserve(ccu_cpu *cpu, size_t bytes);

/* The numbers products multiply: bf16 only where the CPU has it, else f32. */
static inline ccu_dtype ccu_cpu_product_dtype(const ccu_cpu *cpu, ccu_dtype dtype) {
    return dtype == CCU_BF16 && cpu->bf16_native ? CCU_BF16 : CCU_F32;
}

/* One function per op, one file each. */
void   ccu_cpu_linear(ccu_backend *be, const ccu_linear *op);
size_t ccu_cpu_linear_bytes(ccu_backend *be, int32_t N, int32_t K, ccu_dtype dtype,
                            ccu_weights weights);
void   ccu_cpu_linear_pack(ccu_backend *be, void *to, const float *host_w, int32_t N, int32_t K,
                           ccu_dtype dtype, ccu_weights weights);
void   ccu_cpu_layernorm(ccu_backend *be, const ccu_layernorm *op);
void   ccu_cpu_attention(ccu_backend *be, const ccu_attention *op);
void   ccu_cpu_attention_tree(ccu_backend *be, const ccu_attention_tree *op);
void   ccu_cpu_embed_tokens(ccu_backend *be, const ccu_embed_tokens *op);
void   ccu_cpu_resize_crop(ccu_backend *be, const ccu_resize_crop *op);
size_t ccu_cpu_resize_crop_scratch(ccu_backend *be, const ccu_resize_crop *op);
void   ccu_cpu_patch_embed(ccu_backend *be, const ccu_patch_embed *op);
size_t ccu_cpu_patch_embed_scratch(ccu_backend *be, const ccu_patch_embed *op);
void   ccu_cpu_gather(ccu_backend *be, const ccu_gather *op);
void   ccu_cpu_normalise(ccu_backend *be, const ccu_normalise *op);
void   ccu_cpu_segment_sum(ccu_backend *be, const ccu_segment_sum *op);
void   ccu_cpu_act_backward(ccu_backend *be, const ccu_act_backward *op);
void   ccu_cpu_layernorm_backward(ccu_backend *be, const ccu_layernorm_backward *op);
void   ccu_cpu_attention_tree_backward(ccu_backend *be, const ccu_attention_tree_backward *op);
void   ccu_cpu_normalise_backward(ccu_backend *be, const ccu_normalise_backward *op);
void   ccu_cpu_softmax_cross_entropy(ccu_backend *be, const ccu_softmax_cross_entropy *op);
size_t ccu_cpu_attention_tree_backward_scratch(ccu_backend *be,
                                               const ccu_attention_tree_backward *op);
size_t ccu_cpu_softmax_cross_entropy_scratch(ccu_backend *be,
                                             const ccu_softmax_cross_entropy *op);
void   ccu_cpu_scores_topk(ccu_backend *be, const ccu_scores_topk *op);
size_t ccu_cpu_scores_topk_scratch(ccu_backend *be, const ccu_scores_topk *op);

#endif
