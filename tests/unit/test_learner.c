/* Learning, step by step, against the papers' algorithm in PyTorch: tests/golden/prompts, made by
 * make_prompt_golden.py on whole, padded contexts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prompt/class_rows.h"
#include "prompt/learner.h"
#include "prompt/meta_net.h"
#include "support/prompt_fixture.h"

#define FOLDER CLIPCU_SOURCE_DIR "/tests/golden"
#define STEPS 50
#define EPOCHS 10
#define BATCH 5

typedef struct golden_case {
    const char     *name;
    clipcu_position position;
    int32_t         M;
    bool            class_specific, conditional;
} golden_case;

static const golden_case cases[] = {
    { "end", CLIPCU_POSITION_END, 4, false, false },
    { "middle", CLIPCU_POSITION_MIDDLE, 3, false, false },
    { "front", CLIPCU_POSITION_FRONT, 2, false, false },
    { "end_specific", CLIPCU_POSITION_END, 4, true, false },
    { "middle_specific", CLIPCU_POSITION_MIDDLE, 5, true, false },
    { "front_specific", CLIPCU_POSITION_FRONT, 3, true, false },
    { "cocoop", CLIPCU_POSITION_END, 4, false, true },
};
#define CASES (sizeof cases / sizeof *cases)

typedef struct course {
    prompt_fixture  model;
    golden_file     golden;
    clipcu_learner *learner;
    const float    *x;     /* (N, E) */
    const int32_t  *label; /* (N) */
    const int32_t  *picks; /* (STEPS, BATCH) */
} course;

static const float *of_case(const course *c, const golden_case *which, const char *what) {
    char name[64];
    (void)snprintf(name, sizeof name, "%s.%s", which->name, what);
    return golden_f32(&c->golden, name);
}

