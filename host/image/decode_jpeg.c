/* JPEG through libjpeg-turbo, set as Pillow sets it: slow integer IDCT, fancy upsampling. Called
 * by decode.c.
 *
 * libjpeg reports errors by a callback that must not return, so setjmp cannot be avoided. It is
 * confined to this file: run() does the work and may be left by longjmp from any libjpeg call;
 * everything that must be released lives in the jpeg struct, which is not a local of run(). */
#include "image/decode.h"

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

#include "base/memory.h"

/* A small progressive file can ask for any number of passes over a large picture: bounded in
 * count, and in pixels visited all together. Ordinary files have about ten scans. */
#define SCANS_MAX 500
#define SCANNED_PIXELS_MAX ((int64_t)4 << 30)

typedef struct jpeg {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr         errors;
    struct jpeg_source_mgr        input;
    struct jpeg_progress_mgr      progress;
    jmp_buf                       jump;
    const ccu_source             *source;
    clipcu_error                 *error;
    clipcu_status                 status;
    ccu_image                     image;
    uint8_t                      *cmyk;     /* one row, or NULL */
    bool                          ran_out;  /* libjpeg asked for more bytes than there are */
    JOCTET                        end[2];   /* what it then got: an end-of-image marker */
} jpeg;

/* Leaves run() with a status. */
static void leave(jpeg *j, clipcu_status status) {
    j->status = status;
    longjmp(j->jump, 1);
}

static clipcu_status fail_truncated(jpeg *j) {
    return ccu_fail(j->error, CLIPCU_ERR_FORMAT, "%s: truncated: the JPEG data ends too early",
                    j->source->name);
}

static void on_error(j_common_ptr info) {
    jpeg *j = info->client_data;
    char  text[JMSG_LENGTH_MAX];
    j->errors.format_message(info, text);
    switch (j->errors.msg_code) {
    case JERR_OUT_OF_MEMORY:
        leave(j, ccu_fail(j->error, CLIPCU_ERR_NOMEM, "%s: no memory to decode JPEG",
                          j->source->name));
        break;
    case JERR_IMAGE_TOO_BIG:
        leave(j, ccu_fail(j->error, CLIPCU_ERR_LIMIT, "%s: %s", j->source->name, text));
        break;
    case JERR_SOF_UNSUPPORTED:
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
        leave(j, ccu_fail(j->error, CLIPCU_ERR_UNSUPPORTED, "%s: this kind of JPEG: %s",
                          j->source->name, text));
        break;
    default:
        leave(j, j->ran_out ? fail_truncated(j)
                            : ccu_fail(j->error, CLIPCU_ERR_FORMAT, "%s: bad JPEG: %s",
                                       j->source->name, text));
    }
}

/* Warnings are about damaged data that libjpeg papers over; Pillow shows such pictures too. */
static void on_message(j_common_ptr info) {
    (void)info;
}

static void on_input_begin(j_decompress_ptr info) {
    (void)info;
}

static boolean on_input_empty(j_decompress_ptr info) {
    jpeg *j                  = info->client_data;
    j->ran_out               = true;
    j->input.next_input_byte = j->end;
    j->input.bytes_in_buffer = sizeof j->end;
    return TRUE;
}

static void on_input_skip(j_decompress_ptr info, long count) {
    jpeg *j = info->client_data;
    if (count <= 0) { return; }
    if ((size_t)count > j->input.bytes_in_buffer) {
        (void)on_input_empty(info); /* always TRUE */
        return;
    }
    j->input.next_input_byte += count;
    j->input.bytes_in_buffer -= (size_t)count;
}

static void on_progress(j_common_ptr info) {
    jpeg         *j      = info->client_data;
    const int64_t scans  = j->info.input_scan_number;
    const int64_t pixels = (int64_t)j->info.image_width * j->info.image_height;
    if (scans > SCANS_MAX || scans > 1 + SCANNED_PIXELS_MAX / pixels) {
        leave(j, ccu_fail(j->error, CLIPCU_ERR_LIMIT,
                          "%s: a progressive JPEG of %lld x %lld pixels with %lld scans or more",
                          j->source->name, (long long)j->info.image_width,
                          (long long)j->info.image_height, (long long)scans));
    }
}

static uint8_t product(uint8_t a, uint8_t b) { /* a * b / 255, rounded as Pillow does */
    const uint32_t t = (uint32_t)a * b + 128;
    return (uint8_t)((t + (t >> 8)) >> 8);
}

/* Pillow takes every CMYK JPEG for an inverted one (Adobe's habit), then subtracts inks. What is
 * stored is thus 255 - ink: R = K' - C * K' / 255 with C = 255 - stored, K' = stored K. */
