/* device.h on the CUDA runtime, which is linked statically; the driver is looked for when a device
 * is opened, so that a binary with this backend starts on a machine without one. */
#include <assert.h>
#include <cuda.h>
#include <cuda_runtime.h>
#include <stdio.h>
#include <string.h>

extern "C" {
#include "base/memory.h"
#include "device.h"
}

#define CAPABILITY_MIN 80 /* bf16 mma.sync, cp.async */

/* What the runtime has no call for, taken from the driver. */
typedef struct driver {
    CUresult (*context_get)(CUcontext *context);
    CUresult (*context_set)(CUcontext context);
    decltype(&cuTensorMapEncodeTiled) tensor_map; /* NULL: a driver from before Hopper */
} driver;

struct ccu_device {
    ccu_device_facts facts;
    driver           calls;
    CUcontext        context; /* the device's primary one */
    CUcontext        caller;  /* what was current before enter; NULL may mean none */
    bool             entered; /* the caller's context was another one */
    int32_t          index;
    cudaStream_t     stream;
    bool             stream_owned;
    cudaEvent_t      events[CCU_DEVICE_EVENTS];
};

/* Asked whether this binary has code for the device. */
__global__ void device_code_kernel() {}

const char *ccu_device_text(int code) {
    return cudaGetErrorString((cudaError_t)code);
}

/* The runtime also remembers a failure; nobody is to find it there. */
static int code_of(cudaError_t error) {
    if (error != cudaSuccess) { (void)cudaGetLastError(); }
    return (int)error;
}

/* ---- The device that is current ------------------------------------------------------------- */

void ccu_device_enter(ccu_device *device) {
    CUcontext current = NULL;
    if (device->calls.context_get(&current) != CUDA_SUCCESS || current == device->context) {
        return;
    }
    device->caller  = current;
    device->entered = device->calls.context_set(device->context) == CUDA_SUCCESS;
}

void ccu_device_leave(ccu_device *device) {
    if (device->entered) { (void)device->calls.context_set(device->caller); } /* was good before */
    device->entered = false;
}

/* ---- Open ----------------------------------------------------------------------------------- */

static int entry_point(const char *name, int version, void **out) {
    cudaDriverEntryPointQueryResult found;
#if CUDART_VERSION >= 12050
    const cudaError_t error = cudaGetDriverEntryPointByVersion(name, out, (unsigned)version,
                                                               cudaEnableDefault, &found);
#else
    const cudaError_t error = cudaGetDriverEntryPoint(name, out, cudaEnableDefault, &found);
    (void)version;
#endif
    if (error == cudaSuccess && found != cudaDriverEntryPointSuccess) { *out = NULL; }
    return code_of(error);
}

static clipcu_status find_driver(ccu_device *device, clipcu_error *error) {
    void *get = NULL, *set = NULL, *map = NULL;
    int   code = entry_point("cuCtxGetCurrent", 4000, &get);
    if (code == 0) { code = entry_point("cuCtxSetCurrent", 4000, &set); }
    (void)entry_point("cuTensorMapEncodeTiled", 12000, &map); /* only one way wants it */
    if (code != 0 || get == NULL || set == NULL) {
        return ccu_fail(error, CLIPCU_ERR_CUDA, "cuda:%d: the driver lacks cuCtxSetCurrent: %s",
                        device->index, ccu_device_text(code));
    }
    memcpy(&device->calls.context_get, &get, sizeof get);
    memcpy(&device->calls.context_set, &set, sizeof set);
    memcpy(&device->calls.tensor_map, &map, sizeof map);
    return CLIPCU_OK;
}

