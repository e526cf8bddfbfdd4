/* Patch embedding on the tensor cores: y[b, 1 + p] = patch . w^T + b + positions as an implicit
 * matrix product, straight from pixels; see patch_embed.cu for the choice.
 *
 * A block of 128 threads makes a tile of SIDE x SIDE (128 or 64) patches and outputs, its warps the
 * four quarters, in steps of 48 of K. Tiles in shared memory have rows of 48 elements and 16 bytes
 * of padding: seven 16-byte chunks, an odd number, so that eight rows of a chunk lie in eight
 * different bank groups without swizzling. Three stages: weights of step k + 2 come by cp.async and
 * pixels of step k + 2 wait in registers while step k is multiplied; pixels of step k + 1 have been
 * converted into their stage just before.
 *
 * What 48 elements of K are depends on how pixels are read:
 *   ROWS16   u8, P and S multiples of 16: 16 pixels of a row are 48 bytes in a row of memory,
 *            aligned. They are loaded as words and taken apart into 16 elements of each channel,
 *            one mma step per channel; the weights' chunks are fetched from the same three places.
 *   BYTES    u8, any P and S: 48 consecutive elements of K, byte by byte.
 *   FLOATS   normalised f32 planes, any P and S: likewise, brought to u - 128 first.
 * The order over K depends on P and S alone and is the same in either tile size: so are the bits.
 *
 * u - 128 is exact in every dtype. A row's C outputs are spread over blocks, so the LayerNorm that
 * follows (ln_pre) cannot be taken in here without a second pass over y; it stays an op of its own.
 *
 * Bound: 2 * 3 P^2 * C operations per patch, 0.23 GFLOP per image for all of ViT-B/32, B/16 and
 * (0.31) L/14: 2.6 %, 0.7 % and 0.2 % of the tower. Bytes per image: 3 S^2 pixels, 2 T C tokens and
 * a share of the weights, 150 kB + 75 kB for B/32. BYTES costs about a load instruction per element
 * where ROWS16 has one per 8, for models whose embedding is 0.2 % of the work. Not yet run on
 * hardware. */
#include <assert.h>

#include "patch_embed.h"

static constexpr int THREADS = 128;
static constexpr int STEP    = 48;       /* of K */
static constexpr int CHUNKS  = STEP / 8; /* of 16 bytes, with data, in a row */
static constexpr int PITCH   = (CHUNKS + 1) * 16; /* bytes from row to row */
static constexpr int STAGES  = 3;
static constexpr int PIECE   = CCU_PATCH_PIECE;

static_assert(2 * PIECE == STEP, "two pieces in a step");
static_assert((PITCH / 16) % 2 == 1, "eight rows in eight bank groups");

enum patch_reader { ROWS16, BYTES, FLOATS };

/* 24 elements as read. */
template <int READER> struct raw_piece {
    uint32_t word[READER == FLOATS ? PIECE / 2 : PIECE / 4]; /* FLOATS: packed pairs of T */
};

/* Where a thread reads its patch: one row of the tile, one or both pieces of a step. */
typedef struct patch_cursor {
    const void *from;    /* the patch's first pixel */
    patch_walk  at;      /* BYTES, FLOATS: next element; ROWS16: ky and kx of the next step */
    int32_t     k;       /* BYTES, FLOATS: its number */
} patch_cursor;

/* ---- Pixels --------------------------------------------------------------------------------- */

/* A piece of ROWS16 is 8 pixels. */
__device__ __forceinline__ void read_rows16(raw_piece<ROWS16> *raw, const patch_problem &p,
                                            const patch_cursor &cursor, int32_t piece) {
    const size_t pixel = (size_t)cursor.at.ky * (size_t)p.S + (size_t)(cursor.at.kx + 8 * piece);
    const uint2 *from  = reinterpret_cast<const uint2 *>(static_cast<const uint8_t *>(cursor.from) +
                                                        3 * pixel);
    UNROLL for (int i = 0; i < 3; i++) {
        const uint2 v        = from[i];
        raw->word[2 * i]     = v.x;
        raw->word[2 * i + 1] = v.y;
    }
}

/* Elements from cursor.k on; zeros after K, where weights are zeros too. */
__device__ __forceinline__ void read_bytes(raw_piece<BYTES> *raw, const patch_problem &p,
                                           patch_cursor *cursor) {
    const uint8_t *from = static_cast<const uint8_t *>(cursor->from);
    UNROLL for (int i = 0; i < PIECE / 4; i++) {
        uint32_t word = 0;
        UNROLL for (int j = 0; j < 4; j++) {
            const patch_walk at    = cursor->at;
            const size_t     pixel = (size_t)at.ky * (size_t)p.S + (size_t)at.kx;
            if (cursor->k < p.K) { word |= (uint32_t)from[3 * pixel + (size_t)at.c] << 8 * j; }
            walk_on(&cursor->at, p.P);
            cursor->k++;
        }
        raw->word[i] = word;
    }
}

