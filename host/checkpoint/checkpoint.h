/* A model directory as people have it, opened without conversion: configuration, preprocessing
 * and every tensor under one set of names, whatever the layout on disk.
 *
 *   Hugging Face  config.json, model.safetensors or model.safetensors.index.json + shards,
 *                 preprocessor_config.json
 *   open_clip     open_clip_config.json, open_clip_model.safetensors
 *
 * checkpoint.c finds the layout and wires the pieces: safetensors.c (files), config.c (JSON ->
 * ccu_model_config), names.c (tensor names -> ccu_*_tensors).
 */
#ifndef CCU_CHECKPOINT_CHECKPOINT_H
#define CCU_CHECKPOINT_CHECKPOINT_H

#include <stdbool.h>

#include "base/dtype.h"
#include "base/file.h"
#include "base/kinds.h"
#include "base/status.h"

/* A tensor, row-major, little-endian, not necessarily aligned: in memory, or in a file from byte
 * `offset` on. Both NULL if the model has no such tensor. Lives as long as the checkpoint. */
typedef struct ccu_tensor {
    const uint8_t  *data;
    const ccu_file *file;
    size_t          offset;
    const char     *name; /* as in the file, for messages */
    ccu_dtype       dtype;
    int32_t         rank;
    int64_t         shape[4];
} ccu_tensor;

typedef struct ccu_tower_config {
    bool    present;
    int32_t layers, width, heads, mlp;
    ccu_act act;
    float   eps;
} ccu_tower_config;

typedef struct ccu_model_config {
    ccu_tower_config image, text;
    int32_t          image_size, patch_size;         /* image tower; channels are always 3 */
    int32_t          vocab_size, context_length;     /* text tower */
    int32_t          embed_dim;
    int32_t          eot_id; /* first position of this id is pooled; -1: of the largest id */
    float            mean[3], std[3];
    bool             squash;      /* resize to S x S ignoring the aspect ratio, no crop */
    ccu_resample     resample;
    int32_t          resize_size; /* shortest side after resize, >= image_size unless squash */
} ccu_model_config;

/* One pre-LN transformer block. q, k, v are (C, C) each; a fused in_proj is seen as three. */
typedef struct ccu_block_tensors {
    ccu_tensor ln1_w, ln1_b;
    ccu_tensor qkv_w[3], qkv_b[3];
    ccu_tensor out_w, out_b;
    ccu_tensor ln2_w, ln2_b;
    ccu_tensor fc1_w, fc1_b;
    ccu_tensor fc2_w, fc2_b;
} ccu_block_tensors;

typedef struct ccu_image_tensors {
    ccu_tensor         patch_w;        /* (C, 3, P, P) */
    ccu_tensor         class_token;    /* (C) */
    ccu_tensor         positions;      /* (G*G + 1, C) */
    ccu_tensor         ln_pre_w, ln_pre_b;
    ccu_block_tensors *blocks;         /* (layers) */
    ccu_tensor         ln_post_w, ln_post_b;
    ccu_tensor         proj;           /* (E, C), or (C, E) if proj_transposed */
    bool               proj_transposed;
} ccu_image_tensors;

typedef struct ccu_text_tensors {
    ccu_tensor         tokens;         /* (V, C) */
    ccu_tensor         positions;      /* (T, C) */
    ccu_block_tensors *blocks;         /* (layers) */
    ccu_tensor         ln_final_w, ln_final_b;
    ccu_tensor         proj;           /* (E, C), or (C, E) if proj_transposed */
    bool               proj_transposed;
} ccu_text_tensors;

typedef struct ccu_checkpoint {
    ccu_model_config  config;
    ccu_image_tensors image;       /* tensors of shapes that follow from config, checked */
    ccu_text_tensors  text;
    float             logit_scale; /* exp of the stored value; exp(ln(1/0.07)) if a single tower
                                      file holds none */
    uint64_t          fingerprint; /* of roles, shapes and sampled contents of the tensors in use
                                      and what else decides an embedding: see fingerprint.h */
    int64_t           parameters;  /* numbers in the tensors in use */
    const char       *layout;      /* "huggingface" or "open_clip" */
    void             *files;       /* owned: open shards and their headers */
} ccu_checkpoint;

/* Opens and checks everything. Unknown tensors are reported through warn (may be NULL), a missing
 * one fails by name, an unimplemented feature is UNSUPPORTED by name. */
clipcu_status ccu_checkpoint_open(const char *dir, clipcu_warn_fn warn, void *warn_user,
                                  ccu_checkpoint *out, clipcu_error *error);
/* Zeroed is a no-op. All ccu_tensor views end here. */
void ccu_checkpoint_close(ccu_checkpoint *checkpoint);

/* Elements first .. first+count-1 of a tensor as f32. Exact for every dtype. IO if the file cannot
 * be read or was cut short; *out holds anything then. */
clipcu_status ccu_tensor_to_f32(const ccu_tensor *tensor, size_t first, size_t count, float *out,
                                clipcu_error *error);

/* Bytes first .. first+bytes-1 of a tensor as they are. IO as above. */
clipcu_status ccu_tensor_read(const ccu_tensor *tensor, size_t first, size_t bytes, void *out,
                              clipcu_error *error);

/* Number of elements. */
size_t ccu_tensor_count(const ccu_tensor *tensor);

#endif
