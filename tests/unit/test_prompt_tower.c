/* Prompts with learned context vectors: class rows equal those of the same words as text, gradients
 * equal what differences of the loss say, and chunks change neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "ops/cpu_backend.h"
#include "prompt/layout.h"
#include "prompt/prompt_tower.h"
#include "support/golden_towers.h"

#define FOLDER CLIPCU_SOURCE_DIR "/tests/golden"
#define M_MAX 4
#define IMAGES 5

static const char *const names[] = { "dog", "cat", "dog_house", "kite (bird)", "cat",
                                     "a big red dog" };
#define CLASSES ((int32_t)(sizeof names / sizeof *names))

/* A small model, prompts of all classes, images and contexts. */
typedef struct fixture {
    golden_file      golden;
    golden_towers   *towers;
    ccu_tokenizer   *tokenizer;
    ccu_text_encoder encoder;
    ccu_prompt_list  list;
    ccu_prompt_tower pt;
    float           *context, *dcontext, *x;
    int32_t          M, contexts, C, E;
    int32_t          label[IMAGES], best[IMAGES];
    float            loss[IMAGES];
} fixture;

static float number(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)(*state >> 8) / 8388608.0f - 1.0f;
}

typedef struct kind {
    ccu_position position;
    int32_t      M;
    bool         class_specific, own_banks;
} kind;

