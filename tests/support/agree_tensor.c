/* Tensors with sentinels and the comparison; see agree_tensor.h. */
#include "support/agree_tensor.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference/reference.h"

#define GUARD_BYTES ((size_t)256)
#define SENTINEL 0xff /* every dtype reads it as NaN */

/* ---- Cases --------------------------------------------------------------------------------- */

void agree_init(agree *a, ccu_backend *be, uint64_t seed) {
    memset(a, 0, sizeof *a);
    a->be     = be;
    a->random = seed;
}

void agree_end(agree *a) {
    for (int32_t i = 0; i < a->tensor_count; i++) {
        a->be->ops->slab_free(a->be, a->tensors[i].slab);
        free(a->tensors[i].host);
        free(a->tensors[i].before);
    }
    a->tensor_count = 0;
}

bool agree_too_large(agree *a, double work) {
    const bool too_large = a->work_max > 0 && work > a->work_max;
    a->left_out += too_large;
    return too_large;
}

void agree_begin(agree *a, const char *op, const char *format, ...) {
    va_list args;
    agree_end(a);
    a->op = op;
    a->cases++;
    va_start(args, format);
    (void)vsnprintf(a->what, sizeof a->what, format, args);
    va_end(args);
}

bool agree_fail(agree *a, const char *format, ...) {
    va_list args;
    a->failures++;
    if (a->quiet) { return false; }
    printf("FAILED %s %s %s: ", a->be->ops->name, a->op, a->what);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    printf("\n");
    return false;
}

/* xorshift64* */
static uint32_t next(agree *a) {
    a->random ^= a->random >> 12;
    a->random ^= a->random << 25;
    a->random ^= a->random >> 27;
    return (uint32_t)((a->random * 2685821657736338717ull) >> 32);
}

float agree_random(agree *a, float mean, float spread) {
    return mean + spread * ((float)next(a) * 0x1p-31f - 1.0f);
}

uint32_t agree_random_below(agree *a, uint32_t limit) {
    assert(limit > 0);
    return next(a) % limit;
}

/* ---- Tensors ------------------------------------------------------------------------------- */

static void store(uint8_t *to, size_t at, float value, ccu_dtype dtype) {
    if (dtype == CCU_F32) {
        memcpy(to + 4 * at, &value, 4);
        return;
    }
    uint16_t bits = ccu_bf16_from_f32(value).bits;
    if (dtype == CCU_F16) { /* the bits of a number that is exactly f16 */
        int          exponent;
        const double m      = frexp(fabs((double)value), &exponent);
        const int    scaled = exponent < -13 ? -13 : exponent;
        const double step   = ldexp(m, exponent - scaled + 11);
        bits = (uint16_t)((scaled + 13) * 1024 + (int)step);
        if (value == 0.0f) { bits = 0; }
        bits = (uint16_t)(bits | (signbit(value) ? 0x8000u : 0u));
    }
    memcpy(to + 2 * at, &bits, 2);
}

static float load(const uint8_t *from, size_t at, ccu_dtype dtype) {
    float    value;
    uint16_t bits;
    if (dtype == CCU_F32) {
        memcpy(&value, from + 4 * at, 4);
        return value;
    }
    memcpy(&bits, from + 2 * at, 2);
    if (dtype == CCU_BF16) { return ccu_bf16_to_f32((ccu_bf16){ bits }); }
    return ccu_f16_to_f32((ccu_f16){ bits });
}

static agree_tensor *tensor_new(agree *a, size_t rows, size_t columns, size_t stride,
                                ccu_dtype dtype) {
    assert(a->tensor_count < AGREE_TENSORS_MAX);
    agree_tensor *t = &a->tensors[a->tensor_count++];
    *t              = (agree_tensor){ .rows = rows, .columns = columns, .dtype = dtype };
    t->stride       = stride == 0 ? columns : stride;
    t->bytes        = 2 * GUARD_BYTES + rows * t->stride * ccu_dtype_bytes(dtype);
    t->host         = calloc(rows * t->stride + 1, sizeof *t->host);
    t->before       = malloc(t->bytes);
    t->slab         = a->be->ops->slab_alloc(a->be, t->bytes);
    assert(t->host != NULL && t->before != NULL && t->slab != NULL);
    t->at = (uint8_t *)t->slab + GUARD_BYTES;
    memset(t->before, SENTINEL, t->bytes);
    return t;
}

static void upload(agree *a, agree_tensor *t) {
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            store(t->before + GUARD_BYTES, r * t->stride + c, t->host[r * t->stride + c], t->dtype);
        }
    }
    a->be->ops->upload(a->be, t->slab, t->before, t->bytes);
}

agree_tensor *agree_input(agree *a, size_t rows, size_t columns, size_t stride, ccu_dtype dtype,
                          float mean, float spread) {
    agree_tensor *t = tensor_new(a, rows, columns, stride, dtype);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < columns; c++) {
            t->host[r * t->stride + c] = ref_round(agree_random(a, mean, spread), dtype);
        }
    }
    upload(a, t);
    return t;
}

