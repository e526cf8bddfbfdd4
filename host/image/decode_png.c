/* PNG through libpng: all colour types and depths, interlaced or not. Called by decode.c.
 *
 * Pillow's convert("RGB") rules: alpha and tRNS are dropped, 16-bit colour keeps its high byte,
 * 16-bit grey is clipped at 255, palette entries that the file lacks are black.
 *
 * libpng reports errors by a callback that must not return, so setjmp cannot be avoided. It is
 * confined to this file: run() does the work and may be left by longjmp from any libpng call;
 * everything that must be released lives in the png struct, which is not a local of run(). */
#include "image/decode.h"

#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "base/memory.h"

#define DEFLATE_RATIO_MAX 1032 /* deflate cannot shrink data further */

#define BLOCK_HEAD_BYTES 64 /* keeps what stands behind it aligned as ccu_alloc gives it */

/* What libpng asked for is one list, and png_destroy_read_struct is never called: out of memory in
 * png_set_PLTE, libpng (1.6.39) leaves a pointer to a palette that it had freed already, and would
 * free it again. */
typedef struct block {
    struct block  *next;
    struct block **from; /* the pointer that points here */
} block;

typedef struct png {
    png_struct       *read;
    png_info         *info;
    jmp_buf           jump;
    const ccu_source *source;
    clipcu_error     *error;
    clipcu_status     status;
    ccu_image         image;
    size_t            at;      /* next byte of the source */
    bool              ran_out; /* libpng asked for more bytes than there are */
    bool              no_memory;
    block            *blocks; /* of libpng, owned */
} png;

static clipcu_status fail_truncated(png *p) {
    return ccu_fail(p->error, CLIPCU_ERR_FORMAT, "%s: truncated: the PNG data ends too early",
                    p->source->name);
}

/* Leaves run(). */
static void on_error(png_struct *read, const char *text) {
    png *p = png_get_error_ptr(read);
    if (p->no_memory) {
        p->status = ccu_fail(p->error, CLIPCU_ERR_NOMEM, "%s: no memory to decode PNG",
                             p->source->name);
    } else if (p->ran_out) {
        p->status = fail_truncated(p);
    } else {
        p->status = ccu_fail(p->error, CLIPCU_ERR_FORMAT, "%s: damaged PNG: %s", p->source->name,
                             text);
    }
    longjmp(p->jump, 1);
}

/* Warnings are about what does not touch the pixels. */
static void on_warning(png_struct *read, const char *text) {
    (void)read;
    (void)text;
}

static void *on_alloc(png_struct *read, png_alloc_size_t bytes) {
    png   *p    = png_get_mem_ptr(read);
    block *head = bytes > SIZE_MAX - BLOCK_HEAD_BYTES ? NULL : ccu_alloc(BLOCK_HEAD_BYTES + bytes);
    if (head == NULL) {
        p->no_memory = true;
        return NULL;
    }
    *head = (block){ .next = p->blocks, .from = &p->blocks };
    if (head->next != NULL) { head->next->from = &head->next; }
    p->blocks = head;
    return (uint8_t *)head + BLOCK_HEAD_BYTES;
}

static void free_block(block *head) {
    *head->from = head->next;
    if (head->next != NULL) { head->next->from = head->from; }
    ccu_free(head);
}

static void on_free(png_struct *read, void *memory) {
    (void)read;
    if (memory != NULL) { free_block((block *)(void *)((uint8_t *)memory - BLOCK_HEAD_BYTES)); }
}

static void on_read(png_struct *read, uint8_t *out, size_t count) {
    png *p = png_get_io_ptr(read);
    if (count > p->source->count - p->at) {
        p->ran_out = true;
        png_error(read, "truncated");
    }
    memcpy(out, p->source->bytes + p->at, count);
    p->at += count;
}

/* Of all chunks only those that make pixels are looked into. What is skipped is not stored either;
 * the limits on it only matter to a libpng that would store it all the same. */
