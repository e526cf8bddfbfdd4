/* PNG on zlib: all colour types and depths, interlaced or not. Called by decode.c.
 *
 * Not stb_image, because that inflates without a limit (a picture of 10 x 10 may ask for
 * gigabytes), leaves colours unset that a short palette lacks, checks no sums and scales 16-bit
 * grey where Pillow clips it. Here rows are inflated piece by piece and no more than needed.
 *
 * Pillow's convert("RGB") rules: alpha and tRNS are dropped, 16-bit colour keeps its high byte,
 * 16-bit grey is clipped at 255, palette entries that the file lacks are black. */
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "image/decode.h"
#include "image/png_rows.h"

#define PIECE_BYTES ((size_t)256 << 10) /* inflated at a time; one row if that is more */
#define DEFLATE_RATIO_MAX 1032          /* deflate cannot shrink data further */

typedef struct png {
    const ccu_source *source;
    int64_t           W, H;
    bool              interlaced;
    ccu_png_format    format;
    size_t            at; /* offset of the next chunk */
    z_stream          stream;
} png;

typedef struct chunk {
    const uint8_t *type; /* 4 letters */
    const uint8_t *data;
    size_t         count;
} chunk;

static clipcu_status fail_truncated(const png *p, clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: truncated: the PNG data ends too early",
                    p->source->name);
}

/* The chunk at p->at; its sum is checked if pixels depend on it. */
static clipcu_status next_chunk(png *p, chunk *out, clipcu_error *error) {
    const uint8_t *bytes = p->source->bytes;
    const size_t   left  = p->source->count - p->at;
    if (left < 12) { return fail_truncated(p, error); }
    const size_t count = ccu_read_be32(bytes + p->at);
    if (count > left - 12 || count > INT32_MAX) { return fail_truncated(p, error); }
    *out = (chunk){ .type = bytes + p->at + 4, .data = bytes + p->at + 8, .count = count };
    const bool critical = (out->type[0] & 0x20) == 0;
    if (critical && crc32(0, out->type, (uInt)(count + 4)) != ccu_read_be32(out->data + count)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: damaged: wrong sum in PNG chunk %u",
                        p->source->name, (unsigned)p->at);
    }
    p->at += 12 + count;
    return CLIPCU_OK;
}

static bool depth_is_valid(uint32_t colour, uint32_t depth) {
    switch (colour) {
    case CCU_PNG_GREY: return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case CCU_PNG_PALETTE: return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case CCU_PNG_RGB:
    case CCU_PNG_GREY_ALPHA:
    case CCU_PNG_RGB_ALPHA: return depth == 8 || depth == 16;
    default: return false;
    }
}

static clipcu_status read_header(png *p, clipcu_error *error) {
    const char   *name   = p->source->name;
    chunk         header = { 0 };
    clipcu_status status = next_chunk(p, &header, error);
    if (status != CLIPCU_OK) { return status; }
    if (memcmp(header.type, "CgBI", 4) == 0) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: PNG in Apple's own variant is not supported yet", name);
    }
    if (memcmp(header.type, "IHDR", 4) != 0 || header.count != 13) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: PNG: expected a header of 13 bytes", name);
    }
    p->W             = ccu_read_be32(header.data);
    p->H             = ccu_read_be32(header.data + 4);
    p->format.depth         = header.data[8];
    p->format.colour        = header.data[9];
    p->interlaced    = header.data[12] != 0;
    const bool known = header.data[10] == 0 && header.data[11] == 0 && header.data[12] <= 1;
    if (!known || !depth_is_valid(p->format.colour, p->format.depth)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: PNG of colour type %u, %u bits, compression %u, filter %u, "
                        "interlace %u",
                        name, p->format.colour, p->format.depth, header.data[10], header.data[11],
                        header.data[12]);
    }
    const uint32_t channels[] = { 1, 0, 3, 1, 2, 0, 4 };
    p->format.channels               = channels[p->format.colour];
    return CLIPCU_OK;
}

