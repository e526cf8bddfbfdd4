/* What an engine runs on: picks the backend, the precision and the batch, and takes the memory for
 * weights and activations. Called by clipcu_open. */
#include "engine.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "cuda_backend.h"
#include "model/weights.h"
#include "ops/cpu_backend.h"

/* Automatic batch sizes. On the CPU products are large enough from 32 pictures on; a GPU wants more
 * rows than it has places for tiles, many times over. */
#define BATCH_CPU 32
#define BATCH_CUDA 1024

/* Rows x widths are counted in 32 bits inside ops. */
#define ROWS_MAX (1 << 24)

#define MIB (1024.0 * 1024.0)

/* What has to be left when a model is open. oneDNN, which compiles its kernels when they are first
 * run, and OpenMP, which starts threads then, end the process when memory runs out: with too little
 * address space (ulimit -v) clipcu classify crashed up to 40 MiB above what it took. */
#define HEADROOM_BYTES ((size_t)64 << 20)
#define HEADROOM_THREAD_BYTES ((size_t)16 << 20)

void ccu_engine_warn(const clipcu_engine *engine, const char *text) {
    if (engine->options.warn != NULL) { engine->options.warn(engine->options.warn_user, text); }
}

/* ---- Backend -------------------------------------------------------------------------------- */

static clipcu_status open_cuda(clipcu_engine *engine, clipcu_error *error) {
    char                text[160];
    const int32_t       index  = engine->options.device_index;
    const clipcu_status status = ccu_cuda_open(index, engine->options.stream, &engine->be, error);
    if (status != CLIPCU_OK) { return status; }
    engine->on_cuda = true;
    ccu_cuda_describe(engine->be, text, sizeof text);
    (void)snprintf(engine->device, sizeof engine->device, "cuda:%d: %s", index, text);
    if (engine->options.precision == CLIPCU_PRECISION_AUTO) {
        engine->options.precision = CLIPCU_PRECISION_BF16;
    }
    return CLIPCU_OK;
}

static clipcu_status open_cpu(clipcu_engine *engine, clipcu_error *error) {
    char          library[96];
    const int32_t threads   = engine->options.threads;
    const int32_t startable = ccu_threads_startable(threads);
    if (engine->options.precision == CLIPCU_PRECISION_F16) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "precision f16: not on the CPU; use f32 or bf16");
    }
    if (startable < threads) {
        char text[96];
        (void)snprintf(text, sizeof text, "only %d of %d threads can be started", startable,
                       threads); /* fits */
        ccu_engine_warn(engine, text);
        engine->options.threads = startable;
    }
    const clipcu_status status = ccu_cpu_open(engine->options.threads, &engine->be, error);
    if (status != CLIPCU_OK) { return status; }
    ccu_cpu_describe(library, sizeof library);
    (void)snprintf(engine->device, sizeof engine->device, "cpu: %s, %d thread%s", library,
                   engine->options.threads, engine->options.threads == 1 ? "" : "s");
    if (engine->options.precision == CLIPCU_PRECISION_AUTO) {
        engine->options.precision = CLIPCU_PRECISION_F32;
    }
    if (engine->options.precision == CLIPCU_PRECISION_BF16 && !ccu_cpu_bf16_native()) {
        ccu_engine_warn(engine,
                        "this CPU has no bf16 instructions: results are bf16's, speed is f32's");
    }
    return CLIPCU_OK;
}

clipcu_status ccu_engine_open_backend(clipcu_engine *engine, clipcu_error *error) {
    clipcu_error why = {.code = CLIPCU_OK};
    char         text[sizeof why.text + 64];
    if (engine->options.threads == 0) { engine->options.threads = ccu_threads_online(); }
    switch (engine->options.device) {
    case CLIPCU_DEVICE_CUDA: return open_cuda(engine, error);
    case CLIPCU_DEVICE_CPU: break;
    case CLIPCU_DEVICE_AUTO:
        if (!ccu_cuda_built()) { break; }
        if (engine->options.precision == CLIPCU_PRECISION_INT8) {
            ccu_engine_warn(engine, "precision int8 is the CPU's: not looking for a CUDA device");
            break;
        }
        if (open_cuda(engine, &why) == CLIPCU_OK) { return CLIPCU_OK; }
        (void)snprintf(text, sizeof text, "%s; using the CPU", why.text); /* fits */
        ccu_engine_warn(engine, text);
        break;
    }
    return open_cpu(engine, error);
}

/* ---- Memory --------------------------------------------------------------------------------- */

static void lay_out_weights(clipcu_engine *engine, ccu_plan *plan) {
    if (engine->config.image.present) {
        ccu_image_weights_lay_out(&engine->image, engine->be, plan);
    }
    if (engine->config.text.present) {
        ccu_text_weights_lay_out(&engine->text, engine->be, plan);
    }
}

static void lay_out_activations(clipcu_engine *engine, ccu_plan *plan) {
    if (engine->config.image.present) { ccu_image_tower_lay_out(&engine->image, engine->be, plan); }
    if (engine->config.text.present) { ccu_text_tower_lay_out(&engine->text, plan); }
}

