/* The ops of towers as mathematics; see reference.h. */
#include "reference/reference.h"

#include <math.h>
#include <stdlib.h>

/* Sums of n terms: f32 rounding errors grow like sqrt n times the unit (they are random, not
 * aligned); 8 covers the constant and short sums. */
static double sum_units(int32_t n) {
    return (8.0 + 2.0 * sqrt((double)n)) * REF_U32;
}

static void put(double *y, double *bound, size_t at, double value, double error, ccu_dtype dtype) {
    y[at] = value;
    /* 1e-30: results below f32's normal numbers may be flushed */
    if (bound != NULL) { bound[at] = error * 1.01 + ref_unit(dtype) * fabs(value) + 1e-30; }
}

double ref_unit(ccu_dtype dtype) {
    switch (dtype) {
    case CCU_F32: return REF_U32;
    case CCU_BF16: return 0x1p-8;
    case CCU_F16: return 0x1p-11;
    }
    return 0.0;
}

/* Nearest multiple of f16's spacing at value, ties to even; beyond 65504 and a half step inf. */
static float round_f16(float value) {
    int exponent;
    if (!isfinite(value) || value == 0.0f) { return value; }
    (void)frexp((double)value, &exponent); /* value = m 2^exponent, 0.5 <= |m| < 1 */
    const double step    = ldexp(1.0, (exponent < -13 ? -13 : exponent) - 11);
    const double rounded = nearbyint((double)value / step) * step;
    return fabs(rounded) > 65504.0 ? copysignf(INFINITY, value) : (float)rounded;
}

float ref_round(float value, ccu_dtype dtype) {
    switch (dtype) {
    case CCU_F32: return value;
    case CCU_BF16: return ccu_bf16_to_f32(ccu_bf16_from_f32(value));
    case CCU_F16: return round_f16(value);
    }
    return value;
}

static double activate(double v, ccu_act act) {
    switch (act) {
    case CCU_ACT_NONE: return v;
    case CCU_ACT_QUICK_GELU: return v / (1.0 + exp(-1.702 * v));
    case CCU_ACT_GELU: return 0.5 * v * erfc(-v / sqrt(2.0));
    }
    return v;
}

/* x . w, and how far f32 may be from it. */
static double dot(const ccu_linear *op, const float *x, const float *w, double *error) {
    double sum = 0.0, size = 0.0;
    for (int32_t k = 0; k < op->K; k++) {
        sum += (double)x[k] * w[k];
        size += fabs((double)x[k] * w[k]);
    }
    *error = sum_units(op->K) * size;
    return sum;
}

/* Rows as whole numbers with a scale each. */
typedef struct int8_rows {
    int32_t *q;
    double  *scale;
} int8_rows;

static int8_rows round_rows(const float *v, int32_t rows, size_t stride, int32_t K, bool weights) {
    int8_rows all = { malloc((size_t)rows * (size_t)K * sizeof *all.q),
                      malloc((size_t)rows * sizeof *all.scale) };
    for (size_t i = 0; i < (size_t)rows; i++) {
        all.scale[i] = ref_int8(v + i * stride, K, weights, all.q + i * (size_t)K);
    }
    return all;
}

/* The sum is exact; turning it into f32 and multiplying by two scales rounds three times. */
static double dot_int8(const int8_rows *x, size_t m, const int8_rows *w, size_t n, int32_t K,
                       double *error) {
    const int32_t *qx = x->q + m * (size_t)K, *qw = w->q + n * (size_t)K;
    int64_t        sum = 0;
    for (int32_t k = 0; k < K; k++) { sum += (int64_t)qx[k] * qw[k]; }
    const double product = (double)sum * (x->scale[m] * w->scale[n]);
    *error = 3.0 * REF_U32 * fabs(product);
    return product;
}

void ref_linear(const ccu_linear *op, double *y, double *bound) {
    const size_t xs = (size_t)(op->x_stride == 0 ? op->K : op->x_stride);
    const size_t ys = (size_t)(op->y_stride == 0 ? op->N : op->y_stride);
    int8_rows    qx = { NULL, NULL }, qw = { NULL, NULL };
    if (op->weights == CCU_WEIGHTS_INT8) {
        qx = round_rows(op->x, op->M, xs, op->K, false);
        qw = round_rows(op->w, op->N, (size_t)op->K, op->K, true);
    }
    for (size_t m = 0; m < (size_t)op->M; m++) {
        for (size_t n = 0; n < (size_t)op->N; n++) {
            const float *x = (const float *)op->x + m * xs;
            const float *w = (const float *)op->w + n * (size_t)op->K;
            const double b = op->b == NULL ? 0.0 : op->b[n];
            const double r = op->r == NULL ? 0.0 : ((const float *)op->r)[m * ys + n];
            double       off;
            const double sum = qx.q == NULL ? dot(op, x, w, &off)
                                            : dot_int8(&qx, m, &qw, n, op->K, &off);
            const double a = activate(sum + b, op->act);
            /* the activations' slopes are below 1.13 */
            const double error = 1.13 * (off + REF_U32 * fabs(b)) +
                                 8.0 * REF_U32 * (fabs(a) + fabs(r));
            put(y, bound, m * (size_t)op->N + n, a + r, error, op->dtype);
        }
    }
    free(qx.q);
    free(qx.scale);
    free(qw.q);
    free(qw.scale);
}

