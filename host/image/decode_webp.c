/* WebP through libwebp, lossy and lossless, first frame. Called by decode.c.
 *
 * Pillow's result: alpha is dropped, transparent pixels show the colours stored under them; what
 * the first frame of an animation leaves free of the canvas is black. libwebp is asked for RGB
 * where Pillow asks for RGBA: the colours are the same. It calls malloc itself: four bytes a pixel
 * for lossless pictures, some rows for lossy ones. */
#include <errno.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "image/decode.h"

/* The demuxer and some of the decoder do not tell that there was no memory; errno does. */
static clipcu_status fail_webp(const ccu_source *source, VP8StatusCode code, clipcu_error *error) {
    if (errno == ENOMEM) { code = VP8_STATUS_OUT_OF_MEMORY; }
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory to decode WebP", source->name);
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: WebP of a kind that libwebp lacks",
                        source->name);
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: truncated: the WebP data ends too early",
                        source->name);
    case VP8_STATUS_OK:
    case VP8_STATUS_INVALID_PARAM:
    case VP8_STATUS_BITSTREAM_ERROR:
    case VP8_STATUS_USER_ABORT: break;
    }
    return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: damaged WebP", source->name);
}

/* The frame's pixels, straight into their place in the picture. */
static clipcu_status read_frame(const ccu_source *source, const WebPIterator *frame,
                                ccu_image *image, clipcu_error *error) {
    WebPDecoderConfig config;
    const size_t      stride = (size_t)image->W * 3;
    if (frame->x_offset < 0 || frame->width > image->W - frame->x_offset || frame->y_offset < 0 ||
        frame->height > image->H - frame->y_offset || stride > INT32_MAX ||
        WebPInitDecoderConfig(&config) == 0) {
        return fail_webp(source, VP8_STATUS_BITSTREAM_ERROR, error);
    }
    if (frame->width != image->W || frame->height != image->H) {
        memset(image->rgb, 0, stride * (size_t)image->H);
    }
    const size_t at = (size_t)frame->y_offset * stride + (size_t)frame->x_offset * 3;
    config.output.colorspace         = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba        = image->rgb + at;
    config.output.u.RGBA.stride      = (int)stride;
    config.output.u.RGBA.size        = stride * (size_t)image->H - at;
    const VP8StatusCode code = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    return code == VP8_STATUS_OK ? CLIPCU_OK : fail_webp(source, code, error);
}

static clipcu_status run(const ccu_source *source, const WebPDemuxer *demux, ccu_image *image,
                         clipcu_error *error) {
    WebPIterator frame;
    if (WebPDemuxGetFrame(demux, 1, &frame) == 0) {
        if (errno == ENOMEM) { return fail_webp(source, VP8_STATUS_OUT_OF_MEMORY, error); }
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: a WebP without a picture", source->name);
    }
    clipcu_status status = ccu_image_alloc(source, WebPDemuxGetI(demux, WEBP_FF_CANVAS_WIDTH),
                                           WebPDemuxGetI(demux, WEBP_FF_CANVAS_HEIGHT), image,
                                           error);
    if (status == CLIPCU_OK) { status = read_frame(source, &frame, image, error); }
    WebPDemuxReleaseIterator(&frame);
    return status;
}

clipcu_status ccu_decode_webp(const ccu_source *source, ccu_image *out, clipcu_error *error) {
    const WebPData data  = { .bytes = source->bytes, .size = source->count };
    WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
    errno                = 0; /* for fail_webp */
    WebPDemuxer   *demux = WebPDemuxPartial(&data, &state);
    ccu_image      image = { 0 };
    clipcu_status  status;
    if (state == WEBP_DEMUX_DONE) {
        status = run(source, demux, &image, error);
    } else {
        const bool part = state != WEBP_DEMUX_PARSE_ERROR;
        status = fail_webp(source, part ? VP8_STATUS_NOT_ENOUGH_DATA : VP8_STATUS_BITSTREAM_ERROR,
                           error);
    }
    WebPDemuxDelete(demux); /* NULL is fine */
    if (status != CLIPCU_OK) {
        ccu_image_free(&image);
        return status;
    }
    *out = image;
    return CLIPCU_OK;
}
