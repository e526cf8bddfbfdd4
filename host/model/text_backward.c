/* Gradients of learned context vectors; see text_backward.h. The blocks are in
 * text_backward_blocks.c. */
#include "model/text_backward.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/weights_stage.h"

/* ---- Open, lay out -------------------------------------------------------------------------- */

/* All lists, from take(user, count). */
static ccu_text_lists lists_of(const ccu_text_tower *tower,
                               int32_t *(*take)(void *user, size_t count), void *user) {
    const size_t rows = (size_t)tower->rows_max, leaves = (size_t)tower->leaves_max;
    ccu_text_lists lists = {0};
    lists.below_first    = take(user, rows); /* one after another: the first begins the block */
    lists.below_end      = take(user, rows);
    lists.pooled_first   = take(user, rows);
    lists.pooled_end     = take(user, rows);
    lists.leaf_ids       = take(user, leaves);
    lists.leaf_first     = take(user, leaves + 1);
    lists.learned        = take(user, rows);
    lists.context_ids    = take(user, rows);
    lists.context_first  = take(user, rows + 1);
    lists.context_rows   = take(user, rows);
    lists.identity       = take(user, rows);
    return lists;
}

/* Where the next list begins; NULL while counting. */
typedef struct host_block {
    int32_t *next;
    size_t   count;
} host_block;

static int32_t *take_host(void *user, size_t count) {
    host_block *block = user;
    int32_t    *list  = block->next;
    block->count += count;
    if (list != NULL) { block->next += count; }
    return list;
}

static int32_t *take_backend(void *user, size_t count) {
    return ccu_plan_take(user, count, sizeof(int32_t));
}

clipcu_status ccu_text_backward_open(ccu_text_backward *backward, ccu_text_tower *tower,
                                     int32_t depth_max, clipcu_error *error) {
    const size_t layers = (size_t)tower->trunk.layers;
    assert(depth_max >= 1 && depth_max <= tower->context);
    assert(tower->trunk.weights == CCU_WEIGHTS_PLAIN);
    *backward         = (ccu_text_backward){.tower = tower, .depth_max = depth_max};
    tower->trunk.kept = ccu_alloc_zeroed(layers, sizeof *tower->trunk.kept);
    backward->blocks  = ccu_alloc_zeroed(layers, sizeof *backward->blocks);
    if (tower->trunk.kept == NULL || backward->blocks == NULL) {
        ccu_text_backward_close(backward);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %zu blocks", layers);
    }
    return CLIPCU_OK;
}

clipcu_status ccu_text_backward_open_lists(ccu_text_backward *backward, clipcu_error *error) {
    ccu_text_tower *tower = backward->tower;
    host_block      block = {0};
    (void)lists_of(tower, take_host, &block);
    backward->keys = ccu_alloc((size_t)tower->rows_max * sizeof *backward->keys);
    block.next     = ccu_alloc(block.count * sizeof *block.next);
    if (backward->keys == NULL || block.next == NULL) {
        ccu_free(block.next);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for the lists of %d text rows",
                        tower->rows_max);
    }
    backward->host = lists_of(tower, take_host, &block);
    for (int32_t i = 0; i < tower->rows_max; i++) { backward->host.identity[i] = i; }
    return ccu_text_tower_open_trie(tower, error);
}

void ccu_text_backward_close(ccu_text_backward *backward) {
    if (backward->tower != NULL) {
        ccu_text_tower_close_trie(backward->tower);
        ccu_free(backward->tower->trunk.kept);
        backward->tower->trunk.kept = NULL;
    }
    ccu_free(backward->blocks);
    ccu_free(backward->keys);
    ccu_free(backward->host.below_first); /* where the block begins */
    *backward = (ccu_text_backward){0};
}

static const void *take_linear(ccu_plan *plan, ccu_backend *be, const ccu_transformer *t,
                               int32_t N, int32_t K) {
    return ccu_plan_take(plan, be->ops->linear_bytes(be, N, K, t->dtype, CCU_WEIGHTS_PLAIN), 1);
}

