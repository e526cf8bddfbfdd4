/* y = act(x . w^T + b) + r for f16 and bf16 on mma.sync: sm_80 and later.
 *
 * Contract: ccu_linear of ops.h, K and the stride of x multiples of 8, x and w 16-byte aligned
 * (packed weights are). M, N and the stride of y are anything.
 *
 * One block of four warps makes a tile of y, 128x128 or 64x64, two by two warps. Three stages of 32
 * columns of K travel through shared memory by cp.async; ldmatrix feeds mma 16x8x16, the fragments
 * of the next 16 columns are loaded before the current ones are multiplied. Each output is one
 * chain of k16 steps in order, whatever the tile: the tile may be chosen by M and no bit changes.
 *
 * The end of a tile goes through shared memory, 16 rows per warp at a time, so that one lane holds
 * 8 neighbouring columns: bias, activation and residual in f32, one rounding, one 16-byte store.
 *
 * Bound by: arithmetic for many rows, the weights' bandwidth for few. Per k16 step, a block of the
 * large tile reads 16 KiB of fragments and writes 8 KiB of copies to shared memory for 128 mma: at
 * 128 bytes a cycle and 1024 multiply-adds (sm_80) 192 of 256 cycles, so that shared memory is not
 * the limit; eight warps of 64 by 32 would take all of them. Not yet run on hardware. */
#include <assert.h>

#include "act.h"
#include "linear_mma.h"

static constexpr int WARPS      = 4;
static constexpr int THREADS    = WARPS * 32;
static constexpr int STAGES     = 3;
static constexpr int DEPTH      = 32; /* columns of K in a stage */
static constexpr int ROW_BYTES  = DEPTH * 2;
static constexpr int RASTER     = 8;  /* row tiles that share a run of column tiles */

/* Shared memory of a block: the stages, later the same bytes for the end of the tile. */
template <int ROWS, int COLS> struct mma_layout {
    static constexpr int WARP_ROWS   = ROWS / 2;
    static constexpr int WARP_COLS   = COLS / 2;
    static constexpr int X_BYTES     = ROWS * ROW_BYTES;
    static constexpr int STAGE_BYTES = (ROWS + COLS) * ROW_BYTES; /* x, then w */
    static constexpr int SUMS_BYTES  = 16 * WARP_COLS * 4;        /* f32, per warp */
    static constexpr int R_BYTES     = WARP_ROWS * WARP_COLS * 2; /* residual, per warp */
    static constexpr int BYTES       = STAGES * STAGE_BYTES;
    static_assert(WARPS * (SUMS_BYTES + R_BYTES) <= BYTES, "the end fits into the stages");
    static_assert(BYTES <= 48 * 1024, "two blocks fit into the 100 KiB of sm_86 and sm_89");
};

template <int MT, int NT> struct mma_fragments {
    uint32_t x[MT][4];
    uint32_t w[NT / 2][4];
};

/* Bytes of 16-byte chunk 0 .. 3 of a row in a stage. Eight rows of one chunk hit all banks. */
__device__ __forceinline__ int stage_offset(int row, int chunk) {
    return row * ROW_BYTES + ((chunk ^ ((row >> 1) & 3)) << 4);
}

/* Float of 4-float chunk q of a row of sums. Neither the writes (8 bytes, 4 rows by 4 lanes) nor
 * the reads (16 bytes, every other chunk) of a part of a warp meet in a bank. */
template <int COLS> __device__ __forceinline__ int sums_offset(int row, int q) {
    return row * COLS + ((q ^ ((row & 3) << 1) ^ (row & 1) ^ ((q >> 3) & 1)) << 2);
}

/* ROWS rows of DEPTH columns to shared memory. from: this thread's row and chunk; zeros from
 * rows_left and, if not `real`, everywhere. */
template <class T, int ROWS>
__device__ __forceinline__ void load_rows(smem_t to, const T *from, int stride, int rows_left,
                                          bool real) {
    const int row = (int)threadIdx.x >> 2, chunk = (int)threadIdx.x & 3;
    UNROLL for (int i = 0; i < ROWS / 32; i++) {
        const T *at = from + (size_t)(32 * i) * (size_t)stride;
        cp_async16(to + (smem_t)stage_offset(row + 32 * i, chunk), at,
                   real && row + 32 * i < rows_left);
    }
}

