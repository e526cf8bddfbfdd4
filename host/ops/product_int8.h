/* Products of f32 rows with weights rounded to int8: a linear whose weights are CCU_WEIGHTS_INT8.
 * product_int8_panel.h has the rule and the arithmetic. */
#ifndef CCU_OPS_PRODUCT_INT8_H
#define CCU_OPS_PRODUCT_INT8_H

#include "ops/product.h"

/* Bytes of packed weights; 0 if K is too large (recorded). Pure. */
size_t ccu_int8_bytes(ccu_cpu *cpu, int32_t N, int32_t K);
void   ccu_int8_pack(ccu_cpu *cpu, void *to, const float *host_w, int32_t N, int32_t K);

/* op->x is read in place: f32, no fill and no groups. */
void ccu_int8_run(ccu_cpu *cpu, const ccu_product *op);

/* "AVX2", "VNNI", ...: the instructions this was compiled for. */
const char *ccu_int8_instructions(void);

#endif