/* cudaGetDeviceCount tells a missing driver from an old one by nothing. */
static clipcu_status check_count(int32_t index, ccu_device_facts *facts, clipcu_error *error) {
    int       count = 0, driver_version = 0;
    const int code = code_of(cudaGetDeviceCount(&count));
    (void)cudaDriverGetVersion(&driver_version); /* 0: none */
    facts->driver  = driver_version;
    facts->runtime = CUDART_VERSION;
    if (driver_version == 0) {
        return ccu_fail(error, CLIPCU_ERR_CUDA,
                        "cuda:%d: there is no NVIDIA driver on this machine", index);
    }
    if (code == (int)cudaErrorInsufficientDriver) {
        return ccu_fail(error, CLIPCU_ERR_CUDA,
                        "cuda:%d: the NVIDIA driver is for CUDA %d.%d, this build needs one for "
                        "%d.0 or later",
                        index, driver_version / 1000, driver_version % 1000 / 10,
                        CUDART_VERSION / 1000);
    }
    if (code == (int)cudaErrorNoDevice || (code == 0 && count == 0)) {
        return ccu_fail(error, CLIPCU_ERR_CUDA,
                        "cuda:%d: the NVIDIA driver shows no device (CUDA_VISIBLE_DEVICES may "
                        "hide them)",
                        index);
    }
    if (code != 0) {
        return ccu_fail(error, CLIPCU_ERR_CUDA, "cuda:%d: %s", index, ccu_device_text(code));
    }
    if (index < 0 || index >= count) {
        return ccu_fail(error, CLIPCU_ERR_CUDA, "cuda:%d: there is no such device; found %d, "
                                                "counted from cuda:0",
                        index, count);
    }
    return CLIPCU_OK;
}

static int32_t attribute(int32_t index, cudaDeviceAttr which) {
    int value = 0;
    (void)code_of(cudaDeviceGetAttribute(&value, which, index)); /* 0 then; all of these exist */
    return value;
}

static clipcu_status read_facts(int32_t index, ccu_device_facts *facts, clipcu_error *error) {
    cudaDeviceProp properties;
    const int      code = code_of(cudaGetDeviceProperties(&properties, index));
    if (code != 0) {
        return ccu_fail(error, CLIPCU_ERR_CUDA, "cuda:%d: %s", index, ccu_device_text(code));
    }
    (void)snprintf(facts->name, sizeof facts->name, "%.*s", (int)sizeof facts->name - 1,
                   properties.name);
    facts->capability       = properties.major * 10 + properties.minor;
    facts->multiprocessors  = properties.multiProcessorCount;
    facts->memory_bytes     = properties.totalGlobalMem;
    facts->l2_bytes         = (size_t)attribute(index, cudaDevAttrL2CacheSize);
    facts->shared_bytes_max = (size_t)attribute(index, cudaDevAttrMaxSharedMemoryPerBlockOptin);
    if (facts->capability < CAPABILITY_MIN) {
        return ccu_fail(error, CLIPCU_ERR_CUDA,
                        "cuda:%d: %s has compute capability %d.%d; %d.%d or later is needed", index,
                        facts->name, properties.major, properties.minor, CAPABILITY_MIN / 10,
                        CAPABILITY_MIN % 10);
    }
    return CLIPCU_OK;
}

/* The first call that takes memory and time: the device's context, then stream and events. */
static clipcu_status start(ccu_device *device, void *stream, clipcu_error *error) {
    cudaFuncAttributes code_found;
    int                code = code_of(cudaSetDevice(device->index));
    if (code == 0) { code = code_of(cudaFree(NULL)); }
    if (code == 0) { code = (int)device->calls.context_get(&device->context); }
    if (code == 0) {
        code = code_of(cudaFuncGetAttributes(&code_found, (const void *)device_code_kernel));
        if (code != 0) {
            return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                            "cuda:%d: this build has no code for %s (sm_%d): %s", device->index,
                            device->facts.name, device->facts.capability, ccu_device_text(code));
        }
    }
    if (code == 0 && stream == NULL) {
        code = code_of(cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking));
        device->stream_owned = code == 0;
    } else {
        device->stream = (cudaStream_t)stream;
    }
    for (int32_t i = 0; i < CCU_DEVICE_EVENTS && code == 0; i++) {
        code = code_of(cudaEventCreate(&device->events[i]));
    }
    if (code == 0) { return CLIPCU_OK; }
    return ccu_fail(error,
                    code == (int)cudaErrorMemoryAllocation ? CLIPCU_ERR_NOMEM : CLIPCU_ERR_CUDA,
                    "cuda:%d: %s does not start: %s", device->index, device->facts.name,
                    ccu_device_text(code));
}