static void open_course(course *c, const golden_case *which, size_t memory_max) {
    clipcu_error error = { 0 };
    prompt_fixture_open(&c->model, FOLDER, NULL, CCU_F32);
    c->golden = golden_open(FOLDER, "prompts");
    c->x      = golden_f32(&c->golden, "x");
    c->label  = golden_get(&c->golden, "label", "I32").data;
    c->picks  = golden_get(&c->golden, "picks", "I32").data;
    const ccu_prompt_shape shape = { .method         = which->conditional ? CLIPCU_METHOD_COCOOP
                                                                          : CLIPCU_METHOD_COOP,
                                     .position       = which->position,
                                     .class_specific = which->class_specific,
                                     .M              = which->M,
                                     .C              = c->model.C,
                                     .E              = c->model.E,
                                     .K              = c->golden.texts_count,
                                     .labels = (const char *const *)c->golden.texts };
    clipcu_prompt *prompt = NULL;
    if (ccu_prompt_create(&shape, &prompt, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    memcpy(prompt->values, of_case(c, which, "values"), prompt->count * sizeof *prompt->values);
    clipcu_learn_options options = clipcu_learn_options_default();
    options.batch_max            = BATCH;
    options.memory_max           = memory_max;
    if (ccu_learner_create(&c->model.encoder, &c->model.towers->checkpoint, &options, prompt,
                           c->model.towers->checkpoint.logit_scale, &c->learner,
                           &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
}

static void close_course(course *c) {
    clipcu_learner_close(c->learner);
    golden_close(&c->golden);
    prompt_fixture_close(&c->model);
}

/* |got - want| / |want| */
static double apart(const float *got, const float *want, size_t count) {
    double off = 0.0, length = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double d = (double)got[i] - (double)want[i];
        off += d * d;
        length += (double)want[i] * (double)want[i];
    }
    return sqrt(off / length);
}

/* What an epoch's pictures are at a step. */
static void gather(const course *c, int32_t step, float *x, int32_t *label) {
    const size_t E = (size_t)c->model.E;
    for (int32_t b = 0; b < BATCH; b++) {
        const int32_t pick = c->picks[step * BATCH + b];
        memcpy(x + (size_t)b * E, c->x + (size_t)pick * E, E * sizeof *x);
        label[b] = c->label[pick];
    }
}

/* Class rows before the first step. */
static double check_rows(course *c, const golden_case *which) {
    const int32_t K = c->golden.texts_count, E = c->model.E;
    const size_t  count = (size_t)(which->conditional ? BATCH : 1) * (size_t)K * (size_t)E;
    const char *const *names  = (const char *const *)c->golden.texts;
    float             *rows   = malloc(count * sizeof *rows);
    float             *x      = malloc((size_t)BATCH * (size_t)E * sizeof *x);
    int32_t            label[BATCH];
    clipcu_error       error  = { 0 };
    clipcu_status      status = CLIPCU_OK;
    gather(c, 0, x, label);
    if (which->conditional) {
        ccu_conditional *conditional = NULL;
        status = ccu_conditional_open(&c->model.encoder, c->learner->prompt, names, K,
                                      &conditional, &error);
        if (status == CLIPCU_OK) {
            status = ccu_conditional_rows(conditional, &c->model.encoder, x, BATCH, rows, &error);
        }
        ccu_conditional_close(conditional);
    } else {
        status = ccu_class_rows(&c->model.encoder, c->learner->prompt, names, K, rows, &error);
    }
    if (status != CLIPCU_OK) { fail_msg("%s", error.text); }
    const double off = apart(rows, of_case(c, which, "rows"), count);
    free(rows);
    free(x);
    return off;
}

typedef struct outcome {
    double gradient, loss, learned; /* how far from the golden ones; loss: the worst step */
} outcome;

static outcome take_course(course *c, const golden_case *which, double rate) {
    const size_t  count = c->learner->prompt->count;
    const float  *want  = of_case(c, which, "loss");
    float        *x     = malloc((size_t)BATCH * (size_t)c->model.E * sizeof *x);
    int32_t       label[BATCH];
    clipcu_error  error = { 0 };
    outcome       o     = { 0 };
    for (int32_t step = 0; step < STEPS; step++) {
        double  loss    = 0.0;
        int32_t correct = -1;
        gather(c, step, x, label);
        const int32_t epoch = 1 + step * EPOCHS / STEPS;
        if (clipcu_learner_step(c->learner, x, label, BATCH,
                                clipcu_learning_rate(epoch, EPOCHS, (float)rate), &loss, &correct,
                                &error) != CLIPCU_OK) {
            fail_msg("%s", error.text);
        }
        assert_in_range(correct, 0, BATCH);
        o.loss = fmax(o.loss, fabs(loss - (double)want[step]) / (double)want[step]);
        if (step == 0) {
            o.gradient = apart(c->learner->gradient, of_case(c, which, "gradient"), count);
        }
    }
    o.learned = apart(c->learner->prompt->values, of_case(c, which, "learned"), count);
    free(x);
    return o;
}

static void steps_are_pytorchs(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        course c;
        open_course(&c, &cases[i], 0);
        const double  rows = check_rows(&c, &cases[i]);
        const outcome o    = take_course(&c, &cases[i], 0.002);
        printf("%-16s rows %.1e, gradient %.1e, loss %.1e, learned %.1e\n", cases[i].name, rows,
               o.gradient, o.loss, o.learned);
        if (!(rows <= 1e-5) || !(o.gradient <= 5e-5) || !(o.loss <= 1e-5) ||
            !(o.learned <= 1e-4)) {
            fail_msg("%s is too far from PyTorch", cases[i].name);
        }
        close_course(&c);
    }
}

/* The loss of the first step's pictures; the rate is 0, so nothing is learned. */
static double loss_now(course *c) {
    float        *x = malloc((size_t)BATCH * (size_t)c->model.E * sizeof *x);
    int32_t       label[BATCH], correct = 0;
    double        loss  = 0.0;
    clipcu_error  error = { 0 };
    gather(c, 0, x, label);
    if (clipcu_learner_step(c->learner, x, label, BATCH, 0.0f, &loss, &correct, &error) !=
        CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
    free(x);
    return loss;
}

/* (loss(v + h d) - loss(v - h d)) / 2 h for d = g / |g| over some of the values: it has to be
 * |g|. Returns how far it is from that, of |g|. */
static double slope_apart(course *c, float *values, size_t count) {
    const size_t at       = (size_t)(values - c->learner->prompt->values);
    float       *kept     = malloc(count * sizeof *kept);
    float       *gradient = malloc(count * sizeof *gradient);
    double       length = 0.0, loss[2];
    (void)loss_now(c);
    memcpy(kept, values, count * sizeof *kept);
    memcpy(gradient, c->learner->gradient + at, count * sizeof *gradient);
    for (size_t i = 0; i < count; i++) { length += (double)gradient[i] * (double)gradient[i]; }
    length = sqrt(length);
    assert_true(length > 0.0);
    const double h = 1e-2 / fmax(1.0, length);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++) {
            const double d = (double)gradient[i] / length;
            values[i]      = (float)((double)kept[i] + (side == 0 ? h : -h) * d);
        }
        loss[side] = loss_now(c);
    }
    memcpy(values, kept, count * sizeof *kept);
    free(kept);
    free(gradient);
    return fabs((loss[0] - loss[1]) / (2.0 * h) - length) / length;
}

static void gradients_are_slopes(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        course c;
        open_course(&c, &cases[i], 0);
        clipcu_prompt *p     = c.learner->prompt;
        const size_t   h     = (size_t)p->hidden, C = (size_t)p->C, E = (size_t)p->E;
        const size_t   meta  = h > 0 ? h * E + h + C * h + C : 0;
        double         worst = slope_apart(&c, p->context, p->count - meta);
        if (h > 0) {
            worst = fmax(worst, slope_apart(&c, p->w1, h * E));
            worst = fmax(worst, slope_apart(&c, p->b1, h));
            worst = fmax(worst, slope_apart(&c, p->w2, C * h));
            worst = fmax(worst, slope_apart(&c, p->b2, C));
        }
        printf("%-16s slopes %.1e\n", cases[i].name, worst);
        if (!(worst <= 2e-3)) { fail_msg("%s: a gradient is no slope", cases[i].name); }
        close_course(&c);
    }
}

