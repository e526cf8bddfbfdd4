/* The two passes of the resize; see resize.h. Both are one loop, weigh(): lanes of bytes that lie
 * side by side, summed over positions that lie a stride apart, one weight per position. Down the
 * columns the lanes are a piece of a row; along the rows they are one column of 16 rows, for which
 * those rows are turned on their side first. So the compiler can vectorise both. */
#include "image/resize.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

#define ROWS 16
#define LANES (3 * ROWS)

/* Sums are exact in 32 bits: |weights| add up to less than 2 * 2^22, pixels are below 2^8. */
static inline void weigh(const uint8_t *source, size_t stride, const int32_t *weights,
                         int32_t taps, int32_t lanes, uint8_t *out) {
    int32_t sum[LANES];
    for (int32_t i = 0; i < lanes; i++) { sum[i] = 1 << (CCU_RESIZE_BITS - 1); }
    for (int32_t t = 0; t < taps; t++) {
        const uint8_t *row    = source + (size_t)t * stride;
        const int32_t  weight = weights[t];
        for (int32_t i = 0; i < lanes; i++) { sum[i] += weight * row[i]; }
    }
    for (int32_t i = 0; i < lanes; i++) {
        const int32_t value = sum[i] >> CCU_RESIZE_BITS; /* arithmetic: rounds down */
        out[i]              = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

/* First source position that the window reads, and how many from there. */
static void reach(const ccu_axis *axis, int32_t *first, int32_t *count) {
    int32_t lo = axis->first[0];
    int32_t hi = lo;
    for (int32_t i = 0; i < axis->count; i++) {
        const int32_t end = axis->first[i] + axis->taps[i];
        if (axis->first[i] < lo) { lo = axis->first[i]; }
        if (end > hi) { hi = end; }
    }
    *first = lo;
    *count = hi - lo;
}

/* Turns `rows` rows of `bytes` bytes on their side: block (bytes, ROWS). */
static void turn(const uint8_t *source, size_t stride, int32_t rows, size_t bytes,
                 uint8_t *block) {
    for (int32_t y = 0; y < rows; y++) {
        const uint8_t *row = source + (size_t)y * stride;
        for (size_t i = 0; i < bytes; i++) { block[i * ROWS + (size_t)y] = row[i]; }
    }
}

/* out (rows, axis->count, 3) from `rows` source rows; column `column` of the axis is at `source`
 * in the first one. */
static clipcu_status pass_rows(const uint8_t *source, size_t stride, int32_t column, int32_t rows,
                               const ccu_axis *axis, uint8_t *out, clipcu_error *error) {
    int32_t first = 0;
    int32_t count = 0;
    reach(axis, &first, &count);
    const size_t bytes     = (size_t)count * 3;
    const size_t out_bytes = (size_t)axis->count * 3;
    uint8_t     *block     = ccu_alloc_zeroed(bytes, ROWS);
    if (block == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "resize: no memory for %zu bytes", bytes * ROWS);
    }
    source += (size_t)(first - column) * 3;
    for (int32_t y = 0; y < rows; y += ROWS) {
        const int32_t here = rows - y < ROWS ? rows - y : ROWS;
        turn(source + (size_t)y * stride, stride, here, bytes, block);
        for (int32_t x = 0; x < axis->count; x++) {
            uint8_t        sums[LANES]; /* (3, ROWS) */
            const uint8_t *from = block + (size_t)(axis->first[x] - first) * LANES;
            weigh(from, LANES, axis->weights + (size_t)x * (size_t)axis->taps_max, axis->taps[x],
                  LANES, sums);
            uint8_t *to = out + (size_t)y * out_bytes + (size_t)x * 3;
            for (int32_t r = 0; r < here; r++) {
                to[0] = sums[r];
                to[1] = sums[ROWS + r];
                to[2] = sums[2 * ROWS + r];
                to += out_bytes;
            }
        }
    }
    ccu_free(block);
    return CLIPCU_OK;
}

/* out (axis->count, bytes); row `row` of the axis starts at `source`. */
static void pass_columns(const uint8_t *source, size_t stride, int32_t row, size_t bytes,
                         const ccu_axis *axis, uint8_t *out) {
    for (int32_t y = 0; y < axis->count; y++) {
        const uint8_t *from    = source + (size_t)(axis->first[y] - row) * stride;
        const int32_t *weights = axis->weights + (size_t)y * (size_t)axis->taps_max;
        uint8_t       *to      = out + (size_t)y * bytes;
        size_t         i       = 0;
        for (; i + LANES <= bytes; i += LANES) {
            weigh(from + i, stride, weights, axis->taps[y], LANES, to + i);
        }
        if (i < bytes) {
            weigh(from + i, stride, weights, axis->taps[y], (int32_t)(bytes - i), to + i);
        }
    }
}

/* Both sides keep their size: the window's bytes as they are. */
static void copy_window(const ccu_image *image, const ccu_resize *resize, uint8_t *out) {
    const size_t stride = (size_t)image->W * 3;
    const size_t bytes  = (size_t)resize->width * 3;
    for (int32_t y = 0; y < resize->height; y++) {
        memcpy(out + (size_t)y * bytes,
               image->rgb + (size_t)(resize->top + y) * stride + (size_t)resize->left * 3, bytes);
    }
}

/* Pillow 13's choice of what comes first when both sides change. */
static bool columns_first(const ccu_image *image, const ccu_resize *resize) {
    const int64_t narrower = (int64_t)image->W - resize->W;
    const int64_t lower    = (int64_t)image->H - resize->H;
    return lower > 0 && lower > 2 * narrower;
}

/* Both passes. The first one makes just what the second one reads. */
static clipcu_status pass_both(const ccu_image *image, const ccu_resize *resize,
                               const ccu_axis *columns, const ccu_axis *rows, uint8_t *out,
                               clipcu_error *error) {
    const size_t stride = (size_t)image->W * 3;
    int32_t      left = 0, width = 0, top = 0, height = 0; /* what is read of the source */
    reach(columns, &left, &width);
    reach(rows, &top, &height);
    const bool     lower  = columns_first(image, resize);
    const size_t   wide   = (size_t)(lower ? width : resize->width) * 3;
    const size_t   bytes  = wide * (size_t)(lower ? resize->height : height);
    const uint8_t *source = image->rgb + (size_t)top * stride;
    uint8_t       *middle = ccu_alloc(bytes);
    clipcu_status  status = CLIPCU_OK;
    if (middle == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "resize: no memory for %zu bytes", bytes);
    }
    if (lower) {
        pass_columns(source + (size_t)left * 3, stride, top, wide, rows, middle);
        status = pass_rows(middle, wide, left, resize->height, columns, out, error);
    } else {
        status = pass_rows(source, stride, 0, height, columns, middle, error);
        if (status == CLIPCU_OK) { pass_columns(middle, wide, top, wide, rows, out); }
    }
    ccu_free(middle);
    return status;
}

