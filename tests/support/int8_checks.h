/* Checks of host/ops/product_int8_panel.h, for the files that compile it in different ways. */
#ifndef CCU_SUPPORT_INT8_CHECKS_H
#define CCU_SUPPORT_INT8_CHECKS_H

#include <stdlib.h>

#include "ops/product_int8_panel.h"
#include "reference/reference.h"

/* Rows that are hard to round: kind 0 .. INT8_KINDS - 1. */
#define INT8_KINDS 8
static inline void int8_fill(float *v, size_t count, int32_t kind, uint32_t seed) {
    for (size_t i = 0; i < count; i++) {
        seed          = seed * 1664525u + 1013904223u;
        const float u = (float)(seed >> 8) * 0x1p-23f - 1.0f; /* -1 .. 1 */
        switch (kind) {
        case 0: v[i] = u; break;
        case 1: v[i] = u * u * u * 1e4f; break;
        case 2: v[i] = 0.0f; break;
        case 3: v[i] = 1.0f; break;                          /* the largest sums there are */
        case 4: v[i] = i % 4 < 2 ? -1.0f : 1.0f; break;
        case 5: v[i] = (float)((int32_t)(seed >> 24) - 127) * 0.5f; break; /* ties */
        case 6: v[i] = u * 3e-37f; break;                    /* a scale below 1e-30: zeros */
        default: v[i] = i % 97 == 5 ? 3e38f : u; break;      /* one outlier */
        }
    }
}

/* Products of every kind of rows and weights are exactly the reference's, as are x's numbers; and
 * what pmaddubsw adds up in 16 bits stays there. Returns how many numbers differ. */
static inline size_t int8_differences(int32_t rows, int32_t K) {
    const size_t depth = ccu_int8_depth(K), k_size = (size_t)K;
    float       *x  = malloc(k_size * sizeof *x * (size_t)rows);
    float       *w  = malloc(k_size * sizeof *w * CCU_INT8_PANEL);
    float       *c  = malloc((size_t)rows * CCU_INT8_PANEL * sizeof *c);
    float       *sx = malloc((size_t)rows * sizeof *sx);
    int32_t     *qx = malloc(k_size * sizeof *qx), *qw = malloc(k_size * sizeof *qw);
    uint8_t     *bytes  = malloc(depth * (size_t)rows);
    uint8_t     *packed = malloc(ccu_int8_panel_bytes(K));
    size_t       wrong  = 0;
    const int32_t N     = CCU_INT8_PANEL - 1; /* the last output is filled up */
    for (int32_t m = 0; m < rows; m++) {
        int8_fill(x + (size_t)m * k_size, k_size, m % INT8_KINDS, (uint32_t)m + 1);
        sx[m] = ccu_int8_row(x + (size_t)m * k_size, K, bytes + (size_t)m * depth);
    }
    for (int32_t n = 0; n < N; n++) {
        int8_fill(w + (size_t)n * k_size, k_size, n % INT8_KINDS, (uint32_t)n + 77);
    }
    ccu_int8_pack_panel(w, 0, N, K, packed);
    for (int32_t i = 0; i < rows; i += CCU_INT8_ROWS) {
        const ccu_int8_panel p = { .c = c + (size_t)i * CCU_INT8_PANEL,
                                   .x = bytes + (size_t)i * depth, .scales = sx + i, .w = packed,
                                   .x_stride = depth, .K = K };
        ccu_int8_run_panel(&p, rows - i);
    }
    for (int32_t m = 0; m < rows; m++) {
        const double scale = ref_int8(x + (size_t)m * k_size, K, false, qx);
        wrong += scale != (double)sx[m];
        for (size_t k = 0; k < k_size; k++) {
            wrong += bytes[(size_t)m * depth + k] != (uint8_t)(qx[k] + 128);
        }
        for (int32_t n = 0; n < CCU_INT8_PANEL; n++) {
            int64_t sum = 0;
            float   by  = 0.0f;
            if (n < N) { by = (float)ref_int8(w + (size_t)n * k_size, K, true, qw); }
            for (size_t k = 0; k < k_size && n < N; k++) {
                const int32_t next = k % 2 == 0 && k + 1 < k_size ? qw[k + 1] : 0;
                sum += (int64_t)qx[k] * qw[k];
                wrong += abs(qw[k] + next) > 128 || abs(qw[k]) > 127;
            }
            const float want = (float)sum * ((float)scale * by);
            wrong += c[(size_t)m * CCU_INT8_PANEL + (size_t)n] != want;
        }
    }
    free(packed);
    free(bytes);
    free(qw);
    free(qx);
    free(sx);
    free(c);
    free(w);
    free(x);
    return wrong;
}

#endif
