/* Small models of every family against transformers and open_clip, block by block: the values in
 * tests/golden, made by make_golden.py. Then the public functions end to end, and proof that a
 * wrong activation or any one spoilt parameter is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/golden_towers.h"

#define FOLDER CLIPCU_SOURCE_DIR "/tests/golden"

static const char *const models[] = {"hf_b32",    "hf_b16",   "hf_l14",  "hf_h14", "hf_bigg14",
                                     "hf_tiny16", "hf_image", "hf_text", "oc_g14", "oc_squash14"};

#define MODELS_COUNT (sizeof models / sizeof models[0])

static void expect_all_good(const golden_verdict *verdict, const char *what) {
    assert_true(verdict->compared > 0);
    printf("%-12s %-18s %3d comparisons, worst error %.2f of the tolerance, cosine %.7f\n",
           verdict->model, what, verdict->compared, verdict->worst, verdict->cosine);
    if (verdict->failed > 0) {
        fail_msg("%s %s: %d of %d comparisons failed", verdict->model, what, verdict->failed,
                 verdict->compared);
    }
}

/* (u8 / 255 - mean) / std in f32, planar: what the libraries' processors compute. */
static float *normalised(const golden_file *golden, const ccu_model_config *config) {
    const golden_tensor u8   = golden_get(golden, "pixels", "U8");
    const uint8_t      *from = u8.data;
    const size_t        S    = (size_t)u8.shape[1];
    float              *out  = malloc((size_t)u8.count * sizeof *out);
    assert_non_null(out);
    for (size_t b = 0; b < (size_t)u8.shape[0]; b++) {
        for (size_t i = 0; i < S * S; i++) {
            for (size_t c = 0; c < 3; c++) {
                const float scaled = (float)from[(b * S * S + i) * 3 + c] / 255.0f;
                out[(b * 3 + c) * S * S + i] = (scaled - config->mean[c]) / config->std[c];
            }
        }
    }
    return out;
}

/* ---- Layers --------------------------------------------------------------------------------- */

static void check_layers(const char *model, ccu_dtype dtype) {
    golden_file    golden = golden_open(FOLDER, model);
    golden_towers *towers = golden_towers_open(&golden, FOLDER, dtype);
    if (towers->checkpoint.config.image.present) {
        golden_verdict bytes  = {.model = model, .cosine = 1.0};
        golden_verdict floats = bytes;
        golden_check_images(towers, NULL, &bytes);
        expect_all_good(&bytes, dtype == CCU_F32 ? "image f32" : "image bf16");
        float *pixels = normalised(&golden, &towers->checkpoint.config);
        golden_check_images(towers, pixels, &floats);
        expect_all_good(&floats, dtype == CCU_F32 ? "image f32, floats" : "image bf16, floats");
        free(pixels);
    }
    if (towers->checkpoint.config.text.present) {
        golden_verdict text = {.model = model, .cosine = 1.0};
        golden_check_texts(towers, &text);
        expect_all_good(&text, dtype == CCU_F32 ? "text f32" : "text bf16");
    }
    golden_towers_close(towers);
    golden_close(&golden);
}

static void every_layer_agrees_in_f32(void **state) {
    check_layers(*state, CCU_F32);
}

static void every_layer_agrees_in_bf16(void **state) {
    check_layers(*state, CCU_BF16);
}

/* What the tests above call normalised is what the library's processor gave, bit by bit. */
static void normalised_pixels_are_the_processors(void **state) {
    (void)state;
    golden_file    golden = golden_open(FOLDER, "hf_image");
    golden_towers *towers = golden_towers_open(&golden, FOLDER, CCU_F32);
    float         *pixels = normalised(&golden, &towers->checkpoint.config);
    const golden_tensor want = golden_get(&golden, "pixels_f32", "F32");
    assert_memory_equal(pixels, want.data, (size_t)want.count * sizeof(float));
    free(pixels);
    golden_towers_close(towers);
    golden_close(&golden);
}

/* ---- The public functions ------------------------------------------------------------------- */

static void need(clipcu_status status, const clipcu_error *error) {
    if (status != CLIPCU_OK) { fail_msg("%s", error->text); }
}

static clipcu_engine *open_engine(const char *model, clipcu_precision precision) {
    clipcu_options options = clipcu_options_default();
    clipcu_engine *engine  = NULL;
    clipcu_error   error;
    char           dir[1024];
    options.precision = precision;
    options.batch_max = GOLDEN_BATCH;
    options.tokenizer = CLIPCU_TOKENIZER_HF_FAST;
    (void)snprintf(dir, sizeof dir, "%s/%s", FOLDER, model);
    need(clipcu_open(dir, &options, &engine, &error), &error);
    return engine;
}