clipcu_status ccu_device_open(int32_t index, void *stream, ccu_device **out, clipcu_error *error) {
    assert(out != NULL);
    *out               = NULL;
    ccu_device *device = (ccu_device *)ccu_alloc_zeroed(1, sizeof *device);
    if (device == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "cuda:%d: no memory for a device", index);
    }
    device->index        = index;
    clipcu_status status = check_count(index, &device->facts, error);
    if (status == CLIPCU_OK) { status = read_facts(index, &device->facts, error); }
    if (status == CLIPCU_OK) { status = find_driver(device, error); }
    if (status == CLIPCU_OK) {
        device->entered = device->calls.context_get(&device->caller) == CUDA_SUCCESS;
        status          = start(device, stream, error);
    }
    if (status != CLIPCU_OK) {
        ccu_device_close(device);
        return status;
    }
    device->entered = device->entered && device->caller != device->context;
    *out            = device;
    return CLIPCU_OK;
}

void ccu_device_close(ccu_device *device) {
    if (device == NULL) { return; }
    if (device->context != NULL) { ccu_device_enter(device); }
    for (int32_t i = 0; i < CCU_DEVICE_EVENTS; i++) {
        if (device->events[i] != NULL) { (void)cudaEventDestroy(device->events[i]); }
    }
    if (device->stream_owned) { (void)cudaStreamDestroy(device->stream); }
    ccu_device_leave(device);
    ccu_free(device);
}

const ccu_device_facts *ccu_device_facts_of(const ccu_device *device) {
    return &device->facts;
}

void *ccu_device_stream(ccu_device *device) {
    return device->stream;
}

/* ---- Memory and copies ---------------------------------------------------------------------- */

int ccu_device_memory_free(ccu_device *device, size_t *bytes) {
    size_t total = 0;
    *bytes       = 0;
    ccu_device_enter(device);
    return code_of(cudaMemGetInfo(bytes, &total));
}

int ccu_device_alloc(ccu_device *device, size_t bytes, void **out) {
    *out = NULL;
    ccu_device_enter(device);
    return code_of(cudaMalloc(out, bytes == 0 ? 1 : bytes));
}

void ccu_device_free(ccu_device *device, void *memory) {
    ccu_device_enter(device);
    (void)code_of(cudaFree(memory)); /* an earlier failure of the device was reported already */
}

int ccu_device_alloc_pinned(ccu_device *device, size_t bytes, void **out) {
    *out = NULL;
    ccu_device_enter(device);
    return code_of(cudaHostAlloc(out, bytes, cudaHostAllocDefault));
}

void ccu_device_free_pinned(ccu_device *device, void *memory) {
    ccu_device_enter(device);
    (void)code_of(cudaFreeHost(memory)); /* as above */
}

static int copy(ccu_device *device, void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    ccu_device_enter(device);
    return code_of(cudaMemcpyAsync(to, from, bytes, kind, device->stream));
}

int ccu_device_upload(ccu_device *device, void *to, const void *pinned, size_t bytes) {
    return copy(device, to, pinned, bytes, cudaMemcpyHostToDevice);
}

int ccu_device_download(ccu_device *device, void *pinned, const void *from, size_t bytes) {
    return copy(device, pinned, from, bytes, cudaMemcpyDeviceToHost);
}

int ccu_device_copy(ccu_device *device, void *to, const void *from, size_t bytes) {
    return copy(device, to, from, bytes, cudaMemcpyDeviceToDevice);
}

/* ---- Waiting -------------------------------------------------------------------------------- */

int ccu_device_event_record(ccu_device *device, int32_t event) {
    assert(event >= 0 && event < CCU_DEVICE_EVENTS);
    ccu_device_enter(device);
    return code_of(cudaEventRecord(device->events[event], device->stream));
}

