/* The best classes of each row and their probabilities, without the (B, K) matrix: up to 32 of them
 * here, more in scores_topk_many.cu.
 *
 * 1. scores_chunk_kernel: a block has a tile of rows and a chunk of classes, a whole number of
 *    tiles of 128. Tile by tile it multiplies (scores_tile.h), lays the scores into shared memory,
 *    and a warp per row folds them into the row's maximum, sum of exponentials and list of 32 best
 *    keys, one per lane. Both go to scratch.
 * 2. scores_merge_kernel: a warp per row merges the chunks' lists and sums, writes the answer.
 *
 * Chunks depend on K alone and rows never meet, so a row's bits do not depend on B.
 *
 * Bound, at 67 TFLOP/s of f32 and 3 TB/s: a row costs 2 * K * E operations, the bank K * E * 4
 * bytes once per launch (row tiles of a chunk are neighbours in the grid and share it in L2). So
 * up to some 45 rows the bank's bytes bound it: 0.68 ms for a million classes of 512. Beyond it is
 * the f32 rate: 3.9 ms for 256 rows of a million classes, 4 us for 256 rows of a thousand. Such
 * small banks are a question of filling the device: 64-row tiles would be 32 blocks of some 20 us,
 * so the 16-row tile is taken, 128 blocks of some 6 us. For 4 columns a warp of the 64-row tile
 * has 64 cycles of fmaf and 24 of shared memory, one of the 16-row tile 16 and 20. The fold is some
 * 3 % of the product at E 512. Tensor cores (the product in three bf16 or TF32 parts, about as
 * exact as f32) are the next step if hardware shows that the product matters beside the towers.
 * Not yet run on hardware. */
#include <assert.h>
#include <math.h>

#include "scores_tile.h"

static constexpr int     WARPS      = SCORES_THREADS / (int)WARP;
static constexpr int32_t TOP_MAX    = (int32_t)WARP; /* of this file */
static constexpr int32_t CHUNKS_MAX = 512;

static constexpr size_t ENTRY_BYTES   = sizeof(uint64_t) * TOP_MAX + sizeof(float2);
static constexpr size_t SCRATCH_BYTES = (size_t)64 << 20; /* rows come in runs that fit */
static constexpr int32_t RUN_UNIT     = 64;
static_assert(SCRATCH_BYTES >= RUN_UNIT * CHUNKS_MAX * ENTRY_BYTES, "a run has a row tile");

/* Per chunk of classes and row. */
typedef struct chunk_results {
    uint64_t *best; /* (B, chunks, top) keys, best first */
    float2   *sums; /* (B, chunks) largest logit, sum of exp(logit - it) */
    float    *all;  /* (B, K) scores, or NULL */
    int32_t   chunks, chunk_classes, top;
} chunk_results;

template <int SIDE> struct chunk_shared {
    union {
        scores_steps<SIDE> steps;
        float              scores[SIDE * SIDE][SCORES_CLASSES];
    };
    uint64_t best[SIDE * SIDE][WARP]; /* a row's lane is always the same thread */
};

static_assert(sizeof(chunk_shared<8>) == 48 * 1024, "no opt-in needed");
static_assert(sizeof(chunk_shared<4>) == 3 * 11520 + 4096, "five blocks in 228 KiB");

/* ---- The list of a warp ---------------------------------------------------------------------- */

__device__ __forceinline__ uint64_t key_of_lane(uint64_t key, int lane) {
    const uint32_t hi = __shfl_sync(ALL_LANES, (uint32_t)(key >> 32), lane);
    const uint32_t lo = __shfl_sync(ALL_LANES, (uint32_t)key, lane);
    return (uint64_t)hi << 32 | lo;
}

__device__ __forceinline__ uint64_t key_of_lane_below(uint64_t key) {
    const uint32_t hi = __shfl_up_sync(ALL_LANES, (uint32_t)(key >> 32), 1);
    const uint32_t lo = __shfl_up_sync(ALL_LANES, (uint32_t)key, 1);
    return (uint64_t)hi << 32 | lo;
}

/* Number of the lowest bit of bits, which has one: the exponent of a power of two. */
__device__ __forceinline__ int lowest_bit(unsigned bits) {
    return (int)(bits_of_f32((float)(bits & (0u - bits))) >> 23) - 127;
}

