/* Inside the CUDA backend: its state, and one launcher per op. */
#ifndef CCU_KERNELS_CUDA_STATE_H
#define CCU_KERNELS_CUDA_STATE_H

#include "simt.h"

extern "C" {
#include "device.h"
#include "linear_way.h"
#include "ops/ops.h"
}

typedef struct ccu_cublaslt ccu_cublaslt; /* cublaslt.h */
typedef struct ccu_staging  ccu_staging;  /* staging.h */
typedef struct ccu_graphs   ccu_graphs;   /* graphs.h */

typedef struct ccu_cuda {
    ccu_backend      base;   /* first: a ccu_backend * is a ccu_cuda * */
    ccu_device      *device;
    ccu_device_facts facts;
    simt_stream      stream;
    ccu_cublaslt    *cublaslt; /* NULL: not installed; our own kernels multiply */
    ccu_staging     *staging;  /* pinned memory between the caller's and the device */
    ccu_graphs      *graphs;
    ccu_linear_way   way;      /* AUTO but for tests and measurements */
} ccu_cuda;

static inline ccu_cuda *ccu_cuda_of(ccu_backend *be) {
    return reinterpret_cast<ccu_cuda *>(be);
}

/* False if the backend has failed before: the op leaves at once. Else the device is current. */
static inline bool ccu_cuda_ready(const ccu_cuda *cuda) {
    ccu_device_enter(cuda->device);
    return cuda->base.error.code == CLIPCU_OK;
}

/* Records a launch that failed (code != 0): CUDA with the op, its shape and the device's text. */
void ccu_cuda_result(ccu_cuda *cuda, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Records a shape that no variant can do: UNSUPPORTED. */
void ccu_cuda_unsupported(ccu_cuda *cuda, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Grid on the backend's stream. */
static inline simt_grid ccu_cuda_grid(const ccu_cuda *cuda, dim3 blocks, unsigned threads,
                                      size_t shared_bytes) {
    return simt_grid{blocks, dim3(threads), shared_bytes, cuda->stream};
}

/* Rounded up quotient: blocks for count things. */
static inline unsigned ccu_cuda_blocks(size_t count, size_t per_block) {
    return (unsigned)((count + per_block - 1) / per_block);
}

/* Packed weights are (N, K) row-major in dtype, rows this many elements apart: K rounded up to 16
 * bytes (16-bit dtypes: a multiple of 8), the rest zeros. */
static inline int32_t ccu_cuda_weight_stride(int32_t K, ccu_dtype dtype) {
    const int32_t step = dtype == CCU_F32 ? 4 : 8;
    return (K + step - 1) / step * step;
}

size_t ccu_cuda_linear_bytes(ccu_backend *be, int32_t N, int32_t K, ccu_dtype dtype,
                             ccu_weights weights);
void   ccu_cuda_linear_pack(ccu_backend *be, void *to, const float *host_w, int32_t N, int32_t K,
                            ccu_dtype dtype, ccu_weights weights);
size_t ccu_cuda_resize_crop_scratch(ccu_backend *be, const ccu_resize_crop *op);
size_t ccu_cuda_patch_embed_scratch(ccu_backend *be, const ccu_patch_embed *op);
size_t ccu_cuda_scores_topk_scratch(ccu_backend *be, const ccu_scores_topk *op);
void   ccu_cuda_resize_crop(ccu_backend *be, const ccu_resize_crop *op);
void   ccu_cuda_patch_embed(ccu_backend *be, const ccu_patch_embed *op);
void   ccu_cuda_embed_tokens(ccu_backend *be, const ccu_embed_tokens *op);
void   ccu_cuda_layernorm(ccu_backend *be, const ccu_layernorm *op);
void   ccu_cuda_linear(ccu_backend *be, const ccu_linear *op);
void   ccu_cuda_attention(ccu_backend *be, const ccu_attention *op);
void   ccu_cuda_attention_tree(ccu_backend *be, const ccu_attention_tree *op);
void   ccu_cuda_gather(ccu_backend *be, const ccu_gather *op);
void   ccu_cuda_normalise(ccu_backend *be, const ccu_normalise *op);
void   ccu_cuda_segment_sum(ccu_backend *be, const ccu_segment_sum *op);
void   ccu_cuda_act_backward(ccu_backend *be, const ccu_act_backward *op);
void   ccu_cuda_layernorm_backward(ccu_backend *be, const ccu_layernorm_backward *op);
void   ccu_cuda_attention_tree_backward(ccu_backend *be, const ccu_attention_tree_backward *op);
void   ccu_cuda_normalise_backward(ccu_backend *be, const ccu_normalise_backward *op);
void   ccu_cuda_softmax_cross_entropy(ccu_backend *be, const ccu_softmax_cross_entropy *op);
size_t ccu_cuda_attention_tree_backward_scratch(ccu_backend *be,
                                                const ccu_attention_tree_backward *op);
size_t ccu_cuda_softmax_cross_entropy_scratch(ccu_backend *be,
                                              const ccu_softmax_cross_entropy *op);
void   ccu_cuda_scores_topk(ccu_backend *be, const ccu_scores_topk *op);

#endif