void ccu_text_backward_lay_out_weights(ccu_text_backward *backward, ccu_backend *be,
                                       ccu_plan *plan) {
    const ccu_transformer *t = &backward->tower->trunk;
    const int32_t          C = t->C;
    for (int32_t i = 0; i < t->layers; i++) {
        ccu_block_transposed *block = &backward->blocks[i];
        if (i < t->layers - 1) {
            block->qkv_w = take_linear(plan, be, t, C, 3 * C);
        } else {
            block->q_w  = take_linear(plan, be, t, C, C);
            block->kv_w = take_linear(plan, be, t, C, 2 * C);
        }
        block->out_w = take_linear(plan, be, t, C, C);
        block->fc1_w = take_linear(plan, be, t, C, t->mlp);
        block->fc2_w = take_linear(plan, be, t, t->mlp, C);
    }
    backward->proj_w = take_linear(plan, be, t, C, backward->tower->E);
}

void ccu_text_backward_lay_out(ccu_text_backward *backward, ccu_backend *be, ccu_plan *plan) {
    ccu_text_tower        *tower = backward->tower;
    const ccu_transformer *t     = &tower->trunk;
    const size_t           size  = ccu_dtype_bytes(t->dtype);
    const size_t           rows = (size_t)tower->rows_max, C = (size_t)t->C;
    const size_t           mlp = (size_t)t->mlp, width = mlp > 3 * C ? mlp : 3 * C;

    ccu_text_tower_lay_out(tower, plan);
    backward->lists     = lists_of(tower, take_backend, plan);
    backward->dx        = ccu_plan_take(plan, rows * C, size);
    backward->wide      = ccu_plan_take(plan, rows * width, size);
    backward->pooled_dx = ccu_plan_take(plan, (size_t)tower->leaves_max * C, size);
    const ccu_attention_tree_backward most = {.path_used = rows * (size_t)backward->depth_max,
                                              .Mq = tower->leaves_max,
                                              .M = tower->rows_max, .H = t->H, .D = t->C / t->H,
                                              .path_max = tower->context, .dtype = t->dtype};
    backward->scratch = ccu_plan_take(plan, be->ops->attention_tree_backward_scratch(be, &most), 1);
}

/* ---- Transposed weights --------------------------------------------------------------------- */

/* to (K, N) = from (N, K) transposed, packed as weights with K outputs. */
static void pack_transposed(ccu_stage *stage, const void *to, const float *from, int32_t N,
                            int32_t K, ccu_dtype dtype) {
    float *turned = from == stage->a ? stage->b : stage->a;
    for (int32_t k = 0; k < K; k++) {
        for (int32_t n = 0; n < N; n++) {
            turned[(size_t)k * (size_t)N + (size_t)n] = from[(size_t)n * (size_t)K + (size_t)k];
        }
    }
    stage->be->ops->linear_pack(stage->be, ccu_writable(to), turned, K, N, dtype,
                                CCU_WEIGHTS_PLAIN);
}

static void put_transposed(ccu_stage *stage, const void *to, const ccu_tensor *tensor, int32_t N,
                           int32_t K, ccu_dtype dtype) {
    if (!ccu_stage_read(stage, tensor, 0, (size_t)N * (size_t)K, stage->a)) { return; }
    pack_transposed(stage, to, stage->a, N, K, dtype);
}

static void put_qkv(ccu_stage *stage, const ccu_transformer *t, const ccu_block_transposed *block,
                    const ccu_block_tensors *from) {
    const int32_t C    = t->C;
    const size_t  area = (size_t)C * (size_t)C;
    for (size_t i = 0; i < 3; i++) {
        if (!ccu_stage_read(stage, &from->qkv_w[i], 0, area, stage->a + i * area)) { return; }
    }
    if (block->qkv_w != NULL) {
        pack_transposed(stage, block->qkv_w, stage->a, 3 * C, C, t->dtype);
        return;
    }
    pack_transposed(stage, block->q_w, stage->a, C, C, t->dtype);
    memmove(stage->a, stage->a + area, 2 * area * sizeof(float));
    pack_transposed(stage, block->kv_w, stage->a, 2 * C, C, t->dtype);
}

