/* The text tower with learned contexts; see prompt_tower.h. */
#include "prompt/prompt_tower.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

/* ---- Open ----------------------------------------------------------------------------------- */

static void lay_out(ccu_prompt_tower *pt, ccu_plan *plan) {
    const size_t C = (size_t)pt->tower.trunk.C, E = (size_t)pt->tower.E;
    const size_t contexts = (size_t)pt->contexts_max, images = (size_t)pt->images_max;
    ccu_text_backward_lay_out(&pt->backward, pt->be, plan);
    pt->context  = ccu_plan_take(plan, contexts * C, sizeof(float));
    pt->dcontext = ccu_plan_take(plan, contexts * C, sizeof(float));
    pt->bank     = ccu_plan_take(plan, (size_t)pt->P * E, sizeof(float));
    pt->dbank    = ccu_plan_take(plan, (size_t)pt->P * E, sizeof(float));
    pt->x        = ccu_plan_take(plan, images * E, sizeof(float));
    pt->loss     = ccu_plan_take(plan, images, sizeof(float));
    pt->label    = ccu_plan_take(plan, images, sizeof(int32_t));
    pt->best     = ccu_plan_take(plan, images, sizeof(int32_t));
    const ccu_softmax_cross_entropy most = {.B = pt->images_max, .K = pt->K, .E = pt->tower.E,
                                            .own_banks = pt->own_banks};
    pt->scratch = ccu_plan_take(plan, pt->be->ops->softmax_cross_entropy_scratch(pt->be, &most), 1);
    pt->tower.learned = pt->context;
}

/* Bytes of activations with chunks of up to rows trie rows. */
static size_t bytes_with(ccu_prompt_tower *pt, int32_t rows) {
    ccu_plan plan        = {0};
    pt->tower.rows_max   = rows;
    pt->tower.leaves_max = pt->P < rows ? pt->P : rows;
    lay_out(pt, &plan);
    return plan.bytes;
}

/* The largest chunk that memory_max holds: bisection between one prompt and all of them. */
static clipcu_status pick_rows(ccu_prompt_tower *pt, int64_t rows_all, int32_t depth_max,
                               size_t memory_max, clipcu_error *error) {
    const int32_t all = rows_all > INT32_MAX / 2 ? INT32_MAX / 2 : (int32_t)rows_all;
    int32_t       fits = all, fails = all + 1; /* the most rows that fit, the fewest that do not */
    if (memory_max > 0 && bytes_with(pt, all) > memory_max) {
        const size_t least = bytes_with(pt, depth_max);
        fits  = depth_max;
        fails = all;
        if (least > memory_max) {
            return ccu_fail(error, CLIPCU_ERR_LIMIT,
                            "memory for learning: one prompt of %d tokens takes %zu bytes, allowed "
                            "are %zu",
                            depth_max, least, memory_max);
        }
    }
    while (fits + 1 < fails) {
        const int32_t middle = fits + (fails - fits) / 2;
        if (bytes_with(pt, middle) <= memory_max) {
            fits = middle;
        } else {
            fails = middle;
        }
    }
    (void)bytes_with(pt, fits); /* sets rows_max and leaves_max */
    return CLIPCU_OK;
}

static clipcu_status open_host(ccu_prompt_tower *pt, clipcu_error *error) {
    const size_t P = (size_t)pt->P, C = (size_t)pt->tower.trunk.C;
    pt->order      = ccu_alloc(2 * P * sizeof *pt->order); /* the second half: scratch to sort */
    pt->place      = ccu_alloc((size_t)pt->K * sizeof *pt->place);
    pt->starts     = ccu_alloc((P + 1) * sizeof *pt->starts);
    pt->zeros      = ccu_alloc_zeroed((size_t)pt->contexts_max * C, sizeof *pt->zeros);
    pt->host_label = ccu_alloc((size_t)pt->images_max * sizeof *pt->host_label);
    if (pt->order == NULL || pt->place == NULL || pt->starts == NULL || pt->zeros == NULL ||
        pt->host_label == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d prompts", pt->P);
    }
    ccu_trie_sort(&pt->prompts, pt->order, pt->order + P);
    for (int32_t i = 0; i < pt->K; i++) {
        assert(pt->order[i] < pt->K); /* the first image's context vectors sort first */
        pt->place[pt->order[i]] = i;
    }
    return CLIPCU_OK;
}

