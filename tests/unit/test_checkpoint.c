/* host/checkpoint: tiny models in every layout are bound right; missing, extra, misshaped and
 * misplaced parts are named. */
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

typedef struct fixture {
    st_dir         dir;
    st_model       model;
    ccu_checkpoint checkpoint;
    clipcu_error   error;
    int            warnings;
    char           warning[512]; /* the last */
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
    f->warnings++;
    (void)snprintf(f->warning, sizeof f->warning, "%s", text);
}

static clipcu_status open_dir(fixture *f) {
    ccu_checkpoint_close(&f->checkpoint);
    f->error    = (clipcu_error){ .code = CLIPCU_OK };
    f->warnings = 0;
    return ccu_checkpoint_open(f->dir.path, collect, f, &f->checkpoint, &f->error);
}

static const char *weights_file(st_layout layout) {
    return layout == ST_HUGGINGFACE ? "model.safetensors" : "open_clip_model.safetensors";
}

static clipcu_status save_and_open(fixture *f, st_layout layout) {
    st_model_save(&f->model, &f->dir, weights_file(layout), "", 1, 0);
    return open_dir(f);
}

static void start(fixture *f, st_layout layout) {
    st_dir_empty(&f->dir);
    st_model_free(&f->model);
    st_model_init(&f->model, layout, 1, 1);
    st_model_save_config(layout, &f->dir);
}

static void expect_good(fixture *f, st_layout layout) {
    if (save_and_open(f, layout) != CLIPCU_OK) { fail_msg("%s", f->error.text); }
    if (f->warnings != 0) { fail_msg("%s", f->warning); }
}

static void expect_failure(fixture *f, clipcu_status status, clipcu_status expected,
                           const char *word) {
    if (status != expected || strstr(f->error.text, word) == NULL) {
        fail_msg("status %d \"%s\", expected %d and \"%s\"", (int)status, f->error.text,
                 (int)expected, word);
    }
}

/* The view holds the tensor `name` of the model, or `part` of `parts` of its rows. */
static void expect_tensor(fixture *f, const ccu_tensor *view, const char *name, int part,
                          int parts) {
    st_tensor *tensor = st_model_find(&f->model, name);
    assert_non_null(tensor);
    if (view->file == NULL) { fail_msg("%s is not bound", name); }
    assert_string_equal(view->name, name);
    assert_int_equal(view->rank, tensor->rank);
    assert_int_equal(view->shape[0] * parts, tensor->rank == 0 ? 0 : tensor->shape[0]);
    for (int32_t i = 1; i < view->rank; i++) {
        assert_int_equal(view->shape[i], tensor->shape[i]);
    }
    const size_t bytes = tensor->bytes / (size_t)parts;
    assert_int_equal(ccu_tensor_count(view) * ccu_dtype_bytes(view->dtype), bytes);
    uint8_t *found = malloc(bytes + 1);
    assert_non_null(found);
    assert_int_equal(ccu_tensor_read(view, 0, bytes, found, &f->error), CLIPCU_OK);
    assert_memory_equal(found, tensor->data + (size_t)part * bytes, bytes);
    free(found);
}

static void expect_block(fixture *f, const ccu_block_tensors *block, const char *prefix, int hf) {
    static const char *const hf_names[] = {
        "layer_norm1.weight", "layer_norm1.bias", "self_attn.out_proj.weight",
        "self_attn.out_proj.bias", "layer_norm2.weight", "layer_norm2.bias", "mlp.fc1.weight",
        "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias",
    };
    static const char *const oc_names[] = {
        "ln_1.weight", "ln_1.bias", "attn.out_proj.weight", "attn.out_proj.bias", "ln_2.weight",
        "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias",
    };
    const ccu_tensor *views[] = {
        &block->ln1_w, &block->ln1_b, &block->out_w, &block->out_b, &block->ln2_w,
        &block->ln2_b, &block->fc1_w, &block->fc1_b, &block->fc2_w, &block->fc2_b,
    };
    char name[128];
    for (int i = 0; i < 10; i++) {
        (void)snprintf(name, sizeof name, "%s%s", prefix, hf ? hf_names[i] : oc_names[i]);
        expect_tensor(f, views[i], name, 0, 1);
    }
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name,
                       hf ? "%sself_attn.%c_proj.weight" : "%sattn.in_proj_weight", prefix,
                       "qkv"[i]);
        expect_tensor(f, &block->qkv_w[i], name, hf ? 0 : i, hf ? 1 : 3);
        (void)snprintf(name, sizeof name, hf ? "%sself_attn.%c_proj.bias" : "%sattn.in_proj_bias",
                       prefix, "qkv"[i]);
        expect_tensor(f, &block->qkv_b[i], name, hf ? 0 : i, hf ? 1 : 3);
    }
}

