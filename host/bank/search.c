/* The rows of an index that are nearest to queries, by cosine.
 *
 * Threads take chunks of rows, front to end, and keep the best rows of each query in a sorted list
 * of their own; the lists are merged at the end. "Better" is a total order (higher cosine, then
 * lower row), so which thread saw which row does not matter.
 *
 * A chunk goes block by block:
 *   up to 3 queries  rows are read where they lie, several at once; the first query brings them
 *                    from memory, which is what limits
 *   more             rows are widened to f32 into a buffer that stays in cache, then multiplied in
 *                    tiles of TILE_ROWS x TILE_QUERIES
 * Either way a row's product with a query, and its length, is one chain of lanes over the columns:
 * equal bits however many queries there are. */
#include <assert.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "bank/index.h"
#include "bank/row_lanes.h"
#include "base/memory.h"
#include "base/threads.h"

#define TOP_MAX 1024
#define THREADS_MAX 1024
#define GROUP 256                  /* queries of one pass over the rows */
#define CHUNK_BYTES ((size_t)4 << 20) /* between two looks at whether the file has changed */
#define BLOCK_BYTES ((size_t)64 << 10)
#define ROWS 4 /* read at once: hides the latency of one chain of sums */
#define AHEAD ((size_t)16 << 10) /* bytes prefetched: 1.2 to 1.7 times as fast on a Zen 3 */
#define LINE ((size_t)64)
#define TILE_ROWS 3
#define TILE_QUERIES 4 /* 12 sums, 3 rows and a query: the 16 registers of AVX2 */

/* Rows whose squared length is outside are computed in double: f32 could over- or underflow. */
#define SQUARE_MIN 1e-30f
#define SQUARE_MAX 1e30f

/* What one thread has for itself. */
typedef struct worker {
    clipcu_hit *lists;   /* (Q, top), best first */
    int32_t    *counts;  /* (Q) hits in each list */
    float      *least;   /* (Q) below it a row does not get into the list */
    float      *wide;    /* (block_rows, stride) */
    float      *inverse; /* (block_rows) see inverse_length */
} worker;

typedef struct scan {
    const clipcu_index *index;
    const float        *queries; /* (Q, stride) of length 1, zeros behind column E */
    int32_t             Q, top, stride, threads;
    int32_t             block_rows;
    int64_t             chunk_rows, chunks;
    size_t              row_bytes;
    worker             *workers; /* (threads) */
    atomic_llong        next;    /* chunk */
    atomic_bool         changed; /* the file has */
} scan;

/* ---- The best few --------------------------------------------------------------------------- */

static bool better(clipcu_hit a, clipcu_hit b) {
    return a.cosine > b.cosine || (a.cosine == b.cosine && a.row < b.row);
}

/* Into its place in a sorted list. A heap would do fewer steps per row that gets in; but few do
 * (about top * ln(rows / top)), and this needs no sorting and merges as it is. */
static void offer(clipcu_hit *list, int32_t *count, int32_t top, clipcu_hit hit) {
    if (*count == top && !better(hit, list[top - 1])) { return; }
    int32_t at = *count < top ? (*count)++ : top - 1;
    for (; at > 0 && better(hit, list[at - 1]); at--) { list[at] = list[at - 1]; }
    list[at] = hit;
}

/* ---- One row and one query ------------------------------------------------------------------ */

/* 1 / length of a row. 0: to be computed in double. NaN: the row has no direction. */
static inline float inverse_length(float square) {
    if (square >= SQUARE_MIN && square <= SQUARE_MAX) { return 1.0f / sqrtf(square); }
    return square != square ? square : 0.0f;
}

/* The cosine in double; NaN for a row of zeros or with an infinity. */
static float careful_cosine(const scan *s, int64_t row, const float *query) {
    const uint8_t *at     = s->index->data + (size_t)row * s->row_bytes;
    double         dot    = 0.0;
    double         square = 0.0;
    for (int32_t k = 0; k < s->index->E; k++) {
        float x[CCU_LANES];
        ccu_lanes_store(x, ccu_row_load(at, k, 1, s->index->dtype));
        dot += (double)x[0] * (double)query[k];
        square += (double)x[0] * (double)x[0];
    }
    return square > 0.0 && square < (double)INFINITY ? (float)(dot / sqrt(square)) : NAN;
}

