/* Thumbnails through our own resize and libjpeg; see thumbnail.h.
 *
 * libjpeg reports errors by a callback that must not return, so setjmp cannot be avoided. It is
 * confined to this file: run() does the work and may be left by longjmp from any libjpeg call;
 * everything that must be released lives in the encoder struct, which is not a local of run(). */
#include "page/thumbnail.h"

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include "base/memory.h"
#include "image/resize.h"

/* At 144 pixels a side: 4 KB for a photo, and what the model saw can still be judged. */
#define QUALITY 70
#define CHUNK_BYTES 4096

typedef struct encoder {
    struct jpeg_compress_struct  info;
    struct jpeg_error_mgr        errors;
    struct jpeg_destination_mgr  output;
    jmp_buf                      jump;
    ccu_buffer                  *jpeg;
    clipcu_error                *error;
    clipcu_status                status;
    JOCTET                       chunk[CHUNK_BYTES];
} encoder;

static void on_error(j_common_ptr info) {
    encoder *e = info->client_data;
    char     text[JMSG_LENGTH_MAX];
    e->errors.format_message(info, text);
    e->status = ccu_fail(e->error, CLIPCU_ERR_NOMEM, "thumbnail: %s", text);
    longjmp(e->jump, 1);
}

static void on_message(j_common_ptr info) {
    (void)info;
}

static void on_output_begin(j_compress_ptr info) {
    encoder *e                 = info->client_data;
    e->output.next_output_byte = e->chunk;
    e->output.free_in_buffer   = sizeof e->chunk;
}

static boolean on_output_full(j_compress_ptr info) {
    encoder *e = info->client_data;
    ccu_buffer_add(e->jpeg, e->chunk, sizeof e->chunk);
    on_output_begin(info);
    return TRUE;
}

static void on_output_end(j_compress_ptr info) {
    encoder *e = info->client_data;
    ccu_buffer_add(e->jpeg, e->chunk, sizeof e->chunk - e->output.free_in_buffer);
}

/* rgb (side, side, 3) */
static void run(encoder *e, uint8_t *rgb, int32_t side) {
    if (setjmp(e->jump) != 0) { return; }
    jpeg_create_compress(&e->info);
    e->output = (struct jpeg_destination_mgr){ .init_destination    = on_output_begin,
                                               .empty_output_buffer = on_output_full,
                                               .term_destination    = on_output_end };
    e->info.dest             = &e->output;
    e->info.image_width      = (JDIMENSION)side;
    e->info.image_height     = (JDIMENSION)side;
    e->info.input_components = 3;
    e->info.in_color_space   = JCS_RGB;
    jpeg_set_defaults(&e->info);
    jpeg_set_quality(&e->info, QUALITY, TRUE);
    e->info.optimize_coding = TRUE;
    jpeg_start_compress(&e->info, TRUE);
    while (e->info.next_scanline < e->info.image_height) {
        JSAMPROW row = rgb + (size_t)e->info.next_scanline * (size_t)side * 3;
        (void)jpeg_write_scanlines(&e->info, &row, 1); /* always one: the output never waits */
    }
    jpeg_finish_compress(&e->info);
}

clipcu_status ccu_thumbnail_add(const uint8_t *pixels, int32_t S, ccu_buffer *jpeg,
                                clipcu_error *error) {
    const int32_t side  = S < CCU_THUMBNAIL_SIDE ? S : CCU_THUMBNAIL_SIDE;
    const size_t  bytes = (size_t)side * (size_t)side * 3;
    encoder       e     = { .jpeg = jpeg, .error = error };
    assert(pixels != NULL);
    assert(S > 0);
    uint8_t *rgb = ccu_alloc(bytes);
    if (rgb == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "thumbnail: no memory"); }
    if (side == S) {
        memcpy(rgb, pixels, bytes);
    } else {
        uint8_t *source = ccu_alloc((size_t)S * (size_t)S * 3); /* ccu_image wants its own */
        if (source == NULL) {
            ccu_free(rgb);
            return ccu_fail(error, CLIPCU_ERR_NOMEM, "thumbnail: no memory");
        }
        memcpy(source, pixels, (size_t)S * (size_t)S * 3);
        const ccu_image  image  = { .rgb = source, .W = S, .H = S };
        const ccu_resize resize = { .W        = side,
                                    .H        = side,
                                    .width    = side,
                                    .height   = side,
                                    .resample = CCU_RESAMPLE_BICUBIC };
        e.status = ccu_image_resize(&image, &resize, rgb, error);
        ccu_free(source);
    }
    if (e.status == CLIPCU_OK) {
        e.info.err             = jpeg_std_error(&e.errors);
        e.errors.error_exit    = on_error;
        e.errors.output_message = on_message;
        e.info.client_data     = &e;
        run(&e, rgb, side);
        jpeg_destroy_compress(&e.info);
    }
    ccu_free(rgb);
    return e.status;
}
