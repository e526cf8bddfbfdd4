/* What tests can ask of the emulated device beyond kernels/device.h: to fail, and to be small.
 * It holds for all devices of the process from the call on. */
#ifndef CCU_EMU_DEVICE_EMU_H
#define CCU_EMU_DEVICE_EMU_H

#include <stddef.h>
#include <stdint.h>

#if defined(__cplusplus)
extern "C" {
#endif

typedef enum device_emu_call {
    DEVICE_EMU_ALLOC,
    DEVICE_EMU_ALLOC_PINNED,
    DEVICE_EMU_COPY, /* upload, download, copy */
    DEVICE_EMU_LAUNCH,
    DEVICE_EMU_SYNC,
    DEVICE_EMU_CAPTURE, /* begin and end */
    DEVICE_EMU_GRAPH_LAUNCH,
    DEVICE_EMU_CALLS
} device_emu_call;

/* The n-th such call from now on fails, once; 1 is the next. 0: none does. */
void device_emu_fail(device_emu_call call, int32_t n);

/* Device memory; 0: 8 GiB, as at the start. */
void device_emu_set_memory(size_t bytes);

/* Bytes of device memory and of pinned memory in use: 0 when everything is closed. */
size_t device_emu_memory_used(void);
size_t device_emu_pinned_used(void);

#if defined(__cplusplus)
}
#endif

#endif
