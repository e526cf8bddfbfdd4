/* Sums of listed rows: y[ids[g]] += x[rows[i]] for i in first[g] .. first[g+1]-1, added one after
 * the other in that order, in f32.
 *
 * Blocks are (group, 128 columns), a thread has one column. Rows are added in order but fetched
 * four at a time, so that four loads are under way. Bound by memory: in f32 C * 4 bytes per row,
 * 164 MB for 1000 classes * 80 templates * 512, some 55 us at 3 TB/s; all columns of a row make
 * whole 128-byte lines, so wider loads would save instructions only. Not yet run on hardware. */
#include <assert.h>

#include "cuda_state.h"

static constexpr unsigned COLUMNS = 128; /* of a block */

template <class X, class Y>
__global__ __launch_bounds__(COLUMNS) void segment_sum_kernel(Y *__restrict__ y,
                                                              const X *__restrict__ x,
                                                              const int32_t *__restrict__ ids,
                                                              const int32_t *__restrict__ first,
                                                              const int32_t *__restrict__ rows,
                                                              int32_t C) {
    const unsigned group = blockIdx.x, c = blockIdx.y * COLUMNS + threadIdx.x;
    if (c >= (unsigned)C) { return; }
    const int32_t end   = first[group + 1];
    Y            *to    = y + (size_t)ids[group] * (size_t)C + c;
    const X      *from  = x + c;
    float         total = to_f32(*to);
    int32_t       i     = first[group];
    for (; i + 4 <= end; i += 4) {
        float v[4];
        UNROLL for (int j = 0; j < 4; j++) { v[j] = to_f32(from[(size_t)rows[i + j] * (size_t)C]); }
        UNROLL for (int j = 0; j < 4; j++) { total += v[j]; }
    }
    for (; i < end; i++) { total += to_f32(from[(size_t)rows[i] * (size_t)C]); }
    *to = from_f32<Y>(total);
}

template <class X, class Y> static int launch(const ccu_cuda *cuda, const ccu_segment_sum *op) {
    const dim3      blocks((unsigned)op->groups, ccu_cuda_blocks((size_t)op->C, COLUMNS));
    const simt_grid grid = ccu_cuda_grid(cuda, blocks, COLUMNS, 0);
    return simt_launch("segment_sum", segment_sum_kernel<X, Y>, grid, static_cast<Y *>(op->y),
                       static_cast<const X *>(op->x), op->ids, op->first, op->rows, op->C);
}

static int launch_as(const ccu_cuda *cuda, const ccu_segment_sum *op) {
    const bool wide = op->y_dtype == CCU_F32;
    switch (op->x_dtype) {
    case CCU_F32: return launch<float, float>(cuda, op);
    case CCU_BF16:
        return wide ? launch<ccu_bf16, float>(cuda, op) : launch<ccu_bf16, ccu_bf16>(cuda, op);
    case CCU_F16:
        return wide ? launch<ccu_f16, float>(cuda, op) : launch<ccu_f16, ccu_f16>(cuda, op);
    }
    return 0;
}

void ccu_cuda_segment_sum(ccu_backend *be, const ccu_segment_sum *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->groups == 0) { return; }
    assert(op->groups > 0 && op->C > 0);
    assert(op->y != NULL && op->x != NULL && op->y != op->x);
    assert(op->ids != NULL && op->first != NULL && op->rows != NULL);
    assert(op->y_dtype == CCU_F32 || op->y_dtype == op->x_dtype);
    ccu_cuda_result(cuda, launch_as(cuda, op), "segment_sum: groups %d C %d %s to %s", op->groups,
                    op->C, ccu_dtype_name(op->x_dtype), ccu_dtype_name(op->y_dtype));
}
