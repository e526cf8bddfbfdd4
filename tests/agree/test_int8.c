/* Linears with int8 weights: the rule of rounding, exact sums, bits that depend on nothing but the
 * row, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/cpu_backend.h"
#include "support/agree_cases.h"
#include "support/int8_checks.h"

static ccu_backend *open_backend(int32_t threads) {
    clipcu_error error = { 0 };
    ccu_backend *be    = NULL;
    if (ccu_cpu_open(threads, &be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    return be;
}

/* y (M, N) of a backend, without bias, activation or residual: nothing but the product. */
static float *product(ccu_backend *be, const float *x, const float *w, int32_t M, int32_t N,
                      int32_t K) {
    const size_t bytes  = be->ops->linear_bytes(be, N, K, CCU_F32, CCU_WEIGHTS_INT8);
    void        *packed = be->ops->slab_alloc(be, bytes);
    float       *y      = malloc((size_t)M * (size_t)N * sizeof *y);
    clipcu_error error  = { 0 };
    assert_non_null(packed);
    be->ops->linear_pack(be, packed, w, N, K, CCU_F32, CCU_WEIGHTS_INT8);
    be->ops->linear(be, &(ccu_linear){ .y = y, .x = x, .w = packed, .M = M, .N = N, .K = K,
                                       .dtype = CCU_F32, .weights = CCU_WEIGHTS_INT8 });
    if (be->ops->finish(be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    be->ops->slab_free(be, packed);
    return y;
}

/* As compiled for the tests, which is the plain C unless flags say otherwise. */
static void test_panels(void **state) {
    (void)state;
    const int32_t depths[] = { 1, 2, 3, 4, 5, 7, 64, 203, 768 };
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        assert_int_equal(int8_differences(8, depths[i]), 0);
        assert_int_equal(int8_differences(21, depths[i]), 0);
    }
}

/* As compiled for the backend: every product has exactly the reference's bits. */
static void check_exact(int32_t M, int32_t N, int32_t K) {
    ccu_backend *be = open_backend(2);
    float       *x  = malloc((size_t)M * (size_t)K * sizeof *x);
    float       *w  = malloc((size_t)N * (size_t)K * sizeof *w);
    int32_t     *qx = malloc((size_t)K * sizeof *qx);
    int32_t     *qw = malloc((size_t)N * (size_t)K * sizeof *qw);
    float       *sw = malloc((size_t)N * sizeof *sw);
    for (int32_t m = 0; m < M; m++) {
        int8_fill(x + (size_t)m * (size_t)K, (size_t)K, m % INT8_KINDS, (uint32_t)m + 5);
    }
    for (int32_t n = 0; n < N; n++) {
        const size_t at = (size_t)n * (size_t)K;
        int8_fill(w + at, (size_t)K, n % INT8_KINDS, (uint32_t)n + 977);
        sw[n] = (float)ref_int8(w + at, K, true, qw + at);
    }
    float *y = product(be, x, w, M, N, K);
    for (int32_t m = 0; m < M; m++) {
        const float sx = (float)ref_int8(x + (size_t)m * (size_t)K, K, false, qx);
        for (int32_t n = 0; n < N; n++) {
            int64_t sum = 0;
            for (int32_t k = 0; k < K; k++) {
                sum += (int64_t)qx[k] * qw[(size_t)n * (size_t)K + (size_t)k];
            }
            const float want = (float)sum * (sx * sw[n]);
            const float got  = y[(size_t)m * (size_t)N + (size_t)n];
            if (got != want) {
                fail_msg("M %d N %d K %d [%d, %d] is %.9g, expected %.9g", M, N, K, m, n,
                         (double)got, (double)want);
            }
        }
    }
    free(y);
    free(sw);
    free(qw);
    free(qx);
    free(w);
    free(x);
    be->ops->close(be);
}

static void test_backend_is_exact(void **state) {
    (void)state;
    check_exact(1, 1, 1);
    check_exact(3, 5, 2);
    check_exact(9, 40, 203);
    check_exact(50, 97, 768);
    check_exact(8, 17, 32768); /* the deepest there is, with the largest sums */
    check_exact(1300, 33, 64); /* more than two stages of rows */
}

/* The check can fail: one number rounded the other way shows. */
static void test_rounding_shows(void **state) {
    (void)state;
    float        x[4] = { 127.0f, 0.5f, 1.5f, -2.5f }, w[4] = { 127.0f, 0.0f, 64.0f, 0.0f };
    int32_t      q[4];
    ccu_backend *be = open_backend(1);
    assert_true(ref_int8(x, 4, false, q) == 1.0); /* ties to even: 127 0 2 -2 */
    assert_int_equal(q[1], 0);
    assert_int_equal(q[2], 2);
    assert_int_equal(q[3], -2);
    float *y = product(be, x, w, 1, 1, 4);
    assert_true(y[0] == 127.0f * 127.0f + 2.0f * 64.0f);
    free(y);
    x[2] = 1.4999f; /* rounds to 1 */
    y    = product(be, x, w, 1, 1, 4);
    assert_true(y[0] == 127.0f * 127.0f + 64.0f);
    free(y);
    be->ops->close(be);
}

/* A NaN or an infinity spoils its row, and no other. */
static void test_not_finite(void **state) {
    (void)state;
    float        x[3][5] = { { 1, 2, NAN, 4, 5 }, { 1, 2, 3, 4, 5 }, { 1, -INFINITY, 3, 4, 5 } };
    float        w[5]    = { 1, 1, 1, 1, 1 };
    ccu_backend *be      = open_backend(2);
    float       *y       = product(be, &x[0][0], w, 3, 1, 5);
    assert_true(isnan(y[0]));
    assert_true(fabsf(y[1] - 15.0f) < 0.25f); /* neighbours of one sign share 128 */
    assert_true(isnan(y[2]));
    free(y);
    be->ops->close(be);
}

/* With everything around the product: bias, activations, residuals, strides. */
static void test_agree(void **state) {
    (void)state;
    ccu_backend *be = open_backend(2);
    agree        a;
    agree_init(&a, be, 11);
    agree_linear_int8(&a);
    agree_end(&a);
    assert_true(a.cases > 20);
    assert_int_equal(a.failures, 0);
    a.inject = true; /* and a wrong number is found */
    a.quiet  = true;
    agree_linear_int8(&a);
    agree_end(&a);
    assert_int_equal(a.failures, 1);
    be->ops->close(be);
}

/* A row has the same bits alone and anywhere in a batch, with 1, 2 and 3 threads. */
static void test_stable(void **state) {
    (void)state;
    const int32_t M = 1301, N = 70, K = 203, parts[] = { 1, 4, 5, 6, 50, 159, 161, 641 };
    float        *x = malloc((size_t)M * (size_t)K * sizeof *x);
    float        *w = malloc((size_t)N * (size_t)K * sizeof *w);
    ccu_backend  *be = open_backend(1);
    int8_fill(x, (size_t)M * (size_t)K, 0, 3);
    int8_fill(w, (size_t)N * (size_t)K, 0, 4);
    float *all = product(be, x, w, M, N, K);
    be->ops->close(be);
    for (int32_t threads = 1; threads <= 3; threads++) {
        be = open_backend(threads);
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            const size_t from = (size_t)(M - parts[p]) / 2;
            float       *y    = product(be, x + from * (size_t)K, w, parts[p], N, K);
            assert_memory_equal(y, all + from * (size_t)N,
                                (size_t)parts[p] * (size_t)N * sizeof *y);
            free(y);
        }
        be->ops->close(be);
    }
    free(all);
    free(w);
    free(x);
}

static void test_refusals(void **state) {
    (void)state;
    ccu_backend *be    = open_backend(1);
    clipcu_error error = { 0 };
    assert_int_equal(be->ops->linear_bytes(be, 8, 32769, CCU_F32, CCU_WEIGHTS_INT8), 0);
    assert_int_equal(be->ops->finish(be, &error), CLIPCU_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "32769"));
    assert_int_equal(be->ops->linear_bytes(be, 8, 8, CCU_BF16, CCU_WEIGHTS_INT8), 0);
    assert_int_equal(be->ops->finish(be, &error), CLIPCU_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "int8"));
    /* a byte for each number and 8 bytes for each output, panels filled up */
    assert_true(be->ops->linear_bytes(be, 768, 768, CCU_F32, CCU_WEIGHTS_INT8) == 768 * (768 + 8));
    be->ops->close(be);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_panels),         cmocka_unit_test(test_backend_is_exact),
        cmocka_unit_test(test_rounding_shows), cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_agree),          cmocka_unit_test(test_stable),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