int ccu_device_event_wait(ccu_device *device, int32_t event) {
    assert(event >= 0 && event < CCU_DEVICE_EVENTS);
    ccu_device_enter(device);
    return code_of(cudaEventSynchronize(device->events[event]));
}

int ccu_device_elapsed(ccu_device *device, int32_t from, int32_t to, float *ms) {
    assert(from >= 0 && from < CCU_DEVICE_EVENTS && to >= 0 && to < CCU_DEVICE_EVENTS);
    *ms = 0.0f;
    ccu_device_enter(device);
    return code_of(cudaEventElapsedTime(ms, device->events[from], device->events[to]));
}

int ccu_device_sync(ccu_device *device) {
    ccu_device_enter(device);
    return code_of(cudaStreamSynchronize(device->stream));
}

/* ---- Tensor maps ---------------------------------------------------------------------------- */

int ccu_device_tensor_map(ccu_device *device, void *map, const void *base, int32_t element_bytes,
                          uint64_t width, uint64_t height, uint64_t row_bytes, uint32_t box_width,
                          uint32_t box_height, int32_t swizzle_bytes) {
    const cuuint64_t dims[2] = {width, height}, strides[1] = {row_bytes};
    const cuuint32_t box[2] = {box_width, box_height}, steps[2] = {1, 1};
    /* Bits are moved, not numbers: a type of the right size does. */
    const CUtensorMapDataType type = element_bytes == 1   ? CU_TENSOR_MAP_DATA_TYPE_UINT8
                                     : element_bytes == 2 ? CU_TENSOR_MAP_DATA_TYPE_UINT16
                                                          : CU_TENSOR_MAP_DATA_TYPE_UINT32;
    const CUtensorMapSwizzle swizzle = swizzle_bytes == 128  ? CU_TENSOR_MAP_SWIZZLE_128B
                                       : swizzle_bytes == 64 ? CU_TENSOR_MAP_SWIZZLE_64B
                                       : swizzle_bytes == 32 ? CU_TENSOR_MAP_SWIZZLE_32B
                                                             : CU_TENSOR_MAP_SWIZZLE_NONE;
    assert(element_bytes == 1 || element_bytes == 2 || element_bytes == 4);
    if (device->calls.tensor_map == NULL) { return (int)cudaErrorNotSupported; }
    return (int)device->calls.tensor_map(
        (CUtensorMap *)map, type, 2, (void *)(uintptr_t)base, dims, strides, box, steps,
        CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
        CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

/* ---- Graphs --------------------------------------------------------------------------------- */

/* The legacy default stream is the only one that cannot be recorded. */
bool ccu_device_can_capture(const ccu_device *device) {
    return device->stream != cudaStreamLegacy;
}

/* Thread-local: what other threads do with the device meanwhile is none of our business. */
int ccu_device_capture_begin(ccu_device *device) {
    ccu_device_enter(device);
    return code_of(cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeThreadLocal));
}

int ccu_device_capture_end(ccu_device *device, void **graph) {
    cudaGraph_t     recorded = NULL;
    cudaGraphExec_t ready    = NULL;
    *graph                   = NULL;
    ccu_device_enter(device);
    int code = code_of(cudaStreamEndCapture(device->stream, &recorded));
    if (code == 0) { code = code_of(cudaGraphInstantiate(&ready, recorded, 0)); }
    if (recorded != NULL) { (void)code_of(cudaGraphDestroy(recorded)); } /* the other one is used */
    if (code == 0) { *graph = ready; }
    return code;
}

int ccu_device_graph_launch(ccu_device *device, void *graph) {
    ccu_device_enter(device);
    return code_of(cudaGraphLaunch((cudaGraphExec_t)graph, device->stream));
}

void ccu_device_graph_free(ccu_device *device, void *graph) {
    ccu_device_enter(device);
    (void)code_of(cudaGraphExecDestroy((cudaGraphExec_t)graph)); /* nobody uses it any more */
}
