/* linear on Hopper: y = act(x . w^T + b) + r in f16 and bf16 by TMA and wgmma; see linear_ways.h.
 *
 * One block per multiprocessor takes tiles of y, 128 x 256 or 128 x 128, until none is left.
 * Warpgroup 0 only loads: one thread keeps a ring of stages full by TMA, each 128 rows of x and 256
 * of w, 64 k deep. Warpgroups 1 and 2 multiply 64 rows of the tile each: 64 x 256 f32 accumulators
 * are 128 registers a thread. Each output is one chain of k16 steps in order, whatever the tile, so
 * a row's bits do not depend on M.
 *
 *   full[s]   1 arrival and the bytes of a stage; loader -> multipliers
 *   empty[s]  8 arrivals, one per warp when wgmma has read the stage; multipliers -> loader
 *   start     warpgroup 2 starts a ring behind warpgroup 1 and, as both share the tensor cores,
 *             stays behind: the epilogue of one runs beside the products of the other
 *   epilogue  per warp, 16 rows x 64 columns at a time through one of two chunks of shared memory.
 *             The residual comes in by cp.async (the first two chunks during the products), each
 *             lane adds its pairs to it in place, rows leave in pieces of 16 bytes, 128 bytes
 *             together. Only the warp's own lanes meet there: no barrier. The pieces of a row are
 *             swizzled by row, so none of the three accesses has a bank conflict.
 *
 * Bound by products, 2 M N K FLOP against 2 (M K + N K + M N, twice with r) bytes: 512 and more a
 * byte for the wide layers of C = 768; 256 for 768 x 768 with a residual, where memory is as near.
 * In the 1024 cycles of a stage's products a multiprocessor takes 48 KiB from L2, and shared memory
 * moves 80 KiB to wgmma and 48 KiB from TMA, close to its 128 bytes a cycle. QuickGELU's special
 * functions, two an element, are 2048 cycles per warpgroup and tile of 256 columns, where K = 768
 * multiplies for 12288: what the late start is there to hide.
 *
 * 40 registers a thread for the loader and 232 for the multipliers; no spills. Not yet run on
 * hardware. */
#include <assert.h>

#include "act.h"
#include "linear_ways.h"
#include "simt_hopper.h"

static constexpr int MULTIPLIERS = 2; /* warpgroups */
static constexpr int THREADS     = 128 * (1 + MULTIPLIERS);
static constexpr int BLOCK_M     = 64 * MULTIPLIERS;
static constexpr int BLOCK_K     = 64; /* 128 bytes: a line of the swizzle */
static constexpr int LINE_BYTES  = BLOCK_K * 2;
static constexpr int CHUNK_N     = 64; /* columns of y staged at a time */
static constexpr int CHUNK_BYTES = 16 * CHUNK_N * 2;
static constexpr int LOADER_REGISTERS     = 40;
static constexpr int MULTIPLIER_REGISTERS = 232;

static_assert(128 * (LOADER_REGISTERS + MULTIPLIERS * MULTIPLIER_REGISTERS) <= 65536,
              "the register file");
static_assert(CHUNK_N * 2 == LINE_BYTES, "a staged row is a line");

/* Shared memory: stages (x then w), the warps' two chunks each, barriers. */
template <int BLOCK_N> struct tile {
    static constexpr int X_BYTES     = BLOCK_M * LINE_BYTES;
    static constexpr int W_BYTES     = BLOCK_N * LINE_BYTES;
    static constexpr int STAGE_BYTES = X_BYTES + W_BYTES;
    static constexpr int STAGES      = 192 * 1024 / STAGE_BYTES;
    static constexpr int CHUNKS      = BLOCK_N / CHUNK_N;
    static constexpr int STAGING_AT  = STAGES * STAGE_BYTES;
    static constexpr int BARRIERS_AT = STAGING_AT + MULTIPLIERS * 4 * 2 * CHUNK_BYTES;
    static constexpr int BYTES       = BARRIERS_AT + 2 * STAGES * 8;
    static_assert(STAGE_BYTES % 1024 == 0 && X_BYTES % 1024 == 0, "the swizzle's period");
    static_assert(STAGES >= 3 && BYTES <= 227 * 1024, "what a block may have");
};

