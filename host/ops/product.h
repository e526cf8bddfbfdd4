/* The matrix product under linear and patch_embed: rows times packed weights, with bias,
 * activation, residual and positions added while results are in cache.
 *
 * Work is cut into tasks of some rows by some columns, each computed by one thread from start to
 * end, in one of two ways:
 *   tiles   (product_tiles.c) by oneDNN, which has AVX-512 and AMX kernels and layouts;
 *   panels  (product_panels.c) by our own f32 kernel, where oneDNN would pack the weights anew in
 *           every call: below AVX-512.
 * Either way an element is one sum over K in an order that depends on nothing but K, so results
 * depend neither on M nor on the number of threads; README.md says how that was measured. */
#ifndef CCU_OPS_PRODUCT_H
#define CCU_OPS_PRODUCT_H

#include "ops/cpu_state.h"

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
    /* Output: y[row(m)] = act(product + b) + positions[m % group + 1] + r[m], where row(m) is m, or
     * m + m / group + 1 if group > 0 (a class token stands before each group). */
    void        *y; /* rows y_stride apart */
    const void  *r; /* rows y_stride apart, or NULL; may equal y */
    const float *b;
    const float *positions; /* (group + 1, N), or NULL if group is 0 */
    size_t       y_stride;
    int32_t      group;
    ccu_act      act;
    ccu_dtype    dtype; /* of w as given, of y and r */
} ccu_product;

/* Bytes of packed weights; 0 if oneDNN failed (recorded). Pure. */
size_t ccu_product_bytes(ccu_cpu *cpu, int32_t N, int32_t K, ccu_dtype dtype);
void   ccu_product_pack(ccu_cpu *cpu, void *to, const float *host_w, int32_t N, int32_t K,
                        ccu_dtype dtype);
void   ccu_product_run(ccu_cpu *cpu, const ccu_product *op);

/* ---- Between the files of the product ------------------------------------------------------ */

/* Rows that lie in memory: all of x, or as many as the stage holds. */
typedef struct ccu_product_block {
    const ccu_product *op;
    const uint8_t     *x;
    size_t             x_stride; /* elements */
    int32_t            m, rows;  /* rows m .. m + rows - 1 of the product */
    int32_t            memory_rows; /* >= rows: a stage is filled up with zeros */
    int32_t            tasks;
    int32_t            height, row_tiles;  /* rows of a task, how many times */
    int32_t            columns, row_tasks; /* columns of a task, how many times */
    size_t             task_bytes;         /* tiles: packed weights of one column task */
    ccu_dnnl_product  *full, *last;        /* tiles: of full column tasks and of the last */
} ccu_product_block;

/* Results on their way out: rows m .. m + rows - 1, columns n .. n + columns - 1. */
typedef struct ccu_product_result {
    const float *c; /* rows c_stride apart */
    size_t       c_stride;
    int32_t      m, rows;
    int32_t      n, columns;
} ccu_product_result;

/* Adds bias, activation, positions and residual; rounds once; writes y. */
void ccu_product_finish(const ccu_product *op, const ccu_product_result *result);

/* Rows in memory for a block of `rows` rows, at least rows. */
int32_t ccu_tiles_memory_rows(int32_t rows);
/* Fills in tasks and what follows it. False: recorded. */
bool   ccu_tiles_plan(ccu_cpu *cpu, ccu_product_block *block);
bool   ccu_tiles_run(ccu_cpu *cpu, const ccu_product_block *block, int32_t task);
size_t ccu_tiles_bytes(ccu_cpu *cpu, int32_t N, int32_t K, ccu_dtype dtype);
void   ccu_tiles_pack(ccu_cpu *cpu, void *to, const float *host_w, int32_t N, int32_t K,
                      ccu_dtype dtype);
/* The height of the row tiles that cover `rows` rows; grows with rows. */
int32_t ccu_tiles_height(int32_t rows);

void   ccu_panels_plan(const ccu_cpu *cpu, ccu_product_block *block);
void   ccu_panels_run(ccu_cpu *cpu, const ccu_product_block *block, int32_t task);
size_t ccu_panels_bytes(int32_t N, int32_t K, ccu_dtype dtype);
void   ccu_panels_pack(void *to, const float *host_w, int32_t N, int32_t K, ccu_dtype dtype);

static inline int32_t ccu_round_up(int32_t value, int32_t step) {
    return (value + step - 1) / step * step;
}

static inline int32_t ccu_ceil_div(int32_t a, int32_t b) {
    return (a + b - 1) / b;
}

#endif