/* pixels[0] is what the library's processor makes of the source picture. */
static void check_fit(const clipcu_engine *engine, const golden_file *golden) {
    const golden_tensor source = golden_get(golden, "source", "U8");
    const golden_tensor pixels = golden_get(golden, "pixels", "U8");
    const size_t        bytes  = (size_t)(pixels.count / pixels.shape[0]);
    uint8_t            *got    = malloc(bytes);
    clipcu_error        error;
    assert_non_null(got);
    need(clipcu_fit_image(engine, source.data, (int32_t)source.shape[1], (int32_t)source.shape[0],
                          got, &error), &error);
    for (size_t i = 0; i < bytes; i++) {
        const uint8_t want = ((const uint8_t *)pixels.data)[i];
        if (got[i] != want) {
            fail_msg("%s: resized byte %zu is %d, expected %d", golden->model, i, got[i], want);
        }
    }
    free(got);
}

static void check_ids(const clipcu_engine *engine, const golden_file *golden) {
    const int32_t *first = golden_get(golden, "first", "I32").data;
    const int32_t *ids   = golden_get(golden, "ids", "I32").data;
    clipcu_error   error;
    for (int32_t p = 0; p < golden->texts_count; p++) {
        int32_t got[128], count = 0;
        need(clipcu_tokenize(engine, golden->texts[p], got, 128, &count, &error), &error);
        assert_int_equal(count, first[p + 1] - first[p]);
        assert_memory_equal(got, ids + first[p], (size_t)count * sizeof got[0]);
    }
}

/* Embeddings through clipcu.h into out (rows, E), compared with the golden unit rows. */
static void check_unit(golden_verdict *verdict, const golden_file *golden, const char *name,
                       const float *got, int32_t layers, bool wide) {
    const golden_tensor want = golden_get(golden, name, "F32");
    if (wide) {
        golden_within(verdict, name, got, want.data, (size_t)want.count,
                      2e-6 * sqrt((double)layers));
    }
    golden_cosine(verdict, name, got, want.data, (int32_t)want.shape[0], (int32_t)want.shape[1],
                  wide ? 0.999999 : 0.999);
}

static void check_engine(const char *model, clipcu_precision precision) {
    const bool        wide   = precision == CLIPCU_PRECISION_F32;
    golden_file       golden = golden_open(FOLDER, model);
    clipcu_engine    *engine = open_engine(model, precision);
    const clipcu_info info   = clipcu_engine_info(engine);
    golden_verdict    verdict = {.model = model, .cosine = 1.0};
    float             images[GOLDEN_BATCH * 64], texts[GOLDEN_TEXTS_MAX * 64];
    clipcu_error      error;
    assert_true(info.embed_dim <= 64);
    if (info.has_image) {
        const golden_tensor pixels = golden_get(&golden, "pixels", "U8");
        check_fit(engine, &golden);
        need(clipcu_encode_images(engine, pixels.data, (int32_t)pixels.shape[0], images, &error),
             &error);
        check_unit(&verdict, &golden, "image.unit", images, info.image_layers, wide);
    }
    if (info.has_text) {
        check_ids(engine, &golden);
        need(clipcu_encode_texts(engine, (const char *const *)golden.texts, golden.texts_count,
                                 texts, &error), &error);
        check_unit(&verdict, &golden, "text.unit", texts, info.text_layers, wide);
    }
    if (info.has_image && info.has_text) {
        const golden_tensor want = golden_get(&golden, "logits", "F32");
        const float         scale = golden_f32(&golden, "logit_scale")[0];
        float               logits[GOLDEN_BATCH * GOLDEN_TEXTS_MAX];
        assert_float_equal(info.logit_scale, scale, 2e-6 * scale);
        for (int64_t i = 0; i < want.count; i++) {
            const float *a = images + i / want.shape[1] * info.embed_dim;
            const float *b = texts + i % want.shape[1] * info.embed_dim;
            double       dot = 0.0;
            for (int32_t e = 0; e < info.embed_dim; e++) { dot += (double)a[e] * (double)b[e]; }
            logits[i] = (float)(dot * (double)info.logit_scale);
        }
        /* Two unit rows that are off by d each move a cosine by at most 2 d sqrt(E). */
        golden_within(&verdict, "logits", logits, want.data, (size_t)want.count,
                      (double)scale * (wide ? 2e-6 * 2.0 * sqrt((double)info.embed_dim) : 0.03));
    }
    expect_all_good(&verdict, wide ? "clipcu.h f32" : "clipcu.h bf16");
    clipcu_close(engine);
    golden_close(&golden);
}

