/* Resampling in fixed point: the integer half of Pillow's antialiased resize.
 *
 * Weight tables are made in image/ (resize_axis.c), in double; from there on everything is
 * integers, so any machine that runs the passes gives the same bytes: image/resize.c here, the
 * resize_crop op on every backend. */
#ifndef CCU_BASE_RESAMPLE_H
#define CCU_BASE_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* Weights carry 22 bits: 8-bit pixels and two bits of headroom leave 22 of 32. */
#define CCU_RESAMPLE_BITS 22

/* Rows of pictures in a batch, and between passes, start at multiples of this. */
#define CCU_RESAMPLE_ALIGN 16

/* One axis, borrowed: output i is the sum over t < taps[i] of source position first[i] + t times
 * weights[t * count + i]. Neighbouring outputs' weights lie side by side, for the device. */
typedef struct ccu_taps {
    const int32_t *first;   /* (count) */
    const int32_t *taps;    /* (count) at least 1 */
    const int32_t *weights; /* (most taps, count), unused ones are 0 */
    int32_t        count;
} ccu_taps;

/* The axis whose first, taps and weights follow one another in `table`. */
ccu_taps ccu_taps_of(const int32_t *table, int32_t count);

/* Which passes, in order. Across sums along a row, down along a column; each rounds to bytes. */
typedef enum ccu_passes {
    CCU_PASSES_ACROSS,
    CCU_PASSES_DOWN,
    CCU_PASSES_ACROSS_DOWN,
    CCU_PASSES_DOWN_ACROSS
} ccu_passes;

/* One picture of a batch for the resize_crop op (ops/ops.h); image/resize_batch.h makes them. The
 * picture is what the window reads of the decoded one: positions in tables count from its corner.
 * Both axes have S outputs,
 * whose first and last positions never go back from one output to the next. */
typedef struct ccu_resize_item {
    uint64_t pixels;  /* byte offset of the picture (H, W, 3) in pixels; multiple of 16 */
    uint64_t middle;  /* byte offset in scratch of what is between two passes; multiple of 16 */
    uint64_t across;  /* offset in tables; unused without that pass */
    uint64_t down;
    int32_t  W, H;
    int32_t  stride;  /* bytes from row to row, a multiple of 16, >= 3 W */
    int32_t  passes;  /* ccu_passes */
} ccu_resize_item;

/* ---- The passes on the CPU ------------------------------------------------------------------ */

/* A picture and where its passes go. */
typedef struct ccu_resample_job {
    const uint8_t *source; /* (H, W, 3), rows stride bytes apart */
    size_t         stride;
    int32_t        W, H;
    ccu_passes     passes;
    ccu_taps       across, down;
    uint8_t       *middle; /* ccu_resample_middle_bytes(), or NULL if that is 0 */
    uint8_t       *block;  /* ccu_resample_block_bytes(W), or NULL without a pass across */
    uint8_t       *out; /* contiguous; across.count or W pixels wide, down.count or H high */
} ccu_resample_job;

/* Bytes between two passes over a picture of W x H to width x height; 0 for a single pass. */
size_t ccu_resample_middle_bytes(ccu_passes passes, int32_t W, int32_t H, int32_t width,
                                 int32_t height);

/* Scratch of a pass across W columns. */
size_t ccu_resample_block_bytes(int32_t W);

void ccu_resample_run(const ccu_resample_job *job);

#endif
