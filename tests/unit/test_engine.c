/* The calls of clipcu.h on small models: that a result depends on its input alone (not on the
 * batch around it or the number of threads), that both pixel paths agree, that misuse is refused
 * with a message. Numbers are compared with PyTorch in test_golden.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "clipcu.h"
#include "image/image.h"

#define MODEL(name) CLIPCU_SOURCE_DIR "/tests/golden/" name
#define IMAGES 7

static clipcu_engine *open_model(const char *dir, clipcu_precision precision, int32_t threads) {
    clipcu_options options = clipcu_options_default();
    clipcu_engine *engine  = NULL;
    clipcu_error   error;
    options.precision = precision;
    options.threads   = threads;
    options.batch_max = IMAGES;
    if (clipcu_open(dir, &options, &engine, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    return engine;
}

static void fill_pixels(uint8_t *pixels, size_t count) {
    uint32_t random = 12345;
    for (size_t i = 0; i < count; i++) {
        random    = random * 1664525u + 1013904223u;
        pixels[i] = (uint8_t)(random >> 24);
    }
}

/* Embeddings of IMAGES pictures, `step` at a time, and of one text among others. */
static float *encode_all(const char *dir, clipcu_precision precision, int32_t threads,
                         int32_t step, const char *const *texts, int32_t texts_count) {
    clipcu_engine    *engine = open_model(dir, precision, threads);
    const clipcu_info info   = clipcu_engine_info(engine);
    const size_t S = (size_t)info.image_size, E = (size_t)info.embed_dim;
    uint8_t     *pixels = malloc(IMAGES * S * S * 3);
    float       *rows   = calloc(E, (IMAGES + (size_t)texts_count) * sizeof *rows);
    clipcu_error error;
    fill_pixels(pixels, IMAGES * S * S * 3);
    for (int32_t from = 0; from < IMAGES; from += step) {
        const int32_t count = IMAGES - from < step ? IMAGES - from : step;
        assert_int_equal(clipcu_encode_images(engine, pixels + (size_t)from * S * S * 3, count,
                                              rows + (size_t)from * E, &error),
                         CLIPCU_OK);
    }
    assert_int_equal(clipcu_encode_texts(engine, texts, texts_count, rows + IMAGES * E, &error),
                     CLIPCU_OK);
    free(pixels);
    clipcu_close(engine);
    return rows;
}

static void bits_do_not_depend_on_batch_or_threads(void **state) {
    (void)state;
    const char *const models[] = {MODEL("hf_b32"), MODEL("hf_h14"), MODEL("oc_g14")};
    const char *const alone[]  = {"a photo of a cat"};
    const clipcu_precision precisions[] = {CLIPCU_PRECISION_F32, CLIPCU_PRECISION_BF16,
                                           CLIPCU_PRECISION_INT8};
    const char *const many[]   = {"a photo of a cat", "a photo of a", "dogs", "a photo of a cat.",
                                  "a photo of a cat"};
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        clipcu_engine *engine = open_model(models[m], CLIPCU_PRECISION_F32, 1);
        const size_t   E      = (size_t)clipcu_engine_info(engine).embed_dim;
        clipcu_close(engine);
        for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
            const clipcu_precision precision = precisions[p];
            float *ones  = encode_all(models[m], precision, 1, 1, alone, 1);
            float *batch = encode_all(models[m], precision, 2, IMAGES, many, 5);
            float *three = encode_all(models[m], precision, 3, 3, many, 5);
            assert_memory_equal(ones, batch, IMAGES * E * sizeof(float));
            assert_memory_equal(ones, three, IMAGES * E * sizeof(float));
            assert_memory_equal(ones + IMAGES * E, batch + IMAGES * E, E * sizeof(float));
            assert_memory_equal(ones + IMAGES * E, three + (IMAGES + 4) * E, E * sizeof(float));
            /* The check can fail: another text, another row. */
            assert_memory_not_equal(ones + IMAGES * E, batch + (IMAGES + 2) * E,
                                    E * sizeof(float));
            free(ones);
            free(batch);
            free(three);
        }
    }
}

/* int8 embeddings point where those of f32 do, of pictures and of texts; a bank made in one
 * precision serves the other. */
