/* Gradients of attention over a token trie; see ccu_attention_tree_backward. P and dS of every
 * entry of every path go through scratch:
 *
 *   queries   a warp has a query and a head, its lanes lie across the head: P and dS, then dq
 *   short     a warp has a row and a head: dk and dv, sums over the few queries below it
 *   long      a block has a row with many queries below it, a trie's roots: its warps share them
 *             and the parts are added in their order
 *
 * A short row's block of `long` leaves at once, and the other way round: which is which depends on
 * the trie, which only the device has.
 *
 * Bound by gathered rows, as attention_tree: `queries` reads 4 * D elements per entry and head,
 * mostly from L1 and L2; `short` and `long` read as many, in runs. Beside the tower's products that
 * is little, so there is one variant, element by element and for every shape. Not yet run on
 * hardware. */
#include <assert.h>
#include <math.h>

#include "cuda_state.h"

static constexpr unsigned WARPS       = 4;  /* of a queries and of a short block */
static constexpr unsigned LONG_WARPS  = 16; /* of a long block */
static constexpr int      SHORT_BELOW = 64; /* queries below a row that one warp adds up */
static constexpr int      PART        = 2;  /* columns of a head that a lane has at a time */
static constexpr int      RUN         = 4;  /* queries in flight */

typedef struct tree_args {
    ccu_attention_tree_backward op;
    float                      *p, *ds; /* (entries of all queries' paths, H) */
    float                       scale;  /* 1 / sqrt D */
} tree_args;

/* Where query i's weights begin, entries: those of row i's path for all rows; for a list of rows,
 * path_max entries each. */
__device__ __forceinline__ size_t entry_of(const ccu_attention_tree_backward &op, size_t i) {
    return op.rows == NULL ? (size_t)op.path_first[i] : i * (size_t)op.path_max;
}

/* ---- Queries: P, dS, dq ---------------------------------------------------------------------- */

/* Entry j's weight and slope wait in scratch, written and read by lane j % 32, until all of the
 * path's are known; then every lane reads all of them. */
template <class T>
__global__ __launch_bounds__(WARPS *WARP) void tree_backward_queries_kernel(const tree_args a) {
    const ccu_attention_tree_backward &op = a.op;
    const int    lane = (int)(threadIdx.x % WARP);
    const size_t item = (size_t)blockIdx.x * WARPS + threadIdx.x / WARP;
    const size_t H = (size_t)op.H, D = (size_t)op.D, i = item / H, h = item % H;
    if (i >= (size_t)op.Mq) { return; } /* whole warps */
    const size_t   row   = op.rows == NULL ? i : (size_t)op.rows[i];
    const int      count = op.path_count[row];
    const int32_t *path  = op.path + op.path_first[row];
    const size_t   stride = (size_t)op.kv_stride;
    const T       *q      = static_cast<const T *>(op.q) + i * (size_t)op.q_stride + h * D;
    const T       *dy     = static_cast<const T *>(op.dy) + (i * H + h) * D;
    const T       *k      = static_cast<const T *>(op.k) + h * D;
    const T       *v      = static_cast<const T *>(op.v) + h * D;
    T             *dq     = static_cast<T *>(op.dq) + i * (size_t)op.q_stride + h * D;
    float         *p      = a.p + entry_of(op, i) * H + h;
    float         *ds     = a.ds + entry_of(op, i) * H + h;

    float top = -INFINITY;
    for (int j = 0; j < count; j++) {
        const size_t at = (size_t)path[j] * stride;
        float        score = 0.0f, slope = 0.0f;
        for (size_t d = (size_t)lane; d < D; d += WARP) {
            score = fmaf(to_f32(q[d]), to_f32(k[at + d]), score);
            slope = fmaf(to_f32(dy[d]), to_f32(v[at + d]), slope);
        }
        score = warp_sum(score) * a.scale;
        slope = warp_sum(slope);
        top   = fmaxf(top, score);
        if (lane == j % (int)WARP) {
            p[(size_t)j * H]  = score;
            ds[(size_t)j * H] = slope;
        }
    }
    float total = 0.0f, mean = 0.0f;
    for (int j = lane; j < count; j += (int)WARP) {
        const float weight = expf(p[(size_t)j * H] - top);
        p[(size_t)j * H]   = weight;
        total += weight;
        mean = fmaf(weight, ds[(size_t)j * H], mean);
    }
    total = warp_sum(total);
    mean  = warp_sum(mean) / total;
    for (int j = lane; j < count; j += (int)WARP) {
        const float weight = p[(size_t)j * H] / total;
        p[(size_t)j * H]   = weight;
        ds[(size_t)j * H]  = weight * (ds[(size_t)j * H] - mean) * a.scale;
    }
    __syncwarp();
    for (size_t d = (size_t)lane; d < D; d += WARP) {
        float sum = 0.0f;
        for (int j = 0; j < count; j++) {
            sum = fmaf(ds[(size_t)j * H], to_f32(k[(size_t)path[j] * stride + d]), sum);
        }
        dq[d] = from_f32<T>(sum);
    }
}

