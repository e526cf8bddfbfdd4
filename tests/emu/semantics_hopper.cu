/* TMA's boxes and wgmma's operand layouts against naive copies and products; see semantics.h. */
#include "emu/semantics.h"

#include <stdio.h>

#include "simt_hopper.h"

extern "C" {
#include "device.h"
}

static constexpr int K = 64; /* of every product: one to four tiles, by the swizzle */

/* ---- wgmma: a K-major, b K-major or MN-major, every swizzle ---------------------------------- */

struct layout {
    uint32_t swizzle;     /* bytes; 0: pieces of 16 bytes */
    uint32_t line;        /* bytes of a line: the swizzle's width or 16 */
    uint64_t mode;        /* of a descriptor */
    uint32_t a, b, bar;   /* offsets in shared memory */
};

static layout layout_of(uint32_t swizzle, int columns) {
    const uint64_t mode = swizzle == 128 ? 1 : swizzle == 64 ? 2 : swizzle == 32 ? 3 : 0;
    const uint32_t b    = 64 * K * 2;
    return { swizzle, swizzle == 0 ? 16 : swizzle, mode, 0, b, b + (uint32_t)columns * K * 2 };
}

/* K-major: the tile is cut into lines of k; each cut holds all rows. The descriptor of step k. */
__device__ static uint64_t k_major(const layout &l, smem_t tile, uint32_t rows, uint32_t k) {
    const uint32_t wide = l.line / 2, cut = rows * l.line;
    const smem_t   at = tile + k / wide * cut + k % wide * 2;
    return (uint64_t)(at >> 4) | (uint64_t)(cut >> 4) << 16 | (uint64_t)(8 * l.line >> 4) << 32 |
           l.mode << 62;
}

/* MN-major: the tile is cut into lines of columns; each cut holds all k. */
__device__ static uint64_t mn_major(const layout &l, smem_t tile, uint32_t k) {
    const uint32_t cut = K * l.line, eight = 8 * l.line;
    const smem_t   at      = tile + k * l.line;
    const uint32_t leading = l.mode == 0 ? eight : cut, stride = l.mode == 0 ? cut : eight;
    return (uint64_t)(at >> 4) | (uint64_t)(leading >> 4) << 16 | (uint64_t)(stride >> 4) << 32 |
           l.mode << 62;
}

template <class T, int N, bool MN>
__global__ void layout_kernel(const __grid_constant__ TensorMap map_a,
                              const __grid_constant__ TensorMap map_b, float *y, layout l) {
    SIMT_DYN_SHARED(unsigned char, shared);
    const smem_t   a = smem_addr(shared) + l.a, b = smem_addr(shared) + l.b;
    const smem_t   bar = smem_addr(shared) + l.bar;
    const int      t = (int)threadIdx.x, wide = (int)l.line / 2;
    float          d[N / 2] = {};
    if (t == 0) {
        mbar_init(bar, 1);
        fence_mbar_init();
        mbar_arrive_expect_tx(bar, (64 + N) * K * 2);
        for (int cut = 0; cut < K / wide; cut++) {
            tma_load_2d(a + (smem_t)cut * 64 * l.line, &map_a, cut * wide, 0, bar);
        }
        for (int cut = 0; cut < (MN ? N : K) / wide; cut++) {
            tma_load_2d(b + (smem_t)cut * (MN ? K : N) * l.line, &map_b, cut * wide, 0, bar);
        }
    }
    __syncthreads();
    mbar_wait(bar, 0);
    wgmma_fence();
    for (uint32_t k = 0; k < K; k += 16) {
        wgmma_ss<T, N, MN>(d, k_major(l, a, 64, k), MN ? mn_major(l, b, k) : k_major(l, b, N, k),
                           k > 0);
    }
    wgmma_commit();
    wgmma_wait<0>();
    for (int i = 0; i < N / 2; i++) {
        const int row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8;
        y[row * N + i / 4 * 8 + t % 4 * 2 + i % 2] = d[i];
    }
}