static clipcu_status open_slabs(ccu_prompt_tower *pt, const ccu_checkpoint *checkpoint,
                                clipcu_error *error) {
    ccu_plan       plan = {0}, weights = {0};
    const ccu_ops *ops  = pt->be->ops;
    lay_out(pt, &plan);
    ccu_text_backward_lay_out_weights(&pt->backward, pt->be, &weights);
    pt->slab_bytes = plan.bytes;
    pt->slab       = ops->slab_alloc(pt->be, plan.bytes);
    pt->weights    = pt->slab == NULL ? NULL : ops->slab_alloc(pt->be, weights.bytes);
    if (pt->weights == NULL) {
        (void)ops->finish(pt->be, error);
        return ccu_fail(error, CLIPCU_ERR_NOMEM,
                        "learning needs %zu bytes for activations and %zu for transposed weights",
                        plan.bytes, weights.bytes);
    }
    plan    = (ccu_plan){.base = pt->slab};
    weights = (ccu_plan){.base = pt->weights};
    lay_out(pt, &plan);
    ccu_text_backward_lay_out_weights(&pt->backward, pt->be, &weights);
    const clipcu_status status = ccu_text_backward_upload(checkpoint, &pt->backward, pt->be, error);
    return status == CLIPCU_OK ? ops->finish(pt->be, error) : status;
}

clipcu_status ccu_prompt_tower_open(ccu_prompt_tower *pt, ccu_backend *be,
                                    const ccu_text_tower *engine_tower,
                                    const ccu_checkpoint *checkpoint, const ccu_prompt_plan *plan,
                                    clipcu_error *error) {
    int32_t depth_max = 0;
    assert(plan->K >= 1 && plan->images_max >= 1 && plan->contexts_max >= 1);
    assert(plan->prompts->count == (plan->own_banks ? plan->images_max * plan->K : plan->K));
    if (engine_tower->trunk.weights != CCU_WEIGHTS_PLAIN) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "prompts are not learned in int8");
    }
    *pt = (ccu_prompt_tower){.be = be, .tower = *engine_tower, .prompts = *plan->prompts,
                             .K = plan->K, .P = plan->prompts->count,
                             .images_max = plan->images_max, .contexts_max = plan->contexts_max,
                             .own_banks = plan->own_banks};
    pt->tower.trie        = (ccu_trie){0};
    pt->tower.trunk.probe = NULL;
    clipcu_status status  = open_host(pt, error);
    for (int32_t p = 0; p < pt->P; p++) {
        const size_t length = pt->prompts.first[p + 1] - pt->prompts.first[p];
        if (length > (size_t)depth_max) { depth_max = (int32_t)length; }
    }
    if (status == CLIPCU_OK) {
        status = ccu_text_backward_open(&pt->backward, &pt->tower, depth_max, error);
    }
    if (status == CLIPCU_OK) {
        status = pick_rows(pt, ccu_trie_rows(&pt->prompts, pt->order), depth_max,
                           plan->memory_max, error);
    }
    if (status == CLIPCU_OK) { status = ccu_text_backward_open_lists(&pt->backward, error); }
    if (status == CLIPCU_OK) { status = open_slabs(pt, checkpoint, error); }
    if (status != CLIPCU_OK) { ccu_prompt_tower_close(pt); }
    return status;
}

void ccu_prompt_tower_close(ccu_prompt_tower *pt) {
    ccu_text_backward_close(&pt->backward);
    if (pt->weights != NULL) { pt->be->ops->slab_free(pt->be, pt->weights); }
    if (pt->slab != NULL) { pt->be->ops->slab_free(pt->be, pt->slab); }
    ccu_free(pt->order);
    ccu_free(pt->place);
    ccu_free(pt->starts);
    ccu_free(pt->zeros);
    ccu_free(pt->host_label);
    *pt = (ccu_prompt_tower){0};
}

/* ---- Run ------------------------------------------------------------------------------------ */

/* Prompts of a smaller batch are the first ones, in sorted order as well. */
static int32_t prompts_of(const ccu_prompt_tower *pt, int32_t images) {
    return pt->own_banks ? images * pt->K : pt->K;
}

/* Encodes the chunk that begins at order[from]; returns where the next one does. */
static int32_t encode_chunk(ccu_prompt_tower *pt, int32_t from, int32_t count) {
    pt->prompts.count = count;
    if (pt->packed != count) { /* else the only chunk still stands packed */
        const int32_t packed = ccu_text_backward_pack(&pt->backward, pt->be, &pt->prompts,
                                                      pt->order, from);
        pt->packed = from == 0 && packed == count ? count : 0;
        from += packed;
    } else {
        from = count;
    }
    ccu_text_tower_encode(&pt->tower, pt->be);
    return from;
}

