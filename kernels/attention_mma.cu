/* Dense attention on tensor cores (ops.h: attention), f16 and bf16, D in 64, 72, 80, 88, 104.
 *
 * A unit is one head of one image. A warp owns 32 of its queries and keeps their result in
 * registers while the unit's keys and values stream through shared memory in tiles of 64 rows, the
 * next tile in flight while one is used. It multiplies 32 keys at a time (16 where no more are
 * left), masks what is beyond T, weighs, and multiplies with the values.
 *
 *   softmax   f32, in powers of 2, the largest score so far subtracted, divided at the end. Sums
 *             are rescaled when a row's largest score has grown, and only then: multiplying by 2^0
 *             would change no bit. Why not whole rows: 32 queries by 272 scores (T = 257) are 272
 *             registers of a thread, and with 16 queries per warp keys and values would be read
 *             from shared memory twice as often, which would take as long as the products.
 *   weights   rounded to the 16-bit dtype for the product with the values, as tensor cores need; a
 *             row's total is of the weights before rounding. They are scaled by 2^WEIGHT_SHIFT, so
 *             that f16 rounds small ones as finely as large ones.
 *   D         a multiple of 8, not of 16: the last step over D has zeros for its upper half.
 *
 * Bound. Per warp and 64 keys at D = 64: 128 mma (16x8x16), 32 ldmatrix of 512 bytes, and 64
 * exponentials of a thread. With sm_80's 256 multiply-adds per cycle and scheduler that is 1024
 * cycles of tensor cores, 512 of the special function units, and 128 of shared memory for each of
 * four warps. In all 4 B H Tq T D FLOP and 4 B H D (Tq + T) bytes: T / 2 FLOP per byte at Tq = T,
 * 25 at T = 50 and 128 at 257, where chips give 150 to 300 per byte of device memory. So short
 * sequences are bound by memory (by L2, as far as it still has q, k and v) and long ones by tensor
 * cores. Rows are multiplied Tq rounded up to 32 by T rounded up to 16: useful are 61 % at T = 50,
 * 83 % at 197, 84 % at 257, 92 % at 577.
 *
 * Not yet run on hardware. */
#include "attention_mma.h"

#include <assert.h>
#include <math.h>

static constexpr int   WARPS_MAX    = 4;  /* of a block, so that two or three share an SM */
static constexpr int   BANDS        = 2;  /* of 16 queries, per warp */
static constexpr int   ROWS         = 16 * BANDS;
static constexpr int   KEYS         = 64; /* of a tile */
static constexpr int   STEP         = 32; /* keys at a time: with 64, D = 64 takes 232 registers on
                                             sm_90a, and T = 257 has six warps on an SM, not nine */
static constexpr float WEIGHT_SHIFT = 12.0f;
static constexpr float BASE_MAX     = 3e38f; /* finite: keys at -inf weigh nothing */

/* Who does what; see plan_of(). */
typedef struct mma_plan {
    int32_t warps;    /* of one unit in a block */
    int32_t units;    /* of a block */
    int32_t q_blocks; /* blocks of one unit */
    int32_t stages;   /* tiles of keys and values in shared memory */
    float   scale;    /* log2 e / sqrt D */
} mma_plan;

/* Rows of D elements in shared memory, in chunks of 16 bytes. ldmatrix reads one chunk of eight
 * consecutive rows at a time: they fall into different banks because the stride is an odd number of
 * chunks, or (D = 64, no room lost) because chunks are permuted by the row. */
template <int D> struct rows_of {
    static constexpr int CHUNKS = D / 8;
    static constexpr int STRIDE = D == 64 ? 8 : CHUNKS | 1;
    static constexpr int BYTES  = STRIDE * 16;
    static_assert(D % 8 == 0 && (D == 64 || STRIDE % 2 == 1), "bank conflicts");
};

template <int D> __device__ __forceinline__ uint32_t place(int row, int chunk) {
    const int at = D == 64 ? chunk ^ (row & 7) : chunk;
    return (uint32_t)(row * rows_of<D>::BYTES + at * 16);
}