struct matrices {
    ccu_device *device;
    void       *a, *b, *y; /* a (64, K), b (N, K) or (K, N), y (64, N) */
};

/* Small integers: products and sums are exact in every dtype. */
static float value(int i, int step) {
    return (float)(i * step % 13 - 6);
}

template <class T, int N, bool MN> static int check_layout(matrices *m, uint32_t swizzle) {
    const layout   l    = layout_of(swizzle, N);
    const uint32_t wide = l.line / 2;
    TensorMap      map_a, map_b;
    int            wrong = 0;
    for (int i = 0; i < 64 * K; i++) { ((T *)m->a)[i] = from_f32<T>(value(i, 7)); }
    for (int i = 0; i < N * K; i++) { ((T *)m->b)[i] = from_f32<T>(value(i, 5)); }
    wrong += ccu_device_tensor_map(m->device, &map_a, m->a, 2, K, 64, K * 2, wide, 64,
                                   (int32_t)swizzle);
    wrong += ccu_device_tensor_map(m->device, &map_b, m->b, 2, MN ? N : K, MN ? K : N,
                                   (MN ? N : K) * 2, wide, MN ? K : N, (int32_t)swizzle);
    wrong += simt_launch("layout_kernel", layout_kernel<T, N, MN>,
                         simt_grid{ dim3(1), dim3(128), l.bar + 8, NULL }, map_a, map_b,
                         (float *)m->y, l);
    for (int i = 0; i < 64 * N; i++) {
        float want = 0.0f;
        for (int k = 0; k < K; k++) {
            want += value(i / N * K + k, 7) * value(MN ? k * N + i % N : i % N * K + k, 5);
        }
        wrong += ((float *)m->y)[i] != want;
    }
    printf("wgmma N %d, b %s-major, %u-byte swizzle: %d wrong\n", N, MN ? "MN" : "K", swizzle,
           wrong);
    return wrong;
}

static matrices open_matrices() {
    matrices m = {};
    int      code = ccu_device_open(0, NULL, &m.device, NULL);
    code += ccu_device_alloc(m.device, 64 * K * 2, &m.a);
    code += ccu_device_alloc(m.device, 256 * K * 2, &m.b);
    code += ccu_device_alloc(m.device, 64 * 256 * 4, &m.y);
    if (code != 0) { printf("no device\n"); }
    return m;
}

static void close_matrices(matrices *m) {
    ccu_device_free(m->device, m->a);
    ccu_device_free(m->device, m->b);
    ccu_device_free(m->device, m->y);
    ccu_device_close(m->device);
}

int semantics_of_wgmma() {
    matrices       m          = open_matrices();
    const uint32_t swizzles[] = { 0, 32, 64, 128 };
    int            wrong      = 0;
    for (uint32_t swizzle : swizzles) {
        wrong += check_layout<ccu_f16, 64, false>(&m, swizzle);
        wrong += check_layout<ccu_f16, 64, true>(&m, swizzle);
        wrong += check_layout<ccu_bf16, 128, true>(&m, swizzle);
    }
    wrong += check_layout<ccu_bf16, 128, false>(&m, 128);
    wrong += check_layout<ccu_f16, 256, false>(&m, 128);
    wrong += check_layout<ccu_bf16, 256, true>(&m, 128);
    close_matrices(&m);
    return wrong;
}

/* ---- TMA: a box over every edge of a matrix -------------------------------------------------- */

static constexpr int WIDTH = 21, HEIGHT = 13, ROW = 24, BOX = 16, BOX_ROWS = 24;

__global__ void box_kernel(const __grid_constant__ TensorMap map, uint16_t *y, int at_x, int at_y) {
    SIMT_DYN_SHARED(unsigned char, shared);
    const smem_t to = smem_addr(shared), bar = to + BOX * BOX_ROWS * 2;
    if (threadIdx.x == 0) {
        mbar_init(bar, 1);
        fence_mbar_init();
        mbar_arrive_expect_tx(bar, BOX * BOX_ROWS * 2); /* all of the box, whatever is outside */
        tma_load_2d(to, &map, at_x, at_y, bar);
    }
    __syncthreads();
    mbar_wait(bar, 0);
    for (unsigned i = threadIdx.x; i < BOX * BOX_ROWS; i += blockDim.x) {
        y[i] = ((const uint16_t *)shared)[i];
    }
}

