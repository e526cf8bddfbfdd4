/* The transformer's blocks, from the last to the first; see text_backward.h. In each, what the
 * forward pass did is undone from its end:
 *
 *   y = mid + fc2(act(fc1(LN2(mid)))),  mid = x + out(attention(qkv(LN1(x)))).
 *
 * Two shortcuts, both exact. The last block has only pooled rows after its attention. The first
 * block's input is a constant but for the context vectors: only their rows pass its LN1. */
#include <assert.h>

#include "model/text_backward.h"

typedef struct pass {
    const ccu_text_backward *backward;
    const ccu_transformer   *t;
    ccu_backend             *be;
    int32_t                  M, leaves;
} pass;

static void *at(const pass *p, void *tensor, int32_t offset) {
    return (uint8_t *)tensor + (size_t)offset * ccu_dtype_bytes(p->t->dtype);
}

/* y (M, N) = x (M, K) . w^T + b */
static void linear(const pass *p, void *y, const void *x, const void *w, const float *b, int32_t M,
                   int32_t N, int32_t K) {
    p->be->ops->linear(p->be, &(ccu_linear){.y = y, .x = x, .w = w, .b = b, .M = M, .N = N, .K = K,
                                            .dtype = p->t->dtype});
}

static void gather(const pass *p, void *y, const void *x, int32_t C) {
    const ccu_text_lists *lists = &p->backward->lists;
    p->be->ops->gather(p->be, &(ccu_gather){.y = y, .x = x, .rows = lists->learned,
                                            .M = lists->learned_count, .C = C,
                                            .dtype = p->t->dtype});
}

/* dx = LN'(x; dy) + r */
static void layernorm_backward(const pass *p, void *dx, const void *dy, const void *x,
                               const float *w, const void *r, int32_t M) {
    const ccu_transformer *t = p->t;
    p->be->ops->layernorm_backward(p->be, &(ccu_layernorm_backward){.dx = dx, .dy = dy, .x = x,
                                                                    .w = w, .r = r, .M = M,
                                                                    .C = t->C, .eps = t->eps,
                                                                    .dtype = t->dtype});
}

/* dx: from the gradient of y to that of mid. norm (M, C), wide and dwide (M, mlp) are scratch. */
static void mlp_backward(const pass *p, int32_t i, void *dx, const void *mid, void *norm,
                         void *wide, void *dwide, int32_t M) {
    const ccu_transformer      *t  = p->t;
    const ccu_block            *w  = &t->blocks[i];
    const ccu_block_transposed *wt = &p->backward->blocks[i];
    p->be->ops->layernorm(p->be, &(ccu_layernorm){.y = norm, .x = mid, .w = w->ln2_w,
                                                  .b = w->ln2_b, .M = M, .C = t->C,
                                                  .eps = t->eps, .dtype = t->dtype});
    linear(p, wide, norm, w->fc1_w, w->fc1_b, M, t->mlp, t->C);
    linear(p, dwide, dx, wt->fc2_w, NULL, M, t->mlp, t->C);
    p->be->ops->act_backward(p->be, &(ccu_act_backward){.dx = dwide, .dy = dwide, .x = wide,
                                                        .M = M, .N = t->mlp, .act = t->act,
                                                        .dtype = t->dtype});
    linear(p, norm, dwide, wt->fc1_w, NULL, M, t->C, t->mlp);
    layernorm_backward(p, dx, norm, mid, w->ln2_w, dx, M);
}

/* What is the same for all blocks. */
static void attention_backward(const pass *p, ccu_attention_tree_backward op) {
    const ccu_text_tower *tower = p->backward->tower;
    op.path_first = tower->path_first;
    op.path_count = tower->path_count;
    op.path       = tower->path;
    op.path_used  = tower->trie.path_used;
    op.path_max   = tower->context;
    op.scratch    = p->backward->scratch;
    op.M          = p->M;
    op.H          = p->t->H;
    op.D          = p->t->C / p->t->H;
    op.dtype      = p->t->dtype;
    p->be->ops->attention_tree_backward(p->be, &op);
}

/* y[leaf rows] += x, (leaves, C) */
static void add_to_leaves(const pass *p, void *y, const void *x) {
    const ccu_text_lists *lists = &p->backward->lists;
    p->be->ops->segment_sum(p->be, &(ccu_segment_sum){.y = y, .x = x, .ids = lists->leaf_ids,
                                                      .first = lists->leaf_first,
                                                      .rows = lists->identity,
                                                      .groups = lists->leaf_groups, .C = p->t->C,
                                                      .x_dtype = p->t->dtype,
                                                      .y_dtype = p->t->dtype});
}

