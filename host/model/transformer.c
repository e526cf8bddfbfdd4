/* The pre-LN transformer; see transformer.h. Reads like the paper: x += attention(LN(x)),
 * x += MLP(LN(x)). */
#include "model/transformer.h"

#include <assert.h>

void ccu_transformer_lay_out(ccu_transformer *t, ccu_plan *plan, int32_t rows_max,
                             int32_t pooled_max) {
    const size_t size   = ccu_dtype_bytes(t->dtype);
    const size_t rows   = (size_t)rows_max;
    const size_t pooled = (size_t)pooled_max;
    const size_t C      = (size_t)t->C;
    const size_t mlp    = (size_t)t->mlp;
    const size_t wide   = mlp > 3 * C ? mlp : 3 * C;

    for (int32_t i = 0; t->kept != NULL && i < t->layers; i++) {
        const bool last = i == t->layers - 1;
        t->kept[i].x    = ccu_plan_take(plan, rows * C, size);
        t->kept[i].qkv  = ccu_plan_take(plan, rows * C, (last ? 2 : 3) * size);
        t->kept[i].mid  = ccu_plan_take(plan, (last ? pooled : rows) * C, size);
    }
    t->x           = t->kept != NULL ? t->kept[0].x : ccu_plan_take(plan, rows * C, size);
    t->norm        = ccu_plan_take(plan, rows * C, size);
    t->wide        = ccu_plan_take(plan, rows * wide, size);
    t->pooled_x    = ccu_plan_take(plan, pooled * C, size);
    t->pooled_norm = ccu_plan_take(plan, pooled * C, size);
    t->pooled_q    = ccu_plan_take(plan, pooled * C, size);
    t->pooled_wide = ccu_plan_take(plan, pooled * mlp, size);
}

/* Element `offset` of a tensor of the transformer's dtype. */
static const void *at(const ccu_transformer *t, const void *tensor, int32_t offset) {
    return (const uint8_t *)tensor + (size_t)offset * ccu_dtype_bytes(t->dtype);
}

static void layernorm(const ccu_transformer *t, ccu_backend *be, void *y, const void *x,
                      const float *w, const float *b, int32_t M) {
    be->ops->layernorm(be, &(ccu_layernorm){.y = y, .x = x, .w = w, .b = b, .M = M, .C = t->C,
                                            .eps = t->eps, .dtype = t->dtype});
}

/* y = mix(q, k, v); q rows are all M rows (pooled NULL) or the pooled ones. */
static void attention(const ccu_transformer *t, ccu_backend *be, const ccu_attend *attend,
                      ccu_attention_tree qkv, int32_t count) {
    const int32_t H = t->H, D = t->C / t->H;
    if (attend->path == NULL) {
        const int32_t Tq = qkv.rows == NULL ? attend->T : 1;
        be->ops->attention(be, &(ccu_attention){.y = qkv.y, .q = qkv.q, .k = qkv.k, .v = qkv.v,
                                                .q_stride = qkv.q_stride,
                                                .kv_stride = qkv.kv_stride, .B = attend->B,
                                                .Tq = Tq, .T = attend->T, .H = H, .D = D,
                                                .dtype = t->dtype});
        return;
    }
    qkv.path_first = attend->path_first;
    qkv.path_count = attend->path_count;
    qkv.path       = attend->path;
    qkv.path_max   = attend->path_max;
    qkv.Mq         = count;
    qkv.H          = H;
    qkv.D          = D;
    qkv.dtype      = t->dtype;
    be->ops->attention_tree(be, &qkv);
}

/* A linear of a block: dtype and kind of weights are the transformer's. */
static void linear(const ccu_transformer *t, ccu_backend *be, ccu_linear op) {
    op.dtype   = t->dtype;
    op.weights = t->weights;
    be->ops->linear(be, &op);
}

/* mid = x + out(mix), mix in norm; y = mid + fc2(act(fc1(LN2(mid)))): the second half of every
 * block. x, mid and y may be the same rows. */
