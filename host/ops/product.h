/* The matrix product under linear and patch_embed: rows times packed weights, cut into tiles that
 * one thread each computes, with bias, activation, residual and positions added while a tile is
 * in cache.
 *
 * A tile is at most CCU_PRODUCT_ROWS rows by one chunk of weights. Chunks depend on N alone, tile
 * heights are multiples of CCU_PRODUCT_STEP: within those limits oneDNN's kernels give a row the
 * same bits whatever the height and its place in the tile (measured; see README.md), so results
 * depend neither on M nor on the number of threads. */
#ifndef CCU_OPS_PRODUCT_H
#define CCU_OPS_PRODUCT_H

#include "ops/cpu_state.h"

#define CCU_PRODUCT_STEP 6
#define CCU_PRODUCT_ROWS 192
#define CCU_PRODUCT_COLUMNS 256

/* Writes row `row` of the input, K elements of the product's dtype. */
typedef void (*ccu_product_fill)(const void *context, int32_t row, void *to);

typedef struct ccu_product {
    /* Input: either x in the product's dtype, read in place, or fill. */
    const void      *x; /* (M, K), rows x_stride apart */
    size_t           x_stride;
    ccu_product_fill fill; /* NULL: x */
    const void      *fill_context;
    const void      *w; /* as ccu_product_pack wrote it */
    int32_t          M, N, K;
    /* Output: y[row(m)] = act(product + b) + r[m] + positions[m % group + 1], where row(m) is m, or
     * m + m / group + 1 if group > 0 (a class token stands before each group). */
    void        *y; /* rows y_stride apart */
    const void  *r; /* rows y_stride apart, or NULL; may equal y */
    const float *b;
    const float *positions; /* (group + 1, N), or NULL if group is 0 */
    size_t       y_stride;
    int32_t      group;
    ccu_act      act;
    ccu_dtype    dtype; /* of y and r */
} ccu_product;

/* Bytes of packed weights; 0 if oneDNN failed (recorded). Pure. */
size_t ccu_product_bytes(ccu_cpu *cpu, int32_t N, int32_t K, ccu_dtype dtype);
void   ccu_product_pack(ccu_cpu *cpu, void *to, const float *host_w, int32_t N, int32_t K,
                        ccu_dtype dtype);

void ccu_product_run(ccu_cpu *cpu, const ccu_product *op);

/* The height of the tiles that cover `rows` rows. */
int32_t ccu_product_height(int32_t rows);

#endif
