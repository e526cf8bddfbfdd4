/* The pre-LN transformer that both towers share (Radford et al. 2021, section 2.4). What differs
 * between image and text is data: which rows attend to which, and which rows are pooled.
 *
 * Only pooled rows leave a tower, so the last block computes queries, attention, output
 * projection and MLP for those rows alone: the same numbers, one layer's work less. */
#ifndef CCU_MODEL_TRANSFORMER_H
#define CCU_MODEL_TRANSFORMER_H

#include "model/plan.h"
#include "ops/ops.h"

/* Weights of one block, in backend memory. */
typedef struct ccu_block {
    const float *ln1_w, *ln1_b; /* (C) */
    const void  *qkv_w;         /* (3C, C) packed; NULL in the last block */
    const void  *q_w, *kv_w;    /* (C, C), (2C, C) packed; in the last block only */
    const float *qkv_b;         /* (3C): q, k, v */
    const void  *out_w;         /* (C, C) packed */
    const float *out_b;         /* (C) */
    const float *ln2_w, *ln2_b; /* (C) */
    const void  *fc1_w;         /* (mlp, C) packed */
    const float *fc1_b;         /* (mlp) */
    const void  *fc2_w;         /* (C, mlp) packed */
    const float *fc2_b;         /* (C) */
} ccu_block;

/* Which rows attend to which. path NULL: B dense sequences of T rows each, no mask.
 * Otherwise a token trie (text/trie.h), arrays in backend memory. */
typedef struct ccu_attend {
    int32_t        B, T;
    const int32_t *path_first, *path_count, *path;
    int32_t        path_max;
} ccu_attend;

/* Where one block leaves what a backward pass reads again. Plain runs have one set for all blocks,
 * each overwriting the one before. */
typedef struct ccu_block_rows {
    void *x;   /* (M, C) what enters the block */
    void *qkv; /* (M, 3C): q, k, v; (M, 2C) in the last block: k, v */
    void *mid; /* (M, C) x + attention; (pooled, C) in the last block */
} ccu_block_rows;

/* Called with the residual stream after the embeddings (layer 0) and after every block
 * (layer 1 .. layers; after the last one only the pooled rows remain). x is host-readable on the
 * CPU backend. For tests and debugging. */
typedef void (*ccu_probe)(void *user, int32_t layer, const void *x, int32_t rows, int32_t width,
                          ccu_dtype dtype);

typedef struct ccu_transformer {
    ccu_block *blocks; /* (layers), host memory, owned */
    int32_t    layers, C, H, mlp;
    ccu_act    act;
    float      eps;
    ccu_dtype  dtype;
    ccu_weights weights; /* of the blocks' linears; int8 goes with dtype f32 */

    /* Activations, backend memory. */
    void      *x;           /* (rows_max, C) residual stream: the caller writes the embeddings */
    ccu_block_rows *kept;   /* (layers) host memory, borrowed; [0].x is x. NULL in plain runs */
    void      *norm;        /* (rows_max, C) LayerNorm's result, then attention's */
    void      *wide;        /* (rows_max, max(3C, mlp)) */
    void      *pooled_x;    /* (pooled_max, C): the result */
    void      *pooled_norm; /* (pooled_max, C) */
    void      *pooled_q;    /* (pooled_max, C) */
    void      *pooled_wide; /* (pooled_max, mlp) */
    ccu_probe  probe;       /* NULL: none */
    void      *probe_user;
} ccu_transformer;

/* Takes the activations for up to rows_max rows, pooled_max of them pooled. */
void ccu_transformer_lay_out(ccu_transformer *t, ccu_plan *plan, int32_t rows_max,
                             int32_t pooled_max);

/* Runs t->x (M, C) through all blocks. pooled (count) are the rows to keep, in backend memory
 * (dense: row 0 of each sequence, count = B). The result is t->pooled_x (count, C). */
void ccu_transformer_run(ccu_transformer *t, ccu_backend *be, int32_t M, const ccu_attend *attend,
                         const int32_t *pooled, int32_t count);

#endif
