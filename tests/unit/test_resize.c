/* Resize: weight tables against published values, whole pictures against Pillow's bytes for every
 * filter, windows against whole pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "golden/image_golden.h"
#include "image/resize.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The same bytes as noise() in golden/make_image_golden.py. */
static uint8_t *make_noise(int32_t W, int32_t H) {
    const size_t count = (size_t)W * (size_t)H * 3;
    uint8_t     *rgb   = malloc(count);
    assert_non_null(rgb);
    for (size_t i = 0; i < count; i++) {
        uint32_t v = (uint32_t)i * 2654435761u;
        v ^= v >> 15;
        v *= 2246822519u;
        v ^= v >> 13;
        rgb[i] = (uint8_t)v;
    }
    return rgb;
}

static uint32_t crc_of(const uint8_t *bytes, size_t count) {
    return (uint32_t)crc32(0, bytes, (uInt)count);
}

/* The window of `image` resized, or NULL on failure. Freed by the caller. */
static uint8_t *resized(const ccu_image *image, const ccu_resize *resize) {
    uint8_t     *out = malloc((size_t)resize->width * (size_t)resize->height * 3);
    clipcu_error error = { 0 };
    assert_non_null(out);
    if (ccu_image_resize(image, resize, out, &error) != CLIPCU_OK) {
        print_message("%s\n", error.text);
        free(out);
        return NULL;
    }
    return out;
}

static bool row_is(const ccu_axis *axis, int32_t i, int32_t first, const int32_t *weights,
                   size_t step, int32_t count) {
    const ccu_taps taps = ccu_taps_of(axis->table, axis->count);
    if (taps.first[i] != first || taps.taps[i] != count) { return false; }
    for (int32_t t = 0; t < axis->taps_max; t++) {
        const int32_t found = taps.weights[(ptrdiff_t)t * axis->count + i];
        if (found != (t < count ? weights[(size_t)t * step] : 0)) { return false; }
    }
    return true;
}

static void test_axis_values(void **state) {
    (void)state;
    const int32_t down0[] = { 2452055, 1871305, 0, -129056 };
    const int32_t down1[] = { -156067, 1033945, 2438549, 1033945, -156067 };
    const int32_t up0[]   = { 4564390, -370086 };
    const int32_t up1[]   = { 3398305, 887845, -91846 };
    ccu_axis      axis    = { 0 };
    clipcu_error  error   = { 0 };

    assert_int_equal(ccu_axis_init(&axis, 5, 3, 0, 3, CCU_RESAMPLE_BICUBIC, &error), CLIPCU_OK);
    assert_true(row_is(&axis, 0, 0, down0, 1, 4));
    assert_true(row_is(&axis, 1, 0, down1, 1, 5));
    assert_false(row_is(&axis, 1, 0, down0, 1, 4)); /* the check can fail */
    ccu_axis_free(&axis);

    assert_int_equal(ccu_axis_init(&axis, 4, 8, 0, 8, CCU_RESAMPLE_BICUBIC, &error), CLIPCU_OK);
    assert_true(row_is(&axis, 0, 0, up0, 1, 2));
    assert_true(row_is(&axis, 1, 0, up1, 1, 3));
    ccu_axis_free(&axis);
    assert_null(axis.table);
}

/* A window's table is a piece of the whole one. */
static void test_axis_window(void **state) {
    (void)state;
    ccu_axis     whole = { 0 }, part = { 0 };
    clipcu_error error = { 0 };
    for (int32_t f = CCU_RESAMPLE_BOX; f <= CCU_RESAMPLE_LANCZOS; f++) {
        const ccu_resample how = (ccu_resample)f;
        assert_int_equal(ccu_axis_init(&whole, 301, 77, 0, 77, how, &error), CLIPCU_OK);
        assert_int_equal(ccu_axis_init(&part, 301, 77, 20, 31, how, &error), CLIPCU_OK);
        for (int32_t i = 0; i < part.count; i++) {
            const ccu_taps all = ccu_taps_of(whole.table, whole.count);
            assert_true(row_is(&part, i, all.first[i + 20], all.weights + i + 20,
                               (size_t)all.count, all.taps[i + 20]));
        }
        ccu_axis_free(&whole);
        ccu_axis_free(&part);
    }
}

static void test_axis_limit(void **state) {
    (void)state;
    ccu_axis     axis  = { 0 };
    clipcu_error error = { 0 };
    assert_int_equal(ccu_axis_init(&axis, 1 << 30, 512, 0, 512, CCU_RESAMPLE_LANCZOS, &error),
                     CLIPCU_ERR_LIMIT);
    assert_non_null(strstr(error.text, "1073741824"));
    assert_null(axis.table);
}

