/* Gradients of the activations: not on CUDA yet. */
#include "cuda_state.h"

void ccu_cuda_act_backward(ccu_backend *be, const ccu_act_backward *op) {
    (void)op;
    ccu_cuda_refuse(be, "act_backward");
}
