/* Class names -> bank rows (Radford et al. 2021, section 3.1.4): every template's embedding is
 * normalised, the mean over templates taken per class, and the mean normalised again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bank/bank.h"
#include "base/memory.h"
#include "text/templates.h"

/* Prompts encoded together. Many classes at once share beginnings; more than this only costs
 * memory: 10 tokens each on average. */
#define PROMPTS_MAX 131072

/* One group of classes on its way into the bank. */
typedef struct build {
    const ccu_text_encoder *encoder;
    int32_t                 templates;  /* prompt p belongs to class p / templates */
    int32_t                 classes;    /* of the group */
    float                  *sum;        /* (classes_max, E) backend memory */
    int32_t                *class_ids;  /* (rows_max + 1) backend memory, as the next two */
    int32_t                *first;
    int32_t                *rows;
    int32_t                *host;       /* (3 * (rows_max + 1) + classes_max) host memory */
} build;

/* Adds one chunk of prompt embeddings to the sums of their classes, each class's prompts in the
 * order in which they stand in the chunk. */
static clipcu_status add_chunk(void *user, const int32_t *order, int32_t count, const float *unit,
                               clipcu_error *error) {
    const build  *b    = user;
    ccu_backend  *be   = b->encoder->be;
    const int32_t most = b->encoder->tower->rows_max + 1;
    int32_t      *class_ids = b->host, *first = b->host + most, *rows = b->host + 2 * most;
    int32_t      *filled = b->host + 3 * most; /* (classes): counts, then next free place */
    int32_t       groups = 0, at = 0;

    memset(filled, 0, (size_t)b->classes * sizeof *filled);
    for (int32_t i = 0; i < count; i++) { filled[order[i] / b->templates]++; }
    for (int32_t k = 0; k < b->classes; k++) {
        if (filled[k] == 0) { continue; }
        class_ids[groups] = k;
        first[groups++]   = at;
        at += filled[k];
        filled[k] = at - filled[k];
    }
    first[groups] = at;
    for (int32_t i = 0; i < count; i++) { rows[filled[order[i] / b->templates]++] = i; }

    be->ops->upload(be, b->class_ids, class_ids, (size_t)groups * sizeof *rows);
    be->ops->upload(be, b->first, first, ((size_t)groups + 1) * sizeof *rows);
    be->ops->upload(be, b->rows, rows, (size_t)count * sizeof *rows);
    be->ops->segment_sum(be, &(ccu_segment_sum){.y = b->sum, .x = unit, .ids = b->class_ids,
                                                .first = b->first, .rows = b->rows,
                                                .groups = groups, .C = b->encoder->tower->E,
                                                .x_dtype = CCU_F32, .y_dtype = CCU_F32});
    return be->ops->finish(be, error);
}

/* Tokenizes classes from .. from+classes-1 in every template. */
static clipcu_status add_prompts(ccu_prompt_list *list, const build *b, char *const *labels,
                                 const char *const *templates, clipcu_error *error) {
    ccu_prompt_clear(list);
    for (int32_t k = 0; k < b->classes; k++) {
        for (int32_t i = 0; i < b->templates; i++) {
            char *text = ccu_template_fill(templates[i], labels[k]);
            if (text == NULL) {
                return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a prompt");
            }
            const clipcu_status status = ccu_prompt_add(list, b->encoder, text, error);
            ccu_free(text);
            if (status != CLIPCU_OK) { return status; }
        }
    }
    return CLIPCU_OK;
}

static clipcu_status fill_group(build *b, clipcu_bank *bank, int32_t from, ccu_prompt_list *list,
                                const char *const *templates, const float *zeros,
                                clipcu_error *error) {
    ccu_backend  *be    = b->encoder->be;
    const size_t  count = (size_t)b->classes * (size_t)bank->E;
    clipcu_status status = add_prompts(list, b, bank->labels + from, templates, error);
    if (status != CLIPCU_OK) { return status; }
    be->ops->upload(be, b->sum, zeros, count * sizeof(float));
    status = ccu_encode_prompts(b->encoder, list, add_chunk, b, error);
    if (status != CLIPCU_OK) { return status; }
    /* The mean points where the sum points. */
    be->ops->normalise(be, &(ccu_normalise){.y = b->sum, .x = b->sum, .M = b->classes,
                                            .E = bank->E, .dtype = CCU_F32});
    be->ops->download(be, bank->rows + (size_t)from * (size_t)bank->E, b->sum,
                      count * sizeof(float));
    return be->ops->finish(be, error);
}

clipcu_status ccu_bank_fill(clipcu_bank *bank, const ccu_text_encoder *encoder,
                            const char *const *templates, int32_t templates_count,
                            clipcu_error *error) {
    assert(templates_count >= 1);
    ccu_backend    *be   = encoder->be;
    ccu_prompt_list list = {0};
    build           b    = {.encoder = encoder, .templates = templates_count};
    const int32_t   most = encoder->tower->rows_max + 1;
    int32_t         step = PROMPTS_MAX / templates_count;
    step                 = step < 1 ? 1 : step > bank->K ? bank->K : step;

    /* zeros: bank rows are zeroed until they are written, the last group's last. */
    const size_t  sums  = (size_t)step * (size_t)bank->E;
    float        *zeros = ccu_alloc_zeroed(sums, sizeof *zeros);
    ccu_plan      plan  = {0};
    clipcu_status status = CLIPCU_OK;
    b.host = ccu_alloc((3 * (size_t)most + (size_t)step) * sizeof *b.host);
    for (int32_t pass = 0; pass < 2; pass++) { /* count, then hand out */
        if (pass == 1) {
            plan = (ccu_plan){.base = be->ops->slab_alloc(be, plan.bytes)};
            if (plan.base == NULL) { break; }
        }
        b.sum       = ccu_plan_take(&plan, sums, sizeof(float));
        b.class_ids = ccu_plan_take(&plan, (size_t)most, sizeof(int32_t));
        b.first     = ccu_plan_take(&plan, (size_t)most, sizeof(int32_t));
        b.rows      = ccu_plan_take(&plan, (size_t)most, sizeof(int32_t));
    }
    if (zeros == NULL || b.host == NULL || plan.base == NULL) {
        (void)be->ops->finish(be, NULL); /* clears the backend's own note of it */
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory to encode %d classes", bank->K);
    }
    for (int32_t from = 0; from < bank->K && status == CLIPCU_OK; from += step) {
        b.classes = bank->K - from < step ? bank->K - from : step;
        status    = fill_group(&b, bank, from, &list, templates, zeros, error);
    }
    ccu_prompt_free(&list);
    if (plan.base != NULL) { be->ops->slab_free(be, plan.base); }
    ccu_free(b.host);
    ccu_free(zeros);
    if (status == CLIPCU_OK) { ccu_bank_seal(bank); }
    return status;
}
