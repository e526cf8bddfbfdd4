/* Which decoder a file belongs to, and what a file is that none of them takes; see image.h.
 *
 * JPEG, PNG, GIF and WebP go through libjpeg-turbo, libpng, giflib and libwebp. BMP and PNM have
 * decoders of our own: a small header and pixels that are not compressed, for which no common
 * library exists. */
#include "image/decode.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

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
    { 8, 4, "WEBP", "WebP", ccu_decode_webp },
    { 0, 2, "P4", "PNM", ccu_decode_pnm },
    { 0, 2, "P5", "PNM", ccu_decode_pnm },
    { 0, 2, "P6", "PNM", ccu_decode_pnm },
    { 0, 2, "BM", "BMP", ccu_decode_bmp },
    { 0, 2, "P1", "plain-text PNM", NULL },
    { 0, 2, "P2", "plain-text PNM", NULL },
    { 0, 2, "P3", "plain-text PNM", NULL },
    { 0, 2, "P7", "PAM", NULL },
    { 4, 8, "ftypavif", "AVIF", NULL },
    { 4, 8, "ftypavis", "AVIF", NULL },
    { 4, 7, "ftyphei", "HEIC", NULL },
    { 4, 7, "ftyphev", "HEIC", NULL },
    { 4, 8, "ftypmif1", "HEIF", NULL },
    { 4, 8, "ftypmsf1", "HEIF", NULL },
    { 4, 7, "ftypcrx", "raw (CR3)", NULL },
    { 4, 6, "ftypqt", "QuickTime video", NULL },
    { 4, 4, "ftyp", "MP4 video", NULL },
    { 0, 4, "\x1a\x45\xdf\xa3", "Matroska or WebM video", NULL },
    { 8, 4, "AVI ", "AVI video", NULL },
    { 0, 4, "\0\0\1\xba", "MPEG video", NULL },
    { 0, 4, "\0\0\1\xb3", "MPEG video", NULL },
    { 0, 4, "FLV\1", "Flash video", NULL },
    { 0, 4, "\x30\x26\xb2\x75", "Windows Media video", NULL },
    { 0, 4, "II*\0", "TIFF", NULL },
    { 0, 4, "MM\0*", "TIFF", NULL },
    { 0, 4, "II+\0", "TIFF", NULL },
    { 0, 4, "MM\0+", "TIFF", NULL },
    { 0, 4, "II\xbc\1", "JPEG XR", NULL },
    { 0, 2, "\xff\x0a", "JPEG XL", NULL },
    { 4, 8, "JXL \r\n\x87\n", "JPEG XL", NULL },
    { 4, 8, "jP  \r\n\x87\n", "JPEG 2000", NULL },
    { 0, 4, "\xff\x4f\xff\x51", "JPEG 2000", NULL },
    { 0, 4, "\0\0\1\0", "ICO", NULL },
    { 0, 4, "\0\0\2\0", "CUR", NULL },
    { 0, 4, "icns", "ICNS", NULL },
    { 0, 4, "8BPS", "Photoshop", NULL },
    { 0, 8, "gimp xcf", "XCF", NULL },
    { 0, 4, "qoif", "QOI", NULL },
    { 0, 4, "BPG\xfb", "BPG", NULL },
    { 0, 4, "DDS ", "DDS", NULL },
    { 0, 4, "\x76\x2f\x31\1", "OpenEXR", NULL },
    { 0, 10, "#?RADIANCE", "Radiance HDR", NULL },
    { 0, 6, "SIMPLE", "FITS", NULL },
    { 128, 4, "DICM", "DICOM", NULL },
    { 0, 4, "\xd7\xcd\xc6\x9a", "WMF", NULL },
    { 40, 4, " EMF", "EMF", NULL },
    { 0, 4, "%PDF", "PDF", NULL },
    { 0, 4, "%!PS", "PostScript", NULL },
    { 0, 4, "\xc5\xd0\xd3\xc6", "PostScript", NULL },
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

/* Text without a magic: whether something that starts with '<' has `tag` near its beginning. */
static bool has_tag(const ccu_source *source, const char *tag) {
    const size_t near  = source->count < 1024 ? source->count : 1024;
    const size_t count = strlen(tag);
    size_t       at    = 0;
    while (at < near && source->bytes[at] != '<') {
        if (memchr(" \t\r\n\xef\xbb\xbf", source->bytes[at], 7) == NULL) { return false; }
        at++;
    }
    for (; at + count <= near; at++) {
        if (strncasecmp((const char *)source->bytes + at, tag, count) == 0) { return true; }
    }
    return false;
}

static clipcu_status fail_kind(const ccu_source *source, const char *kind, clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                    "%s: %s is not supported: convert it to JPEG, PNG or WebP first", source->name,
                    kind);
}

static clipcu_status fail_unknown(const ccu_source *source, clipcu_error *error) {
    const char  *digits = "0123456789abcdef";
    const size_t shown  = source->count < 8 ? source->count : 8;
    char         text[3 * 8 + 1];
    if (has_tag(source, "<html") || has_tag(source, "<!doctype html")) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: a web page, not a picture", source->name);
    }
    if (has_tag(source, "<svg")) { return fail_kind(source, "SVG", error); }
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

clipcu_status ccu_image_check(const ccu_source *source, int64_t W, int64_t H, clipcu_error *error) {
    if (W <= 0 || H <= 0 || W > INT32_MAX || H > INT32_MAX) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: the header says %lld x %lld pixels",
                        source->name, (long long)W, (long long)H);
    }
    if (W > source->pixels_max / H || (uint64_t)W * (uint64_t)H > SIZE_MAX / 3) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: %lld x %lld pixels, at most %lld are read",
                        source->name, (long long)W, (long long)H, (long long)source->pixels_max);
    }
    return CLIPCU_OK;
}

clipcu_status ccu_image_alloc(const ccu_source *source, int64_t W, int64_t H, ccu_image *out,
                              clipcu_error *error) {
    const clipcu_status status = ccu_image_check(source, W, H, error);
    if (status != CLIPCU_OK) { return status; }
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
        .name = name, .bytes = bytes, .count = bytes_count, .pixels_max = options->pixels_max,
        .draft_side = options->draft_side
    };
    const format *kind = find_format(&source);
    if (kind == NULL) { return fail_unknown(&source, error); }
    if (kind->decode == NULL) { return fail_kind(&source, kind->name, error); }
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
