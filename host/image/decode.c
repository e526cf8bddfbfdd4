/* Which decoder a file belongs to, and what a file is that none of them takes; see image.h.
 *
 * JPEG, PNG and GIF go through libjpeg-turbo, libpng and giflib. BMP and PNM have decoders of our
 * own: a small header and pixels that are not compressed, for which no common library exists. */
#include "image/decode.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "image/exif.h"

typedef clipcu_status (*decode_fn)(const ccu_source *source, ccu_image *out, clipcu_error *error);

/* A format by the bytes at `offset`. Those without a decoder are refused by name. */
typedef struct format {
    size_t      offset;
    size_t      count;
    const char *magic;
    const char *name;
    decode_fn   decode;
} format;

static const format formats[] = {
    { 0, 3, "\xff\xd8\xff", "JPEG", ccu_decode_jpeg },
    { 0, 8, "\x89PNG\r\n\x1a\n", "PNG", ccu_decode_png },
    { 0, 6, "GIF87a", "GIF", ccu_decode_gif },
    { 0, 6, "GIF89a", "GIF", ccu_decode_gif },
    { 0, 2, "P4", "PNM", ccu_decode_pnm },
    { 0, 2, "P5", "PNM", ccu_decode_pnm },
    { 0, 2, "P6", "PNM", ccu_decode_pnm },
    { 0, 2, "P1", "plain-text PNM", NULL },
    { 0, 2, "P2", "plain-text PNM", NULL },
    { 0, 2, "P3", "plain-text PNM", NULL },
    { 0, 2, "P7", "PAM", NULL },
    { 8, 4, "WEBP", "WebP", NULL },
    { 4, 8, "ftypavif", "AVIF", NULL },
    { 4, 8, "ftypavis", "AVIF", NULL },
    { 4, 7, "ftyphei", "HEIC", NULL },
    { 4, 7, "ftyphev", "HEIC", NULL },
    { 4, 8, "ftypmif1", "HEIF", NULL },
    { 4, 8, "ftypmsf1", "HEIF", NULL },
    { 0, 4, "II*\0", "TIFF", NULL },
    { 0, 4, "MM\0*", "TIFF", NULL },
    { 0, 4, "II+\0", "TIFF", NULL },
    { 0, 4, "MM\0+", "TIFF", NULL },
    { 0, 2, "\xff\x0a", "JPEG XL", NULL },
    { 4, 8, "JXL \r\n\x87\n", "JPEG XL", NULL },
    { 4, 8, "jP  \r\n\x87\n", "JPEG 2000", NULL },
    { 0, 4, "\xff\x4f\xff\x51", "JPEG 2000", NULL },
    { 0, 4, "\0\0\1\0", "ICO", NULL },
    { 0, 4, "8BPS", "Photoshop", NULL },
    { 0, 4, "qoif", "QOI", NULL },
    { 0, 4, "%PDF", "PDF", NULL },
    { 0, 2, "BM", "BMP", ccu_decode_bmp },
};

static const format *find_format(const ccu_source *source) {
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const format *f = &formats[i];
        if (source->count >= f->offset + f->count &&
            memcmp(source->bytes + f->offset, f->magic, f->count) == 0) {
            return f;
        }
    }
    return NULL;
}

/* SVG is text without a magic: an "<svg" near the beginning of something that starts with '<'. */
static bool is_svg(const ccu_source *source) {
    const size_t near = source->count < 1024 ? source->count : 1024;
    size_t       at   = 0;
    while (at < near && source->bytes[at] != '<') {
        if (memchr(" \t\r\n\xef\xbb\xbf", source->bytes[at], 7) == NULL) { return false; }
        at++;
    }
    for (; at + 4 <= near; at++) {
        if (memcmp(source->bytes + at, "<svg", 4) == 0) { return true; }
    }
    return false;
}

static clipcu_status fail_unknown(const ccu_source *source, clipcu_error *error) {
    const char  *digits = "0123456789abcdef";
    const size_t shown  = source->count < 8 ? source->count : 8;
    char         text[3 * 8 + 1];
    if (is_svg(source)) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: SVG pictures are not supported yet",
                        source->name);
    }
    if (shown == 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: the file is empty", source->name);
    }
    for (size_t i = 0; i < shown; i++) {
        text[3 * i]     = digits[source->bytes[i] >> 4];
        text[3 * i + 1] = digits[source->bytes[i] & 15];
        text[3 * i + 2] = ' ';
    }
    text[3 * shown - 1] = '\0';
    return ccu_fail(error, CLIPCU_ERR_FORMAT,
                    "%s: not a picture this program knows: first bytes %s", source->name, text);
}

clipcu_status ccu_image_alloc(const ccu_source *source, int64_t W, int64_t H, ccu_image *out,
                              clipcu_error *error) {
    if (W <= 0 || H <= 0 || W > INT32_MAX || H > INT32_MAX) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: the header says %lld x %lld pixels",
                        source->name, (long long)W, (long long)H);
    }
    if (W > source->pixels_max / H || (uint64_t)W * (uint64_t)H > SIZE_MAX / 3) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: %lld x %lld pixels, at most %lld are read",
                        source->name, (long long)W, (long long)H, (long long)source->pixels_max);
    }
    const size_t bytes = (size_t)W * (size_t)H * 3;
    uint8_t     *rgb   = ccu_alloc(bytes);
    if (rgb == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %zu bytes of pixels",
                        source->name, bytes);
    }
    *out = (ccu_image){ .rgb = rgb, .W = (int32_t)W, .H = (int32_t)H };
    return CLIPCU_OK;
}

clipcu_status ccu_image_decode(const char *name, const uint8_t *bytes, size_t bytes_count,
                               const ccu_decode_options *options, ccu_image *out,
                               clipcu_error *error) {
    assert(name != NULL && options != NULL && out != NULL);
    assert(bytes != NULL || bytes_count == 0);
    const ccu_source source = {
        .name = name, .bytes = bytes, .count = bytes_count, .pixels_max = options->pixels_max
    };
    const format *kind = find_format(&source);
    if (kind == NULL) { return fail_unknown(&source, error); }
    if (kind->decode == NULL) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: %s pictures are not supported yet",
                        name, kind->name);
    }
    ccu_image     image  = { 0 };
    clipcu_status status = kind->decode(&source, &image, error);
    if (status == CLIPCU_OK && options->exif) {
        status = ccu_exif_upright(ccu_exif_orientation(bytes, bytes_count), &image, error);
    }
    if (status != CLIPCU_OK) {
        ccu_image_free(&image);
        return status;
    }
    *out = image;
    return CLIPCU_OK;
}

void ccu_image_free(ccu_image *image) {
    if (image == NULL) { return; }
    ccu_free(image->rgb);
    *image = (ccu_image){ 0 };
}
