/* The CUDA backend itself, on the emulated device: staging of every size, what finish promises,
 * graphs, and what happens when the device refuses. Ops are the agree tests' business. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_backend.h"
#include "emu/device_emu.h"

#define MIB ((size_t)1 << 20)
#define ROWS 3
#define WIDTH 8

static int32_t failures;

static void check(bool good, const char *what, const char *detail) {
    if (good) { return; }
    printf("FAILED: %s (%s)\n", what, detail);
    failures++;
}

static ccu_backend *open_backend(void) {
    clipcu_error error = { .code = CLIPCU_OK };
    ccu_backend *be    = NULL;
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) {
        printf("FAILED: %s\n", error.text);
        exit(1);
    }
    return be;
}

static void close_backend(ccu_backend *be, const char *what) {
    be->ops->close(be);
    check(device_emu_memory_used() == 0, what, "device memory is left");
    check(device_emu_pinned_used() == 0, what, "pinned memory is left");
}

/* finish fails with this code and text, and the one after it is good again. */
static void expect_failure(ccu_backend *be, clipcu_status code, const char *text) {
    clipcu_error        error  = { .code = CLIPCU_OK };
    const clipcu_status status = be->ops->finish(be, &error);
    check(status == code && error.code == code, text, error.text);
    check(strstr(error.text, text) != NULL, text, error.text);
    error = (clipcu_error){ .code = CLIPCU_OK };
    check(be->ops->finish(be, &error) == CLIPCU_OK, text, "a failure is reported once");
}

static void expect_good(ccu_backend *be, const char *what) {
    clipcu_error error = { .code = CLIPCU_OK };
    check(be->ops->finish(be, &error) == CLIPCU_OK, what, error.text);
}