typedef struct wgmma_linear {
    void        *y;
    const float *b;
    const void  *r;
    int32_t      M, N, K;
    int32_t      y_stride;
    int32_t      m_tiles, n_tiles;
    int32_t      band; /* columns of tiles that are walked together */
    ccu_act      act;
} wgmma_linear;

typedef struct place {
    int32_t row, column; /* of y */
} place;

/* Tiles are walked along N within a band of columns, then down M: the blocks at work at one time
 * share few rows of x, and a band of w stays in L2 while x passes once. */
__device__ __forceinline__ place tile_place(const wgmma_linear &op, int32_t index,
                                            int32_t block_n) {
    const int32_t whole = op.band * op.m_tiles;
    const int32_t first = index / whole * op.band;
    const int32_t width = min(op.band, op.n_tiles - first);
    const int32_t rest  = index % whole;
    return place{rest / width * BLOCK_M, (first + rest % width) * block_n};
}

/* Where a warpgroup is in the ring: the phase's parity flips each time round. */
typedef struct ring_at {
    int      stage;
    uint32_t parity;
} ring_at;

template <int STAGES> __device__ __forceinline__ void ring_next(ring_at &at) {
    at.stage++;
    if (at.stage == STAGES) {
        at.stage = 0;
        at.parity ^= 1;
    }
}

/* ---- Epilogue -------------------------------------------------------------------------------- */

/* Bytes from a chunk's start to the 16-byte piece of a row. */
__device__ __forceinline__ int piece_at(int row, int piece) {
    return row * LINE_BYTES + ((piece ^ (row & 7)) << 4);
}

/* The residual's 16 rows from `row` and 64 columns from `column` to a chunk; a group of its own. */
template <class T>
__device__ __forceinline__ void fetch_residual(const wgmma_linear &op, unsigned char *chunk,
                                               int row, int column) {
    const int lane = threadIdx.x % WARP, piece = lane % 8;
    const T  *r    = reinterpret_cast<const T *>(op.r);
    UNROLL for (int i = 0; i < 4; i++) {
        const int    at   = 4 * i + lane / 8;
        const bool   real = row + at < op.M && column + 8 * piece < op.N;
        const size_t from = (size_t)(row + at) * op.y_stride + column + 8 * piece;
        cp_async16(smem_addr(chunk + piece_at(at, piece)), r + (real ? from : 0), real);
    }
    cp_async_commit();
}

/* The biases of this lane's pairs in the 64 columns from `column`. */
__device__ __forceinline__ void fetch_bias(const wgmma_linear &op, float2 (&bias)[8], int column) {
    const int     lane  = threadIdx.x % WARP;
    const int32_t count = op.b == NULL ? 0 : op.N - column;
    const float  *b     = op.b == NULL ? NULL : op.b + column + 2 * (lane % 4);
    UNROLL for (int j = 0; j < 8; j++) {
        const bool real = 8 * j < count;
        bias[j] = real ? __ldg(reinterpret_cast<const float2 *>(b + 8 * j)) : make_float2(0, 0);
    }
}

/* Accumulators of chunk `c` to what y gets, in the chunk. */
template <class T, int COUNT>
__device__ __forceinline__ void finish_chunk(const wgmma_linear &op, const float (&d)[COUNT],
                                             const float2 (&bias)[8], int c,
                                             unsigned char *chunk) {
    const int lane = threadIdx.x % WARP;
    float     v[32];
    UNROLL for (int i = 0; i < 32; i++) {
        v[i] = d[32 * c + i] + (i % 2 == 0 ? bias[i / 4].x : bias[i / 4].y);
    }
    act_apply<T>(v, op.act);
    UNROLL for (int j = 0; j < 8; j++) {
        UNROLL for (int half = 0; half < 2; half++) {
            const int at   = piece_at(lane / 4 + 8 * half, j) + 4 * (lane % 4);
            uint32_t *pair = reinterpret_cast<uint32_t *>(chunk + at);
            float2    sum  = make_float2(v[4 * j + 2 * half], v[4 * j + 2 * half + 1]);
            if (op.r != NULL) {
                const float2 r = unpack2<T>(*pair);
                sum            = make_float2(sum.x + r.x, sum.y + r.y);
            }
            *pair = pack2<T>(sum.x, sum.y);
        }
    }
}

