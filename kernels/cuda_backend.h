/* The CUDA backend: hand-written kernels, cuBLASLt for large linear layers where it is installed.
 * Plain C; without CUDA at build time no_cuda.c implements it and refuses to open. */
#ifndef CCU_KERNELS_CUDA_BACKEND_H
#define CCU_KERNELS_CUDA_BACKEND_H

#ifdef __cplusplus
extern "C" {
#endif

#include "ops/ops.h"

/* False: this build has no CUDA backend, and ccu_cuda_open refuses. */
bool ccu_cuda_built(void);

/* stream: the caller's cudaStream_t, borrowed, or NULL for one of our own.
 * Closed with be->ops->close(be).
 * UNSUPPORTED (this build has no CUDA), CUDA (no driver, no device, too old), NOMEM. */
clipcu_status ccu_cuda_open(int32_t device_index, void *stream, ccu_backend **out,
                            clipcu_error *error);

/* "NVIDIA H100 80GB HBM3, sm_90, driver 13.0, cuBLASLt" into text. */
void ccu_cuda_describe(const ccu_backend *be, char *text, size_t bytes);

/* Bytes of device memory free now; 0 if the device does not say. */
size_t ccu_cuda_memory_free(const ccu_backend *be);

#ifdef __cplusplus
}
#endif

#endif
