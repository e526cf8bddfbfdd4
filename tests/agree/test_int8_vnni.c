/* Int8 products with vpdpbusd (VNNI) as its manual describes it, in plain C: the layout and the
 * arithmetic around it are right, whatever CPU this runs on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "ops/lanes.h"

/* VPDPBUSD: four products of unsigned and signed bytes, added to a 32-bit lane without saturation
 * (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2). */
static inline ccu_lanes_i32 ccu_int8_model_dot(ccu_lanes_i32 sum, ccu_lanes_i32 x,
                                               ccu_lanes_i32 w) {
    uint8_t a[4 * CCU_LANES];
    int8_t  b[4 * CCU_LANES];
    memcpy(a, &x, sizeof a);
    memcpy(b, &w, sizeof b);
    for (int32_t i = 0; i < CCU_LANES; i++) {
        for (int32_t k = 4 * i; k < 4 * i + 4; k++) { sum[i] += a[k] * b[k]; }
    }
    return sum;
}

#define CCU_INT8_MODEL
#include "support/int8_checks.h"

static void test_products(void **state) {
    (void)state;
    const int32_t depths[] = { 1, 2, 3, 4, 5, 7, 64, 203, 768 };
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        assert_int_equal(int8_differences(8, depths[i]), 0);
        assert_int_equal(int8_differences(21, depths[i]), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_products) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
