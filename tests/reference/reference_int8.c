/* The rule of int8 products (host/ops/product_int8_panel.h) in double precision. */
#include "reference/reference.h"

#include <math.h>

/* A NaN is larger than all. */
static double larger(double a, double b) {
    return isnan(a) || isnan(b) ? (double)NAN : fmax(a, b);
}

double ref_int8(const float *v, int32_t K, bool weights, int32_t *q) {
    double top = 0.0;
    for (int32_t k = 0; k < K; k++) {
        top = larger(top, fabs((double)v[k]));
        if (weights && k % 2 == 0 && k + 1 < K) {
            top = larger(top, fabs((double)(float)((double)v[k] + (double)v[k + 1])));
        }
        q[k] = 0;
    }
    if (!isfinite(top)) { return (double)NAN; }
    if (top < 1e-30) { return 0.0; }
    /* the quotients of two f32, rounded to double and then to f32, are rounded right */
    const double inverse = (double)(float)(127.0 / top);
    for (int32_t k = 0; k < K; k++) { q[k] = (int32_t)nearbyint((double)v[k] * inverse); }
    return (double)(float)(top / 127.0);
}