__device__ __forceinline__ float read_float(const patch_problem &p, patch_cursor *cursor) {
    const patch_walk at    = cursor->at;
    const size_t     plane = (size_t)p.S * (size_t)p.S;
    const size_t     pixel = (size_t)at.ky * (size_t)p.S + (size_t)at.kx;
    float            u     = 0.0f;
    if (cursor->k < p.K) {
        const float v = static_cast<const float *>(cursor->from)[(size_t)at.c * plane + pixel];
        u             = fmaf(v, of_channel(p.unscale, at.c), of_channel(p.unshift, at.c));
    }
    walk_on(&cursor->at, p.P);
    cursor->k++;
    return u;
}

template <class T>
__device__ __forceinline__ void read_floats(raw_piece<FLOATS> *raw, const patch_problem &p,
                                            patch_cursor *cursor) {
    UNROLL for (int i = 0; i < PIECE / 2; i++) {
        const float lo = read_float(p, cursor), hi = read_float(p, cursor);
        raw->word[i]   = pack2<T>(lo, hi);
    }
}

/* Past one piece. */
__device__ __forceinline__ void skip(patch_walk *at, const patch_problem &p) {
    at->kx += p.skip_kx;
    at->ky += p.skip_ky;
    if (at->kx >= p.P) {
        at->kx -= p.P;
        at->ky++;
    }
    while (at->ky >= p.P) { /* more than once for P below 5 */
        at->ky -= p.P;
        at->c++;
    }
}

/* The thread's pieces of the next step. */
template <class T, int READER, int PIECES>
__device__ __forceinline__ void fetch(raw_piece<READER> (&raw)[PIECES], const patch_problem &p,
                                      patch_cursor *cursor, int32_t first) {
    UNROLL for (int i = 0; i < PIECES; i++) {
        if constexpr (READER == ROWS16) { read_rows16(&raw[i], p, *cursor, first + i); }
        if constexpr (READER == BYTES) { read_bytes(&raw[i], p, cursor); }
        if constexpr (READER == FLOATS) { read_floats<T>(&raw[i], p, cursor); }
    }
    if constexpr (READER == ROWS16) {
        cursor->at.kx += 16;
        if (cursor->at.kx == p.P) {
            cursor->at.kx = 0;
            cursor->at.ky++;
        }
    } else { /* the other piece is another thread's */
        static_assert(READER == ROWS16 || PIECES == 1, "threads that walk have one piece");
        skip(&cursor->at, p);
        cursor->k += PIECE;
    }
}

__device__ __forceinline__ uint32_t byte_at(const uint32_t *word, int i) {
    return word[i / 4] >> (8 * (i % 4)) & 255u;
}

/* Eight elements, `apart` bytes from one to the next. */
template <class T>
__device__ __forceinline__ uint4 convert(const uint32_t *word, int first, int apart) {
    uint32_t pair[4];
    UNROLL for (int i = 0; i < 4; i++) {
        pair[i] = pack2<T>(centred(byte_at(word, first + 2 * i * apart)),
                           centred(byte_at(word, first + (2 * i + 1) * apart)));
    }
    return make_uint4(pair[0], pair[1], pair[2], pair[3]);
}

/* A piece into its row of the tile. */
template <class T, int READER>
__device__ __forceinline__ void put_piece(uint8_t *row, const raw_piece<READER> &raw,
                                          int32_t piece) {
    UNROLL for (int i = 0; i < 3; i++) {
        uint4   v;
        int32_t chunk = 3 * piece + i;
        if constexpr (READER == ROWS16) {
            v     = convert<T>(raw.word, i, 3);
            chunk = 2 * i + piece; /* channel i */
        }
        if constexpr (READER == BYTES) { v = convert<T>(raw.word, 8 * i, 1); }
        if constexpr (READER == FLOATS) {
            v = make_uint4(raw.word[4 * i], raw.word[4 * i + 1], raw.word[4 * i + 2],
                           raw.word[4 * i + 3]);
        }
        *reinterpret_cast<uint4 *>(row + 16 * chunk) = v;
    }
}

/* ---- Weights -------------------------------------------------------------------------------- */

/* Element of K that a chunk of a step starts with. */
template <int READER>
__device__ __forceinline__ int32_t chunk_k(const patch_problem &p, int32_t step, int32_t chunk) {
    if (READER != ROWS16) { return STEP * step + 8 * chunk; }
    return chunk / 2 * p.P * p.P + 16 * step + chunk % 2 * 8;
}

