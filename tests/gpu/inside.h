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

/* Linear layers take this way ("auto", "cublaslt", "wgmma", "mma", "plain") from now on where it
 * can do them, and linear.cu's own choice where not. False if there is no such way here. */
bool gpu_set_way(ccu_backend *be, const char *name);

/* Whether the way in use takes this linear layer; auto always does. */
bool gpu_way_takes(ccu_backend *be, const ccu_linear *op);

/* From now on linear layers are counted: all of them, and those that the way in use took. One
 * backend at a time. */
typedef struct gpu_linears {
    int32_t all, taken;
} gpu_linears;

void gpu_count_linears(ccu_backend *be, gpu_linears *count);

#ifdef __cplusplus
}
#endif

#endif