/* Of one unit in a block: stages times (KEYS rows of keys, KEYS rows of values), then ROWS rows of
 * queries for each of its warps, which end as rows of the result. */
template <int D> struct shared_of {
    static constexpr int TILE    = KEYS * rows_of<D>::BYTES;
    static constexpr int QUERIES = ROWS * rows_of<D>::BYTES;
};

static __host__ __device__ __forceinline__ int unit_bytes(const mma_plan &plan, int row_bytes) {
    return (plan.stages * 2 * KEYS + plan.warps * ROWS) * row_bytes;
}

/* count rows at `from`, stride elements apart, by `threads` threads; zeros from row `real` on. */
template <class T, int D>
__device__ __forceinline__ void copy_rows(smem_t to, const T *from, size_t stride, int count,
                                          int real, int thread, int threads) {
    constexpr int CHUNKS = rows_of<D>::CHUNKS;
    for (int i = thread; i < count * CHUNKS; i += threads) {
        const int  row = i / CHUNKS, chunk = i % CHUNKS;
        const bool there = row < real;
        cp_async16(to + place<D>(row, chunk), from + (there ? (size_t)row * stride : 0) + chunk * 8,
                   there);
    }
}

/* Of 32 queries, one warp's. Of a thread: rows lane / 4 and lane / 4 + 8 of each band. */
template <int D> struct warp_state {
    static constexpr int DEPTH = (D + 15) / 16;
    uint32_t q[BANDS][DEPTH][4];
    float    o[BANDS][D / 8][4];
    float    base[BANDS][2];  /* WEIGHT_SHIFT - scale * largest score */
    float    total[BANDS][2]; /* this thread's columns of each row */
};

/* s = q . k^T for COUNT keys. */
template <class T, int D, int COUNT>
__device__ __forceinline__ void multiply_keys(float (&s)[BANDS][COUNT / 8][4],
                                              const warp_state<D> &w, smem_t keys, int lane) {
    constexpr int CHUNKS = rows_of<D>::CHUNKS;
    const int     row = (lane & 7) + ((lane >> 4) << 3), upper = (lane >> 3) & 1;
    UNROLL for (int kk = 0; kk < warp_state<D>::DEPTH; kk++) {
        UNROLL for (int n = 0; n < COUNT / 16; n++) {
            uint32_t b[4];
            ldsm_x4(b, keys + place<D>(n * 16 + row, min(kk * 2 + upper, CHUNKS - 1)));
            if (kk * 2 + 1 == CHUNKS) { b[1] = b[3] = 0; }
            UNROLL for (int t = 0; t < BANDS; t++) {
                mma_16816<T>(s[t][2 * n], w.q[t][kk], b[0], b[1]);
                mma_16816<T>(s[t][2 * n + 1], w.q[t][kk], b[2], b[3]);
            }
        }
    }
}

/* Scores to weights, sums rescaled if a largest score has grown. */
template <int D, int COUNT>
__device__ __forceinline__ void weigh(float (&s)[BANDS][COUNT / 8][4], warp_state<D> &w, int real,
                                      float scale, int lane) {
    float before[BANDS][2];
    bool  grown = false;
    if (real < COUNT) { /* 1. keys beyond T */
        UNROLL for (int i = 0; i < COUNT / 2; i++) {
            const int e = i % 4, n = i / 4;
            if (n * 8 + lane % 4 * 2 + (e & 1) >= real) {
                UNROLL for (int t = 0; t < BANDS; t++) { s[t][n][e] = -INFINITY; }
            }
        }
    }
    UNROLL for (int i = 0; i < 2 * BANDS; i++) { /* 2. largest scores */
        const int t = i / 2, r = i % 2;
        float     top = s[t][0][2 * r];
        UNROLL for (int n = 0; n < COUNT / 8; n++) {
            top = fmaxf(top, fmaxf(s[t][n][2 * r], s[t][n][2 * r + 1]));
        }
        before[t][r] = w.base[t][r];
        w.base[t][r] = fminf(w.base[t][r], fmaf(-quad_max(top), scale, WEIGHT_SHIFT));
        grown        = grown || w.base[t][r] < before[t][r];
    }
    if (__any_sync(ALL_LANES, grown)) { /* 3. what was summed so far */
        UNROLL for (int i = 0; i < 2 * BANDS; i++) {
            const int   t = i / 2, r = i % 2;
            const float rescale = exp2_approx(w.base[t][r] - before[t][r]);
            w.total[t][r] *= rescale;
            UNROLL for (int n = 0; n < D / 8; n++) {
                w.o[t][n][2 * r] *= rescale;
                w.o[t][n][2 * r + 1] *= rescale;
            }
        }
    }
    UNROLL for (int i = 0; i < BANDS * COUNT / 2; i++) { /* 4. weights */
        const int   t = i / (COUNT / 2), n = i / 4 % (COUNT / 8), e = i % 4;
        const float p = exp2_approx(fmaf(s[t][n][e], scale, w.base[t][e >> 1]));
        s[t][n][e]    = p;
        w.total[t][e >> 1] += p;
    }
}