static void int8_is_near_f32(void **state) {
    (void)state;
    const char *const models[] = {MODEL("hf_b32"), MODEL("hf_b16"), MODEL("hf_l14"),
                                  MODEL("oc_g14"), CLIPCU_SOURCE_DIR "/weights/demo"};
    const char *const texts[]  = {"a photo of a cat", "dogs", "a red apple on a table"};
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        clipcu_engine *engine = open_model(models[m], CLIPCU_PRECISION_INT8, 1);
        clipcu_engine *wide   = open_model(models[m], CLIPCU_PRECISION_F32, 1);
        const size_t   E      = (size_t)clipcu_engine_info(engine).embed_dim;
        clipcu_bank   *bank   = NULL;
        clipcu_match   best;
        clipcu_error   error;
        float *want = encode_all(models[m], CLIPCU_PRECISION_F32, 1, IMAGES, texts, 3);
        float *got  = encode_all(models[m], CLIPCU_PRECISION_INT8, 1, IMAGES, texts, 3);
        assert_string_equal(clipcu_engine_info(engine).precision, "int8");
        assert_true(clipcu_engine_info(engine).weights_bytes <
                    clipcu_engine_info(wide).weights_bytes);
        assert_memory_not_equal(got, want, E * sizeof(float)); /* int8 it is */
        for (size_t i = 0; i < IMAGES + 3; i++) {
            double cosine = 0.0;
            for (size_t e = 0; e < E; e++) {
                cosine += (double)want[i * E + e] * (double)got[i * E + e];
            }
            if (!(cosine >= 0.99)) { fail_msg("%s: row %zu: cosine %g", models[m], i, cosine); }
        }
        assert_int_equal(clipcu_bank_build(wide, texts, 3, NULL, 0, &bank, &error), CLIPCU_OK);
        assert_int_equal(clipcu_rank(engine, bank, got, 1, 1, &best, &error), CLIPCU_OK);
        clipcu_bank_close(bank);
        clipcu_close(wide);
        clipcu_close(engine);
        free(got);
        free(want);
    }
}

static void rows_are_unit_vectors(void **state) {
    (void)state;
    const char *const texts[] = {"a dog", "the cat sat"};
    float            *rows    = encode_all(MODEL("hf_b16"), CLIPCU_PRECISION_F32, 1, 4, texts, 2);
    clipcu_engine    *engine  = open_model(MODEL("hf_b16"), CLIPCU_PRECISION_F32, 1);
    const size_t      E       = (size_t)clipcu_engine_info(engine).embed_dim;
    for (size_t i = 0; i < IMAGES + 2; i++) {
        double square = 0.0;
        const float *row = rows + i * E;
        for (size_t e = 0; e < E; e++) { square += (double)row[e] * (double)row[e]; }
        assert_true(fabs(square - 1.0) < 1e-5);
    }
    free(rows);
    clipcu_close(engine);
}

/* Pixels normalised by the caller give what raw pixels give, up to rounding. */
static void both_pixel_paths_agree(void **state) {
    (void)state;
    clipcu_engine *engine = open_model(MODEL("hf_l14"), CLIPCU_PRECISION_F32, 2);
    const clipcu_info info = clipcu_engine_info(engine);
    const size_t S = (size_t)info.image_size, E = (size_t)info.embed_dim;
    const double mean[3] = {0.48145466, 0.4578275, 0.40821073};
    const double std[3]  = {0.26862954, 0.26130258, 0.27577711};
    uint8_t     *raw   = malloc(2 * S * S * 3);
    float       *plain = malloc(2 * S * S * 3 * sizeof *plain);
    float       *a = malloc(2 * E * sizeof *a), *b = malloc(2 * E * sizeof *b);
    clipcu_error error;
    fill_pixels(raw, 2 * S * S * 3);
    for (size_t i = 0; i < 2; i++) {
        for (size_t c = 0; c < 3; c++) {
            for (size_t at = 0; at < S * S; at++) {
                const double u = raw[(i * S * S + at) * 3 + c];
                plain[(i * 3 + c) * S * S + at] = (float)((u / 255.0 - mean[c]) / std[c]);
            }
        }
    }
    assert_int_equal(clipcu_encode_images(engine, raw, 2, a, &error), CLIPCU_OK);
    assert_int_equal(clipcu_encode_images_f32(engine, plain, 2, b, &error), CLIPCU_OK);
    double worst = 0.0;
    for (size_t e = 0; e < 2 * E; e++) { worst = fmax(worst, fabs((double)a[e] - (double)b[e])); }
    if (worst > 1e-5) { fail_msg("the two pixel paths differ by %g", worst); }
    plain[17] += 3.0f; /* the check can fail */
    assert_int_equal(clipcu_encode_images_f32(engine, plain, 2, b, &error), CLIPCU_OK);
    assert_true(memcmp(a, b, E * sizeof *a) != 0);
    free(raw);
    free(plain);
    free(a);
    free(b);
    clipcu_close(engine);
}

