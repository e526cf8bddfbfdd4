/* Agree cases of resize_crop; see agree_cases.h. The reference is the resize of a single picture on
 * the host, which tests/unit compares with Pillow; bytes must be equal. */
#include <stdlib.h>
#include <string.h>

#include "image/resize_batch.h"
#include "support/agree_cases.h"

#define PICTURES_MAX 8

/* A picture of W x H resized to to_W x to_H, and where the window of S x S begins there. */
typedef struct picture {
    int32_t W, H, to_W, to_H, left, top;
} picture;

typedef struct resize_case {
    int32_t      S;
    ccu_resample resample;
    picture      pictures[PICTURES_MAX]; /* W 0 ends them */
} resize_case;

static const resize_case resize_cases[] = {
    { 1, CCU_RESAMPLE_BICUBIC, { { 1, 1, 1, 1, 0, 0 } } },
    { 1, CCU_RESAMPLE_BOX, { { 97, 1, 1, 1, 0, 0 }, { 1, 97, 1, 1, 0, 0 }, { 3, 2, 9, 5, 8, 0 } } },
    { 7, CCU_RESAMPLE_LANCZOS, { { 1, 1, 7, 7, 0, 0 }, { 1, 300, 7, 2100, 0, 1000 } } },
    /* one pass, or none */
    { 32, CCU_RESAMPLE_BICUBIC,
      { { 32, 32, 32, 32, 0, 0 },
        { 50, 40, 50, 40, 9, 4 },
        { 32, 77, 32, 32, 0, 0 },
        { 77, 32, 32, 32, 0, 0 },
        { 64, 64, 33, 64, 1, 31 } } },
    /* both orders, up and down */
    { 33, CCU_RESAMPLE_BILINEAR,
      { { 40, 200, 39, 45, 3, 6 },
        { 200, 40, 45, 39, 6, 3 },
        { 40, 200, 60, 45, 20, 11 },
        { 20, 9, 60, 45, 27, 12 },
        { 7, 90, 33, 60, 0, 27 } } },
    /* more than one span of source positions in a tile, thousands of taps */
    { 64, CCU_RESAMPLE_BICUBIC, { { 2503, 3, 64, 64, 0, 0 }, { 3, 2503, 64, 64, 0, 0 } } },
    { 3, CCU_RESAMPLE_LANCZOS, { { 60000, 1, 3, 3, 0, 0 }, { 1, 60000, 3, 3, 0, 0 } } },
    /* more than one tile each way, rows that are no multiple of a vector */
    { 129, CCU_RESAMPLE_BICUBIC, { { 171, 140, 157, 129, 14, 0 }, { 90, 301, 129, 431, 0, 151 } } },
    { 224, CCU_RESAMPLE_BICUBIC, { { 320, 240, 298, 224, 37, 0 } } },
};

/* Runs of equal bytes, black and white among them, and noise. */
static uint8_t *make_picture(agree *a, int32_t W, int32_t H) {
    const size_t count = (size_t)W * (size_t)H * 3;
    uint8_t     *rgb   = malloc(count);
    for (size_t i = 0; i < count; i++) {
        const uint32_t r = agree_random_below(a, 1024);
        rgb[i] = r < 256 ? (uint8_t)r : r < 512 ? 0 : r < 768 || i < 3 ? 255 : rgb[i - 3];
    }
    return rgb;
}

static ccu_resize_batch new_batch(size_t pixels_max, size_t tables_max) {
    return (ccu_resize_batch){ .pixels     = calloc(pixels_max, 1),
                               .tables     = calloc(tables_max, sizeof(int32_t)),
                               .items      = calloc(PICTURES_MAX, sizeof(ccu_resize_item)),
                               .pixels_max = pixels_max,
                               .tables_max = tables_max,
                               .items_max  = PICTURES_MAX };
}

/* Everything in y's slab, guards included, against what was there and `want`. */
static void compare(agree *a, agree_tensor *y, const uint8_t *want, int32_t B, int32_t S) {
    const size_t each  = (size_t)S * (size_t)S * 3;
    const size_t guard = (size_t)((uint8_t *)y->at - (uint8_t *)y->slab);
    uint8_t     *now   = malloc(y->bytes);
    clipcu_error error = { 0 };
    a->be->ops->download(a->be, now, y->slab, y->bytes);
    if (a->be->ops->finish(a->be, &error) != CLIPCU_OK) {
        (void)agree_fail(a, "%s", error.text);
        free(now);
        return;
    }
    if (a->inject) {
        now[guard + agree_random_below(a, (uint32_t)each)] ^= 1;
        a->inject = false;
    }
    memcpy(y->before + guard, want, (size_t)B * each);
    for (size_t i = 0; i < y->bytes; i++) {
        if (now[i] != y->before[i]) {
            const ptrdiff_t at = (ptrdiff_t)i - (ptrdiff_t)guard;
            (void)agree_fail(a, "byte %td (picture %td, row %td, byte %td) is %d, expected %d", at,
                             at / (ptrdiff_t)each, at % (ptrdiff_t)each / (3 * S), at % (3 * S),
                             now[i], y->before[i]);
            break;
        }
    }
    free(now);
}

