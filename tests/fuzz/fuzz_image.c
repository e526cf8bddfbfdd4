/* Fuzz target: a picture file through every decoder and the resize to 64 x 64; host/image.
 *
 * PNG parts carry checksums that a random change breaks, and libpng then looks no further: the
 * mutator below mends them. */
#include <string.h>
#include <zlib.h>

#include "fuzz/fuzz.h"
#include "image/image.h"

#define SIDE 64
#define PIXELS_MAX (1 << 18)

/* libFuzzer's. Weak: a replay has none and never mutates. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t bytes_max) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t bytes_max, unsigned int seed);

static uint32_t read_be32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Each part of a PNG file: 4 bytes of length, 4 of name, its content, 4 of checksum. */
static void mend_png(uint8_t *data, size_t bytes) {
    size_t at = 8;
    while (at + 12 <= bytes) {
        const size_t length = read_be32(data + at);
        if (length > bytes - at - 12) { return; }
        const uint32_t sum = (uint32_t)crc32(0, data + at + 4, (uInt)length + 4);
        for (size_t i = 0; i < 4; i++) {
            data[at + 8 + length + i] = (uint8_t)(sum >> (24 - 8 * i));
        }
        at += 12 + length;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t bytes_max, unsigned int seed) {
    const size_t changed = LLVMFuzzerMutate(data, bytes, bytes_max);
    if (changed > 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0 && seed % 8 != 0) {
        mend_png(data, changed);
    }
    return changed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static uint8_t            out[SIDE * SIDE * 3];
    const ccu_decode_options options = { .pixels_max = PIXELS_MAX, .exif = bytes % 2 == 0,
                                         .draft_side = bytes % 3 == 0 ? 8 : 0 };
    ccu_image                image   = { 0 };
    clipcu_error             error   = { .code = CLIPCU_OK };
    clipcu_status status = ccu_image_decode("dir/picture", data, bytes, &options, &image, &error);
    fuzz_expect_status(status, &error, "dir/picture");
    fuzz_expect((status == CLIPCU_OK) == (image.rgb != NULL), "a picture on success only");
    if (status != CLIPCU_OK) { return 0; }
    fuzz_expect(image.W > 0 && image.H > 0 && (int64_t)image.W * image.H <= PIXELS_MAX,
                "a picture has the size that was allowed");
    const ccu_fit fit = { .size        = SIDE,
                          .resize_size = bytes % 5 == 0 ? SIDE + 9 : SIDE,
                          .squash      = bytes % 3 == 0,
                          .crop        = bytes % 7 < 3 ? CLIPCU_CROP_FLOOR : CLIPCU_CROP_HALF_EVEN,
                          .resample    = bytes % 4 == 0 ? CCU_RESAMPLE_BILINEAR
                                                        : CCU_RESAMPLE_BICUBIC };
    status = ccu_image_fit(&image, &fit, out, &error);
    fuzz_expect_status(status, &error, NULL);
    ccu_image_free(&image);
    return 0;
}