/* A row that may belong into a list. */
static void add_row(const scan *s, worker *w, int32_t q, int64_t row, float dot, float inverse) {
    clipcu_hit *list   = w->lists + (size_t)q * (size_t)s->top;
    float       cosine = dot * inverse;
    if (inverse == 0.0f) {
        cosine = careful_cosine(s, row, s->queries + (size_t)q * (size_t)s->stride);
    }
    if (!(cosine == cosine)) { return; }
    cosine = cosine > 1.0f ? 1.0f : cosine < -1.0f ? -1.0f : cosine;
    offer(list, &w->counts[q], s->top, (clipcu_hit){ .row = row, .cosine = cosine });
    if (w->counts[q] == s->top) { w->least[q] = list[s->top - 1].cosine; }
}

/* Nearly all rows end at the first line. */
static inline void consider(const scan *s, worker *w, int32_t q, int64_t row, float dot,
                            float inverse) {
    if (inverse > 0.0f && dot * inverse < w->least[q]) { return; }
    add_row(s, w, q, row, dot, inverse);
}

/* ---- Few queries: rows where they lie ------------------------------------------------------- */

/* Rows first .. first + R - 1 and one query. R and dtype are constants where this is expanded. */
static inline __attribute__((always_inline)) void few_rows(const scan *s, worker *w, int32_t q,
                                                           int64_t first, int32_t R,
                                                           ccu_dtype dtype) {
    const uint8_t *row   = s->index->data + (size_t)first * s->row_bytes; /* (R, E) */
    const float   *query = s->queries + (size_t)q * (size_t)s->stride;    /* (stride) */
    const int32_t  E     = s->index->E;
    const size_t   size  = ccu_dtype_bytes(dtype);
    ccu_lanes      dot[ROWS], square[ROWS];
    float          dots[ROWS], squares[ROWS];
#pragma GCC unroll 4
    for (int32_t r = 0; r < ROWS; r++) { dot[r] = square[r] = ccu_lanes_set(0.0f); }
    int32_t k = 0;
    for (; k + CCU_LANES <= E; k += CCU_LANES) {
        const ccu_lanes y     = ccu_lanes_load(query + k);
        const uint8_t  *ahead = row + (size_t)k * (size_t)R * size + AHEAD;
#pragma GCC unroll 4
        for (size_t line = 0; line < (size_t)R * CCU_LANES * size; line += LINE) {
            __builtin_prefetch(ahead + line); /* in the order of memory, each line once */
        }
#pragma GCC unroll 4
        for (int32_t r = 0; r < R; r++) {
            const ccu_lanes x = ccu_row_load(row + (size_t)r * s->row_bytes, k, CCU_LANES, dtype);
            dot[r]    = ccu_row_add_product(dot[r], x, y);
            square[r] = ccu_row_add_product(square[r], x, x);
        }
    }
    if (k < E) {
        const ccu_lanes y = ccu_lanes_load(query + k);
#pragma GCC unroll 4
        for (int32_t r = 0; r < R; r++) {
            const ccu_lanes x = ccu_row_load(row + (size_t)r * s->row_bytes, k, E - k, dtype);
            dot[r]    = ccu_row_add_product(dot[r], x, y);
            square[r] = ccu_row_add_product(square[r], x, x);
        }
    }
    ccu_row_sum_four(dot, dots);
    ccu_row_sum_four(square, squares);
    for (int32_t r = 0; r < R; r++) {
        consider(s, w, q, first + r, dots[r], inverse_length(squares[r]));
    }
}

static inline __attribute__((always_inline)) void few_block(const scan *s, worker *w,
                                                            int64_t first, int64_t end,
                                                            ccu_dtype dtype) {
    for (int32_t q = 0; q < s->Q; q++) {
        int64_t row = first;
        for (; row + ROWS <= end; row += ROWS) { few_rows(s, w, q, row, ROWS, dtype); }
        for (; row < end; row++) { few_rows(s, w, q, row, 1, dtype); }
    }
}