void ref_layernorm(const ccu_layernorm *op, double *y, double *bound) {
    for (size_t m = 0; m < (size_t)op->M; m++) {
        const size_t from = op->rows == NULL ? m : (size_t)op->rows[m];
        const float *x    = (const float *)op->x + from * (size_t)op->C;
        double       mean = 0.0, var = 0.0, top = 0.0;
        for (int32_t c = 0; c < op->C; c++) {
            mean += x[c];
            top = fmax(top, fabs((double)x[c]));
        }
        mean /= op->C;
        for (int32_t c = 0; c < op->C; c++) { var += (x[c] - mean) * (x[c] - mean); }
        const double rstd = 1.0 / sqrt(var / op->C + (double)op->eps);
        for (size_t c = 0; c < (size_t)op->C; c++) {
            const double v = (x[c] - mean) * rstd * op->w[c];
            /* the mean is off by rounding of its terms, which the division by the spread
             * magnifies; the variance's relative error is that of a sum of squares */
            const double size  = top * rstd * fabs((double)op->w[c]) + fabs(v);
            const double error = sum_units(op->C) * size +
                                 4.0 * REF_U32 * (fabs(v) + fabs((double)op->b[c]));
            put(y, bound, m * (size_t)op->C + c, v + op->b[c], error, op->dtype);
        }
    }
}

/* One query against `count` keys; key j is row row_of(j) of k and v. Rows are H * D wide. */
typedef struct head {
    const float   *q;       /* (D) */
    const float   *k, *v;   /* of this head, rows stride apart */
    const int32_t *path;    /* (count), or NULL for first .. first + count - 1 */
    size_t         stride, first;
    int32_t        count, D;
    ccu_dtype      dtype;
} head;

static size_t key_row(const head *h, int32_t j) {
    return (h->path == NULL ? h->first + (size_t)j : (size_t)h->path[j]) * h->stride;
}

/* Dense attention may round weights to dtype, as tensor cores need: each is off by a unit at most.
 * All to one side would be u * size, but they are random: their deviation is below 0.6 units, and 4
 * allows for seven of it. A tree's weights stay f32. */
static double rounded_weights(const head *h, double size, double root_square) {
    if (h->dtype == CCU_F32 || h->path != NULL) { return 0.0; }
    return ref_unit(h->dtype) * fmin(size, 4.0 * root_square);
}

/* y (D) = softmax_j(q . k_j / sqrt D) v_j */
static void attend(const head *h, double *y, double *bound) {
    double *p     = calloc((size_t)h->count, sizeof *p);
    double  max   = -INFINITY, total = 0.0, shift = 0.0;
    for (int32_t j = 0; j < h->count; j++) {
        double size = 0.0;
        for (int32_t d = 0; d < h->D; d++) {
            const double term = (double)h->q[d] * h->k[key_row(h, j) + (size_t)d];
            p[j] += term;
            size += fabs(term);
        }
        p[j] /= sqrt((double)h->D);
        max   = fmax(max, p[j]);
        shift = fmax(shift, sum_units(h->D) * size / sqrt((double)h->D)); /* of a score */
    }
    for (int32_t j = 0; j < h->count; j++) {
        p[j] = exp(p[j] - max);
        total += p[j];
    }
    for (size_t d = 0; d < (size_t)h->D; d++) {
        double sum = 0.0, size = 0.0, square = 0.0;
        for (int32_t j = 0; j < h->count; j++) {
            const double term = p[j] / total * h->v[key_row(h, j) + d];
            sum += term;
            size += fabs(term);
            square += term * term;
        }
        /* a score off by s changes weights by the factor e^(2 s) at most */
        const double error = (2.0 * shift + 2.0 * sum_units(h->count)) * size;
        put(y, bound, d, sum, error + rounded_weights(h, size, sqrt(square)), h->dtype);
    }
    free(p);
}

void ref_attention(const ccu_attention *op, double *y, double *bound) {
    const size_t D = (size_t)op->D, width = D * (size_t)op->H;
    for (size_t row = 0; row < (size_t)op->B * (size_t)op->Tq; row++) {
        for (size_t h = 0; h < (size_t)op->H; h++) {
            const head one = { .q      = (const float *)op->q + row * (size_t)op->q_stride + h * D,
                               .k      = (const float *)op->k + h * D,
                               .v      = (const float *)op->v + h * D,
                               .stride = (size_t)op->kv_stride,
                               .first  = row / (size_t)op->Tq * (size_t)op->T,
                               .count  = op->T,
                               .D      = op->D,
                               .dtype  = op->dtype };
            const size_t at = row * width + h * D;
            attend(&one, y + at, bound == NULL ? NULL : bound + at);
        }
    }
}

void ref_attention_tree(const ccu_attention_tree *op, double *y, double *bound) {
    const size_t D = (size_t)op->D, width = D * (size_t)op->H;
    for (size_t i = 0; i < (size_t)op->Mq; i++) {
        const int32_t row = op->rows == NULL ? (int32_t)i : op->rows[i];
        for (size_t h = 0; h < (size_t)op->H; h++) {
            const head one = { .q      = (const float *)op->q + i * (size_t)op->q_stride + h * D,
                               .k      = (const float *)op->k + h * D,
                               .v      = (const float *)op->v + h * D,
                               .path   = op->path + op->path_first[row],
                               .stride = (size_t)op->kv_stride,
                               .count  = op->path_count[row],
                               .D      = op->D,
                               .dtype  = op->dtype };
            const size_t at = i * width + h * D;
            attend(&one, y + at, bound == NULL ? NULL : bound + at);
        }
    }
}