/* Where element i of a box of lines of `swizzle` bytes lies: 16-byte pieces trade places in a line,
 * by the number of the 128-byte line, of as many bits as the line has pieces. */
static int place(int i, int swizzle) {
    const int byte = 2 * i;
    if (swizzle == 0) { return i; }
    return (byte ^ (byte / 128 % (swizzle / 16)) * 16) / 2;
}

static int check_box(ccu_device *device, const uint16_t *x, uint16_t *y, int at_x, int at_y,
                     int swizzle) {
    TensorMap map;
    int       wrong = ccu_device_tensor_map(device, &map, x, 2, WIDTH, HEIGHT, ROW * 2, BOX,
                                            BOX_ROWS, swizzle);
    wrong += simt_launch("box_kernel", box_kernel,
                         simt_grid{ dim3(1), dim3(32), BOX * BOX_ROWS * 2 + 8, NULL }, map, y, at_x,
                         at_y);
    for (int i = 0; i < BOX * BOX_ROWS; i++) {
        const int  column = at_x + i % BOX, row = at_y + i / BOX;
        const bool inside = column >= 0 && column < WIDTH && row >= 0 && row < HEIGHT;
        wrong += y[place(i, swizzle)] != (inside ? x[row * ROW + column] : 0);
    }
    printf("TMA box at %d, %d, %d-byte swizzle: %d wrong\n", at_x, at_y, swizzle, wrong);
    return wrong;
}

int semantics_of_tma() {
    ccu_device *device = NULL;
    void       *x = NULL, *y = NULL;
    int         wrong = ccu_device_open(0, NULL, &device, NULL);
    wrong += ccu_device_alloc(device, ROW * HEIGHT * 2, &x);
    wrong += ccu_device_alloc(device, BOX * BOX_ROWS * 2, &y);
    for (int i = 0; i < ROW * HEIGHT; i++) { ((uint16_t *)x)[i] = (uint16_t)(i + 1); }
    const int swizzles[] = { 0, 32, 64, 128 };
    const int places[]   = { -7, 0, 3, 12, 40 };
    for (int i = 0; i < 4 * 5 * 5; i++) {
        wrong += check_box(device, (const uint16_t *)x, (uint16_t *)y, places[i / 5 % 5],
                           places[i % 5], swizzles[i / 25]);
    }
    ccu_device_free(device, x);
    ccu_device_free(device, y);
    ccu_device_close(device);
    return wrong;
}

/* ---- mbarriers: parities of phases ----------------------------------------------------------- */

__global__ void phases_kernel(int *y) {
    SIMT_SHARED(uint64_t, word, [1]);
    const smem_t bar = smem_addr(word);
    if (threadIdx.x == 0) { mbar_init(bar, 32); }
    __syncthreads();
    mbar_wait(bar, 1); /* a new barrier counts as one whose odd phase is over */
    for (uint32_t phase = 0; phase < 5; phase++) {
        mbar_arrive(bar);
        mbar_wait(bar, phase & 1);
    }
    y[threadIdx.x] = 5;
}

int semantics_of_mbarriers() {
    ccu_device *device = NULL;
    void       *y      = NULL;
    int         wrong  = ccu_device_open(0, NULL, &device, NULL);
    wrong += ccu_device_alloc(device, 32 * sizeof(int), &y);
    wrong += simt_launch("phases_kernel", phases_kernel, simt_grid{ dim3(1), dim3(32), 0, NULL },
                         (int *)y);
    for (int i = 0; i < 32; i++) { wrong += ((int *)y)[i] != 5; }
    printf("phases of an mbarrier: %d wrong\n", wrong);
    ccu_device_free(device, y);
    ccu_device_close(device);
    return wrong;
}