/* From pooled_dx to dx, the gradient of all rows that enter the last block. */
static void last_block_backward(const pass *p) {
    const ccu_text_backward    *backward = p->backward;
    const ccu_transformer      *t        = p->t;
    const int32_t               i = t->layers - 1, C = t->C;
    const ccu_block_rows       *rows = &t->kept[i];
    const ccu_block_transposed *wt   = &backward->blocks[i];
    void *const dq = t->pooled_wide, *const dkv = backward->wide;

    mlp_backward(p, i, backward->pooled_dx, rows->mid, t->pooled_norm, t->pooled_wide,
                 backward->wide, p->leaves);
    linear(p, t->pooled_norm, backward->pooled_dx, wt->out_w, NULL, p->leaves, C, C);
    attention_backward(p, (ccu_attention_tree_backward){
                              .dq = dq, .dk = dkv, .dv = at(p, dkv, C), .dy = t->pooled_norm,
                              .q = t->pooled_q, .k = rows->qkv, .v = at(p, rows->qkv, C),
                              .rows = backward->tower->leaf,
                              .below_first = backward->lists.pooled_first,
                              .below_end = backward->lists.pooled_end, .q_stride = C,
                              .kv_stride = 2 * C, .Mq = p->leaves});
    linear(p, t->norm, dkv, wt->kv_w, NULL, p->M, C, 2 * C);
    linear(p, t->pooled_norm, dq, wt->q_w, NULL, p->leaves, C, C);
    add_to_leaves(p, t->norm, t->pooled_norm);
    layernorm_backward(p, backward->dx, t->norm, rows->x, t->blocks[i].ln1_w, NULL, p->M);
    add_to_leaves(p, backward->dx, backward->pooled_dx);
}

/* dx: from the gradient of y to that of mid; wide: dq, dk, dv. */
static void full_block_backward(const pass *p, int32_t i) {
    const ccu_text_backward *backward = p->backward;
    const ccu_transformer   *t        = p->t;
    const ccu_block_rows    *rows     = &t->kept[i];
    const int32_t            C        = t->C;
    void *const              dqkv     = backward->wide;

    mlp_backward(p, i, backward->dx, rows->mid, t->norm, t->wide, backward->wide, p->M);
    linear(p, t->norm, backward->dx, backward->blocks[i].out_w, NULL, p->M, C, C);
    attention_backward(p, (ccu_attention_tree_backward){
                              .dq = dqkv, .dk = at(p, dqkv, C), .dv = at(p, dqkv, 2 * C),
                              .dy = t->norm, .q = rows->qkv, .k = at(p, rows->qkv, C),
                              .v = at(p, rows->qkv, 2 * C),
                              .below_first = backward->lists.below_first,
                              .below_end = backward->lists.below_end, .q_stride = 3 * C,
                              .kv_stride = 3 * C, .Mq = p->M});
}

const void *ccu_text_backward_blocks(const ccu_text_backward *backward, ccu_backend *be) {
    const ccu_transformer *t = &backward->tower->trunk;
    const pass    p = {.backward = backward, .t = t, .be = be, .M = backward->tower->trie.rows,
                       .leaves = backward->tower->trie.leaves};
    const int32_t C = t->C, last = t->layers - 1, count = backward->lists.learned_count;
    assert(t->kept != NULL && count >= 1);

    last_block_backward(&p);
    if (last == 0) {
        gather(&p, t->norm, backward->dx, C);
        return t->norm;
    }
    for (int32_t i = last - 1; i > 0; i--) {
        full_block_backward(&p, i);
        linear(&p, t->norm, backward->wide, backward->blocks[i].qkv_w, NULL, p.M, C, 3 * C);
        layernorm_backward(&p, backward->dx, t->norm, t->kept[i].x, t->blocks[i].ln1_w,
                           backward->dx, p.M);
    }
    full_block_backward(&p, 0);
    /* What the second block kept is no longer needed: its place is. */
    void *const x = t->kept[1].x, *const dx = t->kept[1].qkv;
    gather(&p, t->wide, backward->wide, 3 * C);
    gather(&p, x, t->kept[0].x, C);
    gather(&p, dx, backward->dx, C);
    linear(&p, t->norm, t->wide, backward->blocks[0].qkv_w, NULL, count, C, 3 * C);
    layernorm_backward(&p, dx, t->norm, x, t->blocks[0].ln1_w, dx, count);
    return dx;
}
