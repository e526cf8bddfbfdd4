/* Pictures of any size to the S x S bytes of the image tower, byte-equal with Pillow.
 *
 * An item has one or two passes (base/resample.h): across a row, down a column, each a weighted sum
 * of bytes in 32-bit integers, rounded back to bytes. Integers have no order of summation:
 * the bytes are those of the CPU. Two launches of one kernel: the first makes the middle of the
 * items with two passes, the second everybody's result. What a block does depends on its item, of
 * which the host knows nothing: blocks (item, share) go through the item's tiles in turns.
 *
 *   across   a tile is 8 rows x 64 outputs. Spans of 1020 source positions are turned on their side
 *            in shared memory, a word holding one byte column of four rows; a thread sums one
 *            output of four rows, so a weight is read once for 12 products and a word for 4. A
 *            window that needs more than a span (shrinking by more than 16) goes on with the next
 *            one. Results are turned back in shared memory and leave in words along the rows.
 *   down     a tile is 16 outputs x 128 bytes of a row, a thread sums 16 bytes of one output. Rows
 *            are read from the caches: neighbouring outputs of a tile read the same ones.
 *
 * Bound: what is read and written once are the picture's part (691 kB of a 640 x 480 one to 224),
 * the middle twice (2 * 323 kB, from L2 for the pictures in flight) and the result (151 kB), 0.5 us
 * at 3 TB/s; 4.5 M multiply-adds with one byte extraction each, at 64 of either per clock and
 * multiprocessor, are about as long on an H100. The tower takes 11 us per image (B/32) at the
 * tensor cores' rate. Tables come from the host, which makes them in double.
 * Not yet run on hardware. */
#include <assert.h>

#include "cuda_state.h"

static constexpr int THREADS = 128;

static constexpr int ACROSS_X = 64; /* outputs of a tile */
static constexpr int ACROSS_Y = 8;  /* rows of a tile, in groups of four */
static constexpr int SPAN     = 1020; /* source positions at a time; a multiple of 4: spans start
                                       * at the same byte of a word */
static constexpr int SPAN_BYTES = 3072;
static constexpr int OUT_BYTES  = ACROSS_X * 3; /* of a row of a tile */

static constexpr int DOWN_X = 128; /* bytes of a tile */
static constexpr int DOWN_Y = 16;  /* outputs of a tile */
static constexpr int VECTOR = 16;

static_assert(3 * SPAN + 3 <= SPAN_BYTES && SPAN % 4 == 0, "a span fits wherever it starts");
static_assert(ACROSS_X * ACROSS_Y / 4 == THREADS, "a thread per output and four rows");
static_assert(DOWN_X / VECTOR * DOWN_Y == THREADS, "a thread per vector");
static_assert(OUT_BYTES % 4 == 0 && DOWN_X % VECTOR == 0, "tiles start at words, at vectors");

typedef struct across_shared {
    uint32_t turned[ACROSS_Y / 4][SPAN_BYTES]; /* byte column i of four rows */
    uint32_t out[ACROSS_Y / 4][OUT_BYTES];     /* the same of the results */
} across_shared;

static_assert(sizeof(across_shared) == 26112, "26 KB: eight blocks on 227 KB");

typedef struct resize_args {
    uint8_t               *y;
    const uint8_t         *pixels;
    const int32_t         *tables;
    const ccu_resize_item *items;
    uint8_t               *middle;
    int32_t                S;
    int32_t                last; /* whether this launch makes y */
} resize_args;

/* One pass over one picture: bytes from, to, and how far apart their rows are. */
typedef struct pass {
    const uint8_t *from;
    uint8_t       *to;
    size_t         from_stride, to_stride; /* from_stride is a multiple of 16 */
    const int32_t *first, *taps, *weights; /* (S), (S), (most taps, S) */
    int32_t        columns;                /* bytes of a row (down), of outputs (across) */
    int32_t        rows;                   /* outputs (down), of the picture (across) */
    int32_t        S;
} pass;

__device__ __forceinline__ uint32_t round_byte(int32_t sum) {
    return (uint32_t)min(max(sum >> CCU_RESAMPLE_BITS, 0), 255);
}

__device__ __forceinline__ int32_t byte_of(uint32_t word, int i) {
    return (int32_t)(word >> (8 * i) & 255u);
}