/* o += weights . v for COUNT keys. */
template <class T, int D, int COUNT>
__device__ __forceinline__ void multiply_values(const float (&s)[BANDS][COUNT / 8][4],
                                                warp_state<D> &w, smem_t values, int lane) {
    constexpr int CHUNKS = rows_of<D>::CHUNKS;
    UNROLL for (int kk = 0; kk < COUNT / 16; kk++) {
        uint32_t a[BANDS][4];
        UNROLL for (int i = 0; i < BANDS * 4; i++) {
            const float *pair = &s[i / 4][2 * kk + i % 4 / 2][i % 2 * 2];
            a[i / 4][i % 4]   = pack2<T>(pair[0], pair[1]);
        }
        UNROLL for (int n = 0; n < (CHUNKS + 1) / 2; n++) {
            uint32_t b[4];
            ldsm_x4_t(b, values + place<D>(kk * 16 + (lane & 15),
                                           min(n * 2 + (lane >> 4), CHUNKS - 1)));
            UNROLL for (int t = 0; t < BANDS; t++) {
                mma_16816<T>(w.o[t][2 * n], a[t], b[0], b[1]);
                if (2 * n + 1 < CHUNKS) { mma_16816<T>(w.o[t][2 * n + 1], a[t], b[2], b[3]); }
            }
        }
    }
}

template <class T, int D, int COUNT>
__device__ __forceinline__ void attend(warp_state<D> &w, smem_t keys, smem_t values, int real,
                                       float scale, int lane) {
    float s[BANDS][COUNT / 8][4] = {};
    multiply_keys<T, D, COUNT>(s, w, keys, lane);
    weigh<D, COUNT>(s, w, real, scale, lane);
    multiply_values<T, D, COUNT>(s, w, values, lane);
}

/* The warp's rows, divided, to `to`: through its own part of shared memory, so that whole rows are
 * written 16 bytes at a time. */
template <class T, int D>
__device__ __forceinline__ void write_rows(warp_state<D> &w, unsigned char *rows, T *to,
                                           size_t stride, int count, int lane) {
    constexpr int CHUNKS = rows_of<D>::CHUNKS;
    __syncwarp(); /* every lane has its queries */
    UNROLL for (int i = 0; i < 2 * BANDS; i++) {
        const int   t = i / 2, r = i % 2;
        const float total = quad_sum(w.total[t][r]);
        UNROLL for (int n = 0; n < CHUNKS; n++) {
            unsigned char *at = rows + place<D>(t * 16 + r * 8 + lane / 4, n) + lane % 4 * 4;
            *reinterpret_cast<uint32_t *>(at) =
                pack2<T>(w.o[t][n][2 * r] / total, w.o[t][n][2 * r + 1] / total);
        }
    }
    __syncwarp();
    for (int i = lane; i < count * CHUNKS; i += (int)WARP) {
        const int row = i / CHUNKS, chunk = i % CHUNKS;
        *reinterpret_cast<uint4 *>(to + (size_t)row * stride + chunk * 8) =
            *reinterpret_cast<const uint4 *>(rows + place<D>(row, chunk));
    }
}

