/* The list of ops and the runner; see agree_cases.h. */
#include "support/agree_cases.h"

#include <stdio.h>

const agree_op agree_ops[] = {
    { "linear", agree_linear, false },
    { "resize_crop", agree_resize_crop, true },
    { "patch_embed", agree_patch_embed, false },
    { "embed_tokens", agree_embed_tokens, false },
    { "layernorm", agree_layernorm, false },
    { "attention", agree_attention, false },
    { "attention_tree", agree_attention_tree, false },
    { "gather", agree_gather, false },
    { "normalise", agree_normalise, false },
    { "segment_sum", agree_segment_sum, false },
    { "scores_topk", agree_scores_topk, true },
    { "act_backward", agree_act_backward, false },
    { "layernorm_backward", agree_layernorm_backward, false },
    { "attention_tree_backward", agree_attention_tree_backward, false },
    { "normalise_backward", agree_normalise_backward, false },
    { "softmax_cross_entropy", agree_softmax_cross_entropy, true },
    { NULL, NULL, false },
};

int32_t agree_run(ccu_backend *be, const agree_op *ops, ccu_dtype dtype) {
    const uint64_t seed     = 20240229;
    int32_t        failures = 0;
    for (const agree_op *op = ops; op->name != NULL; op++) {
        agree a;
        if (op->f32_only && dtype != CCU_F32) { continue; }
        agree_init(&a, be, seed);
        op->run(&a, dtype);
        agree_end(&a);
        printf("%s %-14s %-4s %3d cases, %d failed, largest error %.2f of its bound (%s)\n",
               be->ops->name, op->name, ccu_dtype_name(dtype), a.cases, a.failures, a.worst,
               a.worst_at);
        failures += a.failures;
    }
    if (failures > 0) { printf("seed %llu\n", (unsigned long long)seed); }
    return failures;
}