static void binds_hugging_face(void **state) {
    fixture *f = *state;
    char     prefix[64];
    start(f, ST_HUGGINGFACE);
    expect_good(f, ST_HUGGINGFACE);
    const ccu_checkpoint *c = &f->checkpoint;
    assert_string_equal(c->layout, "huggingface");
    assert_true(fabsf(c->logit_scale - expf(2.0f)) < 1e-5f);
    assert_int_equal(c->config.eot_id, 10);
    assert_int_equal(c->config.resize_size, 9);
    assert_int_equal(c->config.image.act, CCU_ACT_GELU);
    assert_int_equal(c->config.text.act, CCU_ACT_QUICK_GELU);
    expect_tensor(f, &c->image.patch_w, "vision_model.embeddings.patch_embedding.weight", 0, 1);
    expect_tensor(f, &c->image.class_token, "vision_model.embeddings.class_embedding", 0, 1);
    expect_tensor(f, &c->image.positions, "vision_model.embeddings.position_embedding.weight", 0,
                  1);
    expect_tensor(f, &c->image.ln_pre_w, "vision_model.pre_layrnorm.weight", 0, 1);
    expect_tensor(f, &c->image.ln_pre_b, "vision_model.pre_layrnorm.bias", 0, 1);
    expect_tensor(f, &c->image.ln_post_w, "vision_model.post_layernorm.weight", 0, 1);
    expect_tensor(f, &c->image.ln_post_b, "vision_model.post_layernorm.bias", 0, 1);
    expect_tensor(f, &c->image.proj, "visual_projection.weight", 0, 1);
    assert_false(c->image.proj_transposed);
    expect_tensor(f, &c->text.tokens, "text_model.embeddings.token_embedding.weight", 0, 1);
    expect_tensor(f, &c->text.positions, "text_model.embeddings.position_embedding.weight", 0, 1);
    expect_tensor(f, &c->text.ln_final_w, "text_model.final_layer_norm.weight", 0, 1);
    expect_tensor(f, &c->text.ln_final_b, "text_model.final_layer_norm.bias", 0, 1);
    expect_tensor(f, &c->text.proj, "text_projection.weight", 0, 1);
    assert_false(c->text.proj_transposed);
    for (int i = 0; i < ST_IMAGE_LAYERS; i++) {
        (void)snprintf(prefix, sizeof prefix, "vision_model.encoder.layers.%d.", i);
        expect_block(f, &c->image.blocks[i], prefix, 1);
    }
    for (int i = 0; i < ST_TEXT_LAYERS; i++) {
        (void)snprintf(prefix, sizeof prefix, "text_model.encoder.layers.%d.", i);
        expect_block(f, &c->text.blocks[i], prefix, 1);
    }
}