static void set_batch(clipcu_engine *engine, int32_t batch_max) {
    engine->options.batch_max = batch_max;
    engine->image.batch_max   = batch_max;
    engine->ranker.batch_max  = batch_max;
}

/* What both slabs would take; SIZE_MAX if that is beyond counting. */
static size_t planned(clipcu_engine *engine, int32_t batch_max) {
    ccu_plan weights = {0}, activations = {0};
    set_batch(engine, batch_max);
    lay_out_weights(engine, &weights);
    lay_out_activations(engine, &activations);
    engine->weights_bytes     = weights.bytes;
    engine->activations_bytes = activations.bytes;
    return activations.bytes > SIZE_MAX - weights.bytes ? SIZE_MAX
                                                        : weights.bytes + activations.bytes;
}

/* Free device memory less a fifth: for the class bank, for kernels that load later, and for whoever
 * else uses the device. */
static size_t budget(size_t left) {
    return left - left / 5;
}

/* The largest power of two up to `most` whose plan fits into bytes; 0 if none does. */
static int32_t largest_batch(clipcu_engine *engine, int32_t most, size_t bytes) {
    int32_t batch = most;
    while (batch > 0 && ((int64_t)engine->image.T * batch > ROWS_MAX ||
                         planned(engine, batch) > bytes)) {
        batch /= 2;
    }
    return batch;
}

clipcu_status ccu_engine_pick_batch(clipcu_engine *engine, clipcu_error *error) {
    int32_t batch = engine->options.batch_max;
    if (batch == 0) {
        batch = BATCH_CPU;
        if (engine->on_cuda && engine->config.image.present) {
            batch = largest_batch(engine, BATCH_CUDA, budget(ccu_cuda_memory_free(engine->be)));
            if (batch == 0) { batch = 1; } /* which may still fit, or is refused with the figures */
        }
    }
    set_batch(engine, batch);
    if ((int64_t)engine->image.T * batch > ROWS_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT,
                        "%d tokens per image x batch of %d: at most %d rows at once",
                        engine->image.T, batch, ROWS_MAX);
    }
    return CLIPCU_OK;
}

static clipcu_status fail_memory(clipcu_engine *engine, clipcu_error *error) {
    char          advice[96] = "";
    const int32_t batch      = engine->options.batch_max;
    const double  weights    = (double)engine->weights_bytes / MIB;
    const double  activations = (double)engine->activations_bytes / MIB;
    if (!engine->on_cuda) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM,
                        "%s: no memory for %.1f MiB of weights and %.1f MiB of activations (batch "
                        "of %d)",
                        engine->model_dir, weights, activations, batch);
    }
    if (engine->activations != NULL) {
        engine->be->ops->slab_free(engine->be, engine->activations);
        engine->activations = NULL;
    }
    if (engine->weights != NULL) {
        engine->be->ops->slab_free(engine->be, engine->weights);
        engine->weights = NULL;
    }
    const size_t  left = ccu_cuda_memory_free(engine->be);
    const int32_t fits = largest_batch(engine, BATCH_CUDA, budget(left));
    if (fits > 0 && fits < batch) {
        (void)snprintf(advice, sizeof advice, "; a batch of %d would fit", fits);
    } else if (fits == 0) {
        (void)snprintf(advice, sizeof advice, "; not even a batch of 1 would fit");
    }
    return ccu_fail(error, CLIPCU_ERR_NOMEM,
                    "%s: no device memory for %.1f MiB of weights and %.1f MiB of activations "
                    "(batch of %d): %.1f MiB are free%s",
                    engine->model_dir, weights, activations, batch, (double)left / MIB, advice);
}

clipcu_status ccu_engine_open_slabs(clipcu_engine *engine, clipcu_error *error) {
    const ccu_ops *ops = engine->be->ops;
    if (planned(engine, engine->options.batch_max) == SIZE_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: a batch of %d takes more bytes than can be "
                                                 "counted",
                        engine->model_dir, engine->options.batch_max);
    }
    engine->weights = ops->slab_alloc(engine->be, engine->weights_bytes);
    if (engine->weights != NULL) {
        engine->activations = ops->slab_alloc(engine->be, engine->activations_bytes);
    }
    if (engine->activations == NULL) { return fail_memory(engine, error); }

    /* The same lay-out again, now with addresses. */
    ccu_plan weights = {.base = engine->weights}, activations = {.base = engine->activations};
    lay_out_weights(engine, &weights);
    lay_out_activations(engine, &activations);
    assert(weights.bytes == engine->weights_bytes);
    assert(activations.bytes == engine->activations_bytes);
    return CLIPCU_OK;
}

clipcu_status ccu_engine_check_headroom(const clipcu_engine *engine, clipcu_error *error) {
    if (engine->on_cuda) { return CLIPCU_OK; }
    const size_t bytes = HEADROOM_BYTES + HEADROOM_THREAD_BYTES * (size_t)engine->options.threads;
    void        *room  = ccu_alloc(bytes); /* never touched: costs a system call or two */
    if (room == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM,
                        "%s: no memory: less than %.0f MiB would be left to work with",
                        engine->model_dir, (double)bytes / MIB);
    }
    ccu_free(room);
    return CLIPCU_OK;
}
