/* Conformance of simt_hopper.h: mbarrier phases, TMA boxes and swizzles, every form of wgmma,
 * proxy fences and register hand-over. sm_90a only.
 *
 * Products are of small integers, so they are exact; each is also compared with the plain formula
 * on the host, on a device as in the emulator, before its digest goes to the golden file. */
#include <string.h>

#include "gpu/conformance_parts.h"
#include "simt_hopper.h"

#define K_ALL 64 /* of the products: one line of 128 bytes */
#define A_ROWS 64
#define TILE_BYTES (64 * 128)

/* ---- Inputs --------------------------------------------------------------------------------- */

/* Integers -4 .. 4 that depend on row and column in no simple way. */
__device__ __forceinline__ int element(unsigned row, unsigned column, unsigned salt) {
    return (int)((row * 193u + column * 71u + row * column * 29u + salt * 37u) % 9u) - 4;
}

/* (rows, columns); column is k for A and for B K-major, transposed: row is k. */
template <class T>
__global__ __launch_bounds__(256) void fill_kernel(T *to, int rows, int columns, int salt,
                                                   int transposed) {
    for (int i = (int)threadIdx.x; i < rows * columns; i += 256) {
        const unsigned r = (unsigned)(i / columns), c = (unsigned)(i % columns);
        to[i] = from_f32<T>((float)(transposed ? element(c, r, (unsigned)salt)
                                               : element(r, c, (unsigned)salt)));
    }
}

static int host_element(unsigned row, unsigned column, unsigned salt) {
    return (int)((row * 193u + column * 71u + row * column * 29u + salt * 37u) % 9u) - 4;
}

template <class T>
static T *filled(conformance *c, int rows, int columns, int salt, bool transposed) {
    T *to = (T *)conformance_input(c, NULL, (size_t)rows * (size_t)columns * sizeof(T));
    if (simt_launch("fill", fill_kernel<T>, conformance_grid(c, 1, 256, 0), to, rows, columns,
                    salt, (int)transposed) != 0) {
        printf("conformance: fill did not launch\n");
        c->failures += 1;
    }
    return to;
}

/* c->words is D (rows, n) of A and B (n, K), salts 1 and 2. */
static void check_product(conformance *c, const char *name, int rows, int n) {
    for (int i = 0; i < rows * n; i++) {
        int   sum = 0;
        float got;
        memcpy(&got, &c->words[i], sizeof got);
        for (unsigned k = 0; k < K_ALL; k++) {
            sum += host_element((unsigned)(i / n), k, 1) * host_element((unsigned)(i % n), k, 2);
        }
        if (got != (float)sum) {
            printf("conformance %s: d[%d][%d] is %g, the product is %d\n", name, i / n, i % n,
                   (double)got, sum);
            c->failures += 1;
            return;
        }
    }
}

/* ---- mbarriers ------------------------------------------------------------------------------ */

/* Warp 0 hands numbers to warps 1 .. 3 through two slots, six times; `full` counts 32 arrivals,
 * `empty` three. A first wait for parity 1 passes at once. */
__global__ __launch_bounds__(128) void mbarrier_kernel(uint32_t *out) {
    SIMT_SHARED(uint64_t, bars, [4]);
    SIMT_SHARED(uint32_t, slot, [2][32]);
    const unsigned warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const smem_t   full = smem_addr(&bars[0]), empty = smem_addr(&bars[2]);
    uint32_t       sum  = 0;
    if (threadIdx.x == 0) {
        for (unsigned s = 0; s < 2; s++) {
            mbar_init(full + 8 * s, 32);
            mbar_init(empty + 8 * s, 3);
        }
        fence_mbar_init();
    }
    __syncthreads();
    for (unsigned i = 0; i < 6; i++) {
        const unsigned s = i % 2, parity = i / 2 % 2;
        if (warp == 0) {
            mbar_wait(empty + 8 * s, parity ^ 1);
            slot[s][lane] = i * 100 + lane;
            mbar_arrive(full + 8 * s);
        } else {
            mbar_wait(full + 8 * s, parity);
            sum = sum * 31 + slot[s][(lane + warp * 5) % 32];
            __syncwarp();
            if (lane == 0) { mbar_arrive(empty + 8 * s); }
        }
    }
    out[threadIdx.x] = sum;
}