static void expect_open_clip(fixture *f, const char *text) {
    const ccu_checkpoint *c = &f->checkpoint;
    char                  name[64];
    assert_string_equal(c->layout, "open_clip");
    assert_int_equal(c->config.eot_id, -1);
    assert_true(c->config.squash);
    expect_tensor(f, &c->image.patch_w, "visual.conv1.weight", 0, 1);
    expect_tensor(f, &c->image.class_token, "visual.class_embedding", 0, 1);
    expect_tensor(f, &c->image.positions, "visual.positional_embedding", 0, 1);
    expect_tensor(f, &c->image.ln_pre_w, "visual.ln_pre.weight", 0, 1);
    expect_tensor(f, &c->image.ln_post_b, "visual.ln_post.bias", 0, 1);
    expect_tensor(f, &c->image.proj, "visual.proj", 0, 1);
    assert_true(c->image.proj_transposed);
    assert_true(c->text.proj_transposed);
    (void)snprintf(name, sizeof name, "%stoken_embedding.weight", text);
    expect_tensor(f, &c->text.tokens, name, 0, 1);
    (void)snprintf(name, sizeof name, "%spositional_embedding", text);
    expect_tensor(f, &c->text.positions, name, 0, 1);
    (void)snprintf(name, sizeof name, "%sln_final.weight", text);
    expect_tensor(f, &c->text.ln_final_w, name, 0, 1);
    (void)snprintf(name, sizeof name, "%stext_projection", text);
    expect_tensor(f, &c->text.proj, name, 0, 1);
    for (int i = 0; i < ST_IMAGE_LAYERS; i++) {
        (void)snprintf(name, sizeof name, "visual.transformer.resblocks.%d.", i);
        expect_block(f, &c->image.blocks[i], name, 0);
    }
    for (int i = 0; i < ST_TEXT_LAYERS; i++) {
        (void)snprintf(name, sizeof name, "%stransformer.resblocks.%d.", text, i);
        expect_block(f, &c->text.blocks[i], name, 0);
    }
}

static void binds_open_clip(void **state) {
    fixture *f = *state;
    start(f, ST_OPEN_CLIP);
    expect_good(f, ST_OPEN_CLIP);
    expect_open_clip(f, "");
    start(f, ST_OPEN_CLIP_CUSTOM);
    expect_good(f, ST_OPEN_CLIP_CUSTOM);
    expect_open_clip(f, "text.");
}

static void strips_the_training_prefix(void **state) {
    fixture *f = *state;
    start(f, ST_OPEN_CLIP);
    expect_good(f, ST_OPEN_CLIP);
    const uint64_t plain = f->checkpoint.fingerprint;
    st_model_save(&f->model, &f->dir, "open_clip_model.safetensors", "module.", 1, 0);
    assert_int_equal(open_dir(f), CLIPCU_OK);
    assert_int_equal(f->warnings, 0);
    assert_string_equal(f->checkpoint.image.proj.name, "module.visual.proj");
    assert_true(f->checkpoint.fingerprint == plain);
}

static void reads_mixed_dtypes(void **state) {
    static const char *const dtypes[] = { "F32", "F16", "BF16" };
    static const ccu_dtype   expect[] = { CCU_F32, CCU_F16, CCU_BF16 };
    fixture *f = *state;
    for (int layout = ST_HUGGINGFACE; layout <= ST_OPEN_CLIP; layout++) {
        start(f, (st_layout)layout);
        for (int32_t i = 0; i < f->model.count; i++) {
            st_tensor *tensor = &f->model.tensors[i];
            if (strcmp(tensor->name, "logit_scale") == 0) { continue; }
            st_tensor_reset(tensor, dtypes[i % 3], tensor->rank, tensor->shape);
        }
        expect_good(f, (st_layout)layout);
        for (int32_t i = 0; i < 3; i++) { /* patch, class and position come first */
            const ccu_tensor *views[] = { &f->checkpoint.image.patch_w,
                                          &f->checkpoint.image.class_token,
                                          &f->checkpoint.image.positions };
            assert_int_equal(views[i]->dtype, expect[i]);
            expect_tensor(f, views[i], f->model.tensors[i].name, 0, 1);
        }
    }
    expect_block(f, &f->checkpoint.text.blocks[1], "transformer.resblocks.1.", 0);
}

/* ---- damage --------------------------------------------------------------------------------- */

