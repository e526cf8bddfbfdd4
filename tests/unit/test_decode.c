/* Decoding: every golden picture byte-equal with Pillow, orientation, photographs, and files that
 * are truncated, damaged, too large, of another kind or made to exhaust the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "golden/image_golden.h"
#include "image/image.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PIXELS_MAX 178956970
#define FILE_BYTES_MAX ((size_t)64 << 20)

typedef struct blob {
    uint8_t *bytes;
    size_t   count;
} blob;

static blob read_golden(const char *name) {
    blob         file  = { 0 };
    clipcu_error error = { 0 };
    char         path[CCU_PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/tests/data/images/%s", CLIPCU_SOURCE_DIR, name);
    if (ccu_file_read(path, FILE_BYTES_MAX, &file.bytes, &file.count, &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
    return file;
}

static clipcu_status decode(const char *name, const uint8_t *bytes, size_t count, bool exif,
                            ccu_image *out, clipcu_error *error) {
    const ccu_decode_options options = { .pixels_max = PIXELS_MAX, .exif = exif };
    memset(error, 0, sizeof *error);
    return ccu_image_decode(name, bytes, count, &options, out, error);
}

static uint32_t crc_of(const ccu_image *image) {
    return (uint32_t)crc32(0, image->rgb, (uInt)((size_t)image->W * (size_t)image->H * 3));
}

static bool is_jpeg(const char *name) {
    return strstr(name, ".jpg") != NULL;
}

static bool matches(const golden_file *g, const ccu_image *image, bool upright) {
    if (image->W != (upright ? g->upright_W : g->W)) { return false; }
    if (image->H != (upright ? g->upright_H : g->H)) { return false; }
    return crc_of(image) == (upright ? g->upright_crc : g->crc);
}

static void test_goldens(void **state) {
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < COUNT(golden_files); i++) {
        const golden_file *g    = &golden_files[i];
        const blob         file = read_golden(g->name);
        for (int32_t exif = 0; exif < 2; exif++) {
            ccu_image    image = { 0 };
            clipcu_error error = { 0 };
            if (decode(g->name, file.bytes, file.count, exif != 0, &image, &error) != CLIPCU_OK) {
                print_message("%s\n", error.text);
                wrong++;
            } else if (!matches(g, &image, exif != 0)) {
                print_message("%s: other pixels than Pillow's (exif %d)\n", g->name, exif);
                wrong++;
            }
            ccu_image_free(&image);
        }
        ccu_free(file.bytes);
    }
    assert_int_equal(wrong, 0);
}

/* JPEGs at a part of their size, as Pillow drafts them; one pixel more asked for takes the next
 * larger size. */
static void test_drafts(void **state) {
    (void)state;
    size_t wrong = 0;
    for (size_t i = 0; i < COUNT(golden_drafts); i++) {
        const golden_draft *g    = &golden_drafts[i];
        const blob          file = read_golden(g->name);
        for (int32_t more = 0; more < 2; more++) {
            const ccu_decode_options options = { .pixels_max = PIXELS_MAX,
                                                 .draft_side = g->side + more };
            ccu_image                image   = { 0 };
            assert_int_equal(ccu_image_decode(g->name, file.bytes, file.count, &options, &image,
                                              NULL),
                             CLIPCU_OK);
            const bool same = image.W == g->W && image.H == g->H && crc_of(&image) == g->crc;
            if (same != (more == 0) || image.W < g->W) {
                print_message("%s for a side of %d\n", g->name, (int)(g->side + more));
                wrong++;
            }
            ccu_image_free(&image);
        }
        ccu_free(file.bytes);
    }
    assert_int_equal(wrong, 0);

    /* The limit is on the picture as it is stored. */
    const blob               file    = read_golden("jpeg_444.jpg"); /* 61 x 43 */
    const ccu_decode_options options = { .pixels_max = 61 * 43 - 1, .draft_side = 5 };
    ccu_image                image   = { 0 };
    assert_int_equal(ccu_image_decode("a.jpg", file.bytes, file.count, &options, &image, NULL),
                     CLIPCU_ERR_LIMIT);
    ccu_free(file.bytes);
}

