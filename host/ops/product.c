/* Tiled matrix products over OpenMP threads, for linear and patch_embed; see product.h. */
#include "ops/product.h"

#include <assert.h>
#include <omp.h>
#include <string.h>

#include "base/memory.h"
#include "ops/lanes.h"

/* Rows staged at a time: two tiles of full height, so that two threads have work on one chunk. */
#define STAGE_ROWS (2 * CCU_PRODUCT_ROWS)
#define CHUNKS_STEP 4
#define COLUMNS_STEP 32

static_assert(CCU_PRODUCT_ROWS % (4 * CCU_PRODUCT_STEP) == 0, "heights are multiples of the step");
static_assert((size_t)CCU_PRODUCT_ROWS * CCU_PRODUCT_COLUMNS * 4 <= CCU_CPU_SCRATCH_BYTES,
              "one tile of results fits a thread's scratch");

static int32_t round_up(int32_t value, int32_t step) {
    return (value + step - 1) / step * step;
}

static int32_t ceil_div(int32_t a, int32_t b) {
    return (a + b - 1) / b;
}

/* Chunks of equal width (the last may be narrower), a multiple of four of them: fair shares for 2
 * and 4 threads also when there is only one tile of rows. */
static int32_t chunk_columns(int32_t N) {
    const int32_t chunks = round_up(ceil_div(N, CCU_PRODUCT_COLUMNS), CHUNKS_STEP);
    const int32_t wide   = round_up(ceil_div(N, chunks), COLUMNS_STEP);
    return wide < N ? wide : N;
}

/* Coarser for higher tiles: at most 12 % of a tile is padding or done twice, and few shapes
 * need a primitive of their own. */
int32_t ccu_product_height(int32_t rows) {
    assert(rows >= 1);
    const int32_t share = ceil_div(rows, ceil_div(rows, CCU_PRODUCT_ROWS));
    if (share <= 8 * CCU_PRODUCT_STEP) { return round_up(share, CCU_PRODUCT_STEP); }
    if (share <= 16 * CCU_PRODUCT_STEP) { return round_up(share, 2 * CCU_PRODUCT_STEP); }
    return round_up(share, 4 * CCU_PRODUCT_STEP);
}

/* Asked for when weights are packed, so that running allocates nothing. */
static size_t stage_bytes(int32_t K) {
    return (size_t)STAGE_ROWS * (size_t)K * sizeof(float);
}

/* ---- Packing ------------------------------------------------------------------------------- */

/* Packed bytes of a full chunk and of the last one; chunks start on a cache line. */
static bool chunk_bytes(ccu_cpu *cpu, int32_t N, int32_t K, ccu_dtype dtype, size_t *full,
                        size_t *last) {
    const ccu_dtype type = ccu_cpu_product_dtype(cpu, dtype);
    const int32_t   wide = chunk_columns(N);
    const int32_t   rest = N - (ceil_div(N, wide) - 1) * wide;
    if (ccu_dnnl_pack_bytes(cpu->dnnl, wide, K, type, full, &cpu->base.error) != CLIPCU_OK ||
        ccu_dnnl_pack_bytes(cpu->dnnl, rest, K, type, last, &cpu->base.error) != CLIPCU_OK) {
        return false;
    }
    *full = (*full + 63) & ~(size_t)63;
    *last = (*last + 63) & ~(size_t)63;
    return true;
}

size_t ccu_product_bytes(ccu_cpu *cpu, int32_t N, int32_t K, ccu_dtype dtype) {
    size_t full, last;
    if (!chunk_bytes(cpu, N, K, dtype, &full, &last)) { return 0; }
    return full * (size_t)(ceil_div(N, chunk_columns(N)) - 1) + last;
}

void ccu_product_pack(ccu_cpu *cpu, void *to, const float *host_w, int32_t N, int32_t K,
                      ccu_dtype dtype) {
    size_t full, last;
    if (!chunk_bytes(cpu, N, K, dtype, &full, &last)) { return; }
    if (!ccu_cpu_stage_reserve(cpu, stage_bytes(K))) { return; }
    const ccu_dtype type   = ccu_cpu_product_dtype(cpu, dtype);
    const int32_t   wide   = chunk_columns(N);
    const size_t    count  = (size_t)wide * (size_t)K;
    float          *chunk  = ccu_alloc(count * sizeof *chunk);
    uint8_t        *packed = to;
    if (chunk == NULL) {
        (void)ccu_fail(&cpu->base.error, CLIPCU_ERR_NOMEM,
                       "linear_pack: no memory for %d x %d numbers", wide, K);
        return;
    }
    for (int32_t n = 0; n < N; n += wide) {
        const int32_t rows   = n + wide <= N ? wide : N - n;
        const float  *source = host_w + (size_t)n * (size_t)K;
        for (size_t i = 0; i < (size_t)rows * (size_t)K; i++) {
            chunk[i] = dtype == CCU_BF16 ? ccu_bf16_to_f32(ccu_bf16_from_f32(source[i]))
                                         : source[i];
        }
        if (ccu_dnnl_pack(cpu->dnnl, packed, chunk, rows, K, type, &cpu->base.error) !=
            CLIPCU_OK) {
            break;
        }
        packed += full;
    }
    ccu_free(chunk);
}

