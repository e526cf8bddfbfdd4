/* host/checkpoint: what lies in a model's folder. Shards, single towers, both layouts side by side,
 * missing files; fingerprints; elements as f32. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/checkpoint.h"
#include "support/st_model.h"

static const char HF_FILE[]    = "model.safetensors";
static const char OC_FILE[]    = "open_clip_model.safetensors";
static const char INDEX_FILE[] = "model.safetensors.index.json";

typedef struct fixture {
    st_dir         dir;
    st_model       model;
    ccu_checkpoint checkpoint;
    clipcu_error   error;
    int            warnings;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    if (f == NULL) { return -1; }
    st_dir_make(&f->dir);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    ccu_checkpoint_close(&f->checkpoint);
    st_model_free(&f->model);
    st_dir_remove(&f->dir);
    free(f);
    return 0;
}

static void collect(void *user, const char *text) {
    fixture *f = user;
    (void)text;
    f->warnings++;
}

static clipcu_status open_dir(fixture *f) {
    ccu_checkpoint_close(&f->checkpoint);
    f->error    = (clipcu_error){ .code = CLIPCU_OK };
    f->warnings = 0;
    return ccu_checkpoint_open(f->dir.path, collect, f, &f->checkpoint, &f->error);
}

static void expect_good(fixture *f) {
    if (open_dir(f) != CLIPCU_OK) { fail_msg("%s", f->error.text); }
}

static void expect_failure(fixture *f, clipcu_status expected, const char *word) {
    const clipcu_status status = open_dir(f);
    if (status != expected || strstr(f->error.text, word) == NULL) {
        fail_msg("status %d \"%s\", expected %d and \"%s\"", (int)status, f->error.text,
                 (int)expected, word);
    }
}

/* A whole Hugging Face model in one file. */
static void start(fixture *f) {
    st_dir_empty(&f->dir);
    st_model_free(&f->model);
    st_model_init(&f->model, ST_HUGGINGFACE, 1, 1);
    st_model_save_config(ST_HUGGINGFACE, &f->dir);
    st_model_save(&f->model, &f->dir, HF_FILE, "", 1, 0);
}

/* ---- shards --------------------------------------------------------------------------------- */

/* The model in `parts` files and their index. `swap`: tensor 0 is said to be in this file. */
static void save_shards(fixture *f, int32_t parts, const char *swap) {
    char  *index = malloc(65536);
    char   name[64];
    size_t used = (size_t)snprintf(index, 65536, "{\"metadata\":{},\"weight_map\":{");
    for (int32_t part = 0; part < parts; part++) {
        (void)snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", part + 1, parts);
        st_model_save(&f->model, &f->dir, name, "", parts, part);
    }
    for (int32_t i = 0; i < f->model.count; i++) {
        (void)snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", i % parts + 1, parts);
        used += (size_t)snprintf(index + used, 65536 - used, "%s\"%s\":\"%s\"", i == 0 ? "" : ",",
                                 f->model.tensors[i].name, i == 0 && swap != NULL ? swap : name);
    }
    (void)snprintf(index + used, 65536 - used, "}}");
    st_dir_write_text(&f->dir, INDEX_FILE, index);
    free(index);
}

static void reads_shards(void **state) {
    fixture *f = *state;
    start(f);
    expect_good(f);
    const uint64_t whole = f->checkpoint.fingerprint;
    st_dir_delete(&f->dir, HF_FILE);
    for (int32_t parts = 1; parts <= 7; parts += 3) {
        save_shards(f, parts, NULL);
        expect_good(f);
        assert_int_equal(f->warnings, 0);
        assert_true(f->checkpoint.fingerprint == whole);
        assert_string_equal(f->checkpoint.layout, "huggingface");
    }
}

static void refuses_bad_indices(void **state) {
    static const char *const outside[] = {
        "../model.safetensors", "/etc/passwd", "a/b.safetensors", "..", ".", "", "a\\\\b",
        "x..y",
    };
    fixture *f = *state;
    start(f);
    st_dir_delete(&f->dir, HF_FILE);
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        save_shards(f, 2, outside[i]);
        expect_failure(f, CLIPCU_ERR_FORMAT, "same folder");
    }
    save_shards(f, 2, "model-00002-of-00002.safetensors");
    expect_failure(f, CLIPCU_ERR_FORMAT, f->model.tensors[0].name);
    save_shards(f, 2, "model-00003-of-00002.safetensors");
    expect_failure(f, CLIPCU_ERR_IO, "model-00003");
    save_shards(f, 2, NULL); /* the second file is a copy of the first */
    st_model_save(&f->model, &f->dir, "model-00002-of-00002.safetensors", "", 1, 0);
    expect_failure(f, CLIPCU_ERR_FORMAT, "two tensors are named");
    st_dir_write_text(&f->dir, INDEX_FILE, "{\"weight_map\":{}}");
    expect_failure(f, CLIPCU_ERR_FORMAT, INDEX_FILE);
    st_dir_write_text(&f->dir, INDEX_FILE, "{\"weight_map\":[]}");
    expect_failure(f, CLIPCU_ERR_FORMAT, "weight_map");
    st_dir_write_text(&f->dir, INDEX_FILE, "{\"weight_map\":{\"a\":3}}");
    expect_failure(f, CLIPCU_ERR_FORMAT, "tensor a");
    st_dir_write_text(&f->dir, INDEX_FILE, "{");
    expect_failure(f, CLIPCU_ERR_FORMAT, INDEX_FILE);
}

