/* Products by oneDNN, one tile of rows by one chunk of packed weights at a time; see product.h.
 *
 * Chunks depend on N alone and tile heights are multiples of HEIGHT_STEP: within those limits a
 * row has the same bits whatever the height and its place in the tile. Without them it has not:
 * oneDNN 2.6.3's AVX2 kernel works on 6 rows at a time and adds up one or two left-over rows in
 * another order. The last tile is therefore moved up to end with the rows in memory; what it shares
 * with the tile before is computed twice and written once. */
#include <assert.h>
#include <omp.h>

#include "base/memory.h"
#include "ops/product.h"

#define HEIGHT_STEP 6
#define HEIGHT_MAX 192
#define COLUMNS_MAX 256
#define COLUMNS_STEP 32
#define CHUNKS_STEP 4

static_assert(HEIGHT_MAX % (4 * HEIGHT_STEP) == 0, "heights are multiples of the step");
static_assert((size_t)HEIGHT_MAX * COLUMNS_MAX * sizeof(float) <= CCU_CPU_SCRATCH_BYTES,
              "one tile of results fits a thread's scratch");

/* Chunks of equal width (the last may be narrower), a multiple of four of them: fair shares for 2
 * and 4 threads also when there is only one tile of rows. */
static int32_t chunk_columns(int32_t N) {
    const int32_t chunks = ccu_round_up(ccu_ceil_div(N, COLUMNS_MAX), CHUNKS_STEP);
    const int32_t wide   = ccu_round_up(ccu_ceil_div(N, chunks), COLUMNS_STEP);
    return wide < N ? wide : N;
}

/* Coarser for higher tiles: at most 12 % of a tile is padding or done twice, and few shapes
 * need a primitive of their own. */
int32_t ccu_tiles_height(int32_t rows) {
    assert(rows >= 1);
    const int32_t share = ccu_ceil_div(rows, ccu_ceil_div(rows, HEIGHT_MAX));
    if (share <= 8 * HEIGHT_STEP) { return ccu_round_up(share, HEIGHT_STEP); }
    if (share <= 16 * HEIGHT_STEP) { return ccu_round_up(share, 2 * HEIGHT_STEP); }
    return ccu_round_up(share, 4 * HEIGHT_STEP);
}

int32_t ccu_tiles_memory_rows(int32_t rows) {
    const int32_t height = ccu_tiles_height(rows);
    return ccu_ceil_div(rows, height) * height;
}

/* ---- Packing ------------------------------------------------------------------------------- */

/* Packed bytes of a full chunk and of the last one; chunks start on a cache line. */
static bool chunk_bytes(ccu_cpu *cpu, int32_t N, int32_t K, ccu_dtype dtype, size_t *full,
                        size_t *last) {
    const ccu_dtype type = ccu_cpu_product_dtype(cpu, dtype);
    const int32_t   wide = chunk_columns(N);
    const int32_t   rest = N - (ccu_ceil_div(N, wide) - 1) * wide;
    if (ccu_dnnl_pack_bytes(cpu->dnnl, wide, K, type, full, &cpu->base.error) != CLIPCU_OK ||
        ccu_dnnl_pack_bytes(cpu->dnnl, rest, K, type, last, &cpu->base.error) != CLIPCU_OK) {
        return false;
    }
    *full = (*full + 63) & ~(size_t)63;
    *last = (*last + 63) & ~(size_t)63;
    return true;
}

size_t ccu_tiles_bytes(ccu_cpu *cpu, int32_t N, int32_t K, ccu_dtype dtype) {
    size_t full, last;
    if (!chunk_bytes(cpu, N, K, dtype, &full, &last)) { return 0; }
    return full * (size_t)(ccu_ceil_div(N, chunk_columns(N)) - 1) + last;
}

void ccu_tiles_pack(ccu_cpu *cpu, void *to, const float *host_w, int32_t N, int32_t K,
                    ccu_dtype dtype) {
    size_t full, last;
    if (!chunk_bytes(cpu, N, K, dtype, &full, &last)) { return; }
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

/* ---- Running ------------------------------------------------------------------------------- */

bool ccu_tiles_plan(ccu_cpu *cpu, ccu_product_block *block) {
    const ccu_product *op = block->op;
    block->height         = ccu_tiles_height(block->rows);
    block->row_tiles      = ccu_ceil_div(block->rows, block->height);
    block->columns        = chunk_columns(op->N);
    block->row_tasks      = ccu_ceil_div(op->N, block->columns);
    block->tasks          = block->row_tiles * block->row_tasks;
    assert(block->memory_rows >= block->height);

    ccu_dnnl_shape shape = { .M        = block->height,
                             .N        = block->columns,
                             .K        = op->K,
                             .a_stride = (int32_t)block->x_stride,
                             .b_stride = 0,
                             .dtype    = ccu_cpu_product_dtype(cpu, op->dtype) };
    if (ccu_dnnl_product_get(cpu->dnnl, &shape, &block->full, &cpu->base.error) != CLIPCU_OK) {
        return false;
    }
    block->task_bytes = (ccu_dnnl_product_b_bytes(block->full) + 63) & ~(size_t)63;
    shape.N           = op->N - (block->row_tasks - 1) * block->columns;
    return ccu_dnnl_product_get(cpu->dnnl, &shape, &block->last, &cpu->base.error) == CLIPCU_OK;
}

/* All row tiles of one chunk of weights, then the next chunk. */
bool ccu_tiles_run(ccu_cpu *cpu, const ccu_product_block *block, int32_t task) {
    const ccu_product *op      = block->op;
    const int32_t      chunk   = task / block->row_tiles;
    const int32_t      first   = task % block->row_tiles * block->height;
    const bool         fits    = first + block->height <= block->memory_rows;
    const int32_t      at      = fits ? first : block->memory_rows - block->height;
    const int32_t      stop    = at + block->height;
    const int32_t      end     = stop < block->rows ? stop : block->rows;
    const int32_t      thread  = omp_get_thread_num();
    const size_t       bytes   = ccu_dtype_bytes(ccu_cpu_product_dtype(cpu, op->dtype));
    const bool         tail    = chunk == block->row_tasks - 1;
    const int32_t      columns = tail ? op->N - chunk * block->columns : block->columns;
    float             *c       = ccu_cpu_scratch(cpu, thread);

    assert(at >= 0 && at <= first);
    if (!ccu_dnnl_run(cpu->dnnl, tail ? block->last : block->full, thread,
                      block->x + (size_t)at * block->x_stride * bytes,
                      (const uint8_t *)op->w + (size_t)chunk * block->task_bytes, c)) {
        return false;
    }
    const ccu_product_result result = { .c        = c + (size_t)(first - at) * (size_t)columns,
                                        .c_stride = (size_t)columns,
                                        .m        = block->m + first,
                                        .rows     = end - first,
                                        .n        = chunk * block->columns,
                                        .columns  = columns };
    ccu_product_finish(op, &result);
    return true;
}
