/* scores_topk for more than 32 best classes: whole listings of a bank, not the way to label images.
 * Correct and bounded in memory; scores_topk.cu has the fast path.
 *
 * 64 rows and a panel of 32768 classes at a time:
 * 1. scores_panel_kernel writes the panel's scores (scores_tile.h).
 * 2. scores_fold_kernel, a block per row, folds them into the row's maximum, sum of exponentials
 *    and best keys. Keys above the worst of the list wait in shared memory; when they could
 *    overflow, list and waiting keys are sorted together. A random bank passes about top * ln(K /
 *    top) keys. The last panel's fold writes the answer.
 *
 * Panels depend on nothing but K, keys are all different and the sums' order is fixed, so a row's
 * bits do not depend on B. Bound by the product as in scores_topk.cu, then by the fold's barriers,
 * two for every 256 classes; rows fold side by side. Not yet run on hardware. */
#include <assert.h>
#include <math.h>

#include "scores_tile.h"

static constexpr int32_t RUN_ROWS      = 64;
static constexpr int32_t PANEL_CLASSES = 32768;
static constexpr int     LIST          = 1024; /* the most that is kept */
static constexpr int     KEYS          = 2 * LIST;
static constexpr int     THREADS       = 256;
static constexpr int     FOLD_WARPS    = THREADS / (int)WARP;
static_assert((KEYS & (KEYS - 1)) == 0 && KEYS / 2 % THREADS == 0, "the sort's steps are whole");

/* ---- 1. Scores ------------------------------------------------------------------------------- */

/* Grid: row tiles x class tiles of the panel. scores (B, PANEL_CLASSES); all (B, K) or NULL. */
template <int SIDE, bool VECTOR>
__global__ __launch_bounds__(SCORES_THREADS, SCORES_BLOCKS<SIDE>)
void scores_panel_kernel(scores_args a, int32_t first, float *scores, float *all) {
    SIMT_DYN_SHARED(scores_steps<SIDE>, steps);
    constexpr int ACROSS = SCORES_THREADS / SIDE;
    const int32_t row0   = (int32_t)blockIdx.x * SIDE * SIDE;
    const int32_t class0 = first + (int32_t)blockIdx.y * SCORES_CLASSES;
    const int     column = (int)threadIdx.x % ACROSS, row = (int)threadIdx.x / ACROSS;
    float         acc[SIDE][SIDE];
    scores_product<SIDE, VECTOR>(acc, *steps, a, row0, class0);
    UNROLL for (int i = 0; i < SIDE; i++) {
        const int32_t r = row0 + row + SIDE * i;
        if (r >= a.B) { continue; }
        float *to = scores + (size_t)r * PANEL_CLASSES + (class0 - first);
        UNROLL for (int j = 0; j < SIDE; j++) {
            const int c = column + ACROSS * j;
            if (class0 + c >= a.K) { continue; }
            to[c] = acc[i][j];
            if (all != NULL) {
                all[(size_t)r * (size_t)a.K + (size_t)(class0 + c)] = acc[i][j];
            }
        }
    }
}

/* ---- 2. Folding ------------------------------------------------------------------------------ */

typedef struct fold_args {
    int32_t     *index;       /* (B, top) */
    float       *cosine;      /* (B, top) */
    float       *probability; /* (B, top) */
    uint64_t    *best;        /* (B, top) keys so far, best first */
    float2      *sums;        /* (B) largest logit so far, sum of exp(logit - it) */
    const float *scores;      /* (B, PANEL_CLASSES) */
    float        scale;
    int32_t      top, first, count; /* the panel's classes */
    bool         begins, ends;      /* the first panel, the last one */
} fold_args;

struct fold_shared {
    uint64_t keys[KEYS]; /* LIST of the list, best first, then LIST that wait */
    float2   sums[FOLD_WARPS];
    float2   total;
    int      waiting;
};