template <class T>
__device__ __forceinline__ void store_chunk(const wgmma_linear &op, const unsigned char *chunk,
                                            int row, int column) {
    const int    lane = threadIdx.x % WARP, piece = lane % 8, first = lane / 8;
    const size_t at   = (size_t)(row + first) * op.y_stride + column + 8 * piece;
    T           *y    = reinterpret_cast<T *>(op.y) + at;
    const int    rows = column + 8 * piece < op.N ? op.M - row - first : 0;
    UNROLL for (int i = 0; i < 4; i++) {
        if (4 * i < rows) {
            *reinterpret_cast<uint4 *>(y + (size_t)(4 * i) * op.y_stride) =
                *reinterpret_cast<const uint4 *>(chunk + piece_at(4 * i + first, piece));
        }
    }
}

/* The warp's 16 rows from `row` and BLOCK_N columns from `column`. The first two chunks of the
 * residual and the first of the bias are on their way. */
template <class T, int BLOCK_N>
__device__ __forceinline__ void finish_tile(const wgmma_linear &op, float (&d)[BLOCK_N / 2],
                                            float2 (&bias)[8], unsigned char *staging, int row,
                                            int column) {
    constexpr int CHUNKS = tile<BLOCK_N>::CHUNKS;
    UNROLL for (int c = 0; c < CHUNKS; c++) {
        unsigned char *chunk   = staging + c % 2 * CHUNK_BYTES;
        float2         next[8] = {};
        if (c + 1 < CHUNKS) { fetch_bias(op, next, column + (c + 1) * CHUNK_N); }
        if (op.r != NULL) {
            if (c + 1 < CHUNKS) {
                cp_async_wait<1>();
            } else {
                cp_async_wait<0>();
            }
            __syncwarp(); /* every lane's copies are seen by all */
        }
        finish_chunk<T>(op, d, bias, c, chunk);
        __syncwarp();
        store_chunk<T>(op, chunk, row, column + c * CHUNK_N);
        /* No barrier: a lane fetches to where it stored from, and what the others write here they
         * write after the next chunk's barrier. */
        if (op.r != NULL && c + 2 < CHUNKS) {
            fetch_residual<T>(op, chunk, row, column + (c + 2) * CHUNK_N);
        }
        UNROLL for (int j = 0; j < 8; j++) { bias[j] = next[j]; }
    }
}

/* ---- The two roles --------------------------------------------------------------------------- */

typedef struct block_shared {
    unsigned char *memory;
    smem_t         stages, full, empty;
} block_shared;

/* One thread. */
template <int BLOCK_N>
__device__ __forceinline__ void load_tiles(const TensorMap *map_x, const TensorMap *map_w,
                                           const wgmma_linear &op, const block_shared &shared) {
    typedef tile<BLOCK_N> shape;
    ring_at at = {0, 1}; /* parity 1: every stage is empty at first */
    for (int32_t t = (int32_t)blockIdx.x; t < op.m_tiles * op.n_tiles; t += (int32_t)gridDim.x) {
        const place corner = tile_place(op, t, BLOCK_N);
        for (int32_t k = 0; k < op.K; k += BLOCK_K) {
            const smem_t stage = shared.stages + (uint32_t)(at.stage * shape::STAGE_BYTES);
            const smem_t full  = shared.full + 8u * (uint32_t)at.stage;
            mbar_wait(shared.empty + 8u * (uint32_t)at.stage, at.parity);
            mbar_arrive_expect_tx(full, shape::STAGE_BYTES);
            tma_load_2d(stage, map_x, k, corner.row, full);
            tma_load_2d(stage + shape::X_BYTES, map_w, k, corner.column, full);
            ring_next<shape::STAGES>(at);
        }
    }
}

