/* A linear layer as the tensor-core kernels take it. */
#ifndef CCU_KERNELS_LINEAR_MMA_H
#define CCU_KERNELS_LINEAR_MMA_H

#include "linear_ways.h"

template <class T> struct linear_problem {
    T           *y;
    const T     *x, *w;
    const float *b; /* or NULL */
    const T     *r; /* or NULL; may equal y */
    int32_t      M, N, K;
    int32_t      x_stride, y_stride, w_stride; /* elements */
    ccu_act      act;
    bool         vectors; /* 8 columns of y and r at a time: N, stride and pointers allow it */
};

template <class T> static inline linear_problem<T> linear_problem_of(const ccu_linear *op) {
    const int32_t   y_stride = ccu_linear_y_stride(op);
    const uintptr_t at       = (uintptr_t)op->y | (uintptr_t)op->r;
    return linear_problem<T>{ (T *)op->y,
                              (const T *)op->x,
                              (const T *)op->w,
                              op->b,
                              (const T *)op->r,
                              op->M,
                              op->N,
                              op->K,
                              ccu_linear_x_stride(op),
                              y_stride,
                              ccu_cuda_weight_stride(op->K, op->dtype),
                              op->act,
                              op->N % 8 == 0 && y_stride % 8 == 0 && at % 16 == 0 };
}

/* 16-bit dtype, K and the stride of x multiples of 8, x and w 16-byte aligned: whole 16-byte
 * copies of either operand. */
static inline bool linear_copies_whole(const ccu_linear *op) {
    const uintptr_t at = (uintptr_t)op->x | (uintptr_t)op->w;
    return op->dtype != CCU_F32 && op->K % 8 == 0 && ccu_linear_x_stride(op) % 8 == 0 &&
           at % 16 == 0;
}

#endif
