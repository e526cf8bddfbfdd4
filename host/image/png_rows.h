/* Rows of a PNG: undoing their filters, and from samples to RGB; private to host/image. */
#ifndef CCU_IMAGE_PNG_ROWS_H
#define CCU_IMAGE_PNG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ccu_png_colour {
    CCU_PNG_GREY       = 0,
    CCU_PNG_RGB        = 2,
    CCU_PNG_PALETTE    = 3,
    CCU_PNG_GREY_ALPHA = 4,
    CCU_PNG_RGB_ALPHA  = 6
} ccu_png_colour;

typedef struct ccu_png_format {
    uint32_t colour;   /* ccu_png_colour */
    uint32_t depth;    /* bits of a sample */
    uint32_t channels;
    uint8_t  table[256][3]; /* colour of a palette index or of a grey value */
} ccu_png_format;

/* Undoes filter 0 .. 4 of `count` bytes in place; false for another filter.
 *
 *   above  the row before, already undone; zeros for the first one.
 *   step   bytes from a sample to the same one of the pixel to the left, at least 1. */
bool ccu_png_unfilter(uint8_t filter, uint8_t *row, const uint8_t *above, size_t count,
                      size_t step);

/* `width` pixels of an undone row to RGB. Pixels are `to_step` bytes apart in `to`. */
void ccu_png_expand(const ccu_png_format *format, const uint8_t *row, size_t width, uint8_t *to,
                    size_t to_step);

#endif
