/* Embeddings against a bank: scores -> top classes with probabilities. */
#include <assert.h>

#include "bank/bank.h"
#include "base/memory.h"

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
}

void ccu_ranker_close(ccu_ranker *ranker, ccu_backend *be) {
    if (ranker->slab != NULL) { be->ops->slab_free(be, ranker->slab); }
    ccu_free(ranker->host_index);
    ccu_free(ranker->host_cosine);
    ccu_free(ranker->host_probability);
    const int32_t batch_max = ranker->batch_max;
    *ranker                 = (ccu_ranker){.batch_max = batch_max};
}

/* Puts the bank into backend memory unless it stands there already. */
static clipcu_status load_bank(ccu_ranker *r, ccu_backend *be, const clipcu_bank *bank,
                               clipcu_error *error) {
    if (r->slab != NULL && r->content == bank->content && r->K == bank->K) { return CLIPCU_OK; }
    ccu_ranker_close(r, be);
    r->K = bank->K;
    r->E = bank->E;

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

clipcu_status ccu_rank(ccu_ranker *ranker, ccu_backend *be, const clipcu_bank *bank,
                       const float *embeddings, int32_t count, int32_t top, float scale,
                       clipcu_match *matches, clipcu_error *error) {
    assert(count >= 1 && count <= ranker->batch_max);
    assert(top >= 1 && top <= bank->K && top <= CCU_TOP_MAX);
    clipcu_status status = load_bank(ranker, be, bank, error);
    if (status != CLIPCU_OK) { return status; }

    const size_t found = (size_t)count * (size_t)top;
    be->ops->upload(be, ranker->x, embeddings,
                    (size_t)count * (size_t)bank->E * sizeof *embeddings);
    const ccu_scores_topk op = scores_op(ranker, count, top, scale);
    be->ops->scores_topk(be, &op);
    be->ops->download(be, ranker->host_index, ranker->index, found * sizeof(int32_t));
    be->ops->download(be, ranker->host_cosine, ranker->cosine, found * sizeof(float));
    be->ops->download(be, ranker->host_probability, ranker->probability, found * sizeof(float));
    status = be->ops->finish(be, error);
    if (status != CLIPCU_OK) { return status; }
    for (size_t i = 0; i < found; i++) {
        matches[i] = (clipcu_match){.class_index = ranker->host_index[i],
                                    .cosine      = ranker->host_cosine[i],
                                    .probability = ranker->host_probability[i]};
    }
    return CLIPCU_OK;
}