/* The first count bytes of words to `to`; in one piece if there are as many and to is aligned. */
template <int WORDS>
__device__ __forceinline__ void store_bytes(uint8_t *to, const uint32_t (&word)[WORDS],
                                            int32_t count, bool aligned) {
    if (aligned && count >= 4 * WORDS) {
        if constexpr (WORDS == 4) {
            *reinterpret_cast<uint4 *>(to) = make_uint4(word[0], word[1], word[2], word[3]);
        } else {
            UNROLL for (int i = 0; i < WORDS; i++) {
                reinterpret_cast<uint32_t *>(to)[i] = word[i];
            }
        }
        return;
    }
    UNROLL for (int i = 0; i < 4 * WORDS; i++) {
        if (i < count) { to[i] = (uint8_t)byte_of(word[i / 4], i % 4); }
    }
}

/* ---- Across --------------------------------------------------------------------------------- */

/* Words of four rows become words of four byte columns, or the other way round. */
__device__ __forceinline__ uint4 turn(const uint32_t (&row)[4]) {
    uint32_t column[4];
    UNROLL for (int i = 0; i < 4; i++) {
        column[i] = (uint32_t)byte_of(row[0], i) | (uint32_t)byte_of(row[1], i) << 8 |
                    (uint32_t)byte_of(row[2], i) << 16 | (uint32_t)byte_of(row[3], i) << 24;
    }
    return make_uint4(column[0], column[1], column[2], column[3]);
}

__device__ __forceinline__ uint32_t pack(const int32_t *sum) {
    return round_byte(sum[0]) | round_byte(sum[1]) << 8 | round_byte(sum[2]) << 16 |
           round_byte(sum[3]) << 24;
}

/* Bytes start .. start + count - 1 (start is a multiple of 4) of rows y0 .. y0 + 7. */
__device__ __forceinline__ void stage_span(across_shared *shared, const pass &p, int32_t y0,
                                           size_t start, int32_t count) {
    const int32_t words = (count + 3) / 4;
    for (int32_t i = (int32_t)threadIdx.x; i < words * (ACROSS_Y / 4); i += THREADS) {
        const int32_t group = i >= words ? 1 : 0;
        const int32_t at    = 4 * (i - group * words); /* byte column */
        uint32_t      row[4];
        UNROLL for (int r = 0; r < 4; r++) {
            const int32_t  y    = y0 + 4 * group + r;
            const uint8_t *from = p.from + (size_t)y * p.from_stride + start + (size_t)at;
            row[r] = y < p.rows ? *reinterpret_cast<const uint32_t *>(from) : 0;
        }
        *reinterpret_cast<uint4 *>(&shared->turned[group][at]) = turn(row);
    }
}

/* Adds the taps of one output that lie in the span begin .. end - 1, whose first byte column is
 * column[lead]. */
__device__ __forceinline__ void sum_span(int32_t (&sum)[3][4], const uint32_t *column,
                                         int32_t first, int32_t taps, int32_t begin, int32_t end,
                                         const int32_t *weights, int32_t S) {
    const int32_t from = max(first, begin), to = min(first + taps, end);
    const int32_t *w   = weights + (size_t)(from - first) * (size_t)S;
    for (int32_t at = from; at < to; at++) {
        const int32_t weight = *w;
        UNROLL for (int c = 0; c < 3; c++) {
            const uint32_t word = column[3 * (at - begin) + c];
            UNROLL for (int r = 0; r < 4; r++) { sum[c][r] += weight * byte_of(word, r); }
        }
        w += S;
    }
}

/* What is in shared->out goes to its rows. */
__device__ __forceinline__ void store_tile(const across_shared *shared, const pass &p, int32_t x0,
                                           int32_t y0) {
    const bool    aligned = p.to_stride % 4 == 0;
    const int32_t words   = OUT_BYTES / 4;
    for (int32_t i = (int32_t)threadIdx.x; i < words * (ACROSS_Y / 4); i += THREADS) {
        const int32_t  group = i >= words ? 1 : 0;
        const int32_t  at    = 4 * (i - group * words); /* byte column */
        const uint4    v     = *reinterpret_cast<const uint4 *>(&shared->out[group][at]);
        const uint32_t column[4] = {v.x, v.y, v.z, v.w};
        const uint4    rows      = turn(column);
        const uint32_t row[4]    = {rows.x, rows.y, rows.z, rows.w};
        UNROLL for (int r = 0; r < 4; r++) {
            const int32_t y = y0 + 4 * group + r;
            if (y < p.rows) {
                const uint32_t word[1] = {row[r]};
                store_bytes(p.to + (size_t)y * p.to_stride + (size_t)(3 * x0 + at), word,
                            p.columns - 3 * x0 - at, aligned);
            }
        }
    }
}

