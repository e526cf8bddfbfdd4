/* device.h in host memory: what lets the whole CUDA backend run without a GPU.
 *
 * A stream is as late as it may be: what is queued runs when somebody waits for it, so that pinned
 * memory that is reused too early is noticed. SIMT_ASYNC=1 runs everything at once.
 * SIMT_DEVICE=80, 86, 89 or 90 (the default) says which chip the facts are of. */
#include "emu/device_emu.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "emu/emu.h"
#include "emu/simt_emu_hopper.h"

extern "C" {
#include "base/memory.h"
#include "device.h"
}

using simt::ERROR_ARGUMENT;
using simt::ERROR_CAPTURE;
using simt::ERROR_LAUNCH;
using simt::ERROR_MEMORY;
using simt::ERROR_NOT_READY;

typedef std::function<void()> Work;

struct Event {
    uint64_t recorded; /* work items of the stream before it; UINT64_MAX: in a capture */
    uint64_t passed_ns;
};

struct ccu_device {
    ccu_device_facts  facts;
    std::deque<Work>  queue;
    uint64_t          queued, done; /* work items ever */
    Event             events[CCU_DEVICE_EVENTS];
    bool              capturing, capture_failed;
    std::vector<Work> captured;
    int32_t           entered;
};

/* ---- Faults and limits ----------------------------------------------------------------------- */

static constexpr size_t MEMORY_BYTES = (size_t)8 << 30;

static std::mutex              state_lock;
static int32_t                 fail_in[DEVICE_EMU_CALLS]; /* 0: not at all */
static size_t                  memory_bytes = MEMORY_BYTES;
static size_t                  memory_used, pinned_used;
static std::map<void *, size_t> memory_sizes, pinned_sizes;

void device_emu_fail(device_emu_call call, int32_t n) {
    const std::lock_guard<std::mutex> hold(state_lock);
    fail_in[call] = n;
}

void device_emu_set_memory(size_t bytes) {
    const std::lock_guard<std::mutex> hold(state_lock);
    memory_bytes = bytes == 0 ? MEMORY_BYTES : bytes;
}

size_t device_emu_memory_used(void) {
    return memory_used;
}

size_t device_emu_pinned_used(void) {
    return pinned_used;
}

static bool fails(device_emu_call call) {
    const std::lock_guard<std::mutex> hold(state_lock);
    return fail_in[call] > 0 && --fail_in[call] == 0;
}

/* ---- Open and close -------------------------------------------------------------------------- */

struct Chip {
    int32_t capability, shared_kib;
};

static const Chip chips[] = { { 80, 163 }, { 86, 99 }, { 89, 99 }, { 90, 227 } };

static const Chip *chip_of_environment() {
    const char *text = getenv("SIMT_DEVICE");
    const long  want = text == nullptr ? 90 : strtol(text, nullptr, 10);
    for (const Chip &chip : chips) {
        if (chip.capability == want) { return &chip; }
    }
    simt::fail(simt::NOWHERE, "SIMT_DEVICE=%s: 80, 86, 89 and 90 are known", text);
}

size_t simt::device_shared_max() {
    static const Chip *const chip = chip_of_environment();
    return (size_t)chip->shared_kib << 10;
}

clipcu_status ccu_device_open(int32_t index, void *stream, ccu_device **out, clipcu_error *error) {
    (void)stream; /* somebody else's: nothing here can use it */
    if (index != 0) {
        return ccu_fail(error, CLIPCU_ERR_CUDA, "cuda:%d: the emulator has one device", index);
    }
    const Chip *chip   = chip_of_environment();
    ccu_device *device = new ccu_device();
    (void)snprintf(device->facts.name, sizeof device->facts.name, "emulated sm_%d",
                   chip->capability);
    device->facts.capability       = chip->capability;
    device->facts.multiprocessors  = 4;
    device->facts.driver           = 13000;
    device->facts.runtime          = 13000;
    device->facts.shared_bytes_max = (size_t)chip->shared_kib << 10;
    device->facts.l2_bytes         = (size_t)50 << 20;
    device->facts.memory_bytes     = memory_bytes;
    *out                           = device;
    return CLIPCU_OK;
}

void ccu_device_close(ccu_device *device) {
    if (device == NULL) { return; }
    (void)ccu_device_sync(device);
    delete device;
}

void ccu_device_enter(ccu_device *device) {
    device->entered = 1;
}

void ccu_device_leave(ccu_device *device) {
    device->entered = 0;
}

const ccu_device_facts *ccu_device_facts_of(const ccu_device *device) {
    return &device->facts;
}

const char *ccu_device_text(int code) {
    switch (code) {
    case 0: return "no error";
    case simt::ERROR_ARGUMENT: return "invalid argument";
    case simt::ERROR_MEMORY: return "out of memory";
    case simt::ERROR_CONFIGURATION: return "invalid configuration argument";
    case simt::ERROR_NOT_READY: return "device not ready";
    case simt::ERROR_LAUNCH: return "unspecified launch failure";
    case simt::ERROR_CAPTURE: return "operation not permitted when stream is capturing";
    default: return "unrecognized error code";
    }
}

