/* The device as the backend sees it: memory, one stream, copies, graphs. Two implementations:
 * device_cuda.cu (CUDA runtime, on hardware) and tests/emu/device_emu.cpp (host memory, for running
 * the backend itself on a CPU). Nothing else calls the CUDA runtime, but for launches (simt.h) and
 * cuBLASLt (cublaslt.cu).
 *
 * Functions that return int give 0 or the device's error code; ccu_device_text() explains it. */
#ifndef CCU_KERNELS_DEVICE_H
#define CCU_KERNELS_DEVICE_H

#include <stdbool.h>

#include "base/kinds.h"
#include "base/status.h"

#define CCU_DEVICE_EVENTS 8

typedef struct ccu_device ccu_device;

typedef struct ccu_device_facts {
    char    name[96];
    int32_t capability;        /* 80, 86, 89, 90, ... */
    int32_t multiprocessors;
    int32_t driver, runtime;   /* 13000 = 13.0 */
    size_t  shared_bytes_max;  /* of one block, opted in */
    size_t  l2_bytes;
    size_t  memory_bytes;
} ccu_device_facts;

/* stream: the caller's cudaStream_t, borrowed; NULL: one of our own, non-blocking.
 * CUDA with a message that says what to do: no driver, driver too old, no device, no such index,
 * capability below 8.0. */
clipcu_status ccu_device_open(int32_t index, void *stream, ccu_device **out, clipcu_error *error);
void          ccu_device_close(ccu_device *device); /* NULL is a no-op */

/* Makes the device current for this thread, and what was current before current again. Entered as
 * often as one likes before leaving once; both are cheap. Launches need it (the functions below
 * enter themselves). */
void ccu_device_enter(ccu_device *device);
void ccu_device_leave(ccu_device *device);

const ccu_device_facts *ccu_device_facts_of(const ccu_device *device);
const char             *ccu_device_text(int code);
void                   *ccu_device_stream(ccu_device *device); /* as simt_grid.stream takes it */

int  ccu_device_memory_free(ccu_device *device, size_t *bytes);
int  ccu_device_alloc(ccu_device *device, size_t bytes, void **out); /* 256-byte aligned */
void ccu_device_free(ccu_device *device, void *memory);
int  ccu_device_alloc_pinned(ccu_device *device, size_t bytes, void **out); /* host memory */
void ccu_device_free_pinned(ccu_device *device, void *memory);

/* Queued on the stream. Host memory must be pinned and stay until the stream has passed. */
int ccu_device_upload(ccu_device *device, void *to, const void *pinned, size_t bytes);
int ccu_device_download(ccu_device *device, void *pinned, const void *from, size_t bytes);
int ccu_device_copy(ccu_device *device, void *to, const void *from, size_t bytes);

/* Events 0 .. CCU_DEVICE_EVENTS - 1: record queues one, wait blocks the host until the stream has
 * passed it (at once if it was never recorded), elapsed is the milliseconds from one to another. */
int ccu_device_event_record(ccu_device *device, int32_t event);
int ccu_device_event_wait(ccu_device *device, int32_t event);
int ccu_device_elapsed(ccu_device *device, int32_t from, int32_t to, float *ms);

/* Blocks until everything queued is done; the first error of anything asynchronous. */
int ccu_device_sync(ccu_device *device);

/* Fills *map (a TensorMap of simt_hopper.h: 128 bytes, 64-byte aligned) with what tma_load_2d needs
 * to copy boxes of a row-major matrix into shared memory: width x height elements of element_bytes,
 * rows row_bytes apart. base and row_bytes are multiples of 16; a box has at most 256 x 256
 * elements and its rows are a multiple of 16 bytes, at most swizzle_bytes where that is not 0. */
int ccu_device_tensor_map(ccu_device *device, void *map, const void *base, int32_t element_bytes,
                          uint64_t width, uint64_t height, uint64_t row_bytes, uint32_t box_width,
                          uint32_t box_height, int32_t swizzle_bytes /* 0, 32, 64 or 128 */);

/* CUDA graphs: everything queued between begin and end becomes *graph instead of running.
 * The emulator has none: can_capture is false there. */
bool ccu_device_can_capture(const ccu_device *device);
int  ccu_device_capture_begin(ccu_device *device);
int  ccu_device_capture_end(ccu_device *device, void **graph);
int  ccu_device_graph_launch(ccu_device *device, void *graph);
void ccu_device_graph_free(ccu_device *device, void *graph);

#endif
