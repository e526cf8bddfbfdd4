/* Gradients in double precision; see reference.h. tests/unit/test_reference_backward.c holds them
 * against finite differences of the functions whose gradients they are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference/reference.h"

/* A sum of n terms in f32, and what is rounded around it. */
static double units(double n) {
    return (4.0 + 0.5 * sqrt(n)) * REF_U32;
}

static void put(double *y, double *bound, size_t at, double value, double error, ccu_dtype dtype) {
    y[at] = value;
    if (bound == NULL) { return; }
    double rounding = (dtype == CCU_F32 ? REF_U32 : 1.01 * ref_unit(dtype)) * fabs(value);
    if (dtype == CCU_F16) { rounding = fmax(rounding, 0x1.01p-25); } /* subnormals: 2^-24 apart */
    bound[at] = error + rounding;
}

void ref_act_backward(const ccu_act_backward *op, double *dx, double *bound) {
    for (size_t i = 0; i < (size_t)op->M * (size_t)op->N; i++) {
        const double x = ((const float *)op->x)[i], dy = ((const float *)op->dy)[i];
        double       first, second, wide; /* the slope's terms; rounding of the exponent */
        if (op->act == CCU_ACT_GELU) {
            first  = 0.5 * erfc(-x / sqrt(2.0));
            second = x * exp(-0.5 * x * x) / sqrt(2.0 * acos(-1.0));
            wide   = x * x;
        } else {
            first  = 1.0 / (1.0 + exp(-1.702 * x));
            second = 1.702 * x * first / (1.0 + exp(1.702 * x));
            wide   = 2.0 * fabs(x);
        }
        const double size = (fabs(first) + fabs(second)) * fabs(dy);
        /* f32 ends at 1e-38: what is below is rounded to 0 */
        put(dx, bound, i, dy * (first + second), (12.0 + 2.0 * wide) * REF_U32 * size + 1e-36,
            op->dtype);
    }
}

void ref_layernorm_backward(const ccu_layernorm_backward *op, double *dx, double *bound) {
    const size_t C = (size_t)op->C;
    for (size_t m = 0; m < (size_t)op->M; m++) {
        const float *x = (const float *)op->x + m * C, *dy = (const float *)op->dy + m * C;
        double       mean = 0.0, var = 0.0, top = 0.0, u = 0.0, ux = 0.0, su = 0.0, sux = 0.0;
        for (size_t c = 0; c < C; c++) {
            mean += (double)x[c] / (double)C;
            top = fmax(top, fabs((double)x[c]));
        }
        for (size_t c = 0; c < C; c++) { var += (x[c] - mean) * (x[c] - mean) / (double)C; }
        const double rstd = 1.0 / sqrt(var + (double)op->eps);
        for (size_t c = 0; c < C; c++) {
            const double v = (double)dy[c] * (double)op->w[c], h = (x[c] - mean) * rstd;
            u += v / (double)C;
            ux += v * h / (double)C;
            su += fabs(v) / (double)C;
            sux += fabs(v * h) / (double)C;
        }
        for (size_t c = 0; c < C; c++) {
            const double v = (double)dy[c] * (double)op->w[c], h = (x[c] - mean) * rstd;
            const double r = op->r == NULL ? 0.0 : (double)((const float *)op->r)[m * C + c];
            /* the mean is off by rounding of its terms, which the division by the spread
             * magnifies: so is x^ wherever it stands */
            const double off  = units((double)C) * (1.0 + top * rstd);
            const double size = rstd * (fabs(v) + su + fabs(h) * sux + fabs(ux) + su * fabs(h));
            put(dx, bound, m * C + c, rstd * (v - u - h * ux) + r,
                2.0 * off * size + 2.0 * REF_U32 * fabs(r), op->dtype);
        }
    }
}

