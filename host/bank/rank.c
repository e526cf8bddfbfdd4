/* Embeddings against a bank: scores -> top classes with probabilities. */
#include <assert.h>

#include "bank/bank.h"
#include "base/memory.h"

/* Every score of so many rows is kept at a time. */
#define ALL_BYTES ((size_t)64 << 20)

static ccu_scores_topk scores_op(const ccu_ranker *r, int32_t count, int32_t top, float scale) {
    return (ccu_scores_topk){.index = r->index, .cosine = r->cosine,
                             .probability = r->probability, .x = r->x, .bank = r->bank,
                             .scratch = r->scratch, .scale = scale, .B = count, .K = r->K,
                             .E = r->E, .top = top};
}

static void lay_out(ccu_ranker *r, ccu_backend *be, ccu_plan *plan) {
    const size_t B = (size_t)r->batch_max, E = (size_t)r->E, K = (size_t)r->K;
    const int32_t         top = r->K < CCU_TOP_MAX ? r->K : CCU_TOP_MAX;
    const ccu_scores_topk op  = scores_op(r, r->batch_max, top, 1.0f);

    r->x           = ccu_plan_take(plan, B * E, sizeof(float));
    r->bank        = ccu_plan_take(plan, K * E, sizeof(float));
    r->index       = ccu_plan_take(plan, B * (size_t)top, sizeof(int32_t));
    r->cosine      = ccu_plan_take(plan, B * (size_t)top, sizeof(float));
    r->probability = ccu_plan_take(plan, B * (size_t)top, sizeof(float));
    r->scratch     = ccu_plan_take(plan, be->ops->scores_topk_scratch(be, &op), 1);
    r->all         = ccu_plan_take(plan, (size_t)r->all_rows * K, sizeof(float));
}

void ccu_ranker_close(ccu_ranker *ranker, ccu_backend *be) {
    if (ranker->slab != NULL) { be->ops->slab_free(be, ranker->slab); }
    ccu_free(ranker->host_index);
    ccu_free(ranker->host_cosine);
    ccu_free(ranker->host_probability);
    const int32_t batch_max = ranker->batch_max;
    *ranker                 = (ccu_ranker){.batch_max = batch_max};
}

/* Rows whose scores fit into ALL_BYTES, at least one. */
static int32_t rows_of_all(int32_t batch_max, int32_t K) {
    const size_t rows = ALL_BYTES / ((size_t)K * sizeof(float));
    return rows >= (size_t)batch_max ? batch_max : rows > 0 ? (int32_t)rows : 1;
}

/* Puts the bank into backend memory unless it stands there already. */
static clipcu_status load_bank(ccu_ranker *r, ccu_backend *be, const ccu_ranking *ranking,
                               clipcu_error *error) {
    const clipcu_bank *bank = ranking->bank;
    const bool         all  = ranking->cosines != NULL;
    if (r->slab != NULL && r->content == bank->content && r->K == bank->K &&
        (!all || r->all_rows > 0)) {
        return CLIPCU_OK;
    }
    ccu_ranker_close(r, be);
    r->K        = bank->K;
    r->E        = bank->E;
    r->all_rows = all ? rows_of_all(r->batch_max, r->K) : 0;

    ccu_plan plan = {0};
    lay_out(r, be, &plan);
    r->slab = be->ops->slab_alloc(be, plan.bytes);
    plan    = (ccu_plan){.base = r->slab};
    const size_t top     = (size_t)(r->K < CCU_TOP_MAX ? r->K : CCU_TOP_MAX);
    const size_t matches = (size_t)r->batch_max * top;
    r->host_index        = ccu_alloc(matches * sizeof *r->host_index);
    r->host_cosine       = ccu_alloc(matches * sizeof *r->host_cosine);
    r->host_probability  = ccu_alloc(matches * sizeof *r->host_probability);
    if (r->slab == NULL || r->host_index == NULL || r->host_cosine == NULL ||
        r->host_probability == NULL) {
        (void)be->ops->finish(be, NULL); /* clears the backend's own note of it */
        ccu_ranker_close(r, be);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a bank of %d classes", bank->K);
    }
    lay_out(r, be, &plan);
    be->ops->upload(be, r->bank, bank->rows,
                    (size_t)bank->K * (size_t)bank->E * sizeof *bank->rows);
    r->content = bank->content;
    return CLIPCU_OK;
}

/* As many rows at a time as there is room for their scores. */
static void queue_all(const ccu_ranker *r, ccu_backend *be, const ccu_ranking *ranking) {
    const size_t K = (size_t)r->K;
    for (int32_t from = 0; from < ranking->count; from += r->all_rows) {
        const int32_t   left = ranking->count - from;
        const int32_t   rows = left < r->all_rows ? left : r->all_rows;
        const size_t    at   = (size_t)from * (size_t)ranking->top;
        ccu_scores_topk op   = scores_op(r, rows, ranking->top, ranking->scale);
        op.x += (size_t)from * (size_t)r->E;
        op.index += at;
        op.cosine += at;
        op.probability += at;
        op.all = r->all;
        be->ops->scores_topk(be, &op);
        be->ops->download(be, ranking->cosines + (size_t)from * K, r->all,
                          (size_t)rows * K * sizeof(float));
    }
}

clipcu_status ccu_rank(ccu_ranker *ranker, ccu_backend *be, const ccu_ranking *ranking,
                       clipcu_error *error) {
    const clipcu_bank *bank = ranking->bank;
    assert(ranking->count >= 1 && ranking->count <= ranker->batch_max);
    assert(ranking->top >= 1 && ranking->top <= bank->K && ranking->top <= CCU_TOP_MAX);
    clipcu_status status = load_bank(ranker, be, ranking, error);
    if (status != CLIPCU_OK) { return status; }

    const size_t found = (size_t)ranking->count * (size_t)ranking->top;
    be->ops->upload(be, ranker->x, ranking->embeddings,
                    (size_t)ranking->count * (size_t)bank->E * sizeof(float));
    if (ranking->cosines != NULL) {
        queue_all(ranker, be, ranking);
    } else {
        const ccu_scores_topk op = scores_op(ranker, ranking->count, ranking->top, ranking->scale);
        be->ops->scores_topk(be, &op);
    }
    be->ops->download(be, ranker->host_index, ranker->index, found * sizeof(int32_t));
    be->ops->download(be, ranker->host_cosine, ranker->cosine, found * sizeof(float));
    be->ops->download(be, ranker->host_probability, ranker->probability, found * sizeof(float));
    status = be->ops->finish(be, error);
    if (status != CLIPCU_OK) { return status; }
    for (size_t i = 0; i < found; i++) {
        ranking->matches[i] = (clipcu_match){.class_index = ranker->host_index[i],
                                             .cosine      = ranker->host_cosine[i],
                                             .probability = ranker->host_probability[i]};
    }
    return CLIPCU_OK;
}