static void expect_error(clipcu_status found, clipcu_status wanted, const clipcu_error *error,
                         const char *part) {
    if (found != wanted || error->code != wanted || strstr(error->text, part) == NULL) {
        fail_msg("found %s \"%s\", expected %s with \"%s\"", clipcu_status_name(found),
                 error->text, clipcu_status_name(wanted), part);
    }
}

/* What is left to the engine is told by clipcu_engine_info. */
static void automatic_choices(void **state) {
    (void)state;
    clipcu_options options = clipcu_options_default();
    clipcu_engine *engine  = NULL;
    clipcu_error   error;
    float          row[64];
    options.device    = CLIPCU_DEVICE_CPU;
    options.precision = CLIPCU_PRECISION_AUTO;
    assert_int_equal(options.batch_max, 0);
    assert_int_equal(clipcu_open(MODEL("hf_b32"), &options, &engine, &error), CLIPCU_OK);
    assert_int_equal(clipcu_engine_info(engine).batch_max, 32);
    assert_string_equal(clipcu_engine_info(engine).precision, "f32");
    assert_memory_equal(clipcu_engine_info(engine).device, "cpu:", 4);
    expect_error(clipcu_encode_images_device(engine, row, 1, row, &error), CLIPCU_ERR_UNSUPPORTED,
                 &error, "runs on cpu");
    clipcu_close(engine);
}

static void unknown_choices_are_refused(void **state) {
    (void)state;
    clipcu_options options = clipcu_options_default();
    clipcu_engine *engine  = NULL;
    clipcu_error   error;
    const char    *dir = MODEL("hf_b32");

    options.crop = (clipcu_crop)2;
    expect_error(clipcu_open(dir, &options, &engine, &error), CLIPCU_ERR_ARGUMENT, &error,
                 "crop 2");
    options.crop      = CLIPCU_CROP_FLOOR;
    options.tokenizer = (clipcu_tokenizer)-1;
    expect_error(clipcu_open(dir, &options, &engine, &error), CLIPCU_ERR_ARGUMENT, &error,
                 "tokenizer -1");
    assert_null(engine);
}

static void misuse_is_refused(void **state) {
    (void)state;
    clipcu_options options = clipcu_options_default();
    clipcu_engine *engine  = NULL;
    clipcu_error   error;
    const char    *dir = MODEL("hf_b32");

    expect_error(clipcu_open(NULL, &options, &engine, &error), CLIPCU_ERR_ARGUMENT, &error, "NULL");
    expect_error(clipcu_open("/nonexistent/model", &options, &engine, &error), CLIPCU_ERR_IO,
                 &error, "/nonexistent/model");
    options.batch_max = -1;
    expect_error(clipcu_open(dir, &options, &engine, &error), CLIPCU_ERR_ARGUMENT, &error,
                 "batch_max is -1");
    options.batch_max = 2;
    options.threads   = -1;
    expect_error(clipcu_open(dir, &options, &engine, &error), CLIPCU_ERR_ARGUMENT, &error,
                 "threads");
    options.threads      = 1;
    options.device       = CLIPCU_DEVICE_CUDA;
    options.device_index = -1;
    expect_error(clipcu_open(dir, &options, &engine, &error), CLIPCU_ERR_ARGUMENT, &error,
                 "device_index is -1");
    options.device_index = 999; /* no machine has it: whatever the build, it is refused by name */
    const clipcu_status refused = clipcu_open(dir, &options, &engine, &error);
    assert_true(refused == CLIPCU_ERR_UNSUPPORTED || refused == CLIPCU_ERR_CUDA);
    assert_non_null(strstr(error.text, "cuda"));
    options.device_index = 0;
    options.device       = CLIPCU_DEVICE_CPU;
    options.precision    = (clipcu_precision)9;
    expect_error(clipcu_open(dir, &options, &engine, &error), CLIPCU_ERR_ARGUMENT, &error,
                 "precision 9");
    options.precision = CLIPCU_PRECISION_F16;
    expect_error(clipcu_open(dir, &options, &engine, &error), CLIPCU_ERR_UNSUPPORTED, &error,
                 "f16");
    options.device    = CLIPCU_DEVICE_CUDA;
    options.precision = CLIPCU_PRECISION_INT8;
    expect_error(clipcu_open(dir, &options, &engine, &error), CLIPCU_ERR_UNSUPPORTED, &error,
                 "int8");
    assert_null(engine);

    engine = open_model(dir, CLIPCU_PRECISION_F32, 1);
    float rows[4096];
    expect_error(clipcu_encode_images(engine, NULL, 1, rows, &error), CLIPCU_ERR_ARGUMENT, &error,
                 "1 images");
    expect_error(clipcu_encode_images(engine, (uint8_t *)rows, IMAGES + 1, rows, &error),
                 CLIPCU_ERR_ARGUMENT, &error, "expected 1 .. 7");
    expect_error(clipcu_encode_texts(engine, NULL, 1, rows, &error), CLIPCU_ERR_ARGUMENT, &error,
                 "1 texts");
    clipcu_bank *bank = NULL;
    expect_error(clipcu_load_image(engine, NULL, (uint8_t *)rows, &error), CLIPCU_ERR_ARGUMENT,
                 &error, "clipcu_load_image");
    expect_error(clipcu_decode_image(engine, "x", NULL, 0, (uint8_t *)rows, &error),
                 CLIPCU_ERR_ARGUMENT, &error, "clipcu_decode_image");
    expect_error(clipcu_bank_load(NULL, &bank, &error), CLIPCU_ERR_ARGUMENT, &error, "bank_load");
    expect_error(clipcu_bank_save(NULL, "x", &error), CLIPCU_ERR_ARGUMENT, &error, "bank_save");
    expect_error(clipcu_rank(engine, NULL, rows, 1, 1, NULL, &error), CLIPCU_ERR_ARGUMENT, &error,
                 "clipcu_rank");
    const char *const invalid[] = {"a \xff cat"};
    expect_error(clipcu_encode_texts(engine, invalid, 1, rows, &error), CLIPCU_ERR_FORMAT, &error,
                 "UTF-8");
    char  endless[4096];
    char *at = endless;
    for (int i = 0; i < 1000; i++, at += 3) { memcpy(at, "a b", 3); }
    *at = '\0';
    const char *const longer[] = {endless};
    expect_error(clipcu_encode_texts(engine, longer, 1, rows, &error), CLIPCU_ERR_LIMIT, &error,
                 "token");
    clipcu_close(engine);
    clipcu_close(NULL);
}