clipcu_status ccu_image_resize(const ccu_image *image, const ccu_resize *resize, uint8_t *out,
                               clipcu_error *error) {
    assert(image->W > 0 && image->H > 0);
    assert(resize->left >= 0 && resize->width > 0 && resize->width <= resize->W - resize->left);
    assert(resize->top >= 0 && resize->height > 0 && resize->height <= resize->H - resize->top);

    const bool    across  = resize->W != image->W;
    const bool    down    = resize->H != image->H;
    const size_t  stride  = (size_t)image->W * 3;
    ccu_axis      columns = { 0 };
    ccu_axis      rows    = { 0 };
    clipcu_status status  = CLIPCU_OK;

    if (across) {
        status = ccu_axis_init(&columns, image->W, resize->W, resize->left, resize->width,
                               resize->resample, error);
        if (status != CLIPCU_OK) { goto done; }
    }
    if (down) {
        status = ccu_axis_init(&rows, image->H, resize->H, resize->top, resize->height,
                               resize->resample, error);
        if (status != CLIPCU_OK) { goto done; }
    }
    if (across && down) {
        status = pass_both(image, resize, &columns, &rows, out, error);
    } else if (across) {
        status = pass_rows(image->rgb + (size_t)resize->top * stride, stride, 0, resize->height,
                           &columns, out, error);
    } else if (down) {
        pass_columns(image->rgb + (size_t)resize->left * 3, stride, 0, (size_t)resize->width * 3,
                     &rows, out);
    } else {
        copy_window(image, resize, out);
    }

done:
    ccu_axis_free(&rows);
    ccu_axis_free(&columns);
    return status;
}