/* Rows n0 .. n0 + SIDE - 1 of the step's weights; zeros outside. */
template <class T, int READER, int SIDE>
__device__ __forceinline__ void load_weights(uint8_t *tile, const patch_problem &p, int32_t n0,
                                             int32_t step, int32_t steps) {
    if (step >= steps) { return; }
    constexpr int PER_ROW = THREADS / SIDE;
    const int32_t row     = (int32_t)threadIdx.x / PER_ROW;
    const int32_t first   = (int32_t)threadIdx.x % PER_ROW * (CHUNKS / PER_ROW);
    const bool    inside  = n0 + row < p.N;
    const T      *w       = static_cast<const T *>(p.w) +
                 (size_t)(inside ? n0 + row : 0) * (size_t)p.w_stride;
    UNROLL for (int i = 0; i < CHUNKS / PER_ROW; i++) {
        const int32_t k    = chunk_k<READER>(p, step, first + i);
        const bool    real = inside && k < p.w_stride;
        cp_async16(smem_addr(tile + row * PITCH + 16 * (first + i)), w + (real ? k : 0), real);
    }
}

/* ---- Product -------------------------------------------------------------------------------- */

/* One step: a quarter of the tile, HALF x HALF. */
template <class T, int HALF>
__device__ __forceinline__ void multiply(float (&sum)[HALF / 16][HALF / 8][4],
                                         const uint8_t *a_tile, const uint8_t *w_tile,
                                         int32_t lane) {
    const smem_t a_at = smem_addr(a_tile + (lane & 15) * PITCH + (lane >> 4) * 16);
    const smem_t w_at = smem_addr(w_tile + ((lane & 7) + (lane >> 4) * 8) * PITCH +
                                  (lane >> 3 & 1) * 16);
    UNROLL for (int kk = 0; kk < STEP / 16; kk++) {
        uint32_t a[HALF / 16][4];
        UNROLL for (int i = 0; i < HALF / 16; i++) {
            ldsm_x4(a[i], a_at + (smem_t)(i * 16 * PITCH + kk * 32));
        }
        UNROLL for (int j = 0; j < HALF / 16; j++) {
            uint32_t w[4]; /* 16 outputs */
            ldsm_x4(w, w_at + (smem_t)(j * 16 * PITCH + kk * 32));
            UNROLL for (int i = 0; i < HALF / 16; i++) {
                mma_16816<T>(sum[i][2 * j], a[i], w[0], w[1]);
                mma_16816<T>(sum[i][2 * j + 1], a[i], w[2], w[3]);
            }
        }
    }
}

/* The quarter that starts at patch m0, output n0. */
template <class T, int HALF>
__device__ __forceinline__ void finish(const float (&sum)[HALF / 16][HALF / 8][4],
                                       const patch_problem &p, int32_t m0, int32_t n0,
                                       int32_t lane) {
    UNROLL for (int i = 0; i < HALF / 16 * 2; i++) {
        const int32_t m = m0 + lane / 4 + 8 * i;
        if (m >= p.M) { continue; }
        int32_t      position;
        const size_t row = token_row(p, m, &position);
        UNROLL for (int j = 0; j < HALF / 8; j++) {
            const int32_t n    = n0 + 8 * j + lane % 4 * 2;
            const float  *pair = &sum[i / 2][j][i % 2 * 2];
            if (p.N % 2 == 0) {
                const float2 two = make_float2(pair[0], pair[1]);
                if (n < p.N) { store_tokens<T>(p, row, position, n, two); }
            } else {
                if (n < p.N) { store_token<T>(p, row, position, n, pair[0]); }
                if (n + 1 < p.N) { store_token<T>(p, row, position, n + 1, pair[1]); }
            }
        }
    }
}

/* Tile (blockIdx.x of N, blockIdx.y of M). Barrier: one per step, all threads; after it step k is
 * in its stage and nobody reads the stage of step k - 1. */
