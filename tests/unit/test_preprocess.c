/* Resize and crop to what the image tower takes: size rule, both crop rules, and Pillow's bytes
 * end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "image/image.h"
#include "image/resize.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* value(x, y, c) = (7x + 13y + 29c + (xy mod 31)) mod 256 */
static ccu_image make_picture(int32_t W, int32_t H) {
    ccu_image image = { .rgb = malloc((size_t)W * (size_t)H * 3), .W = W, .H = H };
    assert_non_null(image.rgb);
    uint8_t *to = image.rgb;
    for (int32_t y = 0; y < H; y++) {
        for (int32_t x = 0; x < W; x++) {
            for (int32_t c = 0; c < 3; c++) {
                *to++ = (uint8_t)(7 * x + 13 * y + 29 * c + (int32_t)((int64_t)x * y % 31));
            }
        }
    }
    return image;
}

static uint32_t crc_of(const uint8_t *bytes, size_t count) {
    return (uint32_t)crc32(0, bytes, (uInt)count);
}

/* Bytes that Pillow made of make_picture(W, H): the picture, the whole resized one (W2 x H2), and
 * the crops of torchvision and of Hugging Face. */
typedef struct golden {
    int32_t  W, H, size;
    int32_t  W2, H2;
    uint32_t input, whole, half_even, floored;
} golden;

static const golden goldens[] = {
    { 640, 427, 224, 335, 224, 0xe5dc495c, 0xea555a2b, 0x4060f632, 0x3b75d85d },
    { 427, 640, 224, 224, 335, 0x5d8802f0, 0xc69fa8ff, 0x91ec4d7b, 0x450e22a1 },
    { 500, 375, 224, 298, 224, 0x5d84343a, 0x491602db, 0x044176ae, 0x044176ae },
    { 100, 60, 224, 373, 224, 0xe9059eb2, 0xa252581e, 0xee33e7e1, 0xee33e7e1 },
    { 1024, 768, 336, 448, 336, 0xd5860f1b, 0x9e717e56, 0x74b378fc, 0x74b378fc },
    { 224, 231, 224, 224, 231, 0x32861ee5, 0x32861ee5, 0x727853e3, 0xb90a1a43 },
    { 3000, 17, 224, 39529, 224, 0xe4e2926a, 0xbe445540, 0x727219a2, 0x727219a2 },
};

