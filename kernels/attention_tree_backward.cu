/* Gradients of attention over a token trie: not on CUDA yet. */
#include "cuda_state.h"

void ccu_cuda_attention_tree_backward(ccu_backend *be, const ccu_attention_tree_backward *op) {
    (void)op;
    ccu_cuda_refuse(be, "attention_tree_backward");
}

size_t ccu_cuda_attention_tree_backward_scratch(ccu_backend *be,
                                                const ccu_attention_tree_backward *op) {
    (void)be;
    (void)op;
    return 0;
}
