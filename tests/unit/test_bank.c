/* The class bank: ensembles, labels, the file, and that a bank of another model is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bank/bank.h"
#include "checkpoint/safetensors.h"
#include "ops/cpu_backend.h"

#define MODEL(name) CLIPCU_SOURCE_DIR "/tests/golden/" name

static const char *const labels[]    = {"cat", "a small dog", "boat", "Zürich \"lake\"\n"};
static const char *const templates[] = {"a photo of a {}.", "{}", "the {} in a video game.",
                                        "a photo of the {}."};

static clipcu_engine *open_model(const char *dir) {
    clipcu_options options = clipcu_options_default();
    clipcu_engine *engine  = NULL;
    clipcu_error   error;
    options.batch_max = 4;
    options.truncate  = 1;
    if (clipcu_open(dir, &options, &engine, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    return engine;
}

static clipcu_bank *build(clipcu_engine *engine, int32_t templates_count) {
    clipcu_bank *bank = NULL;
    clipcu_error error;
    if (clipcu_bank_build(engine, labels, 4, templates, templates_count, &bank, &error) !=
        CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
    return bank;
}

static void expect_error(clipcu_status found, clipcu_status wanted, const clipcu_error *error,
                         const char *part) {
    if (found != wanted || strstr(error->text, part) == NULL) {
        fail_msg("found %s \"%s\", expected %s with \"%s\"", clipcu_status_name(found),
                 error->text, clipcu_status_name(wanted), part);
    }
}

/* Mean of unit rows, normalised, in double: what CLIP's notebook computes. */
static double ensemble_error(const float *prompts, const float *bank, int32_t T, size_t E) {
    double worst = 0.0;
    for (size_t k = 0; k < 4; k++) {
        double mean[4096] = {0}, square = 0.0;
        for (size_t t = 0; t < (size_t)T; t++) {
            for (size_t e = 0; e < E; e++) {
                mean[e] += (double)prompts[(k * (size_t)T + t) * E + e] / T;
            }
        }
        for (size_t e = 0; e < E; e++) { square += mean[e] * mean[e]; }
        for (size_t e = 0; e < E; e++) {
            worst = fmax(worst, fabs(mean[e] / sqrt(square) - (double)bank[k * E + e]));
        }
    }
    return worst;
}

static void ensembles_normalise_twice(void **state) {
    (void)state;
    clipcu_engine *engine = open_model(MODEL("hf_b32"));
    const size_t   E      = (size_t)clipcu_engine_info(engine).embed_dim;
    clipcu_error   error;
    for (int32_t T = 1; T <= 4; T += 3) {
        clipcu_bank *bank = build(engine, T);
        char         texts[16][128];
        const char  *pointers[16];
        float       *prompts = malloc(16 * E * sizeof *prompts);
        for (int32_t k = 0; k < 4; k++) {
            for (int32_t t = 0; t < T; t++) {
                const char *hole = strstr(templates[t], "{}");
                (void)snprintf(texts[k * T + t], sizeof texts[0], "%.*s%s%s",
                               (int)(hole - templates[t]), templates[t], labels[k], hole + 2);
                pointers[k * T + t] = texts[k * T + t];
            }
        }
        assert_int_equal(clipcu_encode_texts(engine, pointers, 4 * T, prompts, &error), CLIPCU_OK);
        assert_true(ensemble_error(prompts, clipcu_bank_rows(bank), T, E) < 1e-6);
        prompts[3] += 0.01f; /* the check can fail */
        assert_true(ensemble_error(prompts, clipcu_bank_rows(bank), T, E) > 1e-4);
        free(prompts);
        clipcu_bank_close(bank);
    }
    clipcu_close(engine);
}

static void labels_are_checked(void **state) {
    (void)state;
    clipcu_engine    *engine  = open_model(MODEL("hf_b32"));
    clipcu_bank      *bank    = NULL;
    const char *const twice[] = {"cat", "dog", "cat"};
    const char *const empty[] = {"cat", " \t"};
    const char *const hole[]  = {"no hole"};
    clipcu_error      error;
    expect_error(clipcu_bank_build(engine, empty, 2, NULL, 0, &bank, &error), CLIPCU_ERR_ARGUMENT,
                 &error, "label 2 is empty");
    expect_error(clipcu_bank_build(engine, NULL, 0, NULL, 0, &bank, &error), CLIPCU_ERR_ARGUMENT,
                 &error, "at least one label");
    expect_error(clipcu_bank_build(engine, twice, 2, hole, 1, &bank, &error), CLIPCU_ERR_ARGUMENT,
                 &error, "no hole");
    assert_null(bank);
    /* A label that stands twice is two equal classes; the first one wins ties. */
    clipcu_match matches[3];
    assert_int_equal(clipcu_bank_build(engine, twice, 3, NULL, 0, &bank, &error), CLIPCU_OK);
    assert_int_equal(clipcu_rank(engine, bank, clipcu_bank_rows(bank), 1, 3, matches, &error),
                     CLIPCU_OK);
    assert_int_equal(matches[0].class_index, 0);
    assert_int_equal(matches[1].class_index, 2);
    assert_true(matches[0].probability == matches[1].probability);
    clipcu_bank_close(bank);
    clipcu_close(engine);
}