/* d = this warpgroup's 64 rows of the tile. The loader gets all stages of the tile back. */
template <class T, int BLOCK_N>
__device__ __forceinline__ void multiply_tile(float (&d)[BLOCK_N / 2], ring_at &at, int32_t K,
                                              int group, const block_shared &shared) {
    typedef tile<BLOCK_N> shape;
    const bool speaks = threadIdx.x % WARP == 0; /* for its warp */
    smem_t     before = 0;                       /* empty[] of the stage before this one */
    for (int32_t k = 0; k < K; k += BLOCK_K) {
        const smem_t   stage = shared.stages + (uint32_t)(at.stage * shape::STAGE_BYTES);
        const uint64_t x = wgmma_desc_k_major(stage + (uint32_t)(group * 64 * LINE_BYTES));
        const uint64_t w = wgmma_desc_k_major(stage + shape::X_BYTES);
        mbar_wait(shared.full + 8u * (uint32_t)at.stage, at.parity);
        wgmma_fence();
        UNROLL for (int step = 0; step < BLOCK_K / 16; step++) {
            wgmma_ss<T, BLOCK_N, false>(d, x + step * WGMMA_NEXT_K, w + step * WGMMA_NEXT_K,
                                        k > 0 || step > 0);
        }
        wgmma_commit();
        wgmma_wait<1>(); /* the stage before has been read; this one's products go on */
        if (speaks && k > 0) { mbar_arrive(before); }
        before = shared.empty + 8u * (uint32_t)at.stage;
        ring_next<shape::STAGES>(at);
    }
    wgmma_wait<0>();
    wgmma_hold(d);
    if (speaks) { mbar_arrive(before); }
}

/* group: 0 or 1 */
template <class T, int BLOCK_N>
__device__ __forceinline__ void multiply_tiles(const wgmma_linear &op, const block_shared &shared,
                                               int group) {
    typedef tile<BLOCK_N> shape;
    const int      warp    = (int)(threadIdx.x / WARP) % 4;
    unsigned char *staging = shared.memory + shape::STAGING_AT +
                             (group * 4 + warp) * 2 * CHUNK_BYTES;
    ring_at        at      = {0, 0};
    /* The late start, as late as the ring allows. The stage waited for is of the first tile: it
     * does get filled. */
    if (group == 1 && op.K > (shape::STAGES - 1) * BLOCK_K) {
        mbar_wait(shared.full + 8u * (shape::STAGES - 1), 0);
    }
    for (int32_t t = (int32_t)blockIdx.x; t < op.m_tiles * op.n_tiles; t += (int32_t)gridDim.x) {
        const place corner = tile_place(op, t, BLOCK_N);
        const int   row    = corner.row + group * 64 + warp * 16;
        float       d[BLOCK_N / 2];
        float2      bias[8];
        fetch_bias(op, bias, corner.column);
        if (op.r != NULL) {
            fetch_residual<T>(op, staging, row, corner.column);
            fetch_residual<T>(op, staging + CHUNK_BYTES, row, corner.column + CHUNK_N);
        }
        multiply_tile<T, BLOCK_N>(d, at, op.K, group, shared);
        finish_tile<T, BLOCK_N>(op, d, bias, staging, row, corner.column);
    }
}

template <class T, int BLOCK_N>
__global__ void __launch_bounds__(THREADS, 1)
    linear_wgmma_kernel(const __grid_constant__ TensorMap map_x,
                        const __grid_constant__ TensorMap map_w, const wgmma_linear op) {
    typedef tile<BLOCK_N> shape;
    SIMT_DYN_SHARED(unsigned char, memory);
    const int          warpgroup = (int)(threadIdx.x / WARPGROUP);
    const smem_t       base      = smem_addr(memory);
    const smem_t       barriers  = base + shape::BARRIERS_AT;
    const block_shared shared    = {memory, base, barriers, barriers + 8 * shape::STAGES};
    if (threadIdx.x == 0) {
        tma_prefetch(&map_x);
        tma_prefetch(&map_w);
        for (uint32_t s = 0; s < shape::STAGES; s++) {
            mbar_init(shared.full + 8 * s, 1);
            mbar_init(shared.empty + 8 * s, 4 * MULTIPLIERS);
        }
        fence_mbar_init();
    }
    __syncthreads(); /* the block's only barrier */
    if (warpgroup == 0) {
        register_give<LOADER_REGISTERS>();
        if (threadIdx.x == 0) { load_tiles<BLOCK_N>(&map_x, &map_w, op, shared); }
    } else {
        register_take<MULTIPLIER_REGISTERS>();
        multiply_tiles<T, BLOCK_N>(op, shared, warpgroup - 1);
    }
}