static void parts_change_nothing_that_matters(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        course c;
        open_course(&c, &cases[i], 0);
        const size_t whole = c.learner->tower.slab_bytes;
        close_course(&c);
        open_course(&c, &cases[i], whole * 2 / 3);
        const outcome o = take_course(&c, &cases[i], 0.002);
        assert_true(c.learner->tower.chunks > 1);
        if (!(o.gradient <= 5e-5) || !(o.loss <= 1e-5) || !(o.learned <= 1e-4)) {
            fail_msg("%s in parts: gradient %g, loss %g, learned %g", cases[i].name, o.gradient,
                     o.loss, o.learned);
        }
        close_course(&c);
    }
}

static void a_wrong_rate_is_noticed(void **state) {
    (void)state;
    course c;
    open_course(&c, &cases[0], 0);
    const outcome o = take_course(&c, &cases[0], 0.00204);
    assert_true(o.learned > 1e-4 && o.loss > 1e-5);
    close_course(&c);
}

/* The table of the published schedule (a training log of CoOp's authors: 50 epochs). */
static void rates_are_the_published_ones(void **state) {
    (void)state;
    const struct {
        int32_t epochs, epoch;
        double  rate;
    } table[] = { { 50, 1, 1e-5 },          { 50, 2, 2e-3 },          { 50, 3, 1.998027e-3 },
                  { 50, 4, 1.992115e-3 },   { 50, 25, 1.125333e-3 },  { 50, 49, 1.7713e-5 },
                  { 50, 50, 7.885e-6 },     { 10, 3, 1.951057e-3 },   { 10, 9, 4.12215e-4 },
                  { 10, 10, 1.90983e-4 },   { 200, 100, 1.031411e-3 }, { 200, 199, 1.110e-6 },
                  { 100, 3, 1.999507e-3 } };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const double got =
            (double)clipcu_learning_rate(table[i].epoch, table[i].epochs, 0.002f);
        if (fabs(got - table[i].rate) > 6e-10 + 1e-6 * table[i].rate) {
            fail_msg("epoch %d of %d: %.9g, expected %.9g", table[i].epoch, table[i].epochs, got,
                     table[i].rate);
        }
    }
}

