/* Dense attention on tensor cores: what attention.cu asks attention_mma.cu. */
#ifndef CCU_KERNELS_ATTENTION_MMA_H
#define CCU_KERNELS_ATTENTION_MMA_H

#include "cuda_state.h"

/* Is there a kernel for this head size and dtype? Pointers and strides must be multiples of 16
 * bytes as well. */
bool ccu_attention_mma_has(int32_t D, ccu_dtype dtype);

/* Launches it; the device's error code. */
int ccu_attention_mma_launch(ccu_cuda *cuda, const ccu_attention *op);

#endif