/* ---- Many queries: tiles -------------------------------------------------------------------- */

static inline __attribute__((always_inline)) void widen(const scan *s, worker *w, int64_t first,
                                                        int32_t rows, ccu_dtype dtype) {
    const int32_t E = s->index->E;
    for (int32_t r = 0; r < rows; r++) {
        const uint8_t *row  = s->index->data + (size_t)(first + r) * s->row_bytes; /* (E) */
        float         *wide = w->wide + (size_t)r * (size_t)s->stride;             /* (stride) */
        ccu_lanes      square = { 0 };
        int32_t        k      = 0;
        for (; k + CCU_LANES <= E; k += CCU_LANES) {
            const ccu_lanes x = ccu_row_load(row, k, CCU_LANES, dtype);
            __builtin_prefetch(row + (size_t)k * ccu_dtype_bytes(dtype) + AHEAD);
            ccu_lanes_store(wide + k, x);
            square = ccu_row_add_product(square, x, x);
        }
        if (k < E) {
            const ccu_lanes x = ccu_row_load(row, k, E - k, dtype);
            ccu_lanes_store(wide + k, x);
            square = ccu_row_add_product(square, x, x);
        }
        w->inverse[r] = inverse_length(ccu_lanes_sum(square));
    }
}

/* R rows of the block by Q queries; both are constants where this is expanded. */
static inline __attribute__((always_inline)) void tile(const scan *s, worker *w, int64_t first,
                                                       int32_t r0, int32_t q0, int32_t R,
                                                       int32_t Q) {
    const size_t stride = (size_t)s->stride;
    const float *x      = w->wide + (size_t)r0 * stride;    /* (R, stride) */
    const float *y      = s->queries + (size_t)q0 * stride; /* (Q, stride) */
    ccu_lanes    sum[TILE_ROWS][TILE_QUERIES];
    float        dots[TILE_QUERIES];
#pragma GCC unroll 3
    for (int32_t r = 0; r < TILE_ROWS; r++) {
#pragma GCC unroll 4
        for (int32_t q = 0; q < TILE_QUERIES; q++) { sum[r][q] = ccu_lanes_set(0.0f); }
    }
    for (size_t k = 0; k < stride; k += CCU_LANES) {
        ccu_lanes part[TILE_ROWS];
#pragma GCC unroll 3
        for (int32_t r = 0; r < R; r++) { part[r] = ccu_lanes_load(x + (size_t)r * stride + k); }
#pragma GCC unroll 4
        for (int32_t q = 0; q < Q; q++) {
            const ccu_lanes query = ccu_lanes_load(y + (size_t)q * stride + k);
#pragma GCC unroll 3
            for (int32_t r = 0; r < R; r++) {
                sum[r][q] = ccu_row_add_product(sum[r][q], part[r], query);
            }
        }
    }
#pragma GCC unroll 3
    for (int32_t r = 0; r < R; r++) {
        ccu_row_sum_four(sum[r], dots);
        for (int32_t q = 0; q < Q; q++) {
            consider(s, w, q0 + q, first + r0 + r, dots[q], w->inverse[r0 + r]);
        }
    }
}

static void many_block(const scan *s, worker *w, int64_t first, int32_t rows) {
    switch (s->index->dtype) {
    case CCU_F32: widen(s, w, first, rows, CCU_F32); break;
    case CCU_BF16: widen(s, w, first, rows, CCU_BF16); break;
    case CCU_F16: widen(s, w, first, rows, CCU_F16); break;
    }
    int32_t q = 0;
    for (; q + TILE_QUERIES <= s->Q; q += TILE_QUERIES) {
        int32_t r = 0;
        for (; r + TILE_ROWS <= rows; r += TILE_ROWS) {
            tile(s, w, first, r, q, TILE_ROWS, TILE_QUERIES);
        }
        for (; r < rows; r++) { tile(s, w, first, r, q, 1, TILE_QUERIES); }
    }
    for (; q < s->Q; q++) {
        int32_t r = 0;
        for (; r + TILE_ROWS <= rows; r += TILE_ROWS) { tile(s, w, first, r, q, TILE_ROWS, 1); }
        for (; r < rows; r++) { tile(s, w, first, r, q, 1, 1); }
    }
}