static void test_golden_check_can_fail(void **state) {
    (void)state;
    golden_file  g     = golden_files[0];
    const blob   file  = read_golden(g.name);
    ccu_image    image = { 0 };
    clipcu_error error = { 0 };
    assert_int_equal(decode(g.name, file.bytes, file.count, false, &image, &error), CLIPCU_OK);
    assert_true(matches(&g, &image, false));
    image.rgb[0] ^= 1;
    assert_false(matches(&g, &image, false));
    image.rgb[0] ^= 1;
    g.W++;
    assert_false(matches(&g, &image, false));
    ccu_image_free(&image);
    assert_null(image.rgb);
    ccu_free(file.bytes);
}

/* Only as many bytes as there are, in a block of their own, so that a sanitizer sees every read
 * past the end. */
static clipcu_status decode_copy(const char *name, const uint8_t *bytes, size_t count,
                                 int64_t pixels_max, ccu_image *image, clipcu_error *error) {
    const ccu_decode_options options = { .pixels_max = pixels_max, .exif = true };
    uint8_t                 *copy    = malloc(count + (count == 0));
    assert_non_null(copy);
    memcpy(copy, bytes, count);
    memset(error, 0, sizeof *error);
    const clipcu_status status = ccu_image_decode(name, copy, count, &options, image, error);
    free(copy);
    return status;
}

/* A beginning of a file is refused, or (when only an ending without pixels is missing) decodes to
 * the same picture. */
static void test_truncated(void **state) {
    (void)state;
    size_t refused = 0, tried = 0;
    for (size_t i = 0; i < COUNT(golden_files); i++) {
        const golden_file *g    = &golden_files[i];
        const blob         file = read_golden(g->name);
        const size_t       parts = file.count < 400 ? file.count : 16; /* every byte, or some */
        for (size_t part = 0; part < parts; part++) {
            ccu_image           image  = { 0 };
            clipcu_error        error  = { 0 };
            const size_t        count  = file.count * part / parts;
            const clipcu_status status = decode_copy(g->name, file.bytes, count, PIXELS_MAX,
                                                     &image, &error);
            tried++;
            if (status == CLIPCU_OK) {
                assert_true(matches(g, &image, true));
            } else {
                assert_int_equal(status, CLIPCU_ERR_FORMAT);
                assert_non_null(strstr(error.text, g->name));
                assert_null(image.rgb);
                refused++;
            }
            ccu_image_free(&image);
        }
        ccu_free(file.bytes);
    }
    print_message("%zu of %zu beginnings refused\n", refused, tried);
    assert_true(refused * 20 > tried * 19);
}

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Random damage: any answer but a crash, a hang or a sanitizer's report. */
static void test_damaged(void **state) {
    (void)state;
    uint32_t seed = 2024;
    size_t   fine = 0, refused = 0;
    for (size_t i = 0; i < COUNT(golden_files); i++) {
        const golden_file *g    = &golden_files[i];
        const blob         file = read_golden(g->name);
        for (int32_t round = 0; round < 40; round++) {
            uint8_t *copy = malloc(file.count);
            assert_non_null(copy);
            memcpy(copy, file.bytes, file.count);
            const uint32_t flips = 1 + next_random(&seed) % 4;
            /* Half of them in the first bytes, where the headers are. */
            const size_t reach = round % 2 == 0 || file.count < 80 ? file.count : 80;
            for (uint32_t f = 0; f < flips; f++) {
                copy[next_random(&seed) % reach] = (uint8_t)next_random(&seed);
            }
            ccu_image           image  = { 0 };
            clipcu_error        error  = { 0 };
            const clipcu_status status = decode_copy(g->name, copy, file.count, 1 << 22, &image,
                                                     &error);
            if (status == CLIPCU_OK) {
                fine++;
            } else {
                assert_null(image.rgb);
                assert_true(error.text[0] != '\0');
                refused++;
            }
            ccu_image_free(&image);
            free(copy);
        }
        ccu_free(file.bytes);
    }
    print_message("%zu damaged files: %zu refused\n", fine + refused, refused);
    assert_true(refused > 0);
    assert_true(fine > 0);
}