static void test_goldens(void **state) {
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < COUNT(golden_resizes); i++) {
        const golden_resize *g      = &golden_resizes[i];
        uint8_t             *rgb    = make_noise(g->W, g->H);
        const ccu_image      image  = { .rgb = rgb, .W = g->W, .H = g->H };
        const ccu_resize     resize = { .W = g->to_W, .H = g->to_H, .width = g->to_W,
                                        .height = g->to_H, .resample = g->resample };
        uint8_t *out = resized(&image, &resize);
        assert_non_null(out);
        const uint32_t crc = crc_of(out, (size_t)g->to_W * (size_t)g->to_H * 3);
        if (crc != g->crc) {
            print_message("%d x %d -> %d x %d, filter %d: expected %08x, found %08x\n", g->W, g->H,
                          g->to_W, g->to_H, g->resample, g->crc, crc);
            wrong++;
        }
        free(out);
        free(rgb);
    }
    assert_int_equal(wrong, 0);
}

/* Whether the window holds the same bytes as its place in the whole picture. */
static bool window_matches(const uint8_t *whole, const uint8_t *window, const ccu_resize *resize) {
    const size_t bytes = (size_t)resize->width * 3;
    for (int32_t y = 0; y < resize->height; y++) {
        const size_t at = ((size_t)(resize->top + y) * (size_t)resize->W +
                           (size_t)resize->left) * 3;
        if (memcmp(whole + at, window + (size_t)y * bytes, bytes) != 0) { return false; }
    }
    return true;
}

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* A random window, among pictures that go through each of the four combinations of passes and
 * both orders. */
static void test_windows(void **state) {
    (void)state;
    uint32_t seed = 7;
    for (int32_t i = 0; i < 300; i++) {
        const int32_t W = 1 + (int32_t)(next_random(&seed) % 90);
        const int32_t H = 1 + (int32_t)(next_random(&seed) % 90);
        ccu_resize    r = { .W        = 1 + (int32_t)(next_random(&seed) % 90),
                            .H        = 1 + (int32_t)(next_random(&seed) % 90),
                            .resample = (ccu_resample)(next_random(&seed) % 5) };
        if (i % 7 == 0) { r.W = W; }
        if (i % 5 == 0) { r.H = H; }
        uint8_t        *rgb   = make_noise(W, H);
        const ccu_image image = { .rgb = rgb, .W = W, .H = H };
        r.width               = r.W;
        r.height              = r.H;
        uint8_t *whole        = resized(&image, &r);
        assert_non_null(whole);
        r.left          = (int32_t)(next_random(&seed) % (uint32_t)r.W);
        r.top           = (int32_t)(next_random(&seed) % (uint32_t)r.H);
        r.width         = 1 + (int32_t)(next_random(&seed) % (uint32_t)(r.W - r.left));
        r.height        = 1 + (int32_t)(next_random(&seed) % (uint32_t)(r.H - r.top));
        uint8_t *window = resized(&image, &r);
        assert_non_null(window);
        if (!window_matches(whole, window, &r)) {
            fail_msg("case %d: %d x %d -> %d x %d, window %d x %d at (%d, %d), filter %d", i, W, H,
                     r.W, r.H, r.width, r.height, r.left, r.top, r.resample);
        }
        window[0] ^= 1;
        assert_false(window_matches(whole, window, &r)); /* the check can fail */
        free(window);
        free(whole);
        free(rgb);
    }
}

/* Largest sums: white and black next to each other must stay inside 32 bits and 0 .. 255. */
static void test_extremes(void **state) {
    (void)state;
    for (int32_t f = CCU_RESAMPLE_BOX; f <= CCU_RESAMPLE_LANCZOS; f++) {
        for (int32_t side = 1; side <= 64; side = side * 2 + 1) {
            uint8_t *rgb = malloc((size_t)side * (size_t)side * 3);
            assert_non_null(rgb);
            memset(rgb, 255, (size_t)side * (size_t)side * 3);
            const ccu_image  image  = { .rgb = rgb, .W = side, .H = side };
            const ccu_resize resize = { .W = 20, .H = 20, .width = 20, .height = 20,
                                        .resample = (ccu_resample)f };
            uint8_t *out = resized(&image, &resize);
            assert_non_null(out);
            for (size_t i = 0; i < 20 * 20 * 3; i++) { assert_int_equal(out[i], 255); }
            free(out);
            free(rgb);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_axis_values), cmocka_unit_test(test_axis_window),
        cmocka_unit_test(test_axis_limit),  cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_windows),     cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
