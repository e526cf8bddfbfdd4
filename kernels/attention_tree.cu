/* Causal attention over a token trie (ops.h: attention_tree): each query row reads the keys and
 * values of the rows on its path, 5 to 20 of them as a rule and never more than a context.
 *
 *   lanes   A warp per query row and WARP / LANES neighbouring heads (attention_rows.h): four heads
 *           of 64 16-bit elements. Head sizes of whole 16 bytes, at most 512 bytes of a head;
 *           pointers and strides aligned to 16 bytes.
 *   plain   A warp per query row and head; everything else.
 *
 * Bound by the bytes of gathered rows: a query reads path_count * 2 * H * D elements and does 2
 * FLOP with each. In f16, 2048 rows of 8 heads of 64 on paths of 12 gather 48 MiB, but only 4 MiB
 * of them are distinct: a prefix that many rows share is read from L1 and L2. Fewer bytes would
 * take one block per subtree; the tower's products are 2048 * 12 * 512 * 512 * 2 = 13 GFLOP a layer
 * beside these 0.05.
 *
 * Not yet run on hardware. */
#include <assert.h>
#include <math.h>

#include "attention_rows.h"
#include "cuda_state.h"

static constexpr int WARPS = 4; /* of a block; they share nothing */
static constexpr int BATCH = 8; /* keys in flight: most paths are one or two batches */

typedef enum tree_variant { TREE_LANES, TREE_PLAIN, TREE_NONE } tree_variant;

template <class T, int LANES>
__global__ __launch_bounds__(WARPS *WARP) void attention_tree_lanes_kernel(
    const ccu_attention_tree op, float scale) {
    constexpr int EACH  = EACH16<T>;
    constexpr int HEADS = (int)WARP / LANES;
    const int     warp  = (int)(threadIdx.x / WARP), lane = (int)(threadIdx.x % WARP);
    const size_t  heads = (size_t)((op.H + HEADS - 1) / HEADS); /* groups of them */
    const size_t  item  = (size_t)blockIdx.x * WARPS + (size_t)warp;
    const size_t  m     = item / heads;
    if (m >= (size_t)op.Mq) { return; }
    const int    h      = (int)(item % heads) * HEADS + lane / LANES;
    const int    d      = lane % LANES * EACH;
    const bool   active = h < op.H && d < op.D;
    const size_t column = active ? (size_t)h * (size_t)op.D + (size_t)d : 0;
    const size_t stride = (size_t)op.kv_stride;

    const size_t row   = op.rows == NULL ? m : (size_t)op.rows[m];
    const int    count = op.path_count[row];
    const int   *path  = op.path + op.path_first[row];
    const T     *k     = (const T *)op.k + column;
    const T     *v     = (const T *)op.v + column;

    float q[EACH];
    unpack16<T>(read16((const T *)op.q, m * (size_t)op.q_stride + column, active), q);
    UNROLL for (int e = 0; e < EACH; e++) { q[e] *= scale; }
    attention_lanes<T> s = attention_lanes_begin<T>();
    for (int at = 0; at < count; at += (int)WARP) {
        const int left = min(count - at, (int)WARP);
        const int mine = lane < left ? path[at + lane] : 0; /* a warp's worth of the path */
        for (int j = 0; j < left; j += BATCH) {
            uint4 keys[BATCH], values[BATCH];
            UNROLL for (int i = 0; i < BATCH; i++) {
                const size_t from = (size_t)__shfl_sync(ALL_LANES, mine, j + i) * stride;
                const bool   real = active && j + i < left;
                keys[i]           = read16(k, from, real);
                values[i]         = read16(v, from, real);
            }
            attention_lanes_add<T, LANES, BATCH>(s, q, keys, values, left - j);
        }
    }
    if (active) {
        UNROLL for (int e = 0; e < EACH; e++) { s.sum[e] /= s.total; }
        T *y = (T *)op.y + m * (size_t)op.H * (size_t)op.D + column;
        *reinterpret_cast<uint4 *>(y) = pack16<T>(s.sum);
    }
}

