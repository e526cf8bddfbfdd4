/* scores_topk: to be written. */
#include "cuda_state.h"

size_t ccu_cuda_scores_topk_scratch(ccu_backend *be, const ccu_scores_topk *op) {
    (void)be;
    (void)op;
    return 0;
}

void ccu_cuda_scores_topk(ccu_backend *be, const ccu_scores_topk *op) {
    (void)op;
    ccu_cuda_unsupported(ccu_cuda_of(be), "scores_topk: not written yet");
}
