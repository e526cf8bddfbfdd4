/* gather: to be written. */
#include "cuda_state.h"

void ccu_cuda_gather(ccu_backend *be, const ccu_gather *op) {
    (void)op;
    ccu_cuda_unsupported(ccu_cuda_of(be), "gather: not written yet");
}