/* Fragments of 16 columns of K: step 0 or 1 of the stage. */
template <int MT, int NT>
__device__ __forceinline__ void load_fragments(mma_fragments<MT, NT> &f, smem_t x, smem_t w,
                                               int step) {
    const int lane = (int)threadIdx.x & 31;
    UNROLL for (int i = 0; i < MT; i++) {
        ldsm_x4(f.x[i], x + (smem_t)stage_offset(i * 16 + (lane & 15), step * 2 + (lane >> 4)));
    }
    UNROLL for (int j = 0; j < NT / 2; j++) {
        const int row = j * 16 + (lane & 7) + ((lane >> 4) << 3);
        ldsm_x4(f.w[j], w + (smem_t)stage_offset(row, step * 2 + ((lane >> 3) & 1)));
    }
}

template <class T, int MT, int NT>
__device__ __forceinline__ void multiply(float (&sums)[MT][NT][4],
                                         const mma_fragments<MT, NT> &f) {
    UNROLL for (int i = 0; i < MT; i++) {
        UNROLL for (int j = 0; j < NT; j++) {
            const uint32_t(&w)[4] = f.w[j >> 1];
            mma_16816<T>(sums[i][j], f.x[i], w[(j & 1) * 2], w[(j & 1) * 2 + 1]);
        }
    }
}

/* 8 results at y, from `column` on; r is their residual in 16-byte form. */
template <class T>
__device__ __forceinline__ void store_8(const linear_problem<T> &p, size_t at, int column,
                                        const float (&v)[8], const uint4 &r) {
    if (p.vectors) {
        const uint32_t pairs[4] = { r.x, r.y, r.z, r.w };
        uint32_t       out[4];
        UNROLL for (int i = 0; i < 4; i++) {
            const float2 add = p.r == NULL ? make_float2(0.0f, 0.0f) : unpack2<T>(pairs[i]);
            out[i] = pack2<T>(v[2 * i] + add.x, v[2 * i + 1] + add.y);
        }
        *reinterpret_cast<uint4 *>(p.y + at) = make_uint4(out[0], out[1], out[2], out[3]);
        return;
    }
    UNROLL for (int i = 0; i < 8; i++) {
        if (column + i < p.N) {
            const float add = p.r == NULL ? 0.0f : to_f32(p.r[at + (size_t)i]);
            p.y[at + (size_t)i] = from_f32<T>(v[i] + add);
        }
    }
}

/* The end of a warp's tile at (row0, column0) of y. shared: this warp's part. Lanes own chunks of 8
 * columns, `lane % CHUNKS` in every row they visit. */