static void fill(uint8_t *bytes, size_t count, uint32_t seed) {
    for (size_t i = 0; i < count; i++) {
        seed     = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

/* ---- Staging -------------------------------------------------------------------------------- */

/* The caller's bytes may change as soon as upload returns. */
static void bytes_come_back(ccu_backend *be) {
    const size_t sizes[] = { 1, 3, 63, 64, 65, 4095, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1,
                             13 * MIB + 17, 33 * MIB + 5 };
    const size_t most = 33 * MIB + 5;
    uint8_t     *sent = malloc(most), *kept = malloc(most), *back = malloc(most + 1);
    uint8_t     *slab = be->ops->slab_alloc(be, most);
    char         text[64];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        (void)snprintf(text, sizeof text, "%zu bytes", sizes[s]);
        fill(sent, sizes[s], (uint32_t)s);
        memcpy(kept, sent, sizes[s]);
        back[sizes[s]] = 0x5a;
        be->ops->upload(be, slab, sent, sizes[s]);
        memset(sent, 0xee, sizes[s]);
        be->ops->download(be, back, slab, sizes[s]);
        expect_good(be, text);
        check(memcmp(back, kept, sizes[s]) == 0, "up and down again", text);
        check(back[sizes[s]] == 0x5a, "no byte more", text);
    }
    be->ops->upload(be, slab, sent, 0);
    be->ops->download(be, back, slab, 0);
    expect_good(be, "0 bytes");
    be->ops->slab_free(be, slab);
    free(back);
    free(kept);
    free(sent);
}

/* More downloads than are kept under way, to odd places. */
static void many_small_copies(ccu_backend *be) {
    enum { COUNT = 300, SIZE = 7 };
    uint8_t  sent[COUNT * SIZE], back[COUNT * SIZE] = { 0 };
    uint8_t *slab = be->ops->slab_alloc(be, 2 * sizeof sent);
    fill(sent, sizeof sent, 9);
    for (size_t i = 0; i < COUNT; i++) {
        be->ops->upload(be, slab + i * SIZE, sent + i * SIZE, SIZE);
    }
    be->ops->copy(be, slab + sizeof sent, slab, sizeof sent);
    for (size_t i = COUNT; i > 0; i--) {
        be->ops->download(be, back + (i - 1) * SIZE, slab + sizeof sent + (i - 1) * SIZE, SIZE);
    }
    expect_good(be, "many small copies");
    check(memcmp(sent, back, sizeof sent) == 0, "many small copies", "bytes differ");
    be->ops->slab_free(be, slab);
}

/* ---- Failures ------------------------------------------------------------------------------- */

static void copies_fail(ccu_backend *be) {
    uint8_t  bytes[16] = { 1, 2, 3 }, back[16] = { 0 };
    uint8_t *slab = be->ops->slab_alloc(be, sizeof bytes);
    device_emu_fail(DEVICE_EMU_COPY, 1);
    be->ops->upload(be, slab, bytes, sizeof bytes);
    be->ops->download(be, back, slab, sizeof back); /* does nothing: the backend has failed */
    expect_failure(be, CLIPCU_ERR_CUDA, "upload of 16 bytes");
    check(back[0] == 0, "after a failure", "a download was delivered");

    be->ops->upload(be, slab, bytes, sizeof bytes);
    device_emu_fail(DEVICE_EMU_COPY, 1);
    be->ops->download(be, back, slab, sizeof back);
    expect_failure(be, CLIPCU_ERR_CUDA, "download of 16 bytes");
    device_emu_fail(DEVICE_EMU_COPY, 1);
    be->ops->copy(be, slab + 8, slab, 8);
    expect_failure(be, CLIPCU_ERR_CUDA, "copy of 8 bytes");

    be->ops->download(be, back, slab, sizeof back);
    device_emu_fail(DEVICE_EMU_SYNC, 1);
    expect_failure(be, CLIPCU_ERR_CUDA, "queued");
    check(back[0] == 0, "after a failed wait", "a download was delivered");

    be->ops->upload(be, slab, bytes, sizeof bytes);
    be->ops->download(be, back, slab, sizeof back);
    expect_good(be, "after failures");
    check(memcmp(bytes, back, sizeof back) == 0, "after failures", "bytes differ");
    be->ops->slab_free(be, slab);
}

static void memory_runs_out(ccu_backend *be) {
    check(be->ops->slab_alloc(be, (size_t)1 << 40) == NULL, "a slab of 1 TiB", "was given");
    expect_failure(be, CLIPCU_ERR_NOMEM, "1099511627776 bytes");
    device_emu_fail(DEVICE_EMU_ALLOC, 1);
    check(be->ops->slab_alloc(be, 64) == NULL, "a failing allocation", "was given");
    expect_failure(be, CLIPCU_ERR_NOMEM, "slab of 64 bytes");
}

static void open_fails(void) {
    clipcu_error error = { .code = CLIPCU_OK };
    ccu_backend *be    = NULL;
    device_emu_fail(DEVICE_EMU_ALLOC_PINNED, 1);
    check(ccu_cuda_open(0, NULL, &be, &error) == CLIPCU_ERR_NOMEM, "open", "no pinned memory");
    check(be == NULL && strstr(error.text, "pinned") != NULL, "open", error.text);
    error = (clipcu_error){ .code = CLIPCU_OK };
    check(ccu_cuda_open(7, NULL, &be, &error) == CLIPCU_ERR_CUDA, "open", "cuda:7");
    check(be == NULL && strstr(error.text, "cuda:7") != NULL, "open", error.text);
    check(device_emu_memory_used() == 0 && device_emu_pinned_used() == 0, "open", "memory is left");
}

/* ---- Graphs --------------------------------------------------------------------------------- */

typedef struct sequence {
    ccu_backend *be;
    float       *x, *y; /* (ROWS, WIDTH) backend memory */
    int32_t      queued;
} sequence;

static void queue(sequence *s) {
    s->be->ops->copy(s->be, s->y, s->x, sizeof(float) * ROWS * WIDTH);
    s->be->ops->normalise(s->be, &(ccu_normalise){ .y = s->y, .x = s->y, .M = ROWS, .E = WIDTH });
    s->queued++;
}

/* Runs the sequence as ops.h says, on fresh input, and looks at the result. */
static bool run(sequence *s, uint64_t key, float first) {
    const ccu_ops *ops = s->be->ops;
    float          x[ROWS * WIDTH] = { 0 }, y[ROWS * WIDTH] = { 0 };
    clipcu_error   error = { .code = CLIPCU_OK };
    for (int32_t m = 0; m < ROWS; m++) {
        x[m * WIDTH]     = 3.0f * first;
        x[m * WIDTH + 5] = 4.0f * first;
    }
    ops->upload(s->be, s->x, x, sizeof x);
    if (!ops->replay(s->be, key)) {
        ops->record(s->be, key);
        queue(s);
        if (!ops->record_end(s->be)) { queue(s); }
    }
    ops->download(s->be, y, s->y, sizeof y);
    if (ops->finish(s->be, &error) != CLIPCU_OK) { return false; }
    const float sign = first < 0.0f ? -1.0f : 1.0f;
    for (int32_t m = 0; m < ROWS; m++) {
        const float a = y[m * WIDTH] - 0.6f * sign, b = y[m * WIDTH + 5] - 0.8f * sign;
        if (a > 1e-6f || a < -1e-6f || b > 1e-6f || b < -1e-6f) { return false; }
    }
    return true;
}

static sequence open_sequence(void) {
    sequence s = { .be = open_backend() };
    s.x        = s.be->ops->slab_alloc(s.be, sizeof(float) * ROWS * WIDTH);
    s.y        = s.be->ops->slab_alloc(s.be, sizeof(float) * ROWS * WIDTH);
    return s;
}

static void close_sequence(sequence *s, const char *what) {
    s->be->ops->slab_free(s->be, s->x);
    s->be->ops->slab_free(s->be, s->y);
    close_backend(s->be, what);
}

static void graphs_replay(void) {
    sequence s = open_sequence();
    for (int32_t i = 0; i < 6; i++) {
        check(run(&s, 1, i % 2 == 0 ? 1.0f : -2.0f), "replayed", "wrong result");
    }
    check(s.queued == 2, "replayed", "queued other than as it is and recorded");
    for (int32_t round = 0; round < 3; round++) { /* more keys than are remembered */
        for (uint64_t key = 2; key < 25; key++) { check(run(&s, key, 1.0f), "keys", "wrong"); }
    }
    check(s.queued == 2 + 3 * 23, "keys", "the oldest makes room");
    device_emu_fail(DEVICE_EMU_GRAPH_LAUNCH, 1);
    for (int32_t i = 0; i < 2; i++) { check(run(&s, 24, 1.0f), "recorded", "wrong result"); }
    close_sequence(&s, "graphs");
}

/* A recording that fails at `call` number n costs nothing but speed. */
static void recording_fails(device_emu_call call, int32_t n, const char *what) {
    sequence s = open_sequence();
    check(run(&s, 1, 1.0f), what, "first run");
    device_emu_fail(call, n);
    for (int32_t i = 0; i < 4; i++) { check(run(&s, 1, -1.0f), what, "wrong result or error"); }
    device_emu_fail(call, 0);
    check(s.queued >= 5, what, "went on with graphs");
    close_sequence(&s, what);
}

static void replay_fails(void) {
    sequence s = open_sequence();
    for (int32_t i = 0; i < 3; i++) { check(run(&s, 1, 1.0f), "before", "wrong result"); }
    device_emu_fail(DEVICE_EMU_GRAPH_LAUNCH, 1);
    check(s.be->ops->replay(s.be, 1), "a replay that fails", "is still no reason to queue");
    expect_failure(s.be, CLIPCU_ERR_CUDA, "graph");
    check(run(&s, 1, 1.0f), "after", "wrong result");
    device_emu_fail(DEVICE_EMU_LAUNCH, 1);
    queue(&s);
    expect_failure(s.be, CLIPCU_ERR_CUDA, "normalise");
    close_sequence(&s, "failing graphs");
}

/* Another tower may get the same key and other memory: what was recorded must be gone by then. */
static void graphs_die_with_memory(void) {
    sequence s = open_sequence();
    for (int32_t i = 0; i < 3; i++) { check(run(&s, 1, 1.0f), "recorded", "wrong result"); }
    check(s.queued == 2, "recorded", "not replayed");
    float *const x = s.x, *const y = s.y;
    s.x = s.be->ops->slab_alloc(s.be, sizeof(float) * ROWS * WIDTH);
    s.y = s.be->ops->slab_alloc(s.be, sizeof(float) * ROWS * WIDTH);
    s.be->ops->slab_free(s.be, x);
    s.be->ops->slab_free(s.be, y);
    check(run(&s, 1, -2.0f), "moved", "wrong result");
    check(s.queued == 3, "moved", "a graph on freed memory was replayed");
    close_sequence(&s, "graphs of freed memory");
}

int main(void) {
    ccu_backend *be = open_backend();
    bytes_come_back(be);
    many_small_copies(be);
    copies_fail(be);
    memory_runs_out(be);
    close_backend(be, "staging and failures");
    open_fails();
    graphs_replay();
    graphs_die_with_memory();
    recording_fails(DEVICE_EMU_CAPTURE, 1, "capture does not begin");
    recording_fails(DEVICE_EMU_CAPTURE, 2, "capture does not end");
    recording_fails(DEVICE_EMU_LAUNCH, 1, "an op cannot be recorded");
    recording_fails(DEVICE_EMU_GRAPH_LAUNCH, 1, "a graph does not start");
    replay_fails();
    printf("%d failures\n", failures);
    return failures != 0;
}
