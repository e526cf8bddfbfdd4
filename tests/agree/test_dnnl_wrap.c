/* The wrapper around oneDNN: packed and plain weights, strides, and more shapes than it keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <omp.h>
#include <stdlib.h>

#include "ops/dnnl_wrap.h"

#define OUTPUTS 24
#define INPUTS 20
#define B_ROW 21
#define ROWS_MAX (CCU_DNNL_KEPT + 50)

typedef struct fixture {
    ccu_dnnl *dnnl;
    float    *a, *b, *c; /* (ROWS_MAX, INPUTS), (OUTPUTS, B_ROW), (ROWS_MAX, OUTPUTS) */
    void     *packed;
} fixture;

/* Small integers: every sum is exact. */
static int setup(void **state) {
    fixture     *f     = calloc(1, sizeof *f);
    clipcu_error error = { 0 };
    size_t       bytes = 0;
    float        rows[OUTPUTS * INPUTS];
    assert_int_equal(ccu_dnnl_open(2, &f->dnnl, &error), CLIPCU_OK);
    f->a = calloc(ROWS_MAX * INPUTS, sizeof(float));
    f->b = calloc(OUTPUTS * B_ROW, sizeof(float));
    f->c = calloc(ROWS_MAX * OUTPUTS, sizeof(float));
    for (int32_t i = 0; i < ROWS_MAX * INPUTS; i++) { f->a[i] = (float)(i % 7 - 3); }
    for (int32_t i = 0; i < OUTPUTS * B_ROW; i++) { f->b[i] = (float)(i % 5 - 2); }
    for (int32_t i = 0; i < OUTPUTS * INPUTS; i++) {
        rows[i] = f->b[i / INPUTS * B_ROW + i % INPUTS];
    }
    assert_int_equal(ccu_dnnl_pack_bytes(f->dnnl, OUTPUTS, INPUTS, CCU_F32, &bytes, &error),
                     CLIPCU_OK);
    assert_true(bytes >= sizeof rows);
    f->packed = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_int_equal(ccu_dnnl_pack(f->dnnl, f->packed, rows, OUTPUTS, INPUTS, CCU_F32, &error),
                     CLIPCU_OK);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    ccu_dnnl_close(f->dnnl);
    ccu_dnnl_close(NULL);
    free(f->a);
    free(f->b);
    free(f->c);
    free(f->packed);
    free(f);
    return 0;
}

/* M rows of a, a_stride apart, times b; packed or not. */
static void check_product(const fixture *f, int32_t M, int32_t a_stride, bool packed,
                          int32_t thread) {
    clipcu_error         error = { 0 };
    ccu_dnnl_product    *product = NULL;
    const ccu_dnnl_shape shape   = { .M = M, .N = OUTPUTS, .K = INPUTS, .a_stride = a_stride,
                                     .b_stride = packed ? 0 : B_ROW, .dtype = CCU_F32 };
    assert_int_equal(ccu_dnnl_product_get(f->dnnl, &shape, &product, &error), CLIPCU_OK);
    assert_true(ccu_dnnl_run(f->dnnl, product, thread, f->a, packed ? f->packed : f->b, f->c));
    for (int32_t m = 0; m < M; m++) {
        for (int32_t n = 0; n < OUTPUTS; n++) {
            float sum = 0.0f;
            for (int32_t k = 0; k < INPUTS; k++) {
                sum += f->a[m * a_stride + k] * f->b[n * B_ROW + k];
            }
            assert_true(f->c[m * OUTPUTS + n] == sum);
        }
    }
}

static void test_packed_and_plain(void **state) {
    for (int32_t thread = 0; thread < 2; thread++) {
        check_product(*state, 1, INPUTS, true, thread);
        check_product(*state, 13, INPUTS, true, thread);
        check_product(*state, 13, 3 * INPUTS, true, thread);
        check_product(*state, 13, INPUTS, false, thread);
        check_product(*state, 6, 2 * INPUTS, false, thread);
    }
}

/* Every shape again after it was dropped; both threads' handles are made anew. */
static void test_more_shapes_than_are_kept(void **state) {
    for (int32_t round = 0; round < 2; round++) {
        for (int32_t M = 1; M <= ROWS_MAX; M++) { check_product(*state, M, INPUTS, true, round); }
    }
}

static void test_same_shape_same_product(void **state) {
    const fixture       *f     = *state;
    ccu_dnnl_product    *one   = NULL, *two = NULL, *other = NULL;
    const ccu_dnnl_shape shape = { .M = 3, .N = OUTPUTS, .K = INPUTS, .a_stride = INPUTS,
                                   .dtype = CCU_F32 };
    ccu_dnnl_shape       wider = shape;
    wider.a_stride             = INPUTS + 1;
    assert_int_equal(ccu_dnnl_product_get(f->dnnl, &shape, &one, NULL), CLIPCU_OK);
    assert_int_equal(ccu_dnnl_product_get(f->dnnl, &wider, &other, NULL), CLIPCU_OK);
    assert_int_equal(ccu_dnnl_product_get(f->dnnl, &shape, &two, NULL), CLIPCU_OK);
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(one, other);
}

static void test_refused_shape_is_an_error(void **state) {
    const fixture       *f       = *state;
    clipcu_error         error   = { 0 };
    ccu_dnnl_product    *product = NULL;
    /* rows of A overlap: oneDNN refuses */
    const ccu_dnnl_shape shape = { .M = 3, .N = OUTPUTS, .K = INPUTS, .a_stride = INPUTS - 1,
                                   .dtype = CCU_F32 };
    const int            before = omp_get_max_threads();
    assert_int_equal(ccu_dnnl_product_get(f->dnnl, &shape, &product, &error), CLIPCU_ERR_BACKEND);
    assert_int_equal(omp_get_max_threads(), before);
    check_product(f, 3, INPUTS, true, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_packed_and_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_shapes_than_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_shape_same_product, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_shape_is_an_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
