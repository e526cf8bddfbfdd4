/* A learned prompt in memory; see prompt.h. */
#include "prompt/prompt.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "bank/bank.h"
#include "base/memory.h"
#include "prompt/random.h"

static clipcu_status check_shape(const ccu_prompt_shape *s, clipcu_error *error) {
    if (s->labels == NULL || s->K < 1 || s->M < 1) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "a prompt needs at least one class and one context vector, found %d and %d",
                        s->K, s->M);
    }
    if (s->method == CLIPCU_METHOD_COCOOP &&
        (s->class_specific || s->position != CLIPCU_POSITION_END)) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "CoCoOp's context vectors are shared by all classes and stand before the "
                        "name, found %s",
                        s->class_specific ? "class-specific ones" : "another position");
    }
    if (s->method == CLIPCU_METHOD_COCOOP && s->E < CCU_META_NET_SHARE) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "CoCoOp's meta-net has E / %d hidden units: none where E is %d",
                        CCU_META_NET_SHARE, s->E);
    }
    for (int32_t i = 0; i < s->K; i++) {
        if (s->labels[i] == NULL || ccu_label_empty(s->labels[i])) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "label %d is empty", i + 1);
        }
    }
    return CLIPCU_OK;
}

static bool copy_labels(clipcu_prompt *prompt, const char *const *labels) {
    size_t bytes = 0;
    for (int32_t i = 0; i < prompt->K; i++) { bytes += strlen(labels[i]) + 1; }
    prompt->labels     = ccu_alloc((size_t)prompt->K * sizeof *prompt->labels);
    prompt->label_text = ccu_alloc(bytes);
    if (prompt->labels == NULL || prompt->label_text == NULL) { return false; }
    char *at = prompt->label_text;
    for (int32_t i = 0; i < prompt->K; i++) {
        const size_t length = strlen(labels[i]) + 1;
        memcpy(at, labels[i], length);
        prompt->labels[i] = at;
        at += length;
    }
    return true;
}

/* The parts of values. */
static void point(clipcu_prompt *p) {
    const size_t h = (size_t)p->hidden, C = (size_t)p->C, E = (size_t)p->E;
    const size_t contexts = (size_t)p->M * (size_t)(p->class_specific ? p->K : 1);
    p->context            = p->values;
    if (p->hidden == 0) { return; }
    p->w1 = p->context + contexts * C;
    p->b1 = p->w1 + h * E;
    p->w2 = p->b1 + h;
    p->b2 = p->w2 + C * h;
}

clipcu_status ccu_prompt_create(const ccu_prompt_shape *shape, clipcu_prompt **out,
                                clipcu_error *error) {
    const clipcu_status status = check_shape(shape, error);
    if (status != CLIPCU_OK) { return status; }
    assert(shape->C >= 1 && shape->E >= 1);
    clipcu_prompt *p = ccu_alloc_zeroed(1, sizeof *p);
    if (p != NULL) {
        const bool conditional = shape->method == CLIPCU_METHOD_COCOOP;
        p->method              = shape->method;
        p->position            = shape->position;
        p->class_specific      = shape->class_specific;
        p->M                   = shape->M;
        p->C                   = shape->C;
        p->E                   = shape->E;
        p->K                   = shape->K;
        p->hidden              = conditional ? shape->E / CCU_META_NET_SHARE : 0;
        const size_t h = (size_t)p->hidden, C = (size_t)p->C, E = (size_t)p->E;
        p->count  = (size_t)p->M * C * (size_t)(p->class_specific ? p->K : 1);
        p->count += conditional ? h * E + h + C * h + C : 0;
        p->values = ccu_alloc_zeroed(p->count, sizeof *p->values);
    }
    if (p == NULL || p->values == NULL || !copy_labels(p, shape->labels)) {
        clipcu_prompt_close(p);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a prompt of %d classes", shape->K);
    }
    point(p);
    *out = p;
    return CLIPCU_OK;
}

static void uniform(ccu_random *random, float *to, size_t count, int32_t inputs) {
    const double bound = 1.0 / sqrt((double)inputs);
    for (size_t i = 0; i < count; i++) {
        to[i] = (float)((2.0 * ccu_random_unit(random) - 1.0) * bound);
    }
}

void ccu_prompt_randomise(clipcu_prompt *p, uint64_t seed) {
    ccu_random random;
    ccu_random_seed_part(&random, seed, CCU_RANDOM_START, 0);
    const size_t h = (size_t)p->hidden, C = (size_t)p->C, E = (size_t)p->E;
    const size_t contexts = (size_t)p->M * (size_t)(p->class_specific ? p->K : 1) * C;
    for (size_t i = 0; i < contexts; i++) {
        p->context[i] = (float)(0.02 * ccu_random_normal(&random));
    }
    if (p->hidden == 0) { return; }
    uniform(&random, p->w1, h * E, p->E);
    uniform(&random, p->b1, h, p->E);
    uniform(&random, p->w2, C * h, p->hidden);
    uniform(&random, p->b2, C, p->hidden);
}

void clipcu_prompt_close(clipcu_prompt *prompt) {
    if (prompt == NULL) { return; }
    ccu_free(prompt->values);
    ccu_free(prompt->labels);
    ccu_free(prompt->label_text);
    ccu_free(prompt->init);
    ccu_free(prompt);
}

clipcu_prompt_info clipcu_prompt_get_info(const clipcu_prompt *p) {
    return (clipcu_prompt_info){.method         = p->method,
                                .position       = p->position,
                                .class_specific = p->class_specific,
                                .context_count  = p->M,
                                .width          = p->C,
                                .embed_dim      = p->E,
                                .classes        = p->K,
                                .epoch          = p->epoch,
                                .fingerprint    = p->fingerprint,
                                .labels         = p->labels,
                                .context        = p->context};
}

clipcu_status ccu_prompt_check_model(const clipcu_prompt *p, uint64_t fingerprint, int32_t C,
                                     int32_t E, const char *model, clipcu_error *error) {
    if (p->fingerprint == fingerprint && p->C == C && p->E == E) { return CLIPCU_OK; }
    return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                    "the prompt was learned with another model: its fingerprint is %016" PRIx64
                    " (width %d, embeddings of %d), %s has %016" PRIx64 " (%d, %d)",
                    p->fingerprint, p->C, p->E, model, fingerprint, C, E);
}
