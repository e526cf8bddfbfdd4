/* y = act(y) + r in f32: the last step of a way that has only multiplied (cuBLASLt, which has
 * neither QuickGELU nor the exact GELU). In place, four columns per thread where all is aligned.
 *
 * Bound by: memory, 8 M N bytes, 12 with a residual. Not yet run on hardware. */
#include <assert.h>

#include "act.h"
#include "linear_ways.h"

static constexpr int THREADS = 256;

typedef struct act_problem {
    float       *y;
    const float *r; /* or NULL */
    int32_t      N, y_stride;
    size_t       count; /* threads with work: M * N / WIDTH */
    ccu_act      act;
} act_problem;

__device__ __forceinline__ void read_columns(float (&v)[1], const float *from) {
    v[0] = *from;
}

__device__ __forceinline__ void read_columns(float (&v)[4], const float *from) {
    const float4 in = *reinterpret_cast<const float4 *>(from);
    v[0] = in.x;
    v[1] = in.y;
    v[2] = in.z;
    v[3] = in.w;
}

__device__ __forceinline__ void write_columns(float *to, const float (&v)[1]) {
    *to = v[0];
}

__device__ __forceinline__ void write_columns(float *to, const float (&v)[4]) {
    *reinterpret_cast<float4 *>(to) = make_float4(v[0], v[1], v[2], v[3]);
}

template <int WIDTH> __global__ __launch_bounds__(THREADS) void linear_act_kernel(act_problem p) {
    const size_t index = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (index >= p.count) { return; }
    const size_t per_row = (size_t)p.N / WIDTH;
    const size_t at = index / per_row * (size_t)p.y_stride + index % per_row * WIDTH;
    float        v[WIDTH], r[WIDTH] = {};
    read_columns(v, p.y + at);
    if (p.r != NULL) { read_columns(r, p.r + at); }
    act_apply<float>(v, p.act);
    UNROLL for (int i = 0; i < WIDTH; i++) { v[i] += r[i]; }
    write_columns(p.y + at, v);
}

int ccu_linear_act_launch(ccu_cuda *cuda, const ccu_linear *op) {
    const int32_t stride  = ccu_linear_y_stride(op);
    const uintptr_t at    = (uintptr_t)op->y | (uintptr_t)op->r;
    const bool    vectors = op->N % 4 == 0 && stride % 4 == 0 && at % 16 == 0;
    const int     width   = vectors ? 4 : 1;
    act_problem   problem = { (float *)op->y, (const float *)op->r, op->N, stride,
                              (size_t)op->M * (size_t)op->N / (size_t)width, op->act };
    const simt_grid grid = ccu_cuda_grid(cuda, dim3(ccu_cuda_blocks(problem.count, THREADS)),
                                         THREADS, 0);
    assert(op->dtype == CCU_F32 && op->r != op->y);
    return vectors ? simt_launch("linear_act", linear_act_kernel<4>, grid, problem)
                   : simt_launch("linear_act", linear_act_kernel<1>, grid, problem);
}

void ccu_cuda_linear_act(ccu_backend *be, const ccu_linear *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->M == 0) { return; }
    ccu_cuda_result(cuda, ccu_linear_act_launch(cuda, op), "linear_act: M %d N %d", op->M, op->N);
}