void *ccu_device_stream(ccu_device *device) {
    return device;
}

/* ---- The stream ------------------------------------------------------------------------------ */

static void run_until(ccu_device *device, uint64_t count) {
    while (device->done < count) {
        const Work work = std::move(device->queue.front());
        device->queue.pop_front();
        work();
        device->done++;
    }
}

static void queue(ccu_device *device, Work work) {
    if (device->capturing) {
        device->captured.push_back(std::move(work));
        return;
    }
    device->queue.push_back(std::move(work));
    device->queued++;
    if (simt::options.landing == simt::LANDS_AT_ONCE) { run_until(device, device->queued); }
}

int simt::device_queue(simt_stream stream, Work work) {
    if (fails(DEVICE_EMU_LAUNCH)) { return ERROR_LAUNCH; }
    if (stream == nullptr) {
        work();
    } else {
        queue((ccu_device *)stream, std::move(work));
    }
    return 0;
}

/* What waits for the device ends a capture with failure. */
static bool may_wait(ccu_device *device) {
    device->capture_failed = device->capture_failed || device->capturing;
    return !device->capturing;
}

int ccu_device_sync(ccu_device *device) {
    if (!may_wait(device)) { return ERROR_CAPTURE; }
    run_until(device, device->queued);
    return fails(DEVICE_EMU_SYNC) ? ERROR_LAUNCH : 0;
}

