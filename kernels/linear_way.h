/* Which code multiplies: for tests and measurements, in C. */
#ifndef CCU_KERNELS_LINEAR_WAY_H
#define CCU_KERNELS_LINEAR_WAY_H

#include "ops/ops.h"

typedef enum ccu_linear_way {
    CCU_LINEAR_AUTO     = 0, /* linear.cu's table */
    CCU_LINEAR_CUBLASLT = 1,
    CCU_LINEAR_WGMMA    = 2,
    CCU_LINEAR_MMA      = 3,
    CCU_LINEAR_PLAIN    = 4
} ccu_linear_way;

/* From now on `way` takes every op that it can do, AUTO's table the others. */
void ccu_cuda_linear_use(ccu_backend *be, ccu_linear_way way);

/* The way that linear would take; pointers are looked at for their alignment only. */
ccu_linear_way ccu_cuda_linear_way_of(const ccu_backend *be, const ccu_linear *op);

/* "auto", "cublaslt", "wgmma", "mma", "plain" */
const char *ccu_linear_way_name(ccu_linear_way way);

/* y = act(y) + r in f32, the last step of a way that has only multiplied; r may not be y. x, w and
 * b are not read. */
void ccu_cuda_linear_act(ccu_backend *be, const ccu_linear *op);

#endif