/* Class rows of all prompts into bank. */
static void forward(ccu_prompt_tower *pt, const float *context, int32_t contexts, int32_t count) {
    const ccu_ops *ops = pt->be->ops;
    const size_t   E = (size_t)pt->tower.E, C = (size_t)pt->tower.trunk.C;
    ops->upload(pt->be, pt->context, context, (size_t)contexts * C * sizeof *context);
    pt->chunks    = 0;
    pt->starts[0] = 0;
    for (int32_t from = 0; from < count;) {
        const int32_t next = encode_chunk(pt, from, count);
        ops->copy(pt->be, pt->bank + (size_t)from * E, pt->tower.unit,
                  (size_t)(next - from) * E * sizeof *pt->bank);
        pt->starts[++pt->chunks] = next;
        from                     = next;
    }
}

/* From the last chunk, whose rows are still kept, to the first. */
static void backward(ccu_prompt_tower *pt, int32_t count) {
    const size_t E = (size_t)pt->tower.E;
    for (int32_t i = pt->chunks - 1; i >= 0; i--) {
        if (i < pt->chunks - 1) { (void)encode_chunk(pt, pt->starts[i], count); }
        ccu_text_backward_run(&pt->backward, pt->be, pt->dbank + (size_t)pt->starts[i] * E,
                              pt->dcontext);
    }
}

clipcu_status ccu_prompt_tower_step(ccu_prompt_tower *pt, const ccu_prompt_step *step,
                                    clipcu_error *error) {
    ccu_backend   *be    = pt->be;
    const ccu_ops *ops   = be->ops;
    const int32_t  B     = step->images, E = pt->tower.E;
    const int32_t  count = prompts_of(pt, B);
    const size_t   bytes = (size_t)step->contexts * (size_t)pt->tower.trunk.C * sizeof(float);
    assert(B >= 1 && B <= pt->images_max && step->contexts <= pt->contexts_max);
    for (int32_t b = 0; b < B; b++) {
        assert(step->label[b] >= 0 && step->label[b] < pt->K);
        pt->host_label[b] = pt->place[step->label[b]];
    }
    ops->upload(be, pt->x, step->x, (size_t)B * (size_t)E * sizeof *step->x);
    ops->upload(be, pt->label, pt->host_label, (size_t)B * sizeof *pt->host_label);
    ops->upload(be, pt->dcontext, pt->zeros, bytes);
    forward(pt, step->context, step->contexts, count);
    ops->softmax_cross_entropy(be, &(ccu_softmax_cross_entropy){
                                       .loss = pt->loss, .best = pt->best, .dbank = pt->dbank,
                                       .x = pt->x, .bank = pt->bank, .label = pt->label,
                                       .scratch = pt->scratch, .scale = step->scale,
                                       .weight = 1.0f / (float)B, .B = B, .K = pt->K, .E = E,
                                       .own_banks = pt->own_banks});
    backward(pt, count);
    ops->download(be, step->loss, pt->loss, (size_t)B * sizeof *step->loss);
    ops->download(be, step->best, pt->best, (size_t)B * sizeof *step->best);
    ops->download(be, step->dcontext, pt->dcontext, bytes);
    const clipcu_status status = ops->finish(be, error);
    for (int32_t b = 0; b < B && status == CLIPCU_OK; b++) {
        step->best[b] = pt->order[step->best[b]];
    }
    return status;
}

clipcu_status ccu_prompt_tower_rows(ccu_prompt_tower *pt, const float *context, int32_t contexts,
                                    int32_t images, float *rows, clipcu_error *error) {
    const ccu_ops *ops   = pt->be->ops;
    const size_t   E     = (size_t)pt->tower.E;
    const int32_t  count = prompts_of(pt, images);
    float         *all   = ccu_alloc((size_t)count * E * sizeof *all);
    if (all == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for class rows"); }
    forward(pt, context, contexts, count);
    ops->download(pt->be, all, pt->bank, (size_t)count * E * sizeof *all);
    const clipcu_status status = ops->finish(pt->be, error);
    for (int32_t i = 0; i < count && status == CLIPCU_OK; i++) {
        memcpy(rows + (size_t)pt->order[i] * E, all + (size_t)i * E, E * sizeof *rows);
    }
    ccu_free(all);
    return status;
}