static void finish_block(const ccu_transformer *t, ccu_backend *be, const ccu_block *w,
                         const void *x, void *mid, void *y, void *norm, void *wide, int32_t M) {
    const int32_t C = t->C, mlp = t->mlp;
    linear(t, be, (ccu_linear){.y = mid, .x = norm, .w = w->out_w, .b = w->out_b, .r = x, .M = M,
                               .N = C, .K = C});
    layernorm(t, be, norm, mid, w->ln2_w, w->ln2_b, M);
    linear(t, be, (ccu_linear){.y = wide, .x = norm, .w = w->fc1_w, .b = w->fc1_b, .M = M,
                               .N = mlp, .K = C, .act = t->act});
    linear(t, be, (ccu_linear){.y = y, .x = wide, .w = w->fc2_w, .b = w->fc2_b, .r = mid, .M = M,
                               .N = C, .K = mlp});
}

static ccu_block_rows rows_of(const ccu_transformer *t, int32_t i) {
    if (t->kept != NULL) { return t->kept[i]; }
    return (ccu_block_rows){.x = t->x, .qkv = t->wide,
                            .mid = i == t->layers - 1 ? t->pooled_x : t->x};
}

static void full_block(const ccu_transformer *t, ccu_backend *be, int32_t i, int32_t M,
                       const ccu_attend *attend) {
    const int32_t        C    = t->C;
    const ccu_block     *w    = &t->blocks[i];
    const ccu_block_rows rows = rows_of(t, i);
    layernorm(t, be, t->norm, rows.x, w->ln1_w, w->ln1_b, M);
    linear(t, be, (ccu_linear){.y = rows.qkv, .x = t->norm, .w = w->qkv_w, .b = w->qkv_b,
                               .M = M, .N = 3 * C, .K = C});
    attention(t, be, attend,
              (ccu_attention_tree){.y = t->norm, .q = rows.qkv, .k = at(t, rows.qkv, C),
                                   .v = at(t, rows.qkv, 2 * C), .q_stride = 3 * C,
                                   .kv_stride = 3 * C, .M = M},
              M);
    finish_block(t, be, w, rows.x, rows.mid, rows_of(t, i + 1).x, t->norm, t->wide, M);
}

/* Keys and values of all rows, everything else of the pooled rows only. */
static void last_block(const ccu_transformer *t, ccu_backend *be, int32_t M,
                       const ccu_attend *attend, const int32_t *pooled, int32_t count) {
    const ccu_ops       *ops  = be->ops;
    const int32_t        C    = t->C;
    const ccu_block     *w    = &t->blocks[t->layers - 1];
    const ccu_block_rows rows = rows_of(t, t->layers - 1);
    layernorm(t, be, t->norm, rows.x, w->ln1_w, w->ln1_b, M);
    linear(t, be, (ccu_linear){.y = rows.qkv, .x = t->norm, .w = w->kv_w, .b = w->qkv_b + C,
                               .M = M, .N = 2 * C, .K = C});
    ops->gather(be, &(ccu_gather){.y = t->pooled_x, .x = rows.x, .rows = pooled, .M = count,
                                  .C = C, .dtype = t->dtype});
    ops->gather(be, &(ccu_gather){.y = t->pooled_norm, .x = t->norm, .rows = pooled, .M = count,
                                  .C = C, .dtype = t->dtype});
    linear(t, be, (ccu_linear){.y = t->pooled_q, .x = t->pooled_norm, .w = w->q_w,
                               .b = w->qkv_b, .M = count, .N = C, .K = C});
    attention(t, be, attend,
              (ccu_attention_tree){.y = t->pooled_norm, .q = t->pooled_q, .k = rows.qkv,
                                   .v = at(t, rows.qkv, C), .rows = pooled, .q_stride = C,
                                   .kv_stride = 2 * C, .M = M},
              count);
    finish_block(t, be, w, t->pooled_x, rows.mid, t->pooled_x, t->pooled_norm, t->pooled_wide,
                 count);
}

void ccu_transformer_run(ccu_transformer *t, ccu_backend *be, int32_t M, const ccu_attend *attend,
                         const int32_t *pooled, int32_t count) {
    assert(t->layers >= 1);
    assert(M >= 1 && count >= 1);
    assert(attend->path != NULL || (M == attend->B * attend->T && count == attend->B));
    const int32_t last = t->layers - 1;
    for (int32_t i = 0; i <= last; i++) {
        if (t->probe != NULL) { t->probe(t->probe_user, i, rows_of(t, i).x, M, t->C, t->dtype); }
        if (i < last) {
            full_block(t, be, i, M, attend);
        } else {
            last_block(t, be, M, attend, pooled, count);
        }
    }
    if (t->probe != NULL) {
        t->probe(t->probe_user, t->layers, t->pooled_x, count, t->C, t->dtype);
    }
}
