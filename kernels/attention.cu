/* attention: to be written. */
#include "cuda_state.h"

void ccu_cuda_attention(ccu_backend *be, const ccu_attention *op) {
    (void)op;
    ccu_cuda_unsupported(ccu_cuda_of(be), "attention: not written yet");
}