static void open_model(fixture *f, ccu_dtype dtype) {
    clipcu_error error;
    *f              = (fixture){ .golden = golden_open(FOLDER, "hf_b32") };
    f->towers       = golden_towers_open(&f->golden, FOLDER, dtype);
    const char *dir = FOLDER "/hf_b32";
    if (ccu_tokenizer_open(dir, CLIPCU_TOKENIZER_OPENAI, &f->tokenizer, &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
    f->C       = f->towers->text.trunk.C;
    f->E       = f->towers->text.E;
    f->encoder = (ccu_text_encoder){ .be = f->towers->be, .tower = &f->towers->text,
                                     .tokenizer = f->tokenizer,
                                     .eot_id = ccu_tokenizer_eot(f->tokenizer) };
}

static void close_model(fixture *f) {
    ccu_prompt_free(&f->list);
    ccu_tokenizer_close(f->tokenizer);
    golden_towers_close(f->towers);
    golden_close(&f->golden);
    free(f->context);
    free(f->dcontext);
    free(f->x);
}

static void open_prompts(fixture *f, const kind *k, size_t memory_max) {
    clipcu_error  error;
    uint32_t      seed   = 5;
    const int32_t images = k->own_banks ? IMAGES : 1;
    f->M                 = k->M;
    f->contexts          = k->M * (k->class_specific ? CLASSES : images);
    for (int32_t b = 0; b < images; b++) {
        for (int32_t c = 0; c < CLASSES; c++) {
            const int32_t first = k->class_specific ? c * k->M : b * k->M;
            if (ccu_layout_add(&f->list, &f->encoder, names[c], k->position, k->M, first,
                               &error) != CLIPCU_OK) {
                fail_msg("%s", error.text);
            }
        }
    }
    const size_t numbers = (size_t)f->contexts * (size_t)f->C;
    f->context  = malloc(numbers * sizeof *f->context);
    f->dcontext = malloc(numbers * sizeof *f->dcontext);
    f->x        = malloc((size_t)IMAGES * (size_t)f->E * sizeof *f->x);
    for (size_t i = 0; i < numbers; i++) { f->context[i] = 0.05f * number(&seed); }
    for (int32_t b = 0; b < IMAGES; b++) {
        float *row    = f->x + (size_t)b * (size_t)f->E;
        double square = 0.0;
        for (int32_t e = 0; e < f->E; e++) {
            row[e] = number(&seed);
            square += (double)row[e] * row[e];
        }
        for (int32_t e = 0; e < f->E; e++) { row[e] /= (float)sqrt(square); }
        f->label[b] = (b * 2 + 1) % CLASSES;
    }
    const ccu_prompts     prompts = { f->list.ids, f->list.first, f->list.count };
    const ccu_prompt_plan plan    = { .prompts = &prompts, .K = CLASSES,
                                      .contexts_max = f->contexts, .images_max = IMAGES,
                                      .own_banks = k->own_banks,
                                      .memory_max = memory_max };
    if (ccu_prompt_tower_open(&f->pt, f->towers->be, &f->towers->text, &f->towers->checkpoint,
                              &plan, &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
}

/* The mean loss; f->dcontext is its gradient. */
static double step(fixture *f) {
    clipcu_error          error;
    double                mean = 0.0;
    const ccu_prompt_step s    = { .context = f->context, .x = f->x, .label = f->label,
                                   .loss = f->loss, .best = f->best, .dcontext = f->dcontext,
                                   .scale = 20.0f, .images = IMAGES, .contexts = f->contexts };
    if (ccu_prompt_tower_step(&f->pt, &s, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    for (int32_t b = 0; b < IMAGES; b++) {
        mean += (double)f->loss[b] / IMAGES;
        assert_in_range(f->best[b], 0, CLASSES - 1);
    }
    return mean;
}

/* Along a direction d of unit length the loss must change by gradient . d. */
static double worst_direction(fixture *f, double spoil) {
    const size_t numbers  = (size_t)f->contexts * (size_t)f->C;
    float       *gradient = malloc(numbers * sizeof *gradient);
    float       *before   = malloc(numbers * sizeof *before);
    double       length = 0.0, worst = 0.0;
    uint32_t     seed = 77;
    (void)step(f);
    memcpy(gradient, f->dcontext, numbers * sizeof *gradient);
    memcpy(before, f->context, numbers * sizeof *before);
    for (size_t i = 0; i < numbers; i++) { length += (double)gradient[i] * gradient[i]; }
    length = sqrt(length);
    assert_true(length > 1e-4);
    for (int32_t round = 0; round < 6; round++) {
        double *d = malloc(numbers * sizeof *d), along = 0.0, size = 0.0;
        for (size_t i = 0; i < numbers; i++) { /* the gradient's own direction, then mixtures */
            const double other = number(&seed) / sqrt((double)numbers);
            d[i]               = gradient[i] / length + (round == 0 ? 0.0 : other);
            size += d[i] * d[i];
        }
        for (size_t i = 0; i < numbers; i++) { along += d[i] / sqrt(size) * gradient[i]; }
        double       at[2];
        const double h = 4e-3;
        for (int sign = 0; sign < 2; sign++) {
            for (size_t i = 0; i < numbers; i++) {
                f->context[i] = (float)(before[i] + (sign == 0 ? h : -h) * d[i] / sqrt(size));
            }
            at[sign] = step(f);
        }
        const double want = (at[0] - at[1]) / (2.0 * h);
        worst             = fmax(worst, fabs(along * spoil - want) / length);
        free(d);
    }
    memcpy(f->context, before, numbers * sizeof *before);
    free(gradient);
    free(before);
    return worst;
}

static const kind kinds[] = {
    { CCU_POSITION_END, 4, false, false },   { CCU_POSITION_MIDDLE, 3, false, false },
    { CCU_POSITION_FRONT, 2, false, false }, { CCU_POSITION_END, 1, true, false },
    { CCU_POSITION_MIDDLE, 4, true, false }, { CCU_POSITION_END, 4, false, true },
};

static void gradients_are_slopes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        fixture f;
        open_model(&f, CCU_F32);
        open_prompts(&f, &kinds[i], 0);
        const double worst = worst_direction(&f, 1.0);
        if (worst > 3e-3) { fail_msg("kind %zu: off by %g of the gradient", i, worst); }
        if (i == 0) { assert_true(worst_direction(&f, 1.02) > 3e-3); } /* the check can fail */
        ccu_prompt_tower_close(&f.pt);
        close_model(&f);
    }
}

static void chunks_change_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        fixture whole, parts;
        double  largest = 0.0, off = 0.0;
        open_model(&whole, CCU_F32);
        open_prompts(&whole, &kinds[i], 0);
        open_model(&parts, CCU_F32);
        open_prompts(&parts, &kinds[i], whole.pt.slab_bytes * 2 / 3);
        const double a = step(&whole), b = step(&parts);
        assert_int_equal(whole.pt.chunks, 1);
        assert_true(parts.pt.chunks > 1);
        assert_true(parts.pt.slab_bytes <= whole.pt.slab_bytes * 2 / 3);
        assert_true(fabs(a - b) <= 1e-6 * (1.0 + fabs(a)));
        for (size_t n = 0; n < (size_t)whole.contexts * (size_t)whole.C; n++) {
            largest = fmax(largest, fabs((double)whole.dcontext[n]));
            off     = fmax(off, fabs((double)whole.dcontext[n] - (double)parts.dcontext[n]));
        }
        assert_true(off <= 1e-5 * largest);
        const double again = step(&whole); /* and the same twice, to the bit */
        assert_memory_equal(&again, &a, sizeof a);
        ccu_prompt_tower_close(&whole.pt);
        ccu_prompt_tower_close(&parts.pt);
        close_model(&whole);
        close_model(&parts);
    }
}

/* Context vectors that are the embeddings of words make the prompts that have the words. */
static void words_as_contexts_are_words(void **state) {
    (void)state;
    const kind k = { CCU_POSITION_END, 4, false, false };
    fixture    f;
    open_model(&f, CCU_F32);
    open_prompts(&f, &k, 0);
    clipcu_error error;
    int32_t      ids[64], count;
    const char  *words = "dog cat dog cat";
    assert_int_equal(ccu_tokenize(f.tokenizer, words, false, ids, 64, &count, &error), CLIPCU_OK);
    if (count != 6) { skip(); } /* a vocabulary that splits the words */
    for (int32_t m = 0; m < 4; m++) {
        memcpy(f.context + (size_t)m * (size_t)f.C,
               (const float *)f.towers->text.tokens + (size_t)ids[m + 1] * (size_t)f.C,
               (size_t)f.C * sizeof(float));
    }
    float *rows = malloc((size_t)CLASSES * (size_t)f.E * sizeof *rows);
    float *want = malloc((size_t)CLASSES * (size_t)f.E * sizeof *want);
    assert_int_equal(ccu_prompt_tower_rows(&f.pt, f.context, 4, 1, rows, &error), CLIPCU_OK);
    char        texts[CLASSES][64];
    const char *list[CLASSES];
    for (int32_t c = 0; c < CLASSES; c++) {
        (void)snprintf(texts[c], sizeof texts[c], "%s %s.", words, names[c]);
        for (char *at = texts[c]; *at != '\0'; at++) { *at = *at == '_' ? ' ' : *at; }
        list[c] = texts[c];
    }
    assert_int_equal(ccu_encode_texts(&f.encoder, list, CLASSES, want, &error), CLIPCU_OK);
    assert_memory_equal(rows, want, (size_t)CLASSES * (size_t)f.E * sizeof *rows);
    free(rows);
    free(want);
    ccu_prompt_tower_close(&f.pt);
    close_model(&f);
}

static void expect_layout(fixture *f, const char *name, ccu_position position, int32_t M,
                          clipcu_status status, const char *part) {
    clipcu_error error = { 0 };
    assert_int_equal(ccu_layout_add(&f->list, &f->encoder, name, position, M, 0, &error), status);
    if (status != CLIPCU_OK && strstr(error.text, part) == NULL) { fail_msg("%s", error.text); }
}

static void bad_names_are_refused(void **state) {
    (void)state;
    fixture f;
    open_model(&f, CCU_F32);
    expect_layout(&f, "dog", CCU_POSITION_END, f.towers->text.context, CLIPCU_ERR_LIMIT, "\"dog\"");
    expect_layout(&f, "", CCU_POSITION_END, 2, CLIPCU_ERR_ARGUMENT, "no tokens");
    expect_layout(&f, " _ ", CCU_POSITION_FRONT, 2, CLIPCU_ERR_ARGUMENT, "no tokens");
    expect_layout(&f, "\xff", CCU_POSITION_END, 2, CLIPCU_ERR_FORMAT, "UTF-8");
    expect_layout(&f, "dog", CCU_POSITION_MIDDLE, 2, CLIPCU_OK, "");
    close_model(&f);
}

static void too_little_memory_is_refused(void **state) {
    (void)state;
    fixture      f;
    clipcu_error error = { 0 };
    open_model(&f, CCU_F32);
    expect_layout(&f, "dog", CCU_POSITION_END, 2, CLIPCU_OK, "");
    const ccu_prompts     prompts = { f.list.ids, f.list.first, 1 };
    const ccu_prompt_plan plan    = { .prompts = &prompts, .K = 1, .contexts_max = 2,
                                      .images_max = 1, .memory_max = 1000 };
    assert_int_equal(ccu_prompt_tower_open(&f.pt, f.towers->be, &f.towers->text,
                                           &f.towers->checkpoint, &plan, &error),
                     CLIPCU_ERR_LIMIT);
    assert_non_null(strstr(error.text, "1000"));
    close_model(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_slopes),        cmocka_unit_test(chunks_change_nothing),
        cmocka_unit_test(words_as_contexts_are_words), cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(too_little_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
