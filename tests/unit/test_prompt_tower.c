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

#include "support/prompt_fixture.h"

#define FOLDER CLIPCU_SOURCE_DIR "/tests/golden"

/* Along a direction d of unit length the loss must change by gradient . d. */
static double worst_direction(prompt_fixture *f, double spoil) {
    const size_t numbers  = (size_t)f->contexts * (size_t)f->C;
    float       *gradient = malloc(numbers * sizeof *gradient);
    float       *before   = malloc(numbers * sizeof *before);
    double       length = 0.0, worst = 0.0;
    uint32_t     seed = 77;
    (void)prompt_fixture_step(f);
    memcpy(gradient, f->dcontext, numbers * sizeof *gradient);
    memcpy(before, f->context, numbers * sizeof *before);
    for (size_t i = 0; i < numbers; i++) { length += (double)gradient[i] * gradient[i]; }
    length = sqrt(length);
    assert_true(length > 1e-4);
    for (int32_t round = 0; round < 6; round++) {
        double *d = malloc(numbers * sizeof *d), along = 0.0, size = 0.0;
        for (size_t i = 0; i < numbers; i++) { /* the gradient's own direction, then mixtures */
            const double other = prompt_number(&seed) / sqrt((double)numbers);
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
            at[sign] = prompt_fixture_step(f);
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

static void gradients_are_slopes(void **state) {
    (void)state;
    for (size_t i = 0; i < PROMPT_KINDS; i++) {
        prompt_fixture f;
        prompt_fixture_open(&f, FOLDER, NULL, CCU_F32);
        prompt_fixture_prompts(&f, &prompt_kinds[i], 0);
        const double worst = worst_direction(&f, 1.0);
        if (worst > 3e-3) { fail_msg("kind %zu: off by %g of the gradient", i, worst); }
        if (i == 0) { assert_true(worst_direction(&f, 1.02) > 3e-3); } /* the check can fail */
        ccu_prompt_tower_close(&f.pt);
        prompt_fixture_close(&f);
    }
}

static void chunks_change_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < PROMPT_KINDS; i++) {
        prompt_fixture whole, parts;
        double  largest = 0.0, off = 0.0;
        prompt_fixture_open(&whole, FOLDER, NULL, CCU_F32);
        prompt_fixture_prompts(&whole, &prompt_kinds[i], 0);
        prompt_fixture_open(&parts, FOLDER, NULL, CCU_F32);
        prompt_fixture_prompts(&parts, &prompt_kinds[i], whole.pt.slab_bytes * 2 / 3);
        const double a = prompt_fixture_step(&whole), b = prompt_fixture_step(&parts);
        assert_int_equal(whole.pt.chunks, 1);
        assert_true(parts.pt.chunks > 1);
        assert_true(parts.pt.slab_bytes <= whole.pt.slab_bytes * 2 / 3);
        assert_true(fabs(a - b) <= 1e-6 * (1.0 + fabs(a)));
        for (size_t n = 0; n < (size_t)whole.contexts * (size_t)whole.C; n++) {
            largest = fmax(largest, fabs((double)whole.dcontext[n]));
            off     = fmax(off, fabs((double)whole.dcontext[n] - (double)parts.dcontext[n]));
        }
        assert_true(off <= 1e-5 * largest);
        const double again = prompt_fixture_step(&whole); /* and the same twice, to the bit */
        assert_memory_equal(&again, &a, sizeof a);
        ccu_prompt_tower_close(&whole.pt);
        ccu_prompt_tower_close(&parts.pt);
        prompt_fixture_close(&whole);
        prompt_fixture_close(&parts);
    }
}

/* Context vectors that are the embeddings of words make the prompts that have the words. */
static void words_as_contexts_are_words(void **state) {
    (void)state;
    const prompt_kind k = { CLIPCU_POSITION_END, 4, false, false };
    prompt_fixture    f;
    prompt_fixture_open(&f, FOLDER, NULL, CCU_F32);
    prompt_fixture_prompts(&f, &k, 0);
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
    float *rows = malloc((size_t)PROMPT_CLASSES * (size_t)f.E * sizeof *rows);
    float *want = malloc((size_t)PROMPT_CLASSES * (size_t)f.E * sizeof *want);
    assert_int_equal(ccu_prompt_tower_rows(&f.pt, f.context, 4, 1, rows, &error), CLIPCU_OK);
    char        texts[PROMPT_CLASSES][64];
    const char *list[PROMPT_CLASSES];
    for (int32_t c = 0; c < PROMPT_CLASSES; c++) {
        (void)snprintf(texts[c], sizeof texts[c], "%s %s.", words, prompt_names[c]);
        for (char *at = texts[c]; *at != '\0'; at++) { *at = *at == '_' ? ' ' : *at; }
        list[c] = texts[c];
    }
    assert_int_equal(ccu_encode_texts(&f.encoder, list, PROMPT_CLASSES, want, &error), CLIPCU_OK);
    assert_memory_equal(rows, want, (size_t)PROMPT_CLASSES * (size_t)f.E * sizeof *rows);
    free(rows);
    free(want);
    ccu_prompt_tower_close(&f.pt);
    prompt_fixture_close(&f);
}

static void expect_layout(prompt_fixture *f, const char *name, clipcu_position position, int32_t M,
                          clipcu_status status, const char *part) {
    clipcu_error error = { 0 };
    assert_int_equal(ccu_layout_add(&f->list, &f->encoder, name, position, M, 0, &error), status);
    if (status != CLIPCU_OK && strstr(error.text, part) == NULL) { fail_msg("%s", error.text); }
}

static void bad_names_are_refused(void **state) {
    (void)state;
    prompt_fixture f;
    prompt_fixture_open(&f, FOLDER, NULL, CCU_F32);
    expect_layout(&f, "dog", CLIPCU_POSITION_END, f.towers->text.context, CLIPCU_ERR_LIMIT,
                  "\"dog\"");
    expect_layout(&f, "", CLIPCU_POSITION_END, 2, CLIPCU_ERR_ARGUMENT, "no tokens");
    expect_layout(&f, " _ ", CLIPCU_POSITION_FRONT, 2, CLIPCU_ERR_ARGUMENT, "no tokens");
    expect_layout(&f, "\xff", CLIPCU_POSITION_END, 2, CLIPCU_ERR_FORMAT, "UTF-8");
    expect_layout(&f, "dog", CLIPCU_POSITION_MIDDLE, 2, CLIPCU_OK, "");
    prompt_fixture_close(&f);
}

static void too_little_memory_is_refused(void **state) {
    (void)state;
    prompt_fixture f;
    clipcu_error error = { 0 };
    prompt_fixture_open(&f, FOLDER, NULL, CCU_F32);
    expect_layout(&f, "dog", CLIPCU_POSITION_END, 2, CLIPCU_OK, "");
    const ccu_prompts     prompts = { f.list.ids, f.list.first, 1 };
    const ccu_prompt_plan plan    = { .prompts = &prompts, .K = 1, .contexts_max = 2,
                                      .images_max = 1, .memory_max = 1000 };
    assert_int_equal(ccu_prompt_tower_open(&f.pt, f.towers->be, &f.towers->text,
                                           &f.towers->checkpoint, &plan, &error),
                     CLIPCU_ERR_LIMIT);
    assert_non_null(strstr(error.text, "1000"));
    prompt_fixture_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_slopes),        cmocka_unit_test(chunks_change_nothing),
        cmocka_unit_test(words_as_contexts_are_words), cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(too_little_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
