/* device.h in host memory: what lets the whole CUDA backend run without a GPU. Everything is done
 * when a call returns. */
#include <stdio.h>
#include <string.h>

#include "simt.h"

extern "C" {
#include "base/memory.h"
#include "device.h"
}

struct ccu_device {
    ccu_device_facts facts;
};

clipcu_status ccu_device_open(int32_t index, void *stream, ccu_device **out, clipcu_error *error) {
    (void)stream;
    if (index != 0) {
        return ccu_fail(error, CLIPCU_ERR_CUDA, "cuda:%d: the emulator has one device", index);
    }
    ccu_device *device = (ccu_device *)ccu_alloc_zeroed(1, sizeof *device);
    if (device == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "emulated device"); }
    (void)snprintf(device->facts.name, sizeof device->facts.name, "emulated device");
    device->facts.capability       = 90;
    device->facts.multiprocessors  = 4;
    device->facts.shared_bytes_max = 227 * 1024;
    device->facts.l2_bytes         = (size_t)50 << 20;
    device->facts.memory_bytes     = (size_t)8 << 30;
    *out = device;
    return CLIPCU_OK;
}

void ccu_device_close(ccu_device *device) {
    ccu_free(device);
}

void ccu_device_enter(ccu_device *device) {
    (void)device;
}

void ccu_device_leave(ccu_device *device) {
    (void)device;
}

const ccu_device_facts *ccu_device_facts_of(const ccu_device *device) {
    return &device->facts;
}

const char *ccu_device_text(int code) {
    return code == 0 ? "no error" : "out of memory";
}

void *ccu_device_stream(ccu_device *device) {
    (void)device;
    return NULL;
}

int ccu_device_memory_free(ccu_device *device, size_t *bytes) {
    *bytes = device->facts.memory_bytes;
    return 0;
}

int ccu_device_alloc(ccu_device *device, size_t bytes, void **out) {
    (void)device;
    *out = simt::dev_malloc(bytes);
    return *out == NULL;
}

void ccu_device_free(ccu_device *device, void *memory) {
    (void)device;
    if (memory != NULL) { simt::dev_free(memory); }
}

int ccu_device_alloc_pinned(ccu_device *device, size_t bytes, void **out) {
    (void)device;
    *out = ccu_alloc(bytes);
    return *out == NULL;
}

void ccu_device_free_pinned(ccu_device *device, void *memory) {
    (void)device;
    ccu_free(memory);
}

int ccu_device_upload(ccu_device *device, void *to, const void *pinned, size_t bytes) {
    (void)device;
    memcpy(to, pinned, bytes);
    return 0;
}

int ccu_device_download(ccu_device *device, void *pinned, const void *from, size_t bytes) {
    (void)device;
    memcpy(pinned, from, bytes);
    return 0;
}

int ccu_device_copy(ccu_device *device, void *to, const void *from, size_t bytes) {
    (void)device;
    memmove(to, from, bytes);
    return 0;
}

int ccu_device_event_record(ccu_device *device, int32_t event) {
    (void)device;
    (void)event;
    return 0;
}

int ccu_device_event_wait(ccu_device *device, int32_t event) {
    (void)device;
    (void)event;
    return 0;
}

int ccu_device_elapsed(ccu_device *device, int32_t from, int32_t to, float *ms) {
    (void)device;
    (void)from;
    (void)to;
    *ms = 0.0f;
    return 0;
}

int ccu_device_sync(ccu_device *device) {
    (void)device;
    return 0;
}

int ccu_device_tensor_map(ccu_device *device, void *map, const void *base, int32_t element_bytes,
                          uint64_t width, uint64_t height, uint64_t row_bytes, uint32_t box_width,
                          uint32_t box_height, int32_t swizzle_bytes) {
    TensorMap tensor = {};
    (void)device;
    tensor.base    = (const unsigned char *)base;
    tensor.dim[0]  = width;
    tensor.dim[1]  = height;
    tensor.stride  = row_bytes;
    tensor.box[0]  = box_width;
    tensor.box[1]  = box_height;
    tensor.esize   = (uint32_t)element_bytes;
    tensor.swizzle = swizzle_bytes == 128 ? 1 : swizzle_bytes == 64 ? 2 : swizzle_bytes == 32 ? 3 : 0;
    memcpy(map, &tensor, sizeof tensor);
    return 0;
}

bool ccu_device_can_capture(const ccu_device *device) {
    (void)device;
    return false;
}

int ccu_device_capture_begin(ccu_device *device) {
    (void)device;
    return 1;
}

int ccu_device_capture_end(ccu_device *device, void **graph) {
    (void)device;
    *graph = NULL;
    return 1;
}

int ccu_device_graph_launch(ccu_device *device, void *graph) {
    (void)device;
    (void)graph;
    return 1;
}

void ccu_device_graph_free(ccu_device *device, void *graph) {
    (void)device;
    (void)graph;
}