template <class T>
__global__ __launch_bounds__(WARPS *WARP) void attention_tree_plain_kernel(
    const ccu_attention_tree op, float scale) {
    SIMT_DYN_SHARED(float, shared); /* (warps of the block, path_max) */
    const size_t warp = threadIdx.x / WARP, D = (size_t)op.D, H = (size_t)op.H;
    const size_t item = (size_t)blockIdx.x * (blockDim.x / WARP) + warp;
    const size_t m    = item / H, head = item % H * D;
    if (m >= (size_t)op.Mq) { return; }
    const size_t             row = op.rows == NULL ? m : (size_t)op.rows[m];
    const attention_plain<T> a   = {(const T *)op.q + m * (size_t)op.q_stride + head,
                                    (const T *)op.k + head,
                                    (const T *)op.v + head,
                                    (T *)op.y + m * H * D + head,
                                    op.path + op.path_first[row],
                                    shared + warp * (size_t)op.path_max,
                                    (size_t)op.kv_stride,
                                    op.path_count[row],
                                    op.D,
                                    scale};
    attention_plain_run(a);
}

/* Wide loads when every row of every head allows them; plain needs a path's scores of at least one
 * warp in shared memory. */
static tree_variant choose(const ccu_attention_tree *op, size_t shared_bytes_max) {
    if (attention_lanes_of(op->D, op->dtype) > 0 &&
        attention_aligned(op->q, op->q_stride, op->dtype) &&
        attention_aligned(op->k, op->kv_stride, op->dtype) &&
        attention_aligned(op->v, op->kv_stride, op->dtype) &&
        attention_aligned(op->y, op->H * op->D, op->dtype)) {
        return TREE_LANES;
    }
    return (size_t)op->path_max * sizeof(float) <= shared_bytes_max ? TREE_PLAIN : TREE_NONE;
}

template <class T, int LANES>
static int launch_lanes(ccu_cuda *cuda, const ccu_attention_tree *op) {
    const size_t heads = ((size_t)op->H * LANES + WARP - 1) / WARP;
    const dim3   blocks(ccu_cuda_blocks((size_t)op->Mq * heads, WARPS));
    return simt_launch("attention_tree_lanes", attention_tree_lanes_kernel<T, LANES>,
                       ccu_cuda_grid(cuda, blocks, WARPS * WARP, 0), *op, attention_scale(op->D));
}

template <class T> static int launch_plain(ccu_cuda *cuda, const ccu_attention_tree *op) {
    const size_t each  = (size_t)op->path_max * sizeof(float); /* bytes of a warp */
    const size_t fit   = cuda->facts.shared_bytes_max / each;
    const size_t warps = fit < WARPS ? fit : WARPS;
    const dim3   blocks(ccu_cuda_blocks((size_t)op->Mq * (size_t)op->H, warps));
    return simt_launch("attention_tree_plain", attention_tree_plain_kernel<T>,
                       ccu_cuda_grid(cuda, blocks, (unsigned)(warps * WARP), warps * each), *op,
                       attention_scale(op->D));
}

template <class T> static int launch(ccu_cuda *cuda, const ccu_attention_tree *op, int lanes) {
    if (lanes == 32) { return launch_lanes<T, 32>(cuda, op); }
    if (lanes == 16) { return launch_lanes<T, 16>(cuda, op); }
    if (lanes == 8) { return launch_lanes<T, 8>(cuda, op); }
    return launch_plain<T>(cuda, op);
}

void ccu_cuda_attention_tree(ccu_backend *be, const ccu_attention_tree *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->Mq == 0) { return; }
    assert(op->Mq > 0 && op->M > 0 && op->H > 0 && op->D > 0 && op->path_max > 0);
    assert(op->y != NULL && op->q != NULL && op->k != NULL && op->v != NULL);
    assert(op->path_first != NULL && op->path_count != NULL && op->path != NULL);
    assert(op->rows != NULL || op->Mq == op->M);
    assert(op->q_stride >= op->H * op->D && op->kv_stride >= op->H * op->D);
    const tree_variant variant = choose(op, cuda->facts.shared_bytes_max);
    if (variant == TREE_NONE) {
        ccu_cuda_unsupported(cuda, "attention_tree: a context of %d is too long for this device",
                             op->path_max);
        return;
    }
    const int lanes = variant == TREE_LANES ? attention_lanes_of(op->D, op->dtype) : 0;
    int       code  = 0;
    switch (op->dtype) {
    case CCU_F32: code = launch<float>(cuda, op, lanes); break;
    case CCU_BF16: code = launch<ccu_bf16>(cuda, op, lanes); break;
    case CCU_F16: code = launch<ccu_f16>(cuda, op, lanes); break;
    }
    ccu_cuda_result(cuda, code, "attention_tree: Mq %d M %d H %d D %d", op->Mq, op->M, op->H,
                    op->D);
}