/* Descending, by compare-and-swap of pairs (bitonic). All threads come; ends with a barrier. */
__device__ __forceinline__ void sort_keys(uint64_t *keys) {
    for (int size = 2; size <= KEYS; size *= 2) {
        for (int stride = size / 2; stride > 0; stride /= 2) {
            for (int pair = (int)threadIdx.x; pair < KEYS / 2; pair += THREADS) {
                const int      low = pair & (stride - 1), i = 2 * (pair - low) + low;
                const uint64_t a = keys[i], b = keys[i + stride];
                const bool     descending = (i & size) == 0;
                if ((a < b) == descending) {
                    keys[i]          = b;
                    keys[i + stride] = a;
                }
            }
            __syncthreads();
        }
    }
}

/* Sorts what waits into the list. All threads come; ends with a barrier. */
__device__ __forceinline__ void absorb(fold_shared &s) {
    sort_keys(s.keys);
    for (int i = LIST + (int)threadIdx.x; i < KEYS; i += THREADS) { s.keys[i] = 0; }
    if (threadIdx.x == 0) { s.waiting = 0; }
    __syncthreads();
}

/* a + b, both (maximum, sum of terms relative to it). */
__device__ __forceinline__ float2 add_sums(float2 a, float2 b) {
    const float max = fmaxf(a.x, b.x);
    if (max == -INFINITY) { return make_float2(-INFINITY, 0.0f); }
    return make_float2(max, a.y * expf(a.x - max) + b.y * expf(b.x - max));
}

/* The threads' sums and what was there before. All threads come; s.total is valid on return. */
__device__ __forceinline__ void gather_sums(fold_shared &s, float2 mine, float2 before) {
    const float max   = warp_max(mine.x);
    const float share = mine.x > -INFINITY ? mine.y * expf(mine.x - max) : 0.0f;
    const float sum   = warp_sum(share);
    if (threadIdx.x % WARP == 0) { s.sums[threadIdx.x / WARP] = make_float2(max, sum); }
    __syncthreads();
    if (threadIdx.x == 0) {
        float2 total = before;
        for (int w = 0; w < FOLD_WARPS; w++) { total = add_sums(total, s.sums[w]); }
        s.total = total;
    }
    __syncthreads();
}

/* Offers the panel's classes; returns this thread's share of the sum. */
__device__ __forceinline__ float2 fold_panel(fold_shared &s, const fold_args &a,
                                             const float *scores) {
    uint64_t worst = s.keys[a.top - 1];
    float2   sum   = make_float2(-INFINITY, 0.0f);
    int32_t  at    = (int32_t)threadIdx.x;
    float    next  = at < a.count ? scores[at] : 0.0f;
    for (int32_t base = 0; base < a.count; base += THREADS) {
        const bool  real  = at < a.count;
        const float score = scores_plain(next);
        at += THREADS;
        next = at < a.count ? scores[at] : 0.0f;
        if (real) {
            const float logit = scores_logit(score, a.scale);
            if (logit > sum.x) {
                sum = make_float2(logit, sum.y * expf(sum.x - logit));
            }
            if (logit > -INFINITY) { sum.y += scores_term(score, a.scale, sum.x); }
            const uint64_t key = scores_key(score, a.first + at - THREADS);
            if (key > worst) { s.keys[LIST + atomicAdd(&s.waiting, 1)] = key; }
        }
        __syncthreads(); /* all that passed are waiting */
        const bool full = s.waiting > LIST - THREADS;
        __syncthreads(); /* everybody has looked */
        if (full) {
            absorb(s);
            worst = s.keys[a.top - 1];
        }
    }
    return sum;
}

/* Grid: rows. */
__global__ __launch_bounds__(THREADS) void scores_fold_kernel(fold_args a) {
    SIMT_DYN_SHARED(fold_shared, s);
    const size_t  row  = blockIdx.x;
    uint64_t     *best = a.best + row * (size_t)a.top; /* (top) */
    for (int i = (int)threadIdx.x; i < KEYS; i += THREADS) {
        s->keys[i] = i < a.top && !a.begins ? best[i] : 0;
    }
    if (threadIdx.x == 0) { s->waiting = 0; }
    __syncthreads();

    const float2 mine   = fold_panel(*s, a, a.scores + row * PANEL_CLASSES);
    const float2 before = a.begins ? make_float2(-INFINITY, 0.0f) : a.sums[row];
    gather_sums(*s, mine, before); /* its barriers also end the last look at `waiting` */
    if (s->waiting > 0) { absorb(*s); }

    const float2 total = s->total;
    for (int i = (int)threadIdx.x; i < a.top; i += THREADS) {
        const uint64_t key = s->keys[i];
        best[i]            = key;
        if (!a.ends) { continue; }
        const size_t at    = row * (size_t)a.top + (size_t)i;
        const float  score = scores_key_score(key);
        a.index[at]        = scores_key_index(key);
        a.cosine[at]       = score;
        a.probability[at]  = score > -INFINITY ? scores_term(score, a.scale, total.x) / total.y
                                               : 0.0f;
    }
    if (threadIdx.x == 0) { a.sums[row] = total; }
}

