/* GIF through giflib, first frame. Called by decode.c.
 *
 * Pillow's result: transparent pixels show the colour that their index has in the palette, pixels
 * outside the frame that of the transparent index, else of index 0; a frame that reaches over the
 * screen makes the picture larger. giflib calls malloc itself, for palettes and its own state. */
#include <errno.h>
#include <string.h>

#include <gif_lib.h>

#include "base/memory.h"
#include "image/decode.h"

#if GIFLIB_MAJOR < 5 || (GIFLIB_MAJOR == 5 && GIFLIB_MINOR < 1)
#error "giflib 5.1 or newer is needed"
#endif

typedef struct gif {
    const ccu_source *source;
    clipcu_error     *error;
    GifFileType      *file;
    size_t            at;            /* next byte of the source */
    bool              ran_out;       /* giflib asked for more bytes than there are */
    uint8_t           fill;          /* index of pixels outside the frame */
    uint8_t           table[256][3]; /* colour of an index */
    ccu_image         image;
    uint8_t          *indices;       /* one row of the frame */
} gif;

/* At the end of the source giflib gets an empty block once: one that is missing after the last
 * pixel is no harm, and before it giflib takes it for the end of the data. */
static int on_read(GifFileType *file, GifByteType *out, int count) {
    gif         *g    = file->UserData;
    const size_t left = g->source->count - g->at;
    if ((size_t)count > left) {
        if (left > 0 || count != 1 || g->ran_out) {
            g->ran_out = true;
            return 0;
        }
        g->ran_out = true;
        *out       = 0;
        return 1;
    }
    memcpy(out, g->source->bytes + g->at, (size_t)count);
    g->at += (size_t)count;
    return count;
}

/* After giflib failed with `code`, which seldom tells that there was no memory; errno does. */
static clipcu_status fail_giflib(const gif *g, int code) {
    const char *name = g->source->name;
    const char *text = GifErrorString(code);
    if (code == D_GIF_ERR_NOT_ENOUGH_MEM || errno == ENOMEM) {
        return ccu_fail(g->error, CLIPCU_ERR_NOMEM, "%s: no memory to decode GIF", name);
    }
    if (g->ran_out || code == D_GIF_ERR_EOF_TOO_SOON) {
        return ccu_fail(g->error, CLIPCU_ERR_FORMAT, "%s: truncated: the GIF data ends too early",
                        name);
    }
    return ccu_fail(g->error, CLIPCU_ERR_FORMAT, "%s: damaged GIF: %s", name,
                    text != NULL ? text : "unknown error");
}

/* A palette that maps each index to the grey of the same number leaves the whole table grey, as
 * does none at all; entries past a palette's end are black, as in Pillow. */
static void fill_table(gif *g, const ColorMapObject *map) {
    const int count = map != NULL ? map->ColorCount : 0;
    bool      ramp  = true;
    for (int i = 0; i < count; i++) {
        const GifColorType c = map->Colors[i];
        ramp                 = ramp && c.Red == i && c.Green == i && c.Blue == i;
    }
    for (int i = 0; i < 256; i++) {
        memset(g->table[i], ramp ? i : 0, 3);
        if (i < count) {
            g->table[i][0] = map->Colors[i].Red;
            g->table[i][1] = map->Colors[i].Green;
            g->table[i][2] = map->Colors[i].Blue;
        }
    }
}

/* The transparent index counts for the next frame. False where giflib failed. */
static bool read_extension(gif *g) {
    GifByteType *block = NULL; /* its length, then its bytes */
    int          kind  = 0;
    int          code  = DGifGetExtension(g->file, &kind, &block);
    if (code == GIF_OK && kind == GRAPHICS_EXT_FUNC_CODE && block != NULL && block[0] >= 4 &&
        (block[1] & 1) != 0) {
        g->fill = block[4];
    }
    while (code == GIF_OK && block != NULL) { code = DGifGetExtensionNext(g->file, &block); }
    return code == GIF_OK && !g->ran_out;
}

