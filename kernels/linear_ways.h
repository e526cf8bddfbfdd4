/* The ways to compute a linear layer. linear.cu picks one by a table; each way is a file.
 *
 * A way's `can` looks at shape, dtype, strides and pointer alignment but never at M: which way a
 * row takes must not depend on how many rows there are. The function returns the launch's code (0
 * is good); it expects can() and M, N, K > 0. */
#ifndef CCU_KERNELS_LINEAR_WAYS_H
#define CCU_KERNELS_LINEAR_WAYS_H

#include "cuda_state.h"

/* linear_wgmma.cu: sm_90a, TMA and wgmma, f16 and bf16. False on any other chip, and in a build
 * whose list of architectures lacks 90a. */
#if defined(CCU_NO_WGMMA)
static inline bool ccu_cuda_linear_wgmma_can(const ccu_cuda *, const ccu_linear *) {
    return false;
}

static inline int ccu_cuda_linear_wgmma(ccu_cuda *, const ccu_linear *) {
    return 1; /* never called */
}
#else
bool ccu_cuda_linear_wgmma_can(const ccu_cuda *cuda, const ccu_linear *op);
int  ccu_cuda_linear_wgmma(ccu_cuda *cuda, const ccu_linear *op);
#endif

/* linear_mma.cu: sm_80 and later, cp.async and mma.sync, f16 and bf16. K a multiple of 8 and rows
 * of x 16-byte aligned. */
bool ccu_cuda_linear_mma_can(const ccu_cuda *cuda, const ccu_linear *op);
int  ccu_cuda_linear_mma(ccu_cuda *cuda, const ccu_linear *op);

/* linear_plain.cu: every dtype, shape and stride. */
bool ccu_cuda_linear_plain_can(const ccu_cuda *cuda, const ccu_linear *op);
int  ccu_cuda_linear_plain(ccu_cuda *cuda, const ccu_linear *op);

/* The kernel of ccu_cuda_linear_act. */
int ccu_linear_act_launch(ccu_cuda *cuda, const ccu_linear *op);

/* Row strides with 0 resolved, in elements. */
static inline int32_t ccu_linear_x_stride(const ccu_linear *op) {
    return op->x_stride == 0 ? op->K : op->x_stride;
}

static inline int32_t ccu_linear_y_stride(const ccu_linear *op) {
    return op->y_stride == 0 ? op->N : op->y_stride;
}

#endif
