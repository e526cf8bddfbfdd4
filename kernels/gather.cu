/* Rows by number: y[m] = x[rows[m]], whatever the dtype is.
 *
 * A warp copies a row, in 16-byte words where every row starts on 16 bytes, else in words of an
 * element. Bound by memory, 2 * C * size bytes per row; the towers gather a row per image or text
 * (2 MB at batch 512), so what is seen is the launch. Not yet run on hardware. */
#include <assert.h>

#include "cuda_state.h"

static constexpr unsigned WARPS = 4; /* rows in a block */

template <class Word>
__global__ __launch_bounds__(WARPS * WARP) void gather_kernel(Word *__restrict__ y,
                                                              const Word *__restrict__ x,
                                                              const int32_t *__restrict__ rows,
                                                              int32_t M, int32_t words) {
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int32_t  m = (int32_t)(blockIdx.x * WARPS + warp);
    if (m >= M) { return; } /* whole warps */
    const Word *from = x + (size_t)rows[m] * (size_t)words; /* (words) */
    Word       *to   = y + (size_t)m * (size_t)words;       /* (words) */
    for (int32_t i = (int32_t)lane; i < words; i += (int32_t)WARP) { to[i] = from[i]; }
}

template <class Word> static int launch(const ccu_cuda *cuda, const ccu_gather *op, size_t bytes) {
    const simt_grid grid = ccu_cuda_grid(cuda, dim3(ccu_cuda_blocks((size_t)op->M, WARPS)),
                                         WARPS * WARP, 0);
    return simt_launch("gather", gather_kernel<Word>, grid, static_cast<Word *>(op->y),
                       static_cast<const Word *>(op->x), op->rows, op->M,
                       (int32_t)(bytes / sizeof(Word)));
}

static int launch_as(const ccu_cuda *cuda, const ccu_gather *op) {
    const size_t bytes = (size_t)op->C * ccu_dtype_bytes(op->dtype); /* of a row */
    if (((uintptr_t)op->x | (uintptr_t)op->y | bytes) % 16 == 0) {
        return launch<uint4>(cuda, op, bytes);
    }
    return op->dtype == CCU_F32 ? launch<uint32_t>(cuda, op, bytes)
                                : launch<uint16_t>(cuda, op, bytes);
}

void ccu_cuda_gather(ccu_backend *be, const ccu_gather *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->M == 0) { return; }
    assert(op->M > 0 && op->C > 0);
    assert(op->y != NULL && op->x != NULL && op->rows != NULL && op->x != op->y);
    ccu_cuda_result(cuda, launch_as(cuda, op), "gather: M %d C %d %s", op->M, op->C,
                    ccu_dtype_name(op->dtype));
}