/* ---- One tile's results -------------------------------------------------------------------- */

/* A tile's results on their way out: rows m .. m + rows - 1, columns n .. n + columns - 1. */
typedef struct tile {
    const float *c; /* (., columns) */
    int32_t      m, rows;
    int32_t      n, columns;
} tile;

static inline ccu_lanes activate(ccu_lanes v, ccu_act act) {
    switch (act) {
    case CCU_ACT_NONE: return v;
    case CCU_ACT_QUICK_GELU: return ccu_lanes_quick_gelu(v);
    case CCU_ACT_GELU: return ccu_lanes_gelu(v);
    }
    return v;
}

/* act and dtype are constants where this is expanded. */
static inline __attribute__((always_inline)) void finish_as(const ccu_product *op, const tile *t,
                                                            ccu_act act, ccu_dtype dtype) {
    for (int32_t i = 0; i < t->rows; i++) {
        const int32_t m         = t->m + i;
        const float  *c         = t->c + (size_t)i * (size_t)t->columns;
        const float  *positions = NULL;
        size_t        row       = (size_t)m;
        if (op->group > 0) {
            row += (size_t)(m / op->group) + 1;
            positions = op->positions + (size_t)(m % op->group + 1) * (size_t)op->N;
        }
        for (int32_t j = 0; j < t->columns; j += CCU_LANES) {
            const int32_t left = t->columns - j;
            const size_t  n    = (size_t)(t->n + j);
            const size_t  at   = row * op->y_stride + n;
            ccu_lanes     v    = ccu_lanes_read(c, (size_t)j, left, CCU_F32);
            if (op->b != NULL) { v += ccu_lanes_read(op->b, n, left, CCU_F32); }
            v = activate(v, act);
            if (positions != NULL) { v += ccu_lanes_read(positions, n, left, CCU_F32); }
            if (op->r != NULL) { v += ccu_lanes_read(op->r, at, left, dtype); }
            ccu_lanes_write(op->y, at, v, left, dtype);
        }
    }
}

static void finish_f32(const ccu_product *op, const tile *t) {
    switch (op->act) {
    case CCU_ACT_NONE: finish_as(op, t, CCU_ACT_NONE, CCU_F32); break;
    case CCU_ACT_QUICK_GELU: finish_as(op, t, CCU_ACT_QUICK_GELU, CCU_F32); break;
    case CCU_ACT_GELU: finish_as(op, t, CCU_ACT_GELU, CCU_F32); break;
    }
}

static void finish_bf16(const ccu_product *op, const tile *t) {
    switch (op->act) {
    case CCU_ACT_NONE: finish_as(op, t, CCU_ACT_NONE, CCU_BF16); break;
    case CCU_ACT_QUICK_GELU: finish_as(op, t, CCU_ACT_QUICK_GELU, CCU_BF16); break;
    case CCU_ACT_GELU: finish_as(op, t, CCU_ACT_GELU, CCU_BF16); break;
    }
}

/* ---- Running ------------------------------------------------------------------------------- */

/* One run of rows that is in memory: all of x, or a stage. */
typedef struct block {
    const uint8_t *x;
    size_t         x_stride; /* elements */
    int32_t        m, rows;  /* which of M; rows may be fewer than lie in memory */
    int32_t        memory_rows;
    int32_t        height, tiles;
    int32_t        wide, chunks;
    size_t         chunk_bytes;
    ccu_dtype      type;
    ccu_dnnl_product *full, *last;
} block;

/* Rows of x for a stage: x has fewer rows than the lowest tile. */
typedef struct rows_of_x {
    const uint8_t *x;
    size_t         stride_bytes, row_bytes;
} rows_of_x;

static void copy_row(const void *context, int32_t row, void *to) {
    const rows_of_x *from = context;
    memcpy(to, from->x + (size_t)row * from->stride_bytes, from->row_bytes);
}

/* The two products of a block: full chunks and the last one. */
static bool block_products(ccu_cpu *cpu, const ccu_product *op, block *blk) {
    ccu_dnnl_shape shape = { .M        = blk->height,
                             .N        = blk->wide,
                             .K        = op->K,
                             .a_stride = (int32_t)blk->x_stride,
                             .b_stride = 0,
                             .dtype    = blk->type };
    if (ccu_dnnl_product_get(cpu->dnnl, &shape, &blk->full, &cpu->base.error) != CLIPCU_OK) {
        return false;
    }
    blk->chunk_bytes = (ccu_dnnl_product_b_bytes(blk->full) + 63) & ~(size_t)63;
    shape.N          = op->N - (blk->chunks - 1) * blk->wide;
    return ccu_dnnl_product_get(cpu->dnnl, &shape, &blk->last, &cpu->base.error) == CLIPCU_OK;
}

