/* Dense attention without mask (ops.h: attention), q, k and v read where the product that made them
 * left them.
 *
 *   mma     attention_mma.cu: tensor cores; f16 and bf16, the head sizes of CLIP's image towers.
 *   lanes   16 bytes of a head per lane (attention_rows.h). A block of four warps has one image,
 *           WARP / LANES neighbouring heads and QUERIES queries; each warp takes every fourth batch
 *           of keys, their four softmaxes are joined at the end. One query (QUERIES = 1) is the
 *           class token of a last layer; f32, and 16-bit head sizes that mma lacks, share each key
 *           among QUERIES of 4 and 2: as many as registers hold.
 *   plain   A warp per query and head; any head size, stride and alignment.
 *
 * Bound of lanes and plain: a query reads 2 T D elements per head and does 2 FLOP with each, so
 * device memory, or L2 where k and v still are: a class token in f16, T = 257, 16 heads of 64,
 * 1.05 MB per image. f32 with all queries reads the same Tq / 4 times, mostly from L1 and L2.
 *
 * A row's bits do not depend on B or its place. They may depend on Tq, which chooses the variant.
 *
 * Not yet run on hardware. */
#include <assert.h>
#include <math.h>

#include "attention_mma.h"
#include "attention_rows.h"
#include "cuda_state.h"

static constexpr int WARPS       = 4; /* of a block */
static constexpr int QUERIES_FEW = 4; /* up to so many are not worth a band of 32 on tensor cores */

typedef enum attention_variant {
    ATTENTION_MMA,
    ATTENTION_LANES,
    ATTENTION_PLAIN,
    ATTENTION_NONE
} attention_variant;

/* Joins the warps' softmaxes of one query and writes its lane's part of the row. */
template <class T, int QUERIES>
__device__ __forceinline__ void join_warps(
    const float (&parts)[WARPS][QUERIES][2 + EACH16<T>][WARP], int query, int lane, T *y) {
    constexpr int EACH  = EACH16<T>;
    float         top   = ATTENTION_LOWEST;
    float         total = 0.0f, sum[EACH] = {};
    UNROLL for (int w = 0; w < WARPS; w++) { top = fmaxf(top, parts[w][query][0][lane]); }
    UNROLL for (int w = 0; w < WARPS; w++) {
        const float rescale = exp2_approx(parts[w][query][0][lane] - top);
        total               = fmaf(rescale, parts[w][query][1][lane], total);
        UNROLL for (int e = 0; e < EACH; e++) {
            sum[e] = fmaf(rescale, parts[w][query][2 + e][lane], sum[e]);
        }
    }
    UNROLL for (int e = 0; e < EACH; e++) { sum[e] /= total; }
    *reinterpret_cast<uint4 *>(y) = pack16<T>(sum);
}

