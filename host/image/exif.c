/* EXIF orientation; see exif.h. Whatever is out of bounds or not understood counts as upright:
 * a damaged note by the camera is no reason to refuse a picture. */
#include "image/exif.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

#define TAG_ORIENTATION 0x0112
#define TYPE_SHORT 3
#define TYPE_LONG 4

static uint32_t read16(const uint8_t *bytes, bool big) {
    return big ? ccu_read_be16(bytes) : ccu_read_le16(bytes);
}

static uint32_t read32(const uint8_t *bytes, bool big) {
    return big ? ccu_read_be32(bytes) : ccu_read_le32(bytes);
}

/* A TIFF block: byte order, offset of the first directory, entries of 12 bytes. */
static int32_t tiff_orientation(const uint8_t *tiff, size_t count) {
    if (count < 8) { return 1; }
    const bool big = memcmp(tiff, "MM\0*", 4) == 0;
    if (!big && memcmp(tiff, "II*\0", 4) != 0) { return 1; }
    const size_t directory = read32(tiff + 4, big);
    if (directory > count - 2) { return 1; }
    const size_t entries = read16(tiff + directory, big);
    for (size_t i = 0; i < entries; i++) {
        const size_t at = directory + 2 + i * 12;
        if (at + 12 > count) { return 1; }
        const uint8_t *entry = tiff + at;
        if (read16(entry, big) != TAG_ORIENTATION) { continue; }
        const uint32_t type = read16(entry + 2, big);
        if (read32(entry + 4, big) != 1) { return 1; }
        if (type != TYPE_SHORT && type != TYPE_LONG) { return 1; }
        const uint32_t value = type == TYPE_SHORT ? read16(entry + 8, big)
                                                  : read32(entry + 8, big);
        return value >= 1 && value <= 8 ? (int32_t)value : 1;
    }
    return 1;
}

/* Segments of a JPEG up to the first scan. */
static int32_t jpeg_orientation(const uint8_t *bytes, size_t count) {
    size_t at = 2;
    while (at + 4 <= count && bytes[at] == 0xff) {
        const uint8_t marker = bytes[at + 1];
        if (marker == 0xff) { /* fill byte */
            at++;
            continue;
        }
        const size_t length = ccu_read_be16(bytes + at + 2);
        if (marker == 0xda || length < 2 || length > count - at - 2) { return 1; }
        const uint8_t *body = bytes + at + 4;
        if (marker == 0xe1 && length >= 8 && memcmp(body, "Exif\0\0", 6) == 0) {
            return tiff_orientation(body + 6, length - 8);
        }
        at += 2 + length;
    }
    return 1;
}

/* Chunks of a PNG; eXIf may stand before or after the pixels. */
static int32_t png_orientation(const uint8_t *bytes, size_t count) {
    size_t at = 8;
    while (at + 12 <= count) {
        const size_t length = ccu_read_be32(bytes + at);
        if (length > count - at - 12) { return 1; }
        if (memcmp(bytes + at + 4, "eXIf", 4) == 0) {
            return tiff_orientation(bytes + at + 8, length);
        }
        at += 12 + length;
    }
    return 1;
}

/* Chunks of a WebP; only one that starts with VP8X and has its EXIF flag set holds a note, with or
 * without JPEG's prefix. */
static int32_t webp_orientation(const uint8_t *bytes, size_t count) {
    if (count < 30 || memcmp(bytes + 12, "VP8X", 4) != 0 || (bytes[20] & 8) == 0) { return 1; }
    size_t at = 12;
    while (at + 8 <= count) {
        const size_t length = ccu_read_le32(bytes + at + 4);
        if (length > count - at - 8) { return 1; }
        if (memcmp(bytes + at, "EXIF", 4) == 0) {
            const uint8_t *body   = bytes + at + 8;
            const size_t   prefix = length >= 6 && memcmp(body, "Exif\0\0", 6) == 0 ? 6 : 0;
            return tiff_orientation(body + prefix, length - prefix);
        }
        at += 8 + length + length % 2;
    }
    return 1;
}

int32_t ccu_exif_orientation(const uint8_t *bytes, size_t count) {
    if (count >= 2 && bytes[0] == 0xff && bytes[1] == 0xd8) {
        return jpeg_orientation(bytes, count);
    }
    if (count >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0) {
        return png_orientation(bytes, count);
    }
    if (count >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) {
        return webp_orientation(bytes, count);
    }
    return 1;
}

clipcu_status ccu_exif_upright(int32_t orientation, ccu_image *image, clipcu_error *error) {
    assert(orientation >= 1 && orientation <= 8);
    if (orientation == 1) { return CLIPCU_OK; }

    /* In pixels of the stored picture: where the upright one starts, and its steps right, down. */
    const ptrdiff_t W = image->W, H = image->H;
    const ptrdiff_t end = W * H - 1;
    const struct {
        ptrdiff_t start, right, down;
    } turns[9] = {
        [1] = { 0, 1, W },           [2] = { W - 1, -1, W },   /* mirrored left-right */
        [3] = { end, -1, -W },       [4] = { end - W + 1, 1, -W },
        [5] = { 0, W, 1 },           [6] = { end - W + 1, -W, 1 },
        [7] = { end, -W, -1 },       [8] = { W - 1, W, -1 },
    };
    const bool      swap  = orientation >= 5;
    const ptrdiff_t width = swap ? H : W, height = swap ? W : H;
    const size_t    bytes = (size_t)W * (size_t)H * 3;
    uint8_t        *rgb   = ccu_alloc(bytes);
    if (rgb == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %zu bytes of pixels", bytes);
    }
    uint8_t *to = rgb;
    for (ptrdiff_t y = 0; y < height; y++) {
        ptrdiff_t from = turns[orientation].start + y * turns[orientation].down;
        for (ptrdiff_t x = 0; x < width; x++) {
            memcpy(to, image->rgb + from * 3, 3);
            to += 3;
            from += turns[orientation].right;
        }
    }
    ccu_free(image->rgb);
    *image = (ccu_image){ .rgb = rgb, .W = (int32_t)width, .H = (int32_t)height };
    return CLIPCU_OK;
}
