/* The ops at the ends of the towers as mathematics: tokens in, scores out; see reference.h. */
#include <math.h>
#include <stdlib.h>

#include "reference/reference.h"

static void put(double *y, double *bound, size_t at, double value, double error) {
    y[at] = value;
    if (bound != NULL) { bound[at] = error + 1e-30; }
}

void ref_embed_tokens(const ccu_embed_tokens *op, double *y, double *bound) {
    const size_t C = (size_t)op->C;
    for (size_t m = 0; m < (size_t)op->M; m++) {
        const int32_t id  = op->ids[m];
        const float  *row = id < op->V ? (const float *)op->table + (size_t)id * C
                                       : op->learned + (size_t)(id - op->V) * C;
        for (size_t c = 0; c < C; c++) {
            const double v = (double)row[c] +
                             (double)op->positions[(size_t)op->at[m] * C + c];
            put(y, bound, m * C + c, v, 1.01 * (ref_unit(op->dtype) + REF_U32) * fabs(v));
        }
    }
}

/* Channel c of image b at (x, y), minus 128 */
static double pixel(const ccu_patch_embed *op, size_t b, size_t c, size_t y, size_t x) {
    const size_t S = (size_t)op->S;
    if (op->kind == CCU_PIXELS_U8) {
        return (double)((const uint8_t *)op->pixels)[((b * S + y) * S + x) * 3 + c] - 128.0;
    }
    return (double)((const float *)op->pixels)[((b * 3 + c) * S + y) * S + x] * op->unscale[c] +
           (double)op->unshift[c];
}

/* Patch p of image b times row n of w, plus bias. *size: the sum of absolute terms. */
static double patch_product(const ccu_patch_embed *op, size_t b, size_t p, size_t n, double *size) {
    const size_t P = (size_t)op->P, G = (size_t)(op->S / op->P);
    const float *w   = (const float *)op->w + n * 3 * P * P;
    double       sum = op->b[n];
    *size            = fabs(sum);
    for (size_t c = 0; c < 3; c++) {
        for (size_t ky = 0; ky < P; ky++) {
            for (size_t kx = 0; kx < P; kx++) {
                const double u    = pixel(op, b, c, p / G * P + ky, p % G * P + kx);
                const double term = u * w[(c * P + ky) * P + kx];
                sum += term;
                *size += fabs(term);
            }
        }
    }
    return sum;
}

void ref_patch_embed(const ccu_patch_embed *op, double *y, double *bound) {
    const size_t G = (size_t)(op->S / op->P), T = G * G + 1, C = (size_t)op->C;
    /* pixels are exact, but normalised ones come back through a rounding to dtype */
    const double input = op->kind == CCU_PIXELS_U8 ? 0.0 : ref_unit(op->dtype) + 4.0 * REF_U32;
    const double units = (8.0 + 2.0 * sqrt(3.0) * op->P) * REF_U32;
    for (size_t b = 0; b < (size_t)op->B; b++) {
        for (size_t t = 0; t < T; t++) {
            for (size_t n = 0; n < C; n++) {
                double size = 0.0;
                double v    = t == 0 ? (double)op->class_token[n]
                                     : patch_product(op, b, t - 1, n, &size);
                v += op->positions[t * C + n];
                const double error = (units + input) * size + ref_unit(op->dtype) * fabs(v);
                put(y, bound, (b * T + t) * C + n, v, 1.01 * error + 2.0 * REF_U32 * fabs(v));
            }
        }
    }
}

void ref_gather(const ccu_gather *op, double *y, double *bound) {
    const size_t C = (size_t)op->C;
    for (size_t m = 0; m < (size_t)op->M; m++) {
        for (size_t c = 0; c < C; c++) {
            put(y, bound, m * C + c, ((const float *)op->x)[(size_t)op->rows[m] * C + c], 0.0);
        }
    }
}

void ref_normalise(const ccu_normalise *op, double *y, double *bound) {
    const size_t E = (size_t)op->E;
    for (size_t m = 0; m < (size_t)op->M; m++) {
        const float *x   = (const float *)op->x + m * E;
        double       sum = 0.0;
        for (size_t e = 0; e < E; e++) { sum += (double)x[e] * x[e]; }
        const double norm  = fmax(sqrt(sum), 1e-12);
        const double units = (8.0 + 2.0 * sqrt((double)E)) * REF_U32;
        for (size_t e = 0; e < E; e++) {
            put(y, bound, m * E + e, x[e] / norm, units * fabs(x[e] / norm));
        }
    }
}

void ref_segment_sum(const ccu_segment_sum *op, double *y, double *bound) {
    const size_t C = (size_t)op->C;
    for (size_t g = 0; g < (size_t)op->groups; g++) {
        const double terms = op->first[g + 1] - op->first[g];
        for (size_t c = 0; c < C; c++) {
            double sum  = ((const float *)op->y)[(size_t)op->ids[g] * C + c];
            double size = fabs(sum);
            for (int32_t i = op->first[g]; i < op->first[g + 1]; i++) {
                const double x = ((const float *)op->x)[(size_t)op->rows[i] * C + c];
                sum += x;
                size += fabs(x);
            }
            const double error = (2.0 + terms) * REF_U32 * size;
            put(y, bound, g * C + c, sum,
                error + (op->y_dtype == CCU_F32 ? 0.0 : 1.01 * ref_unit(op->y_dtype) * fabs(sum)));
        }
    }
}

double ref_cosine(const ccu_scores_topk *op, int32_t b, int32_t k) {
    double sum = 0.0;
    for (int32_t e = 0; e < op->E; e++) {
        sum += (double)op->x[(size_t)b * (size_t)op->E + (size_t)e] *
               op->bank[(size_t)k * (size_t)op->E + (size_t)e];
    }
    return isnan(sum) ? -INFINITY : sum;
}

/* The best class that is not taken; the first of equals. */
static int32_t best_of(const double *cosine, const uint8_t *taken, int32_t K) {
    int32_t best = -1;
    for (int32_t k = 0; k < K; k++) {
        if (!taken[k] && (best < 0 || cosine[k] > cosine[best])) { best = k; }
    }
    return best;
}

void ref_scores_topk(const ccu_scores_topk *op, int32_t *index, double *cosine,
                     double *probability) {
    double  *all   = calloc((size_t)op->K, sizeof *all);
    uint8_t *taken = calloc((size_t)op->K, 1);
    for (int32_t b = 0; b < op->B; b++) {
        double max = -INFINITY, total = 0.0;
        for (int32_t k = 0; k < op->K; k++) {
            taken[k] = 0;
            all[k]   = ref_cosine(op, b, k);
            max      = fmax(max, all[k]);
        }
        for (int32_t k = 0; k < op->K && max > -INFINITY; k++) {
            total += exp((all[k] - max) * op->scale);
        }
        for (int32_t t = 0; t < op->top; t++) {
            const size_t  at   = (size_t)b * (size_t)op->top + (size_t)t;
            const int32_t best = best_of(all, taken, op->K);
            taken[best]        = 1;
            index[at]          = best;
            cosine[at]         = all[best];
            probability[at]    = all[best] > -INFINITY
                                     ? exp((all[best] - max) * op->scale) / total
                                     : 0.0;
        }
    }
    free(all);
    free(taken);
}
