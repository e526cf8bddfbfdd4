/* The text transformer; see text_tower.h. */
#include "model/text_tower.h"

#include <assert.h>

#include "base/memory.h"

clipcu_status ccu_text_tower_open_trie(ccu_text_tower *tower, clipcu_error *error) {
    if (tower->leaves_max == 0) { tower->leaves_max = tower->rows_max; }
    const size_t rows  = (size_t)tower->rows_max;
    const size_t path  = rows * (size_t)tower->context;
    const size_t count = 4 * rows + (size_t)tower->leaves_max + path;
    int32_t     *all   = ccu_alloc_zeroed(count, sizeof *all);
    if (all == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "token trie: no memory for %zu numbers", count);
    }
    tower->trie = (ccu_trie){.ids = all, .at = all + rows, .path_first = all + 2 * rows,
                             .path_count = all + 3 * rows, .path = all + 4 * rows,
                             .leaf = all + 4 * rows + path, .rows_max = tower->rows_max,
                             .leaves_max = tower->leaves_max, .path_max = path};
    return CLIPCU_OK;
}

void ccu_text_tower_close_trie(ccu_text_tower *tower) {
    ccu_free(tower->trie.ids);
    tower->trie.ids = NULL;
}

void ccu_text_tower_lay_out(ccu_text_tower *tower, ccu_plan *plan) {
    const size_t rows = (size_t)tower->rows_max, leaves = (size_t)tower->leaves_max;
    const size_t E    = (size_t)tower->E;
    assert(tower->leaves_max >= 1);

    tower->ids        = ccu_plan_take(plan, rows, sizeof(int32_t));
    tower->at         = ccu_plan_take(plan, rows, sizeof(int32_t));
    tower->path_first = ccu_plan_take(plan, rows, sizeof(int32_t));
    tower->path_count = ccu_plan_take(plan, rows, sizeof(int32_t));
    tower->path       = ccu_plan_take(plan, rows * (size_t)tower->context, sizeof(int32_t));
    tower->leaf       = ccu_plan_take(plan, leaves, sizeof(int32_t));
    tower->embeddings = ccu_plan_take(plan, leaves * E, ccu_dtype_bytes(tower->trunk.dtype));
    tower->unit       = ccu_plan_take(plan, leaves * E, sizeof(float));
    ccu_transformer_lay_out(&tower->trunk, plan, tower->rows_max, tower->leaves_max);
}

int32_t ccu_text_pool_index(const int32_t *ids, int32_t count, int32_t eot_id) {
    assert(count >= 1);
    int32_t best = 0;
    for (int32_t i = 0; i < count; i++) {
        if (eot_id >= 0 && ids[i] == eot_id) { return i; }
        if (ids[i] > ids[best]) { best = i; }
    }
    return eot_id >= 0 ? 0 : best;
}

static void upload_trie(ccu_text_tower *tower, ccu_backend *be) {
    const ccu_ops  *ops  = be->ops;
    const ccu_trie *trie = &tower->trie;
    const size_t    rows = (size_t)trie->rows * sizeof(int32_t);
    ops->upload(be, tower->ids, trie->ids, rows);
    ops->upload(be, tower->at, trie->at, rows);
    ops->upload(be, tower->path_first, trie->path_first, rows);
    ops->upload(be, tower->path_count, trie->path_count, rows);
    ops->upload(be, tower->path, trie->path, trie->path_used * sizeof(int32_t));
    ops->upload(be, tower->leaf, trie->leaf, (size_t)trie->leaves * sizeof(int32_t));
}

int32_t ccu_text_tower_pack(ccu_text_tower *tower, ccu_backend *be, const ccu_prompts *prompts,
                            const int32_t *order, int32_t from) {
    const int32_t packed = ccu_trie_pack(prompts, order, from, &tower->trie);
    assert(packed >= 1 && tower->trie.leaves == packed);
    upload_trie(tower, be);
    return packed;
}

void ccu_text_tower_encode(ccu_text_tower *tower, ccu_backend *be) {
    const ccu_ops   *ops = be->ops;
    ccu_transformer *t   = &tower->trunk;
    const int32_t    M = tower->trie.rows, leaves = tower->trie.leaves, C = t->C, E = tower->E;

    ops->embed_tokens(be, &(ccu_embed_tokens){.y = t->x, .table = tower->tokens,
                                              .learned = tower->learned,
                                              .positions = tower->positions, .ids = tower->ids,
                                              .at = tower->at, .M = M, .C = C,
                                              .V = tower->vocab, .dtype = t->dtype});
    const ccu_attend attend = {.path_first = tower->path_first, .path_count = tower->path_count,
                               .path = tower->path, .path_max = tower->context};
    ccu_transformer_run(t, be, M, &attend, tower->leaf, leaves);
    ops->layernorm(be, &(ccu_layernorm){.y = t->pooled_norm, .x = t->pooled_x,
                                        .w = tower->ln_final_w, .b = tower->ln_final_b,
                                        .M = leaves, .C = C, .eps = t->eps, .dtype = t->dtype});
    ops->linear(be, &(ccu_linear){.y = tower->embeddings, .x = t->pooled_norm, .w = tower->proj_w,
                                  .M = leaves, .N = E, .K = C, .dtype = t->dtype});
    ops->normalise(be, &(ccu_normalise){.y = tower->unit, .x = tower->embeddings, .M = leaves,
                                        .E = E, .dtype = t->dtype});
}

int32_t ccu_text_tower_run(ccu_text_tower *tower, ccu_backend *be, const ccu_prompts *prompts,
                           const int32_t *order, int32_t from) {
    const int32_t packed = ccu_text_tower_pack(tower, be, prompts, order, from);
    ccu_text_tower_encode(tower, be);
    return packed;
}