template <class T, int READER, int SIDE>
__global__ __launch_bounds__(THREADS, 2) void patch_embed_mma_kernel(patch_problem p,
                                                                     int32_t steps) {
    constexpr int PER_ROW = THREADS / SIDE; /* threads that share a patch */
    constexpr int PIECES  = 2 / PER_ROW;
    constexpr int HALF    = SIDE / 2;
    constexpr int STAGE   = 2 * SIDE * PITCH; /* bytes: pixels, then weights */
    SIMT_DYN_SHARED(uint8_t, shared);
    const int32_t lane = (int32_t)(threadIdx.x % WARP), warp = (int32_t)(threadIdx.x / WARP);
    const int32_t n0 = (int32_t)blockIdx.x * SIDE, m0 = (int32_t)blockIdx.y * SIDE;
    const int32_t warp_m = warp % 2 * HALF, warp_n = warp / 2 * HALF;

    const int32_t row   = (int32_t)threadIdx.x / PER_ROW; /* of the tile */
    const int32_t piece = (int32_t)threadIdx.x % PER_ROW; /* first of the thread's */
    const size_t  plane = (size_t)p.S * (size_t)p.S;
    int32_t       image;
    const size_t  corner = patch_corner(p, min(m0 + row, p.M - 1), &image);
    patch_cursor  cursor;
    cursor.k  = READER == ROWS16 ? 0 : PIECE * piece;
    cursor.at = walk_to(cursor.k, p.P);
    if constexpr (READER == FLOATS) {
        cursor.from = static_cast<const float *>(p.pixels) + (size_t)image * plane * 3 + corner;
    } else {
        cursor.from = static_cast<const uint8_t *>(p.pixels) +
                      ((size_t)image * plane + corner) * 3;
    }

    raw_piece<READER> raw[PIECES];
    float             sum[HALF / 16][HALF / 8][4] = {};
    load_weights<T, READER, SIDE>(shared + SIDE * PITCH, p, n0, 0, steps);
    cp_async_commit();
    load_weights<T, READER, SIDE>(shared + STAGE + SIDE * PITCH, p, n0, 1, steps);
    cp_async_commit();
    fetch<T, READER, PIECES>(raw, p, &cursor, piece);
    UNROLL for (int i = 0; i < PIECES; i++) {
        put_piece<T, READER>(shared + row * PITCH, raw[i], piece + i);
    }
    if (steps > 1) { fetch<T, READER, PIECES>(raw, p, &cursor, piece); }

    for (int32_t step = 0; step < steps; step++) {
        uint8_t *now  = shared + step % STAGES * STAGE;
        uint8_t *next = shared + (step + 1) % STAGES * STAGE;
        uint8_t *last = shared + (step + 2) % STAGES * STAGE;
        cp_async_wait<1>();
        __syncthreads();
        load_weights<T, READER, SIDE>(last + SIDE * PITCH, p, n0, step + 2, steps);
        cp_async_commit();
        UNROLL for (int i = 0; i < PIECES; i++) {
            if (step + 1 < steps) { put_piece<T, READER>(next + row * PITCH, raw[i], piece + i); }
        }
        if (step + 2 < steps) { fetch<T, READER, PIECES>(raw, p, &cursor, piece); }
        multiply<T, HALF>(sum, now + warp_m * PITCH, now + (SIDE + warp_n) * PITCH, lane);
    }
    finish<T, HALF>(sum, p, m0 + warp_m, n0 + warp_n, lane);
}

/* ---- Launch --------------------------------------------------------------------------------- */

static size_t shared_bytes(int side) {
    return (size_t)STAGES * 2 * (size_t)side * PITCH;
}

template <class T, int READER, int SIDE>
static int launch(const ccu_cuda *cuda, const patch_problem &p) {
    const dim3    blocks(ccu_cuda_blocks((size_t)p.N, SIDE), ccu_cuda_blocks((size_t)p.M, SIDE));
    const int32_t steps = (p.K + STEP - 1) / STEP;
    return simt_launch("patch_embed mma", patch_embed_mma_kernel<T, READER, SIDE>,
                       ccu_cuda_grid(cuda, blocks, THREADS, shared_bytes(SIDE)), p, steps);
}

/* Large tiles read each operand half as often, small ones keep more multiprocessors at work: large
 * ones as soon as there is one for each. */
static bool large_tiles(const ccu_cuda *cuda, const patch_problem &p) {
    const size_t tiles = (size_t)ccu_cuda_blocks((size_t)p.M, 128) *
                         ccu_cuda_blocks((size_t)p.N, 128);
    return tiles >= (size_t)cuda->facts.multiprocessors &&
           shared_bytes(128) <= cuda->facts.shared_bytes_max;
}

template <class T>
static int launch_reader(const ccu_cuda *cuda, const ccu_patch_embed *op, const patch_problem &p) {
    if (op->kind == CCU_PIXELS_F32) { return launch<T, FLOATS, 64>(cuda, p); }
    if (op->P % 16 != 0 || op->S % 16 != 0 || (uintptr_t)op->pixels % 16 != 0) {
        return launch<T, BYTES, 64>(cuda, p);
    }
    return large_tiles(cuda, p) ? launch<T, ROWS16, 128>(cuda, p)
                                : launch<T, ROWS16, 64>(cuda, p);
}

int ccu_cuda_patch_embed_mma(const ccu_cuda *cuda, const ccu_patch_embed *op,
                             const patch_problem &p) {
    assert(op->dtype != CCU_F32);
    assert((uintptr_t)op->w % 16 == 0);
    return op->dtype == CCU_BF16 ? launch_reader<ccu_bf16>(cuda, op, p)
                                 : launch_reader<ccu_f16>(cuda, op, p);
}