/* ---- TMA ------------------------------------------------------------------------------------ */

/* The box as it lies in shared memory, three times: inside, over the right lower corner, over the
 * left upper one. */
__global__ __launch_bounds__(64) void tma_kernel(uint32_t *out,
                                                 const __grid_constant__ TensorMap map,
                                                 int box_bytes, int right, int lower) {
    SIMT_DYN_SHARED(uint32_t, tile);
    const smem_t base = smem_addr(tile), bar = base + 32768;
    const int    xs[3] = { 4, right, -3 }, ys[3] = { 3, lower, -2 };
    if (threadIdx.x == 0) {
        tma_prefetch(&map);
        mbar_init(bar, 1);
        fence_mbar_init();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        mbar_arrive_expect_tx(bar, 3 * (uint32_t)box_bytes);
        UNROLL for (int i = 0; i < 3; i++) {
            tma_load_2d(base + (uint32_t)(i * box_bytes), &map, xs[i], ys[i], bar);
        }
    }
    mbar_wait(bar, 0);
    for (int i = (int)threadIdx.x; i < 3 * box_bytes / 4; i += 64) { out[i] = tile[i]; }
}

typedef struct tma_case {
    const char *name;
    int32_t     element_bytes, box_width, box_height, swizzle_bytes;
} tma_case;

static const tma_case tma_cases[] = {
    { "tma_plain", 2, 40, 16, 0 },       { "tma_swizzle_32", 2, 16, 32, 32 },
    { "tma_swizzle_64", 2, 32, 16, 64 }, { "tma_swizzle_128", 2, 64, 16, 128 },
};

static void tma(conformance *c) {
    enum { HEIGHT = 45, WIDTH = 85, ROW_BYTES = 176 };
    static uint8_t matrix[HEIGHT * ROW_BYTES];
    for (size_t i = 0; i < sizeof matrix; i++) { matrix[i] = (uint8_t)(i * 7 + i / 256 * 13 + 1); }
    for (size_t i = 0; i < sizeof tma_cases / sizeof tma_cases[0]; i++) {
        const tma_case *t         = &tma_cases[i];
        const int32_t   box_bytes = t->box_width * t->box_height * t->element_bytes;
        const size_t    words     = 3 * (size_t)box_bytes / 4;
        TensorMap       map;
        void     *in   = conformance_input(c, matrix, sizeof matrix);
        uint32_t *out  = (uint32_t *)conformance_input(c, NULL, words * sizeof *out);
        int       code = ccu_device_tensor_map(c->device, &map, in, t->element_bytes, WIDTH, HEIGHT,
                                               ROW_BYTES, (uint32_t)t->box_width,
                                               (uint32_t)t->box_height, t->swizzle_bytes);
        if (code == 0) {
            code = simt_launch("tma", tma_kernel, conformance_grid(c, 1, 64, 32768 + 8), out, map,
                               box_bytes, WIDTH - t->box_width / 2 - 1,
                               HEIGHT - t->box_height / 2 - 1);
        }
        if (conformance_result(c, t->name, code, out, words)) {
            conformance_exact(c, t->name, words);
        }
        conformance_release(c, in);
    }
}

/* ---- wgmma ---------------------------------------------------------------------------------- */

