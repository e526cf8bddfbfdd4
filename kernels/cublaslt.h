/* cuBLASLt, loaded when the backend opens: one binary runs with and without it.
 *
 * Products y = x . w^T + b + r whose ops are planned once per (N, K, dtype, bias, residual): the
 * library is asked for an algorithm at a fixed large M, without split-K, and the answer is used for
 * every M, so that a row's bits do not depend on M. That this holds inside the library's kernels is
 * what the stability test on hardware must confirm; it has not run there yet. */
#ifndef CCU_KERNELS_CUBLASLT_H
#define CCU_KERNELS_CUBLASLT_H

#include "cuda_state.h"

/* Loads the library and allocates its workspace on the device. NULL if that fails, with the reason
 * (one line) in `reason`: not an error, our kernels multiply then. */
ccu_cublaslt *ccu_cublaslt_open(ccu_device *device, char *reason, size_t reason_bytes);
void          ccu_cublaslt_close(ccu_cublaslt *lt, ccu_device *device); /* NULL is a no-op */

/* 16-byte aligned rows, no activation or f32; not f32 with activation and residual in place.
 * Plans the op's key at its first use (host work only). False without the library. */
bool ccu_cuda_linear_cublaslt_can(const ccu_cuda *cuda, const ccu_linear *op);

/* 0, or the code of a launch of ours; the library's failures are recorded here. */
int ccu_cuda_linear_cublaslt(ccu_cuda *cuda, const ccu_linear *op);

#endif
