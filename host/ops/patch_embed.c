/* Pixels to tokens on the CPU: patches become rows (im2col) in a stage, a block of rows at a time,
 * and a product turns them into tokens with positions added. */
#include <assert.h>

#include "ops/lanes.h"
#include "ops/product.h"

typedef struct patches {
    const ccu_patch_embed *op;
    ccu_dtype              to; /* what the product multiplies */
} patches;

static inline void put(void *to, int32_t at, float value, ccu_dtype dtype) {
    if (dtype == CCU_F32) {
        ((float *)to)[at] = value;
    } else {
        ((ccu_bf16 *)to)[at] = ccu_bf16_from_f32(value);
    }
}

/* What the product sees of a value that bf16 emulation multiplies as f32. */
static float rounded(float value, ccu_dtype dtype) {
    return dtype == CCU_BF16 ? ccu_bf16_to_f32(ccu_bf16_from_f32(value)) : value;
}

/* Patch row: image row / (G * G), patch row % (G * G); K order (channel, ky, kx). */
static void fill_row(const void *context, int32_t row, void *to) {
    const patches         *all = context;
    const ccu_patch_embed *op  = all->op;
    const int32_t          P   = op->P;
    const int32_t          G   = op->S / P;
    const size_t           S   = (size_t)op->S;
    const size_t           b   = (size_t)(row / (G * G));
    const int32_t          p   = row % (G * G);
    const size_t           y0  = (size_t)(p / G * P);
    const size_t           x0  = (size_t)(p % G * P);
    int32_t                at  = 0;
    for (size_t c = 0; c < 3; c++) {
        for (size_t ky = 0; ky < (size_t)P; ky++) {
            if (op->kind == CCU_PIXELS_U8) {
                const uint8_t *from = (const uint8_t *)op->pixels +
                                      ((b * S + y0 + ky) * S + x0) * 3 + c;
                for (int32_t kx = 0; kx < P; kx++) {
                    put(to, at++, (float)from[3 * kx] - 128.0f, all->to);
                }
            } else {
                const float *from = (const float *)op->pixels +
                                    ((b * 3 + c) * S + y0 + ky) * S + x0;
                for (int32_t kx = 0; kx < P; kx++) {
                    const float v = from[kx] * op->unscale[c] + op->unshift[c];
                    put(to, at++, rounded(v, op->dtype), all->to);
                }
            }
        }
    }
}

static void class_token(const ccu_patch_embed *op, int32_t b) {
    const size_t G  = (size_t)(op->S / op->P);
    const size_t at = (size_t)b * (G * G + 1) * (size_t)op->C;
    for (int32_t c = 0; c < op->C; c += CCU_LANES) {
        const int32_t   left = op->C - c;
        const ccu_lanes v    = ccu_lanes_read(op->class_token, (size_t)c, left, CCU_F32) +
                            ccu_lanes_read(op->positions, (size_t)c, left, CCU_F32);
        ccu_lanes_write(op->y, at + (size_t)c, v, left, op->dtype);
    }
}

void ccu_cpu_patch_embed(ccu_backend *be, const ccu_patch_embed *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "patch_embed", op->dtype)) { return; }
    assert(op->B >= 0 && op->P > 0 && op->C > 0);
    assert(op->S >= op->P);
    const int32_t G    = op->S / op->P;
    const patches rows = { op, ccu_cpu_product_dtype(cpu, op->dtype) };
    for (int32_t b = 0; b < op->B; b++) { class_token(op, b); }

    const ccu_product product = { .fill         = fill_row,
                                  .fill_context = &rows,
                                  .w            = op->w,
                                  .M            = op->B * G * G,
                                  .N            = op->C,
                                  .K            = 3 * op->P * op->P,
                                  .y            = op->y,
                                  .b            = op->b,
                                  .positions    = op->positions,
                                  .y_stride     = (size_t)op->C,
                                  .group        = G * G,
                                  .act          = CCU_ACT_NONE,
                                  .dtype        = op->dtype };
    ccu_product_run(cpu, &product);
}

size_t ccu_cpu_patch_embed_scratch(ccu_backend *be, const ccu_patch_embed *op) {
    (void)be; /* the stage belongs to the backend: linear_pack made it large enough */
    (void)op;
    return 0;
}