static void one_tower_refuses_the_other(void **state) {
    (void)state;
    float             rows[4096];
    clipcu_error      error;
    const char *const text[]  = {"a cat"};
    clipcu_engine    *image   = open_model(MODEL("hf_image"), CLIPCU_PRECISION_F32, 1);
    clipcu_engine    *written = open_model(MODEL("hf_text"), CLIPCU_PRECISION_F32, 1);
    assert_int_equal(clipcu_engine_info(image).has_text, 0);
    assert_int_equal(clipcu_engine_info(written).has_image, 0);
    expect_error(clipcu_encode_texts(image, text, 1, rows, &error), CLIPCU_ERR_UNSUPPORTED, &error,
                 "no text tower");
    expect_error(clipcu_encode_images(written, (uint8_t *)rows, 1, rows, &error),
                 CLIPCU_ERR_UNSUPPORTED, &error, "no image tower");
    clipcu_close(image);
    clipcu_close(written);
}

static void names_and_templates(void **state) {
    (void)state;
    int32_t count = -1;
    assert_string_equal(clipcu_version(), "0.1.0");
    assert_string_equal(clipcu_status_name(CLIPCU_ERR_FORMAT), "FORMAT");
    assert_string_equal(clipcu_status_name((clipcu_status)99), "UNKNOWN");
    assert_non_null(clipcu_builtin_templates("openai80", &count));
    assert_int_equal(count, 80);
    assert_non_null(clipcu_builtin_templates("openai7", &count));
    assert_int_equal(count, 7);
    assert_string_equal(clipcu_builtin_templates("single", &count)[0], "a photo of a {}.");
    assert_null(clipcu_builtin_templates("none", &count));
    assert_int_equal(count, 0);
}

/* Every cosine: the best of them are those of clipcu_rank, bit for bit, whatever is asked first and
 * however many rows there are. */
