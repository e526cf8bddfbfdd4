/* normalise: to be written. */
#include "cuda_state.h"

void ccu_cuda_normalise(ccu_backend *be, const ccu_normalise *op) {
    (void)op;
    ccu_cuda_unsupported(ccu_cuda_of(be), "normalise: not written yet");
}