template <int N>
__device__ __forceinline__ void store_product(uint32_t *out, const float (&d)[N / 2]) {
    const unsigned lane = threadIdx.x % WARP, row = threadIdx.x / WARP * 16 + lane / 4;
    UNROLL for (unsigned j = 0; j < N / 8; j++) {
        UNROLL for (unsigned e = 0; e < 4; e++) {
            out[(row + 8 * (e / 2)) * N + 8 * j + 2 * (lane % 4) + e % 2] =
                bits_of_f32(d[4 * j + e]);
        }
    }
}

/* Operands by TMA, 128-byte swizzle. A from shared memory, or registers with FROM_REGISTERS. */
template <class T, int N, bool TRANSPOSED, bool FROM_REGISTERS>
__global__ __launch_bounds__(128) void wgmma_kernel(uint32_t *out, const T *a,
                                                    const __grid_constant__ TensorMap map_a,
                                                    const __grid_constant__ TensorMap map_b) {
    SIMT_DYN_SHARED(unsigned char, tiles);
    const smem_t   at_a = smem_addr(tiles), at_b = at_a + TILE_BYTES;
    const smem_t   bar  = at_b + N * 128;
    const unsigned lane = threadIdx.x % WARP, row = threadIdx.x / WARP * 16 + lane / 4;
    float          d[N / 2];
    if (threadIdx.x == 0) {
        mbar_init(bar, 1);
        fence_mbar_init();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        mbar_arrive_expect_tx(bar, TILE_BYTES + N * 128);
        tma_load_2d(at_a, &map_a, 0, 0, bar);
        if (TRANSPOSED) {
            for (int n = 0; n < N; n += 64) {
                tma_load_2d(at_b + (uint32_t)(n * 128), &map_b, n, 0, bar);
            }
        } else {
            tma_load_2d(at_b, &map_b, 0, 0, bar);
        }
    }
    mbar_wait(bar, 0);
    uint32_t pairs[K_ALL / 16][4];
    UNROLL for (unsigned k = 0; k < K_ALL / 16; k++) {
        UNROLL for (unsigned i = 0; i < 4; i++) {
            pairs[k][i] = !FROM_REGISTERS ? 0
                : *reinterpret_cast<const uint32_t *>(&a[(row + i % 2 * 8) * K_ALL + k * 16 +
                                                         i / 2 * 8 + lane % 4 * 2]);
        }
    }
    wgmma_fence();
    UNROLL for (unsigned k = 0; k < K_ALL / 16; k++) {
        const uint64_t b = TRANSPOSED
            ? wgmma_desc_mn_major(at_b, TILE_BYTES) + k * WGMMA_NEXT_MN
            : wgmma_desc_k_major(at_b) + k * WGMMA_NEXT_K;
        if (FROM_REGISTERS) {
            wgmma_rs<T, N, TRANSPOSED>(d, pairs[k], b, k > 0);
        } else {
            wgmma_ss<T, N, TRANSPOSED>(d, wgmma_desc_k_major(at_a) + k * WGMMA_NEXT_K, b, k > 0);
        }
    }
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_hold(d);
    store_product<N>(out, d);
}

template <class T, int N, bool TRANSPOSED, bool FROM_REGISTERS>
static void wgmma_case(conformance *c, const char *type) {
    TensorMap map_a, map_b;
    char      name[64];
    (void)snprintf(name, sizeof name, "wgmma_%s_n%d_%s_%s", FROM_REGISTERS ? "rs" : "ss", N, type,
                   TRANSPOSED ? "mn_major" : "k_major");
    T        *a   = filled<T>(c, A_ROWS, K_ALL, 1, false);
    T        *b   = TRANSPOSED ? filled<T>(c, K_ALL, N, 2, true) : filled<T>(c, N, K_ALL, 2, false);
    uint32_t *out = (uint32_t *)conformance_input(c, NULL, (size_t)A_ROWS * N * sizeof *out);
    int code = ccu_device_tensor_map(c->device, &map_a, a, 2, K_ALL, A_ROWS, K_ALL * 2, 64, 64,
                                     128);
    if (code == 0) {
        code = TRANSPOSED ? ccu_device_tensor_map(c->device, &map_b, b, 2, N, K_ALL, N * 2, 64, 64,
                                                  128)
                          : ccu_device_tensor_map(c->device, &map_b, b, 2, K_ALL, N, K_ALL * 2, 64,
                                                  N, 128);
    }
    if (code == 0) {
        code = simt_launch("wgmma", wgmma_kernel<T, N, TRANSPOSED, FROM_REGISTERS>,
                           conformance_grid(c, 1, 128, TILE_BYTES + N * 128 + 8), out, (const T *)a,
                           map_a, map_b);
    }
    if (conformance_result(c, name, code, out, (size_t)A_ROWS * N)) {
        check_product(c, name, A_ROWS, N);
        conformance_exact(c, name, conformance_digest(c, A_ROWS, N));
    }
    conformance_release(c, a);
    conformance_release(c, b);
}

