/* GIF, first frame. Called by decode.c.
 *
 * Pillow's result: transparent pixels show the colour that their index has in the palette, pixels
 * outside the frame that of the transparent index, else of index 0; a frame that reaches over the
 * screen makes the picture larger. (stb_image leaves transparent pixels black, and cannot tell a
 * truncated file from a whole one.) */
#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "image/decode.h"

#define CODES 4096 /* 12 bits at most */

typedef struct gif {
    const ccu_source *source;
    size_t            at; /* next byte */
    uint32_t          W, H;
    uint32_t          frame_x, frame_y, frame_w, frame_h;
    bool              interlaced;
    uint32_t          fill;          /* index of pixels outside the frame */
    uint8_t           table[256][3]; /* colour of an index */
} gif;

/* State of the LZW decoder. Code c stands for the string of link[c], then the byte last[c]. */
typedef struct lzw {
    gif     *file;
    uint32_t bits, bits_count; /* read, not used yet; lowest first */
    size_t   block_end;        /* of the data block that is read */
    uint16_t link[CODES];
    uint8_t  last[CODES];
    uint8_t  string[CODES]; /* filled from its end */
} lzw;

static clipcu_status fail_truncated(const gif *g, clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: truncated: the GIF data ends too early",
                    g->source->name);
}

/* The next `count` bytes, or NULL. */
static const uint8_t *take(gif *g, size_t count) {
    if (count > g->source->count - g->at) { return NULL; }
    const uint8_t *bytes = g->source->bytes + g->at;
    g->at += count;
    return bytes;
}

/* Reads a palette of 2 << (flags & 7) colours. One that maps each index to the grey of the same
 * number leaves the whole table grey, and entries past a palette's end are black, as in Pillow. */
static bool read_palette(gif *g, uint32_t flags) {
    const uint32_t count  = 2u << (flags & 7);
    const uint8_t *colors = take(g, (size_t)count * 3);
    bool           ramp   = true;
    if (colors == NULL) { return false; }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *c = colors + (size_t)i * 3;
        ramp             = ramp && c[0] == i && c[1] == i && c[2] == i;
    }
    for (uint32_t i = 0; i < 256; i++) { memset(g->table[i], ramp ? (int)i : 0, 3); }
    if (!ramp) { memcpy(g->table, colors, (size_t)count * 3); }
    return true;
}

/* An extension: label, then blocks until an empty one. */
static bool read_extension(gif *g) {
    const uint8_t *label = take(g, 1);
    bool           first = true;
    if (label == NULL) { return false; }
    for (;;) {
        const uint8_t *count = take(g, 1);
        const uint8_t *block = count != NULL ? take(g, *count) : NULL;
        if (block == NULL) { return false; }
        if (*count == 0) { return true; }
        if (first && *label == 0xf9 && *count >= 4 && (block[0] & 1) != 0) { g->fill = block[3]; }
        first = false;
    }
}

/* Everything before the frame's data; g->at is left on the code size. */
static clipcu_status read_prologue(gif *g, clipcu_error *error) {
    const uint8_t *screen = take(g, 13); /* with the magic */
    if (screen == NULL) { return fail_truncated(g, error); }
    g->W = ccu_read_le16(screen + 6);
    g->H = ccu_read_le16(screen + 8);
    for (uint32_t i = 0; i < 256; i++) { memset(g->table[i], (int)i, 3); }
    if ((screen[10] & 0x80) != 0 && !read_palette(g, screen[10])) {
        return fail_truncated(g, error);
    }
    for (;;) {
        const uint8_t *kind = take(g, 1);
        if (kind == NULL) { return fail_truncated(g, error); }
        if (*kind == ';') {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: a GIF without a picture",
                            g->source->name);
        }
        if (*kind == '!' && !read_extension(g)) { return fail_truncated(g, error); }
        if (*kind == ',') { break; }
    }
    const uint8_t *frame = take(g, 9);
    if (frame == NULL) { return fail_truncated(g, error); }
    g->frame_x    = ccu_read_le16(frame);
    g->frame_y    = ccu_read_le16(frame + 2);
    g->frame_w    = ccu_read_le16(frame + 4);
    g->frame_h    = ccu_read_le16(frame + 6);
    g->interlaced = (frame[8] & 0x40) != 0;
    if (g->frame_w == 0 || g->frame_h == 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: a GIF frame of %u x %u pixels",
                        g->source->name, g->frame_w, g->frame_h);
    }
    if (g->frame_x + g->frame_w > g->W) { g->W = g->frame_x + g->frame_w; }
    if (g->frame_y + g->frame_h > g->H) { g->H = g->frame_y + g->frame_h; }
    if ((frame[8] & 0x80) != 0 && !read_palette(g, frame[8])) { return fail_truncated(g, error); }
    return CLIPCU_OK;
}