void ref_normalise_backward(const ccu_normalise_backward *op, double *dx, double *bound) {
    const size_t E = (size_t)op->E;
    for (size_t m = 0; m < (size_t)op->M; m++) {
        const float *x = (const float *)op->x + m * E, *dy = op->dy + m * E;
        double       square = 0.0, along = 0.0, size = 0.0;
        for (size_t e = 0; e < E; e++) {
            square += (double)x[e] * x[e];
            along += (double)x[e] * dy[e];
            size += fabs((double)x[e] * dy[e]);
        }
        const double norm = sqrt(square), by = fmax(norm, 1e-12);
        along = norm < 1e-12 ? 0.0 : along / by;
        for (size_t e = 0; e < E; e++) {
            const double y = x[e] / by;
            put(dx, bound, m * E + e, (dy[e] - y * along) / by,
                units((double)E) * (fabs((double)dy[e]) + fabs(y) * size / by) / by, op->dtype);
        }
    }
}

/* ---- Attention ----------------------------------------------------------------------------- */

/* One query in one head: its weights and slopes, and how far off they may be. */
typedef struct query {
    double *p, *ds, *p_off, *ds_off; /* (path_count) */
} query;

static void weigh(const ccu_attention_tree_backward *op, size_t i, size_t h, int32_t row,
                  const query *to) {
    const size_t   D = (size_t)op->D, kv = (size_t)op->kv_stride, head = h * D;
    const float   *q  = (const float *)op->q + i * (size_t)op->q_stride + head;
    const float   *dy = (const float *)op->dy + i * (size_t)op->H * D + head;
    const int32_t *path = op->path + op->path_first[row], count = op->path_count[row];
    const double   scale = 1.0 / sqrt((double)op->D);
    double max = -INFINITY, total = 0.0, shift = 0.0, mean = 0.0, mean_size = 0.0, dp_off = 0.0;
    for (int32_t j = 0; j < count; j++) {
        const float *k = (const float *)op->k + (size_t)path[j] * kv + head;
        const float *v = (const float *)op->v + (size_t)path[j] * kv + head;
        double       s = 0.0, s_size = 0.0, dp = 0.0, dp_size = 0.0;
        for (size_t d = 0; d < D; d++) {
            s += (double)q[d] * k[d];
            s_size += fabs((double)q[d] * k[d]);
            dp += (double)dy[d] * v[d];
            dp_size += fabs((double)dy[d] * v[d]);
        }
        to->p[j]  = s * scale;
        to->ds[j] = dp;
        max       = fmax(max, to->p[j]);
        shift     = fmax(shift, units((double)D) * s_size * scale);
        dp_off    = fmax(dp_off, units((double)D) * dp_size);
    }
    for (int32_t j = 0; j < count; j++) { total += to->p[j] = exp(to->p[j] - max); }
    const double off = 2.0 * shift + 2.0 * units(count); /* relative, of a weight */
    for (int32_t j = 0; j < count; j++) {
        to->p[j] /= total;
        to->p_off[j] = off * to->p[j];
        mean += to->p[j] * to->ds[j];
        mean_size += to->p[j] * fabs(to->ds[j]);
    }
    for (int32_t j = 0; j < count; j++) {
        const double size = fabs(to->ds[j]) + mean_size;
        to->ds[j]         = to->p[j] * (to->ds[j] - mean) * scale;
        to->ds_off[j]     = to->p[j] * scale * (2.0 * off * size + 2.0 * dp_off);
    }
}

typedef struct sums {
    double *dk, *dv, *dk_off, *dv_off, *dk_size, *dv_size; /* (M, H * D) */
} sums;

static void add_query(const ccu_attention_tree_backward *op, size_t i, size_t h, double *dq,
                      double *bound, const query *w, const sums *to) {
    const size_t   D = (size_t)op->D, width = D * (size_t)op->H, head = h * D;
    const int32_t  row = op->rows == NULL ? (int32_t)i : op->rows[i];
    const int32_t *path = op->path + op->path_first[row], count = op->path_count[row];
    const float   *q  = (const float *)op->q + i * (size_t)op->q_stride + head;
    const float   *dy = (const float *)op->dy + i * width + head;
    weigh(op, i, h, row, w);
    for (size_t d = 0; d < D; d++) {
        double sum = 0.0, off = 0.0;
        for (int32_t j = 0; j < count; j++) {
            const size_t at = (size_t)path[j] * width + head + d;
            const size_t kv = (size_t)path[j] * (size_t)op->kv_stride + head + d;
            const double k  = (double)((const float *)op->k)[kv];
            sum += w->ds[j] * k;
            off += (w->ds_off[j] + units(count) * fabs(w->ds[j])) * fabs(k);
            to->dk[at] += w->ds[j] * q[d];
            to->dv[at] += w->p[j] * dy[d];
            to->dk_off[at] += w->ds_off[j] * fabs((double)q[d]);
            to->dv_off[at] += w->p_off[j] * fabs((double)dy[d]);
            to->dk_size[at] += fabs(w->ds[j] * q[d]);
            to->dv_size[at] += fabs(w->p[j] * dy[d]);
        }
        put(dq, bound, i * width + head + d, sum, off, op->dtype);
    }
}