/* Reads up to the first IDAT; p->at is left on it. */
static clipcu_status read_prologue(png *p, clipcu_error *error) {
    clipcu_status   status = read_header(p, error);
    ccu_png_format *format = &p->format;
    if (status != CLIPCU_OK) { return status; }
    if (format->colour == CCU_PNG_GREY || format->colour == CCU_PNG_GREY_ALPHA) {
        const uint32_t top = format->depth >= 8 ? 255 : (1u << format->depth) - 1;
        for (uint32_t i = 0; i <= top; i++) { memset(format->table[i], (int)(i * 255 / top), 3); }
    }
    for (;;) {
        const size_t at   = p->at;
        chunk        here = { 0 };
        status            = next_chunk(p, &here, error);
        if (status != CLIPCU_OK) { return status; }
        if (memcmp(here.type, "IDAT", 4) == 0) {
            p->at = at;
            return CLIPCU_OK;
        }
        if (memcmp(here.type, "IEND", 4) == 0) { return fail_truncated(p, error); }
        if (memcmp(here.type, "PLTE", 4) == 0 && format->colour == CCU_PNG_PALETTE) {
            memcpy(format->table, here.data,
                   here.count < sizeof format->table ? here.count : sizeof format->table);
        }
    }
}

/* Exactly `count` inflated bytes. */
static clipcu_status inflate_bytes(png *p, uint8_t *out, size_t count, clipcu_error *error) {
    p->stream.next_out  = out;
    p->stream.avail_out = (uInt)count;
    while (p->stream.avail_out > 0) {
        if (p->stream.avail_in == 0) {
            chunk               here   = { 0 };
            const clipcu_status status = next_chunk(p, &here, error);
            if (status != CLIPCU_OK) { return status; }
            if (memcmp(here.type, "IDAT", 4) != 0) { return fail_truncated(p, error); }
            p->stream.next_in  = (Bytef *)(uintptr_t)here.data; /* zlib does not write to it */
            p->stream.avail_in = (uInt)here.count;
            if (here.count == 0) { continue; }
        }
        const int code = inflate(&p->stream, Z_NO_FLUSH);
        if (code == Z_STREAM_END && p->stream.avail_out > 0) { return fail_truncated(p, error); }
        if (code == Z_MEM_ERROR) {
            return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory to inflate",
                            p->source->name);
        }
        if (code != Z_OK && code != Z_STREAM_END) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: damaged PNG data: %s", p->source->name,
                            p->stream.msg != NULL ? p->stream.msg : "cannot inflate");
        }
    }
    return CLIPCU_OK;
}

/* Rows of one pass: where they lie in the picture, and how they are packed. */
typedef struct pass {
    size_t x, y, x_step, y_step; /* of its pixels in the picture */
    size_t width, height;
    size_t row_bytes;
} pass;

static pass plan_pass(const png *p, size_t x, size_t y, size_t x_step, size_t y_step) {
    const size_t W = (size_t)p->W, H = (size_t)p->H;
    pass         r = { .x = x, .y = y, .x_step = x_step, .y_step = y_step };
    r.width        = W > x ? (W - x + x_step - 1) / x_step : 0;
    r.height       = H > y ? (H - y + y_step - 1) / y_step : 0;
    r.row_bytes    = (r.width * p->format.channels * p->format.depth + 7) / 8;
    return r;
}

/* Inflates, undoes and expands the rows of one pass. The buffer's first row holds the row above
 * those that are read next. */
