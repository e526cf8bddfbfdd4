/* The Hopper vocabulary: what kernels for sm_90a use beside simt.h. Only they include it.
 *
 * nvcc gets PTX (simt_ptx_hopper.h), a C++ compiler the emulator (tests/emu/simt_emu_hopper.h).
 * Files that include it are built for compute_90a alone: wgmma and setmaxnreg exist nowhere else.
 *
 *   TensorMap                  128 opaque bytes, 64-byte aligned, made on the host by
 *                              ccu_device_tensor_map(); a kernel takes it as
 *                              const __grid_constant__ TensorMap
 *   mbar_init(bar, count)      then fence_mbar_init() and a block barrier before any use
 *   mbar_arrive(bar), mbar_arrive_expect_tx(bar, bytes)
 *   mbar_wait(bar, parity)     returns when the phase of that parity is over. The first phase has
 *                              parity 0; waiting for 1 on a new barrier returns at once
 *   fence_mbar_init(), fence_proxy_async()
 *                              the latter between ordinary writes to shared memory and wgmma's or
 *                              TMA's reads of them
 *   tma_prefetch(map)          brings the map itself into the cache
 *   tma_load_2d(to, map, x, y, bar)
 *                              one thread: the map's box at column x, row y, zeros outside the
 *                              matrix; completes all bytes of the box on bar
 *   wgmma_fence()              before the first wgmma after its registers were touched
 *   wgmma_ss<T, N, B_TRANSPOSED>(d, desc_a, desc_b, accumulate)
 *   wgmma_rs<T, N, B_TRANSPOSED>(d, a, desc_b, accumulate)
 *                              d (64 x N f32) = a (64 x 16) . b (16 x N) + (accumulate ? d : 0),
 *                              T ccu_f16 or ccu_bf16, N 64, 128 or 256; queued
 *   wgmma_commit(), wgmma_wait<N>()
 *                              all but the newest N groups are done
 *   wgmma_hold(d)              after the wait: keeps the compiler from reading d before it
 *   register_give<N>(), register_take<N>()
 *                              how many registers a thread of this warpgroup has from here on
 *
 * wgmma_* and register_* are executed by the 128 threads of a warpgroup together. d[4j + e] of lane
 * l in the warpgroup's warp w is row 16 w + l / 4 + 8 (e / 2), column 8 j + 2 (l % 4) + e % 2; an
 * a in registers is mma_16816's of the warp's 16 rows.
 *
 * Not yet run on hardware. */
#ifndef CCU_KERNELS_SIMT_HOPPER_H
#define CCU_KERNELS_SIMT_HOPPER_H

#include "simt.h"

#if defined(__CUDACC__)
#include "simt_ptx_hopper.h"
#else
#include "emu/simt_emu_hopper.h"
#endif

static constexpr unsigned WARPGROUP = 128;

/* ---- Operands in shared memory ------------------------------------------------------------------
 *
 * An operand tile is as TMA writes it with the 128-byte swizzle: lines of 128 bytes (64 elements of
 * 16 bits), the 16-byte pieces of line i in the order piece ^ (i % 8). The swizzle is a function of
 * address bits, so a tile starts at a multiple of 1024 bytes.
 *
 *   K-major   a line is a row (or a column of b) with 64 consecutive k.
 *   MN-major  a line is one k with 64 consecutive rows (columns of b): B_TRANSPOSED. Wider tiles
 *             are blocks of 64, next_block bytes apart. */

/* Added to a descriptor: the next 16 k. */
static constexpr uint64_t WGMMA_NEXT_K  = 16 * 2 / 16;   /* on in the line */
static constexpr uint64_t WGMMA_NEXT_MN = 16 * 128 / 16; /* 16 lines on */

/* Matrix descriptor: address, leading and stride offset in units of 16 bytes (14 bits each, at bits
 * 0, 16 and 32), base offset 0, swizzle mode 1 = 128 bytes at bit 62. */
__device__ __forceinline__ uint64_t wgmma_desc(smem_t at, uint32_t leading, uint32_t stride) {
    return (uint64_t)((at & 0x3ffffu) >> 4) | (uint64_t)(leading >> 4) << 16 |
           (uint64_t)(stride >> 4) << 32 | (uint64_t)1 << 62;
}

/* Eight lines are 1024 bytes; the leading offset has no meaning here (the manual: assumed 1). */
__device__ __forceinline__ uint64_t wgmma_desc_k_major(smem_t at) {
    return wgmma_desc(at, 16, 1024);
}

__device__ __forceinline__ uint64_t wgmma_desc_mn_major(smem_t at, uint32_t next_block) {
    return wgmma_desc(at, next_block, 1024);
}

#endif