static void expect(const char *name, const void *bytes, size_t count, clipcu_status status,
                   const char *text) {
    ccu_image           image = { 0 };
    clipcu_error        error = { 0 };
    const clipcu_status found = decode_copy(name, bytes, count, PIXELS_MAX, &image, &error);
    if (found != status || strstr(error.text, text) == NULL) {
        fail_msg("%s: expected status %d with \"%s\", found %d: %s", name, status, text, found,
                 error.text);
    }
    assert_null(image.rgb);
}

/* Headers that promise more pixels than are allowed, with next to nothing behind them. */
static void test_too_large(void **state) {
    (void)state;
    uint8_t png[33] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xc3\x50\0\0\xc3\x50\x08\x02";
    const uint32_t sum = (uint32_t)crc32(0, png + 12, 17);
    for (size_t i = 0; i < 4; i++) { png[29 + i] = (uint8_t)(sum >> (24 - 8 * i)); }
    uint8_t with_data[33 + 12] = { 0 };
    memcpy(with_data, png, 33);
    memcpy(with_data + 37, "IDAT", 4);
    const uint32_t none = (uint32_t)crc32(0, with_data + 37, 4);
    for (size_t i = 0; i < 4; i++) { with_data[41 + i] = (uint8_t)(none >> (24 - 8 * i)); }
    expect("bomb.png", with_data, sizeof with_data, CLIPCU_ERR_LIMIT, "50000 x 50000");

    expect("bomb.gif", "GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08", 24,
           CLIPCU_ERR_LIMIT, "65535 x 65535");
    expect("bomb.ppm", "P6 60000 60000 255\nabc", 22, CLIPCU_ERR_LIMIT, "60000 x 60000");
    expect("zero.ppm", "P6 0 9 255\nabc", 14, CLIPCU_ERR_FORMAT, "0 x 9");
    const blob webp = read_golden("webp_animated.webp");
    memcpy(webp.bytes + 24, "\x3f\x9c\0\x3f\x9c\0", 6); /* the canvas, each way less 1 */
    expect("bomb.webp", webp.bytes, webp.count, CLIPCU_ERR_LIMIT, "40000 x 40000");
    memcpy(webp.bytes + 24, "\x01\0\0\x01\0\0", 6); /* too small for its frames */
    expect("small.webp", webp.bytes, webp.count, CLIPCU_ERR_FORMAT, "small.webp: damaged WebP");
    ccu_free(webp.bytes);
    const blob bmp = read_golden("bmp_RGB.bmp");
    memcpy(bmp.bytes + 18, "\xff\xff\0\0\xff\xff\0\0", 8);
    expect("bomb.bmp", bmp.bytes, bmp.count, CLIPCU_ERR_LIMIT, "65535 x 65535");
    ccu_free(bmp.bytes);

    const blob   jpeg = read_golden("jpeg_444.jpg");
    const size_t end  = jpeg.count - 9;
    size_t       at   = 0;
    while (at < end && memcmp(jpeg.bytes + at, "\xff\xc0\0\x11\x08", 5) != 0) { at++; }
    assert_true(at < end);
    memcpy(jpeg.bytes + at + 5, "\xea\x60\xea\x60", 4); /* 60000 x 60000 */
    expect("bomb.jpg", jpeg.bytes, jpeg.count, CLIPCU_ERR_LIMIT, "60000 x 60000");
    ccu_free(jpeg.bytes);

    /* Below the limit on pixels, but far more than so few bytes can hold. */
    memcpy(with_data + 16, "\0\0\x30\0\0\0\x30\0", 8);
    const uint32_t again = (uint32_t)crc32(0, with_data + 12, 17);
    for (size_t i = 0; i < 4; i++) { with_data[29 + i] = (uint8_t)(again >> (24 - 8 * i)); }
    expect("empty.png", with_data, sizeof with_data, CLIPCU_ERR_FORMAT, "truncated");
}

static void test_pixels_max(void **state) {
    (void)state;
    const blob         file    = read_golden("png_c2_d8.png"); /* 19 x 13 = 247 pixels */
    ccu_decode_options options = { .pixels_max = 246 };
    ccu_image          image   = { 0 };
    assert_int_equal(ccu_image_decode("a.png", file.bytes, file.count, &options, &image, NULL),
                     CLIPCU_ERR_LIMIT);
    options.pixels_max = 247;
    assert_int_equal(ccu_image_decode("a.png", file.bytes, file.count, &options, &image, NULL),
                     CLIPCU_OK);
    ccu_image_free(&image);
    ccu_free(file.bytes);
}