clipcu_status ccu_text_backward_upload(const ccu_checkpoint *checkpoint,
                                       ccu_text_backward *backward, ccu_backend *be,
                                       clipcu_error *error) {
    const ccu_text_tensors *from  = &checkpoint->text;
    const ccu_text_tower   *tower = backward->tower;
    const ccu_transformer  *t     = &tower->trunk;
    const int32_t           C = t->C, mlp = t->mlp, E = tower->E;
    ccu_stage               stage = {0};

    if (ccu_stage_open(&stage, be, ccu_stage_numbers(t, (size_t)E * (size_t)C, 0), error) ==
        CLIPCU_OK) {
        for (int32_t i = 0; i < t->layers; i++) {
            put_qkv(&stage, t, &backward->blocks[i], &from->blocks[i]);
            put_transposed(&stage, backward->blocks[i].out_w, &from->blocks[i].out_w, C, C,
                           t->dtype);
            put_transposed(&stage, backward->blocks[i].fc1_w, &from->blocks[i].fc1_w, mlp, C,
                           t->dtype);
            put_transposed(&stage, backward->blocks[i].fc2_w, &from->blocks[i].fc2_w, C, mlp,
                           t->dtype);
        }
        if (!from->proj_transposed) {
            put_transposed(&stage, backward->proj_w, &from->proj, E, C, t->dtype);
        } else if (ccu_stage_read(&stage, &from->proj, 0, (size_t)E * (size_t)C, stage.a)) {
            be->ops->linear_pack(be, ccu_writable(backward->proj_w), stage.a, C, E, t->dtype,
                                 CCU_WEIGHTS_PLAIN);
        }
    }
    ccu_stage_close(&stage);
    return stage.status;
}

/* ---- A chunk's lists ------------------------------------------------------------------------ */

/* Rows stand in preorder: what is below row j ends at the next row that is no deeper. */
static void find_below(const ccu_trie *trie, ccu_text_lists *host) {
    for (int32_t j = trie->rows - 1; j >= 0; j--) {
        int32_t end = j + 1;
        while (end < trie->rows && trie->at[end] > trie->at[j]) { end = host->below_end[end]; }
        host->below_first[j] = j;
        host->below_end[j]   = end;
    }
    int32_t query = trie->leaves; /* the first pooled row at or after j: leaves ascend */
    for (int32_t j = trie->rows - 1; j >= 0; j--) {
        while (query > 0 && trie->leaf[query - 1] >= j) { query--; }
        host->pooled_first[j] = query;
        const int32_t end     = host->below_end[j];
        host->pooled_end[j]   = end == trie->rows ? trie->leaves : host->pooled_first[end];
    }
}

/* Prompts that are equal have one pooled row. */
static void find_leaves(const ccu_trie *trie, ccu_text_lists *host) {
    host->leaf_groups = 0;
    for (int32_t i = 0; i < trie->leaves; i++) {
        assert(i == 0 || trie->leaf[i] >= trie->leaf[i - 1]);
        if (i > 0 && trie->leaf[i] == trie->leaf[i - 1]) { continue; }
        host->leaf_ids[host->leaf_groups]     = trie->leaf[i];
        host->leaf_first[host->leaf_groups++] = i;
    }
    host->leaf_first[host->leaf_groups] = trie->leaves;
}

