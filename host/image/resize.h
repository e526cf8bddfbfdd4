/* Pillow's antialiased resize in fixed point, byte for byte, for any window of the result.
 * preprocess.c calls it and resize_batch.c takes its plan; the tests also ask it for whole pictures
 * and for the weight tables. */
#ifndef CCU_IMAGE_RESIZE_H
#define CCU_IMAGE_RESIZE_H

#include "base/resample.h"
#include "image/image.h"

/* How one axis is resampled, owned (ccu_axis_free). Zeroed means none. */
typedef struct ccu_axis {
    int32_t *table;    /* first (count), taps (count), weights (taps_max, count): ccu_taps_of() */
    int32_t  count;
    int32_t  taps_max;
} ccu_axis;

/* The table for outputs begin .. begin + count - 1 of an axis of `source` positions resized to
 * `target`. 0 <= begin, 1 <= count, begin + count <= target. LIMIT, NOMEM. */
clipcu_status ccu_axis_init(ccu_axis *axis, int32_t source, int32_t target, int32_t begin,
                            int32_t count, ccu_resample resample, clipcu_error *error);
void          ccu_axis_free(ccu_axis *axis);

/* Numbers in axis->table. */
size_t ccu_axis_numbers(const ccu_axis *axis);

/* A picture resized to W x H, of which only a window is wanted. */
typedef struct ccu_resize {
    int32_t      W, H;
    int32_t      left, top;     /* of the window in the resized picture */
    int32_t      width, height; /* of the window; it lies inside W x H */
    ccu_resample resample;
} ccu_resize;

/* What a resize does to a picture: the part of it that the window reads, and passes over that part.
 * Owned (ccu_resize_plan_free). */
typedef struct ccu_resize_plan {
    int32_t    left, top, W, H; /* of the part; positions in the axes count from its corner */
    ccu_passes passes;
    ccu_axis   across, down;    /* the one that `passes` lacks is empty */
} ccu_resize_plan;

/* For a picture of W x H. Two passes, the first one rounded to 8 bits; a side that keeps its size
 * has none. As in Pillow 13 the horizontal pass comes first, unless the height shrinks by more
 * than twice as many pixels as the width (a picture more than twice as high as wide, mostly):
 * then the vertical one does. Pillow before 12.2 always began with the horizontal pass, so its
 * bytes differ there. LIMIT, NOMEM. */
clipcu_status ccu_resize_plan_init(ccu_resize_plan *plan, int32_t W, int32_t H,
                                   const ccu_resize *resize, clipcu_error *error);
void          ccu_resize_plan_free(ccu_resize_plan *plan);

/* out (height, width, 3). LIMIT, NOMEM. */
clipcu_status ccu_image_resize(const ccu_image *image, const ccu_resize *resize, uint8_t *out,
                               clipcu_error *error);

/* What `fit` makes of a picture of W x H: its size after the resize, and the crop. ARGUMENT, LIMIT,
 * UNSUPPORTED. In preprocess.c. */
clipcu_status ccu_fit_resize(const ccu_fit *fit, int32_t W, int32_t H, ccu_resize *resize,
                             clipcu_error *error);

#endif
