/* The CUDA backend: its table, memory and errors; see cuda_backend.h. Ops are one file each. */
#include "cuda_backend.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cublaslt.h"
#include "cuda_state.h"
#include "graphs.h"
#include "staging.h"

extern "C" {
#include "base/memory.h"
}

/* ---- Errors --------------------------------------------------------------------------------- */

void ccu_cuda_result(ccu_cuda *cuda, int code, const char *format, ...) {
    char    shape[160];
    va_list args;
    if (code == 0) { return; }
    va_start(args, format);
    (void)vsnprintf(shape, sizeof shape, format, args);
    va_end(args);
    (void)ccu_fail(&cuda->base.error, CLIPCU_ERR_CUDA, "CUDA backend: %s: %s", shape,
                   ccu_device_text(code));
}

void ccu_cuda_unsupported(ccu_cuda *cuda, const char *format, ...) {
    char    shape[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(shape, sizeof shape, format, args);
    va_end(args);
    (void)ccu_fail(&cuda->base.error, CLIPCU_ERR_UNSUPPORTED, "CUDA backend: %s", shape);
}

/* ---- Memory --------------------------------------------------------------------------------- */

static void *slab_alloc(ccu_backend *be, size_t bytes) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    void     *slab = NULL;
    size_t    left = 0;
    if (ccu_device_alloc(cuda->device, bytes, &slab) != 0) {
        (void)ccu_device_memory_free(cuda->device, &left); /* 0 reads as what it is */
        (void)ccu_fail(&be->error, CLIPCU_ERR_NOMEM,
                       "CUDA backend: no device memory for a slab of %zu bytes, %zu are free",
                       bytes, left);
        return NULL;
    }
    return slab;
}

static void slab_free(ccu_backend *be, void *slab) {
    if (slab != NULL) { ccu_graphs_forget(ccu_cuda_of(be)->graphs, ccu_cuda_of(be)->device); }
    ccu_device_free(ccu_cuda_of(be)->device, slab);
}

static void upload(ccu_backend *be, void *to, const void *host, size_t bytes) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || bytes == 0) { return; }
    ccu_staging_upload(cuda, to, host, bytes);
}

static void download(ccu_backend *be, void *host, const void *from, size_t bytes) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || bytes == 0) { return; }
    ccu_staging_download(cuda, host, from, bytes);
}

static void copy(ccu_backend *be, void *to, const void *from, size_t bytes) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || bytes == 0) { return; }
    ccu_cuda_result(cuda, ccu_device_copy(cuda->device, to, from, bytes), "copy of %zu bytes",
                    bytes);
}

/* Hands the first failure over. */
static clipcu_status submit(ccu_backend *be, clipcu_error *error) {
    const clipcu_status status = be->error.code;
    if (status != CLIPCU_OK) {
        (void)ccu_fail(error, status, "%s", be->error.text);
        ccu_error_clear(&be->error);
    }
    ccu_device_leave(ccu_cuda_of(be)->device);
    return status;
}

static clipcu_status finish(ccu_backend *be, clipcu_error *error) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    ccu_cuda_result(cuda, ccu_device_sync(cuda->device), "an op that had been queued");
    ccu_staging_deliver(cuda);
    return submit(be, error);
}

static void close_backend(ccu_backend *be) {
    if (be == NULL) { return; }
    ccu_cuda *cuda = ccu_cuda_of(be);
    ccu_graphs_close(cuda->graphs, cuda->device);
    ccu_cublaslt_close(cuda->cublaslt, cuda->device);
    ccu_staging_close(cuda->staging, cuda->device);
    ccu_device_close(cuda->device);
    ccu_free(cuda);
}

/* Designated initialisers of nested names are C only; the order is that of ccu_ops. */
static const ccu_ops cuda_ops = {
    "cuda",
    slab_alloc,
    slab_free,
    upload,
    download,
    copy,
    finish,
    close_backend,
    submit,
    ccu_cuda_replay,
    ccu_cuda_record,
    ccu_cuda_record_end,
    ccu_cuda_linear_bytes,
    ccu_cuda_linear_pack,
    ccu_cuda_resize_crop_scratch,
    ccu_cuda_patch_embed_scratch,
    ccu_cuda_scores_topk_scratch,
    ccu_cuda_attention_tree_backward_scratch,
    ccu_cuda_softmax_cross_entropy_scratch,
    ccu_cuda_resize_crop,
    ccu_cuda_patch_embed,
    ccu_cuda_embed_tokens,
    ccu_cuda_layernorm,
    ccu_cuda_linear,
    ccu_cuda_attention,
    ccu_cuda_attention_tree,
    ccu_cuda_gather,
    ccu_cuda_normalise,
    ccu_cuda_segment_sum,
    ccu_cuda_scores_topk,
    ccu_cuda_act_backward,
    ccu_cuda_layernorm_backward,
    ccu_cuda_attention_tree_backward,
    ccu_cuda_normalise_backward,
    ccu_cuda_softmax_cross_entropy,
};

/* ---- Open ----------------------------------------------------------------------------------- */

bool ccu_cuda_built(void) {
    return true;
}

clipcu_status ccu_cuda_open(int32_t device_index, void *stream, ccu_backend **out,
                            clipcu_error *error) {
    char reason[160]; /* that cuBLASLt is not there is no error */
    assert(out != NULL);
    *out           = NULL;
    ccu_cuda *cuda = (ccu_cuda *)ccu_alloc_zeroed(1, sizeof *cuda);
    if (cuda == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "CUDA backend: out of memory"); }
    cuda->base.ops             = &cuda_ops;
    clipcu_status status = ccu_device_open(device_index, stream, &cuda->device, error);
    if (status == CLIPCU_OK) { status = ccu_staging_open(cuda->device, &cuda->staging, error); }
    if (status == CLIPCU_OK) { status = ccu_graphs_open(&cuda->graphs, error); }
    if (status != CLIPCU_OK) {
        close_backend(&cuda->base);
        return status;
    }
    cuda->cublaslt = ccu_cublaslt_open(cuda->device, reason, sizeof reason);
    cuda->facts    = *ccu_device_facts_of(cuda->device);
    cuda->stream   = (simt_stream)ccu_device_stream(cuda->device);
    ccu_device_leave(cuda->device);
    *out           = &cuda->base;
    return CLIPCU_OK;
}

void ccu_cuda_describe(const ccu_backend *be, char *text, size_t bytes) {
    const ccu_cuda *cuda = reinterpret_cast<const ccu_cuda *>(be);
    (void)snprintf(text, bytes, "%s, sm_%d, driver %d.%d, %s", cuda->facts.name,
                   cuda->facts.capability, cuda->facts.driver / 1000,
                   cuda->facts.driver % 1000 / 10,
                   cuda->cublaslt != NULL ? "cuBLASLt" : "no cuBLASLt"); /* a cut one is good */
}

size_t ccu_cuda_memory_free(const ccu_backend *be) {
    size_t bytes = 0;
    (void)ccu_device_memory_free(reinterpret_cast<const ccu_cuda *>(be)->device, &bytes);
    return bytes;
}