template <class T> static void wgmma(conformance *c, const char *type) {
    wgmma_case<T, 64, false, false>(c, type);
    wgmma_case<T, 64, true, false>(c, type);
    wgmma_case<T, 64, false, true>(c, type);
    wgmma_case<T, 64, true, true>(c, type);
    wgmma_case<T, 128, false, false>(c, type);
    wgmma_case<T, 128, true, false>(c, type);
    wgmma_case<T, 128, false, true>(c, type);
    wgmma_case<T, 128, true, true>(c, type);
    wgmma_case<T, 256, false, false>(c, type);
    wgmma_case<T, 256, true, false>(c, type);
    wgmma_case<T, 256, false, true>(c, type);
    wgmma_case<T, 256, true, true>(c, type);
}

/* ---- Ordinary stores, accumulation across groups -------------------------------------------- */

/* Both operands written by ordinary stores in the swizzled order, behind a proxy fence; two groups
 * in flight, the second adding to what the first left. */
__global__ __launch_bounds__(128) void stored_kernel(uint32_t *out, const ccu_bf16 *a,
                                                     const ccu_bf16 *b) {
    SIMT_DYN_SHARED(unsigned char, tiles);
    const smem_t at_a = smem_addr(tiles), at_b = at_a + TILE_BYTES;
    float        d[32];
    for (int i = (int)threadIdx.x; i < 64 * K_ALL; i += 128) {
        const int r = i / K_ALL, k = i % K_ALL, at = r * 64 + ((k / 8 ^ r % 8) * 8 | k % 8);
        reinterpret_cast<ccu_bf16 *>(tiles)[at]              = a[i];
        reinterpret_cast<ccu_bf16 *>(tiles + TILE_BYTES)[at] = b[i];
    }
    fence_proxy_async();
    __syncthreads();
    wgmma_fence();
    UNROLL for (unsigned k = 0; k < K_ALL / 16; k++) {
        wgmma_ss<ccu_bf16, 64, false>(d, wgmma_desc_k_major(at_a) + k * WGMMA_NEXT_K,
                                      wgmma_desc_k_major(at_b) + k * WGMMA_NEXT_K, k > 0);
        if (k % 2 == 1) { wgmma_commit(); }
    }
    wgmma_wait<1>();
    wgmma_wait<0>();
    wgmma_hold(d);
    store_product<64>(out, d);
}

/* ---- Registers by role ---------------------------------------------------------------------- */

