/* What the kernels of scores_topk share: the product of a tile of rows with a tile of classes, and
 * scores as sortable keys.
 *
 * A block of 128 threads multiplies SIDE * SIDE rows (64 or 16) with 128 classes; a thread has SIDE
 * rows and SIDE classes, all of a tile's threads apart. x and bank come through shared memory in
 * steps of 16 columns, STAGES steps deep. Every score is one chain of fmaf over ascending columns,
 * so its bits are the same in both tile sizes, at any place in a tile, vectors or not. */
#ifndef CCU_KERNELS_SCORES_TILE_H
#define CCU_KERNELS_SCORES_TILE_H

#include "cuda_state.h"

static constexpr int SCORES_THREADS = 128;
static constexpr int SCORES_CLASSES = 128; /* of a tile */
static constexpr int SCORES_DEPTH   = 16;  /* columns of a step */
static constexpr int SCORES_PITCH   = 20;  /* floats: a row's 16-byte words in other banks */

typedef struct scores_args {
    const float *x;    /* (B, E) */
    const float *bank; /* (K, E) */
    float        scale;
    int32_t      B, K, E;
} scores_args;

/* Steps in shared memory at once. The 16-row tile is for few rows, where reading the bank is all
 * there is to do; the 64-row tile computes long enough on one step to fetch the next. */
template <int SIDE> static constexpr int SCORES_STAGES = SIDE == 8 ? 2 : 3;

/* Blocks of a multiprocessor that registers must allow: the 64-row tile keeps 64 sums in each
 * thread and spilled at the 128 registers of four blocks. */
template <int SIDE> static constexpr int SCORES_BLOCKS = SIDE == 8 ? 3 : 4;

template <int SIDE> struct scores_steps {
    float x[SCORES_STAGES<SIDE>][SIDE * SIDE][SCORES_PITCH];
    float bank[SCORES_STAGES<SIDE>][SCORES_CLASSES][SCORES_PITCH];
};

/* Columns k .. k + 15 of rows first .. first + ROWS - 1 of from (rows, E); zeros where there is
 * nothing. */
template <int ROWS, bool VECTOR>
__device__ __forceinline__ void scores_fetch(float (&to)[ROWS][SCORES_PITCH], const float *from,
                                             int32_t first, int32_t rows, int32_t k, int32_t E) {
    constexpr int WIDE = VECTOR ? 4 : 1, WORDS = SCORES_DEPTH / WIDE; /* words of a row */
    for (int at = (int)threadIdx.x; at < ROWS * WORDS; at += SCORES_THREADS) {
        const int     r = at / WORDS, c = at % WORDS * WIDE;
        const bool    real   = first + r < rows && k + c < E;
        const size_t  offset = real ? (size_t)(first + r) * (size_t)E + (size_t)(k + c) : 0;
        if constexpr (VECTOR) {
            cp_async16(smem_addr(&to[r][c]), from + offset, real);
        } else {
            to[r][c] = real ? from[offset] : 0.0f;
        }
    }
}

/* acc += the step's rows times the step's classes. */
template <int SIDE>
__device__ __forceinline__ void scores_multiply(float (&acc)[SIDE][SIDE],
                                                const float (&x)[SIDE * SIDE][SCORES_PITCH],
                                                const float (&bank)[SCORES_CLASSES][SCORES_PITCH]) {
    constexpr int ACROSS = SCORES_THREADS / SIDE; /* threads along the classes */
    const int     column = (int)threadIdx.x % ACROSS, row = (int)threadIdx.x / ACROSS;
    UNROLL for (int k = 0; k < SCORES_DEPTH; k += 4) {
        float4 b[SIDE];
        UNROLL for (int j = 0; j < SIDE; j++) {
            b[j] = *reinterpret_cast<const float4 *>(&bank[column + ACROSS * j][k]);
        }
        UNROLL for (int i = 0; i < SIDE; i++) {
            const float4 a = *reinterpret_cast<const float4 *>(&x[row + SIDE * i][k]);
            UNROLL for (int j = 0; j < SIDE; j++) {
                acc[i][j] = fmaf(a.x, b[j].x, acc[i][j]);
                acc[i][j] = fmaf(a.y, b[j].y, acc[i][j]);
                acc[i][j] = fmaf(a.z, b[j].z, acc[i][j]);
                acc[i][j] = fmaf(a.w, b[j].w, acc[i][j]);
            }
        }
    }
}