/* ---- The launcher ---------------------------------------------------------------------------- */

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* Scores of a run, then its lists, then its sums. Grows with B and top. */
size_t ccu_cuda_scores_many_bytes(const ccu_scores_topk *op) {
    const size_t rows = (size_t)least(op->B, RUN_ROWS);
    return rows * (PANEL_CLASSES * sizeof(float) + (size_t)op->top * sizeof(uint64_t) +
                   sizeof(float2));
}

static int launch_panel(const ccu_cuda *cuda, const scores_args &a, int32_t first, int32_t count,
                        float *scores, float *all) {
    const bool vector = a.E % 4 == 0 && ((uintptr_t)a.x | (uintptr_t)a.bank) % 16 == 0;
    const bool tall   = vector && a.B > 32;
    const dim3 blocks(ccu_cuda_blocks((size_t)a.B, tall ? 64 : 16),
                      ccu_cuda_blocks((size_t)count, SCORES_CLASSES));
    const simt_grid grid = ccu_cuda_grid(cuda, blocks, SCORES_THREADS,
                                         tall ? sizeof(scores_steps<8>) : sizeof(scores_steps<4>));
    if (tall) {
        return simt_launch("scores_panel_64", scores_panel_kernel<8, true>, grid, a, first, scores,
                           all);
    }
    if (vector) {
        return simt_launch("scores_panel_16", scores_panel_kernel<4, true>, grid, a, first, scores,
                           all);
    }
    return simt_launch("scores_panel_plain", scores_panel_kernel<4, false>, grid, a, first, scores,
                       all);
}

/* Rows first_row .. first_row + rows - 1, panel after panel. */
static int launch_run(const ccu_cuda *cuda, const ccu_scores_topk *op, int32_t first_row,
                      int32_t rows) {
    const size_t      at = (size_t)first_row * (size_t)op->top;
    float *const      scores = static_cast<float *>(op->scratch);
    uint64_t *const   best = reinterpret_cast<uint64_t *>(scores + (size_t)rows * PANEL_CLASSES);
    const scores_args args = {op->x + (size_t)first_row * (size_t)op->E, op->bank, op->scale, rows,
                              op->K, op->E};
    fold_args         fold = {op->index + at, op->cosine + at, op->probability + at, best,
                              reinterpret_cast<float2 *>(best + (size_t)rows * (size_t)op->top),
                              scores, op->scale, op->top, 0, 0, false, false};
    float *const      all = op->all == NULL ? NULL : op->all + (size_t)first_row * (size_t)op->K;
    int               code = 0;
    for (int32_t first = 0; code == 0 && first < op->K; first += fold.count) {
        fold.first  = first;
        fold.count  = least(op->K - first, PANEL_CLASSES);
        fold.begins = first == 0;
        fold.ends   = first + fold.count == op->K;
        code        = launch_panel(cuda, args, first, fold.count, scores, all);
        if (code != 0) { return code; }
        code = simt_launch("scores_fold", scores_fold_kernel,
                           ccu_cuda_grid(cuda, dim3((unsigned)rows), THREADS, sizeof(fold_shared)),
                           fold);
    }
    return code;
}

int ccu_cuda_scores_many(const ccu_cuda *cuda, const ccu_scores_topk *op) {
    int code = 0;
    assert(op->top <= LIST);
    for (int32_t first = 0; code == 0 && first < op->B; first += RUN_ROWS) {
        code = launch_run(cuda, op, first, least(RUN_ROWS, op->B - first));
    }
    return code;
}
