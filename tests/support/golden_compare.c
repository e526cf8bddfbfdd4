/* Comparisons; see golden_compare.h. */
#include "support/golden_compare.h"

#include <math.h>
#include <stdio.h>

static void compare(golden_verdict *verdict, const char *what, const float *got,
                    const float *want, size_t count, double limit) {
    double worst = 0.0;
    size_t first = count;
    for (size_t i = 0; i < count; i++) {
        const double off = fabs((double)got[i] - (double)want[i]);
        if (!(off <= limit) && first == count) { first = i; }
        if (off > worst || isnan(off)) { worst = off; }
    }
    verdict->compared += 1;
    if (worst / limit > verdict->worst || isnan(worst)) { verdict->worst = worst / limit; }
    if (first == count) { return; }
    verdict->failed += 1;
    if (verdict->quiet) { return; }
    printf("%s %s: first bad index %zu of %zu: got %.9g, expected %.9g, tolerance %.3g; "
           "largest difference %.3g\n",
           verdict->model, what, first, count, (double)got[first], (double)want[first], limit,
           worst);
}

void golden_close_to(golden_verdict *verdict, const char *what, const float *got,
                     const float *want, size_t count, double tolerance) {
    double largest = 0.0;
    for (size_t i = 0; i < count; i++) { largest = fmax(largest, fabs((double)want[i])); }
    compare(verdict, what, got, want, count, tolerance * largest);
}

void golden_within(golden_verdict *verdict, const char *what, const float *got, const float *want,
                   size_t count, double tolerance) {
    compare(verdict, what, got, want, count, tolerance);
}

void golden_cosine(golden_verdict *verdict, const char *what, const float *got, const float *want,
                   int32_t rows, int32_t width, double cosine_min) {
    verdict->compared += 1;
    for (int32_t m = 0; m < rows; m++) {
        const float *a = got + (size_t)m * (size_t)width, *b = want + (size_t)m * (size_t)width;
        double       ab = 0.0, aa = 0.0, bb = 0.0;
        for (int32_t i = 0; i < width; i++) {
            ab += (double)a[i] * (double)b[i];
            aa += (double)a[i] * (double)a[i];
            bb += (double)b[i] * (double)b[i];
        }
        const double cosine = ab / sqrt(aa * bb);
        if (!(cosine >= verdict->cosine)) { verdict->cosine = cosine; }
        if (cosine >= cosine_min) { continue; }
        verdict->failed += 1;
        if (!verdict->quiet) {
            printf("%s %s: row %d of %d has cosine %.7f, expected at least %.7f\n",
                   verdict->model, what, m, rows, cosine, cosine_min);
        }
        return;
    }
}

void golden_to_f32(const void *from, ccu_dtype dtype, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) {
        switch (dtype) {
        case CCU_F32: out[i] = ((const float *)from)[i]; break;
        case CCU_BF16: out[i] = ccu_bf16_to_f32(((const ccu_bf16 *)from)[i]); break;
        case CCU_F16: out[i] = ccu_f16_to_f32(((const ccu_f16 *)from)[i]); break;
        }
    }
}