static void names_every_missing_tensor(void **state) {
    fixture *f = *state;
    for (int layout = ST_HUGGINGFACE; layout <= ST_OPEN_CLIP_CUSTOM; layout++) {
        start(f, (st_layout)layout);
        const int32_t count = f->model.count;
        for (int32_t i = 0; i < count; i++) {
            char name[128];
            (void)snprintf(name, sizeof name, "%s", f->model.tensors[0].name);
            st_model_remove(&f->model, name);
            const clipcu_status status = save_and_open(f, (st_layout)layout);
            expect_failure(f, status, CLIPCU_ERR_FORMAT, name);
            expect_failure(f, status, CLIPCU_ERR_FORMAT, "missing");
            st_model_free(&f->model);
            st_model_init(&f->model, (st_layout)layout, 1, 1);
            const st_tensor swap  = f->model.tensors[0];
            const int32_t   other = (i + 1) % count; /* every one stands first once */
            f->model.tensors[0]     = f->model.tensors[other];
            f->model.tensors[other] = swap;
        }
    }
}

static void names_every_misshaped_tensor(void **state) {
    fixture *f = *state;
    for (int layout = ST_HUGGINGFACE; layout <= ST_OPEN_CLIP; layout++) {
        start(f, (st_layout)layout);
        for (int32_t i = 0; i < f->model.count; i++) {
            st_tensor    *tensor   = &f->model.tensors[i];
            const int32_t rank     = tensor->rank;
            int64_t       shape[5] = { 0 };
            for (int32_t d = 0; d <= rank; d++) { /* each dimension one larger, then one more */
                memcpy(shape, tensor->shape, sizeof shape);
                shape[d] = d < rank ? shape[d] + 1 : 2;
                int64_t good[5];
                memcpy(good, tensor->shape, sizeof good);
                st_tensor_reset(tensor, NULL, d < rank ? rank : rank + 1, shape);
                const clipcu_status status = save_and_open(f, (st_layout)layout);
                assert_true(status == CLIPCU_ERR_FORMAT || status == CLIPCU_ERR_UNSUPPORTED);
                expect_failure(f, status, f->error.code, tensor->name);
                st_tensor_reset(tensor, NULL, rank, good);
            }
        }
        expect_good(f, (st_layout)layout); /* all is well again */
    }
}

static void says_both_sides_of_a_disagreement(void **state) {
    static const int64_t positions[2] = { 10, ST_IMAGE_WIDTH };
    static const int64_t narrow[2]    = { ST_IMAGE_MLP - 4, ST_IMAGE_WIDTH };
    fixture             *f            = *state;
    start(f, ST_HUGGINGFACE);
    st_tensor_reset(st_model_find(&f->model, "vision_model.embeddings.position_embedding.weight"),
                    NULL, 2, positions);
    clipcu_status status = save_and_open(f, ST_HUGGINGFACE);
    expect_failure(f, status, CLIPCU_ERR_FORMAT, "(10, 12)");
    expect_failure(f, status, CLIPCU_ERR_FORMAT, "image_size 8 with patch_size 4 gives 5");
    start(f, ST_HUGGINGFACE);
    st_tensor_reset(st_model_find(&f->model, "vision_model.encoder.layers.1.mlp.fc1.weight"), NULL,
                    2, narrow);
    status = save_and_open(f, ST_HUGGINGFACE);
    expect_failure(f, status, CLIPCU_ERR_UNSUPPORTED, "layers of different widths");
    start(f, ST_HUGGINGFACE);
    st_tensor_reset(st_model_find(&f->model, "vision_model.encoder.layers.0.mlp.fc1.weight"), NULL,
                    2, narrow);
    status = save_and_open(f, ST_HUGGINGFACE);
    expect_failure(f, status, CLIPCU_ERR_FORMAT, "found (16, 12), expected (20, 12)");
}

static void refuses_more_layers_than_configured(void **state) {
    static const int64_t dims[2] = { 8, 0 };
    fixture             *f       = *state;
    start(f, ST_HUGGINGFACE);
    (void)st_model_add(&f->model, "text_model.encoder.layers.3.layer_norm1.weight", "F32", dims);
    expect_failure(f, save_and_open(f, ST_HUGGINGFACE), CLIPCU_ERR_FORMAT, "3 layers");
    start(f, ST_OPEN_CLIP);
    (void)st_model_add(&f->model, "visual.transformer.resblocks.12.ln_1.weight", "F32", dims);
    expect_failure(f, save_and_open(f, ST_OPEN_CLIP), CLIPCU_ERR_FORMAT, "2 layers");
}

