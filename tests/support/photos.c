/* Photographs through resize_crop and patch_embed; see photos.h. */
#include "support/photos.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/resize_batch.h"
#include "stream/folder.h"

#define BATCH 4
#define PIXELS_MAX ((int64_t)64 << 20)

enum { P = 32, C = 8, K = 3 * P * P };

/* A batch as the device gets it, and what it should become. */
typedef struct photos {
    ccu_backend     *be;
    int32_t          S;
    ccu_resize_batch batch;
    uint8_t         *want; /* (BATCH, S, S, 3) */
    int32_t          done, failures;
} photos;

static size_t each_of(const photos *all) {
    return (size_t)all->S * (size_t)all->S * 3;
}

static size_t tokens_bytes(const photos *all) {
    const size_t G = (size_t)(all->S / P);
    return (size_t)all->batch.count * (G * G + 1) * C * sizeof(float);
}

static void *to_backend(const photos *all, const void *host, size_t bytes) {
    void *slab = all->be->ops->slab_alloc(all->be, bytes + 1);
    if (host != NULL) { all->be->ops->upload(all->be, slab, host, bytes); }
    return slab;
}

/* Tokens of the batch's pixels (backend memory), host memory; freed by the caller. */
static float *embed(const photos *all, const uint8_t *pixels) {
    const ccu_ops *ops = all->be->ops;
    const size_t   T   = (size_t)(all->S / P) * (size_t)(all->S / P) + 1;
    float         *w   = malloc(C * K * sizeof *w), *rows = malloc(T * C * sizeof *rows);
    for (size_t i = 0; i < C * K; i++) { w[i] = (float)(i * 2654435761u % 1001) / 1e6f; }
    for (size_t i = 0; i < T * C; i++) { rows[i] = (float)(i % 97) / 97.0f; }
    void         *packed = to_backend(all, NULL, ops->linear_bytes(all->be, C, K, CCU_F32,
                                                                  CCU_WEIGHTS_PLAIN));
    float        *f32    = to_backend(all, rows, T * C * sizeof *rows);
    void         *y      = to_backend(all, NULL, tokens_bytes(all));
    float        *tokens = malloc(tokens_bytes(all));
    clipcu_error  error  = { 0 };
    ops->linear_pack(all->be, packed, w, C, K, CCU_F32, CCU_WEIGHTS_PLAIN);
    const ccu_patch_embed op = { .y = y, .pixels = pixels, .w = packed, .b = f32,
                                 .class_token = f32, .positions = f32, .kind = CCU_PIXELS_U8,
                                 .B = all->batch.count, .S = all->S, .P = P, .C = C,
                                 .dtype = CCU_F32 };
    ops->patch_embed(all->be, &op); /* neither backend wants scratch for it */
    ops->download(all->be, tokens, y, tokens_bytes(all));
    if (ops->finish(all->be, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
        memset(tokens, 0xff, tokens_bytes(all));
    }
    ops->slab_free(all->be, packed);
    ops->slab_free(all->be, f32);
    ops->slab_free(all->be, y);
    free(rows);
    free(w);
    return tokens;
}

/* The batch through resize_crop: (count, S, S, 3) in backend memory. */
static uint8_t *resize(const photos *all) {
    const ccu_ops          *ops   = all->be->ops;
    const ccu_resize_batch *batch = &all->batch;
    void *pixels = to_backend(all, batch->pixels, batch->pixels_bytes);
    void *tables = to_backend(all, batch->tables, batch->tables_count * sizeof *batch->tables);
    void *items  = to_backend(all, batch->items, (size_t)batch->count * sizeof *batch->items);
    ccu_resize_crop op = { .pixels = pixels, .tables = tables, .items = items,
                           .middle_bytes = batch->middle_bytes, .W_max = batch->W_max,
                           .B = batch->count, .S = all->S };
    op.y       = to_backend(all, NULL, (size_t)batch->count * each_of(all));
    op.scratch = to_backend(all, NULL, ops->resize_crop_scratch(all->be, &op));
    ops->resize_crop(all->be, &op);
    clipcu_error error = { 0 };
    if (ops->finish(all->be, &error) != CLIPCU_OK) { printf("%s\n", error.text); }
    ops->slab_free(all->be, pixels);
    ops->slab_free(all->be, tables);
    ops->slab_free(all->be, items);
    ops->slab_free(all->be, op.scratch);
    return op.y;
}

/* What has been collected, then an empty batch. */
static void run_batch(photos *all) {
    const ccu_ops *ops   = all->be->ops;
    const size_t   bytes = (size_t)all->batch.count * each_of(all);
    clipcu_error   error = { 0 };
    if (all->batch.count == 0) { return; }
    uint8_t *found = malloc(bytes), *y = resize(all);
    uint8_t *host  = to_backend(all, all->want, bytes);
    float   *ours = embed(all, y), *theirs = embed(all, host);
    ops->download(all->be, found, y, bytes);
    if (ops->finish(all->be, &error) != CLIPCU_OK) { printf("%s\n", error.text); }
    for (int32_t i = 0; i < all->batch.count; i++) {
        const size_t at = (size_t)i * each_of(all);
        if (memcmp(found + at, all->want + at, each_of(all)) != 0) {
            printf("S %d: picture %d has other bytes than the host's\n", all->S, all->done + i);
            all->failures++;
        }
    }
    if (memcmp(ours, theirs, tokens_bytes(all)) != 0) {
        printf("S %d: tokens differ after picture %d\n", all->S, all->done);
        all->failures++;
    }
    ops->slab_free(all->be, y);
    ops->slab_free(all->be, host);
    free(found);
    free(ours);
    free(theirs);
    all->done += all->batch.count;
    all->batch.count        = 0;
    all->batch.W_max        = 0;
    all->batch.pixels_bytes = all->batch.tables_count = all->batch.middle_bytes = 0;
}

/* One picture into the batch; what does not decode or does not fit is passed over. */
static void add(photos *all, const char *path) {
    const ccu_fit            fit     = { .size = all->S, .resize_size = all->S,
                                         .crop = CLIPCU_CROP_FLOOR,
                                         .resample = CCU_RESAMPLE_BICUBIC };
    const ccu_decode_options options = { .pixels_max = PIXELS_MAX, .exif = true };
    clipcu_error             error   = { 0 };
    ccu_map                  map     = { 0 };
    ccu_image                image   = { 0 };
    ccu_resize               window;
    bool                     added = false;
    if (ccu_map_open(path, &map, &error) != CLIPCU_OK) { return; }
    uint8_t *want = all->want + (size_t)all->batch.count * each_of(all);
    if (ccu_image_decode(path, map.data, map.bytes, &options, &image, &error) == CLIPCU_OK &&
        ccu_fit_resize(&fit, image.W, image.H, &window, &error) == CLIPCU_OK &&
        ccu_image_fit(&image, &fit, want, &error) == CLIPCU_OK) {
        (void)ccu_resize_batch_add(&all->batch, &image, &window, &added, &error);
    }
    ccu_image_free(&image);
    ccu_map_close(&map);
    if (all->batch.count == BATCH) { run_batch(all); }
}

static int32_t run_size(ccu_backend *be, const char *folder, int32_t photos_max, int32_t S) {
    ccu_folder  *walk  = calloc(1, sizeof *walk);
    const char  *path  = NULL;
    clipcu_error error = { 0 };
    photos       all   = { .be = be, .S = S };
    all.batch = (ccu_resize_batch){ .pixels_max = (size_t)16 << 20, .tables_max = (size_t)4 << 20,
                                    .items_max = BATCH };
    all.batch.pixels = malloc(all.batch.pixels_max);
    all.batch.tables = malloc(all.batch.tables_max * sizeof *all.batch.tables);
    all.batch.items  = malloc(BATCH * sizeof *all.batch.items);
    all.want         = malloc(BATCH * each_of(&all));
    if (ccu_folder_open(folder, walk, &error) != CLIPCU_OK) { printf("%s\n", error.text); }
    while (all.done + all.batch.count < photos_max && ccu_folder_next(walk, &path, &error)) {
        add(&all, path);
    }
    run_batch(&all);
    ccu_folder_close(walk);
    printf("%s: %d pictures to %d x %d, %d failures\n", be->ops->name, all.done, S, S,
           all.failures);
    free(walk);
    free(all.batch.pixels);
    free(all.batch.tables);
    free(all.batch.items);
    free(all.want);
    return all.failures + (all.done == 0);
}

int32_t photos_compare(ccu_backend *be, const char *folder, int32_t photos_max) {
    return run_size(be, folder, photos_max, 64) + run_size(be, folder, photos_max, 224);
}
