/* Sums of rows per class: sum[class_ids[g]] += x[rows[i]] for i in first[g] .. first[g+1]-1, added
 * one after the other in that order.
 *
 * Blocks are (group, 128 columns), a thread has one column. Rows are added in order but fetched
 * four at a time, so that four loads are under way. Bound by memory: E * 4 bytes per row, 164 MB
 * for 1000 classes * 80 templates * 512, some 55 us at 3 TB/s; all columns of a row make whole
 * 128-byte lines, so wider loads would save instructions only. Not yet run on hardware. */
#include <assert.h>

#include "cuda_state.h"

static constexpr unsigned COLUMNS = 128; /* of a block */

__global__ __launch_bounds__(COLUMNS) void ensemble_kernel(float *__restrict__ sum,
                                                           const float *__restrict__ x,
                                                           const int32_t *__restrict__ class_ids,
                                                           const int32_t *__restrict__ first,
                                                           const int32_t *__restrict__ rows,
                                                           int32_t E) {
    const unsigned group = blockIdx.x, e = blockIdx.y * COLUMNS + threadIdx.x;
    if (e >= (unsigned)E) { return; }
    const int32_t end   = first[group + 1];
    float        *to    = sum + (size_t)class_ids[group] * (size_t)E + e;
    const float  *from  = x + e;
    float         total = *to;
    int32_t       i     = first[group];
    for (; i + 4 <= end; i += 4) {
        float v[4];
        UNROLL for (int j = 0; j < 4; j++) { v[j] = from[(size_t)rows[i + j] * (size_t)E]; }
        UNROLL for (int j = 0; j < 4; j++) { total += v[j]; }
    }
    for (; i < end; i++) { total += from[(size_t)rows[i] * (size_t)E]; }
    *to = total;
}

void ccu_cuda_ensemble(ccu_backend *be, const ccu_ensemble *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->groups == 0) { return; }
    assert(op->groups > 0 && op->E > 0);
    assert(op->sum != NULL && op->x != NULL && op->sum != op->x);
    assert(op->class_ids != NULL && op->first != NULL && op->rows != NULL);
    const dim3      blocks((unsigned)op->groups, ccu_cuda_blocks((size_t)op->E, COLUMNS));
    const simt_grid grid = ccu_cuda_grid(cuda, blocks, COLUMNS, 0);
    ccu_cuda_result(cuda,
                    simt_launch("ensemble", ensemble_kernel, grid, op->sum, op->x, op->class_ids,
                                op->first, op->rows, op->E),
                    "ensemble: groups %d E %d", op->groups, op->E);
}
