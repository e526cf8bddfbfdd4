/* JPEG through stb_image, in builds without libjpeg: two to three times slower, and up to a few
 * levels away from Pillow's pixels. Called by decode.c.
 *
 * stb_image reads zeros past the end of a file, so whether the end is there is checked first. It
 * has no state: its failure strings are compiled out. */
#include "image/decode.h"

#ifndef CCU_HAVE_JPEG

#include "base/memory.h"

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_STDIO
#define STBI_NO_FAILURE_STRINGS
#define STBI_ONLY_JPEG
#define STBI_MAX_DIMENSIONS (1 << 28)
#define STBI_MALLOC(bytes) ccu_alloc(bytes)
#define STBI_REALLOC_SIZED(old, old_bytes, bytes) ccu_realloc(old, old_bytes, bytes)
#define STBI_FREE(memory) ccu_free(memory)
#define STBI_ASSERT(condition) ((void)0)
#if defined(__GNUC__) /* it declares more than this choice defines; noticed at the file's end */
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb_image.h>

/* Size and pixels as RGB; the size is checked before anything is decoded. */
static clipcu_status decode(const ccu_source *source, ccu_image *out, clipcu_error *error) {
    int W = 0, H = 0, channels = 0;
    if (source->count > INT32_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: a JPEG of %zu bytes, at most %d are read",
                        source->name, source->count, INT32_MAX);
    }
    const int count = (int)source->count;
    if (stbi_info_from_memory(source->bytes, count, &W, &H, &channels) == 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: bad JPEG header", source->name);
    }
    ccu_image     image  = { 0 };
    clipcu_status status = ccu_image_alloc(source, W, H, &image, error);
    ccu_image_free(&image); /* only its checks were wanted: stb_image allocates its own */
    if (status != CLIPCU_OK) { return status; }

    image.rgb = stbi_load_from_memory(source->bytes, count, &image.W, &image.H, &channels, 3);
    if (image.rgb == NULL) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: bad JPEG data, or no memory",
                        source->name);
    }
    *out = image;
    return CLIPCU_OK;
}

/* Whether every Huffman table has at most 256 codes: stb_image 2.27 does not check it, and writes
 * past its table. */
static bool tables_are_sane(const uint8_t *bytes, size_t count) {
    size_t at = 2;
    while (at + 4 <= count) {
        if (bytes[at] != 0xff || bytes[at + 1] == 0xff || bytes[at + 1] == 0 ||
            (bytes[at + 1] >= 0xd0 && bytes[at + 1] <= 0xd9)) {
            at++; /* pixels, padding, or a marker without a body */
            continue;
        }
        const size_t length = ccu_read_be16(bytes + at + 2);
        if (length < 2 || length > count - at - 2) { return false; }
        const uint8_t *body = bytes + at + 4;
        size_t         left = bytes[at + 1] == 0xc4 ? length - 2 : 0;
        while (left >= 17) {
            size_t codes = 0;
            for (size_t i = 1; i <= 16; i++) { codes += body[i]; }
            if (codes > 256 || codes > left - 17) { return false; }
            body += 17 + codes;
            left -= 17 + codes;
        }
        if (left != 0) { return false; }
        at += 2 + length;
    }
    return true;
}

clipcu_status ccu_decode_jpeg(const ccu_source *source, ccu_image *out, clipcu_error *error) {
    size_t end = source->count;
    while (end >= 2 && !(source->bytes[end - 2] == 0xff && source->bytes[end - 1] == 0xd9)) {
        end--;
    }
    if (end < 4) { /* stb_image would show what there is, over grey */
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: truncated: the JPEG data ends too early",
                        source->name);
    }
    if (!tables_are_sane(source->bytes, source->count)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: bad JPEG: damaged tables", source->name);
    }
    return decode(source, out, error);
}

#else

/* An empty file is no C program. */
typedef int ccu_decode_jpeg_is_in_decode_jpeg;

#endif
