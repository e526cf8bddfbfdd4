/* The CPU backend against the double-precision reference, and its promise that a row's bits depend
 * neither on the batch around it nor on the number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "ops/cpu_backend.h"
#include "support/agree_cases.h"

static ccu_backend *open_way(int32_t threads, ccu_cpu_way way) {
    clipcu_error error = { 0 };
    ccu_backend *be    = NULL;
    if (ccu_cpu_open_way(threads, way, &be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    return be;
}

static ccu_backend *open_backend(int32_t threads) {
    clipcu_error error = { 0 };
    ccu_backend *be    = NULL;
    if (ccu_cpu_open(threads, &be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    return be;
}

static void test_agree_f32(void **state) {
    (void)state;
    ccu_backend *be = open_backend(2);
    assert_int_equal(agree_run(be, agree_ops, CCU_F32), 0);
    be->ops->close(be);
}

static void test_agree_bf16(void **state) {
    (void)state;
    ccu_backend *be = open_backend(2);
    assert_int_equal(agree_run(be, agree_ops, CCU_BF16), 0);
    be->ops->close(be);
}

/* The ways of multiplying that this CPU would not choose are right as well. */
static void test_agree_other_ways(void **state) {
    (void)state;
    const ccu_cpu_way best = ccu_cpu_best_way();
    for (int32_t i = 0; i < 2; i++) {
        const ccu_cpu_way way = { .bf16_native = false, .panels = i == 0 };
        agree             a;
        if (way.panels == best.panels && way.bf16_native == best.bf16_native) { continue; }
        ccu_backend *be = open_way(2, way);
        agree_init(&a, be, 3);
        agree_linear(&a, CCU_F32);
        agree_linear(&a, CCU_BF16);
        agree_patch_embed(&a, CCU_F32);
        agree_patch_embed(&a, CCU_BF16);
        agree_end(&a);
        assert_int_equal(a.failures, 0);
        be->ops->close(be);
    }
}

/* Also by oneDNN where our kernel is the choice. */
static void test_stable_other_way(void **state) {
    (void)state;
    const ccu_cpu_way way = { .bf16_native = false, .panels = !ccu_cpu_best_way().panels };
    ccu_backend *backends[] = { open_way(1, way), open_way(3, way) };
    assert_int_equal(agree_stable(backends, 2, CCU_F32, "linear 768 x 768"), 0);
    assert_int_equal(agree_stable(backends, 2, CCU_F32, "linear 331 x 203"), 0);
    assert_int_equal(agree_stable(backends, 2, CCU_BF16, "linear 64 x 3072"), 0);
    assert_int_equal(agree_stable(backends, 2, CCU_BF16, "patch_embed"), 0);
    for (int32_t i = 0; i < 2; i++) { backends[i]->ops->close(backends[i]); }
}

static void check_stable(ccu_dtype dtype) {
    ccu_backend *backends[3];
    for (int32_t i = 0; i < 3; i++) { backends[i] = open_backend(i + 1); }
    assert_int_equal(agree_stable(backends, 3, dtype, NULL), 0);
    for (int32_t i = 0; i < 3; i++) { backends[i]->ops->close(backends[i]); }
}

static void test_stable_f32(void **state) {
    (void)state;
    check_stable(CCU_F32);
}

static void test_stable_bf16(void **state) {
    (void)state;
    check_stable(CCU_BF16);
}

/* Every op that has a dtype refuses f16 by name, and the backend works again after finish. */
static void test_f16_is_unsupported(void **state) {
    (void)state;
    ccu_backend     *be    = open_backend(1);
    clipcu_error     error = { 0 };
    const ccu_gather op    = { .dtype = CCU_F16 };
    be->ops->gather(be, &op);
    assert_int_equal(be->ops->linear_bytes(be, 8, 8, CCU_F16, CCU_WEIGHTS_PLAIN), 0);
    assert_int_equal(be->ops->finish(be, &error), CLIPCU_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "gather"));
    assert_non_null(strstr(error.text, "f16"));
    assert_int_equal(be->ops->finish(be, NULL), CLIPCU_OK);
    assert_true(be->ops->linear_bytes(be, 8, 8, CCU_F32, CCU_WEIGHTS_PLAIN) >= 8 * 8 * 4);
    be->ops->close(be);
}

static void test_too_long_is_unsupported(void **state) {
    (void)state;
    ccu_backend        *be    = open_backend(1);
    clipcu_error        error = { 0 };
    const ccu_attention op    = { .B = 1, .Tq = 1, .T = 100000, .H = 1, .D = 64, .q_stride = 64,
                                  .kv_stride = 64, .dtype = CCU_F32 };
    be->ops->attention(be, &op);
    assert_int_equal(be->ops->finish(be, &error), CLIPCU_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "100000"));
    be->ops->close(be);
}

/* The backend's thread count is its own business. */
static void test_openmp_setting_survives(void **state) {
    (void)state;
    omp_set_num_threads(5);
    ccu_backend *be = open_backend(3);
    agree        a;
    agree_init(&a, be, 1);
    agree_gather(&a, CCU_F32);
    agree_patch_embed(&a, CCU_F32);
    agree_scores_topk(&a, CCU_F32);
    agree_end(&a);
    assert_int_equal(a.failures, 0);
    assert_int_equal(omp_get_max_threads(), 5);
    be->ops->close(be);
}

static void test_describe(void **state) {
    (void)state;
    char text[64] = { 0 };
    ccu_cpu_describe(text, sizeof text);
    assert_ptr_equal(strstr(text, "oneDNN "), text);
    ccu_cpu_describe(text, 4);
    assert_string_equal(text, "one");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agree_f32),
        cmocka_unit_test(test_agree_bf16),
        cmocka_unit_test(test_agree_other_ways),
        cmocka_unit_test(test_stable_f32),
        cmocka_unit_test(test_stable_bf16),
        cmocka_unit_test(test_stable_other_way),
        cmocka_unit_test(test_f16_is_unsupported),
        cmocka_unit_test(test_too_long_is_unsupported),
        cmocka_unit_test(test_openmp_setting_survives),
        cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