/* acc[i][j] = row row0 + thread / ACROSS + SIDE * i times class class0 + thread % ACROSS +
 * ACROSS * j, with ACROSS = 128 / SIDE. All threads come, with s free; s is in use until the next
 * barrier. */
template <int SIDE, bool VECTOR>
__device__ __forceinline__ void scores_product(float (&acc)[SIDE][SIDE], scores_steps<SIDE> &s,
                                               const scores_args &a, int32_t row0,
                                               int32_t class0) {
    constexpr int STAGES = SCORES_STAGES<SIDE>;
    const int32_t steps  = (a.E + SCORES_DEPTH - 1) / SCORES_DEPTH;
    UNROLL for (int i = 0; i < SIDE; i++) {
        UNROLL for (int j = 0; j < SIDE; j++) { acc[i][j] = 0.0f; }
    }
    for (int32_t step = 0; step < steps + STAGES - 1; step++) {
        /* fetch step number `step`, then multiply the one STAGES - 1 before it */
        const int32_t done = step - (STAGES - 1);
        if (done >= 0) {
            cp_async_wait<STAGES - 2>();
            __syncthreads(); /* step `done` has landed; nobody reads the stage before it */
        }
        if (step < steps) {
            scores_fetch<SIDE * SIDE, VECTOR>(s.x[step % STAGES], a.x, row0, a.B,
                                              step * SCORES_DEPTH, a.E);
            scores_fetch<SCORES_CLASSES, VECTOR>(s.bank[step % STAGES], a.bank, class0, a.K,
                                                 step * SCORES_DEPTH, a.E);
        }
        cp_async_commit(); /* of nothing at the end: the wait counts groups */
        if (done >= 0) {
            scores_multiply<SIDE>(acc, s.x[done % STAGES], s.bank[done % STAGES]);
        }
    }
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* What a score counts as: NaN is -inf, and -0 is 0 (they tie). */
__device__ __forceinline__ float scores_plain(float score) {
    return score == score ? score + 0.0f : -INFINITY;
}

/* The logit whose maximum is taken; -inf whatever scale is if the score is. */
__device__ __forceinline__ float scores_logit(float score, float scale) {
    return score > -INFINITY ? score * scale : -INFINITY;
}

/* exp(logit - max). The difference is rounded once, and everywhere in the same way. */
__device__ __forceinline__ float scores_term(float score, float scale, float max) {
    return score > -INFINITY ? expf(fmaf(score, scale, -max)) : 0.0f;
}

/* Larger for a higher score, then for a lower index. 0 is below all of them: no class. */
__device__ __forceinline__ uint64_t scores_key(float score, int32_t index) {
    const uint32_t bits = bits_of_f32(score);
    const uint32_t rank = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    return (uint64_t)rank << 32 | ~(uint32_t)index;
}

__device__ __forceinline__ float scores_key_score(uint64_t key) {
    const uint32_t rank = (uint32_t)(key >> 32);
    return f32_of_bits((rank & 0x80000000u) != 0 ? rank ^ 0x80000000u : ~rank);
}

__device__ __forceinline__ int32_t scores_key_index(uint64_t key) {
    return (int32_t)~(uint32_t)key;
}

/* ---- scores_topk_many.cu --------------------------------------------------------------------- */

size_t ccu_cuda_scores_many_bytes(const ccu_scores_topk *op); /* of scratch */
int    ccu_cuda_scores_many(const ccu_cuda *cuda, const ccu_scores_topk *op);

#endif
