/* Packs pictures for the resize_crop op; see resize_batch.h. */
#include "image/resize_batch.h"

#include <assert.h>
#include <string.h>

static size_t align(size_t bytes) {
    return (bytes + CCU_RESAMPLE_ALIGN - 1) / CCU_RESAMPLE_ALIGN * CCU_RESAMPLE_ALIGN;
}

/* Appends an axis; an empty one takes no room. */
static void add_axis(ccu_resize_batch *batch, const ccu_axis *axis, uint64_t *offset) {
    const size_t numbers = ccu_axis_numbers(axis);
    *offset              = batch->tables_count;
    if (numbers == 0) { return; }
    memcpy(batch->tables + batch->tables_count, axis->table, numbers * sizeof *axis->table);
    batch->tables_count += numbers;
}

/* Appends the part of the picture that is read; rows end in zeros. */
static void add_pixels(ccu_resize_batch *batch, const ccu_image *image, const ccu_resize_plan *plan,
                       size_t stride) {
    const size_t   bytes = (size_t)plan->W * 3;
    const uint8_t *from  = image->rgb + ((size_t)plan->top * (size_t)image->W +
                                        (size_t)plan->left) * 3;
    uint8_t       *to    = batch->pixels + batch->pixels_bytes;
    for (int32_t y = 0; y < plan->H; y++) {
        memcpy(to, from, bytes);
        memset(to + bytes, 0, stride - bytes);
        from += (size_t)image->W * 3;
        to += stride;
    }
    batch->pixels_bytes += stride * (size_t)plan->H;
}

static bool has_room(const ccu_resize_batch *batch, const ccu_resize_plan *plan, size_t stride) {
    const size_t numbers = ccu_axis_numbers(&plan->across) + ccu_axis_numbers(&plan->down);
    return batch->count < batch->items_max && stride <= INT32_MAX &&
           stride * (size_t)plan->H <= batch->pixels_max - batch->pixels_bytes &&
           numbers <= batch->tables_max - batch->tables_count;
}

clipcu_status ccu_resize_batch_add(ccu_resize_batch *batch, const ccu_image *image,
                                   const ccu_resize *resize, bool *added, clipcu_error *error) {
    assert(image->rgb != NULL);
    assert(resize->width == resize->height);
    ccu_resize_plan     plan;
    const clipcu_status status = ccu_resize_plan_init(&plan, image->W, image->H, resize, error);
    if (status != CLIPCU_OK) { return status; }

    const size_t stride = align((size_t)plan.W * 3);
    *added              = has_room(batch, &plan, stride);
    if (*added) {
        ccu_resize_item *item = &batch->items[batch->count++];
        *item = (ccu_resize_item){ .pixels = batch->pixels_bytes,
                                   .middle = batch->middle_bytes,
                                   .W      = plan.W,
                                   .H      = plan.H,
                                   .stride = (int32_t)stride,
                                   .passes = (int32_t)plan.passes };
        add_axis(batch, &plan.across, &item->across);
        add_axis(batch, &plan.down, &item->down);
        add_pixels(batch, image, &plan, stride);
        batch->middle_bytes += ccu_resample_middle_bytes(plan.passes, plan.W, plan.H,
                                                         resize->width, resize->height);
        if (plan.W > batch->W_max) { batch->W_max = plan.W; }
    }
    ccu_resize_plan_free(&plan);
    return CLIPCU_OK;
}