static void temporary_path(char *path, size_t bytes, const char *name) {
    const char *dir = getenv("TMPDIR");
    (void)snprintf(path, bytes, "%s/clipcu-%ld-%s", dir == NULL ? "/tmp" : dir, (long)getpid(),
                   name);
}

static void a_saved_bank_comes_back(void **state) {
    (void)state;
    clipcu_engine *engine = open_model(MODEL("hf_b32"));
    clipcu_bank   *bank   = build(engine, 4), *back = NULL;
    const size_t   E      = (size_t)clipcu_bank_embed_dim(bank);
    clipcu_error   error;
    char           path[512];
    temporary_path(path, sizeof path, "bank.safetensors");
    assert_int_equal(clipcu_bank_save(bank, path, &error), CLIPCU_OK);
    assert_int_equal(clipcu_bank_load(path, &back, &error), CLIPCU_OK);
    assert_int_equal(clipcu_bank_count(back), 4);
    assert_int_equal(clipcu_bank_embed_dim(back), E);
    assert_true(clipcu_bank_fingerprint(back) == clipcu_engine_info(engine).fingerprint);
    assert_true(clipcu_bank_logit_scale(back) == clipcu_engine_info(engine).logit_scale);
    for (int32_t k = 0; k < 4; k++) { assert_string_equal(clipcu_bank_label(back, k), labels[k]); }
    assert_null(clipcu_bank_label(back, 4));
    assert_null(clipcu_bank_label(back, -1));
    assert_memory_equal(clipcu_bank_rows(back), clipcu_bank_rows(bank), 4 * E * sizeof(float));
    assert_true(back->content == bank->content);
    expect_error(clipcu_bank_save(bank, "/nonexistent/x.safetensors", &error), CLIPCU_ERR_IO,
                 &error, "/nonexistent/x");
    (void)unlink(path);
    clipcu_bank_close(back);
    clipcu_bank_close(bank);
    clipcu_bank_close(NULL);
    clipcu_close(engine);
}

static void ranking_agrees_with_the_definition(void **state) {
    (void)state;
    clipcu_engine *engine = open_model(MODEL("hf_b32"));
    clipcu_bank   *bank   = build(engine, 1);
    const size_t   E      = (size_t)clipcu_bank_embed_dim(bank);
    const double   scale  = (double)clipcu_engine_info(engine).logit_scale;
    clipcu_match   matches[8];
    clipcu_error   error;
    /* Rows 2 and 0 of the bank as queries: each must find itself with cosine 1. */
    float *queries = malloc(2 * E * sizeof *queries);
    memcpy(queries, clipcu_bank_rows(bank) + 2 * E, E * sizeof *queries);
    memcpy(queries + E, clipcu_bank_rows(bank), E * sizeof *queries);
    assert_int_equal(clipcu_rank(engine, bank, queries, 2, 4, matches, &error), CLIPCU_OK);
    for (size_t q = 0; q < 2; q++) {
        double sum = 0.0, total = 0.0;
        assert_int_equal(matches[4 * q].class_index, q == 0 ? 2 : 0);
        assert_true(fabs((double)matches[4 * q].cosine - 1.0) < 1e-5);
        for (size_t i = 0; i < 4; i++) {
            sum += exp(scale * ((double)matches[4 * q + i].cosine - 1.0));
        }
        for (size_t i = 0; i < 4; i++) {
            const double wanted = exp(scale * ((double)matches[4 * q + i].cosine - 1.0)) / sum;
            assert_true(fabs((double)matches[4 * q + i].probability - wanted) < 1e-4);
            assert_true(i == 0 || matches[4 * q + i].cosine <= matches[4 * q + i - 1].cosine);
            total += (double)matches[4 * q + i].probability;
        }
        assert_true(fabs(total - 1.0) < 1e-5);
    }
    expect_error(clipcu_rank(engine, bank, queries, 2, 5, matches, &error), CLIPCU_ERR_ARGUMENT,
                 &error, "top 5, expected 1 .. 4");
    expect_error(clipcu_rank(engine, bank, queries, 5, 1, matches, &error), CLIPCU_ERR_ARGUMENT,
                 &error, "5 rows, expected 1 .. 4");
    free(queries);
    clipcu_bank_close(bank);
    clipcu_close(engine);
}

static void a_bank_of_another_model_is_refused(void **state) {
    (void)state;
    clipcu_engine *engine = open_model(MODEL("hf_b32")), *other = open_model(MODEL("hf_b16"));
    clipcu_bank   *bank   = build(engine, 1);
    float          rows[4096] = {1.0f};
    clipcu_match   match;
    clipcu_error   error;
    expect_error(clipcu_rank(other, bank, rows, 1, 1, &match, &error), CLIPCU_ERR_ARGUMENT, &error,
                 "made by another model");
    clipcu_bank_close(bank);
    clipcu_close(engine);
    clipcu_close(other);
}

