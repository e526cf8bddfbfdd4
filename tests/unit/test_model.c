/* host/model without a backend: lay-out arithmetic, pixel folding, pooling. The towers themselves
 * are compared with PyTorch in test_golden.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "model/text_tower.h"
#include "model/weights.h"

static void plan_counts_what_it_hands_out(void **state) {
    (void)state;
    _Alignas(64) uint8_t slab[512];
    ccu_plan             count = {0};
    assert_null(ccu_plan_take(&count, 3, 4));
    assert_null(ccu_plan_take(&count, 65, 1));
    assert_int_equal(count.bytes, 64 + 128);

    ccu_plan plan = {.base = slab};
    assert_ptr_equal(ccu_plan_take(&plan, 3, 4), slab);
    assert_ptr_equal(ccu_plan_take(&plan, 65, 1), slab + 64);
    assert_ptr_equal(ccu_plan_take(&plan, 0, 8), slab + 192);
    assert_int_equal(plan.bytes, count.bytes);
}

static void plan_remembers_overflow(void **state) {
    (void)state;
    ccu_plan plan = {0};
    (void)ccu_plan_take(&plan, SIZE_MAX / 2, 4);
    assert_true(plan.bytes == SIZE_MAX);
    (void)ccu_plan_take(&plan, 1, 1);
    assert_true(plan.bytes == SIZE_MAX);

    ccu_plan sum = {0};
    (void)ccu_plan_take(&sum, SIZE_MAX - 256, 1);
    (void)ccu_plan_take(&sum, 1024, 1);
    assert_true(sum.bytes == SIZE_MAX);
}

/* Folded: w . (u - 128) + b must equal W . ((u / 255 - mean) / std) for any pixels. */
static double fold_error(ccu_dtype dtype, float spoil) {
    enum { C = 3, AREA = 16 };
    const float mean[3] = {0.48f, 0.46f, 0.41f}, std[3] = {0.27f, 0.26f, 0.28f};
    float       plain[C * 3 * AREA], folded[C * 3 * AREA], b[C];
    uint32_t    random = 7;
    double      worst  = 0.0;
    for (int i = 0; i < C * 3 * AREA; i++) {
        random    = random * 1664525u + 1013904223u;
        plain[i]  = (float)(random >> 8) / 16777216.0f - 0.5f;
        folded[i] = plain[i];
    }
    ccu_patch_fold(folded, b, C, AREA, mean, std, dtype);
    folded[5] += spoil;
    for (int n = 0; n < C; n++) {
        double wanted = 0.0, found = b[n];
        for (int c = 0; c < 3; c++) {
            for (int k = 0; k < AREA; k++) {
                random         = random * 1664525u + 1013904223u;
                const double u = (double)(random >> 24);
                const int    i = (n * 3 + c) * AREA + k;
                wanted += (double)plain[i] * (u / 255.0 - (double)mean[c]) / (double)std[c];
                found += (double)folded[i] * (u - 128.0);
            }
        }
        worst = fmax(worst, fabs(found - wanted));
    }
    return worst;
}

static void folding_keeps_the_product(void **state) {
    (void)state;
    assert_true(fold_error(CCU_F32, 0.0f) < 1e-5);
    assert_true(fold_error(CCU_BF16, 0.0f) < 0.05); /* 48 weights rounded to 8 bits */
    assert_true(fold_error(CCU_F32, 1e-3f) > 1e-4); /* the check can fail */
}

static void pooling_follows_the_configuration(void **state) {
    (void)state;
    const int32_t ids[] = {90, 5, 99, 7, 99, 0};
    assert_int_equal(ccu_text_pool_index(ids, 6, 99), 2); /* the first one */
    assert_int_equal(ccu_text_pool_index(ids, 6, -1), 2); /* the first largest */
    assert_int_equal(ccu_text_pool_index(ids, 6, 7), 3);
    assert_int_equal(ccu_text_pool_index(ids, 6, 42), 0); /* none: argmax of zeros */
    assert_int_equal(ccu_text_pool_index(ids, 2, -1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_counts_what_it_hands_out),
        cmocka_unit_test(plan_remembers_overflow),
        cmocka_unit_test(folding_keeps_the_product),
        cmocka_unit_test(pooling_follows_the_configuration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
