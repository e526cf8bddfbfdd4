/* Token rows plus position rows: y[m] = table[ids[m]] + positions[at[m]], added in f32. Ids past
 * the vocabulary are learned rows, f32 whatever the dtype; they are few.
 *
 *   embed_tokens_vector_kernel   C a multiple of 8 and everything on 16 bytes: 8 elements at a time
 *   embed_tokens_plain_kernel    any C and alignment
 *
 * A warp has a row. Bound by memory: C * (2 * size + 4) bytes per row, 10 MB for 2048 trie rows of
 * 640 in f16, some 3 us; the launch costs as much. Not yet run on hardware. */
#include <assert.h>

#include "cuda_state.h"

static constexpr unsigned WARPS = 4; /* rows in a block */

typedef struct embed_args {
    void          *y;
    const void    *table;
    const float   *learned, *positions;
    const int32_t *ids, *at;
    int32_t        M, C, V;
} embed_args;

/* Row m of y from a learned row, for a whole warp. */
template <class T>
__device__ __forceinline__ void add_learned(const embed_args &a, int32_t m, unsigned lane) {
    const size_t C         = (size_t)a.C;
    T           *y         = static_cast<T *>(a.y) + (size_t)m * C;
    const float *learned   = a.learned + (size_t)(a.ids[m] - a.V) * C;
    const float *positions = a.positions + (size_t)a.at[m] * C;
    for (int32_t c = (int32_t)lane; c < a.C; c += (int32_t)WARP) {
        y[c] = from_f32<T>(learned[c] + positions[c]);
    }
}

/* y[0 .. 7] = table[0 .. 7] + positions[0 .. 7] */
template <class T>
__device__ __forceinline__ void add_eight(T *__restrict__ y, const T *__restrict__ table,
                                          const float *__restrict__ positions) {
    const float4 lo = __ldg(reinterpret_cast<const float4 *>(positions));
    const float4 hi = __ldg(reinterpret_cast<const float4 *>(positions + 4));
    if constexpr (sizeof(T) == 4) {
        const float4 a = __ldg(reinterpret_cast<const float4 *>(table));
        const float4 b = __ldg(reinterpret_cast<const float4 *>(table + 4));
        float4      *to = reinterpret_cast<float4 *>(y);
        to[0] = make_float4(a.x + lo.x, a.y + lo.y, a.z + lo.z, a.w + lo.w);
        to[1] = make_float4(b.x + hi.x, b.y + hi.y, b.z + hi.z, b.w + hi.w);
    } else {
        const uint4  q = __ldg(reinterpret_cast<const uint4 *>(table));
        const float2 a = unpack2<T>(q.x), b = unpack2<T>(q.y);
        const float2 c = unpack2<T>(q.z), d = unpack2<T>(q.w);
        *reinterpret_cast<uint4 *>(y) =
            make_uint4(pack2<T>(a.x + lo.x, a.y + lo.y), pack2<T>(b.x + lo.z, b.y + lo.w),
                       pack2<T>(c.x + hi.x, c.y + hi.y), pack2<T>(d.x + hi.z, d.y + hi.w));
    }
}

template <class T>
__global__ __launch_bounds__(WARPS * WARP) void embed_tokens_vector_kernel(embed_args a) {
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int32_t  m = (int32_t)(blockIdx.x * WARPS + warp);
    if (m >= a.M) { return; } /* whole warps */
    if (a.ids[m] >= a.V) {
        add_learned<T>(a, m, lane);
        return;
    }
    const size_t C         = (size_t)a.C;
    T           *y         = static_cast<T *>(a.y) + (size_t)m * C;
    const T     *table     = static_cast<const T *>(a.table) + (size_t)a.ids[m] * C;
    const float *positions = a.positions + (size_t)a.at[m] * C;
    for (int32_t c = 8 * (int32_t)lane; c < a.C; c += 8 * (int32_t)WARP) {
        add_eight<T>(y + c, table + c, positions + c);
    }
}

template <class T>
__global__ __launch_bounds__(WARPS * WARP) void embed_tokens_plain_kernel(embed_args a) {
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int32_t  m = (int32_t)(blockIdx.x * WARPS + warp);
    if (m >= a.M) { return; } /* whole warps */
    if (a.ids[m] >= a.V) {
        add_learned<T>(a, m, lane);
        return;
    }
    const size_t C         = (size_t)a.C;
    T           *y         = static_cast<T *>(a.y) + (size_t)m * C;
    const T     *table     = static_cast<const T *>(a.table) + (size_t)a.ids[m] * C;
    const float *positions = a.positions + (size_t)a.at[m] * C;
    for (int32_t c = (int32_t)lane; c < a.C; c += (int32_t)WARP) {
        y[c] = from_f32<T>(to_f32(table[c]) + positions[c]);
    }
}

template <class T> static int launch(const ccu_cuda *cuda, const ccu_embed_tokens *op) {
    const embed_args args = {op->y,  op->table, op->learned, op->positions, op->ids,
                             op->at, op->M,     op->C,       op->V};
    const simt_grid  grid = ccu_cuda_grid(cuda, dim3(ccu_cuda_blocks((size_t)op->M, WARPS)),
                                          WARPS * WARP, 0);
    const uintptr_t  all  = (uintptr_t)op->y | (uintptr_t)op->table | (uintptr_t)op->positions;
    if (op->C % 8 == 0 && all % 16 == 0) {
        return simt_launch("embed_tokens", embed_tokens_vector_kernel<T>, grid, args);
    }
    return simt_launch("embed_tokens_plain", embed_tokens_plain_kernel<T>, grid, args);
}

static int launch_as(const ccu_cuda *cuda, const ccu_embed_tokens *op) {
    switch (op->dtype) {
    case CCU_F32: return launch<float>(cuda, op);
    case CCU_BF16: return launch<ccu_bf16>(cuda, op);
    case CCU_F16: return launch<ccu_f16>(cuda, op);
    }
    return 0;
}

void ccu_cuda_embed_tokens(ccu_backend *be, const ccu_embed_tokens *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->M == 0) { return; }
    assert(op->M > 0 && op->C > 0);
    assert(op->y != NULL && op->table != NULL && op->positions != NULL);
    assert(op->ids != NULL && op->at != NULL && (op->V > 0 || op->learned != NULL));
    ccu_cuda_result(cuda, launch_as(cuda, op), "embed_tokens: M %d C %d %s", op->M, op->C,
                    ccu_dtype_name(op->dtype));
}