/* The next code of `size` bits, or -1 at the end of the data. */
static int32_t next_code(lzw *z, uint32_t size) {
    gif *g = z->file;
    while (z->bits_count < size) {
        if (g->at == z->block_end) {
            const uint8_t *count = take(g, 1);
            if (count == NULL || *count == 0 || *count > g->source->count - g->at) { return -1; }
            z->block_end = g->at + *count;
        }
        z->bits |= (uint32_t)g->source->bytes[g->at++] << z->bits_count;
        z->bits_count += 8;
    }
    const int32_t code = (int32_t)(z->bits & ((1u << size) - 1));
    z->bits >>= size;
    z->bits_count -= size;
    return code;
}

/* Where the next pixel of the frame goes. */
typedef struct cursor {
    uint32_t x, y;
    uint32_t pass; /* of an interlaced frame: rows 0, 4, 2, 1 on, steps 8, 8, 4, 2 */
} cursor;

/* Writes a string of indices; false when the frame is full. */
static bool put(const gif *g, cursor *c, const uint8_t *string, size_t count, ccu_image *image) {
    const uint32_t starts[4] = { 0, 4, 2, 1 };
    const uint32_t steps[4]  = { 8, 8, 4, 2 };
    for (size_t i = 0; i < count; i++) {
        const size_t row = (size_t)(g->frame_y + c->y) * g->W;
        memcpy(image->rgb + (row + g->frame_x + c->x) * 3, g->table[string[i]], 3);
        if (++c->x < g->frame_w) { continue; }
        c->x = 0;
        c->y += g->interlaced ? steps[c->pass] : 1;
        while (c->y >= g->frame_h) { /* low frames have passes without rows */
            if (!g->interlaced || c->pass == 3) { return false; }
            c->y = starts[++c->pass];
        }
    }
    return true;
}

static clipcu_status decode_frame(gif *g, lzw *z, ccu_image *image, clipcu_error *error) {
    const uint8_t *least = take(g, 1);
    if (least == NULL) { return fail_truncated(g, error); }
    if (*least < 1 || *least > 8) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: damaged: GIF code size %u",
                        g->source->name, *least);
    }
    const int32_t clear    = 1 << *least;
    uint32_t      size     = *least + 1u;
    int32_t       next     = clear + 2; /* first code without a meaning */
    int32_t       previous = -1;        /* code before this one; none after a clear */
    uint8_t       head     = 0;         /* first byte of its string */
    cursor        place    = { 0 };
    z->file                = g;
    z->block_end           = g->at;
    for (;;) {
        int32_t code = next_code(z, size);
        if (code < 0 || code == clear + 1) { return fail_truncated(g, error); }
        if (code == clear) {
            size     = *least + 1u;
            next     = clear + 2;
            previous = -1;
            continue;
        }
        if (code > (previous < 0 ? clear : next)) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: damaged: GIF code %d of %d",
                            g->source->name, code, next);
        }
        const int32_t now  = code;
        size_t        from = CODES;
        if (code == next) { /* the string before, and its first byte once more */
            z->string[--from] = head;
            code              = previous;
        }
        for (; code >= clear; code = z->link[code]) { z->string[--from] = z->last[code]; }
        head              = (uint8_t)code;
        z->string[--from] = head;
        if (previous >= 0 && next < CODES) {
            z->last[next] = head;
            z->link[next] = (uint16_t)previous;
            if (next == (1 << size) - 1 && size < 12) { size++; }
            next++;
        }
        previous = now;
        if (!put(g, &place, z->string + from, CODES - from, image)) { return CLIPCU_OK; }
    }
}

clipcu_status ccu_decode_gif(const ccu_source *source, ccu_image *out, clipcu_error *error) {
    gif           g      = { .source = source };
    ccu_image     image  = { 0 };
    lzw          *z      = NULL;
    clipcu_status status = read_prologue(&g, error);
    if (status != CLIPCU_OK) { return status; }
    status = ccu_image_alloc(source, g.W, g.H, &image, error);
    if (status != CLIPCU_OK) { return status; }
    z = ccu_alloc_zeroed(1, sizeof *z);
    if (z == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory to decode GIF", source->name);
        goto done;
    }
    if (g.frame_w != g.W || g.frame_h != g.H) {
        const size_t pixels = (size_t)g.W * g.H;
        for (size_t i = 0; i < pixels; i++) { memcpy(image.rgb + i * 3, g.table[g.fill], 3); }
    }
    status = decode_frame(&g, z, &image, error);
    if (status == CLIPCU_OK) {
        *out  = image;
        image = (ccu_image){ 0 }; /* ownership moved to the caller */
    }

done:
    ccu_free(z);
    ccu_image_free(&image);
    return status;
}
