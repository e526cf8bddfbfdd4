/* A prompt while it is learned; see learner.h. */
#include "prompt/learner.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "prompt/layout.h"
#include "prompt/meta_net.h"

/* ---- Open ----------------------------------------------------------------------------------- */

/* Prompts of all classes; for CoCoOp of each picture of a batch, with contexts of its own. */
static clipcu_status list_prompts(clipcu_learner *l, const ccu_text_encoder *encoder,
                                  clipcu_error *error) {
    const clipcu_prompt *p      = l->prompt;
    const int32_t        images = p->hidden > 0 ? l->options.batch_max : 1;
    clipcu_status        status = CLIPCU_OK;
    for (int32_t b = 0; b < images; b++) {
        for (int32_t k = 0; k < p->K && status == CLIPCU_OK; k++) {
            const int32_t first = p->M * (p->class_specific ? k : b);
            status = ccu_layout_add(&l->list, encoder, p->labels[k], p->position, p->M, first,
                                    error);
        }
    }
    return status;
}

static clipcu_status open_memory(clipcu_learner *l, clipcu_error *error) {
    const clipcu_prompt *p      = l->prompt;
    const size_t         B      = (size_t)l->options.batch_max;
    const size_t         images = p->hidden > 0 ? B * (size_t)p->M * (size_t)p->C : 0;
    l->momentum = ccu_alloc_zeroed(p->count, sizeof *l->momentum);
    l->gradient = ccu_alloc_zeroed(p->count, sizeof *l->gradient);
    l->context  = ccu_alloc_zeroed(images, sizeof *l->context);
    l->dcontext = ccu_alloc_zeroed(images, sizeof *l->dcontext);
    l->hidden   = ccu_alloc_zeroed(B * (size_t)p->hidden, sizeof *l->hidden);
    l->loss     = ccu_alloc_zeroed(B, sizeof *l->loss);
    l->best     = ccu_alloc_zeroed(B, sizeof *l->best);
    if (l->momentum == NULL || l->gradient == NULL || l->context == NULL || l->dcontext == NULL ||
        l->hidden == NULL || l->loss == NULL || l->best == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory to learn a prompt of %zu numbers",
                        p->count);
    }
    return CLIPCU_OK;
}

static clipcu_status open_tower(clipcu_learner *l, const ccu_text_encoder *encoder,
                                const ccu_checkpoint *checkpoint, clipcu_error *error) {
    const clipcu_prompt *p       = l->prompt;
    const int32_t        B       = l->options.batch_max;
    const ccu_prompts    prompts = {l->list.ids, l->list.first, l->list.count};
    const int32_t        sets    = p->hidden > 0 ? B : p->class_specific ? p->K : 1;
    const ccu_prompt_plan plan   = {.prompts      = &prompts,
                                    .K            = p->K,
                                    .contexts_max = p->M * sets,
                                    .images_max   = B,
                                    .own_banks    = p->hidden > 0,
                                    .memory_max   = l->options.memory_max};
    return ccu_prompt_tower_open(&l->tower, encoder->be, encoder->tower, checkpoint, &plan, error);
}

clipcu_status ccu_learner_create(const ccu_text_encoder *encoder, const ccu_checkpoint *checkpoint,
                                 const clipcu_learn_options *options, clipcu_prompt *prompt,
                                 float logit_scale, clipcu_learner **out, clipcu_error *error) {
    clipcu_learner *l = ccu_alloc_zeroed(1, sizeof *l);
    if (l == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory to learn a prompt"); }
    l->options           = *options;
    l->options.init      = NULL; /* not ours to keep */
    l->prompt            = prompt;
    l->logit_scale       = logit_scale;
    clipcu_status status = list_prompts(l, encoder, error);
    if (status == CLIPCU_OK) { status = open_memory(l, error); }
    if (status == CLIPCU_OK) { status = open_tower(l, encoder, checkpoint, error); }
    if (status != CLIPCU_OK) {
        l->prompt = NULL;
        clipcu_learner_close(l);
        return status;
    }
    *out = l;
    return CLIPCU_OK;
}

void clipcu_learner_close(clipcu_learner *l) {
    if (l == NULL) { return; }
    if (l->tower.be != NULL) { ccu_prompt_tower_close(&l->tower); }
    ccu_prompt_free(&l->list);
    clipcu_prompt_close(l->prompt);
    ccu_free(l->momentum);
    ccu_free(l->gradient);
    ccu_free(l->context);
    ccu_free(l->dcontext);
    ccu_free(l->hidden);
    ccu_free(l->loss);
    ccu_free(l->best);
    ccu_free(l);
}

/* ---- Steps ---------------------------------------------------------------------------------- */

float clipcu_learning_rate(int32_t epoch, int32_t epochs, float rate) {
    const double turn = 3.141592653589793 * (double)(epoch - 2) / (double)epochs;
    if (epoch <= 1) { return 1e-5f; }
    return (float)(0.5 * (double)rate * (1.0 + cos(turn)));
}

/* PyTorch's SGD, dampening 0, not Nesterov's. ARGUMENT if it leads out of the numbers. */
static clipcu_status descend(clipcu_learner *l, float rate, clipcu_error *error) {
    float *w = l->prompt->values, *m = l->momentum;
    bool   finite = true;
    for (size_t i = 0; i < l->prompt->count; i++) {
        const float d = l->gradient[i] + l->options.weight_decay * w[i];
        m[i]          = l->steps == 0 ? d : l->options.momentum * m[i] + d;
        w[i] -= rate * m[i];
        finite = finite && isfinite(w[i]);
    }
    l->steps++;
    if (finite) { return CLIPCU_OK; }
    return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                    "learning has left the numbers at rate %g: what is learned is not finite any "
                    "more",
                    (double)rate);
}