void ref_attention_tree_backward(const ccu_attention_tree_backward *op, double *dq,
                                 double *dq_bound, double *dk, double *dk_bound, double *dv,
                                 double *dv_bound) {
    const size_t width = (size_t)op->D * (size_t)op->H, all = (size_t)op->M * width;
    double      *store = calloc(6 * all + 1, sizeof *store);
    double      *row   = calloc(4 * (size_t)op->path_max, sizeof *row);
    const sums   to    = { store, store + all, store + 2 * all, store + 3 * all, store + 4 * all,
                           store + 5 * all };
    const query  w     = { row, row + op->path_max, row + 2 * op->path_max,
                           row + 3 * op->path_max };
    for (size_t i = 0; i < (size_t)op->Mq; i++) {
        for (size_t h = 0; h < (size_t)op->H; h++) {
            add_query(op, i, h, dq, dq_bound, &w, &to);
        }
    }
    for (size_t at = 0; at < all; at++) {
        const double n = units(op->Mq);
        put(dk, dk_bound, at, to.dk[at], to.dk_off[at] + n * to.dk_size[at], op->dtype);
        put(dv, dv_bound, at, to.dv[at], to.dv_off[at] + n * to.dv_size[at], op->dtype);
    }
    free(store);
    free(row);
}

/* ---- The loss ------------------------------------------------------------------------------ */

void ref_softmax_cross_entropy(const ccu_softmax_cross_entropy *op, double *z, double *loss,
                               double *loss_bound, double *dbank, double *dbank_bound) {
    const size_t K = (size_t)op->K, E = (size_t)op->E, banks = op->own_banks ? (size_t)op->B : 1;
    double      *size = calloc(banks * K * E, sizeof *size);
    memset(dbank, 0, banks * K * E * sizeof *dbank);
    memset(dbank_bound, 0, banks * K * E * sizeof *dbank_bound);
    for (size_t b = 0; b < (size_t)op->B; b++) {
        const size_t own = op->own_banks ? b : 0;
        const float *x   = op->x + b * E;
        double       max = -INFINITY, total = 0.0, off = 0.0;
        for (size_t k = 0; k < K; k++) {
            const float *row = op->bank + (own * K + k) * E;
            double       sum = 0.0, abs_sum = 0.0;
            for (size_t e = 0; e < E; e++) {
                sum += (double)x[e] * row[e];
                abs_sum += fabs((double)x[e] * row[e]);
            }
            z[b * K + k] = op->scale * sum;
            max          = fmax(max, z[b * K + k]);
            off          = fmax(off, units((double)E) * op->scale * abs_sum);
        }
        for (size_t k = 0; k < K; k++) { total += exp(z[b * K + k] - max); }
        loss[b]       = log(total) + max - z[b * K + (size_t)op->label[b]];
        loss_bound[b] = 2.0 * off + 8.0 * REF_U32 * (1.0 + fabs(loss[b]));
        for (size_t k = 0; k < K; k++) {
            const double p = exp(z[b * K + k] - max) / total;
            const double g = p - (k == (size_t)op->label[b] ? 1.0 : 0.0);
            for (size_t e = 0; e < E; e++) {
                const size_t at = (own * K + k) * E + e;
                const double by = (double)op->weight * op->scale * x[e];
                dbank[at] += g * by;
                dbank_bound[at] += (p * (2.0 * off + 16.0 * REF_U32) + 2.0 * REF_U32) * fabs(by);
                size[at] += fabs(g * by);
            }
        }
    }
    for (size_t at = 0; at < banks * K * E; at++) { dbank_bound[at] += units(op->B) * size[at]; }
    free(size);
}
