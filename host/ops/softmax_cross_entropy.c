/* Cross-entropy of scaled cosines and its gradient on the CPU. Per picture: scores, log-sum-exp and
 * softmax - onehot in its row of scratch; then per class row the sum over pictures, in their
 * order. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "ops/cpu_state.h"
#include "ops/lanes.h"

static const float *bank_of(const ccu_softmax_cross_entropy *op, int32_t b) {
    return op->bank + (op->own_banks ? (size_t)b * (size_t)op->K * (size_t)op->E : 0);
}

/* z[k] = scale x[b] . bank[k] for classes first .. end - 1 */
static void score(const ccu_softmax_cross_entropy *op, int32_t b, int32_t first, int32_t end,
                  float *z) {
    const float *x = op->x + (size_t)b * (size_t)op->E;
    for (int32_t k = first; k < end; k++) {
        const float *row = bank_of(op, b) + (size_t)k * (size_t)op->E;
        ccu_lanes    sum = { 0 };
        for (int32_t e = 0; e < op->E; e += CCU_LANES) {
            const int32_t left = op->E - e;
            sum += ccu_lanes_read(x, (size_t)e, left, CCU_F32) *
                   ccu_lanes_read(row, (size_t)e, left, CCU_F32);
        }
        z[k] = op->scale * ccu_lanes_sum(sum);
    }
}

/* Turns scores into the gradient with respect to them, without scale and weight. */
static void picture(const ccu_softmax_cross_entropy *op, int32_t b, float *z) {
    int32_t best  = 0;
    double  total = 0.0;
    for (int32_t k = 1; k < op->K; k++) {
        if (z[k] > z[best]) { best = k; }
    }
    const float top = z[best], own = z[op->label[b]];
    for (int32_t k = 0; k < op->K; k++) {
        z[k] = expf(z[k] - top);
        total += (double)z[k];
    }
    for (int32_t k = 0; k < op->K; k++) { z[k] = (float)((double)z[k] / total); }
    z[op->label[b]] -= 1.0f;
    op->best[b] = best;
    op->loss[b] = (float)(log(total) + ((double)top - (double)own));
}

/* Row k of the gradient: the sum over pictures first .. end - 1. */
static void gradient(const ccu_softmax_cross_entropy *op, const float *z, int32_t k, int32_t first,
                     int32_t end, float *to) {
    const float by = op->weight * op->scale;
    for (int32_t e = 0; e < op->E; e += CCU_LANES) {
        const int32_t left = op->E - e;
        ccu_lanes     sum  = { 0 };
        for (int32_t b = first; b < end; b++) {
            const float *x = op->x + (size_t)b * (size_t)op->E;
            sum += z[(size_t)b * (size_t)op->K + (size_t)k] *
                   ccu_lanes_read(x, (size_t)e, left, CCU_F32);
        }
        ccu_lanes_write(to, (size_t)e, by * sum, left, CCU_F32);
    }
}

#define CLASSES 64 /* scored by a thread at a time */

void ccu_cpu_softmax_cross_entropy(ccu_backend *be, const ccu_softmax_cross_entropy *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "softmax_cross_entropy", CCU_F32)) { return; }
    assert(op->B >= 0 && op->K > 0 && op->E > 0);
    assert(op->dbank != op->bank && op->scratch != NULL);
    float        *z     = op->scratch; /* (B, K) */
    const size_t  K     = (size_t)op->K;
    const int32_t parts = (op->K + CLASSES - 1) / CLASSES;
#pragma omp parallel num_threads(cpu->threads)
    {
#pragma omp for schedule(static) collapse(2)
        for (int32_t b = 0; b < op->B; b++) {
            for (int32_t i = 0; i < parts; i++) {
                const int32_t end = (i + 1) * CLASSES < op->K ? (i + 1) * CLASSES : op->K;
                score(op, b, i * CLASSES, end, z + (size_t)b * K);
            }
        }
#pragma omp for schedule(static)
        for (int32_t b = 0; b < op->B; b++) { picture(op, b, z + (size_t)b * K); }
#pragma omp for schedule(static) collapse(2)
        for (int32_t own = 0; own < (op->own_banks ? op->B : 1); own++) {
            for (int32_t k = 0; k < op->K; k++) {
                float *to = op->dbank + ((size_t)own * K + (size_t)k) * (size_t)op->E;
                gradient(op, z, k, op->own_banks ? own : 0, op->own_banks ? own + 1 : op->B, to);
            }
        }
    }
}

size_t ccu_cpu_softmax_cross_entropy_scratch(ccu_backend *be,
                                             const ccu_softmax_cross_entropy *op) {
    (void)be;
    return (size_t)op->B * (size_t)op->K * sizeof(float);
}