/* ---- towers --------------------------------------------------------------------------------- */

static void opens_one_tower_of_two(void **state) {
    fixture *f = *state;
    for (int layout = ST_HUGGINGFACE; layout <= ST_OPEN_CLIP_CUSTOM; layout++) {
        const char *file = layout == ST_HUGGINGFACE ? HF_FILE : OC_FILE;
        for (int image = 0; image < 2; image++) {
            st_dir_empty(&f->dir);
            st_model_free(&f->model);
            st_model_init(&f->model, (st_layout)layout, image, !image);
            st_model_save_config((st_layout)layout, &f->dir);
            st_model_save(&f->model, &f->dir, file, "", 1, 0);
            expect_good(f);
            assert_int_equal(f->warnings, 0);
            const ccu_model_config *config = &f->checkpoint.config;
            assert_int_equal(config->image.present, image);
            assert_int_equal(config->text.present, !image);
            assert_int_equal(config->image.layers, image ? ST_IMAGE_LAYERS : 0);
            assert_int_equal(config->vocab_size, image ? 0 : ST_VOCAB);
            assert_int_equal(f->checkpoint.image.patch_w.file != NULL, image);
            assert_int_equal(f->checkpoint.text.tokens.file != NULL, !image);
            assert_true(fabsf(f->checkpoint.logit_scale - 1.0f / 0.07f) < 1e-4f);
        }
    }
}

static void opens_files_of_one_tower(void **state) {
    fixture *f = *state;
    start(f);
    st_dir_write_text(&f->dir, "config.json",
                      "{\"model_type\":\"clip_text_model\",\"hidden_size\":8,"
                      "\"intermediate_size\":16,\"num_attention_heads\":2,"
                      "\"num_hidden_layers\":3,\"vocab_size\":11,\"max_position_embeddings\":6,"
                      "\"eos_token_id\":2,\"projection_dim\":10}");
    expect_good(f); /* the other tower's tensors are there and not used */
    assert_int_equal(f->warnings, 21);
    assert_false(f->checkpoint.config.image.present);
    assert_int_equal(f->checkpoint.config.eot_id, -1);
    st_model_free(&f->model);
    st_model_init(&f->model, ST_HUGGINGFACE, 0, 1);
    st_model_save(&f->model, &f->dir, HF_FILE, "", 1, 0);
    expect_good(f);
    assert_int_equal(f->warnings, 0);
    st_model_remove(&f->model, "text_projection.weight"); /* as CLIPTextModel is saved */
    st_model_save(&f->model, &f->dir, HF_FILE, "", 1, 0);
    expect_failure(f, CLIPCU_ERR_FORMAT, "text_projection.weight");
    st_model_free(&f->model);
    st_model_init(&f->model, ST_HUGGINGFACE, 1, 0);
    st_model_save(&f->model, &f->dir, HF_FILE, "", 1, 0);
    expect_failure(f, CLIPCU_ERR_FORMAT, "none of the");
}

/* ---- what is in the folder ------------------------------------------------------------------ */

static void prefers_hugging_face(void **state) {
    fixture *f = *state;
    start(f);
    st_model open_clip;
    st_model_init(&open_clip, ST_OPEN_CLIP, 1, 1);
    st_model_save_config(ST_OPEN_CLIP, &f->dir);
    st_model_save(&open_clip, &f->dir, OC_FILE, "", 1, 0);
    st_model_free(&open_clip);
    expect_good(f);
    assert_string_equal(f->checkpoint.layout, "huggingface");
    /* timm's repositories: config.json and model.safetensors of another library */
    st_dir_write_text(&f->dir, "config.json", "{\"architecture\":\"vit_base_patch32_clip_224\"}");
    expect_good(f);
    assert_string_equal(f->checkpoint.layout, "open_clip");
    st_dir_delete(&f->dir, HF_FILE);
    st_model_save_config(ST_HUGGINGFACE, &f->dir);
    expect_good(f);
    assert_string_equal(f->checkpoint.layout, "open_clip");
}