/* Writes a bank file with one thing wrong and expects `part` in the message. */
static void expect_unreadable(const char *format, const char *json, const char *fingerprint,
                              float first, const char *part) {
    char              path[512];
    clipcu_bank      *bank    = NULL;
    const float       rows[]  = {first, 0.0f, 0.0f, 1.0f};
    const ccu_st_pair pairs[] = {{"format", format}, {"labels", json},
                                 {"fingerprint", fingerprint}, {"logit_scale", "100"}};
    const ccu_tensor  tensor  = {.data = (const uint8_t *)rows, .name = "bank", .dtype = CCU_F32,
                                 .rank = 2, .shape = {2, 2}};
    clipcu_error      error;
    temporary_path(path, sizeof path, "hostile.safetensors");
    assert_int_equal(ccu_st_write(path, pairs, 4, &tensor, 1, NULL), CLIPCU_OK);
    const clipcu_status status = clipcu_bank_load(path, &bank, &error);
    (void)unlink(path);
    if (part == NULL) {
        assert_int_equal(status, CLIPCU_OK);
        clipcu_bank_close(bank);
        return;
    }
    assert_null(bank);
    assert_int_not_equal(status, CLIPCU_OK);
    if (strstr(error.text, part) == NULL) { fail_msg("\"%s\" lacks \"%s\"", error.text, part); }
}

static void hostile_bank_files(void **state) {
    (void)state;
    const char *good = "[\"a\",\"b\"]", *hash = "0123456789abcdef", *name = "clipcu-bank-1";
    expect_unreadable(name, good, hash, 1.0f, NULL);
    expect_unreadable("other", good, hash, 1.0f, "not a class bank");
    expect_unreadable(name, "[\"a\"]", hash, 1.0f, "labels");
    expect_unreadable(name, "[\"a\",3]", hash, 1.0f, "label 2 is no string");
    expect_unreadable(name, "[\"a\",\"\"]", hash, 1.0f, "label 2 is empty");
    expect_unreadable(name, "{", hash, 1.0f, "labels");
    expect_unreadable(name, good, "123", 1.0f, "fingerprint");
    expect_unreadable(name, good, "0123456789abcdeg", 1.0f, "fingerprint");
    expect_unreadable(name, good, hash, 7.0f, "squared length");
    expect_unreadable(name, good, hash, NAN, "squared length");
    clipcu_bank *bank = NULL;
    clipcu_error error;
    expect_error(clipcu_bank_load(MODEL("hf_b32/model.safetensors"), &bank, &error),
                 CLIPCU_ERR_FORMAT, &error, "not a class bank");
    expect_error(clipcu_bank_load("/nonexistent", &bank, &error), CLIPCU_ERR_IO, &error,
                 "/nonexistent");
}

/* With too many classes for all rows at once, every score comes in parts. */
static void every_score_comes_in_parts(void **state) {
    (void)state;
    clipcu_engine *engine = open_model(MODEL("hf_b32"));
    clipcu_bank   *bank   = build(engine, 1);
    ccu_ranker     ranker = { .batch_max = 7 };
    ccu_backend   *be     = NULL;
    clipcu_error   error;
    clipcu_match   matches[2][7 * 2];
    float          cosines[2][7 * 4];
    float         *rows = calloc(7 * (size_t)bank->E, sizeof *rows);
    for (int32_t i = 0; i < 7 * bank->E; i++) { rows[i] = sinf((float)i) * 0.1f; }
    assert_int_equal(ccu_cpu_open(2, &be, &error), CLIPCU_OK);
    for (int32_t i = 0; i < 2; i++) {
        const ccu_ranking ranking = { .bank = bank, .embeddings = rows, .count = 7, .top = 2,
                                      .scale = 10.0f, .matches = matches[i],
                                      .cosines = cosines[i] };
        assert_int_equal(ccu_rank(&ranker, be, &ranking, &error), CLIPCU_OK);
        assert_int_equal(ranker.all_rows, i == 0 ? 7 : 3);
        ranker.all_rows = 3; /* of the room for 7 */
    }
    assert_memory_equal(matches[0], matches[1], sizeof matches[0]);
    assert_memory_equal(cosines[0], cosines[1], sizeof cosines[0]);
    free(rows);
    ccu_ranker_close(&ranker, be);
    be->ops->close(be);
    clipcu_bank_close(bank);
    clipcu_close(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ensembles_normalise_twice),
        cmocka_unit_test(labels_are_checked),
        cmocka_unit_test(a_saved_bank_comes_back),
        cmocka_unit_test(ranking_agrees_with_the_definition),
        cmocka_unit_test(every_score_comes_in_parts),
        cmocka_unit_test(a_bank_of_another_model_is_refused),
        cmocka_unit_test(hostile_bank_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