static void run(agree *a, ccu_resize_batch *batch, const uint8_t *want, int32_t S) {
    const size_t    bytes = (size_t)batch->count * (size_t)S * (size_t)S * 3;
    agree_tensor   *y     = agree_output(a, (bytes + 3) / 4, 1, 0, CCU_F32);
    ccu_resize_crop op = { .y            = y->at,
                           .middle_bytes = batch->middle_bytes,
                           .W_max        = batch->W_max,
                           .B            = batch->count,
                           .S            = S };
    op.pixels = agree_bytes(a, batch->pixels, batch->pixels_bytes);
    op.tables = agree_bytes(a, batch->tables, batch->tables_count * sizeof *batch->tables);
    op.items  = agree_bytes(a, batch->items, (size_t)batch->count * sizeof *batch->items);
    const size_t scratch = a->be->ops->resize_crop_scratch(a->be, &op);
    op.scratch = scratch == 0 ? NULL : agree_output(a, (scratch + 3) / 4, 1, 0, CCU_F32)->at;
    a->be->ops->resize_crop(a->be, &op);
    compare(a, y, want, batch->count, S);
}

/* Multiply-adds, roughly: filters are six times as wide as what they
 * shrink by, or six wide. */
static double work_of(const resize_case *c) {
    double work = 0;
    for (int32_t i = 0; i < PICTURES_MAX; i++) {
        const picture *p = &c->pictures[i];
        work += 18.0 * (p->W + c->S) * (p->H + c->S);
    }
    return work;
}

static void run_case(agree *a, const resize_case *c) {
    if (agree_too_large(a, work_of(c))) { return; }
    const size_t     each  = (size_t)c->S * (size_t)c->S * 3;
    uint8_t         *want  = malloc(PICTURES_MAX * each);
    ccu_resize_batch batch = new_batch((size_t)4 << 20, (size_t)2 << 20);
    clipcu_error     error = { 0 };
    agree_begin(a, "resize_crop", "S %d filter %d first %d x %d to %d x %d at %d, %d", c->S,
                (int)c->resample, c->pictures[0].W, c->pictures[0].H, c->pictures[0].to_W,
                c->pictures[0].to_H, c->pictures[0].left, c->pictures[0].top);
    for (int32_t i = 0; i < PICTURES_MAX && c->pictures[i].W > 0; i++) {
        const picture   *p      = &c->pictures[i];
        uint8_t         *rgb    = make_picture(a, p->W, p->H);
        const ccu_image  image  = { .rgb = rgb, .W = p->W, .H = p->H };
        const ccu_resize resize = { .W = p->to_W, .H = p->to_H, .left = p->left, .top = p->top,
                                    .width = c->S, .height = c->S, .resample = c->resample };
        bool             added  = false;
        if (ccu_image_resize(&image, &resize, want + (size_t)i * each, &error) != CLIPCU_OK ||
            ccu_resize_batch_add(&batch, &image, &resize, &added, &error) != CLIPCU_OK || !added) {
            (void)agree_fail(a, "picture %d was not packed: %s", i, error.text);
        }
        free(rgb);
    }
    run(a, &batch, want, c->S);
    free(batch.pixels);
    free(batch.tables);
    free(batch.items);
    free(want);
}

/* Side, target and window begin, at random; a quarter of the sides keep their size. */
static void random_side(agree *a, int32_t S, int32_t *side, int32_t *to, int32_t *begin) {
    *to    = S + (int32_t)agree_random_below(a, 40);
    *side  = agree_random_below(a, 4) == 0 ? *to : 1 + (int32_t)agree_random_below(a, 150);
    *begin = (int32_t)agree_random_below(a, (uint32_t)(*to - S + 1));
}

static void run_random(agree *a, int32_t number) {
    resize_case c = { .S        = 1 + (int32_t)agree_random_below(a, 40),
                      .resample = (ccu_resample)(number % 5) };
    const int32_t count = 1 + (int32_t)agree_random_below(a, PICTURES_MAX);
    for (int32_t i = 0; i < count; i++) {
        picture *p = &c.pictures[i];
        random_side(a, c.S, &p->W, &p->to_W, &p->left);
        random_side(a, c.S, &p->H, &p->to_H, &p->top);
    }
    run_case(a, &c);
}

void agree_resize_crop(agree *a, ccu_dtype dtype) {
    (void)dtype; /* bytes */
    for (size_t i = 0; i < sizeof resize_cases / sizeof *resize_cases; i++) {
        run_case(a, &resize_cases[i]);
    }
    for (int32_t i = 0; i < 20; i++) { run_random(a, i); }
}
