/* embed_tokens: to be written. */
#include "cuda_state.h"

void ccu_cuda_embed_tokens(ccu_backend *be, const ccu_embed_tokens *op) {
    (void)op;
    ccu_cuda_unsupported(ccu_cuda_of(be), "embed_tokens: not written yet");
}
