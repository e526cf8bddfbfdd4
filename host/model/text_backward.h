/* The gradient of the text tower with respect to learned context vectors, everything else frozen
 * (Zhou et al. 2022, CoOp). Prompts stand in tries, so a context that many classes share goes
 * backward once: exact, as causality makes it going forward.
 *
 * A chunk of prompts is encoded with its rows kept (ccu_text_tower_encode) and goes backward before
 * the next one is packed. What a linear layer would need again beyond that is computed again: the
 * first linear of an MLP, and the weights of attention. */
#ifndef CCU_MODEL_TEXT_BACKWARD_H
#define CCU_MODEL_TEXT_BACKWARD_H

#include "checkpoint/checkpoint.h"
#include "model/text_tower.h"

/* A block's matrices transposed: dx = dy . w is a linear layer with them. Backend memory. */
typedef struct ccu_block_transposed {
    const void *qkv_w;       /* (C, 3C) packed; NULL in the last block */
    const void *q_w, *kv_w;  /* (C, C), (C, 2C) packed; in the last block only */
    const void *out_w;       /* (C, C) packed */
    const void *fc1_w;       /* (C, mlp) packed */
    const void *fc2_w;       /* (mlp, C) packed */
} ccu_block_transposed;

/* What a chunk's trie means to the ops that go backward. */
typedef struct ccu_text_lists {
    int32_t *below_first, *below_end;   /* (rows) all rows are queries: those below each row */
    int32_t *pooled_first, *pooled_end; /* (rows) the same, the pooled rows are */
    int32_t *leaf_ids, *leaf_first;     /* (leaves), (leaves + 1): equal prompts share a leaf */
    int32_t *learned;                   /* (rows) rows that are context vectors, ascending */
    int32_t *context_ids, *context_first; /* (rows), (rows + 1) context vectors, and which of */
    int32_t *context_rows;                /* (rows) the learned rows each one is */
    int32_t *identity;                  /* (rows) 0, 1, 2, ... */
    int32_t  leaf_groups, learned_count, context_groups;
} ccu_text_lists;

typedef struct ccu_text_backward {
    ccu_text_tower       *tower;     /* borrowed; its rows are kept, its leaves_max is its own */
    ccu_block_transposed *blocks;    /* (layers) host memory, owned */
    const void           *proj_w;    /* (C, E) packed */
    int32_t               depth_max; /* tokens of the longest prompt */
    ccu_text_lists        host;      /* host memory, owned */
    uint64_t             *keys;      /* (rows_max) host memory, owned: for sorting */
    ccu_text_lists        lists;     /* the same in backend memory */

    /* Activations, backend memory, beyond those of the tower. */
    void *dx;        /* (rows_max, C) */
    void *wide;      /* (rows_max, max(3C, mlp)) */
    void *pooled_dx; /* (leaves_max, C) */
    void *scratch;   /* of attention_tree_backward */
} ccu_text_backward;

/* Makes tower keep its rows. Before anything is laid out. NOMEM. */
clipcu_status ccu_text_backward_open(ccu_text_backward *backward, ccu_text_tower *tower,
                                     int32_t depth_max, clipcu_error *error);
/* Host memory for chunks, tower's trie among it, once rows_max and leaves_max are settled.
 * NOMEM. */
clipcu_status ccu_text_backward_open_lists(ccu_text_backward *backward, clipcu_error *error);
/* Takes whatever was opened; zeroed is nothing. */
void ccu_text_backward_close(ccu_text_backward *backward);

/* Takes the transposed weights. */
void ccu_text_backward_lay_out_weights(ccu_text_backward *backward, ccu_backend *be,
                                       ccu_plan *plan);

/* Takes the activations, the tower's own among them. */
void ccu_text_backward_lay_out(ccu_text_backward *backward, ccu_backend *be, ccu_plan *plan);

/* As ccu_text_weights_upload. */
clipcu_status ccu_text_backward_upload(const ccu_checkpoint *checkpoint,
                                       ccu_text_backward *backward, ccu_backend *be,
                                       clipcu_error *error);

/* ccu_text_tower_pack, with the lists of the chunk. */
int32_t ccu_text_backward_pack(ccu_text_backward *backward, ccu_backend *be,
                               const ccu_prompts *prompts, const int32_t *order, int32_t from);

/* After ccu_text_tower_encode of that chunk; takes what was kept apart.
 * dunit (leaves, E): gradient with respect to tower->unit.
 * dcontext (., C): += the gradient of each row of tower->learned. Both f32 in backend memory. */
void ccu_text_backward_run(ccu_text_backward *backward, ccu_backend *be, const float *dunit,
                           float *dcontext);

/* Its second half: from the gradient of the pooled rows, backward->pooled_dx, to that of the
 * learned rows. Returns the latter, (learned_count, C) in the tower's dtype. */
const void *ccu_text_backward_blocks(const ccu_text_backward *backward, ccu_backend *be);

#endif