/* Offers each lane's key to the list `mine` (descending over lanes) that keeps `top`. */
__device__ __forceinline__ void offer(uint64_t &mine, uint64_t key, int32_t top) {
    const unsigned lane  = threadIdx.x % WARP;
    uint64_t       worst = key_of_lane(mine, top - 1);
    unsigned       waiting = __ballot_sync(ALL_LANES, key > worst);
    while (waiting != 0) {
        const uint64_t next  = key_of_lane(key, lowest_bit(waiting));
        const uint64_t above = key_of_lane_below(mine);
        /* from its place on, everything moves up a lane */
        if (mine < next) { mine = lane == 0 || above > next ? next : above; }
        worst = key_of_lane(mine, top - 1);
        waiting &= waiting - 1;
        waiting &= __ballot_sync(ALL_LANES, key > worst);
    }
}

/* ---- 1. Chunks ------------------------------------------------------------------------------- */

/* Folds scores (128) of classes class0 .. into a row: `list` is its key of this lane; maximum and
 * sum are in lane `owner`'s max and sum. */
__device__ __forceinline__ void fold_row(const float *scores, uint64_t *list, int owner, float &max,
                                         float &sum, const scores_args &a, int32_t class0,
                                         int32_t top) {
    constexpr int EACH = SCORES_CLASSES / (int)WARP; /* scores of a lane */
    const int     lane = (int)(threadIdx.x % WARP);
    float         v[EACH], largest = -INFINITY, terms = 0.0f;
    UNROLL for (int j = 0; j < EACH; j++) {
        const int column = lane + (int)WARP * j;
        v[j]    = class0 + column < a.K ? scores_plain(scores[column]) : -INFINITY;
        largest = fmaxf(largest, scores_logit(v[j], a.scale));
    }
    const float before = __shfl_sync(ALL_LANES, max, owner);
    const float now    = fmaxf(before, warp_max(largest));
    if (now > -INFINITY) { /* the whole warp */
        UNROLL for (int j = 0; j < EACH; j++) { terms += scores_term(v[j], a.scale, now); }
        terms = warp_sum(terms);
        if (lane == owner) {
            sum = sum * expf(before - now) + terms; /* exp(-inf) = 0 at first */
            max = now;
        }
    }
    uint64_t mine = *list;
    UNROLL for (int j = 0; j < EACH; j++) {
        const int32_t index = class0 + lane + (int)WARP * j;
        offer(mine, index < a.K ? scores_key(v[j], index) : 0, top);
    }
    *list = mine;
}

/* Grid: row tiles x chunks. */
template <int SIDE, bool VECTOR>
__global__ __launch_bounds__(SCORES_THREADS, SCORES_BLOCKS<SIDE>)
void scores_chunk_kernel(scores_args a, chunk_results out) {
    SIMT_DYN_SHARED(chunk_shared<SIDE>, s);
    constexpr int ROWS = SIDE * SIDE, ACROSS = SCORES_THREADS / SIDE;
    const int     lane = (int)(threadIdx.x % WARP), warp = (int)(threadIdx.x / WARP);
    const int32_t row0  = (int32_t)blockIdx.x * ROWS;
    const int32_t first = (int32_t)blockIdx.y * out.chunk_classes;
    const int32_t end   = min(first + out.chunk_classes, a.K);
    const int32_t rows  = min(a.B - row0, ROWS);

    float max = -INFINITY, sum = 0.0f; /* of row warp + WARPS * lane of the tile */
    for (int r = warp; r < ROWS; r += WARPS) { s->best[r][lane] = 0; }

    for (int32_t class0 = first; class0 < end; class0 += SCORES_CLASSES) {
        float acc[SIDE][SIDE];
        scores_product<SIDE, VECTOR>(acc, s->steps, a, row0, class0);
        __syncthreads(); /* the steps are used up */
        const int column = (int)threadIdx.x % ACROSS, row = (int)threadIdx.x / ACROSS;
        UNROLL for (int i = 0; i < SIDE; i++) {
            UNROLL for (int j = 0; j < SIDE; j++) {
                s->scores[row + SIDE * i][column + ACROSS * j] = acc[i][j];
            }
        }
        __syncthreads(); /* the scores are complete */
        for (int r = warp; r < rows; r += WARPS) {
            fold_row(s->scores[r], &s->best[r][lane], r / WARPS, max, sum, a, class0, out.top);
            if (out.all != NULL) {
                float *to = out.all + (size_t)(row0 + r) * (size_t)a.K + (size_t)class0;
                for (int c = lane; c < min(SCORES_CLASSES, a.K - class0); c += (int)WARP) {
                    to[c] = s->scores[r][c];
                }
            }
        }
        __syncthreads(); /* the scores are used up */
    }
    for (int r = warp; r < rows; r += WARPS) {
        const size_t entry = (size_t)(row0 + r) * (size_t)out.chunks + blockIdx.y;
        if (lane < out.top) { out.best[entry * (size_t)out.top + (size_t)lane] = s->best[r][lane]; }
        if (lane == r / WARPS) { out.sums[entry] = make_float2(max, sum); }
    }
}

