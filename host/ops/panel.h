/* A small product: C (rows, CCU_PANEL) = A (rows, K) . B (K, CCU_PANEL) in registers, f32 but for
 * B, which may be bf16. Every element is a sum of chains of multiply-adds in the order of K, cut
 * at the same places whatever the number of rows: a row's result does not depend on its
 * neighbours. */
#ifndef CCU_OPS_PANEL_H
#define CCU_OPS_PANEL_H

#include "ops/lanes.h"

#define CCU_PANEL (2 * CCU_LANES)
#define CCU_PANEL_CHAIN 256 /* terms of one chain: rounding grows with its length */
#define CCU_PANEL_ROWS 6 /* 12 sums, 2 of B and 1 of A: the 16 registers of AVX2 */

typedef struct ccu_panel {
    float       *c; /* rows c_stride apart */
    const float *a; /* rows a_stride apart */
    const void  *b; /* rows b_stride apart */
    size_t       c_stride, a_stride, b_stride;
    int32_t      K;
} ccu_panel;

/* Terms start .. stop - 1 of K, added to c unless start is 0. rows and b_dtype are constants where
 * this is expanded. */
static inline __attribute__((always_inline)) void ccu_panel_chain(const ccu_panel *p, int32_t start,
                                                                  int32_t stop, int32_t rows,
                                                                  ccu_dtype b_dtype) {
    ccu_lanes sum[CCU_PANEL_ROWS][2] = { { { 0 } } };
    size_t    b                      = (size_t)start * p->b_stride;
    for (int32_t k = start; k < stop; k++) {
        const ccu_lanes left  = ccu_lanes_read(p->b, b, CCU_LANES, b_dtype);
        const ccu_lanes right = ccu_lanes_read(p->b, b + CCU_LANES, CCU_LANES, b_dtype);
#pragma GCC unroll 6
        for (int32_t i = 0; i < rows; i++) {
            const ccu_lanes a = ccu_lanes_set(p->a[(size_t)i * p->a_stride + (size_t)k]);
            sum[i][0] += a * left;
            sum[i][1] += a * right;
        }
        b += p->b_stride;
    }
#pragma GCC unroll 6
    for (int32_t i = 0; i < rows; i++) {
        float *c = p->c + (size_t)i * p->c_stride;
        if (start > 0) {
            sum[i][0] += ccu_lanes_load(c);
            sum[i][1] += ccu_lanes_load(c + CCU_LANES);
        }
        ccu_lanes_store(c, sum[i][0]);
        ccu_lanes_store(c + CCU_LANES, sum[i][1]);
    }
}

static inline __attribute__((always_inline)) void ccu_panel_rows(const ccu_panel *p, int32_t rows,
                                                                 ccu_dtype b_dtype) {
    for (int32_t start = 0; start < p->K; start += CCU_PANEL_CHAIN) {
        const int32_t left = p->K - start;
        ccu_panel_chain(p, start, start + (left < CCU_PANEL_CHAIN ? left : CCU_PANEL_CHAIN), rows,
                        b_dtype);
    }
}

/* The first CCU_PANEL_ROWS of `rows` rows, or all if they are fewer. */
static inline __attribute__((always_inline)) void ccu_panel_run(const ccu_panel *p, int32_t rows,
                                                                ccu_dtype b_dtype) {
    switch (rows) {
    case 1: ccu_panel_rows(p, 1, b_dtype); break;
    case 2: ccu_panel_rows(p, 2, b_dtype); break;
    case 3: ccu_panel_rows(p, 3, b_dtype); break;
    case 4: ccu_panel_rows(p, 4, b_dtype); break;
    case 5: ccu_panel_rows(p, 5, b_dtype); break;
    default: ccu_panel_rows(p, CCU_PANEL_ROWS, b_dtype); break;
    }
}

#endif