/* Outputs x0 .. x0 + 63 of rows y0 .. y0 + 7. Barriers: all threads, one count of spans. */
__device__ __forceinline__ void across_tile(across_shared *shared, const pass &p, int32_t x0,
                                            int32_t y0) {
    const int32_t lane  = (int32_t)threadIdx.x % ACROSS_X; /* output of the tile */
    const int32_t group = (int32_t)threadIdx.x / ACROSS_X; /* rows 4 group .. 4 group + 3 */
    const int32_t x     = min(x0 + lane, p.S - 1);
    const int32_t final = min(x0 + ACROSS_X, p.S) - 1;
    const int32_t first = p.first[x], taps = p.taps[x];
    const int32_t lowest = p.first[x0], end = p.first[final] + p.taps[final];
    const int32_t lead = 3 * lowest % 4; /* spans start at whole words */
    int32_t       sum[3][4];
    UNROLL for (int i = 0; i < 12; i++) { sum[i / 4][i % 4] = 1 << (CCU_RESAMPLE_BITS - 1); }

    for (int32_t begin = lowest; begin < end; begin += SPAN) {
        const int32_t count = min(SPAN, end - begin);
        stage_span(shared, p, y0, 3 * (size_t)begin - (size_t)lead, 3 * count + lead);
        __syncthreads(); /* 1: the span is there */
        sum_span(sum, shared->turned[group] + lead, first, taps, begin, begin + count,
                 p.weights + x, p.S);
        __syncthreads(); /* 2: nobody reads it any more */
    }
    UNROLL for (int c = 0; c < 3; c++) { shared->out[group][3 * lane + c] = pack(sum[c]); }
    __syncthreads(); /* 3: results are there; the next tile's barrier 1 keeps them until read */
    store_tile(shared, p, x0, y0);
}

/* ---- Down ----------------------------------------------------------------------------------- */

/* Bytes x0 .. x0 + 127 of outputs y0 .. y0 + 15. */
__device__ __forceinline__ void down_tile(const pass &p, int32_t x0, int32_t y0) {
    const int32_t at = x0 + (int32_t)threadIdx.x % (DOWN_X / VECTOR) * VECTOR;
    const int32_t y  = y0 + (int32_t)threadIdx.x / (DOWN_X / VECTOR);
    if (at >= p.columns || y >= p.rows) { return; }
    const int32_t *w    = p.weights + y;
    const int32_t  taps = p.taps[y];
    const uint8_t *from = p.from + (size_t)p.first[y] * p.from_stride + (size_t)at;
    int32_t        sum[VECTOR];
    UNROLL for (int i = 0; i < VECTOR; i++) { sum[i] = 1 << (CCU_RESAMPLE_BITS - 1); }
    for (int32_t t = 0; t < taps; t++) {
        const uint4    v       = *reinterpret_cast<const uint4 *>(from);
        const int32_t  weight  = *w;
        const uint32_t word[4] = {v.x, v.y, v.z, v.w};
        UNROLL for (int i = 0; i < VECTOR; i++) {
            sum[i] += weight * byte_of(word[i / 4], i % 4);
        }
        from += p.from_stride;
        w += p.S;
    }
    const uint32_t out[4] = {pack(sum), pack(sum + 4), pack(sum + 8), pack(sum + 12)};
    store_bytes(p.to + (size_t)y * p.to_stride + (size_t)at, out, p.columns - at,
                p.to_stride % VECTOR == 0);
}

/* ---- Launch --------------------------------------------------------------------------------- */

__device__ __forceinline__ size_t row_bytes(int32_t pixels) {
    return ((size_t)pixels * 3 + CCU_RESAMPLE_ALIGN - 1) / CCU_RESAMPLE_ALIGN * CCU_RESAMPLE_ALIGN;
}

