/* BMP: 1, 4, 8 bits with palette, 16, 24, 32 bits with or without masks, either way up. Called by
 * decode.c. As Pillow reads them: a colour of 5 or 6 bits is value * 255 / 31 or / 63, rounded
 * down; palette entries that the file lacks are black; alpha is dropped. */
#include <string.h>

#include "base/memory.h"
#include "image/decode.h"

typedef struct bmp {
    int64_t  W, H;
    bool     top_first;
    uint32_t bits;
    size_t   data;     /* offset of the pixels */
    uint32_t masks[3]; /* red, green, blue; of 16 and 32 bits */
    uint8_t  table[256][3];
} bmp;

static clipcu_status fail_truncated(const ccu_source *source, clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: truncated: the BMP data ends too early",
                    source->name);
}

/* Colour masks: where 16 or 32 bits have them, in the header or right after a short one. */
static clipcu_status read_masks(const ccu_source *source, bmp *b, uint32_t compression,
                                clipcu_error *error) {
    const uint8_t *at   = source->bytes + 14 + 40;
    const uint32_t five = b->bits == 16;
    b->masks[0]         = five ? 0x7c00 : 0xff0000;
    b->masks[1]         = five ? 0x03e0 : 0x00ff00;
    b->masks[2]         = five ? 0x001f : 0x0000ff;
    if (compression != 3) { return CLIPCU_OK; }
    if (source->count < 14 + 40 + 12) { return fail_truncated(source, error); }
    const uint32_t r = ccu_read_le32(at), g = ccu_read_le32(at + 4), blue = ccu_read_le32(at + 8);
    bool           known = b->bits > 8;
    if (b->bits == 32 && r == 0 && g == 0 && blue == 0) { return CLIPCU_OK; }
    if (b->bits == 16) {
        known = (r == 0xf800 && g == 0x07e0 && blue == 0x001f) ||
                (r == 0x7c00 && g == 0x03e0 && blue == 0x001f);
    } else if (b->bits == 24) {
        known = r == 0xff0000 && g == 0x00ff00 && blue == 0x0000ff;
    } else if (b->bits == 32) {
        const uint32_t masks[3] = { r, g, blue };
        for (int32_t c = 0; c < 3; c++) {
            const uint32_t m = masks[c];
            known = known && (m == 0xff || m == 0xff00 || m == 0xff0000 || m == 0xff000000);
        }
    }
    if (!known) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: BMP of %u bits with masks %08x, %08x, %08x is not supported yet",
                        source->name, b->bits, r, g, blue);
    }
    b->masks[0] = r;
    b->masks[1] = g;
    b->masks[2] = blue;
    return CLIPCU_OK;
}

/* The palette starts at `at`; its entries are blue, green, red and, in newer files, a spare. */
static clipcu_status read_palette(const ccu_source *source, bmp *b, size_t at, uint32_t count,
                                  uint32_t entry, clipcu_error *error) {
    if (count > 65536 || (size_t)count * entry > source->count - at) {
        return fail_truncated(source, error);
    }
    for (uint32_t i = 0; i < count && i < 256; i++) {
        const uint8_t *colour = source->bytes + at + (size_t)i * entry;
        b->table[i][0]        = colour[2];
        b->table[i][1]        = colour[1];
        b->table[i][2]        = colour[0];
    }
    return CLIPCU_OK;
}

