/* Recording and replaying op sequences; see graphs.h. */
#include "graphs.h"

#include <assert.h>

extern "C" {
#include "base/memory.h"
}

typedef struct entry {
    uint64_t key;
    uint64_t used;  /* when: the clock of ccu_graphs; 0: a free entry */
    void    *graph; /* NULL: seen once, not recorded yet */
} entry;

struct ccu_graphs {
    entry    entries[CCU_GRAPHS_MAX];
    uint64_t clock;
    entry   *recording; /* NULL: no */
    bool     given_up;
};

clipcu_status ccu_graphs_open(ccu_graphs **out, clipcu_error *error) {
    *out = (ccu_graphs *)ccu_alloc_zeroed(1, sizeof **out);
    if (*out == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "CUDA backend: no memory for its graphs");
    }
    return CLIPCU_OK;
}

static void free_graph(entry *e, ccu_device *device) {
    if (e->graph != NULL) { ccu_device_graph_free(device, e->graph); }
    e->graph = NULL;
}

void ccu_graphs_forget(ccu_graphs *graphs, ccu_device *device) {
    for (int32_t i = 0; i < CCU_GRAPHS_MAX; i++) {
        free_graph(&graphs->entries[i], device);
        graphs->entries[i].used = 0;
    }
}

void ccu_graphs_close(ccu_graphs *graphs, ccu_device *device) {
    if (graphs == NULL) { return; }
    ccu_graphs_forget(graphs, device);
    ccu_free(graphs);
}

static entry *find(ccu_graphs *graphs, uint64_t key) {
    for (int32_t i = 0; i < CCU_GRAPHS_MAX; i++) {
        entry *e = &graphs->entries[i];
        if (e->used != 0 && e->key == key) { return e; }
    }
    return NULL;
}

static entry *oldest(ccu_graphs *graphs) {
    entry *best = &graphs->entries[0];
    for (int32_t i = 1; i < CCU_GRAPHS_MAX; i++) {
        if (graphs->entries[i].used < best->used) { best = &graphs->entries[i]; }
    }
    return best;
}

/* Nothing is recorded from here on; the backend goes on without. */
static void give_up(ccu_cuda *cuda) {
    cuda->graphs->recording = NULL;
    cuda->graphs->given_up  = true;
    ccu_error_clear(&cuda->base.error);
}

bool ccu_cuda_replay(ccu_backend *be, uint64_t key) {
    ccu_cuda   *cuda   = ccu_cuda_of(be);
    ccu_graphs *graphs = cuda->graphs;
    if (!ccu_cuda_ready(cuda)) { return true; } /* ops would do nothing */
    entry *e = find(graphs, key);
    if (e == NULL || e->graph == NULL) { return false; }
    e->used = ++graphs->clock;
    ccu_cuda_result(cuda, ccu_device_graph_launch(cuda->device, e->graph), "launch of a graph");
    return true;
}

void ccu_cuda_record(ccu_backend *be, uint64_t key) {
    ccu_cuda   *cuda   = ccu_cuda_of(be);
    ccu_graphs *graphs = cuda->graphs;
    assert(graphs->recording == NULL);
    if (!ccu_cuda_ready(cuda) || graphs->given_up || !ccu_device_can_capture(cuda->device)) {
        return;
    }
    entry *e = find(graphs, key);
    if (e == NULL) {
        e = oldest(graphs);
        free_graph(e, cuda->device);
        e->key  = key;
        e->used = ++graphs->clock;
        return;
    }
    assert(e->graph == NULL);
    e->used = ++graphs->clock;
    if (ccu_device_capture_begin(cuda->device) == 0) {
        graphs->recording = e;
    } else {
        give_up(cuda);
    }
}

bool ccu_cuda_record_end(ccu_backend *be) {
    ccu_cuda   *cuda   = ccu_cuda_of(be);
    ccu_graphs *graphs = cuda->graphs;
    entry      *e      = graphs->recording;
    void       *graph  = NULL;
    if (e == NULL) { return true; }
    graphs->recording = NULL;

    const bool failed = ccu_device_capture_end(cuda->device, &graph) != 0 || graph == NULL;
    if (!failed && ccu_cuda_ready(cuda) &&
        ccu_device_graph_launch(cuda->device, graph) == 0) {
        e->graph = graph;
        return true;
    }
    /* An op that cannot be recorded has left an error; one that cannot run will leave it again. */
    if (graph != NULL) { ccu_device_graph_free(cuda->device, graph); }
    give_up(cuda);
    return false;
}
