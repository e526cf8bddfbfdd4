/* The emulated device: work waits in the stream, graphs replay, calls fail on request, memory is
 * limited, and bad arguments are refused. */
#include <stdio.h>
#include <string.h>

#include "emu/device_emu.h"
#include "simt_hopper.h"

extern "C" {
#include "device.h"
}

static int failures;

static void expect(bool right, const char *what) {
    if (!right) { printf("FAILED: %s\n", what); }
    failures += !right;
}

static const size_t BYTES = 256;

static void test_stream(ccu_device *device, void *memory, char *pinned) {
    memset(pinned, 1, BYTES);
    expect(ccu_device_upload(device, memory, pinned, BYTES) == 0, "an upload is queued");
    expect(ccu_device_event_record(device, 0) == 0, "an event is queued");
    memset(pinned, 2, BYTES); /* the mistake that late copies bring to light */
    expect(ccu_device_event_wait(device, 0) == 0, "an event is waited for");
    expect(*(char *)memory == 2, "the copy was as late as it may be");
    expect(ccu_device_event_wait(device, 1) == 0, "an event that was never recorded");
    expect(ccu_device_upload(device, memory, memory, BYTES) != 0, "not pinned");
    expect(ccu_device_upload(device, memory, pinned, BYTES + 1) != 0, "longer than the memory");
    expect(ccu_device_event_record(device, CCU_DEVICE_EVENTS) != 0, "no such event");
    expect(ccu_device_sync(device) == 0, "sync");
}

static void test_graph(ccu_device *device, void *memory, char *pinned) {
    void *graph = NULL;
    memset(memory, 0, BYTES);
    memset(pinned, 3, BYTES);
    expect(ccu_device_capture_begin(device) == 0, "a capture begins");
    expect(ccu_device_capture_begin(device) != 0, "only one at a time");
    expect(ccu_device_upload(device, memory, pinned, BYTES) == 0, "an upload is captured");
    expect(ccu_device_capture_end(device, &graph) == 0 && graph != NULL, "a capture ends");
    expect(ccu_device_sync(device) == 0 && *(char *)memory == 0, "what is captured does not run");
    for (char round = 4; round < 6; round++) {
        memset(pinned, round, BYTES);
        expect(ccu_device_graph_launch(device, graph) == 0, "a graph is launched");
        expect(ccu_device_sync(device) == 0 && *(char *)memory == round, "and runs");
    }
    ccu_device_graph_free(device, graph);
    expect(ccu_device_capture_begin(device) == 0, "another capture");
    expect(ccu_device_sync(device) != 0, "nobody may wait in a capture");
    expect(ccu_device_capture_end(device, &graph) != 0 && graph == NULL, "which ends it badly");
}

static void test_faults(ccu_device *device, void *memory, char *pinned) {
    void *more = NULL;
    device_emu_fail(DEVICE_EMU_COPY, 2);
    expect(ccu_device_upload(device, memory, pinned, BYTES) == 0, "the first copy");
    expect(ccu_device_upload(device, memory, pinned, BYTES) != 0, "the second fails");
    expect(ccu_device_upload(device, memory, pinned, BYTES) == 0, "the third");
    device_emu_fail(DEVICE_EMU_ALLOC, 1);
    expect(ccu_device_alloc(device, BYTES, &more) != 0 && more == NULL, "no memory on request");
    device_emu_set_memory(4 * BYTES);
    expect(ccu_device_alloc(device, 4 * BYTES, &more) != 0 && more == NULL, "no memory by size");
    expect(ccu_device_alloc(device, 3 * BYTES, &more) == 0, "just enough memory");
    ccu_device_free(device, more);
    device_emu_set_memory(0);
    expect(device_emu_memory_used() == BYTES, "what is used");
}

static void test_maps(ccu_device *device, char *memory) {
    TensorMap map;
    const struct {
        size_t   base, width, row_bytes;
        uint32_t box;
        int32_t  swizzle;
        bool     right;
    } cases[] = {
        { 0, 8, 16, 8, 0, true },    { 16, 8, 16, 8, 0, true },  { 2, 8, 16, 8, 0, false },
        { 0, 8, 24, 8, 0, false },   { 0, 16, 16, 8, 0, false }, { 0, 8, 16, 4, 0, false },
        { 0, 8, 16, 512, 0, false }, { 0, 8, 16, 8, 48, false }, { 0, 8, 16, 32, 32, false },
        { 0, 8, 16, 16, 32, true },  { 240, 8, 16, 8, 0, false },
    };
    for (const auto &c : cases) {
        const int code = ccu_device_tensor_map(device, &map, memory + c.base, 2, c.width, 4,
                                               c.row_bytes, c.box, 8, c.swizzle);
        expect((code == 0) == c.right, "a tensor map");
    }
}

int main() {
    ccu_device *device = NULL;
    void       *memory = NULL, *pinned = NULL;
    expect(ccu_device_open(1, NULL, &device, NULL) != CLIPCU_OK, "one device");
    expect(ccu_device_open(0, NULL, &device, NULL) == CLIPCU_OK, "open");
    expect(ccu_device_alloc(device, BYTES, &memory) == 0, "memory");
    expect(ccu_device_alloc_pinned(device, BYTES, &pinned) == 0, "pinned memory");
    test_stream(device, memory, (char *)pinned);
    test_graph(device, memory, (char *)pinned);
    test_faults(device, memory, (char *)pinned);
    test_maps(device, (char *)memory);
    ccu_device_free(device, memory);
    ccu_device_free_pinned(device, pinned);
    ccu_device_close(device);
    expect(device_emu_memory_used() == 0 && device_emu_pinned_used() == 0, "everything is freed");
    printf("%d failures\n", failures);
    return failures != 0;
}
