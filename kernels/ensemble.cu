/* ensemble: to be written. */
#include "cuda_state.h"

void ccu_cuda_ensemble(ccu_backend *be, const ccu_ensemble *op) {
    (void)op;
    ccu_cuda_unsupported(ccu_cuda_of(be), "ensemble: not written yet");
}