/* A progressive file whose first scan is said again and again. */
static void test_many_scans(void **state) {
    (void)state;
    const blob   file  = read_golden("jpeg_progressive.jpg");
    const size_t times = 600;
    size_t       begin = 0, end = 0;
    for (size_t i = 0; i + 1 < file.count && end == 0; i++) {
        if (file.bytes[i] != 0xff) { continue; }
        if (file.bytes[i + 1] == 0xda && begin == 0) {
            begin = i;
        } else if (begin != 0 && i > begin + 10 && file.bytes[i + 1] != 0) {
            end = i;
        }
    }
    assert_true(begin > 0 && end > begin);
    const size_t scan  = end - begin;
    const size_t count = file.count + scan * times;
    uint8_t     *bytes = malloc(count);
    assert_non_null(bytes);
    memcpy(bytes, file.bytes, end);
    for (size_t i = 0; i < times; i++) {
        memcpy(bytes + end + i * scan, file.bytes + begin, scan);
    }
    memcpy(bytes + end + scan * times, file.bytes + end, file.count - end);
    expect("scans.jpg", bytes, count, CLIPCU_ERR_LIMIT, "scans");
    free(bytes);
    ccu_free(file.bytes);
}

static void test_other_kinds(void **state) {
    (void)state;
    const struct {
        const char *bytes;
        size_t      count;
        const char *name;
    } kinds[] = {
        { "\0\0\0\x1c" "ftypavif\0\0\0\0", 16, "AVIF" },
        { "\0\0\0\x1c" "ftypavis\0\0\0\0", 16, "AVIF" },
        { "\0\0\0\x1c" "ftypheic\0\0\0\0", 16, "HEIC" },
        { "\0\0\0\x1c" "ftyphevc\0\0\0\0", 16, "HEIC" },
        { "\0\0\0\x1c" "ftypmif1\0\0\0\0", 16, "HEIF" },
        { "\0\0\0\x1c" "ftypcrx \0\0\0\0", 16, "raw (CR3)" },
        { "\0\0\0\x1c" "ftypqt  \0\0\0\0", 16, "QuickTime video" },
        { "\0\0\0\x1c" "ftypisom\0\0\0\0", 16, "MP4 video" },
        { "\x1a\x45\xdf\xa3\x01", 5, "Matroska or WebM video" },
        { "RIFF\x24\0\0\0AVI LIST", 16, "AVI video" },
        { "\0\0\1\xba", 4, "MPEG video" },
        { "FLV\1\5", 5, "Flash video" },
        { "\x30\x26\xb2\x75\x8e", 5, "Windows Media video" },
        { "II*\0\x08\0\0\0", 8, "TIFF" },
        { "MM\0*\0\0\0\x08", 8, "TIFF" },
        { "II\xbc\1", 4, "JPEG XR" },
        { "\xff\x0a\x7f\0", 4, "JPEG XL" },
        { "\0\0\0\x0cJXL \r\n\x87\n", 12, "JPEG XL" },
        { "\0\0\0\x0cjP  \r\n\x87\n", 12, "JPEG 2000" },
        { "\xff\x4f\xff\x51", 4, "JPEG 2000" },
        { "<?xml version='1.0'?>\n<svg xmlns=''/>", 38, "SVG" },
        { "\xef\xbb\xbf \n<SVG/>", 11, "SVG" },
        { "P3 1 1 255 0 0 0", 16, "plain-text PNM" },
        { "P7\nWIDTH 1", 10, "PAM" },
        { "\0\0\1\0\1\0", 6, "ICO" },
        { "\0\0\2\0\1\0", 6, "CUR" },
        { "icns\0\0\0\1", 8, "ICNS" },
        { "8BPS\0\1", 6, "Photoshop" },
        { "gimp xcf file", 13, "XCF" },
        { "qoif\0\0", 6, "QOI" },
        { "DDS \x7c", 5, "DDS" },
        { "\x76\x2f\x31\1\2", 5, "OpenEXR" },
        { "#?RADIANCE\n", 11, "Radiance HDR" },
        { "%PDF-1.7", 8, "PDF" },
        { "%!PS-Adobe-3.0", 14, "PostScript" },
    };
    for (size_t i = 0; i < COUNT(kinds); i++) {
        expect("photo.x", kinds[i].bytes, kinds[i].count, CLIPCU_ERR_UNSUPPORTED, kinds[i].name);
    }
    expect("photo.jpg", kinds[0].bytes, kinds[0].count, CLIPCU_ERR_UNSUPPORTED,
           "photo.jpg: AVIF is not supported: convert it to JPEG, PNG or WebP first");
    uint8_t medical[132] = { 0 };
    memcpy(medical + 128, "DICM", 4);
    expect("scan", medical, sizeof medical, CLIPCU_ERR_UNSUPPORTED, "scan: DICOM is");
    expect("notes.jpg", "hello world", 11, CLIPCU_ERR_FORMAT,
           "notes.jpg: not a picture this program knows: first bytes 68 65 6c 6c 6f 20 77 6f");
    expect("page.jpg", "\n<HTML><body>", 13, CLIPCU_ERR_FORMAT, "page.jpg: a web page");
    expect("page.jpg", "<!DOCTYPE html><svg>", 20, CLIPCU_ERR_FORMAT, "a web page");
    expect("feed.jpg", "<rss><item>", 11, CLIPCU_ERR_FORMAT, "first bytes 3c 72");
    expect("a", "\xff", 1, CLIPCU_ERR_FORMAT, "first bytes ff");
    expect("empty.png", "", 0, CLIPCU_ERR_FORMAT, "empty.png: the file is empty");
    expect("max.pgm", "P5 1 1 65536\n00", 15, CLIPCU_ERR_FORMAT, "maximum of 1 .. 65535");
    expect("long.pgm", "P5 99999999999 1 255\n00", 23, CLIPCU_ERR_FORMAT, "PNM header");
    expect("none.webp", "RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x07\0\0\x07\0\0", 30,
           CLIPCU_ERR_FORMAT, "none.webp");
    expect("none.gif", "GIF89a\1\0\1\0\0\0\0;", 14, CLIPCU_ERR_FORMAT, "without a picture");
}