/* ---- 2. The answer --------------------------------------------------------------------------- */

typedef struct merge_args {
    int32_t *index;       /* (B, top) */
    float   *cosine;      /* (B, top) */
    float   *probability; /* (B, top) */
    float    scale;
    int32_t  B;
} merge_args;

/* The sum of all chunks relative to the row's maximum, which goes to *max. */
__device__ __forceinline__ float merge_sums(const float2 *sums, int32_t chunks, float *max) {
    float lane_max = -INFINITY, sum = 0.0f;
    for (int32_t c = (int32_t)(threadIdx.x % WARP); c < chunks; c += (int32_t)WARP) {
        const float2 part = sums[c];
        const float  now  = fmaxf(lane_max, part.x);
        if (now == -INFINITY) { continue; } /* no number so far */
        sum      = sum * expf(lane_max - now) + part.y * expf(part.x - now);
        lane_max = now;
    }
    *max = warp_max(lane_max);
    return warp_sum(lane_max > -INFINITY ? sum * expf(lane_max - *max) : 0.0f);
}

__global__ __launch_bounds__(SCORES_THREADS) void scores_merge_kernel(merge_args    a,
                                                                      chunk_results from) {
    const int     lane = (int)(threadIdx.x % WARP), warp = (int)(threadIdx.x / WARP);
    const int32_t row  = (int32_t)blockIdx.x * WARPS + warp;
    if (row >= a.B) { return; } /* whole warps */

    float       max;
    const float total = merge_sums(from.sums + (size_t)row * (size_t)from.chunks, from.chunks,
                                   &max);
    const int32_t   count = from.chunks * from.top;
    const uint64_t *keys  = from.best + (size_t)row * (size_t)count; /* (chunks, top) */
    uint64_t        mine  = 0;
    for (int32_t i = 0; i < count; i += (int32_t)WARP) {
        offer(mine, i + lane < count ? keys[i + lane] : 0, from.top);
    }
    if (lane >= from.top) { return; }
    const size_t at    = (size_t)row * (size_t)from.top + (size_t)lane;
    const float  score = scores_key_score(mine);
    a.index[at]        = scores_key_index(mine);
    a.cosine[at]       = score;
    a.probability[at]  = score > -INFINITY ? scores_term(score, a.scale, max) / total : 0.0f;
}

/* ---- The launcher ---------------------------------------------------------------------------- */

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* Tiles of classes in a chunk: one until there are CHUNKS_MAX chunks, which fill any device with a
 * single tile of rows; from then on chunks grow. */
static int32_t chunk_tiles(int32_t K) {
    const int32_t tiles = (int32_t)ccu_cuda_blocks((size_t)K, SCORES_CLASSES);
    return (tiles + CHUNKS_MAX - 1) / CHUNKS_MAX;
}

static int32_t chunk_count(int32_t K) {
    return (int32_t)ccu_cuda_blocks((size_t)K, (size_t)chunk_tiles(K) * SCORES_CLASSES);
}

/* Rows of a run: as many as the scratch has room for. */
static int32_t run_rows(int32_t B, int32_t K) {
    const size_t room = SCRATCH_BYTES / ((size_t)chunk_count(K) * ENTRY_BYTES);
    return room >= (size_t)B ? B : (int32_t)(room / RUN_UNIT * RUN_UNIT);
}

