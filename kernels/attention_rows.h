/* Attention of single queries, without tensor cores: shared by attention.cu (few queries, f32) and
 * attention_tree.cu. Two ways to spread one query over a warp:
 *
 * lanes   A head lies across LANES neighbouring lanes, 16 bytes of it in each, so a warp holds
 *         WARP / LANES neighbouring heads and reads a key of all of them in one contiguous load.
 *         Keys come in batches whose loads are all in flight before the first is used; between
 *         batches the softmax is rescaled, so nothing is stored.
 * plain   Any head size, any alignment. The warp's lanes lie across the head, element by element;
 *         scores are kept in shared memory.
 *
 * Both: scores are in units of log2 (scale holds log2 e / sqrt D), f32 throughout, summed in an
 * order that depends only on the keys' places in their sequence. */
#ifndef CCU_KERNELS_ATTENTION_ROWS_H
#define CCU_KERNELS_ATTENTION_ROWS_H

#include "vectors.h"

/* Where the search for the largest score starts. Finite, so that keys at -inf weigh nothing and
 * only a row that has no other key divides 0 by 0. */
static constexpr float ATTENTION_LOWEST = -3e38f;

/* ---- lanes ------------------------------------------------------------------------------ */

/* One query's softmax so far: total and sum hold the weights 2^(score - top). */
template <class T> struct attention_lanes {
    float top, total;
    float sum[EACH16<T>];
};

template <class T> __device__ __forceinline__ attention_lanes<T> attention_lanes_begin() {
    attention_lanes<T> s = {ATTENTION_LOWEST, 0.0f, {}};
    return s;
}

/* The first `real` of COUNT keys. q is already scaled; what lies beyond `real` is zeros. */
template <class T, int LANES, int COUNT>
__device__ __forceinline__ void attention_lanes_add(attention_lanes<T> &s,
                                                    const float (&q)[EACH16<T>],
                                                    const uint4 (&keys)[COUNT],
                                                    const uint4 (&values)[COUNT], int real) {
    constexpr int EACH = EACH16<T>;
    float         score[COUNT];
    float         top = s.top;
    UNROLL for (int j = 0; j < COUNT; j++) { /* 1. scores, the same in all lanes of a head */
        float k[EACH];
        unpack16<T>(keys[j], k);
        float sum = q[0] * k[0];
        UNROLL for (int e = 1; e < EACH; e++) { sum = fmaf(q[e], k[e], sum); }
        UNROLL for (int step = LANES / 2; step > 0; step >>= 1) {
            sum += __shfl_xor_sync(ALL_LANES, sum, step);
        }
        score[j] = j < real ? sum : -INFINITY;
        top      = fmaxf(top, score[j]);
    }
    const float rescale = exp2_approx(s.top - top);
    s.top = top;
    s.total *= rescale;
    UNROLL for (int e = 0; e < EACH; e++) { s.sum[e] *= rescale; }
    UNROLL for (int j = 0; j < COUNT; j++) { /* 2. weights and weighted values */
        const float p = exp2_approx(score[j] - top);
        float       v[EACH];
        unpack16<T>(values[j], v);
        s.total += p;
        UNROLL for (int e = 0; e < EACH; e++) { s.sum[e] = fmaf(p, v[e], s.sum[e]); }
    }
}

/* ---- plain ------------------------------------------------------------------------------ */

/* One head of one query. */
template <class T> struct attention_plain {
    const T       *q;      /* (D) */
    const T       *k, *v;  /* of this head, rows stride apart */
    T             *y;      /* (D) */
    const int32_t *path;   /* (count) rows of k and v, or NULL for 0 .. count - 1 */
    float         *scores; /* (count) shared memory of this warp alone */
    size_t         stride; /* elements */
    int32_t        count, D;
    float          scale;
};

template <class T>
__device__ __forceinline__ void attention_plain_run(const attention_plain<T> &a) {
    const int lane  = (int)(threadIdx.x % WARP);
    float     top   = ATTENTION_LOWEST;
    float     total = 0.0f;
    for (int j = 0; j < a.count; j++) { /* 1. scores */
        const T *k   = a.k + (size_t)(a.path == NULL ? j : a.path[j]) * a.stride;
        float    sum = 0.0f;
        for (int d = lane; d < a.D; d += (int)WARP) {
            sum = fmaf(to_f32(a.q[d]), to_f32(k[d]), sum);
        }
        sum = warp_sum(sum) * a.scale;
        top = fmaxf(top, sum);
        if (lane == j % (int)WARP) { a.scores[j] = sum; }
    }
    for (int j = lane; j < a.count; j += (int)WARP) { /* 2. weights; each lane its own scores */
        const float p = exp2_approx(a.scores[j] - top);
        a.scores[j]   = p;
        total += p;
    }
    total = warp_sum(total);
    __syncwarp();
    for (int d = lane; d < a.D; d += (int)WARP) { /* 3. weighted values */
        float sum = 0.0f;
        for (int j = 0; j < a.count; j++) {
            const size_t row = (size_t)(a.path == NULL ? j : a.path[j]);
            sum              = fmaf(a.scores[j], to_f32(a.v[row * a.stride + (size_t)d]), sum);
        }
        a.y[d] = from_f32<T>(sum / total);
    }
}

/* ---- Launchers' questions --------------------------------------------------------------- */

/* Lanes that hold a head of D elements, 16 bytes each: a power of two 8 .. 32; 0 if it does not fit
 * a warp or is no whole number of 16 bytes. */
static inline int attention_lanes_of(int32_t D, ccu_dtype dtype) {
    const int32_t each  = dtype == CCU_F32 ? 4 : 8;
    const int32_t lanes = D / each;
    if (D % each != 0 || lanes > (int32_t)WARP) { return 0; }
    return lanes <= 8 ? 8 : lanes <= 16 ? 16 : 32;
}

/* Can rows at this pointer, stride elements apart, be read 16 bytes at a time? */
static inline bool attention_aligned(const void *rows, int32_t stride, ccu_dtype dtype) {
    const size_t bytes = (size_t)stride * (dtype == CCU_F32 ? 4 : 2);
    return ((uintptr_t)rows | bytes) % 16 == 0;
}

static inline float attention_scale(int32_t D) {
    return 1.44269504f / sqrtf((float)D);
}

#endif