template <class T, int MT, int NT>
__device__ __forceinline__ void finish_tile(const linear_problem<T> &p, unsigned char *shared,
                                            const float (&sums)[MT][NT][4], int row0,
                                            int column0) {
    constexpr int COLS = NT * 8, CHUNKS = COLS / 8, STEP = 32 / CHUNKS; /* rows of one visit */
    const int     lane   = (int)threadIdx.x & 31;
    const int     column = column0 + lane % CHUNKS * 8;
    float        *stage  = reinterpret_cast<float *>(shared);
    uint4        *stored = reinterpret_cast<uint4 *>(shared + 16 * COLS * 4) + lane;
    const bool    staged = p.r != NULL && p.vectors;

    /* 1. all of the residual on its way; every lane reads back what it asked for itself */
    for (int row = lane / CHUNKS, i = 0; staged && row < MT * 16; row += STEP, i++) {
        const bool   real = row0 + row < p.M && column < p.N;
        const size_t at   = real ? (size_t)(row0 + row) * (size_t)p.y_stride + (size_t)column : 0;
        cp_async16(smem_addr(stored + i * 32), p.r + at, real);
    }
    cp_async_commit();
    float bias[8];
    UNROLL for (int e = 0; e < 8; e++) {
        bias[e] = p.b != NULL && column + e < p.N ? __ldg(p.b + column + e) : 0.0f;
    }
    UNROLL for (int i = 0; i < MT; i++) {
        /* 2. 16 rows of sums from fragments to rows */
        UNROLL for (int j = 0; j < NT; j++) {
            UNROLL for (int half = 0; half < 2; half++) {
                const int q  = j * 2 + ((lane & 3) >> 1);
                const int at = sums_offset<COLS>((lane >> 2) + half * 8, q) + (lane & 1) * 2;
                *reinterpret_cast<float2 *>(stage + at) =
                    make_float2(sums[i][j][half * 2], sums[i][j][half * 2 + 1]);
            }
        }
        if (i == 0) { cp_async_wait<0>(); }
        __syncwarp();
        /* 3. rows to y */
        for (int row = lane / CHUNKS; row < 16; row += STEP) {
            const int    m     = row0 + i * 16 + row;
            const int    q     = lane % CHUNKS * 2;
            const float4 low   = *reinterpret_cast<float4 *>(stage + sums_offset<COLS>(row, q));
            const float4 high  = *reinterpret_cast<float4 *>(stage + sums_offset<COLS>(row, q + 1));
            float        v[8]  = { low.x + bias[0],  low.y + bias[1],  low.z + bias[2],
                                   low.w + bias[3],  high.x + bias[4], high.y + bias[5],
                                   high.z + bias[6], high.w + bias[7] };
            uint4        r     = make_uint4(0, 0, 0, 0);
            const size_t at    = (size_t)m * (size_t)p.y_stride + (size_t)column;
            if (staged) { r = stored[(i * 16 + row) / STEP * 32]; }
            act_apply<T>(v, p.act);
            if (m < p.M && column < p.N) { store_8(p, at, column, v, r); }
        }
        __syncwarp();
    }
}

template <class T, int ROWS, int COLS, int BLOCKS>
__global__ __launch_bounds__(THREADS, BLOCKS) void linear_mma_kernel(linear_problem<T> p) {
    using layout = mma_layout<ROWS, COLS>;
    constexpr int MT = layout::WARP_ROWS / 16, NT = layout::WARP_COLS / 8;
    SIMT_DYN_SHARED(unsigned char, shared);
    const int warp = (int)threadIdx.x >> 5;

    /* Tiles: runs of RASTER row tiles; inside a run column by column. */
    const int row_tiles = (p.M + ROWS - 1) / ROWS, col_tiles = (p.N + COLS - 1) / COLS;
    const int run  = (int)blockIdx.x / (RASTER * col_tiles);
    const int in   = (int)blockIdx.x - run * RASTER * col_tiles;
    const int high = min(RASTER, row_tiles - run * RASTER); /* the last run is lower */
    const int m0   = (run * RASTER + in % high) * ROWS;
    const int n0   = in / high * COLS;
    const int warp_m = (warp & 1) * layout::WARP_ROWS, warp_n = (warp >> 1) * layout::WARP_COLS;

    /* What this thread copies: a row (and each 32nd after it) and a chunk of 8 columns. */
    const int     copy_row = (int)threadIdx.x >> 2, copy_k = ((int)threadIdx.x & 3) * 8;
    const T      *x_from = p.x + (size_t)(m0 + copy_row) * (size_t)p.x_stride + (size_t)copy_k;
    const T      *w_from = p.w + (size_t)(n0 + copy_row) * (size_t)p.w_stride + (size_t)copy_k;
    const int     steps    = (p.K + DEPTH - 1) / DEPTH;
    const smem_t  base     = smem_addr(shared);
    const smem_t  warp_x   = base + (smem_t)(warp_m * ROW_BYTES);
    const smem_t  warp_w   = base + (smem_t)(layout::X_BYTES + warp_n * ROW_BYTES);
    UNROLL for (int s = 0; s < STAGES - 1; s++) {
        const smem_t to   = base + (smem_t)(s * layout::STAGE_BYTES);
        const bool   real = s * DEPTH + copy_k < p.K;
        if (s < steps) {
            load_rows<T, ROWS>(to, x_from + s * DEPTH, p.x_stride, p.M - m0, real);
            load_rows<T, COLS>(to + layout::X_BYTES, w_from + s * DEPTH, p.w_stride, p.N - n0,
                               real);
        }
        cp_async_commit();
    }

    float                 sums[MT][NT][4] = {};
    mma_fragments<MT, NT> even, odd;
    int                   stage = 0, fill = STAGES - 1; /* read now, filled now */
    cp_async_wait<STAGES - 2>();
    __syncthreads();
    load_fragments<MT, NT>(even, warp_x, warp_w, 0);
    for (int step = 0; step < steps; step++) {
        const smem_t now  = (smem_t)(stage * layout::STAGE_BYTES);
        const int    k    = (step + STAGES - 1) * DEPTH;
        load_fragments<MT, NT>(odd, warp_x + now, warp_w + now, 1);
        if (k < p.K) { /* into the stage that all warps left before the last barrier */
            const smem_t to   = base + (smem_t)(fill * layout::STAGE_BYTES);
            const bool   real = k + copy_k < p.K;
            load_rows<T, ROWS>(to, x_from + k, p.x_stride, p.M - m0, real);
            load_rows<T, COLS>(to + layout::X_BYTES, w_from + k, p.w_stride, p.N - n0, real);
        }
        cp_async_commit();
        multiply<T, MT, NT>(sums, even);
        stage = stage + 1 == STAGES ? 0 : stage + 1;
        fill  = fill + 1 == STAGES ? 0 : fill + 1;
        cp_async_wait<STAGES - 2>();
        __syncthreads(); /* the next stage is here; this one may be overwritten */
        if (step + 1 < steps) {
            const smem_t next = (smem_t)(stage * layout::STAGE_BYTES);
            load_fragments<MT, NT>(even, warp_x + next, warp_w + next, 0);
        }
        multiply<T, MT, NT>(sums, odd);
    }
    finish_tile<T, MT, NT>(p, shared + warp * (layout::SUMS_BYTES + layout::R_BYTES), sums,
                           m0 + warp_m, n0 + warp_n);
}

