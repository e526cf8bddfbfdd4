/* The CPU backend: oneDNN for matrix products, OpenMP loops for the rest. */
#ifndef CCU_OPS_CPU_BACKEND_H
#define CCU_OPS_CPU_BACKEND_H

#include "ops/ops.h"

/* threads >= 1. Closed with be->ops->close(be). NOMEM, BACKEND. */
clipcu_status ccu_cpu_open(int32_t threads, ccu_backend **out, clipcu_error *error);

/* What ccu_cpu_open decides by looking at the CPU, for comparing the ways on one machine. */
typedef struct ccu_cpu_way {
    bool bf16_native; /* bf16 products by the CPU, which must have them */
    bool panels;      /* f32 products by our kernel; else by oneDNN */
} ccu_cpu_way;

ccu_cpu_way   ccu_cpu_best_way(void);
clipcu_status ccu_cpu_open_way(int32_t threads, ccu_cpu_way way, ccu_backend **out,
                               clipcu_error *error);

/* True if this CPU multiplies bf16 natively (AVX512_BF16 or AMX). Elsewhere bf16 tensors are
 * stored and rounded as bf16 but multiplied as f32: the same results, at f32 speed. */
bool ccu_cpu_bf16_native(void);

/* "oneDNN 2.6.3, AVX2" into text. */
void ccu_cpu_describe(char *text, size_t bytes);

#endif