/* A tile of keys and values from row `at` on: as many rows as attend() reads, zeros beyond T. */
template <class T, int D>
__device__ __forceinline__ void copy_tile(smem_t to, const T *k, const T *v,
                                          const ccu_attention &op, int at, int thread,
                                          int threads) {
    const size_t stride = (size_t)op.kv_stride, from = (size_t)at * stride;
    const int    keys = min(op.T - at, KEYS);
    const int    rows = (keys + 15) / 16 * 16;
    copy_rows<T, D>(to, k + from, stride, rows, keys, thread, threads);
    copy_rows<T, D>(to + shared_of<D>::TILE, v + from, stride, rows, keys, thread, threads);
}

template <int D>
__device__ __forceinline__ void begin(warp_state<D> &w, smem_t queries, int lane) {
    constexpr int CHUNKS = rows_of<D>::CHUNKS;
    UNROLL for (int t = 0; t < BANDS; t++) {
        UNROLL for (int kk = 0; kk < warp_state<D>::DEPTH; kk++) {
            ldsm_x4(w.q[t][kk], queries + place<D>(t * 16 + (lane & 15),
                                                   min(kk * 2 + (lane >> 4), CHUNKS - 1)));
            if (kk * 2 + 1 == CHUNKS) { w.q[t][kk][2] = w.q[t][kk][3] = 0; }
        }
    }
}

template <class T, int D>
__global__ __launch_bounds__(WARPS_MAX *WARP) void attention_mma_kernel(const ccu_attention op,
                                                                        const mma_plan plan) {
    constexpr int TILE = shared_of<D>::TILE, BYTES = rows_of<D>::BYTES;
    SIMT_DYN_SHARED(unsigned char, shared);
    const int warp = (int)(threadIdx.x / WARP), lane = (int)(threadIdx.x % WARP);
    const int part = warp / plan.warps, threads = plan.warps * (int)WARP; /* of this unit */
    const int thread = (int)threadIdx.x % threads;

    /* 1. Whose keys, which queries. Surplus units of the last block read the last unit's keys. */
    const int    block = (int)blockIdx.x / plan.q_blocks, q_block = (int)blockIdx.x % plan.q_blocks;
    const int    wanted = block * plan.units + part, unit = min(wanted, op.B * op.H - 1);
    const int    first  = (q_block * plan.warps + warp % plan.warps) * ROWS;
    const int    rows   = wanted == unit ? min(op.Tq - first, ROWS) : 0; /* of this warp, if > 0 */
    const size_t b = (size_t)(unit / op.H), head = (size_t)(unit % op.H) * D;
    const size_t row = b * (size_t)op.Tq + (size_t)first, width = (size_t)op.H * D;
    const T     *k   = (const T *)op.k + b * (size_t)op.T * (size_t)op.kv_stride + head;
    const T     *v   = (const T *)op.v + b * (size_t)op.T * (size_t)op.kv_stride + head;

    unsigned char *area = shared + part * unit_bytes(plan, BYTES);
    unsigned char *mine = area + plan.stages * 2 * TILE +
                          warp % plan.warps * shared_of<D>::QUERIES;
    const smem_t   ring = smem_addr(area), queries = smem_addr(mine);

    /* 2. Queries and the first tile. */
    if (rows > 0) {
        copy_rows<T, D>(queries, (const T *)op.q + row * (size_t)op.q_stride + head,
                        (size_t)op.q_stride, ROWS, rows, lane, (int)WARP);
    }
    copy_tile<T, D>(ring, k, v, op, 0, thread, threads);
    cp_async_commit();

    /* 3. Tile after tile. */
    warp_state<D> w = {};
    UNROLL for (int i = 0; i < 2 * BANDS; i++) { w.base[i / 2][i % 2] = BASE_MAX; }
    for (int at = 0; at < op.T; at += KEYS) {
        const uint32_t odd  = (uint32_t)(at / KEYS % 2);
        const smem_t   tile = ring + odd * (2 * TILE);
        cp_async_wait<0>();
        __syncthreads(); /* all of this tile has landed, and nobody reads the other any more */
        if (at + KEYS < op.T) {
            copy_tile<T, D>(ring + (1 - odd) * (2 * TILE), k, v, op, at + KEYS, thread, threads);
            cp_async_commit();
        }
        if (rows <= 0) { continue; }
        if (at == 0) { begin(w, queries, lane); }
        const int keys = min(op.T - at, KEYS);
        int       j    = 0;
        for (; keys - j > STEP / 2; j += STEP) {
            const smem_t from = tile + (uint32_t)(j * BYTES);
            attend<T, D, STEP>(w, from, from + TILE, keys - j, plan.scale, lane);
        }
        for (; j < keys; j += 16) {
            const smem_t from = tile + (uint32_t)(j * BYTES);
            attend<T, D, 16>(w, from, from + TILE, keys - j, plan.scale, lane);
        }
    }

    /* 4. The result. */
    if (rows > 0) {
        write_rows<T, D>(w, mine, (T *)op.y + row * width + head, width, rows, lane);
    }
}