/* Warpgroup 0 loads and gives registers away; 1 and 2 take them and multiply 64 x 256 each. */
__global__ __launch_bounds__(384, 1) void roles_kernel(uint32_t *out,
                                                       const __grid_constant__ TensorMap map_a,
                                                       const __grid_constant__ TensorMap map_b) {
    SIMT_DYN_SHARED(unsigned char, tiles);
    const smem_t   at_a  = smem_addr(tiles), at_b = at_a + 2 * TILE_BYTES;
    const smem_t   bar   = at_b + 256 * 128;
    const unsigned group = threadIdx.x / WARPGROUP;
    if (threadIdx.x == 0) {
        mbar_init(bar, 1);
        fence_mbar_init();
    }
    __syncthreads();
    if (group == 0) {
        register_give<40>();
        if (threadIdx.x == 0) {
            mbar_arrive_expect_tx(bar, 2 * TILE_BYTES + 256 * 128);
            tma_load_2d(at_a, &map_a, 0, 0, bar);
            tma_load_2d(at_b, &map_b, 0, 0, bar);
        }
    } else {
        register_take<232>();
        const smem_t   mine = at_a + (group - 1) * TILE_BYTES;
        const unsigned lane = threadIdx.x % WARP, warp = threadIdx.x / WARP % 4;
        uint32_t      *to   = out + ((group - 1) * 64 + warp * 16 + lane / 4) * 256;
        float          d[128];
        mbar_wait(bar, 0);
        wgmma_fence();
        UNROLL for (unsigned k = 0; k < K_ALL / 16; k++) {
            wgmma_ss<ccu_bf16, 256, false>(d, wgmma_desc_k_major(mine) + k * WGMMA_NEXT_K,
                                           wgmma_desc_k_major(at_b) + k * WGMMA_NEXT_K, k > 0);
        }
        wgmma_commit();
        wgmma_wait<0>();
        wgmma_hold(d);
        UNROLL for (unsigned i = 0; i < 128; i++) {
            to[i % 4 / 2 * 8 * 256 + i / 4 * 8 + 2 * (lane % 4) + i % 2] = bits_of_f32(d[i]);
        }
    }
}

static void stored_and_roles(conformance *c) {
    ccu_bf16 *a    = filled<ccu_bf16>(c, 128, K_ALL, 1, false);
    ccu_bf16 *b    = filled<ccu_bf16>(c, 256, K_ALL, 2, false);
    uint32_t *out  = (uint32_t *)conformance_input(c, NULL, 64 * 64 * sizeof *out);
    int       code = simt_launch("stored", stored_kernel,
                                 conformance_grid(c, 1, 128, 2 * TILE_BYTES), out,
                                 (const ccu_bf16 *)a, (const ccu_bf16 *)b);
    if (conformance_result(c, "wgmma_stored", code, out, 64 * 64)) {
        check_product(c, "wgmma_stored", 64, 64);
        conformance_exact(c, "wgmma_stored", conformance_digest(c, 64, 64));
    }
    TensorMap map_a, map_b;
    out  = (uint32_t *)conformance_input(c, NULL, 128 * 256 * sizeof *out);
    code = ccu_device_tensor_map(c->device, &map_a, a, 2, K_ALL, 128, K_ALL * 2, 64, 128, 128);
    if (code == 0) {
        code = ccu_device_tensor_map(c->device, &map_b, b, 2, K_ALL, 256, K_ALL * 2, 64, 256, 128);
    }
    if (code == 0) {
        code = simt_launch("roles", roles_kernel,
                           conformance_grid(c, 1, 384, 2 * TILE_BYTES + 256 * 128 + 8), out, map_a,
                           map_b);
    }
    if (conformance_result(c, "roles", code, out, 128 * 256)) {
        check_product(c, "roles", 128, 256);
        conformance_exact(c, "roles", conformance_digest(c, 128, 256));
    }
    conformance_release(c, a);
    conformance_release(c, b);
}

void conformance_hopper(conformance *c) {
    uint32_t *out  = (uint32_t *)conformance_input(c, NULL, 128 * sizeof *out);
    const int code = simt_launch("mbarrier", mbarrier_kernel, conformance_grid(c, 1, 128, 0), out);
    if (conformance_result(c, "mbarrier", code, out, 128)) {
        conformance_exact(c, "mbarrier", 128);
    }
    tma(c);
    wgmma<ccu_f16>(c, "f16");
    wgmma<ccu_bf16>(c, "bf16");
    stored_and_roles(c);
}