/* The pass of this launch; false if the item has none in it. across: which one it is. */
__device__ __forceinline__ bool find_pass(const resize_args &a, const ccu_resize_item &item,
                                          size_t b, pass *p, bool *across) {
    const bool    two    = item.passes >= CCU_PASSES_ACROSS_DOWN;
    const bool    second = two && a.last != 0;
    const int32_t S      = a.S;
    if (!two && a.last == 0) { return false; }
    *across = item.passes == CCU_PASSES_ACROSS ||
              item.passes == (second ? CCU_PASSES_DOWN_ACROSS : CCU_PASSES_ACROSS_DOWN);
    const int32_t *table = a.tables + (*across ? item.across : item.down);
    const int32_t  W     = second && !*across ? S : item.W; /* of what is read */
    const int32_t  H     = second && *across ? S : item.H;
    p->first             = table;
    p->taps              = table + S;
    p->weights           = table + 2 * (size_t)S;
    p->from              = second ? a.middle + item.middle : a.pixels + item.pixels;
    p->from_stride       = second ? row_bytes(W) : (size_t)item.stride;
    p->columns           = 3 * (*across ? S : W);
    p->rows              = *across ? H : S;
    p->to        = a.last != 0 ? a.y + b * (size_t)S * (size_t)S * 3 : a.middle + item.middle;
    p->to_stride = a.last != 0 ? 3 * (size_t)S : row_bytes(*across ? S : W);
    p->S         = S;
    return true;
}

/* Block (item, share): tiles share, share + shares, ... of the item's pass. */
__global__ __launch_bounds__(THREADS) void resize_crop_kernel(resize_args a) {
    SIMT_SHARED(across_shared, shared, [1]);
    const size_t          b    = blockIdx.x;
    const ccu_resize_item item = a.items[b];
    pass                  p;
    bool                  across;
    if (!find_pass(a, item, b, &p, &across)) { return; }
    const uint32_t tile_x = across ? 3 * ACROSS_X : DOWN_X; /* bytes */
    const uint32_t tile_y = across ? ACROSS_Y : DOWN_Y;
    const uint32_t wide   = ((uint32_t)p.columns + tile_x - 1) / tile_x;
    const uint32_t high   = ((uint32_t)p.rows + tile_y - 1) / tile_y;
    const uint64_t tiles  = (uint64_t)wide * high;
    for (uint64_t tile = blockIdx.y; tile < tiles; tile += gridDim.y) {
        const int32_t x0 = (int32_t)(tile % wide * tile_x), y0 = (int32_t)(tile / wide * tile_y);
        if (across) {
            across_tile(shared, p, x0 / 3, y0);
        } else {
            down_tile(p, x0, y0);
        }
    }
}

size_t ccu_cuda_resize_crop_scratch(ccu_backend *be, const ccu_resize_crop *op) {
    (void)be;
    return op->middle_bytes;
}

/* Blocks per item: enough to fill the device twice over with the eight that a multiprocessor holds,
 * as far as an item has tiles: 240 across and 84 down for 640 x 480 to 224. */
static unsigned shares(const ccu_cuda *cuda, int32_t B) {
    const unsigned wanted = ccu_cuda_blocks(16 * (size_t)cuda->facts.multiprocessors, (size_t)B);
    return wanted < 4 ? 4 : wanted > 256 ? 256 : wanted;
}

void ccu_cuda_resize_crop(ccu_backend *be, const ccu_resize_crop *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->B == 0) { return; }
    assert(op->B > 0 && op->S > 0 && op->S < 1 << 28);
    assert(op->y != NULL && op->pixels != NULL && op->tables != NULL && op->items != NULL);
    assert((uintptr_t)op->y % VECTOR == 0 && (uintptr_t)op->pixels % VECTOR == 0);
    assert(op->middle_bytes == 0 || op->scratch != NULL);
    const dim3      blocks((unsigned)op->B, shares(cuda, op->B));
    const simt_grid grid = ccu_cuda_grid(cuda, blocks, THREADS, 0);
    resize_args     args = {op->y, op->pixels, op->tables, op->items, op->scratch, op->S, 0};
    int             code = 0;
    if (op->middle_bytes > 0) {
        code = simt_launch("resize_crop middle", resize_crop_kernel, grid, args);
    }
    args.last = 1;
    if (code == 0) { code = simt_launch("resize_crop", resize_crop_kernel, grid, args); }
    ccu_cuda_result(cuda, code, "resize_crop: B %d S %d", op->B, op->S);
}