static void says_what_is_missing(void **state) {
    fixture *f = *state;
    expect_failure(f, CLIPCU_ERR_FORMAT, "no model");
    st_dir_write_text(&f->dir, "config.json", "{}");
    expect_failure(f, CLIPCU_ERR_IO, "model.safetensors");
    st_dir_write_text(&f->dir, "pytorch_model.bin", "PK");
    expect_failure(f, CLIPCU_ERR_UNSUPPORTED, "pickled");
    st_dir_empty(&f->dir);
    st_dir_write_text(&f->dir, "open_clip_config.json", "{}");
    expect_failure(f, CLIPCU_ERR_IO, "open_clip_model.safetensors");
    st_dir_write_text(&f->dir, "open_clip_pytorch_model.bin", "PK");
    expect_failure(f, CLIPCU_ERR_UNSUPPORTED, "pickled");
    start(f);
    st_dir_write_text(&f->dir, "config.json", "{\"model_type\":\"siglip\"}");
    expect_failure(f, CLIPCU_ERR_UNSUPPORTED, "SigLIP models are not supported yet");
    st_dir_write_text(&f->dir, "config.json", "{\"model_type\":\"clip\"");
    expect_failure(f, CLIPCU_ERR_FORMAT, "config.json");
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_checkpoint_open("/nonexistent", NULL, NULL, &f->checkpoint, &error),
                     CLIPCU_ERR_IO);
    ccu_checkpoint_close(&f->checkpoint);
}

static void finds_the_preprocessor(void **state) {
    fixture *f = *state;
    start(f);
    st_dir_write_text(&f->dir, "preprocessor_config.json", "{\"crop_size\":16}");
    expect_failure(f, CLIPCU_ERR_FORMAT, "preprocessor_config.json");
    st_dir_delete(&f->dir, "preprocessor_config.json");
    expect_good(f);
    assert_int_equal(f->warnings, 1);
    assert_int_equal(f->checkpoint.config.resize_size, ST_IMAGE_SIZE);
    st_dir_write_text(&f->dir, "processor_config.json",
                      "{\"image_processor\":{\"size\":{\"height\":8,\"width\":8},\"resample\":2}}");
    expect_good(f);
    assert_int_equal(f->warnings, 0);
    assert_true(f->checkpoint.config.squash);
    assert_int_equal(f->checkpoint.config.resample, CCU_RESAMPLE_BILINEAR);
}

/* ---- fingerprint ---------------------------------------------------------------------------- */

static uint64_t fingerprint_of(fixture *f) {
    st_model_save(&f->model, &f->dir, HF_FILE, "", 1, 0);
    expect_good(f);
    return f->checkpoint.fingerprint;
}

/* One changed byte of any tensor changes it (all are small enough to be read whole), and so does a
 * dtype or the scale; the order of the tensors does not. */
static void fingerprint_covers_everything(void **state) {
    fixture *f = *state;
    start(f);
    const uint64_t plain = fingerprint_of(f);
    assert_true(fingerprint_of(f) == plain);
    for (int32_t i = 0; i < f->model.count; i++) {
        st_tensor *tensor = &f->model.tensors[i];
        uint8_t   *byte   = &tensor->data[(size_t)i * 37 % tensor->bytes];
        if (strcmp(tensor->name, "logit_scale") == 0) { byte = &tensor->data[2]; }
        *byte ^= 1;
        if (fingerprint_of(f) == plain) { fail_msg("%s is not covered", tensor->name); }
        *byte ^= 1;
    }
    const st_tensor swap = f->model.tensors[3];
    f->model.tensors[3]  = f->model.tensors[40];
    f->model.tensors[40] = swap;
    assert_true(fingerprint_of(f) == plain);
    st_tensor *proj = st_model_find(&f->model, "visual_projection.weight");
    st_tensor_reset(proj, "F16", 2, proj->shape); /* the same bytes as two dtypes */
    memset(proj->data, 0, proj->bytes);
    const uint64_t half = fingerprint_of(f);
    st_tensor_reset(proj, "BF16", 2, proj->shape);
    memset(proj->data, 0, proj->bytes);
    assert_true(fingerprint_of(f) != half);
}

/* Of a tensor of 6400 bytes, 66 blocks of 64 are read: byte 80 lies between the first two. */
static void fingerprint_samples_large_tensors(void **state) {
    static const int64_t shape[2] = { 200, ST_TEXT_WIDTH };
    fixture             *f        = *state;
    start(f);
    st_dir_write_text(&f->dir, "config.json",
                      "{\"model_type\":\"clip_text_model\",\"hidden_size\":8,"
                      "\"intermediate_size\":16,\"num_attention_heads\":2,"
                      "\"num_hidden_layers\":3,\"vocab_size\":200,"
                      "\"max_position_embeddings\":6,\"eos_token_id\":2,"
                      "\"projection_dim\":10}");
    st_tensor *tokens =
        st_model_find(&f->model, "text_model.embeddings.token_embedding.weight");
    st_tensor_reset(tokens, NULL, 2, shape);
    assert_int_equal(tokens->bytes, 6400);
    const uint64_t plain     = fingerprint_of(f);
    const size_t   sampled[] = { 0, 63, 97, 160, 6336, 6399 };
    for (size_t i = 0; i < sizeof sampled / sizeof sampled[0]; i++) {
        tokens->data[sampled[i]] ^= 1;
        if (fingerprint_of(f) == plain) { fail_msg("byte %zu is not sampled", sampled[i]); }
        tokens->data[sampled[i]] ^= 1;
    }
    tokens->data[80] ^= 1;
    assert_true(fingerprint_of(f) == plain);
}