static void cmyk_to_rgb(const uint8_t *from, int32_t W, uint8_t *to) {
    for (int32_t x = 0; x < W; x++) {
        const uint8_t black = from[3];
        for (int32_t c = 0; c < 3; c++) {
            to[c] = (uint8_t)(black - product((uint8_t)(255 - from[c]), black));
        }
        from += 4;
        to += 3;
    }
}

static void set_up(jpeg *j) {
    j->info.err                 = jpeg_std_error(&j->errors);
    j->errors.error_exit        = on_error;
    j->errors.output_message    = on_message;
    j->info.client_data         = j;
    j->input.init_source        = on_input_begin;
    j->input.fill_input_buffer  = on_input_empty;
    j->input.skip_input_data    = on_input_skip;
    j->input.resync_to_restart  = jpeg_resync_to_restart;
    j->input.term_source        = on_input_begin;
    j->input.next_input_byte    = j->source->bytes;
    j->input.bytes_in_buffer    = j->source->count;
    j->progress.progress_monitor = on_progress;
    j->end[0]                   = 0xff;
    j->end[1]                   = JPEG_EOI;
}

/* Pillow's Image.draft: the largest divisor that leaves the shorter side long enough. libjpeg-turbo
 * has other eighths too, which are slower than the whole picture. */
static void choose_scale(jpeg *j) {
    const int64_t W       = j->info.image_width;
    const int64_t H       = j->info.image_height;
    const int64_t shorter = W < H ? W : H;
    unsigned      divisor = j->source->draft_side > 0 ? 8 : 1;
    while (divisor > 1 && shorter / divisor < j->source->draft_side) { divisor /= 2; }
    j->info.scale_num   = 1;
    j->info.scale_denom = divisor;
    jpeg_calc_output_dimensions(&j->info);
}

static clipcu_status run(jpeg *j) {
    jpeg_create_decompress(&j->info);
    j->info.src      = &j->input;
    j->info.progress = &j->progress;
    if (jpeg_read_header(&j->info, TRUE) != JPEG_HEADER_OK || j->ran_out) {
        return fail_truncated(j);
    }
    const int components = j->info.num_components;
    if (components != 1 && components != 3 && components != 4) {
        return ccu_fail(j->error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: a JPEG of %d components: 1, 3 or 4 are known", j->source->name,
                        components);
    }
    clipcu_status status = ccu_image_check(j->source, j->info.image_width, j->info.image_height,
                                           j->error);
    if (status != CLIPCU_OK) { return status; }
    choose_scale(j);
    status = ccu_image_alloc(j->source, j->info.output_width, j->info.output_height, &j->image,
                             j->error);
    if (status != CLIPCU_OK) { return status; }
    const size_t row = (size_t)j->image.W * 3;

    j->info.dct_method          = JDCT_ISLOW;
    j->info.do_fancy_upsampling = TRUE;
    j->info.out_color_space     = JCS_RGB;
    if (components == 4) {
        j->info.out_color_space = JCS_CMYK;
        j->cmyk                 = ccu_alloc((size_t)j->image.W * 4);
        if (j->cmyk == NULL) {
            return ccu_fail(j->error, CLIPCU_ERR_NOMEM, "%s: no memory for a row of pixels",
                            j->source->name);
        }
    }
    (void)jpeg_start_decompress(&j->info); /* false only for inputs that suspend */
    while (j->info.output_scanline < j->info.output_height && !j->ran_out) {
        uint8_t *to   = j->image.rgb + j->info.output_scanline * row;
        JSAMPROW line = j->cmyk != NULL ? j->cmyk : to;
        (void)jpeg_read_scanlines(&j->info, &line, 1); /* 1, or it has left by on_error */
        if (j->cmyk != NULL) { cmyk_to_rgb(j->cmyk, j->image.W, to); }
    }
    return j->ran_out ? fail_truncated(j) : CLIPCU_OK;
}

clipcu_status ccu_decode_jpeg(const ccu_source *source, ccu_image *out, clipcu_error *error) {
    jpeg *j = ccu_alloc_zeroed(1, sizeof *j);
    if (j == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory to decode JPEG", source->name);
    }
    j->source = source;
    j->error  = error;
    set_up(j);
    if (setjmp(j->jump) == 0) { j->status = run(j); }
    const clipcu_status status = j->status;
    jpeg_destroy_decompress(&j->info); /* harmless if it was never created */
    if (status == CLIPCU_OK) {
        *out     = j->image;
        j->image = (ccu_image){ 0 }; /* ownership moved to the caller */
    }
    ccu_image_free(&j->image);
    ccu_free(j->cmyk);
    ccu_free(j);
    return status;
}