/* Damage that a sum catches, and names. */
static void test_png_sum(void **state) {
    (void)state;
    const blob file = read_golden("png_c2_d8.png");
    file.bytes[file.count - 40] ^= 1; /* inside the pixels */
    expect("sum.png", file.bytes, file.count, CLIPCU_ERR_FORMAT, "sum.png: damaged");
    ccu_free(file.bytes);
}

static void test_photos(void **state) {
    (void)state;
    const char *folder = getenv("CLIPCU_TEST_DATA");
    if (folder == NULL) {
        print_message("SKIPPED: CLIPCU_TEST_DATA (a folder with photos/) is not set\n");
        skip();
    }
    char photos[CCU_PATH_MAX];
    char path[CCU_PATH_MAX];
    (void)snprintf(photos, sizeof photos, "%s/photos", folder);
    DIR *dir = opendir(photos);
    if (dir == NULL) {
        print_message("SKIPPED: no folder %s\n", photos);
        skip();
    }
    size_t count = 0;
    for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (!is_jpeg(entry->d_name)) { continue; }
        blob         file  = { 0 };
        ccu_image    image = { 0 };
        clipcu_error error = { 0 };
        assert_int_equal(ccu_path_join(path, photos, entry->d_name, &error), CLIPCU_OK);
        assert_int_equal(ccu_file_read(path, FILE_BYTES_MAX, &file.bytes, &file.count, &error),
                         CLIPCU_OK);
        if (decode(path, file.bytes, file.count, true, &image, &error) != CLIPCU_OK) {
            fail_msg("%s", error.text);
        }
        assert_true(image.W > 0 && image.H > 0);
        ccu_image_free(&image);
        ccu_free(file.bytes);
        count++;
    }
    (void)closedir(dir);
    print_message("%zu photographs\n", count);
    assert_true(count > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),     cmocka_unit_test(test_golden_check_can_fail),
        cmocka_unit_test(test_drafts),
        cmocka_unit_test(test_truncated),   cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_too_large),   cmocka_unit_test(test_pixels_max),
        cmocka_unit_test(test_many_scans),
        cmocka_unit_test(test_other_kinds), cmocka_unit_test(test_png_sum),
        cmocka_unit_test(test_photos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