static clipcu_status read_header(const ccu_source *source, bmp *b, clipcu_error *error) {
    const uint8_t *bytes = source->bytes;
    if (source->count < 14 + 12) { return fail_truncated(source, error); }
    const size_t header = ccu_read_le32(bytes + 14);
    const bool   old    = header == 12;
    if (!old && header != 40 && header != 52 && header != 56 && header != 64 && header != 108 &&
        header != 124) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: BMP with a header of %zu bytes",
                        source->name, header);
    }
    if (source->count < 14 + header) { return fail_truncated(source, error); }
    b->top_first  = !old && bytes[25] == 0xff;
    const uint32_t height = old ? ccu_read_le16(bytes + 20) : ccu_read_le32(bytes + 22);
    b->W          = old ? ccu_read_le16(bytes + 18) : ccu_read_le32(bytes + 18);
    b->H          = b->top_first ? (int64_t)UINT32_MAX + 1 - height : height;
    b->bits       = ccu_read_le16(bytes + (old ? 24 : 28));
    b->data       = ccu_read_le32(bytes + 10);
    const uint32_t compression = old ? 0 : ccu_read_le32(bytes + 30);
    if (compression != 0 && compression != 3) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: compressed BMP (method %u) is not supported yet", source->name,
                        compression);
    }
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 &&
        b->bits != 32) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: BMP of %u bits", source->name, b->bits);
    }
    const clipcu_status status = read_masks(source, b, compression, error);
    if (status != CLIPCU_OK) { return status; }
    size_t end = 14 + header;
    if (compression == 3 && header == 40) { end += 12; }
    if (b->bits <= 8) {
        const uint32_t used   = old ? 0 : ccu_read_le32(bytes + 46);
        const uint32_t colors = used != 0 ? used : 1u << b->bits;
        const uint32_t entry  = old ? 3 : 4;
        const clipcu_status found = read_palette(source, b, end, colors, entry, error);
        if (found != CLIPCU_OK) { return found; }
        end += (size_t)colors * entry;
        if (b->data == 14 + header) { b->data = end; } /* some writers forget the palette */
    }
    if (b->data == 0) { b->data = end; }
    return CLIPCU_OK;
}

static uint32_t shift_of(uint32_t mask) {
    uint32_t shift = 0;
    while (((mask >> shift) & 1) == 0) { shift++; }
    return shift;
}

static void read_row(const bmp *b, const uint8_t *row, uint8_t *to) {
    const uint32_t shifts[3] = { shift_of(b->masks[0]), shift_of(b->masks[1]),
                                 shift_of(b->masks[2]) };
    for (int64_t x = 0; x < b->W; x++, to += 3) {
        if (b->bits <= 8) {
            const size_t   bit   = (size_t)x * b->bits;
            const uint32_t shift = 8 - b->bits - (uint32_t)(bit & 7);
            memcpy(to, b->table[(row[bit >> 3] >> shift) & ((1u << b->bits) - 1)], 3);
        } else if (b->bits == 24) {
            to[0] = row[3 * x + 2];
            to[1] = row[3 * x + 1];
            to[2] = row[3 * x];
        } else {
            const uint32_t word = b->bits == 16 ? ccu_read_le16(row + 2 * x)
                                                : ccu_read_le32(row + 4 * x);
            for (int32_t c = 0; c < 3; c++) {
                const uint32_t top = b->masks[c] >> shifts[c]; /* 31, 63 or 255 */
                to[c] = (uint8_t)(((word >> shifts[c]) & top) * 255 / top);
            }
        }
    }
}

clipcu_status ccu_decode_bmp(const ccu_source *source, ccu_image *out, clipcu_error *error) {
    bmp           b      = { 0 };
    ccu_image     image  = { 0 };
    clipcu_status status = read_header(source, &b, error);
    if (status != CLIPCU_OK) { return status; }
    status = ccu_image_alloc(source, b.W, b.H, &image, error);
    if (status != CLIPCU_OK) { return status; }

    const size_t stride = ((size_t)b.W * b.bits + 31) / 32 * 4;
    const size_t wanted = stride * (size_t)b.H;
    if (b.data > source->count || wanted > source->count - b.data) {
        ccu_image_free(&image);
        return fail_truncated(source, error);
    }
    for (int64_t y = 0; y < b.H; y++) {
        const int64_t  from = b.top_first ? y : b.H - 1 - y;
        const uint8_t *row  = source->bytes + b.data + (size_t)from * stride;
        read_row(&b, row, image.rgb + (size_t)y * (size_t)b.W * 3);
    }
    *out = image;
    return CLIPCU_OK;
}