/* Grows with B and top: whoever has room for `top` has room for less. */
size_t ccu_cuda_scores_topk_scratch(ccu_backend *be, const ccu_scores_topk *op) {
    (void)be;
    assert(op->B >= 0 && op->K >= 1 && op->E >= 1 && op->top >= 1);
    const size_t few  = (size_t)run_rows(op->B, op->K) * (size_t)chunk_count(op->K) * ENTRY_BYTES;
    const size_t many = op->top > TOP_MAX ? ccu_cuda_scores_many_bytes(op) : 0;
    return few > many ? few : many;
}

/* 64-row tiles read the bank a quarter as often, but only if there are enough of them for every
 * multiprocessor. */
static bool tall_tiles(const ccu_cuda *cuda, int32_t rows, int32_t chunks) {
    const size_t blocks = ccu_cuda_blocks((size_t)rows, 64) * (size_t)chunks;
    return rows > 32 && blocks >= 2 * (size_t)cuda->facts.multiprocessors;
}

static int launch_chunks(const ccu_cuda *cuda, const scores_args &a, const chunk_results &out) {
    const bool vector = a.E % 4 == 0 && ((uintptr_t)a.x | (uintptr_t)a.bank) % 16 == 0;
    const bool tall   = vector && tall_tiles(cuda, a.B, out.chunks);
    const dim3 blocks(ccu_cuda_blocks((size_t)a.B, tall ? 64 : 16), (unsigned)out.chunks);
    const simt_grid grid = ccu_cuda_grid(cuda, blocks, SCORES_THREADS,
                                         tall ? sizeof(chunk_shared<8>) : sizeof(chunk_shared<4>));
    if (tall) { return simt_launch("scores_chunk_64", scores_chunk_kernel<8, true>, grid, a, out); }
    if (vector) {
        return simt_launch("scores_chunk_16", scores_chunk_kernel<4, true>, grid, a, out);
    }
    return simt_launch("scores_chunk_plain", scores_chunk_kernel<4, false>, grid, a, out);
}

/* Rows first .. first + rows - 1. */
static int launch_run(const ccu_cuda *cuda, const ccu_scores_topk *op, int32_t first,
                      int32_t rows) {
    const int32_t     chunks = chunk_count(op->K);
    const size_t      at = (size_t)first * (size_t)op->top, entries = (size_t)rows * (size_t)chunks;
    const scores_args args = {op->x + (size_t)first * (size_t)op->E, op->bank, op->scale, rows,
                              op->K, op->E};
    uint64_t *const   best = static_cast<uint64_t *>(op->scratch);
    const chunk_results parts = {best, reinterpret_cast<float2 *>(best + entries * (size_t)op->top),
                                 op->all == NULL ? NULL : op->all + (size_t)first * (size_t)op->K,
                                 chunks, chunk_tiles(op->K) * SCORES_CLASSES, op->top};
    const merge_args    merge = {op->index + at, op->cosine + at, op->probability + at, op->scale,
                                 rows};
    const int code = launch_chunks(cuda, args, parts);
    if (code != 0) { return code; }
    return simt_launch("scores_merge", scores_merge_kernel,
                       ccu_cuda_grid(cuda, dim3(ccu_cuda_blocks((size_t)rows, WARPS)),
                                     SCORES_THREADS, 0),
                       merge, parts);
}

static int launch_all(const ccu_cuda *cuda, const ccu_scores_topk *op) {
    const int32_t run  = run_rows(op->B, op->K);
    int           code = 0;
    if (op->top > TOP_MAX) { return ccu_cuda_scores_many(cuda, op); }
    for (int32_t first = 0; code == 0 && first < op->B; first += run) {
        code = launch_run(cuda, op, first, least(run, op->B - first));
    }
    return code;
}

void ccu_cuda_scores_topk(ccu_backend *be, const ccu_scores_topk *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->B == 0) { return; }
    assert(op->B > 0 && op->K > 0 && op->E > 0);
    assert(op->top >= 1 && op->top <= op->K && op->top <= 1024);
    assert(op->x != NULL && op->bank != NULL && op->scratch != NULL);
    assert(op->index != NULL && op->cosine != NULL && op->probability != NULL);
    ccu_cuda_result(cuda, launch_all(cuda, op), "scores_topk: B %d K %d E %d top %d", op->B, op->K,
                    op->E, op->top);
}