template <class T, int LANES, int QUERIES>
__global__ __launch_bounds__(WARPS *WARP) void attention_lanes_kernel(const ccu_attention op,
                                                                      float scale) {
    constexpr int EACH  = EACH16<T>;
    constexpr int HEADS = (int)WARP / LANES;
    constexpr int BATCH = QUERIES == 1 ? 8 : 4; /* keys in flight */
    SIMT_SHARED(float, parts, [WARPS][QUERIES][2 + EACH][WARP]);
    const int warp = (int)(threadIdx.x / WARP), lane = (int)(threadIdx.x % WARP);

    /* 1. Which image, heads and queries; queries first, so that neighbouring blocks share keys. */
    const int    heads = (op.H + HEADS - 1) / HEADS, bands = (op.Tq + QUERIES - 1) / QUERIES;
    const int    first = (int)blockIdx.x % bands * QUERIES;
    const int    h = (int)blockIdx.x / bands % heads * HEADS + lane / LANES;
    const int    d = lane % LANES * EACH;
    const size_t b      = (size_t)((int)blockIdx.x / bands / heads);
    const bool   active = h < op.H && d < op.D;
    const size_t column = active ? (size_t)h * (size_t)op.D + (size_t)d : 0;
    const size_t row = b * (size_t)op.Tq, width = (size_t)op.H * (size_t)op.D;
    const size_t stride = (size_t)op.kv_stride;
    const T     *k      = (const T *)op.k + b * (size_t)op.T * stride + column;
    const T     *v      = (const T *)op.v + b * (size_t)op.T * stride + column;

    float              q[QUERIES][EACH];
    attention_lanes<T> s[QUERIES];
    UNROLL for (int i = 0; i < QUERIES; i++) {
        const size_t from = row + (size_t)min(first + i, op.Tq - 1);
        unpack16<T>(read16((const T *)op.q, from * (size_t)op.q_stride + column, active), q[i]);
        UNROLL for (int e = 0; e < EACH; e++) { q[i][e] *= scale; }
        s[i] = attention_lanes_begin<T>();
    }
    for (int j = warp * BATCH; j < op.T; j += WARPS * BATCH) { /* 2. this warp's keys */
        uint4 keys[BATCH], values[BATCH];
        UNROLL for (int i = 0; i < BATCH; i++) {
            const bool real = active && j + i < op.T;
            keys[i]         = read16(k, (size_t)(j + i) * stride, real);
            values[i]       = read16(v, (size_t)(j + i) * stride, real);
        }
        UNROLL for (int i = 0; i < QUERIES; i++) {
            attention_lanes_add<T, LANES, BATCH>(s[i], q[i], keys, values, op.T - j);
        }
    }
    UNROLL for (int i = 0; i < QUERIES; i++) { /* 3. all keys */
        parts[warp][i][0][lane] = s[i].top;
        parts[warp][i][1][lane] = s[i].total;
        UNROLL for (int e = 0; e < EACH; e++) { parts[warp][i][2 + e][lane] = s[i].sum[e]; }
    }
    __syncthreads();
    if (warp < QUERIES && first + warp < op.Tq && active) {
        T *y = (T *)op.y + (row + (size_t)(first + warp)) * width + column;
        join_warps<T, QUERIES>(parts, warp, lane, y);
    }
}

template <class T>
__global__ __launch_bounds__(WARPS *WARP) void attention_plain_kernel(const ccu_attention op,
                                                                      float scale) {
    SIMT_DYN_SHARED(float, shared); /* (warps of the block, T) */
    const size_t warp = threadIdx.x / WARP, D = (size_t)op.D, H = (size_t)op.H;
    const size_t item = (size_t)blockIdx.x * (blockDim.x / WARP) + warp;
    const size_t row  = item % (size_t)op.Tq, head = item / (size_t)op.Tq % H * D;
    const size_t b = item / (size_t)op.Tq / H, stride = (size_t)op.kv_stride;
    if (b >= (size_t)op.B) { return; }
    const size_t             to   = b * (size_t)op.Tq + row;
    const size_t             from = b * (size_t)op.T * stride + head;
    const attention_plain<T> a    = {(const T *)op.q + to * (size_t)op.q_stride + head,
                                     (const T *)op.k + from,
                                     (const T *)op.v + from,
                                     (T *)op.y + to * H * D + head,
                                     NULL,
                                     shared + warp * (size_t)op.T,
                                     stride,
                                     op.T,
                                     op.D,
                                     scale};
    attention_plain_run(a);
}

/* Rows that can be read 16 bytes at a time go to mma, where it has the head size and queries are
 * enough for its bands of 32, else to lanes. plain needs the scores of at least one query in shared
 * memory: 25,000 keys on the smallest device. */