static void public_functions_agree_in_f32(void **state) {
    check_engine(*state, CLIPCU_PRECISION_F32);
}

static void public_functions_agree_in_bf16(void **state) {
    check_engine(*state, CLIPCU_PRECISION_BF16);
}

/* ---- The comparison fails when it should ---------------------------------------------------- */

static bool images_differ(golden_towers *towers) {
    golden_verdict verdict = {.model = towers->golden->model, .quiet = true, .cosine = 1.0};
    golden_check_images(towers, NULL, &verdict);
    return verdict.failed > 0;
}

static bool texts_differ(golden_towers *towers) {
    golden_verdict verdict = {.model = towers->golden->model, .quiet = true, .cosine = 1.0};
    golden_check_texts(towers, &verdict);
    return verdict.failed > 0;
}

static void a_wrong_activation_is_noticed(void **state) {
    golden_file    golden = golden_open(FOLDER, *state);
    golden_towers *towers = golden_towers_open(&golden, FOLDER, CCU_F32);
    ccu_transformer *trunks[] = {&towers->image.trunk, &towers->text.trunk};
    bool (*differ[])(golden_towers *) = {images_differ, texts_differ};
    for (int i = 0; i < 2; i++) {
        const ccu_act right = trunks[i]->act;
        assert_false(differ[i](towers));
        trunks[i]->act = right == CCU_ACT_GELU ? CCU_ACT_QUICK_GELU : CCU_ACT_GELU;
        assert_true(differ[i](towers));
        trunks[i]->act = right;
        assert_false(differ[i](towers));
    }
    golden_towers_close(towers);
    golden_close(&golden);
}

/* Adds a little to one number of a parameter in the slab, which is host memory here, and takes it
 * back. Packed weights are f32 in some order of the backend's. */
static void expect_noticed(golden_towers *towers, bool (*differ)(golden_towers *),
                           const void *parameter, const char *name, int32_t layer) {
    float      *number = (float *)(uintptr_t)parameter + 5;
    const float right  = *number;
    *number = right + 0.02f;
    if (!differ(towers)) {
        fail_msg("%s: %s of block %d may change unnoticed", towers->golden->model, name, layer);
    }
    *number = right;
}

static void expect_trunk_noticed(golden_towers *towers, bool (*differ)(golden_towers *),
                                 const ccu_transformer *t) {
    for (int32_t i = 0; i < t->layers; i++) {
        const ccu_block *block = &t->blocks[i];
        const bool       last  = i == t->layers - 1;
        expect_noticed(towers, differ, last ? block->q_w : block->qkv_w, "q or qkv_w", i);
        expect_noticed(towers, differ, last ? block->kv_w : block->qkv_w, "kv or qkv_w", i);
        expect_noticed(towers, differ, block->out_w, "out_w", i);
        expect_noticed(towers, differ, block->fc1_w, "fc1_w", i);
        expect_noticed(towers, differ, block->fc2_w, "fc2_w", i);
        expect_noticed(towers, differ, block->ln1_w, "ln1_w", i);
        expect_noticed(towers, differ, block->ln1_b, "ln1_b", i);
        expect_noticed(towers, differ, block->qkv_b, "q bias", i);
        /* No k bias: it adds the same number to all scores of a query, and softmax ignores that. */
        expect_noticed(towers, differ, block->qkv_b + 2 * t->C, "v bias", i);
        expect_noticed(towers, differ, block->out_b, "out_b", i);
        expect_noticed(towers, differ, block->ln2_w, "ln2_w", i);
        expect_noticed(towers, differ, block->ln2_b, "ln2_b", i);
        expect_noticed(towers, differ, block->fc1_b, "fc1_b", i);
        expect_noticed(towers, differ, block->fc2_b, "fc2_b", i);
    }
}