/* Everything before the first frame's pixels. */
static clipcu_status read_prologue(gif *g) {
    for (;;) {
        GifRecordType kind = UNDEFINED_RECORD_TYPE;
        const int     code = DGifGetRecordType(g->file, &kind);
        if (g->ran_out || (code != GIF_OK && g->file->Error != D_GIF_ERR_WRONG_RECORD)) {
            return fail_giflib(g, g->file->Error);
        }
        if (kind == TERMINATE_RECORD_TYPE) {
            return ccu_fail(g->error, CLIPCU_ERR_FORMAT, "%s: a GIF without a picture",
                            g->source->name);
        }
        if (kind == EXTENSION_RECORD_TYPE && !read_extension(g)) {
            return fail_giflib(g, g->file->Error);
        }
        if (kind == IMAGE_DESC_RECORD_TYPE) { break; } /* stray bytes are skipped, as in Pillow */
    }
    if (DGifGetImageDesc(g->file) != GIF_OK || g->ran_out) {
        return fail_giflib(g, g->file->Error);
    }
    const GifImageDesc *frame = &g->file->Image;
    if (frame->Width <= 0 || frame->Height <= 0) {
        return ccu_fail(g->error, CLIPCU_ERR_FORMAT, "%s: a GIF frame of %d x %d pixels",
                        g->source->name, frame->Width, frame->Height);
    }
    fill_table(g, frame->ColorMap != NULL ? frame->ColorMap : g->file->SColorMap);
    return CLIPCU_OK;
}

/* One row of the frame's indices as colours. */
static clipcu_status read_row(gif *g, int y) {
    const GifImageDesc *frame = &g->file->Image;
    if (DGifGetLine(g->file, g->indices, frame->Width) != GIF_OK) {
        return fail_giflib(g, g->file->Error);
    }
    const size_t pixel = (size_t)(frame->Top + y) * (size_t)g->image.W + (size_t)frame->Left;
    uint8_t     *to    = g->image.rgb + pixel * 3;
    for (int x = 0; x < frame->Width; x++, to += 3) { memcpy(to, g->table[g->indices[x]], 3); }
    return CLIPCU_OK;
}

static clipcu_status read_frame(gif *g) {
    const GifImageDesc *frame     = &g->file->Image;
    const int           starts[4] = { 0, 4, 2, 1 }; /* rows of an interlaced frame's passes */
    const int           steps[4]  = { 8, 8, 4, 2 };
    const int           passes    = frame->Interlace ? 4 : 1;
    clipcu_status       status    = CLIPCU_OK;
    for (int pass = 0; pass < passes; pass++) {
        const int step = frame->Interlace ? steps[pass] : 1;
        for (int y = starts[pass]; y < frame->Height && status == CLIPCU_OK; y += step) {
            status = read_row(g, y);
        }
    }
    return status;
}

static clipcu_status run(gif *g) {
    int code = 0;
    errno    = 0; /* for fail_giflib */
    g->file  = DGifOpen(g, on_read, &code);
    if (g->file == NULL) { return fail_giflib(g, code); }
    clipcu_status status = read_prologue(g);
    if (status != CLIPCU_OK) { return status; }

    const GifImageDesc *frame = &g->file->Image;
    const int64_t       right = (int64_t)frame->Left + frame->Width;
    const int64_t       below = (int64_t)frame->Top + frame->Height;
    const int64_t       W     = right > g->file->SWidth ? right : g->file->SWidth;
    const int64_t       H     = below > g->file->SHeight ? below : g->file->SHeight;
    status                    = ccu_image_alloc(g->source, W, H, &g->image, g->error);
    if (status != CLIPCU_OK) { return status; }
    g->indices = ccu_alloc((size_t)frame->Width);
    if (g->indices == NULL) { return fail_giflib(g, D_GIF_ERR_NOT_ENOUGH_MEM); }
    if (frame->Width != W || frame->Height != H) {
        const size_t pixels = (size_t)W * (size_t)H;
        for (size_t i = 0; i < pixels; i++) { memcpy(g->image.rgb + i * 3, g->table[g->fill], 3); }
    }
    return read_frame(g);
}

clipcu_status ccu_decode_gif(const ccu_source *source, ccu_image *out, clipcu_error *error) {
    gif                 g      = { .source = source, .error = error };
    const clipcu_status status = run(&g);
    if (g.file != NULL) { (void)DGifCloseFile(g.file, NULL); } /* there is nothing to flush */
    if (status == CLIPCU_OK) {
        *out    = g.image;
        g.image = (ccu_image){ 0 }; /* ownership moved to the caller */
    }
    ccu_image_free(&g.image);
    ccu_free(g.indices);
    return status;
}
