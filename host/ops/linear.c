/* y = act(x . w^T + b) + r on the CPU: products finished while in cache. */
#include <assert.h>

#include "ops/lanes.h"
#include "ops/product.h"
#include "ops/product_int8.h"

/* bf16 rows that this CPU multiplies as f32. */
typedef struct rows_bf16 {
    const ccu_bf16 *x;
    size_t          x_stride;
    int32_t         K;
} rows_bf16;

static void expand_row(const void *context, int32_t row, void *to) {
    const rows_bf16 *from = context;
    const ccu_bf16  *x    = from->x + (size_t)row * from->x_stride;
    for (int32_t k = 0; k < from->K; k += CCU_LANES) {
        const int32_t left = from->K - k;
        ccu_lanes_write(to, (size_t)k, ccu_lanes_read(x, (size_t)k, left, CCU_BF16), left, CCU_F32);
    }
}

/* Int8 weights go with f32 rows. Otherwise UNSUPPORTED is recorded. */
static bool weights_ready(ccu_cpu *cpu, const char *op, ccu_dtype dtype, ccu_weights weights) {
    if (!ccu_cpu_ready(cpu, op, dtype)) { return false; }
    if (weights == CCU_WEIGHTS_PLAIN || dtype == CCU_F32) { return true; }
    (void)ccu_fail(&cpu->base.error, CLIPCU_ERR_UNSUPPORTED, "%s: int8 weights go with f32, not %s",
                   op, ccu_dtype_name(dtype));
    return false;
}

void ccu_cpu_linear(ccu_backend *be, const ccu_linear *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!weights_ready(cpu, "linear", op->dtype, op->weights) || op->M == 0) { return; }
    const int32_t   x_stride = op->x_stride == 0 ? op->K : op->x_stride;
    const int32_t   y_stride = op->y_stride == 0 ? op->N : op->y_stride;
    const rows_bf16 rows     = { op->x, (size_t)x_stride, op->K };
    assert(op->M > 0 && op->N > 0 && op->K > 0);
    assert(x_stride >= op->K && y_stride >= op->N);

    ccu_product product = { .x        = op->x,
                            .x_stride = (size_t)x_stride,
                            .w        = op->w,
                            .M        = op->M,
                            .N        = op->N,
                            .K        = op->K,
                            .y        = op->y,
                            .r        = op->r,
                            .b        = op->b,
                            .y_stride = (size_t)y_stride,
                            .act      = op->act,
                            .dtype    = op->dtype };
    if (op->weights == CCU_WEIGHTS_INT8) {
        ccu_int8_run(cpu, &product);
        return;
    }
    if (op->dtype != ccu_cpu_product_dtype(cpu, op->dtype)) {
        product.fill         = expand_row;
        product.fill_context = &rows;
    }
    ccu_product_run(cpu, &product);
}

size_t ccu_cpu_linear_bytes(ccu_backend *be, int32_t N, int32_t K, ccu_dtype dtype,
                            ccu_weights weights) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!weights_ready(cpu, "linear_bytes", dtype, weights)) { return 0; }
    assert(N > 0 && K > 0);
    if (weights == CCU_WEIGHTS_INT8) { return ccu_int8_bytes(cpu, N, K); }
    return ccu_product_bytes(cpu, N, K, dtype);
}

void ccu_cpu_linear_pack(ccu_backend *be, void *to, const float *host_w, int32_t N, int32_t K,
                         ccu_dtype dtype, ccu_weights weights) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!weights_ready(cpu, "linear_pack", dtype, weights)) { return; }
    assert(N > 0 && K > 0);
    assert(to != NULL && host_w != NULL);
    if (weights == CCU_WEIGHTS_INT8) {
        ccu_int8_pack(cpu, to, host_w, N, K);
    } else {
        ccu_product_pack(cpu, to, host_w, N, K, dtype);
    }
}