static uint32_t fit_crc(const ccu_image *image, const ccu_fit *fit) {
    const size_t bytes = (size_t)fit->size * (size_t)fit->size * 3;
    uint8_t     *out   = malloc(bytes);
    clipcu_error error = { 0 };
    assert_non_null(out);
    if (ccu_image_fit(image, fit, out, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    const uint32_t crc = crc_of(out, bytes);
    free(out);
    return crc;
}

static void test_goldens(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(goldens); i++) {
        const golden *g     = &goldens[i];
        ccu_image     image = make_picture(g->W, g->H);
        assert_int_equal(crc_of(image.rgb, (size_t)g->W * (size_t)g->H * 3), g->input);

        const ccu_resize resize = { .W = g->W2, .H = g->H2, .width = g->W2, .height = g->H2,
                                    .resample = CCU_RESAMPLE_BICUBIC };
        const size_t     bytes  = (size_t)g->W2 * (size_t)g->H2 * 3;
        uint8_t         *whole  = malloc(bytes);
        assert_non_null(whole);
        assert_int_equal(ccu_image_resize(&image, &resize, whole, NULL), CLIPCU_OK);
        assert_int_equal(crc_of(whole, bytes), g->whole);
        whole[bytes / 2] ^= 1;
        assert_int_not_equal(crc_of(whole, bytes), g->whole); /* the check can fail */
        free(whole);

        ccu_fit fit = { .size = g->size, .resize_size = g->size,
                        .resample = CCU_RESAMPLE_BICUBIC, .crop = CLIPCU_CROP_HALF_EVEN };
        assert_int_equal(fit_crc(&image, &fit), g->half_even);
        fit.crop = CLIPCU_CROP_FLOOR;
        assert_int_equal(fit_crc(&image, &fit), g->floored);
        free(image.rgb);
    }
}

/* Where the crop of a picture that needs no resize starts, told by its first byte: row y starts
 * with 13 y mod 256. */
static int32_t first_row(int32_t size, int32_t spare, clipcu_crop crop) {
    ccu_image     image = make_picture(size, size + spare);
    const ccu_fit fit   = { .size = size, .resize_size = size, .crop = crop,
                            .resample = CCU_RESAMPLE_BICUBIC };
    uint8_t      *out   = malloc((size_t)size * (size_t)size * 3);
    int32_t       row   = 0;
    assert_non_null(out);
    assert_int_equal(ccu_image_fit(&image, &fit, out, NULL), CLIPCU_OK);
    while ((uint8_t)(13 * row) != out[0]) { row++; }
    free(out);
    free(image.rgb);
    return row;
}

static void test_crop_rules(void **state) {
    (void)state;
    /*                             spare 0  1  2  3  4  5  6  7  8  9 10 11 */
    const int32_t floored[]   = { 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5 };
    const int32_t half_even[] = { 0, 0, 1, 2, 2, 2, 3, 4, 4, 4, 5, 6 };
    for (int32_t spare = 0; spare < 12; spare++) {
        assert_int_equal(first_row(16, spare, CLIPCU_CROP_FLOOR), floored[spare]);
        assert_int_equal(first_row(16, spare, CLIPCU_CROP_HALF_EVEN), half_even[spare]);
    }
}

/* resize_size 256, size 224: the middle of the same resize with a larger crop. */
static void test_crop_smaller_than_resize(void **state) {
    (void)state;
    ccu_image image = make_picture(300, 256);
    ccu_fit   fit   = { .size = 224, .resize_size = 256, .resample = CCU_RESAMPLE_BICUBIC };
    uint8_t  *out   = malloc(224 * 224 * 3);
    assert_non_null(out);
    assert_int_equal(ccu_image_fit(&image, &fit, out, NULL), CLIPCU_OK); /* no resize happens */
    for (size_t y = 0; y < 224; y++) {
        assert_memory_equal(out + y * 672, image.rgb + ((y + 16) * 300 + 38) * 3, 672);
    }
    free(out);
    free(image.rgb);
}

static void test_squash(void **state) {
    (void)state;
    ccu_image        image  = make_picture(90, 31);
    const ccu_fit    fit    = { .size = 40, .resize_size = 7, .squash = true,
                                .resample = CCU_RESAMPLE_BILINEAR };
    const ccu_resize resize = { .W = 40, .H = 40, .width = 40, .height = 40,
                                .resample = CCU_RESAMPLE_BILINEAR };
    uint8_t         *whole  = malloc(40 * 40 * 3);
    assert_non_null(whole);
    assert_int_equal(ccu_image_resize(&image, &resize, whole, NULL), CLIPCU_OK);
    assert_int_equal(fit_crc(&image, &fit), crc_of(whole, 40 * 40 * 3));
    free(whole);
    free(image.rgb);
}

/* Smallest and narrowest pictures; only the window is computed, so this takes no memory. */
static void test_narrow(void **state) {
    (void)state;
    const int32_t sides[][2] = { { 1, 1 }, { 1, 2 }, { 2, 1 }, { 1, 60000 }, { 60000, 1 } };
    for (size_t i = 0; i < COUNT(sides); i++) {
        ccu_image image = make_picture(sides[i][0], sides[i][1]);
        for (int32_t f = CCU_RESAMPLE_BOX; f <= CCU_RESAMPLE_LANCZOS; f++) {
            ccu_fit fit = { .size = 224, .resize_size = 224, .resample = (ccu_resample)f };
            (void)fit_crc(&image, &fit); /* fails the test if the fit fails */
            fit.squash = true;
            (void)fit_crc(&image, &fit);
        }
        free(image.rgb);
    }
}

static void test_refusals(void **state) {
    (void)state;
    uint8_t      pixel[3] = { 0 };
    uint8_t      out[12]  = { 0 };
    clipcu_error error    = { 0 };
    ccu_image    image    = { .rgb = pixel, .W = 1, .H = 1 };
    ccu_fit      fit      = { .size = 2, .resize_size = 1, .resample = CCU_RESAMPLE_BICUBIC };
    assert_int_equal(ccu_image_fit(&image, &fit, out, &error), CLIPCU_ERR_UNSUPPORTED);
    assert_non_null(strstr(error.text, "resize to 1"));

    fit = (ccu_fit){ .size = 0, .resize_size = 1 };
    assert_int_equal(ccu_image_fit(&image, &fit, out, NULL), CLIPCU_ERR_LIMIT);

    fit   = (ccu_fit){ .size = 2, .resize_size = 2 };
    image = (ccu_image){ .rgb = pixel, .W = 1, .H = INT32_MAX }; /* refused before it is read */
    memset(&error, 0, sizeof error);
    assert_int_equal(ccu_image_fit(&image, &fit, out, &error), CLIPCU_ERR_LIMIT);
    assert_non_null(strstr(error.text, "1 x 2147483647"));

    image = (ccu_image){ .W = 3, .H = 3 };
    assert_int_equal(ccu_image_fit(&image, &fit, out, NULL), CLIPCU_ERR_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_crop_rules),
        cmocka_unit_test(test_crop_smaller_than_resize),
        cmocka_unit_test(test_squash),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