/* ---- Rows: dk, dv ---------------------------------------------------------------------------- */

typedef struct part {
    float dk[PART], dv[PART];
} part;

/* Columns lane + 32 c, c = first .. first + PART - 1, of head h: the sums over queries from .. end
 * - 1, depth entries into their paths. */
template <class T>
__device__ __forceinline__ part sum_queries(const tree_args &a, size_t h, size_t depth,
                                            size_t column, int from, int end) {
    const ccu_attention_tree_backward &op = a.op;
    const size_t H = (size_t)op.H, D = (size_t)op.D;
    const T     *q  = static_cast<const T *>(op.q) + h * D;
    const T     *dy = static_cast<const T *>(op.dy) + h * D;
    part         s  = {};
    for (int i = from; i < end; i += RUN) {
        float ds[RUN], p[RUN], qs[RUN][PART], dys[RUN][PART];
        UNROLL for (int r = 0; r < RUN; r++) {
            const bool   real  = i + r < end;
            const size_t query = (size_t)(real ? i + r : i);
            const size_t entry = (entry_of(op, query) + depth) * H + h;
            ds[r]              = real ? a.ds[entry] : 0.0f;
            p[r]               = real ? a.p[entry] : 0.0f;
            UNROLL for (int c = 0; c < PART; c++) {
                const size_t d = column + (size_t)c * WARP;
                qs[r][c]  = d < D ? to_f32(q[query * (size_t)op.q_stride + d]) : 0.0f;
                dys[r][c] = d < D ? to_f32(dy[query * H * D + d]) : 0.0f;
            }
        }
        UNROLL for (int r = 0; r < RUN; r++) {
            UNROLL for (int c = 0; c < PART; c++) {
                s.dk[c] = i + r < end ? fmaf(ds[r], qs[r][c], s.dk[c]) : s.dk[c];
                s.dv[c] = i + r < end ? fmaf(p[r], dys[r][c], s.dv[c]) : s.dv[c];
            }
        }
    }
    return s;
}

template <class T>
__device__ __forceinline__ void write_part(const tree_args &a, size_t j, size_t h, size_t column,
                                           const part &s) {
    const size_t D  = (size_t)a.op.D;
    const size_t at = j * (size_t)a.op.kv_stride + h * D;
    UNROLL for (int c = 0; c < PART; c++) {
        const size_t d = column + (size_t)c * WARP;
        if (d < D) {
            static_cast<T *>(a.op.dk)[at + d] = from_f32<T>(s.dk[c]);
            static_cast<T *>(a.op.dv)[at + d] = from_f32<T>(s.dv[c]);
        }
    }
}

template <class T>
__global__ __launch_bounds__(WARPS *WARP) void tree_backward_short_kernel(const tree_args a) {
    const size_t item = (size_t)blockIdx.x * WARPS + threadIdx.x / WARP, H = (size_t)a.op.H;
    const size_t j = item / H, h = item % H;
    if (j >= (size_t)a.op.M) { return; }
    const int    from = a.op.below_first[j], end = a.op.below_end[j];
    const size_t depth = (size_t)(a.op.path_count[j] - 1);
    if (end - from > SHORT_BELOW) { return; }
    for (size_t d = threadIdx.x % WARP; d < (size_t)a.op.D; d += WARP * PART) {
        write_part<T>(a, j, h, d, sum_queries<T>(a, h, depth, d, from, end));
    }
}

