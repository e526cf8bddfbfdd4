/* The two passes on the CPU; see resample.h. Both are one loop, weigh(): lanes of bytes that lie
 * side by side, summed over positions that lie a stride apart, one weight per position. Down the
 * columns the lanes are a piece of a row; along the rows they are one column of 16 rows, for which
 * those rows are turned on their side first. So the compiler can vectorise both. */
#include "base/resample.h"

#include <assert.h>

#define ROWS 16
#define LANES (3 * ROWS)

ccu_taps ccu_taps_of(const int32_t *table, int32_t count) {
    assert(table != NULL);
    assert(count > 0);
    return (ccu_taps){ .first   = table,
                       .taps    = table + count,
                       .weights = table + (size_t)count * 2,
                       .count   = count };
}

static size_t row_bytes(int32_t pixels) {
    const size_t bytes = (size_t)pixels * 3;
    return (bytes + CCU_RESAMPLE_ALIGN - 1) / CCU_RESAMPLE_ALIGN * CCU_RESAMPLE_ALIGN;
}

size_t ccu_resample_middle_bytes(ccu_passes passes, int32_t W, int32_t H, int32_t width,
                                 int32_t height) {
    switch (passes) {
    case CCU_PASSES_ACROSS: return 0;
    case CCU_PASSES_DOWN: return 0;
    case CCU_PASSES_ACROSS_DOWN: return row_bytes(width) * (size_t)H;
    case CCU_PASSES_DOWN_ACROSS: return row_bytes(W) * (size_t)height;
    }
    assert(0);
    return 0;
}

size_t ccu_resample_block_bytes(int32_t W) {
    return (size_t)W * LANES;
}

/* Sums are exact in 32 bits: |weights| add up to less than 2 * 2^22, pixels are below 2^8.
 * Weights lie `step` apart. */
static inline void weigh(const uint8_t *source, size_t stride, const int32_t *weights, size_t step,
                         int32_t taps, int32_t lanes, uint8_t *out) {
    int32_t sum[LANES];
    for (int32_t i = 0; i < lanes; i++) { sum[i] = 1 << (CCU_RESAMPLE_BITS - 1); }
    for (int32_t t = 0; t < taps; t++) {
        const uint8_t *row    = source + (size_t)t * stride;
        const int32_t  weight = weights[(size_t)t * step];
        for (int32_t i = 0; i < lanes; i++) { sum[i] += weight * row[i]; }
    }
    for (int32_t i = 0; i < lanes; i++) {
        const int32_t value = sum[i] >> CCU_RESAMPLE_BITS; /* arithmetic: rounds down */
        out[i]              = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
}

/* Turns `rows` rows of `bytes` bytes on their side: block (bytes, ROWS). */
static void turn(const uint8_t *source, size_t stride, int32_t rows, size_t bytes,
                 uint8_t *block) {
    for (int32_t y = 0; y < rows; y++) {
        const uint8_t *row = source + (size_t)y * stride;
        for (size_t i = 0; i < bytes; i++) { block[i * ROWS + (size_t)y] = row[i]; }
    }
}

/* out (H, axis->count, 3), rows out_stride bytes apart, from source (H, W, 3). */
static void pass_across(const uint8_t *source, size_t stride, int32_t W, int32_t H,
                        const ccu_taps *axis, uint8_t *block, uint8_t *out, size_t out_stride) {
    assert(block != NULL);
    for (size_t i = 0; i < ccu_resample_block_bytes(W); i++) { block[i] = 0; }
    for (int32_t y = 0; y < H; y += ROWS) {
        const int32_t here = H - y < ROWS ? H - y : ROWS;
        turn(source + (size_t)y * stride, stride, here, (size_t)W * 3, block);
        for (int32_t x = 0; x < axis->count; x++) {
            uint8_t        sums[LANES]; /* (3, ROWS) */
            const uint8_t *from = block + (size_t)axis->first[x] * LANES;
            weigh(from, LANES, axis->weights + x, (size_t)axis->count, axis->taps[x], LANES, sums);
            uint8_t *to = out + (size_t)y * out_stride + (size_t)x * 3;
            for (int32_t r = 0; r < here; r++) {
                to[0] = sums[r];
                to[1] = sums[ROWS + r];
                to[2] = sums[2 * ROWS + r];
                to += out_stride;
            }
        }
    }
}

/* out (axis->count, bytes), rows out_stride bytes apart, from the first `bytes` of source rows. */
static void pass_down(const uint8_t *source, size_t stride, size_t bytes, const ccu_taps *axis,
                      uint8_t *out, size_t out_stride) {
    const size_t step = (size_t)axis->count;
    for (int32_t y = 0; y < axis->count; y++) {
        const uint8_t *from    = source + (size_t)axis->first[y] * stride;
        const int32_t *weights = axis->weights + y;
        uint8_t       *to      = out + (size_t)y * out_stride;
        size_t         i       = 0;
        for (; i + LANES <= bytes; i += LANES) {
            weigh(from + i, stride, weights, step, axis->taps[y], LANES, to + i);
        }
        if (i < bytes) {
            weigh(from + i, stride, weights, step, axis->taps[y], (int32_t)(bytes - i), to + i);
        }
    }
}

void ccu_resample_run(const ccu_resample_job *job) {
    const ccu_taps *across = &job->across;
    const ccu_taps *down   = &job->down;
    assert(job->W > 0);
    assert(job->H > 0);
    switch (job->passes) {
    case CCU_PASSES_ACROSS:
        pass_across(job->source, job->stride, job->W, job->H, across, job->block, job->out,
                    (size_t)across->count * 3);
        return;
    case CCU_PASSES_DOWN:
        pass_down(job->source, job->stride, (size_t)job->W * 3, down, job->out,
                  (size_t)job->W * 3);
        return;
    case CCU_PASSES_ACROSS_DOWN: {
        const size_t stride = row_bytes(across->count);
        const size_t bytes  = (size_t)across->count * 3;
        pass_across(job->source, job->stride, job->W, job->H, across, job->block, job->middle,
                    stride);
        pass_down(job->middle, stride, bytes, down, job->out, bytes);
        return;
    }
    case CCU_PASSES_DOWN_ACROSS: {
        const size_t stride = row_bytes(job->W);
        pass_down(job->source, job->stride, (size_t)job->W * 3, down, job->middle, stride);
        pass_across(job->middle, stride, job->W, down->count, across, job->block, job->out,
                    (size_t)across->count * 3);
        return;
    }
    }
    assert(0);
}
