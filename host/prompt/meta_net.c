/* CoCoOp's meta-net; see meta_net.h. A few ten thousand multiply-adds for each picture: plain loops
 * in f64. */
#include "prompt/meta_net.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

/* row . x + bias */
static double dot(const float *row, const float *x, int32_t count, float bias) {
    double sum = (double)bias;
    for (int32_t i = 0; i < count; i++) { sum += (double)row[i] * (double)x[i]; }
    return sum;
}

void ccu_meta_net_forward(const clipcu_prompt *p, const float *x, int32_t B, float *hidden,
                          float *context) {
    const size_t C = (size_t)p->C, E = (size_t)p->E, h = (size_t)p->hidden, M = (size_t)p->M;
    assert(p->hidden > 0);
    for (size_t b = 0; b < (size_t)B; b++) {
        float *hid = hidden + b * h;
        for (size_t i = 0; i < h; i++) {
            const double pre = dot(p->w1 + i * E, x + b * E, p->E, p->b1[i]);
            hid[i]           = pre > 0.0 ? (float)pre : 0.0f;
        }
        for (size_t c = 0; c < C; c++) {
            const double shift = dot(p->w2 + c * h, hid, p->hidden, p->b2[c]);
            for (size_t m = 0; m < M; m++) {
                context[(b * M + m) * C + c] = (float)((double)p->context[m * C + c] + shift);
            }
        }
    }
}

/* One picture's part: shift (C) is the gradient of what the net adds. */
static void add_picture(const clipcu_prompt *p, const float *x, const float *hidden,
                        const float *dcontext, double *shift, double *to) {
    const size_t C = (size_t)p->C, E = (size_t)p->E, h = (size_t)p->hidden, M = (size_t)p->M;
    double      *w1 = to + (p->w1 - p->values), *b1 = to + (p->b1 - p->values);
    double      *w2 = to + (p->w2 - p->values), *b2 = to + (p->b2 - p->values);
    memset(shift, 0, C * sizeof *shift);
    for (size_t i = 0; i < M * C; i++) {
        to[i] += (double)dcontext[i];
        shift[i % C] += (double)dcontext[i];
    }
    for (size_t c = 0; c < C; c++) {
        b2[c] += shift[c];
        for (size_t i = 0; i < h; i++) { w2[c * h + i] += shift[c] * (double)hidden[i]; }
    }
    for (size_t i = 0; i < h; i++) {
        double slope = 0.0;
        if (!(hidden[i] > 0.0f)) { continue; } /* relu's slope is 0 there, at 0 too (PyTorch) */
        for (size_t c = 0; c < C; c++) { slope += (double)p->w2[c * h + i] * shift[c]; }
        b1[i] += slope;
        for (size_t e = 0; e < E; e++) { w1[i * E + e] += slope * (double)x[e]; }
    }
}

clipcu_status ccu_meta_net_backward(const clipcu_prompt *p, const float *x, const float *hidden,
                                    const float *dcontext, int32_t B, float *gradient,
                                    clipcu_error *error) {
    const size_t C = (size_t)p->C, E = (size_t)p->E, h = (size_t)p->hidden, M = (size_t)p->M;
    double      *sums  = ccu_alloc_zeroed(p->count, sizeof *sums);
    double      *shift = ccu_alloc_zeroed(C, sizeof *shift);
    const bool   ready = sums != NULL && shift != NULL;
    for (size_t b = 0; b < (size_t)B && ready; b++) {
        add_picture(p, x + b * E, hidden + b * h, dcontext + b * M * C, shift, sums);
    }
    for (size_t i = 0; i < p->count && ready; i++) { gradient[i] = (float)sums[i]; }
    ccu_free(shift);
    ccu_free(sums);
    return ready ? CLIPCU_OK
                 : ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for the meta-net's gradient");
}