template <class T>
__global__ __launch_bounds__(LONG_WARPS *WARP) void tree_backward_long_kernel(const tree_args a) {
    SIMT_SHARED(part, parts, [LONG_WARPS][WARP]);
    const size_t   j = blockIdx.x / (size_t)a.op.H, h = blockIdx.x % (size_t)a.op.H;
    const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int      from = a.op.below_first[j], end = a.op.below_end[j];
    const size_t   depth = (size_t)(a.op.path_count[j] - 1);
    if (end - from <= SHORT_BELOW) { return; } /* the whole block */
    const int each  = (end - from + (int)LONG_WARPS - 1) / (int)LONG_WARPS;
    const int mine  = min(from + (int)warp * each, end);
    for (size_t first = 0; first < (size_t)a.op.D; first += WARP * PART) {
        const part own =
            sum_queries<T>(a, h, depth, first + lane, mine, min(mine + each, end));
        UNROLL for (int c = 0; c < PART; c++) {
            parts[warp][lane].dk[c] = own.dk[c];
            parts[warp][lane].dv[c] = own.dv[c];
        }
        __syncthreads();
        if (warp == 0) {
            part s = {};
            for (unsigned w = 0; w < LONG_WARPS; w++) {
                UNROLL for (int c = 0; c < PART; c++) {
                    s.dk[c] += parts[w][lane].dk[c];
                    s.dv[c] += parts[w][lane].dv[c];
                }
            }
            write_part<T>(a, j, h, first + lane, s);
        }
        __syncthreads();
    }
}

/* ---- Launch ---------------------------------------------------------------------------------- */

template <class T> static int launch(const ccu_cuda *cuda, const tree_args &a) {
    const size_t H     = (size_t)a.op.H, rows = (size_t)a.op.M * H;
    const dim3   short_blocks(ccu_cuda_blocks(rows, WARPS)), long_blocks((unsigned)rows);
    int          code = 0;
    if (a.op.Mq > 0) {
        const dim3 blocks(ccu_cuda_blocks((size_t)a.op.Mq * H, WARPS));
        code = simt_launch("tree_backward_queries", tree_backward_queries_kernel<T>,
                           ccu_cuda_grid(cuda, blocks, WARPS * WARP, 0), a);
    }
    if (code == 0) {
        code = simt_launch("tree_backward_short", tree_backward_short_kernel<T>,
                           ccu_cuda_grid(cuda, short_blocks, WARPS * WARP, 0), a);
    }
    if (code == 0 && a.op.Mq > SHORT_BELOW) {
        code = simt_launch("tree_backward_long", tree_backward_long_kernel<T>,
                           ccu_cuda_grid(cuda, long_blocks, LONG_WARPS * WARP, 0), a);
    }
    return code;
}

static int launch_as(const ccu_cuda *cuda, const tree_args &a) {
    switch (a.op.dtype) {
    case CCU_F32: return launch<float>(cuda, a);
    case CCU_BF16: return launch<ccu_bf16>(cuda, a);
    case CCU_F16: return launch<ccu_f16>(cuda, a);
    }
    return 0;
}

/* Entries of the weights of all queries. */
static size_t entries(const ccu_attention_tree_backward *op) {
    return op->rows == NULL ? op->path_used : (size_t)op->Mq * (size_t)op->path_max;
}

size_t ccu_cuda_attention_tree_backward_scratch(ccu_backend *be,
                                                const ccu_attention_tree_backward *op) {
    (void)be;
    const size_t listed = (size_t)op->Mq * (size_t)op->path_max;
    const size_t most   = op->path_used > listed ? op->path_used : listed;
    return 2 * most * (size_t)op->H * sizeof(float);
}

void ccu_cuda_attention_tree_backward(ccu_backend *be, const ccu_attention_tree_backward *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->M == 0) { return; }
    assert(op->Mq >= 0 && op->M > 0 && op->H > 0 && op->D > 0 && op->path_max > 0);
    assert(op->dq != NULL && op->dk != NULL && op->dv != NULL && op->dy != NULL);
    assert(op->q != NULL && op->k != NULL && op->v != NULL && op->scratch != NULL);
    assert(op->path_first != NULL && op->path_count != NULL && op->path != NULL);
    assert(op->below_first != NULL && op->below_end != NULL);
    assert(op->rows != NULL || op->Mq == op->M);
    float          *p = static_cast<float *>(op->scratch);
    const tree_args a = {*op, p, p + entries(op) * (size_t)op->H, 1.0f / sqrtf((float)op->D)};
    ccu_cuda_result(cuda, launch_as(cuda, a), "attention_tree_backward: Mq %d M %d H %d D %d %s",
                    op->Mq, op->M, op->H, op->D, ccu_dtype_name(op->dtype));
}