static void refuses_unusable_dtypes(void **state) {
    fixture *f = *state;
    start(f, ST_HUGGINGFACE);
    st_tensor *tensor = st_model_find(&f->model, "visual_projection.weight");
    st_tensor_reset(tensor, "I64", 2, tensor->shape);
    expect_failure(f, save_and_open(f, ST_HUGGINGFACE), CLIPCU_ERR_UNSUPPORTED, "I64");
}

static void refuses_other_towers(void **state) {
    static const char *const names[] = {
        "visual.layer1.0.conv1.weight", "visual.trunk.norm.weight", "visual.attn_pool.probe",
        "logit_bias", "text_decoder.x", "vision_model.head.probe",
    };
    static const int64_t dims[2] = { 8, 0 };
    fixture             *f       = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        start(f, ST_OPEN_CLIP);
        (void)st_model_add(&f->model, names[i], "F32", dims);
        const clipcu_status status = save_and_open(f, ST_OPEN_CLIP);
        expect_failure(f, status, CLIPCU_ERR_UNSUPPORTED, i == 0 ? "ResNet" : "not supported");
    }
}

static void warns_of_unknown_tensors(void **state) {
    static const int64_t     dims[2]  = { 3, 0 };
    static const char *const silent[] = { "text_model.embeddings.position_ids", "attn_mask",
                                          "input_resolution", "context_length", "vocab_size",
                                          "visual.bn1.num_batches_tracked",
                                          "vision_model.embeddings.position_ids" };
    fixture *f = *state;
    char     name[32];
    start(f, ST_HUGGINGFACE);
    for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++) {
        (void)st_model_add(&f->model, silent[i], "I64", dims);
    }
    expect_good(f, ST_HUGGINGFACE);
    const uint64_t plain = f->checkpoint.fingerprint;
    (void)st_model_add(&f->model, "extra.weight", "U8", dims);
    assert_int_equal(save_and_open(f, ST_HUGGINGFACE), CLIPCU_OK);
    assert_int_equal(f->warnings, 1);
    assert_non_null(strstr(f->warning, "extra.weight"));
    assert_true(f->checkpoint.fingerprint == plain);
    for (int i = 0; i < 30; i++) {
        (void)snprintf(name, sizeof name, "more.%d", i);
        (void)st_model_add(&f->model, name, "F16", dims);
    }
    assert_int_equal(save_and_open(f, ST_HUGGINGFACE), CLIPCU_OK);
    assert_int_equal(f->warnings, 21);
    assert_non_null(strstr(f->warning, "11 more"));
    ccu_checkpoint_close(&f->checkpoint);
    assert_int_equal(ccu_checkpoint_open(f->dir.path, NULL, NULL, &f->checkpoint, NULL), CLIPCU_OK);
}

static void reads_scales(void **state) {
    static const int64_t one[1] = { 1 };
    static const int64_t two[1] = { 2 };
    fixture             *f      = *state;
    start(f, ST_OPEN_CLIP);
    st_tensor *scale = st_model_find(&f->model, "logit_scale");
    st_tensor_reset(scale, NULL, 1, one);
    expect_good(f, ST_OPEN_CLIP);
    assert_true(fabsf(f->checkpoint.logit_scale - expf(2.0f)) < 1e-5f);
    const float huge = 1000.0f;
    memcpy(scale->data, &huge, sizeof huge);
    expect_failure(f, save_and_open(f, ST_OPEN_CLIP), CLIPCU_ERR_FORMAT, "logit_scale");
    st_tensor_reset(scale, NULL, 1, two);
    expect_failure(f, save_and_open(f, ST_OPEN_CLIP), CLIPCU_ERR_FORMAT, "logit_scale");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(binds_hugging_face, set_up, tear_down),
        cmocka_unit_test_setup_teardown(binds_open_clip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strips_the_training_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_mixed_dtypes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_every_missing_tensor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_every_misshaped_tensor, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_both_sides_of_a_disagreement, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_more_layers_than_configured, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_unusable_dtypes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_other_towers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(warns_of_unknown_tensors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_scales, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