static clipcu_status find_gradient(clipcu_learner *l, const float *x, const int32_t *label,
                                   int32_t count, clipcu_error *error) {
    const clipcu_prompt *p           = l->prompt;
    const bool           conditional = p->hidden > 0;
    if (conditional) { ccu_meta_net_forward(p, x, count, l->hidden, l->context); }
    const int32_t         sets = conditional ? count : p->class_specific ? p->K : 1;
    const ccu_prompt_step step = {.context  = conditional ? l->context : p->context,
                                  .x        = x,
                                  .label    = label,
                                  .loss     = l->loss,
                                  .best     = l->best,
                                  .dcontext = conditional ? l->dcontext : l->gradient,
                                  .scale    = l->logit_scale,
                                  .images   = count,
                                  .contexts = sets * p->M};
    const clipcu_status status = ccu_prompt_tower_step(&l->tower, &step, error);
    if (status != CLIPCU_OK || !conditional) { return status; }
    return ccu_meta_net_backward(p, x, l->hidden, l->dcontext, count, l->gradient, error);
}

clipcu_status clipcu_learner_step(clipcu_learner *l, const float *embeddings,
                                  const int32_t *class_index, int32_t count, float rate,
                                  double *loss, int32_t *correct, clipcu_error *error) {
    ccu_error_clear(error);
    if (l == NULL || embeddings == NULL || class_index == NULL || loss == NULL || correct == NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_learner_step: NULL where it is not allowed");
    }
    if (count < 1 || count > l->options.batch_max) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_learner_step: %d pictures, expected 1 .. %d", count,
                        l->options.batch_max);
    }
    for (int32_t b = 0; b < count; b++) {
        if (class_index[b] < 0 || class_index[b] >= l->prompt->K) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                            "clipcu_learner_step: class %d of picture %d, expected 0 .. %d",
                            class_index[b], b, l->prompt->K - 1);
        }
    }
    const clipcu_status status = find_gradient(l, embeddings, class_index, count, error);
    if (status != CLIPCU_OK) { return status; }
    double  sum   = 0.0;
    int32_t right = 0;
    for (int32_t b = 0; b < count; b++) {
        sum += (double)l->loss[b];
        right += l->best[b] == class_index[b] ? 1 : 0;
    }
    *loss    = sum / (double)count;
    *correct = right;
    return descend(l, rate, error);
}

const clipcu_prompt *clipcu_learner_prompt(clipcu_learner *l, int32_t epoch) {
    l->prompt->epoch = epoch;
    return l->prompt;
}

/* ---- Files ---------------------------------------------------------------------------------- */

clipcu_status clipcu_learner_save(clipcu_learner *l, int32_t epoch, const char *note,
                                  const char *path, clipcu_error *error) {
    ccu_error_clear(error);
    if (l == NULL || path == NULL || l->steps == 0) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_learner_save: NULL, or nothing was learned yet");
    }
    l->prompt->epoch = epoch;
    return ccu_prompt_write(l->prompt, l->momentum, note == NULL ? "" : note, path, error);
}

static clipcu_status check_same(const clipcu_prompt *a, const clipcu_prompt *b, const char *path,
                                clipcu_error *error) {
    const bool  shape = a->method == b->method && a->position == b->position &&
                       a->class_specific == b->class_specific && a->M == b->M && a->C == b->C &&
                       a->E == b->E && a->K == b->K;
    const char *wrong = !shape ? "another kind or number of context vectors or classes"
                        : a->fingerprint != b->fingerprint ? "another model"
                                                           : NULL;
    for (int32_t i = 0; wrong == NULL && i < a->K; i++) {
        if (strcmp(a->labels[i], b->labels[i]) != 0) { wrong = "other class names"; }
    }
    if (wrong == NULL) { return CLIPCU_OK; }
    return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: begun with %s", path, wrong);
}

clipcu_status clipcu_learner_load(clipcu_learner *l, const char *path, int32_t *epoch, char **note,
                                  clipcu_error *error) {
    clipcu_prompt *p        = NULL;
    float         *momentum = NULL;
    char          *text     = NULL;
    ccu_error_clear(error);
    if (l == NULL || path == NULL || epoch == NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_learner_load: NULL where it is not allowed");
    }
    clipcu_status status = ccu_prompt_read(path, &p, &momentum, &text, error);
    if (status == CLIPCU_OK) { status = check_same(l->prompt, p, path, error); }
    if (status == CLIPCU_OK) {
        memcpy(l->prompt->values, p->values, p->count * sizeof *p->values);
        memcpy(l->momentum, momentum, p->count * sizeof *momentum);
        l->steps = 1;
        *epoch   = p->epoch;
        if (note != NULL) {
            *note = text;
            text  = NULL;
        }
    }
    ccu_free(text);
    ccu_free(momentum);
    clipcu_prompt_close(p);
    return status;
}

void clipcu_free(char *text) {
    ccu_free(text);
}