/* ---- Host ------------------------------------------------------------------------------------ */

static bool aligned(const void *pointer, size_t bytes) {
    return (uintptr_t)pointer % bytes == 0;
}

bool ccu_cuda_linear_wgmma_can(const ccu_cuda *cuda, const ccu_linear *op) {
    return cuda->facts.capability == 90 && op->dtype != CCU_F32 && op->N % 8 == 0 &&
           ccu_linear_x_stride(op) % 8 == 0 && ccu_linear_y_stride(op) % 8 == 0 &&
           aligned(op->x, 16) && aligned(op->w, 16) && aligned(op->y, 16) && aligned(op->r, 16) &&
           aligned(op->b, 8) && cuda->facts.shared_bytes_max >= (size_t)tile<256>::BYTES;
}

/* 256 columns take a quarter less from L2 per product than 128; 128 is for an N that 256 would pad
 * by more than an eighth (128, 640). Not by M, though the bits would be the same. */
static bool wide_tile(int32_t N) {
    const int32_t padded = (N + 255) / 256 * 256;
    return N > 128 && (padded - N) * 8 <= padded;
}

template <class T, int BLOCK_N>
static int launch_tiles(ccu_cuda *cuda, const ccu_linear *op) {
    TensorMap    map_x, map_w;
    const size_t w_row_bytes = (size_t)ccu_cuda_weight_stride(op->K, op->dtype) * 2;
    int          code        = ccu_device_tensor_map(
        cuda->device, &map_x, op->x, 2, (uint64_t)op->K, (uint64_t)op->M,
        (uint64_t)ccu_linear_x_stride(op) * 2, BLOCK_K, BLOCK_M, LINE_BYTES);
    if (code != 0) { return code; }
    code = ccu_device_tensor_map(cuda->device, &map_w, op->w, 2, (uint64_t)op->K, (uint64_t)op->N,
                                 w_row_bytes, BLOCK_K, BLOCK_N, LINE_BYTES);
    if (code != 0) { return code; }

    const int32_t m_tiles = (op->M + BLOCK_M - 1) / BLOCK_M;
    const int32_t n_tiles = (op->N + BLOCK_N - 1) / BLOCK_N;
    const int32_t blocks  = min(m_tiles * n_tiles, cuda->facts.multiprocessors);
    /* Bands of equal width whose weights take at most half of L2. */
    const size_t  fit   = cuda->facts.l2_bytes / 2 / (BLOCK_N * w_row_bytes);
    const int32_t most  = max(1, (int32_t)(fit < (size_t)n_tiles ? fit : (size_t)n_tiles));
    const int32_t bands = (n_tiles + most - 1) / most;
    const wgmma_linear args = {op->y, op->b, op->r, op->M, op->N, op->K, ccu_linear_y_stride(op),
                               m_tiles, n_tiles, (n_tiles + bands - 1) / bands, op->act};
    return simt_launch(
        "linear_wgmma", linear_wgmma_kernel<T, BLOCK_N>,
        ccu_cuda_grid(cuda, dim3((unsigned)blocks), THREADS, tile<BLOCK_N>::BYTES), map_x, map_w,
        args);
}

int ccu_cuda_linear_wgmma(ccu_cuda *cuda, const ccu_linear *op) {
    assert(ccu_cuda_linear_wgmma_can(cuda, op));
    assert(op->M > 0);
    assert(op->K > 0);
    const bool wide = wide_tile(op->N);
    if (op->dtype == CCU_BF16) {
        return wide ? launch_tiles<ccu_bf16, 256>(cuda, op) : launch_tiles<ccu_bf16, 128>(cuda, op);
    }
    return wide ? launch_tiles<ccu_f16, 256>(cuda, op) : launch_tiles<ccu_f16, 128>(cuda, op);
}