static clipcu_status read_pass(png *p, const pass *r, uint8_t *buffer, size_t buffer_bytes,
                               ccu_image *image, clipcu_error *error) {
    const size_t stride = r->row_bytes + 1; /* a filter byte stands before each row */
    const size_t most   = buffer_bytes / stride - 1;
    const size_t bits   = (size_t)p->format.channels * p->format.depth;
    const size_t step   = bits >= 8 ? bits / 8 : 1;
    if (r->width == 0) { return CLIPCU_OK; } /* such a pass has no rows in the data either */
    memset(buffer, 0, stride);
    for (size_t y = 0; y < r->height;) {
        const size_t        rows   = r->height - y < most ? r->height - y : most;
        const clipcu_status status = inflate_bytes(p, buffer + stride, rows * stride, error);
        if (status != CLIPCU_OK) { return status; }
        for (size_t i = 1; i <= rows; i++, y++) {
            uint8_t *row = buffer + i * stride;
            if (!ccu_png_unfilter(row[0], row + 1, row + 1 - stride, r->row_bytes, step)) {
                return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: damaged: PNG row filter %u",
                                p->source->name, row[0]);
            }
            const size_t pixel = (r->y + y * r->y_step) * (size_t)image->W + r->x;
            ccu_png_expand(&p->format, row + 1, r->width, image->rgb + pixel * 3, r->x_step * 3);
        }
        memcpy(buffer, buffer + rows * stride, stride);
    }
    return CLIPCU_OK;
}

static clipcu_status read_passes(png *p, ccu_image *image, clipcu_error *error) {
    const pass   whole  = plan_pass(p, 0, 0, 1, 1);
    const size_t stride = whole.row_bytes + 1;
    const size_t rows   = whole.height < PIECE_BYTES / stride ? whole.height
                                                              : PIECE_BYTES / stride;
    const size_t bytes  = stride * ((rows < 1 ? 1 : rows) + 1);
    if (stride > INT32_MAX) { /* zlib counts in 32 bits */
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: PNG rows of %zu bytes", p->source->name,
                        stride);
    }
    uint8_t *buffer = ccu_alloc(bytes);
    if (buffer == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %zu bytes of rows",
                        p->source->name, bytes);
    }
    clipcu_status status = CLIPCU_OK;
    if (p->interlaced) { /* Adam7 */
        const pass passes[7] = {
            plan_pass(p, 0, 0, 8, 8), plan_pass(p, 4, 0, 8, 8), plan_pass(p, 0, 4, 4, 8),
            plan_pass(p, 2, 0, 4, 4), plan_pass(p, 0, 2, 2, 4), plan_pass(p, 1, 0, 2, 2),
            plan_pass(p, 0, 1, 1, 2),
        };
        for (int32_t i = 0; i < 7 && status == CLIPCU_OK; i++) {
            status = read_pass(p, &passes[i], buffer, bytes, image, error);
        }
    } else {
        status = read_pass(p, &whole, buffer, bytes, image, error);
    }
    ccu_free(buffer);
    return status;
}

clipcu_status ccu_decode_png(const ccu_source *source, ccu_image *out, clipcu_error *error) {
    png           p      = { .source = source, .at = 8 };
    ccu_image     image  = { 0 };
    clipcu_status status = read_prologue(&p, error);
    if (status != CLIPCU_OK) { return status; }
    status = ccu_image_alloc(source, p.W, p.H, &image, error);
    if (status != CLIPCU_OK) { return status; }

    const size_t least = plan_pass(&p, 0, 0, 1, 1).row_bytes * (size_t)p.H;
    if (least / DEFLATE_RATIO_MAX > source->count) { /* spares touching gigabytes for nothing */
        status = fail_truncated(&p, error);
        goto done;
    }
    if (inflateInit(&p.stream) != Z_OK) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory to inflate", source->name);
        goto done;
    }
    status = read_passes(&p, &image, error);
    (void)inflateEnd(&p.stream); /* only fails on a stream that was never set up */
    if (status == CLIPCU_OK) {
        *out  = image;
        image = (ccu_image){ 0 }; /* ownership moved to the caller */
    }

done:
    ccu_image_free(&image);
    return status;
}
