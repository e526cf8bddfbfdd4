/* Gradient of LayerNorm's input: not on CUDA yet. */
#include "cuda_state.h"

void ccu_cuda_layernorm_backward(ccu_backend *be, const ccu_layernorm_backward *op) {
    (void)op;
    ccu_cuda_refuse(be, "layernorm_backward");
}