static void set_limits(png *p) {
    png_set_keep_unknown_chunks(p->read, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(p->read, PNG_HANDLE_CHUNK_NEVER, (const uint8_t *)"tRNS", 1);
    png_set_chunk_malloc_max(p->read, p->source->count); /* no chunk is longer than the file */
    png_set_chunk_cache_max(p->read, 1);                 /* 1 means none */
    png_set_user_limits(p->read, INT32_MAX, INT32_MAX);  /* ccu_image_alloc has the real one */
    png_set_crc_action(p->read, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
#ifdef PNG_MAXIMUM_INFLATE_WINDOW /* like Pillow: some writers promise a window that is too small */
    (void)png_set_option(p->read, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
#endif
}

/* Everything to 3 bytes a pixel, but for 16-bit grey without alpha: 2 bytes. */
static void set_transforms(png *p, int colour, int depth) {
    png_color  table[256] = { 0 };
    png_color *found      = NULL;
    int        count      = 0;
    if (colour == PNG_COLOR_TYPE_PALETTE && png_get_PLTE(p->read, p->info, &found, &count) != 0) {
        memcpy(table, found, (size_t)count * sizeof *table);
        png_set_PLTE(p->read, p->info, table, 1 << depth); /* black where the file has none */
        png_set_palette_to_rgb(p->read);
    }
    if (colour == PNG_COLOR_TYPE_GRAY && depth == 16) { return; }
    png_set_strip_16(p->read);
    png_set_strip_alpha(p->read);
    if ((colour & PNG_COLOR_MASK_COLOR) == 0) { png_set_gray_to_rgb(p->read); }
}

/* 16-bit grey, high byte first, to RGB in place: from the right, where a pixel's 3 bytes never
 * cover the 2 of one that is still to come. */
static void clip_grey(uint8_t *row, int32_t W) {
    for (size_t x = (size_t)W; x-- > 0;) {
        memset(row + 3 * x, row[2 * x] != 0 ? 255 : row[2 * x + 1], 3);
    }
}

static void read_rows(png *p) {
    const size_t stride = (size_t)p->image.W * 3;
    const int    passes = png_set_interlace_handling(p->read);
    png_read_update_info(p->read, p->info);
    if (png_get_rowbytes(p->read, p->info) > stride) { /* would write past the picture */
        png_error(p->read, "more than 3 bytes a pixel");
    }
    for (int pass = 0; pass < passes; pass++) {
        for (int32_t y = 0; y < p->image.H; y++) {
            png_read_row(p->read, p->image.rgb + (size_t)y * stride, NULL);
        }
    }
    if (png_get_bit_depth(p->read, p->info) != 16) { return; }
    for (int32_t y = 0; y < p->image.H; y++) {
        clip_grey(p->image.rgb + (size_t)y * stride, p->image.W);
    }
}

static clipcu_status run(png *p) {
    p->read = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, p, on_error, on_warning, p, on_alloc,
                                       on_free);
    p->info = p->read != NULL ? png_create_info_struct(p->read) : NULL;
    if (p->info == NULL) {
        return ccu_fail(p->error, CLIPCU_ERR_NOMEM, "%s: no memory to decode PNG, or another "
                        "libpng than " PNG_LIBPNG_VER_STRING, p->source->name);
    }
    png_set_read_fn(p->read, p, on_read);
    set_limits(p);
    png_read_info(p->read, p->info); /* up to the pixels; allocates a palette at most */

    const int64_t W     = png_get_image_width(p->read, p->info);
    const int64_t H     = png_get_image_height(p->read, p->info);
    const size_t  least = png_get_rowbytes(p->read, p->info) * (size_t)H; /* inflated */
    clipcu_status status = ccu_image_alloc(p->source, W, H, &p->image, p->error);
    if (status != CLIPCU_OK) { return status; }
    if (least / DEFLATE_RATIO_MAX > p->source->count) { /* spares touching gigabytes for nothing */
        return fail_truncated(p);
    }
    set_transforms(p, png_get_color_type(p->read, p->info), png_get_bit_depth(p->read, p->info));
    read_rows(p);
    return CLIPCU_OK;
}

clipcu_status ccu_decode_png(const ccu_source *source, ccu_image *out, clipcu_error *error) {
    if (source->count >= 16 && memcmp(source->bytes + 12, "CgBI", 4) == 0) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: PNG in Apple's own variant is not supported yet", source->name);
    }
    png *p = ccu_alloc_zeroed(1, sizeof *p);
    if (p == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory to decode PNG", source->name);
    }
    p->source = source;
    p->error  = error;
    if (setjmp(p->jump) == 0) { p->status = run(p); }
    const clipcu_status status = p->status;
    while (p->blocks != NULL) { free_block(p->blocks); }
    if (status == CLIPCU_OK) {
        *out     = p->image;
        p->image = (ccu_image){ 0 }; /* ownership moved to the caller */
    }
    ccu_image_free(&p->image);
    ccu_free(p);
    return status;
}
