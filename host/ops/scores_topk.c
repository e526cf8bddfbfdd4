/* Cosines against a class bank, their softmax over all classes and the best few, on the CPU.
 *
 * Rows go in blocks, classes in runs of TILES tiles. Per run: 1. threads share the tiles of the
 * product x . bank^T, dot by dot of rows as they lie: nothing is packed for the few that one
 * picture or one query has, and a row's bits do not depend on how many there are; 2. threads share
 * the rows, and each row folds the run's scores, class by class in order, into a running
 * log-sum-exp and a heap of its best. Neither depends on how many threads there are, and the (B, K)
 * matrix never exists, unless somebody wants it: then each row's part is copied as it is folded. */
#include <assert.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "ops/cpu_state.h"
#include "ops/dots.h"

#define ROWS 96      /* rows in a block, at most */
#define COLUMNS 256  /* classes in a tile */
#define TILES 32     /* tiles in a run: 3 MiB of scores for a full block */
#define CLASSES 12   /* of a tile, that stay in cache while all rows meet them */
#define AHEAD ((size_t)16 << 10) /* bytes of the bank prefetched, as in bank/search.c */

typedef struct hit {
    float   score;
    int32_t index;
} hit;

/* Cut from the op's scratch. */
typedef struct state {
    float   *scores; /* (tiles of a run, height, columns of the tile): height rows */
    double  *sum;    /* (ROWS) of exp(scale * score - max) */
    float   *max;    /* (ROWS) of scale * score */
    hit     *heap;   /* (ROWS, top); the worst on top */
    int32_t *count;  /* (ROWS) hits in the heap */
    int32_t  height;
    size_t   bytes;
} state;

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* The next bytes of the scratch, on a cache line; NULL if there is only a size to count. */
static void *push(uint8_t *base, size_t *used, size_t bytes) {
    void *at = base == NULL ? NULL : base + *used;
    *used += (bytes + 63) & ~(size_t)63;
    return at;
}

/* base NULL: only the size is wanted. It grows with B, K, E and top. */
static state cut(const ccu_scores_topk *op, uint8_t *base) {
    state        s       = { .height = least(op->B, ROWS) };
    const size_t height  = (size_t)s.height;
    const size_t classes = (size_t)least(op->K, COLUMNS * TILES);
    s.scores = push(base, &s.bytes, height * classes * sizeof *s.scores);
    s.sum = push(base, &s.bytes, ROWS * sizeof *s.sum);
    s.max = push(base, &s.bytes, ROWS * sizeof *s.max);
    s.heap = push(base, &s.bytes, ROWS * (size_t)op->top * sizeof *s.heap);
    s.count = push(base, &s.bytes, ROWS * sizeof *s.count);
    return s;
}

size_t ccu_cpu_scores_topk_scratch(ccu_backend *be, const ccu_scores_topk *op) {
    (void)be;
    assert(op->B >= 0 && op->K >= 1 && op->E >= 1);
    return op->B == 0 ? 0 : cut(op, NULL).bytes;
}

/* ---- The best few -------------------------------------------------------------------------- */

/* Equal scores: the higher index is worse. */
static bool worse(hit a, hit b) {
    return a.score < b.score || (a.score == b.score && a.index > b.index);
}

static void sift_down(hit *heap, int32_t count, int32_t at) {
    const hit moved = heap[at];
    for (;;) {
        int32_t child = 2 * at + 1;
        if (child >= count) { break; }
        if (child + 1 < count && worse(heap[child + 1], heap[child])) { child++; }
        if (!worse(heap[child], moved)) { break; }
        heap[at] = heap[child];
        at       = child;
    }
    heap[at] = moved;
}

