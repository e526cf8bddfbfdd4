/* What checks and measurements want from inside the CUDA backend, for C. */
#ifndef CCU_GPU_INSIDE_H
#define CCU_GPU_INSIDE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "device.h"
#include "ops/ops.h"

/* For timing: events, facts. */
ccu_device *gpu_device(ccu_backend *be);

/* NULL, or the name of way number way: "auto", "cublaslt", "wgmma", "mma", "plain". */
const char *gpu_way_name(int32_t way);

/* Linear layers take this way from now on where it can do them, and linear.cu's own choice where
 * not. False if the backend has no such way, or there is no such name. */
bool gpu_set_way(ccu_backend *be, const char *name);

/* Whether the way can do a linear layer; auto and cublaslt: true. */
bool gpu_way_can(ccu_backend *be, const char *name, const ccu_linear *op);

#ifdef __cplusplus
}
#endif

#endif
