/* Pictures of any size packed for the resize_crop op: what their windows read, and the tables of
 * their axes, one after the other in memory that the caller owns and uploads. */
#ifndef CCU_IMAGE_RESIZE_BATCH_H
#define CCU_IMAGE_RESIZE_BATCH_H

#include "image/resize.h"

typedef struct ccu_resize_batch {
    /* The caller's memory and its size; pixels and items 16-byte aligned. */
    uint8_t         *pixels;
    int32_t         *tables;
    ccu_resize_item *items;
    size_t           pixels_max; /* bytes */
    size_t           tables_max; /* numbers */
    int32_t          items_max;
    /* What is in it. Zero them to start again. */
    size_t           pixels_bytes;
    size_t           tables_count;
    size_t           middle_bytes; /* as the op wants them */
    int32_t          W_max;
    int32_t          count;
} ccu_resize_batch;

/* Appends a picture; ccu_fit_resize() says what a model makes of it. The windows of one batch have
 * one size, as high as wide. *added is false if there is no room for it, even in an empty batch
 * perhaps; the batch is then as it was. LIMIT, NOMEM (for the tables while they are made). */
clipcu_status ccu_resize_batch_add(ccu_resize_batch *batch, const ccu_image *image,
                                   const ccu_resize *resize, bool *added, clipcu_error *error);

#endif
