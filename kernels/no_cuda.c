/* cuda_backend.h for builds without nvcc: there is nothing to open. */
#include "cuda_backend.h"

#include <assert.h>
#include <stddef.h>

bool ccu_cuda_built(void) {
    return false;
}

clipcu_status ccu_cuda_open(int32_t device_index, void *stream, ccu_backend **out,
                            clipcu_error *error) {
    (void)device_index;
    (void)stream;
    assert(out != NULL);
    *out = NULL;
    return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "device cuda: this build has no CUDA backend; "
                                                   "use cpu or auto");
}

void ccu_cuda_describe(const ccu_backend *be, char *text, size_t bytes) {
    (void)be;
    assert(bytes > 0);
    text[0] = '\0';
}

size_t ccu_cuda_memory_free(const ccu_backend *be) {
    (void)be;
    return 0;
}
