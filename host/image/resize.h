/* Pillow's antialiased resize in fixed point, byte for byte, for any window of the result.
 * preprocess.c calls it; the tests also ask it for whole pictures and for the weight tables. */
#ifndef CCU_IMAGE_RESIZE_H
#define CCU_IMAGE_RESIZE_H

#include "image/image.h"

/* Weights carry 22 bits: 8-bit pixels and two bits of headroom leave 22 of 32. */
#define CCU_RESIZE_BITS 22

/* How one axis is resampled: output i of the window is the sum of taps[i] source positions from
 * first[i] on, times weights[i * taps_max ...]. Owned (ccu_axis_free); zeroed means none. */
typedef struct ccu_axis {
    int32_t *first;    /* (count) */
    int32_t *taps;     /* (count) at least 1 */
    int32_t *weights;  /* (count, taps_max), unused ones are 0 */
    int32_t  count;
    int32_t  taps_max;
} ccu_axis;

/* The table for outputs begin .. begin + count - 1 of an axis of `source` positions resized to
 * `target`. 0 <= begin, 1 <= count, begin + count <= target. LIMIT, NOMEM. */
clipcu_status ccu_axis_init(ccu_axis *axis, int32_t source, int32_t target, int32_t begin,
                            int32_t count, ccu_resample resample, clipcu_error *error);
void          ccu_axis_free(ccu_axis *axis);

/* A picture resized to W x H, of which only a window is wanted. */
typedef struct ccu_resize {
    int32_t      W, H;
    int32_t      left, top;     /* of the window in the resized picture */
    int32_t      width, height; /* of the window; it lies inside W x H */
    ccu_resample resample;
} ccu_resize;

/* out (height, width, 3). Two passes, the first one rounded to 8 bits; a side that keeps its size
 * has none. As in Pillow 13 the horizontal pass comes first, unless the height shrinks by more
 * than twice as many pixels as the width (a picture more than twice as high as wide, mostly):
 * then the vertical one does. Pillow before 12.2 always began with the horizontal pass, so its
 * bytes differ there. LIMIT, NOMEM. */
clipcu_status ccu_image_resize(const ccu_image *image, const ccu_resize *resize, uint8_t *out,
                               clipcu_error *error);

#endif