/* dcontext . d(context) along every parameter is what differences of the forward pass say. */
static void the_meta_nets_gradients_are_slopes(void **state) {
    (void)state;
    const char *const      names[] = { "one", "two" };
    const ccu_prompt_shape shape   = { .method = CLIPCU_METHOD_COCOOP, .M = 3, .C = 7, .E = 64,
                                       .K = 2, .labels = names };
    clipcu_prompt         *p       = NULL;
    clipcu_error           error   = { 0 };
    enum { B = 3 };
    float    x[B * 64], hidden[B * 4], context[B * 3 * 7], slope[B * 3 * 7];
    uint32_t seed = 9;
    assert_int_equal(ccu_prompt_create(&shape, &p, &error), CLIPCU_OK);
    ccu_prompt_randomise(p, 5);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) { x[i] = prompt_number(&seed); }
    for (size_t i = 0; i < sizeof slope / sizeof *slope; i++) { slope[i] = prompt_number(&seed); }
    float *gradient = malloc(p->count * sizeof *gradient);
    ccu_meta_net_forward(p, x, B, hidden, context);
    assert_int_equal(ccu_meta_net_backward(p, x, hidden, slope, B, gradient, &error), CLIPCU_OK);
    for (size_t i = 0; i < p->count; i++) {
        const float kept = p->values[i], h = 1e-2f;
        double      at[2] = { 0.0, 0.0 };
        for (int sign = 0; sign < 2; sign++) {
            p->values[i] = sign == 0 ? kept + h : kept - h;
            ccu_meta_net_forward(p, x, B, hidden, context);
            for (size_t n = 0; n < sizeof slope / sizeof *slope; n++) {
                at[sign] += (double)slope[n] * (double)context[n];
            }
        }
        const double want = (at[0] - at[1]) / (double)(2.0f * h);
        p->values[i]      = kept;
        if (fabs(want - (double)gradient[i]) > 2e-3 * (1.0 + fabs(want))) {
            fail_msg("parameter %zu: %g, expected %g", i, (double)gradient[i], want);
        }
    }
    free(gradient);
    clipcu_prompt_close(p);
}

static void wrong_batches_are_refused(void **state) {
    (void)state;
    course       c;
    clipcu_error error = { 0 };
    double       loss;
    int32_t      correct, label[BATCH] = { 0, 1, 2, 3, 99 };
    open_course(&c, &cases[0], 0);
    assert_int_equal(clipcu_learner_step(c.learner, c.x, label, BATCH, 1.0f, &loss, &correct,
                                         &error),
                     CLIPCU_ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "class 99 of picture 4"));
    assert_int_equal(clipcu_learner_step(c.learner, c.x, label, BATCH + 1, 1.0f, &loss, &correct,
                                         &error),
                     CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_learner_save(c.learner, 1, NULL, "x", &error), CLIPCU_ERR_ARGUMENT);
    close_course(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_pytorchs),
        cmocka_unit_test(gradients_are_slopes),
        cmocka_unit_test(parts_change_nothing_that_matters),
        cmocka_unit_test(a_wrong_rate_is_noticed),
        cmocka_unit_test(rates_are_the_published_ones),
        cmocka_unit_test(the_meta_nets_gradients_are_slopes),
        cmocka_unit_test(wrong_batches_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
