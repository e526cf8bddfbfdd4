/* attention_tree: to be written. */
#include "cuda_state.h"

void ccu_cuda_attention_tree(ccu_backend *be, const ccu_attention_tree *op) {
    (void)op;
    ccu_cuda_unsupported(ccu_cuda_of(be), "attention_tree: not written yet");
}
