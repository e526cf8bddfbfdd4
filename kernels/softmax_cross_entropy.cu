/* Cross-entropy of scaled cosines and its gradient with respect to the class rows. f32, in three
 * kernels over a (B, K) scratch:
 *
 *   scores    a warp has a picture and a class: z = scale x . bank
 *   picture   a block has a picture: best class, log-sum-exp, then z becomes softmax - onehot
 *   gradient  a thread has a column of a class row: the sum over pictures, in their order
 *
 * Class rows are read once per picture, from L2 but for the first: 32 pictures, 1000 classes of 512
 * are 66 MB and as many FLOP twice, some 20 us beside a step of milliseconds. Sums have one order.
 * Not yet run on hardware. */
#include <assert.h>
#include <math.h>

#include "cuda_state.h"

static constexpr unsigned WARPS   = 4;   /* of a scores block: classes */
static constexpr unsigned THREADS = 256; /* of a picture block */
static constexpr unsigned COLUMNS = 128; /* of a gradient block */

__global__ __launch_bounds__(WARPS * WARP) void cross_entropy_scores_kernel(
    const ccu_softmax_cross_entropy op, float *z) {
    const size_t   parts = ((size_t)op.K + WARPS - 1) / WARPS;
    const size_t   b = blockIdx.x / parts, k = blockIdx.x % parts * WARPS + threadIdx.x / WARP;
    const unsigned lane = threadIdx.x % WARP;
    if (k >= (size_t)op.K) { return; } /* whole warps */
    const size_t E    = (size_t)op.E;
    const float *x    = op.x + b * E;
    const float *bank = op.bank + ((op.own_banks ? b * (size_t)op.K : 0) + k) * E;
    float        sum  = 0.0f;
    for (size_t e = lane; e < E; e += WARP) { sum = fmaf(x[e], bank[e], sum); }
    sum = warp_sum(sum);
    if (lane == 0) { z[b * (size_t)op.K + k] = op.scale * sum; }
}

/* A maximum and the lowest class that has it. */
typedef struct best_class {
    float   z;
    int32_t k;
} best_class;

__device__ __forceinline__ best_class better(best_class a, best_class b) {
    const bool second = b.z > a.z || (b.z == a.z && b.k < a.k);
    return second ? b : a;
}

/* Over the block, in every thread. */
__device__ __forceinline__ best_class block_best(best_class own) {
    SIMT_SHARED(best_class, of_warp, [THREADS / WARP]);
    UNROLL for (int step = 16; step > 0; step >>= 1) {
        const best_class other = {__shfl_xor_sync(ALL_LANES, own.z, step),
                                  __shfl_xor_sync(ALL_LANES, own.k, step)};
        own = better(own, other);
    }
    if (threadIdx.x % WARP == 0) { of_warp[threadIdx.x / WARP] = own; }
    __syncthreads();
    own = of_warp[0];
    for (unsigned w = 1; w < THREADS / WARP; w++) { own = better(own, of_warp[w]); }
    return own;
}

__device__ __forceinline__ float block_sum(float x) {
    SIMT_SHARED(float, of_warp, [THREADS / WARP]);
    x = warp_sum(x);
    if (threadIdx.x % WARP == 0) { of_warp[threadIdx.x / WARP] = x; }
    __syncthreads();
    x = of_warp[0];
    for (unsigned w = 1; w < THREADS / WARP; w++) { x += of_warp[w]; }
    return x;
}

__global__ __launch_bounds__(THREADS) void cross_entropy_picture_kernel(
    const ccu_softmax_cross_entropy op, float *scores) {
    const int32_t b = (int32_t)blockIdx.x, label = op.label[b];
    float        *z   = scores + (size_t)b * (size_t)op.K;
    const float   own = z[label];
    best_class    top = {-INFINITY, op.K};
    for (int32_t k = (int32_t)threadIdx.x; k < op.K; k += (int32_t)THREADS) {
        top = better(top, best_class{z[k], k});
    }
    top = block_best(top); /* everybody has read own by its barrier */
    float total = 0.0f;
    for (int32_t k = (int32_t)threadIdx.x; k < op.K; k += (int32_t)THREADS) {
        z[k] = expf(z[k] - top.z);
        total += z[k];
    }
    total = block_sum(total);
    for (int32_t k = (int32_t)threadIdx.x; k < op.K; k += (int32_t)THREADS) {
        z[k] = z[k] / total - (k == label ? 1.0f : 0.0f);
    }
    if (threadIdx.x == 0) {
        op.best[b] = top.k;
        op.loss[b] = logf(total) + (top.z - own);
    }
}

/* Grid: rows of dbank, COLUMNS of them. */
__global__ __launch_bounds__(COLUMNS) void cross_entropy_gradient_kernel(
    const ccu_softmax_cross_entropy op, const float *z) {
    const size_t row = blockIdx.x, e = (size_t)blockIdx.y * COLUMNS + threadIdx.x;
    const size_t E = (size_t)op.E, K = (size_t)op.K, k = row % K;
    if (e >= E) { return; }
    const int32_t first = op.own_banks ? (int32_t)(row / K) : 0;
    const int32_t end   = op.own_banks ? first + 1 : op.B;
    float         sum   = 0.0f;
    for (int32_t b = first; b < end; b++) {
        sum = fmaf(z[(size_t)b * K + k], op.x[(size_t)b * E + e], sum);
    }
    op.dbank[row * E + e] = op.weight * op.scale * sum;
}

static int launch(const ccu_cuda *cuda, const ccu_softmax_cross_entropy *op) {
    float       *z     = static_cast<float *>(op->scratch);
    const size_t B     = (size_t)op->B, K = (size_t)op->K;
    const dim3   pairs((unsigned)(B * ((K + WARPS - 1) / WARPS)));
    const dim3   rows((unsigned)(op->own_banks ? B * K : K),
                      ccu_cuda_blocks((size_t)op->E, COLUMNS));
    int          code = simt_launch("cross_entropy_scores", cross_entropy_scores_kernel,
                                    ccu_cuda_grid(cuda, pairs, WARPS * WARP, 0), *op, z);
    if (code == 0) {
        code = simt_launch("cross_entropy_picture", cross_entropy_picture_kernel,
                           ccu_cuda_grid(cuda, dim3((unsigned)B), THREADS, 0), *op, z);
    }
    if (code == 0) {
        code = simt_launch("cross_entropy_gradient", cross_entropy_gradient_kernel,
                           ccu_cuda_grid(cuda, rows, COLUMNS, 0), *op, z);
    }
    return code;
}

void ccu_cuda_softmax_cross_entropy(ccu_backend *be, const ccu_softmax_cross_entropy *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->B == 0) { return; }
    assert(op->B > 0 && op->K > 0 && op->E > 0);
    assert(op->loss != NULL && op->best != NULL && op->dbank != NULL && op->x != NULL);
    assert(op->bank != NULL && op->label != NULL && op->scratch != NULL);
    assert(op->dbank != op->bank);
    ccu_cuda_result(cuda, launch(cuda, op), "softmax_cross_entropy: B %d K %d E %d%s", op->B,
                    op->K, op->E, op->own_banks ? ", own banks" : "");
}

size_t ccu_cuda_softmax_cross_entropy_scratch(ccu_backend *be,
                                              const ccu_softmax_cross_entropy *op) {
    (void)be;
    return (size_t)op->B * (size_t)op->K * sizeof(float);
}
