/* Class rows of a learned prompt; see class_rows.h. */
#include "prompt/class_rows.h"

#include <string.h>

#include "base/memory.h"
#include "prompt/layout.h"
#include "prompt/meta_net.h"

#define PROMPTS_AT_ONCE 4096

/* Encodes prompts whose learned ids mean rows of context (contexts, C). */
static clipcu_status encode_with(const ccu_text_encoder *encoder, const ccu_prompt_list *list,
                                 const float *context, int32_t contexts, float *rows,
                                 clipcu_error *error) {
    ccu_backend   *be    = encoder->be;
    const ccu_ops *ops   = be->ops;
    const size_t   bytes = (size_t)contexts * (size_t)encoder->tower->trunk.C * sizeof *context;
    float         *slab  = ops->slab_alloc(be, bytes);
    if (slab == NULL) {
        (void)ops->finish(be, error);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d context vectors", contexts);
    }
    ops->upload(be, slab, context, bytes);
    encoder->tower->learned    = slab;
    const clipcu_status status = ccu_encode_list(encoder, list, rows, error);
    encoder->tower->learned    = NULL;
    ops->slab_free(be, slab);
    return status;
}

static clipcu_status lay_out(const ccu_text_encoder *encoder, const clipcu_prompt *p,
                             const char *const *labels, int32_t K, ccu_prompt_list *list,
                             clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    for (int32_t k = 0; k < K && status == CLIPCU_OK; k++) {
        status = ccu_layout_add(list, encoder, labels[k], p->position, p->M,
                                p->class_specific ? k * p->M : 0, error);
    }
    return status;
}

clipcu_status ccu_class_rows(const ccu_text_encoder *encoder, const clipcu_prompt *p,
                             const char *const *labels, int32_t K, float *rows,
                             clipcu_error *error) {
    ccu_prompt_list list   = {0};
    clipcu_status   status = lay_out(encoder, p, labels, K, &list, error);
    if (status == CLIPCU_OK) {
        status = encode_with(encoder, &list, p->context, p->M * (p->class_specific ? K : 1), rows,
                             error);
    }
    ccu_prompt_free(&list);
    return status;
}

/* ---- CoCoOp --------------------------------------------------------------------------------- */

struct ccu_conditional {
    clipcu_prompt  *prompt;
    ccu_prompt_list list; /* of one picture */
    int32_t         K;
};

static clipcu_status copy_prompt(const clipcu_prompt *p, clipcu_prompt **out,
                                 clipcu_error *error) {
    const ccu_prompt_shape shape = {.method   = p->method,
                                    .position = p->position,
                                    .M        = p->M,
                                    .C        = p->C,
                                    .E        = p->E,
                                    .K        = p->K,
                                    .labels   = p->labels};
    const clipcu_status    status = ccu_prompt_create(&shape, out, error);
    if (status == CLIPCU_OK) {
        memcpy((*out)->values, p->values, p->count * sizeof *p->values);
    }
    return status;
}

clipcu_status ccu_conditional_open(const ccu_text_encoder *encoder, const clipcu_prompt *prompt,
                                   const char *const *labels, int32_t K, ccu_conditional **out,
                                   clipcu_error *error) {
    ccu_conditional *c = ccu_alloc_zeroed(1, sizeof *c);
    if (c == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d classes", K); }
    c->K                 = K;
    clipcu_status status = copy_prompt(prompt, &c->prompt, error);
    if (status == CLIPCU_OK) { status = lay_out(encoder, prompt, labels, K, &c->list, error); }
    if (status != CLIPCU_OK) {
        ccu_conditional_close(c);
        return status;
    }
    *out = c;
    return CLIPCU_OK;
}

void ccu_conditional_close(ccu_conditional *c) {
    if (c == NULL) { return; }
    clipcu_prompt_close(c->prompt);
    ccu_prompt_free(&c->list);
    ccu_free(c);
}

int32_t ccu_conditional_images(const ccu_conditional *c) {
    return c->K >= PROMPTS_AT_ONCE ? 1 : PROMPTS_AT_ONCE / c->K;
}

/* The prompts of one picture for each of count, with contexts of its own. */
static clipcu_status repeat(const ccu_conditional *c, int32_t vocab, int32_t count,
                            ccu_prompt_list *list, clipcu_error *error) {
    const ccu_prompt_list *one    = &c->list;
    clipcu_status          status = CLIPCU_OK;
    for (int32_t b = 0; b < count; b++) {
        for (int32_t k = 0; k < c->K && status == CLIPCU_OK; k++) {
            const size_t  from   = one->first[k];
            const int32_t length = (int32_t)(one->first[k + 1] - from);
            status               = ccu_prompt_push(list, one->ids + from, length, error);
            int32_t *ids         = list->ids + (list->ids_used - (size_t)length);
            for (int32_t i = 0; i < length && status == CLIPCU_OK; i++) {
                if (ids[i] >= vocab) { ids[i] += b * c->prompt->M; }
            }
        }
    }
    return status;
}

clipcu_status ccu_conditional_rows(const ccu_conditional *c, const ccu_text_encoder *encoder,
                                   const float *x, int32_t count, float *rows,
                                   clipcu_error *error) {
    const clipcu_prompt *p       = c->prompt;
    const size_t         B       = (size_t)count;
    ccu_prompt_list      list    = {0};
    float               *hidden  = ccu_alloc(B * (size_t)p->hidden * sizeof *hidden);
    float               *context = ccu_alloc(B * (size_t)p->M * (size_t)p->C * sizeof *context);
    clipcu_status        status  = CLIPCU_OK;
    if (hidden == NULL || context == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for contexts of %d pictures", count);
    }
    if (status == CLIPCU_OK) {
        ccu_meta_net_forward(p, x, count, hidden, context);
        status = repeat(c, encoder->tower->vocab, count, &list, error);
    }
    if (status == CLIPCU_OK) {
        status = encode_with(encoder, &list, context, count * p->M, rows, error);
    }
    ccu_prompt_free(&list);
    ccu_free(context);
    ccu_free(hidden);
    return status;
}
