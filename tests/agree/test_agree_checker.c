/* The checker of the agree tests, shown failing: one wrong element in any op's result, a write
 * outside the output, a row that changes with the batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ops/cpu_backend.h"
#include "reference/reference.h"
#include "support/agree_cases.h"

static ccu_backend *open_backend(void) {
    clipcu_error error = { 0 };
    ccu_backend *be    = NULL;
    if (ccu_cpu_open(1, &be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    return be;
}

static void notice_one_wrong_element(ccu_backend *be, const agree_op *ops) {
    for (const agree_op *op = ops; op->name != NULL; op++) {
        for (int32_t d = 0; d < (op->f32_only ? 1 : 2); d++) {
            agree a;
            agree_init(&a, be, 5);
            a.quiet  = true;
            a.inject = true;
            op->run(&a, d == 0 ? CCU_F32 : CCU_BF16);
            agree_end(&a);
            if (a.failures != 1) { fail_msg("%s: %d failures, expected 1", op->name, a.failures); }
        }
    }
}

static void test_every_op_notices_one_wrong_element(void **state) {
    (void)state;
    ccu_backend *be = open_backend();
    notice_one_wrong_element(be, agree_ops);
    be->ops->close(be);
}

/* want and bound of a tensor that holds its own values */
static void test_nan_and_writes_outside_are_failures(void **state) {
    (void)state;
    ccu_backend *be = open_backend();
    double       want[6], bound[6];
    agree        a;
    agree_init(&a, be, 6);
    a.quiet = true;
    agree_begin(&a, "test", "2 x 3 in rows of 5");
    agree_tensor *t = agree_input(&a, 2, 3, 5, CCU_F32, 0, 1);
    for (size_t i = 0; i < 6; i++) {
        want[i]  = t->host[i / 3 * 5 + i % 3];
        bound[i] = 0.0;
    }
    assert_true(agree_check(&a, t, want, bound));
    want[4] = 7.0;
    assert_false(agree_check(&a, t, want, bound));
    want[4] = t->host[6];
    ((float *)t->at)[6] = NAN;
    bound[4]            = INFINITY;
    assert_false(agree_check(&a, t, want, bound)); /* NaN is within no bound */
    ((float *)t->at)[6] = t->host[6];
    assert_true(agree_check(&a, t, want, bound));
    ((float *)t->at)[4] = 0.0f; /* between rows */
    assert_false(agree_check(&a, t, want, bound));
    memset((float *)t->at + 4, 0xff, 4);
    assert_true(agree_check(&a, t, want, bound));
    ((float *)t->at)[-1] = 0.0f; /* before row 0 */
    assert_false(agree_check(&a, t, want, bound));
    memset((float *)t->at - 1, 0xff, 4);
    ((float *)t->at)[10] = 0.0f; /* after the last row */
    assert_false(agree_check(&a, t, want, bound));
    assert_int_equal(a.failures, 5);
    agree_end(&a);
    be->ops->close(be);
}

/* A normalise that is off by one unit in the last place in batches of fewer than 8 rows. */
static void crooked_normalise(ccu_backend *be, const ccu_normalise *op) {
    ccu_backend *honest = open_backend();
    honest->ops->normalise(honest, op);
    if (op->M < 8) { op->y[0] = nextafterf(op->y[0], 2.0f); }
    honest->ops->close(honest);
    (void)be;
}

static void test_stability_notices_one_bit(void **state) {
    (void)state;
    ccu_backend   *be      = open_backend();
    const ccu_ops *honest  = be->ops;
    ccu_ops        crooked = *honest;
    crooked.normalise      = crooked_normalise;
    assert_int_equal(agree_stable(&be, 1, CCU_F32, "normalise"), 0);
    be->ops = &crooked;
    printf("one failure is expected here:\n");
    assert_int_equal(agree_stable(&be, 1, CCU_F32, "normalise"), 1);
    be->ops = honest;
    be->ops->close(be);
}

static void test_rounding_of_the_reference(void **state) {
    (void)state;
    assert_true(ref_round(1.00390625f, CCU_BF16) == 1.0f);            /* tie to even */
    assert_true(ref_round(1.01171875f, CCU_BF16) == 1.015625f);       /* tie to even, up */
    assert_true(ref_round(1.00048828125f, CCU_F16) == 1.0f);          /* tie to even */
    assert_true(ref_round(65504.0f, CCU_F16) == 65504.0f);
    assert_true(isinf(ref_round(65520.0f, CCU_F16)));
    assert_true(ref_round(0x1p-24f, CCU_F16) == 0x1p-24f);            /* smallest subnormal */
    assert_true(ref_round(0x1p-25f, CCU_F16) == 0.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op_notices_one_wrong_element),
        cmocka_unit_test(test_nan_and_writes_outside_are_failures),
        cmocka_unit_test(test_stability_notices_one_bit),
        cmocka_unit_test(test_rounding_of_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