/* ---- All rows ------------------------------------------------------------------------------- */

static void scan_block(const scan *s, worker *w, int64_t first, int64_t end) {
    if (s->Q >= TILE_QUERIES) {
        many_block(s, w, first, (int32_t)(end - first));
        return;
    }
    switch (s->index->dtype) {
    case CCU_F32: few_block(s, w, first, end, CCU_F32); break;
    case CCU_BF16: few_block(s, w, first, end, CCU_BF16); break;
    case CCU_F16: few_block(s, w, first, end, CCU_F16); break;
    }
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* One thread's work. */
static void work(void *context, int32_t number) {
    scan   *s = context;
    worker *w = &s->workers[number];
    while (!atomic_load(&s->changed)) {
        const int64_t chunk = atomic_fetch_add(&s->next, 1);
        if (chunk >= s->chunks) { return; }
        if (ccu_index_check(s->index, NULL) != CLIPCU_OK) {
            atomic_store(&s->changed, true);
            return;
        }
        const int64_t end = least((chunk + 1) * s->chunk_rows, s->index->rows);
        for (int64_t row = chunk * s->chunk_rows; row < end; row += s->block_rows) {
            scan_block(s, w, row, least(row + s->block_rows, end));
        }
    }
}

/* Lists of all threads into those of the first, and from there into hits (Q, top). */
static void merge(scan *s, clipcu_hit *hits) {
    worker *all = &s->workers[0];
    for (int32_t t = 1; t < s->threads; t++) {
        const worker *w = &s->workers[t];
        for (int32_t q = 0; q < s->Q; q++) {
            const size_t at = (size_t)q * (size_t)s->top;
            for (int32_t i = 0; i < w->counts[q]; i++) {
                offer(all->lists + at, &all->counts[q], s->top, w->lists[at + (size_t)i]);
            }
        }
    }
    for (int32_t q = 0; q < s->Q; q++) {
        for (int32_t i = 0; i < s->top; i++) {
            const size_t at = (size_t)q * (size_t)s->top + (size_t)i;
            hits[at]        = i < all->counts[q] ? all->lists[at] : (clipcu_hit){ .row = -1 };
        }
    }
}

static void free_workers(scan *s) {
    for (int32_t t = 0; s->workers != NULL && t < s->threads; t++) {
        ccu_free(s->workers[t].lists);
        ccu_free(s->workers[t].counts);
        ccu_free(s->workers[t].least);
        ccu_free(s->workers[t].wide);
        ccu_free(s->workers[t].inverse);
    }
    ccu_free(s->workers);
}

/* Of Q queries; false when out of memory. */
static bool open_workers(scan *s, int32_t Q) {
    s->workers = ccu_alloc_zeroed((size_t)s->threads, sizeof *s->workers);
    for (int32_t t = 0; s->workers != NULL && t < s->threads; t++) {
        worker      *w    = &s->workers[t];
        const size_t rows = (size_t)s->block_rows;
        w->lists   = ccu_alloc_zeroed((size_t)Q * (size_t)s->top, sizeof *w->lists);
        w->counts  = ccu_alloc_zeroed((size_t)Q, sizeof *w->counts);
        w->least   = ccu_alloc_zeroed((size_t)Q, sizeof *w->least);
        w->wide    = ccu_alloc_zeroed(rows * (size_t)s->stride, sizeof *w->wide);
        w->inverse = ccu_alloc_zeroed(rows, sizeof *w->inverse);
        if (w->lists == NULL || w->counts == NULL || w->least == NULL || w->wide == NULL ||
            w->inverse == NULL) {
            return false;
        }
    }
    return s->workers != NULL;
}

/* One pass over the rows for s->Q queries. */
static clipcu_status run(scan *s, clipcu_hit *hits, clipcu_error *error) {
    assert(s->Q >= 1 && s->Q <= GROUP);
    atomic_store(&s->next, 0);
    for (int32_t t = 0; t < s->threads; t++) {
        for (int32_t q = 0; q < s->Q; q++) {
            s->workers[t].counts[q] = 0;
            s->workers[t].least[q]  = -INFINITY;
        }
    }
    ccu_parallel_for(s->threads, s->threads, work, s);
    const clipcu_status status = ccu_index_check(s->index, error);
    if (status == CLIPCU_OK) { merge(s, hits); }
    return status;
}

/* ---- Public --------------------------------------------------------------------------------- */

/* queries (count, E) of any length -> unit (count, stride) of length 1. */
static clipcu_status make_unit(const float *queries, int32_t count, int32_t E, int32_t stride,
                               float *unit, clipcu_error *error) {
    for (int32_t q = 0; q < count; q++) {
        const float *from   = queries + (size_t)q * (size_t)E;
        float       *to     = unit + (size_t)q * (size_t)stride;
        double       square = 0.0;
        for (int32_t k = 0; k < E; k++) { square += (double)from[k] * (double)from[k]; }
        if (!(square > 0.0 && square < (double)INFINITY)) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                            "clipcu_index_search: query %d has length %g, expected more than 0 "
                            "and finite",
                            (int)q, sqrt(square));
        }
        for (int32_t k = 0; k < E; k++) { to[k] = (float)((double)from[k] / sqrt(square)); }
    }
    return CLIPCU_OK;
}