agree_tensor *agree_input_from(agree *a, const float *values, size_t rows, size_t columns,
                               ccu_dtype dtype) {
    agree_tensor *t = tensor_new(a, rows, columns, 0, dtype);
    for (size_t i = 0; i < rows * columns; i++) { t->host[i] = ref_round(values[i], dtype); }
    upload(a, t);
    return t;
}

agree_tensor *agree_output(agree *a, size_t rows, size_t columns, size_t stride,
                           ccu_dtype dtype) {
    agree_tensor *t = tensor_new(a, rows, columns, stride, dtype);
    a->be->ops->upload(a->be, t->slab, t->before, t->bytes);
    return t;
}

void *agree_bytes(agree *a, const void *host, size_t bytes) {
    agree_tensor *t = tensor_new(a, (bytes + 3) / 4, 1, 0, CCU_F32);
    memcpy(t->before + GUARD_BYTES, host, bytes);
    a->be->ops->upload(a->be, t->slab, t->before, t->bytes);
    return t->at;
}

void *agree_weights(agree *a, const float *host, int32_t N, int32_t K, ccu_dtype dtype) {
    const size_t  bytes = a->be->ops->linear_bytes(a->be, N, K, dtype,
                                                            CCU_WEIGHTS_PLAIN);
    agree_tensor *t     = tensor_new(a, (bytes + 3) / 4, 1, 0, CCU_F32);
    a->be->ops->upload(a->be, t->slab, t->before, t->bytes);
    a->be->ops->linear_pack(a->be, t->at, host, N, K, dtype, CCU_WEIGHTS_PLAIN);
    return t->at;
}

/* ---- Comparison ---------------------------------------------------------------------------- */

static uint8_t *download(agree *a, const agree_tensor *t) {
    clipcu_error error = { 0 };
    uint8_t     *now   = malloc(t->bytes);
    a->be->ops->download(a->be, now, t->slab, t->bytes);
    if (a->be->ops->finish(a->be, &error) != CLIPCU_OK) {
        (void)agree_fail(a, "%s", error.text);
        free(now);
        return NULL;
    }
    return now;
}

float *agree_values(agree *a, const agree_tensor *t) {
    uint8_t *now = download(a, t);
    if (now == NULL) { return NULL; }
    float *values = calloc(t->rows * t->columns, sizeof *values);
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            values[r * t->columns + c] = load(now + GUARD_BYTES, r * t->stride + c, t->dtype);
        }
    }
    free(now);
    return values;
}

/* Bytes outside rows x columns are as before. */
static bool check_sentinels(agree *a, const agree_tensor *t, const uint8_t *now) {
    const size_t element = ccu_dtype_bytes(t->dtype), row = t->stride * element;
    for (size_t i = 0; i < t->bytes; i++) {
        const bool inside = i >= GUARD_BYTES && i < t->bytes - GUARD_BYTES &&
                            (i - GUARD_BYTES) % row < t->columns * element;
        if (!inside && now[i] != t->before[i]) {
            const ptrdiff_t at = (ptrdiff_t)i - (ptrdiff_t)GUARD_BYTES;
            return agree_fail(a, "wrote outside its output: byte %td from row 0, of %zu rows %zu "
                                 "bytes apart", at, t->rows, row);
        }
    }
    return true;
}

static bool check_values(agree *a, const agree_tensor *t, const uint8_t *now, const double *want,
                         const double *bound) {
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            const size_t i   = r * t->columns + c;
            const double got = load(now + GUARD_BYTES, r * t->stride + c, t->dtype);
            const double off = fabs(got - want[i]);
            if (!(off <= bound[i])) { /* true for NaN */
                return agree_fail(a, "[%zu, %zu] is %.9g, expected %.9g within %.3g (off by %.3g)",
                                  r, c, got, want[i], bound[i], off);
            }
            if (bound[i] > 0.0 && off / bound[i] > a->worst) {
                a->worst = off / bound[i];
                (void)snprintf(a->worst_at, sizeof a->worst_at, "%.20s %.120s", a->op, a->what);
            }
        }
    }
    return true;
}

/* One element further from the truth by twice what is allowed (a unit where that is nothing). */
static void inject_error(agree *a, const agree_tensor *t, uint8_t *now, const double *want,
                         const double *bound) {
    const size_t r = agree_random_below(a, (uint32_t)t->rows);
    const size_t c = agree_random_below(a, (uint32_t)t->columns);
    const size_t i = r * t->columns + c;
    double       by = 2.0 * bound[i] + 4.0 * ref_unit(t->dtype) * fabs(want[i]);
    if (by < 1e-20) { by = 1e-20; }
    store(now + GUARD_BYTES, r * t->stride + c, ref_round((float)(want[i] + by), t->dtype),
          t->dtype);
    a->inject = false;
}

bool agree_check(agree *a, agree_tensor *t, const double *want, const double *bound) {
    uint8_t *now = download(a, t);
    if (now == NULL) { return false; }
    if (a->inject) { inject_error(a, t, now, want, bound); }
    const bool good = check_values(a, t, now, want, bound) && check_sentinels(a, t, now);
    free(now);
    return good;
}
