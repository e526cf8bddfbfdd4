/* Weight tables of the resize; see resize.h. The steps and their order are those of Pillow's
 * Resample.c, in double, because the last bit of a weight decides the last bit of a pixel. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "image/resize.h"

#define PI 3.14159265358979323846

/* More weights than any sensible picture needs; above, a hostile one is asking for gigabytes. */
#define WEIGHTS_MAX ((size_t)64 << 20)

static double box(double x) {
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

static double bilinear(double x) {
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* The constants are those of f32, as in Pillow. */
static double hamming(double x) {
    x = fabs(x);
    if (x == 0.0) { return 1.0; }
    if (x >= 1.0) { return 0.0; }
    x = x * PI;
    return sin(x) / x * (0.54f + 0.46f * cos(x));
}

/* Keys' cubic with a = -0.5 (Catmull-Rom). */
static double bicubic(double x) {
    const double a = -0.5;
    x              = fabs(x);
    if (x < 1.0) { return ((a + 2.0) * x - (a + 3.0)) * x * x + 1; }
    if (x < 2.0) { return (((x - 5) * x + 8) * x - 4) * a; }
    return 0.0;
}

static double sinc(double x) {
    if (x == 0.0) { return 1.0; }
    x = x * PI;
    return sin(x) / x;
}

static double lanczos(double x) {
    return x >= -3.0 && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0;
}

static double weigh(ccu_resample resample, double x) {
    switch (resample) {
    case CCU_RESAMPLE_BOX: return box(x);
    case CCU_RESAMPLE_BILINEAR: return bilinear(x);
    case CCU_RESAMPLE_HAMMING: return hamming(x);
    case CCU_RESAMPLE_BICUBIC: return bicubic(x);
    case CCU_RESAMPLE_LANCZOS: return lanczos(x);
    }
    assert(false);
    return 0.0;
}

/* Half of the filter's width, in source pixels when nothing shrinks. */
static double radius(ccu_resample resample) {
    switch (resample) {
    case CCU_RESAMPLE_BOX: return 0.5;
    case CCU_RESAMPLE_BILINEAR: return 1.0;
    case CCU_RESAMPLE_HAMMING: return 1.0;
    case CCU_RESAMPLE_BICUBIC: return 2.0;
    case CCU_RESAMPLE_LANCZOS: return 3.0;
    }
    assert(false);
    return 1.0;
}

/* Fills the window's columns; `row` is scratch for taps_max weights. */
static void fill(ccu_axis *axis, int32_t source, int32_t target, int32_t begin,
                 ccu_resample resample, double *row) {
    const double scale   = (double)source / target;
    const double stretch = scale < 1.0 ? 1.0 : scale;
    const double support = radius(resample) * stretch;
    const double inverse = 1.0 / stretch;

    for (int32_t i = 0; i < axis->count; i++) {
        const double centre = (begin + i + 0.5) * scale;
        int32_t      lo     = (int32_t)(centre - support + 0.5);
        int32_t      hi     = (int32_t)(centre + support + 0.5);
        if (lo < 0) { lo = 0; }
        if (hi > source) { hi = source; }
        const int32_t taps = hi - lo;
        assert(taps >= 1);
        assert(taps <= axis->taps_max);

        double sum = 0.0;
        for (int32_t t = 0; t < taps; t++) {
            row[t] = weigh(resample, (t + lo - centre + 0.5) * inverse);
            sum += row[t];
        }
        int32_t *weights = axis->table + (size_t)axis->count * 2 + i;
        for (int32_t t = 0; t < taps; t++) {
            const double one   = (double)(1 << CCU_RESAMPLE_BITS);
            const double share = sum != 0.0 ? row[t] / sum : row[t];
            weights[(size_t)t * (size_t)axis->count] =
                (int32_t)(share < 0 ? -0.5 + share * one : 0.5 + share * one);
        }
        axis->table[i]               = lo;
        axis->table[axis->count + i] = taps;
    }
}

size_t ccu_axis_numbers(const ccu_axis *axis) {
    return (size_t)axis->count * ((size_t)axis->taps_max + 2);
}

clipcu_status ccu_axis_init(ccu_axis *axis, int32_t source, int32_t target, int32_t begin,
                            int32_t count, ccu_resample resample, clipcu_error *error) {
    assert(source > 0);
    assert(begin >= 0 && count > 0 && count <= target - begin);
    memset(axis, 0, sizeof *axis);

    const double scale    = (double)source / target;
    const double support  = radius(resample) * (scale < 1.0 ? 1.0 : scale);
    const double reach    = ceil(support) * 2 + 1;
    const size_t taps_max = reach < source ? (size_t)reach : (size_t)source;
    if (taps_max > WEIGHTS_MAX / (size_t)count) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT,
                        "resize: a side of %d pixels to %d needs more than %zu weights", source,
                        target, WEIGHTS_MAX);
    }
    axis->count    = count;
    axis->taps_max = (int32_t)taps_max;
    axis->table    = ccu_alloc_zeroed(ccu_axis_numbers(axis), sizeof *axis->table);
    double *row    = ccu_alloc(taps_max * sizeof *row);
    if (axis->table == NULL || row == NULL) {
        ccu_free(row);
        ccu_axis_free(axis);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "resize: no memory for %zu weights",
                        (size_t)count * taps_max);
    }
    fill(axis, source, target, begin, resample, row);
    ccu_free(row);
    return CLIPCU_OK;
}

void ccu_axis_free(ccu_axis *axis) {
    ccu_free(axis->table);
    memset(axis, 0, sizeof *axis);
}