static int by_key(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* Learned rows, and which of them each context vector is, in the order of the rows. */
static void find_learned(ccu_text_backward *backward) {
    const ccu_trie *trie = &backward->tower->trie;
    ccu_text_lists *host = &backward->host;
    uint64_t       *keys = backward->keys;
    int32_t         count = 0;
    host->context_groups  = 0;
    for (int32_t row = 0; row < trie->rows; row++) {
        const int32_t id = trie->ids[row] - backward->tower->vocab;
        if (id < 0) { continue; }
        keys[count]           = (uint64_t)id << 32 | (uint64_t)count;
        host->learned[count++] = row;
    }
    qsort(keys, (size_t)count, sizeof *keys, by_key);
    for (int32_t i = 0; i < count; i++) {
        host->context_rows[i] = (int32_t)(keys[i] & 0xffffffffu);
        if (i > 0 && keys[i] >> 32 == keys[i - 1] >> 32) { continue; }
        host->context_ids[host->context_groups]     = (int32_t)(keys[i] >> 32);
        host->context_first[host->context_groups++] = i;
    }
    host->context_first[host->context_groups] = count;
    host->learned_count                       = count;
}

static void upload(ccu_backend *be, int32_t *to, const int32_t *from, int32_t count) {
    be->ops->upload(be, to, from, (size_t)count * sizeof *to);
}

int32_t ccu_text_backward_pack(ccu_text_backward *backward, ccu_backend *be,
                               const ccu_prompts *prompts, const int32_t *order, int32_t from) {
    const ccu_text_lists *host = &backward->host;
    const ccu_text_lists *to   = &backward->lists;
    const ccu_trie       *trie = &backward->tower->trie;
    const int32_t packed = ccu_text_tower_pack(backward->tower, be, prompts, order, from);
    assert(trie->path_used <= (size_t)trie->rows * (size_t)backward->depth_max);
    find_below(trie, &backward->host);
    find_leaves(trie, &backward->host);
    find_learned(backward);
    upload(be, to->below_first, host->below_first, trie->rows);
    upload(be, to->below_end, host->below_end, trie->rows);
    upload(be, to->pooled_first, host->pooled_first, trie->rows);
    upload(be, to->pooled_end, host->pooled_end, trie->rows);
    upload(be, to->leaf_ids, host->leaf_ids, host->leaf_groups);
    upload(be, to->leaf_first, host->leaf_first, host->leaf_groups + 1);
    upload(be, to->learned, host->learned, host->learned_count);
    upload(be, to->context_ids, host->context_ids, host->context_groups);
    upload(be, to->context_first, host->context_first, host->context_groups + 1);
    upload(be, to->context_rows, host->context_rows, host->learned_count);
    upload(be, to->identity, host->identity, trie->rows);
    backward->lists.leaf_groups    = host->leaf_groups;
    backward->lists.learned_count  = host->learned_count;
    backward->lists.context_groups = host->context_groups;
    return packed;
}

/* ---- Backward ------------------------------------------------------------------------------- */

void ccu_text_backward_run(ccu_text_backward *backward, ccu_backend *be, const float *dunit,
                           float *dcontext) {
    const ccu_ops         *ops    = be->ops;
    ccu_text_tower        *tower  = backward->tower;
    const ccu_transformer *t      = &tower->trunk;
    const ccu_text_lists  *lists  = &backward->lists;
    const int32_t          leaves = tower->trie.leaves, C = t->C, E = tower->E;
    if (lists->learned_count == 0) { return; }

    ops->normalise_backward(be, &(ccu_normalise_backward){.dx = tower->embeddings, .dy = dunit,
                                                          .x = tower->embeddings, .M = leaves,
                                                          .E = E, .dtype = t->dtype});
    ops->linear(be, &(ccu_linear){.y = t->pooled_norm, .x = tower->embeddings,
                                  .w = backward->proj_w, .M = leaves, .N = C, .K = E,
                                  .dtype = t->dtype});
    ops->layernorm_backward(be, &(ccu_layernorm_backward){.dx = backward->pooled_dx,
                                                          .dy = t->pooled_norm,
                                                          .x = t->pooled_x,
                                                          .w = tower->ln_final_w, .M = leaves,
                                                          .C = C, .eps = t->eps,
                                                          .dtype = t->dtype});
    const void *dlearned = ccu_text_backward_blocks(backward, be);
    ops->segment_sum(be, &(ccu_segment_sum){.y = dcontext, .x = dlearned,
                                            .ids = lists->context_ids,
                                            .first = lists->context_first,
                                            .rows = lists->context_rows,
                                            .groups = lists->context_groups, .C = C,
                                            .x_dtype = t->dtype, .y_dtype = CCU_F32});
}