/* ---- Launch ----------------------------------------------------------------------------- */

/* Up to 64 queries (T = 50) are one or two warps: several units make a block worth launching, as
 * long as two blocks' shared memory fits. More are cut evenly into blocks of at most four warps,
 * each with its own pass over the unit's keys: 257 queries are nine bands of 32 in three blocks of
 * three warps, where tiles of 128 queries would waste a third. */
static mma_plan plan_of(const ccu_attention *op, int row_bytes, size_t shared_bytes_max) {
    const int32_t bands = (op->Tq + ROWS - 1) / ROWS;
    mma_plan      plan  = { bands, 1, 1, op->T > KEYS ? 2 : 1, 1.44269504f / sqrtf((float)op->D) };
    if (bands > WARPS_MAX) {
        plan.q_blocks = (bands + WARPS_MAX - 1) / WARPS_MAX;
        plan.warps    = (bands + plan.q_blocks - 1) / plan.q_blocks;
    } else {
        plan.units = WARPS_MAX / bands;
    }
    while (plan.units > 1 &&
           (size_t)(plan.units * unit_bytes(plan, row_bytes)) > shared_bytes_max / 2) {
        plan.units--;
    }
    return plan;
}

template <class T, int D> static int launch(ccu_cuda *cuda, const ccu_attention *op) {
    const mma_plan plan   = plan_of(op, rows_of<D>::BYTES, cuda->facts.shared_bytes_max);
    const size_t   bytes  = (size_t)(plan.units * unit_bytes(plan, rows_of<D>::BYTES));
    const size_t   units  = (size_t)op->B * (size_t)op->H;
    const unsigned blocks = ccu_cuda_blocks(units, (size_t)plan.units) * (unsigned)plan.q_blocks;
    assert(plan.units * plan.warps <= WARPS_MAX && bytes <= cuda->facts.shared_bytes_max);
    return simt_launch("attention_mma", attention_mma_kernel<T, D>,
                       ccu_cuda_grid(cuda, dim3(blocks),
                                     (unsigned)(plan.units * plan.warps) * WARP, bytes),
                       *op, plan);
}

template <class T> static int launch_of(ccu_cuda *cuda, const ccu_attention *op) {
    switch (op->D) {
    case 64: return launch<T, 64>(cuda, op);
    case 72: return launch<T, 72>(cuda, op);
    case 80: return launch<T, 80>(cuda, op);
    case 88: return launch<T, 88>(cuda, op);
    default: assert(op->D == 104); return launch<T, 104>(cuda, op);
    }
}

bool ccu_attention_mma_has(int32_t D, ccu_dtype dtype) {
    return dtype != CCU_F32 && (D == 64 || D == 72 || D == 80 || D == 88 || D == 104);
}

int ccu_attention_mma_launch(ccu_cuda *cuda, const ccu_attention *op) {
    assert(ccu_attention_mma_has(op->D, op->dtype));
    return op->dtype == CCU_F16 ? launch_of<ccu_f16>(cuda, op) : launch_of<ccu_bf16>(cuda, op);
}