static uint64_t now_ns() {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_event(int32_t event) {
    return event >= 0 && event < CCU_DEVICE_EVENTS;
}

int ccu_device_event_record(ccu_device *device, int32_t event) {
    if (!is_event(event)) { return ERROR_ARGUMENT; }
    Event *recorded = &device->events[event];
    if (device->capturing) {
        recorded->recorded = UINT64_MAX;
        return 0;
    }
    recorded->passed_ns = 0;
    queue(device, [recorded]() { recorded->passed_ns = now_ns(); });
    recorded->recorded = device->queued;
    return 0;
}

int ccu_device_event_wait(ccu_device *device, int32_t event) {
    if (!is_event(event)) { return ERROR_ARGUMENT; }
    const uint64_t recorded = device->events[event].recorded;
    if (recorded == UINT64_MAX || !may_wait(device)) { return ERROR_CAPTURE; }
    run_until(device, recorded);
    return 0;
}

int ccu_device_elapsed(ccu_device *device, int32_t from, int32_t to, float *ms) {
    if (!is_event(from) || !is_event(to) || ms == NULL) { return ERROR_ARGUMENT; }
    const uint64_t start = device->events[from].passed_ns, end = device->events[to].passed_ns;
    if (start == 0 || end == 0) { return ERROR_NOT_READY; }
    *ms = (float)((double)end - (double)start) * 1e-6f;
    return 0;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

int ccu_device_memory_free(ccu_device *device, size_t *bytes) {
    (void)device;
    *bytes = memory_used > memory_bytes ? 0 : memory_bytes - memory_used;
    return 0;
}

int ccu_device_alloc(ccu_device *device, size_t bytes, void **out) {
    if (!may_wait(device)) { return ERROR_CAPTURE; }
    if (fails(DEVICE_EMU_ALLOC)) { return ERROR_MEMORY; }
    const std::lock_guard<std::mutex> hold(state_lock);
    if (memory_used > memory_bytes || bytes > memory_bytes - memory_used) { return ERROR_MEMORY; }
    void *memory = simt::device_alloc(bytes);
    if (memory == NULL) { return ERROR_MEMORY; }
    memory_used += bytes;
    memory_sizes[memory] = bytes;
    *out                 = memory;
    return 0;
}

void ccu_device_free(ccu_device *device, void *memory) {
    if (memory == NULL) { return; }
    if (may_wait(device)) { run_until(device, device->queued); }
    const std::lock_guard<std::mutex> hold(state_lock);
    memory_used -= memory_sizes[memory];
    memory_sizes.erase(memory);
    simt::device_free(memory);
}

int ccu_device_alloc_pinned(ccu_device *device, size_t bytes, void **out) {
    if (!may_wait(device)) { return ERROR_CAPTURE; }
    void *memory = fails(DEVICE_EMU_ALLOC_PINNED) ? NULL : ccu_alloc(bytes);
    if (memory == NULL) { return ERROR_MEMORY; }
    const std::lock_guard<std::mutex> hold(state_lock);
    pinned_used += bytes;
    pinned_sizes[memory] = bytes;
    *out                 = memory;
    return 0;
}

void ccu_device_free_pinned(ccu_device *device, void *memory) {
    if (memory == NULL) { return; }
    if (may_wait(device)) { run_until(device, device->queued); }
    const std::lock_guard<std::mutex> hold(state_lock);
    const auto                        found = pinned_sizes.find(memory);
    if (found == pinned_sizes.end()) {
        simt::fail(simt::NOWHERE, "free of %p, which is no pinned memory", memory);
    }
    pinned_used -= found->second;
    pinned_sizes.erase(found);
    ccu_free(memory);
}

static bool is_pinned(const void *pointer, size_t bytes) {
    const std::lock_guard<std::mutex> hold(state_lock);
    auto after = pinned_sizes.upper_bound(const_cast<void *>(pointer));
    if (after == pinned_sizes.begin()) { return false; }
    const auto &[start, size] = *--after;
    const size_t at           = (size_t)((const char *)pointer - (const char *)start);
    return at <= size && bytes <= size - at;
}

/* ---- Copies ---------------------------------------------------------------------------------- */

static int copy(ccu_device *device, void *to, const void *from, size_t bytes, bool valid) {
    if (!valid) { return ERROR_ARGUMENT; }
    if (fails(DEVICE_EMU_COPY)) { return ERROR_LAUNCH; }
    queue(device, [to, from, bytes]() { memmove(to, from, bytes); });
    return 0;
}

int ccu_device_upload(ccu_device *device, void *to, const void *pinned, size_t bytes) {
    return copy(device, to, pinned, bytes,
                simt::device_owns(to, bytes) && is_pinned(pinned, bytes));
}

int ccu_device_download(ccu_device *device, void *pinned, const void *from, size_t bytes) {
    return copy(device, pinned, from, bytes,
                is_pinned(pinned, bytes) && simt::device_owns(from, bytes));
}

int ccu_device_copy(ccu_device *device, void *to, const void *from, size_t bytes) {
    return copy(device, to, from, bytes,
                simt::device_owns(to, bytes) && simt::device_owns(from, bytes));
}

/* ---- Tensor maps ----------------------------------------------------------------------------- */

int ccu_device_tensor_map(ccu_device *device, void *map, const void *base, int32_t element_bytes,
                          uint64_t width, uint64_t height, uint64_t row_bytes, uint32_t box_width,
                          uint32_t box_height, int32_t swizzle_bytes) {
    const int32_t  s         = swizzle_bytes;
    const uint64_t box_bytes = (uint64_t)box_width * (uint64_t)element_bytes;
    (void)device;
    if (map == NULL || (uintptr_t)map % 64 != 0) { return ERROR_ARGUMENT; }
    if (element_bytes != 2) { return ERROR_ARGUMENT; } /* the one size that is used */
    if (base == NULL || (uintptr_t)base % 16 != 0 || row_bytes % 16 != 0) { return ERROR_ARGUMENT; }
    if (width == 0 || height == 0 || width > UINT32_MAX || height > UINT32_MAX ||
        row_bytes < width * (uint64_t)element_bytes) {
        return ERROR_ARGUMENT;
    }
    if (box_width == 0 || box_width > 256 || box_height == 0 || box_height > 256) {
        return ERROR_ARGUMENT;
    }
    if (s != 0 && s != 32 && s != 64 && s != 128) { return ERROR_ARGUMENT; }
    if (box_bytes % 16 != 0 || (s != 0 && box_bytes > (uint64_t)s)) { return ERROR_ARGUMENT; }
    const size_t last = (size_t)((height - 1) * row_bytes + width * (uint64_t)element_bytes);
    if (!simt::device_owns(base, last)) { return ERROR_ARGUMENT; }
    TensorMap *filled     = new (map) TensorMap();
    filled->mark          = simt::MAP_MARK;
    filled->base          = (const unsigned char *)base;
    filled->width         = width;
    filled->height        = height;
    filled->row_bytes     = row_bytes;
    filled->box_width     = box_width;
    filled->box_height    = box_height;
    filled->element_bytes = (uint32_t)element_bytes;
    filled->swizzle_bytes = (uint32_t)swizzle_bytes;
    return 0;
}

/* ---- Graphs: the list of what was queued ----------------------------------------------------- */

bool ccu_device_can_capture(const ccu_device *device) {
    (void)device;
    return true;
}

int ccu_device_capture_begin(ccu_device *device) {
    if (device->capturing) { return ERROR_CAPTURE; }
    if (fails(DEVICE_EMU_CAPTURE)) { return ERROR_LAUNCH; }
    device->capturing      = true;
    device->capture_failed = false;
    device->captured.clear();
    return 0;
}

int ccu_device_capture_end(ccu_device *device, void **graph) {
    const bool failed = fails(DEVICE_EMU_CAPTURE) || !device->capturing || device->capture_failed;
    device->capturing = false;
    *graph            = NULL;
    if (failed) { return ERROR_CAPTURE; }
    *graph = new std::vector<Work>(std::move(device->captured));
    device->captured.clear();
    return 0;
}

int ccu_device_graph_launch(ccu_device *device, void *graph) {
    if (fails(DEVICE_EMU_GRAPH_LAUNCH)) { return ERROR_LAUNCH; }
    for (const Work &work : *(std::vector<Work> *)graph) { queue(device, work); }
    return 0;
}

void ccu_device_graph_free(ccu_device *device, void *graph) {
    if (graph == NULL) { return; }
    if (may_wait(device)) { run_until(device, device->queued); }
    delete (std::vector<Work> *)graph;
}
