/* Gradient of rows to unit length: not on CUDA yet. */
#include "cuda_state.h"

void ccu_cuda_normalise_backward(ccu_backend *be, const ccu_normalise_backward *op) {
    (void)op;
    ccu_cuda_refuse(be, "normalise_backward");
}