static attention_variant choose(const ccu_attention *op, size_t shared_bytes_max) {
    const bool aligned = attention_aligned(op->q, op->q_stride, op->dtype) &&
                         attention_aligned(op->k, op->kv_stride, op->dtype) &&
                         attention_aligned(op->v, op->kv_stride, op->dtype) &&
                         attention_aligned(op->y, op->H * op->D, op->dtype);
    if (aligned && op->Tq > QUERIES_FEW && ccu_attention_mma_has(op->D, op->dtype)) {
        return ATTENTION_MMA;
    }
    if (aligned && attention_lanes_of(op->D, op->dtype) > 0) { return ATTENTION_LANES; }
    return (size_t)op->T * sizeof(float) <= shared_bytes_max ? ATTENTION_PLAIN : ATTENTION_NONE;
}

template <class T, int LANES, int QUERIES>
static int launch_lanes(ccu_cuda *cuda, const ccu_attention *op) {
    const size_t heads = ((size_t)op->H * LANES + WARP - 1) / WARP;
    const dim3   blocks(ccu_cuda_blocks((size_t)op->Tq, QUERIES) *
                        (unsigned)(heads * (size_t)op->B));
    return simt_launch("attention_lanes", attention_lanes_kernel<T, LANES, QUERIES>,
                       ccu_cuda_grid(cuda, blocks, WARPS * WARP, 0), *op, attention_scale(op->D));
}

template <class T, int LANES> static int launch_queries(ccu_cuda *cuda, const ccu_attention *op) {
    if (op->Tq == 1) { return launch_lanes<T, LANES, 1>(cuda, op); }
    constexpr int QUERIES = sizeof(T) == 4 ? 4 : 2; /* a 16-bit lane has twice the elements */
    return launch_lanes<T, LANES, QUERIES>(cuda, op);
}

template <class T> static int launch_plain(ccu_cuda *cuda, const ccu_attention *op) {
    const size_t each  = (size_t)op->T * sizeof(float); /* bytes of a warp */
    const size_t fit   = cuda->facts.shared_bytes_max / each;
    const size_t warps = fit < WARPS ? fit : WARPS;
    const size_t items = (size_t)op->B * (size_t)op->H * (size_t)op->Tq;
    return simt_launch("attention_plain", attention_plain_kernel<T>,
                       ccu_cuda_grid(cuda, dim3(ccu_cuda_blocks(items, warps)),
                                     (unsigned)(warps * WARP), warps * each),
                       *op, attention_scale(op->D));
}

template <class T> static int launch(ccu_cuda *cuda, const ccu_attention *op, int lanes) {
    if (lanes == 32) { return launch_queries<T, 32>(cuda, op); }
    if (lanes == 16) { return launch_queries<T, 16>(cuda, op); }
    if (lanes == 8) { return launch_queries<T, 8>(cuda, op); }
    return launch_plain<T>(cuda, op);
}

void ccu_cuda_attention(ccu_backend *be, const ccu_attention *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->B == 0) { return; }
    assert(op->B > 0 && op->H > 0 && op->D > 0);
    assert(op->Tq > 0 && op->Tq <= op->T);
    assert(op->y != NULL && op->q != NULL && op->k != NULL && op->v != NULL);
    assert(op->q_stride >= op->H * op->D && op->kv_stride >= op->H * op->D);
    const attention_variant variant = choose(op, cuda->facts.shared_bytes_max);
    if (variant == ATTENTION_NONE) {
        ccu_cuda_unsupported(cuda, "attention: %d tokens are too many for this device", op->T);
        return;
    }
    const int lanes = variant == ATTENTION_LANES ? attention_lanes_of(op->D, op->dtype) : 0;
    int       code  = 0;
    if (variant == ATTENTION_MMA) {
        code = ccu_attention_mma_launch(cuda, op);
    } else {
        switch (op->dtype) {
        case CCU_F32: code = launch<float>(cuda, op, lanes); break;
        case CCU_BF16: code = launch<ccu_bf16>(cuda, op, lanes); break;
        case CCU_F16: code = launch<ccu_f16>(cuda, op, lanes); break;
        }
    }
    ccu_cuda_result(cuda, code, "attention: B %d Tq %d T %d H %d D %d", op->B, op->Tq, op->T,
                    op->H, op->D);
}