/* The same tensors compute something else: heads, activation, epsilon, pooled id. */
static void fingerprint_covers_the_configuration(void **state) {
    static const char *const variants[] = {
        "\"num_attention_heads\":2", "\"num_attention_heads\":4",
        "\"num_attention_heads\":2,\"hidden_act\":\"gelu\"",
        "\"num_attention_heads\":2,\"layer_norm_eps\":1e-6",
        "\"num_attention_heads\":2,\"eos_token_id\":7",
    };
    enum { VARIANTS = sizeof variants / sizeof variants[0] };
    fixture *f = *state;
    uint64_t seen[VARIANTS];
    char     text[512];
    start(f);
    for (int i = 0; i < VARIANTS; i++) {
        (void)snprintf(text, sizeof text,
                       "{\"model_type\":\"clip_text_model\",\"hidden_size\":8,"
                       "\"intermediate_size\":16,\"num_hidden_layers\":3,\"vocab_size\":11,"
                       "\"max_position_embeddings\":6,\"projection_dim\":10,%s%s}",
                       variants[i], i == VARIANTS - 1 ? "" : ",\"eos_token_id\":2");
        st_dir_write_text(&f->dir, "config.json", text);
        seen[i] = fingerprint_of(f);
        for (int j = 0; j < i; j++) { assert_true(seen[i] != seen[j]); }
    }
}

/* ---- elements ------------------------------------------------------------------------------- */

/* Every 16-bit pattern, at an odd address, in ranges of many lengths: the same bits as the
 * scalar conversions of base/dtype.h. */
static void converts_to_f32(void **state) {
    (void)state;
    enum { COUNT = 65536 };
    uint8_t *bytes = malloc(2 * COUNT + 1);
    float   *out   = malloc((COUNT + 1) * sizeof *out);
    for (uint32_t i = 0; i < COUNT; i++) {
        const uint16_t bits = (uint16_t)i;
        memcpy(bytes + 1 + 2 * i, &bits, 2);
    }
    ccu_tensor tensor = { .data = bytes + 1, .rank = 2, .shape = { 256, 256 } };
    for (size_t first = 0, count = 1; first < COUNT; first += count, count = count * 3 % 4099 + 1) {
        if (count > COUNT - first) { count = COUNT - first; }
        for (int kind = 0; kind < 2; kind++) {
            tensor.dtype = kind == 0 ? CCU_F16 : CCU_BF16;
            out[count]   = -77.0f;
            assert_int_equal(ccu_tensor_to_f32(&tensor, first, count, out, NULL), CLIPCU_OK);
            assert_int_equal(ccu_f32_bits(out[count]), ccu_f32_bits(-77.0f));
            for (size_t i = 0; i < count; i++) {
                const uint16_t bits  = (uint16_t)(first + i);
                const float    value = kind == 0 ? ccu_f16_to_f32((ccu_f16){ bits })
                                                 : ccu_bf16_to_f32((ccu_bf16){ bits });
                if (ccu_f32_bits(out[i]) != ccu_f32_bits(value)) {
                    fail_msg("kind %d, bits %04x: %08x, expected %08x", kind, bits,
                             ccu_f32_bits(out[i]), ccu_f32_bits(value));
                }
            }
        }
    }
    tensor = (ccu_tensor){ .data = bytes + 1, .dtype = CCU_F32, .rank = 1, .shape = { 1000 } };
    assert_int_equal(ccu_tensor_to_f32(&tensor, 3, 500, out, NULL), CLIPCU_OK);
    assert_memory_equal(out, bytes + 1 + 12, 2000);
    assert_int_equal(ccu_tensor_to_f32(&tensor, 1000, 0, out, NULL), CLIPCU_OK);
    free(bytes);
    free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_shards, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_bad_indices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opens_one_tower_of_two, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opens_files_of_one_tower, set_up, tear_down),
        cmocka_unit_test_setup_teardown(prefers_hugging_face, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_what_is_missing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finds_the_preprocessor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fingerprint_covers_everything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fingerprint_samples_large_tensors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fingerprint_covers_the_configuration, set_up, tear_down),
        cmocka_unit_test(converts_to_f32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
