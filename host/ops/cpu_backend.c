/* The CPU backend: its table, memory and errors; see cpu_backend.h. Ops are one file each. */
#include "ops/cpu_backend.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "ops/cpu_state.h"

/* ---- Shared with the ops ------------------------------------------------------------------- */

bool ccu_cpu_ready(ccu_cpu *cpu, const char *op, ccu_dtype dtype) {
    if (cpu->base.error.code != CLIPCU_OK) { return false; }
    if (dtype == CCU_F32 || dtype == CCU_BF16) { return true; }
    (void)ccu_fail(&cpu->base.error, CLIPCU_ERR_UNSUPPORTED,
                   "%s: the CPU backend has f32 and bf16, not %s", op, ccu_dtype_name(dtype));
    return false;
}

bool ccu_cpu_stage_reserve(ccu_cpu *cpu, size_t bytes) {
    if (bytes <= cpu->stage_bytes) { return true; }
    uint8_t *stage = ccu_alloc(bytes);
    if (stage == NULL) {
        (void)ccu_fail(&cpu->base.error, CLIPCU_ERR_NOMEM,
                       "CPU backend: no memory for %zu bytes of scratch", bytes);
        return false;
    }
    ccu_free(cpu->stage);
    cpu->stage       = stage;
    cpu->stage_bytes = bytes;
    return true;
}

/* ---- Memory: everything is done when an op returns ----------------------------------------- */

static void *slab_alloc(ccu_backend *be, size_t bytes) {
    void *slab = ccu_alloc(bytes);
    if (slab == NULL) {
        (void)ccu_fail(&be->error, CLIPCU_ERR_NOMEM,
                       "CPU backend: no memory for a slab of %zu bytes", bytes);
    }
    return slab;
}

static void slab_free(ccu_backend *be, void *slab) {
    (void)be; /* the heap keeps its own books */
    ccu_free(slab);
}

/* upload, download and copy are the same here; ranges may overlap. */
static void copy(ccu_backend *be, void *to, const void *from, size_t bytes) {
    if (be->error.code != CLIPCU_OK || bytes == 0) { return; }
    assert(to != NULL && from != NULL);
    memmove(to, from, bytes);
}

static clipcu_status finish(ccu_backend *be, clipcu_error *error) {
    const clipcu_status status = be->error.code;
    if (status != CLIPCU_OK) {
        (void)ccu_fail(error, status, "%s", be->error.text);
        ccu_error_clear(&be->error);
    }
    return status;
}

/* Nothing is recorded: an op costs what it computes. */
static bool replay(ccu_backend *be, uint64_t key) {
    (void)be;
    (void)key;
    return false;
}

static void record(ccu_backend *be, uint64_t key) {
    (void)be;
    (void)key;
}

static bool record_end(ccu_backend *be) {
    (void)be;
    return true;
}

static void close_backend(ccu_backend *be) {
    if (be == NULL) { return; }
    ccu_cpu *cpu = ccu_cpu_of(be);
    ccu_dnnl_close(cpu->dnnl);
    ccu_free(cpu->scratch);
    ccu_free(cpu->stage);
    ccu_free(cpu);
}

static const ccu_ops cpu_ops = {
    .name                = "cpu",
    .slab_alloc          = slab_alloc,
    .slab_free           = slab_free,
    .upload              = copy,
    .download            = copy,
    .copy                = copy,
    .finish              = finish,
    .close               = close_backend,
    .submit              = finish,
    .replay              = replay,
    .record              = record,
    .record_end          = record_end,
    .linear_bytes        = ccu_cpu_linear_bytes,
    .linear_pack         = ccu_cpu_linear_pack,
    .resize_crop_scratch = ccu_cpu_resize_crop_scratch,
    .patch_embed_scratch = ccu_cpu_patch_embed_scratch,
    .scores_topk_scratch = ccu_cpu_scores_topk_scratch,
    .attention_tree_backward_scratch = ccu_cpu_attention_tree_backward_scratch,
    .softmax_cross_entropy_scratch = ccu_cpu_softmax_cross_entropy_scratch,
    .resize_crop         = ccu_cpu_resize_crop,
    .patch_embed         = ccu_cpu_patch_embed,
    .embed_tokens        = ccu_cpu_embed_tokens,
    .layernorm           = ccu_cpu_layernorm,
    .linear              = ccu_cpu_linear,
    .attention           = ccu_cpu_attention,
    .attention_tree      = ccu_cpu_attention_tree,
    .gather              = ccu_cpu_gather,
    .normalise           = ccu_cpu_normalise,
    .segment_sum         = ccu_cpu_segment_sum,
    .scores_topk         = ccu_cpu_scores_topk,
    .act_backward = ccu_cpu_act_backward,
    .layernorm_backward = ccu_cpu_layernorm_backward,
    .attention_tree_backward = ccu_cpu_attention_tree_backward,
    .normalise_backward = ccu_cpu_normalise_backward,
    .softmax_cross_entropy = ccu_cpu_softmax_cross_entropy,
};

/* ---- Open ---------------------------------------------------------------------------------- */

clipcu_status ccu_cpu_open_way(int32_t threads, ccu_cpu_way way, ccu_backend **out,
                               clipcu_error *error) {
    assert(threads >= 1);
    assert(!way.bf16_native || ccu_cpu_bf16_native());
    assert(out != NULL);
    *out = NULL;
    ccu_cpu *cpu = ccu_alloc_zeroed(1, sizeof *cpu);
    if (cpu == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "CPU backend: out of memory"); }
    cpu->base.ops    = &cpu_ops;
    cpu->threads     = threads;
    cpu->bf16_native = way.bf16_native;
    cpu->panels      = way.panels;

    const clipcu_status status = ccu_dnnl_open(threads, &cpu->dnnl, error);
    if (status != CLIPCU_OK) {
        close_backend(&cpu->base);
        return status;
    }
    cpu->scratch = ccu_alloc((size_t)threads * CCU_CPU_SCRATCH_BYTES);
    if (cpu->scratch == NULL) {
        close_backend(&cpu->base);
        return ccu_fail(error, CLIPCU_ERR_NOMEM,
                        "CPU backend: no memory for the scratch of %d threads", threads);
    }
    *out = &cpu->base;
    return CLIPCU_OK;
}

clipcu_status ccu_cpu_open(int32_t threads, ccu_backend **out, clipcu_error *error) {
    return ccu_cpu_open_way(threads, ccu_cpu_best_way(), out, error);
}

/* oneDNN keeps packed weights, and is the faster for it, from AVX-512 on. Below, our kernel is,
 * provided it was compiled for the AVX2 and FMA it needs; a portable build leaves it to oneDNN,
 * which looks at the CPU when it runs. */
ccu_cpu_way ccu_cpu_best_way(void) {
#if defined(__AVX2__) && defined(__FMA__)
    const bool compiled = true;
#else
    const bool compiled = false;
#endif
    return (ccu_cpu_way){ .bf16_native = ccu_cpu_bf16_native(),
                          .panels      = compiled && !ccu_dnnl_avx512() };
}

bool ccu_cpu_bf16_native(void) {
    return ccu_dnnl_bf16();
}

void ccu_cpu_describe(char *text, size_t bytes) {
    ccu_dnnl_describe(text, bytes);
}