static void all_scores_hold_the_best(void **state) {
    (void)state;
    enum { K = 37, TOP = 4 };
    clipcu_engine    *engine = open_model(MODEL("hf_b32"), CLIPCU_PRECISION_F32, 2);
    const size_t      E      = (size_t)clipcu_engine_info(engine).embed_dim;
    char              names[K][8];
    const char       *labels[K];
    clipcu_bank      *bank = NULL;
    clipcu_error      error;
    clipcu_match      alone[IMAGES * TOP], with[IMAGES * TOP], one[TOP];
    float             all[IMAGES * K], row[K];
    for (size_t k = 0; k < K; k++) {
        (void)snprintf(names[k], sizeof names[k], "x%zu", k);
        labels[k] = names[k];
    }
    float *rows = encode_all(MODEL("hf_b32"), CLIPCU_PRECISION_F32, 2, IMAGES, labels, 1);
    assert_int_equal(clipcu_bank_build(engine, labels, K, NULL, 0, &bank, &error), CLIPCU_OK);
    assert_int_equal(clipcu_rank(engine, bank, rows, IMAGES, TOP, alone, &error), CLIPCU_OK);
    assert_int_equal(clipcu_rank_all(engine, bank, rows, IMAGES, TOP, with, all, &error),
                     CLIPCU_OK);
    assert_memory_equal(alone, with, sizeof alone);
    for (size_t b = 0; b < IMAGES; b++) {
        for (size_t t = 0; t < TOP; t++) {
            const clipcu_match *m = &alone[b * TOP + t];
            assert_true(m->cosine == all[b * K + (size_t)m->class_index]);
        }
        for (size_t k = 0; k < K; k++) { assert_true(all[b * K + k] <= alone[b * TOP].cosine); }
        assert_int_equal(clipcu_rank_all(engine, bank, rows + b * E, 1, TOP, one, row, &error),
                         CLIPCU_OK);
        assert_memory_equal(row, all + b * K, sizeof row);
    }
    expect_error(clipcu_rank_all(engine, bank, rows, IMAGES, TOP, with, NULL, &error),
                 CLIPCU_ERR_ARGUMENT, &error, "clipcu_rank_all");
    expect_error(clipcu_rank_all(engine, bank, rows, IMAGES + 1, TOP, with, all, &error),
                 CLIPCU_ERR_ARGUMENT, &error, "clipcu_rank_all: 8 rows");
    free(rows);
    clipcu_bank_close(bank);
    clipcu_close(engine);
}

/* options.draft: pixels are those of a JPEG decoded at half its size (160 x 144 pixels for a side
 * of 28), and views of it are still cut from the whole. */
static void drafts_are_parts_of_the_size(void **state) {
    (void)state;
    enum { SIDE = 28 };
    const char *const path   = CLIPCU_SOURCE_DIR "/tests/data/emoji/dog-face.jpg";
    clipcu_options    options = clipcu_options_default();
    uint8_t          *bytes   = NULL;
    size_t            count   = 0;
    clipcu_error      error;
    ccu_image         image = { 0 };
    uint8_t           half[SIDE * SIDE * 3], pixels[2][SIDE * SIDE * 3], views[2][SIDE * SIDE * 3];
    for (int32_t draft = 0; draft < 2; draft++) {
        clipcu_engine *engine = NULL;
        options.draft         = draft;
        assert_int_equal(clipcu_open(MODEL("hf_h14"), &options, &engine, &error), CLIPCU_OK);
        assert_int_equal(clipcu_engine_info(engine).image_size, SIDE);
        assert_int_equal(clipcu_load_image(engine, path, pixels[draft], &error), CLIPCU_OK);
        assert_int_equal(clipcu_load_view(engine, path, 1, 2, views[draft], &error), CLIPCU_OK);
        clipcu_close(engine);
    }
    assert_int_equal(ccu_file_read(path, 1 << 20, &bytes, &count, &error), CLIPCU_OK);
    assert_int_equal(ccu_image_decode(path, bytes, count,
                                      &(ccu_decode_options){ .pixels_max = 1 << 20,
                                                             .draft_side = 72 },
                                      &image, &error),
                     CLIPCU_OK);
    assert_int_equal(image.H, 72);
    assert_int_equal(ccu_image_fit(&image, &(ccu_fit){ .size = SIDE, .resize_size = SIDE,
                                                       .resample = CCU_RESAMPLE_BICUBIC },
                                   half, &error),
                     CLIPCU_OK);
    assert_memory_equal(pixels[1], half, sizeof half);
    assert_memory_not_equal(pixels[0], half, sizeof half);
    assert_memory_equal(views[0], views[1], sizeof views[0]);
    ccu_image_free(&image);
    ccu_free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_do_not_depend_on_batch_or_threads),
        cmocka_unit_test(int8_is_near_f32),
        cmocka_unit_test(rows_are_unit_vectors),
        cmocka_unit_test(both_pixel_paths_agree),
        cmocka_unit_test(automatic_choices),
        cmocka_unit_test(unknown_choices_are_refused),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(one_tower_refuses_the_other),
        cmocka_unit_test(all_scores_hold_the_best),
        cmocka_unit_test(drafts_are_parts_of_the_size),
        cmocka_unit_test(names_and_templates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