static void any_spoilt_parameter_is_noticed(void **state) {
    golden_file     golden = golden_open(FOLDER, *state);
    golden_towers  *towers = golden_towers_open(&golden, FOLDER, CCU_F32);
    ccu_image_tower *image = &towers->image;
    ccu_text_tower  *text  = &towers->text;
    const int32_t   *ids   = golden_get(&golden, "ids", "I32").data;
    expect_noticed(towers, images_differ, image->patch_w, "patch_w", -1);
    expect_noticed(towers, images_differ, image->proj_w, "proj_w", -1);
    expect_noticed(towers, texts_differ, text->proj_w, "proj_w", -1);
    for (int32_t i = 0; i < 4; i++) {
        const float *tokens = text->tokens;
        expect_noticed(towers, texts_differ, tokens + ids[i] * text->trunk.C, "tokens", -1);
    }
    expect_noticed(towers, images_differ, image->patch_b, "patch_b", -1);
    expect_noticed(towers, images_differ, image->class_token, "class_token", -1);
    for (int32_t n = 0; n < image->T; n++) {
        expect_noticed(towers, images_differ, image->positions + n * image->trunk.C, "positions",
                       -1);
    }
    expect_noticed(towers, images_differ, image->ln_pre_w, "ln_pre_w", -1);
    expect_noticed(towers, images_differ, image->ln_pre_b, "ln_pre_b", -1);
    expect_noticed(towers, images_differ, image->ln_post_w, "ln_post_w", -1);
    expect_noticed(towers, images_differ, image->ln_post_b, "ln_post_b", -1);
    expect_trunk_noticed(towers, images_differ, &image->trunk);
    expect_noticed(towers, texts_differ, text->positions, "positions", -1);
    expect_noticed(towers, texts_differ, text->ln_final_w, "ln_final_w", -1);
    expect_noticed(towers, texts_differ, text->ln_final_b, "ln_final_b", -1);
    expect_trunk_noticed(towers, texts_differ, &text->trunk);
    assert_false(images_differ(towers));
    assert_false(texts_differ(towers));
    golden_towers_close(towers);
    golden_close(&golden);
}

static void the_comparison_itself_fails(void **state) {
    (void)state;
    const float    want[4] = {1.0f, -2.0f, 0.5f, 0.0f};
    float          got[4]  = {1.0f, -2.0f, 0.5f, 0.0f};
    golden_verdict verdict = {.model = "none", .quiet = true, .cosine = 1.0};
    golden_close_to(&verdict, "equal", got, want, 4, 1e-6);
    golden_cosine(&verdict, "equal", got, want, 1, 4, 0.999999);
    assert_int_equal(verdict.failed, 0);
    got[3] = 3e-6f; /* largest value 2: 1.5e-6 of it */
    golden_close_to(&verdict, "off", got, want, 4, 1e-6);
    assert_int_equal(verdict.failed, 1);
    got[3] = NAN;
    golden_close_to(&verdict, "nan", got, want, 4, 1e-6);
    golden_within(&verdict, "nan", got, want, 4, 1.0);
    golden_cosine(&verdict, "nan", got, want, 1, 4, 0.0);
    assert_int_equal(verdict.failed, 4);
    got[3] = 0.2f;
    golden_cosine(&verdict, "turned", got, want, 1, 4, 0.999);
    assert_int_equal(verdict.failed, 5);
    assert_int_equal(verdict.compared, 7);
}

int main(void) {
    const struct CMUnitTest per_model[] = {
        cmocka_unit_test(every_layer_agrees_in_f32),
        cmocka_unit_test(every_layer_agrees_in_bf16),
        cmocka_unit_test(public_functions_agree_in_f32),
        cmocka_unit_test(public_functions_agree_in_bf16),
    };
    const struct CMUnitTest others[] = {
        cmocka_unit_test(normalised_pixels_are_the_processors),
        cmocka_unit_test(the_comparison_itself_fails),
        cmocka_unit_test_prestate(a_wrong_activation_is_noticed, (void *)(uintptr_t)"hf_tiny16"),
        cmocka_unit_test_prestate(a_wrong_activation_is_noticed, (void *)(uintptr_t)"oc_squash14"),
        cmocka_unit_test_prestate(any_spoilt_parameter_is_noticed, (void *)(uintptr_t)"hf_h14"),
        cmocka_unit_test_prestate(any_spoilt_parameter_is_noticed, (void *)(uintptr_t)"hf_b16"),
    };
    enum { KINDS = sizeof per_model / sizeof per_model[0] };
    struct CMUnitTest tests[KINDS * MODELS_COUNT + sizeof others / sizeof others[0]];
    char              names[KINDS * MODELS_COUNT][64];
    size_t            count = 0;
    for (size_t i = 0; i < MODELS_COUNT; i++) {
        for (size_t k = 0; k < KINDS; k++) {
            (void)snprintf(names[count], sizeof names[count], "%s %s", models[i],
                           per_model[k].name);
            tests[count]               = per_model[k];
            tests[count].name          = names[count];
            tests[count].initial_state = (void *)(uintptr_t)models[i];
            count += 1;
        }
    }
    memcpy(&tests[count], others, sizeof others);
    count += sizeof others / sizeof others[0];
    return _cmocka_run_group_tests("golden", tests, count, NULL, NULL);
}