/* Tile (chunk, row tile) number `task`. The last row tile is moved up to end with the rows in
 * memory; rows it shares with the tile before are computed twice and written once. */
static bool run_task(ccu_cpu *cpu, const ccu_product *op, const block *blk, int32_t task) {
    const int32_t chunk  = task / blk->tiles;
    const int32_t first  = task % blk->tiles * blk->height;
    const int32_t at     = first + blk->height <= blk->memory_rows ? first
                                                                   : blk->memory_rows - blk->height;
    const int32_t end    = at + blk->height < blk->rows ? at + blk->height : blk->rows;
    const int32_t thread = omp_get_thread_num();
    const size_t  bytes  = ccu_dtype_bytes(blk->type);
    const bool    tail   = chunk == blk->chunks - 1;
    float        *c      = ccu_cpu_scratch(cpu, thread);
    const int32_t columns = tail ? op->N - chunk * blk->wide : blk->wide;

    assert(at >= 0 && at <= first);
    if (!ccu_dnnl_run(cpu->dnnl, tail ? blk->last : blk->full, thread,
                      blk->x + (size_t)at * blk->x_stride * bytes,
                      (const uint8_t *)op->w + (size_t)chunk * blk->chunk_bytes, c)) {
        return false;
    }
    const tile out = { .c       = c + (size_t)(first - at) * (size_t)columns,
                       .m       = blk->m + first,
                       .rows    = end - first,
                       .n       = chunk * blk->wide,
                       .columns = columns };
    if (op->dtype == CCU_F32) {
        finish_f32(op, &out);
    } else {
        finish_bf16(op, &out);
    }
    return true;
}

/* Fills the stage (rows beyond blk->rows with zeros) if there is one, then runs every tile. */
static void run_block(ccu_cpu *cpu, const ccu_product *op, const block *blk, uint8_t *stage,
                      ccu_product_fill fill, const void *context) {
    const int32_t staged    = stage == NULL ? 0 : blk->memory_rows;
    const size_t  row_bytes = (size_t)op->K * ccu_dtype_bytes(blk->type);
    const int32_t tasks     = blk->tiles * blk->chunks;
    int32_t       failures  = 0;
#pragma omp parallel num_threads(cpu->threads) reduction(+ : failures)
    {
        omp_set_num_threads(1); /* this region's own setting: oneDNN stays on its thread */
#pragma omp for schedule(static)
        for (int32_t i = 0; i < staged; i++) {
            uint8_t *to = stage + (size_t)i * row_bytes;
            if (i < blk->rows) {
                fill(context, blk->m + i, to);
            } else {
                memset(to, 0, row_bytes);
            }
        }
#pragma omp for schedule(dynamic, 1)
        for (int32_t task = 0; task < tasks; task++) {
            failures += run_task(cpu, op, blk, task) ? 0 : 1;
        }
    }
    if (failures > 0) {
        (void)ccu_fail(&cpu->base.error, CLIPCU_ERR_BACKEND,
                       "oneDNN: a product of %d x %d by %d failed", op->M, op->K, op->N);
    }
}

void ccu_product_run(ccu_cpu *cpu, const ccu_product *op) {
    assert(op->y != NULL && op->w != NULL);
    assert(op->fill != NULL || op->x != NULL);
    const ccu_dtype type   = ccu_cpu_product_dtype(cpu, op->dtype);
    const size_t    bytes  = ccu_dtype_bytes(type);
    const bool      staged = op->fill != NULL || op->M < ccu_product_height(op->M);
    const int32_t   step   = staged ? STAGE_ROWS : op->M;
    const rows_of_x x      = { op->x, op->x_stride * bytes, (size_t)op->K * bytes };
    if (staged && !ccu_cpu_stage_reserve(cpu, stage_bytes(op->K))) { return; }

    for (int32_t m = 0; m < op->M; m += step) {
        block blk       = { .x = op->x, .x_stride = op->x_stride, .m = m, .type = type };
        blk.rows        = m + step <= op->M ? step : op->M - m;
        blk.height      = ccu_product_height(blk.rows);
        blk.tiles       = ceil_div(blk.rows, blk.height);
        blk.memory_rows = blk.rows;
        blk.wide        = chunk_columns(op->N);
        blk.chunks      = ceil_div(op->N, blk.wide);
        if (staged) {
            blk.x           = cpu->stage;
            blk.x_stride    = (size_t)op->K;
            blk.memory_rows = blk.tiles * blk.height;
        }
        if (!block_products(cpu, op, &blk)) { return; }
        if (op->fill != NULL) {
            run_block(cpu, op, &blk, cpu->stage, op->fill, op->fill_context);
        } else {
            run_block(cpu, op, &blk, staged ? cpu->stage : NULL, copy_row, &x);
        }
    }
}