static clipcu_status check_arguments(const clipcu_index *index, const float *queries,
                                     int32_t count, int32_t top, int32_t threads,
                                     const clipcu_hit *hits, clipcu_error *error) {
    if (index == NULL || queries == NULL || hits == NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_index_search: NULL where it is not allowed");
    }
    if (count < 1 || top < 1 || top > TOP_MAX || threads < 0 || threads > THREADS_MAX) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_index_search: %d queries, top %d, %d threads, expected at least 1, "
                        "1 .. %d, 0 .. %d",
                        (int)count, (int)top, (int)threads, TOP_MAX, THREADS_MAX);
    }
    return CLIPCU_OK;
}

/* How the rows are cut up. */
static void plan(scan *s, int32_t threads) {
    const clipcu_index *index = s->index;
    s->stride     = (index->E + CCU_LANES - 1) / CCU_LANES * CCU_LANES;
    s->row_bytes  = (size_t)index->E * ccu_dtype_bytes(index->dtype);
    s->chunk_rows = (int64_t)(CHUNK_BYTES / s->row_bytes); /* at least 16: E has a maximum */
    s->chunks     = (index->rows + s->chunk_rows - 1) / s->chunk_rows;
    s->block_rows = (int32_t)(BLOCK_BYTES / ((size_t)s->stride * sizeof(float)));
    if (s->block_rows < 1) { s->block_rows = 1; }
    s->threads = (int32_t)least(threads == 0 ? ccu_threads_online() : threads, s->chunks);
    if (s->threads < 1) { s->threads = 1; }
}

clipcu_status clipcu_index_search(const clipcu_index *index, const float *queries, int32_t count,
                                  int32_t top, int32_t threads, clipcu_hit *hits,
                                  clipcu_error *error) {
    ccu_error_clear(error);
    clipcu_status status = check_arguments(index, queries, count, top, threads, hits, error);
    if (status != CLIPCU_OK) { return status; }
    const int32_t Q = (int32_t)least(count, GROUP);
    scan          s = { .index = index, .top = top };
    plan(&s, threads);
    float *unit = ccu_alloc_zeroed((size_t)Q * (size_t)s.stride, sizeof *unit);
    if (unit == NULL || !open_workers(&s, Q)) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM,
                          "no memory to search for %d queries with %d threads", (int)Q,
                          (int)s.threads);
    }
    s.queries = unit;
    for (int32_t q = 0; q < count && status == CLIPCU_OK; q += s.Q) {
        s.Q    = (int32_t)least(count - q, GROUP);
        status = make_unit(queries + (size_t)q * (size_t)index->E, s.Q, index->E, s.stride, unit,
                           error);
        if (status == CLIPCU_OK) { status = run(&s, hits + (size_t)q * (size_t)top, error); }
    }
    free_workers(&s);
    ccu_free(unit);
    return status;
}