/* ---- Launch --------------------------------------------------------------------------------- */

template <class T, int ROWS, int COLS, int BLOCKS>
static int launch(ccu_cuda *cuda, const ccu_linear *op) {
    const size_t tiles = (size_t)ccu_cuda_blocks((size_t)op->M, ROWS) *
                         (size_t)ccu_cuda_blocks((size_t)op->N, COLS);
    const simt_grid grid = ccu_cuda_grid(cuda, dim3((unsigned)tiles), THREADS,
                                         mma_layout<ROWS, COLS>::BYTES);
    return simt_launch("linear_mma", linear_mma_kernel<T, ROWS, COLS, BLOCKS>, grid,
                       linear_problem_of<T>(op));
}

/* Small tiles where the large ones would leave multiprocessors idle. They move twice the bytes per
 * FLOP from L2, so not a tile sooner. */
static bool fills_with_large(const ccu_cuda *cuda, const ccu_linear *op) {
    const size_t tiles = (size_t)ccu_cuda_blocks((size_t)op->M, 128) *
                         (size_t)ccu_cuda_blocks((size_t)op->N, 128);
    return tiles >= (size_t)cuda->facts.multiprocessors;
}

template <class T> static int launch_tile(ccu_cuda *cuda, const ccu_linear *op) {
    return fills_with_large(cuda, op) ? launch<T, 128, 128, 2>(cuda, op)
                                      : launch<T, 64, 64, 4>(cuda, op);
}

bool ccu_cuda_linear_mma_can(const ccu_cuda *cuda, const ccu_linear *op) {
    return cuda->facts.capability >= 80 && linear_copies_whole(op);
}

int ccu_cuda_linear_mma(ccu_cuda *cuda, const ccu_linear *op) {
    assert(ccu_cuda_linear_mma_can(cuda, op));
    assert(op->M > 0 && op->N > 0 && op->K > 0);
    return op->dtype == CCU_F16 ? launch_tile<ccu_f16>(cuda, op)
                                : launch_tile<ccu_bf16>(cuda, op);
}
