/* See inside.h. */
#include "gpu/inside.h"

#include <string.h>

#include "cuda_state.h"
#include "linear_way.h"

ccu_device *gpu_device(ccu_backend *be) {
    return ccu_cuda_of(be)->device;
}

bool gpu_set_way(ccu_backend *be, const char *name) {
    const ccu_cuda *cuda = ccu_cuda_of(be);
    int32_t         way  = CCU_LINEAR_AUTO;
    while (way <= CCU_LINEAR_PLAIN &&
           strcmp(ccu_linear_way_name((ccu_linear_way)way), name) != 0) {
        way++;
    }
    if (way > CCU_LINEAR_PLAIN) { return false; }
    if (way == CCU_LINEAR_CUBLASLT && cuda->cublaslt == NULL) { return false; }
    if (way == CCU_LINEAR_WGMMA && cuda->facts.capability != 90) { return false; }
    ccu_cuda_linear_use(be, (ccu_linear_way)way);
    return true;
}

bool gpu_way_takes(ccu_backend *be, const ccu_linear *op) {
    const ccu_linear_way asked = ccu_cuda_of(be)->way;
    return asked == CCU_LINEAR_AUTO || ccu_cuda_linear_way_of(be, op) == asked;
}

/* The backend's table with one entry replaced, and where that entry counts. */
static ccu_ops      counting_ops;
static gpu_linears *counts;

static void counted_linear(ccu_backend *be, const ccu_linear *op) {
    counts->all += 1;
    if (op->M > 0 && gpu_way_takes(be, op)) { counts->taken += 1; }
    ccu_cuda_linear(be, op);
}

void gpu_count_linears(ccu_backend *be, gpu_linears *count) {
    counts              = count;
    counting_ops        = *be->ops;
    counting_ops.linear = counted_linear;
    be->ops             = &counting_ops;
}