static void sift_up(hit *heap, int32_t at) {
    const hit moved = heap[at];
    while (at > 0 && worse(moved, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at       = (at - 1) / 2;
    }
    heap[at] = moved;
}

static void offer(hit *heap, int32_t *count, int32_t top, hit candidate) {
    if (*count < top) {
        heap[*count] = candidate;
        sift_up(heap, (*count)++);
    } else if (worse(heap[0], candidate)) {
        heap[0] = candidate;
        sift_down(heap, top, 0);
    }
}

/* Takes the worst off again and again: best first is what remains. */
static void sort_best_first(hit *heap, int32_t count) {
    while (count > 1) {
        const hit last = heap[--count];
        heap[count]    = heap[0];
        heap[0]        = last;
        sift_down(heap, count, 0);
    }
}

/* ---- One row ------------------------------------------------------------------------------- */

/* Scores of classes first .. first + count - 1 into row i's maximum, sum and heap. */
static void fold(const ccu_scores_topk *op, state *s, int32_t i, const float *scores,
                 int32_t first, int32_t count) {
    const ccu_lanes nothing = ccu_lanes_set(-INFINITY);
    float           z[COLUMNS + CCU_LANES], v[COLUMNS + CCU_LANES];
    ccu_lanes       best = nothing, best_z = nothing, sum = { 0 };
    assert(count >= 1 && count <= COLUMNS);

    memcpy(v, scores, (size_t)count * sizeof *v);
    for (int32_t j = count; j % CCU_LANES != 0; j++) { v[j] = -INFINITY; }
    for (int32_t j = 0; j < count; j += CCU_LANES) {
        ccu_lanes score = ccu_lanes_load(v + j);
        score           = ccu_lanes_select((ccu_lanes_i32)(score == score), score, nothing);
        ccu_lanes logit = score * op->scale;
        logit           = ccu_lanes_select((ccu_lanes_i32)(score > nothing), logit, nothing);
        ccu_lanes_store(v + j, score);
        ccu_lanes_store(z + j, logit);
        best   = ccu_lanes_max(score, best);
        best_z = ccu_lanes_max(logit, best_z);
    }
    const float max = ccu_lanes_max_of(best_z);
    if (max > s->max[i]) {
        s->sum[i] *= exp((double)s->max[i] - (double)max); /* exp(-inf) = 0 at first */
        s->max[i] = max;
    }
    if (s->max[i] > -INFINITY) {
        for (int32_t j = 0; j < count; j += CCU_LANES) {
            sum += ccu_lanes_exp(ccu_lanes_load(z + j) - s->max[i]);
        }
        s->sum[i] += ccu_lanes_sum(sum);
    }
    hit *heap = s->heap + (size_t)i * (size_t)op->top;
    if (s->count[i] == op->top && ccu_lanes_max_of(best) <= heap[0].score) { return; }
    for (int32_t j = 0; j < count; j++) {
        offer(heap, &s->count[i], op->top, (hit){ v[j], first + j });
    }
}

static void write_row(const ccu_scores_topk *op, const state *s, int32_t i, int32_t row) {
    hit         *heap = s->heap + (size_t)i * (size_t)op->top;
    const size_t at   = (size_t)row * (size_t)op->top;
    assert(s->count[i] == op->top);
    sort_best_first(heap, op->top);
    for (int32_t t = 0; t < op->top; t++) {
        const hit h         = heap[t];
        op->index[at + (size_t)t]  = h.index;
        op->cosine[at + (size_t)t] = h.score;
        op->probability[at + (size_t)t] =
            h.score > -INFINITY
                ? (float)(exp((double)(h.score * op->scale) - (double)s->max[i]) / s->sum[i])
                : 0.0f;
    }
}

/* ---- Blocks -------------------------------------------------------------------------------- */

typedef struct block {
    int32_t first, rows;
} block;

/* Where the scores of tile number `tile` of a run lie, and how many classes it has. */
static float *tile_scores(const ccu_scores_topk *op, const state *s, int32_t tile,
                          int32_t *columns) {
    *columns = least(op->K - tile * COLUMNS, COLUMNS);
    return s->scores + (size_t)(tile % TILES) * (size_t)s->height * COLUMNS;
}

/* R classes from number k on against O rows from number i on; constants where this is expanded. */
static inline __attribute__((always_inline)) void
few_scores(const ccu_scores_topk *op, const block *blk, float *scores, int32_t columns,
           const float *bank, int32_t k, int32_t i, int32_t R, int32_t O, size_t ahead) {
    const size_t E = (size_t)op->E;
    float        out[CCU_DOTS_OTHERS][CCU_DOTS_OTHERS];
    ccu_dots(bank + (size_t)k * E, E, op->x + (size_t)(blk->first + i) * E, E, op->E, R, O, ahead,
             out);
    for (int32_t o = 0; o < O; o++) {
        float *to = scores + (size_t)(i + o) * (size_t)columns + k;
        for (int32_t r = 0; r < R; r++) { to[r] = out[r][o]; }
    }
}

/* Classes k .. end - 1 of a tile against rows i .. i + O - 1. */
static inline __attribute__((always_inline)) void
some_scores(const ccu_scores_topk *op, const block *blk, float *scores, int32_t columns,
            const float *bank, int32_t k, int32_t end, int32_t i, int32_t O, size_t ahead) {
    const int32_t R = O == 1 ? CCU_DOTS_OTHERS : CCU_DOTS_ROWS; /* one row leaves registers free */
    for (; k + R <= end; k += R) {
        few_scores(op, blk, scores, columns, bank, k, i, R, O, ahead);
    }
    for (; k < end; k++) { few_scores(op, blk, scores, columns, bank, k, i, 1, O, ahead); }
}

static void run_tile(const ccu_scores_topk *op, const state *s, const block *blk, int32_t tile) {
    int32_t      columns;
    float       *scores = tile_scores(op, s, tile, &columns); /* (rows, columns) */
    const float *bank   = op->bank + (size_t)tile * COLUMNS * (size_t)op->E;
    for (int32_t k = 0; k < columns; k += CLASSES) {
        const int32_t end = least(k + CLASSES, columns);
        int32_t       i   = 0;
        for (; i + CCU_DOTS_OTHERS <= blk->rows; i += CCU_DOTS_OTHERS) {
            if (i == 0) { /* the first rows bring the classes from memory */
                some_scores(op, blk, scores, columns, bank, k, end, i, CCU_DOTS_OTHERS, AHEAD);
            } else {
                some_scores(op, blk, scores, columns, bank, k, end, i, CCU_DOTS_OTHERS, 0);
            }
        }
        for (; i < blk->rows; i++) {
            some_scores(op, blk, scores, columns, bank, k, end, i, 1, i == 0 ? AHEAD : 0);
        }
    }
}

/* all: row i's, or NULL. */
static void fold_run(const ccu_scores_topk *op, state *s, int32_t i, int32_t first, int32_t end,
                     float *all) {
    for (int32_t tile = first; tile < end; tile++) {
        int32_t      columns;
        const float *scores = tile_scores(op, s, tile, &columns) + (size_t)i * (size_t)columns;
        if (all != NULL) {
            memcpy(all + (size_t)tile * COLUMNS, scores, (size_t)columns * sizeof *all);
        }
        fold(op, s, i, scores, tile * COLUMNS, columns);
    }
}

static void run_block(ccu_cpu *cpu, const ccu_scores_topk *op, state *s, const block *blk) {
    const int32_t tiles = (op->K + COLUMNS - 1) / COLUMNS;
#pragma omp parallel num_threads(cpu->threads)
    {
        for (int32_t first = 0; first < tiles; first += TILES) {
            const int32_t end = least(first + TILES, tiles);
#pragma omp for schedule(dynamic, 1)
            for (int32_t tile = first; tile < end; tile++) { run_tile(op, s, blk, tile); }
#pragma omp for schedule(static)
            for (int32_t i = 0; i < blk->rows; i++) {
                const size_t row = (size_t)(blk->first + i) * (size_t)op->K;
                fold_run(op, s, i, first, end, op->all == NULL ? NULL : op->all + row);
            }
        }
#pragma omp for schedule(static)
        for (int32_t i = 0; i < blk->rows; i++) { write_row(op, s, i, blk->first + i); }
    }
}

void ccu_cpu_scores_topk(ccu_backend *be, const ccu_scores_topk *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "scores_topk", CCU_F32) || op->B == 0) { return; }
    assert(op->B > 0 && op->K > 0 && op->E > 0);
    assert(op->top >= 1 && op->top <= op->K);
    assert(op->scratch != NULL);
    state s   = cut(op, op->scratch);
    block blk = { 0 };
    for (blk.first = 0; blk.first < op->B; blk.first += ROWS) {
        blk.rows = least(op->B - blk.first, ROWS);
        for (int32_t i = 0; i < blk.rows; i++) {
            s.max[i]   = -INFINITY;
            s.sum[i]   = 0.0;
            s.count[i] = 0;
        }
        run_block(cpu, op, &s, &blk);
    }
}
