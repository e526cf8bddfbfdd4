/* host/checkpoint/config_*: published configurations are read as their libraries read them, and
 * what is not implemented is refused by name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "checkpoint/config.h"
#include "support/st_architectures.h"

typedef enum file_kind { HF, OPEN_CLIP, PREPROCESSOR } file_kind;

typedef struct warnings {
    int  count;
    char last[512];
} warnings;

static void collect(void *user, const char *text) {
    warnings *seen = user;
    seen->count++;
    (void)snprintf(seen->last, sizeof seen->last, "%s", text);
}

/* Parses text as the kind says; PREPROCESSOR keeps the image_size that *config holds. */
static clipcu_status read_text(file_kind kind, const char *text, ccu_model_config *config,
                               warnings *seen, clipcu_error *error) {
    const ccu_warner warner = { collect, seen };
    cJSON           *root   = NULL;
    clipcu_status    status = CLIPCU_OK;
    *seen  = (warnings){ .count = 0 };
    *error = (clipcu_error){ .code = CLIPCU_OK };
    if (ccu_json_parse("test.json", (const uint8_t *)text, strlen(text), &root, error) !=
        CLIPCU_OK) {
        fail_msg("the test's JSON is broken: %s\n%s", error->text, text);
    }
    switch (kind) {
    case HF: status = ccu_config_huggingface(root, "test.json", config, error); break;
    case OPEN_CLIP:
        status = ccu_config_open_clip(root, "test.json", &warner, config, error);
        break;
    case PREPROCESSOR:
        status = ccu_config_preprocessor(root, "test.json", &warner, config, error);
        break;
    }
    if (status == CLIPCU_OK) { status = ccu_config_check(config, "test.json", error); }
    cJSON_Delete(root);
    return status;
}

static ccu_model_config read_good(file_kind kind, const char *text) {
    ccu_model_config config = { .image_size = 0 };
    warnings         seen;
    clipcu_error     error;
    if (read_text(kind, text, &config, &seen, &error) != CLIPCU_OK) {
        fail_msg("%s\n%s", error.text, text);
    }
    if (seen.count != 0) { fail_msg("%s\n%s", seen.last, text); }
    return config;
}

/* Fails with this status, and the message holds `word`. */
static void expect_failure(file_kind kind, const char *text, clipcu_status expected,
                           const char *word) {
    ccu_model_config config = { .image_size = 224, .patch_size = 32, .embed_dim = 1 };
    warnings         seen;
    clipcu_error     error;
    const clipcu_status status = read_text(kind, text, &config, &seen, &error);
    if (status != expected || strstr(error.text, word) == NULL ||
        strstr(error.text, "test.json") == NULL) {
        fail_msg("status %d, \"%s\", expected %d and \"%s\"\n%s", (int)status, error.text,
                 (int)expected, word, text);
    }
}

static int same_f32(float a, float b) {
    return ccu_f32_bits(a) == ccu_f32_bits(b);
}

/* ---- architectures -------------------------------------------------------------------------- */

static void compare(const st_architecture *want, const ccu_model_config *found, bool huggingface) {
    const ccu_act act = huggingface ? want->act_huggingface : want->act_open_clip;
    print_message("  %s, %s\n", want->name, huggingface ? "Hugging Face" : "open_clip");
    assert_true(found->image.present);
    assert_int_equal(found->image.layers, want->image.layers);
    assert_int_equal(found->image.width, want->image.width);
    assert_int_equal(found->image.heads, want->image.heads);
    assert_int_equal(found->image.mlp, want->image.mlp);
    assert_int_equal(found->image.act, act);
    assert_true(same_f32(found->image.eps, 1e-5f));
    assert_true(found->text.present);
    assert_int_equal(found->text.layers, want->text.layers);
    assert_int_equal(found->text.width, want->text.width);
    assert_int_equal(found->text.heads, want->text.heads);
    assert_int_equal(found->text.mlp, want->text.mlp);
    assert_int_equal(found->text.act, act);
    assert_true(same_f32(found->text.eps, 1e-5f));
    assert_int_equal(found->image_size, want->image_size);
    assert_int_equal(found->patch_size, want->patch_size);
    assert_int_equal(found->vocab_size, 49408);
    assert_int_equal(found->context_length, 77);
    assert_int_equal(found->embed_dim, want->embed_dim);
    assert_int_equal(found->eot_id, huggingface ? want->eot_id : -1);
    assert_true(same_f32(found->mean[2], 0.40821073f));
    assert_true(same_f32(found->std[0], 0.26862954f));
    assert_int_equal(found->resample, CCU_RESAMPLE_BICUBIC);
    assert_int_equal(found->resize_size, want->image_size);
    assert_false(found->squash);
}

static void reads_published_architectures(void **state) {
    (void)state;
    for (int i = 0; i < ST_ARCHITECTURES; i++) {
        const st_architecture *want = &ST_ARCHITECTURE[i];
        char                   text[2048];
        ccu_model_config       config = read_good(HF, want->huggingface);
        compare(want, &config, true);
        (void)snprintf(text, sizeof text, "{\"model_cfg\":%s}", want->open_clip);
        config = read_good(OPEN_CLIP, text);
        compare(want, &config, false);
    }
}

/* ---- Hugging Face --------------------------------------------------------------------------- */

static void fills_in_defaults(void **state) {
    (void)state;
    const ccu_model_config config = read_good(HF, "{\"model_type\":\"clip\"}");
    assert_int_equal(config.image.width, 768);
    assert_int_equal(config.patch_size, 32);
    assert_int_equal(config.text.width, 512);
    assert_int_equal(config.embed_dim, 512);
    assert_int_equal(config.eot_id, 49407);
    assert_int_equal(config.image.act, CCU_ACT_QUICK_GELU);
    const ccu_model_config nulls =
        read_good(HF, "{\"text_config\":null,\"vision_config\":{\"hidden_size\":null},"
                      "\"model_type\":\"clip\",\"projection_dim\":null}");
    assert_memory_equal(&nulls, &config, sizeof config);
}

static void legacy_objects_override(void **state) {
    (void)state;
    const ccu_model_config config =
        read_good(HF, "{\"model_type\":\"clip\",\"text_config\":{\"hidden_size\":256,"
                      "\"num_attention_heads\":2,\"hidden_act\":\"gelu\",\"eos_token_id\":5},"
                      "\"text_config_dict\":{\"num_hidden_layers\":3},"
                      "\"vision_config\":{\"num_hidden_layers\":5}}");
    assert_int_equal(config.text.layers, 3);
    assert_int_equal(config.text.width, 512); /* the default, not 256 */
    assert_int_equal(config.text.heads, 8);
    assert_int_equal(config.text.act, CCU_ACT_QUICK_GELU);
    assert_int_equal(config.eot_id, 49407);
    assert_int_equal(config.image.layers, 5); /* no legacy object here */
}

static void reads_single_towers(void **state) {
    (void)state;
    const ccu_model_config text = read_good(
        HF, "{\"model_type\":\"clip_text_model\",\"hidden_size\":1280,\"num_attention_heads\":20,"
            "\"num_hidden_layers\":32,\"intermediate_size\":5120,\"hidden_act\":\"gelu\","
            "\"projection_dim\":1280,\"eos_token_id\":[2]}");
    assert_true(text.text.present);
    assert_false(text.image.present);
    assert_int_equal(text.text.width, 1280);
    assert_int_equal(text.embed_dim, 1280);
    assert_int_equal(text.eot_id, -1);
    const ccu_model_config image =
        read_good(HF, "{\"model_type\":\"clip_vision_model\",\"patch_size\":[16,16],"
                      "\"image_size\":[384,384],\"layer_norm_eps\":1e-6}");
    assert_true(image.image.present);
    assert_false(image.text.present);
    assert_int_equal(image.image_size, 384);
    assert_int_equal(image.patch_size, 16);
    assert_true(same_f32(image.image.eps, 1e-6f));
}

#define V(fields) "{\"model_type\":\"clip\",\"vision_config\":{" fields "}}"
#define X(fields) "{\"model_type\":\"clip\",\"text_config\":{" fields "}}"

static void refuses_other_models_by_name(void **state) {
    (void)state;
    static const char *const types[] = { "siglip", "siglip2", "metaclip_2", "chinese_clip",
                                         "altclip", "clipseg", "blip", "bert" };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char text[100];
        (void)snprintf(text, sizeof text, "{\"model_type\":\"%s\"}", types[i]);
        expect_failure(HF, text, CLIPCU_ERR_UNSUPPORTED, types[i]);
    }
    expect_failure(HF, "{\"model_type\":\"siglip\"}", CLIPCU_ERR_UNSUPPORTED,
                   "SigLIP models are not supported yet");
    expect_failure(HF, "{}", CLIPCU_ERR_UNSUPPORTED, "model_type");
    expect_failure(HF, V("\"hidden_act\":\"gelu_pytorch_tanh\""), CLIPCU_ERR_UNSUPPORTED,
                   "gelu_pytorch_tanh");
    expect_failure(HF, X("\"hidden_act\":\"relu\""), CLIPCU_ERR_UNSUPPORTED, "relu");
    expect_failure(HF, V("\"num_channels\":1"), CLIPCU_ERR_UNSUPPORTED, "num_channels");
    expect_failure(HF, V("\"image_size\":[224,336]"), CLIPCU_ERR_UNSUPPORTED, "image_size");
    expect_failure(HF, X("\"eos_token_id\":[1,2]"), CLIPCU_ERR_UNSUPPORTED, "eos_token_id");
}

static void refuses_values_out_of_range(void **state) {
    (void)state;
    expect_failure(HF, V("\"num_hidden_layers\":129"), CLIPCU_ERR_LIMIT, "layers is 129");
    expect_failure(HF, V("\"num_hidden_layers\":0"), CLIPCU_ERR_FORMAT, "num_hidden_layers");
    expect_failure(HF, V("\"num_hidden_layers\":1e300"), CLIPCU_ERR_FORMAT, "num_hidden_layers");
    expect_failure(HF, V("\"hidden_size\":-768"), CLIPCU_ERR_FORMAT, "hidden_size");
    expect_failure(HF, V("\"hidden_size\":\"768\""), CLIPCU_ERR_FORMAT, "hidden_size");
    expect_failure(HF, V("\"hidden_size\":8196"), CLIPCU_ERR_LIMIT, "width is 8196");
    expect_failure(HF, V("\"hidden_size\":770"), CLIPCU_ERR_FORMAT, "12 attention heads");
    expect_failure(HF, V("\"num_attention_heads\":2"), CLIPCU_ERR_LIMIT, "256");
    expect_failure(HF, V("\"num_attention_heads\":257"), CLIPCU_ERR_LIMIT, "heads is 257");
    expect_failure(HF, V("\"intermediate_size\":100000"), CLIPCU_ERR_LIMIT, "mlp width is 100000");
    expect_failure(HF, V("\"image_size\":4096"), CLIPCU_ERR_LIMIT, "image size is 4096");
    expect_failure(HF, V("\"image_size\":[0,0]"), CLIPCU_ERR_FORMAT, "image_size");
    expect_failure(HF, V("\"image_size\":[1]"), CLIPCU_ERR_FORMAT, "image_size");
    expect_failure(HF, V("\"patch_size\":257"), CLIPCU_ERR_LIMIT, "patch size is 257");
    expect_failure(HF, V("\"image_size\":16"), CLIPCU_ERR_FORMAT, "patch size 32");
    expect_failure(HF, V("\"layer_norm_eps\":-1"), CLIPCU_ERR_FORMAT, "epsilon");
    expect_failure(HF, X("\"vocab_size\":2000001"), CLIPCU_ERR_LIMIT, "vocabulary is 2000001");
    expect_failure(HF, X("\"vocab_size\":1000"), CLIPCU_ERR_FORMAT, "49407");
    expect_failure(HF, X("\"max_position_embeddings\":1025"), CLIPCU_ERR_LIMIT, "1025");
    expect_failure(HF, X("\"eos_token_id\":[-3]"), CLIPCU_ERR_UNSUPPORTED, "eos_token_id");
    expect_failure(HF, "{\"model_type\":\"clip\",\"projection_dim\":8193}", CLIPCU_ERR_LIMIT,
                   "embedding width is 8193");
    expect_failure(HF, "{\"model_type\":\"clip\",\"vision_config\":[]}", CLIPCU_ERR_FORMAT,
                   "vision_config");
}

/* ---- open_clip ------------------------------------------------------------------------------ */

#define OC(model, vision, text, more)                                                              \
    "{\"model_cfg\":{\"embed_dim\":512" model ",\"vision_cfg\":{\"patch_size\":32" vision "},"     \
    "\"text_cfg\":{\"width\":512" text "}}" more "}"

static void reads_open_clip(void **state) {
    (void)state;
    ccu_model_config config = read_good(OPEN_CLIP, OC("", "", "", ""));
    assert_int_equal(config.image.heads, 12);
    assert_int_equal(config.image.act, CCU_ACT_GELU);
    assert_int_equal(config.eot_id, -1);
    config = read_good(
        OPEN_CLIP,
        OC(",\"custom_text\":true,\"init_logit_scale\":2.6,\"init_logit_bias\":null",
           ",\"mlp_ratio\":3.7362,\"width\":1152,\"head_width\":72,\"timm_model_name\":null,"
           "\"final_ln_after_pool\":true,\"norm_kwargs\":{\"eps\":1e-6},\"patch_dropout\":0.5",
           ",\"pool_type\":\"eos\",\"eos_id\":49407,\"tokenizer_kwargs\":{\"clean\":\"lower\"},"
           "\"proj_type\":\"linear\",\"act_kwargs\":{}",
           ",\"preprocess_cfg\":{\"mean\":[0.5,0.25,0.5],\"std\":0.5,\"size\":[224,224],"
           "\"interpolation\":\"bilinear\",\"resize_mode\":\"squash\",\"mode\":\"RGB\","
           "\"fill_color\":0}"));
    assert_int_equal(config.image.mlp, 4304); /* 4304.1 */
    assert_int_equal(config.image.heads, 16);
    assert_true(same_f32(config.image.eps, 1e-6f));
    assert_true(same_f32(config.text.eps, 1e-5f));
    assert_int_equal(config.eot_id, 49407);
    assert_true(config.squash);
    assert_int_equal(config.resample, CCU_RESAMPLE_BILINEAR);
    assert_int_equal(config.resize_size, 224);
    assert_true(same_f32(config.mean[1], 0.25f));
    assert_true(same_f32(config.std[2], 0.5f));
    config = read_good(OPEN_CLIP, OC("", ",\"mlp_ratio\":4.9999", "", ""));
    assert_int_equal(config.image.mlp, 3839); /* 3839.92 is cut */
}

static void warns_of_open_clip_oddities(void **state) {
    (void)state;
    static const char *const texts[] = {
        OC("", ",\"new_feature\":1", "", ""),
        OC(",\"unheard_of\":\"x\"", "", "", ""),
        OC("", "", "", ",\"preprocess_cfg\":{\"size\":256}"),
        OC("", "", ",\"hf_tokenizer_name\":\"openai/clip\"", ""),
    };
    static const char *const words[] = { "new_feature", "unheard_of", "256", "openai/clip" };
    for (int i = 0; i < 4; i++) {
        ccu_model_config config;
        warnings         seen;
        clipcu_error     error;
        assert_int_equal(read_text(OPEN_CLIP, texts[i], &config, &seen, &error), CLIPCU_OK);
        assert_int_equal(seen.count, 1);
        assert_non_null(strstr(seen.last, words[i]));
    }
}

/* Every feature that would change the result, once in either tower. */
static void refuses_open_clip_features(void **state) {
    (void)state;
    static const char *const vision[] = {
        "\"timm_model_name\":\"vit_b\"", "\"attentional_pool\":true",
        "\"attentional_pool\":\"parallel\"", "\"ls_init_value\":1e-5", "\"ls_init_value\":0",
        "\"no_ln_pre\":true", "\"pos_embed_type\":\"sin_cos_2d\"", "\"pool_type\":\"avg\"",
        "\"act_kwargs\":{\"approximate\":\"tanh\"}", "\"block_type\":\"custom\"",
        "\"qk_norm\":true", "\"scaled_cosine_attn\":true", "\"scale_heads\":true",
        "\"scale_attn_inner\":true", "\"scale_attn\":true", "\"scale_fc\":true",
        "\"input_patchnorm\":true", "\"global_average_pool\":true",
        "\"norm_kwargs\":{\"elementwise_affine\":false}", "\"layers\":[3,4,6,3]",
    };
    static const char *const text[] = {
        "\"hf_model_name\":\"roberta-base\"", "\"text_arch\":\"modern\"", "\"ls_init_value\":0.1",
        "\"embed_cls\":true", "\"no_causal_mask\":true", "\"proj_type\":\"none\"",
        "\"proj_bias\":true", "\"act_kwargs\":{\"a\":1}", "\"block_type\":\"custom\"",
        "\"qk_norm\":true", "\"scale_fc\":true", "\"pool_type\":\"last\"",
        "\"tokenizer_kwargs\":{\"clean\":\"canonicalize\"}",
        "\"hf_tokenizer_name\":\"xlm\",\"vocab_size\":901629",
    };
    char whole[512];
    char key[64];
    for (size_t i = 0; i < sizeof vision / sizeof vision[0]; i++) {
        (void)snprintf(whole, sizeof whole,
                       "{\"model_cfg\":{\"embed_dim\":8,\"vision_cfg\":{%s},\"text_cfg\":{}}}",
                       vision[i]);
        (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(vision[i] + 1, "\""), vision[i] + 1);
        expect_failure(OPEN_CLIP, whole, CLIPCU_ERR_UNSUPPORTED, key);
    }
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        (void)snprintf(whole, sizeof whole,
                       "{\"model_cfg\":{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{%s}}}",
                       text[i]);
        (void)snprintf(key, sizeof key, "%.*s", (int)strcspn(text[i] + 1, "\""), text[i] + 1);
        expect_failure(OPEN_CLIP, whole, CLIPCU_ERR_UNSUPPORTED, key);
    }
    expect_failure(OPEN_CLIP, OC(",\"multimodal_cfg\":{\"width\":1}", "", "", ""),
                   CLIPCU_ERR_UNSUPPORTED, "CoCa");
    expect_failure(OPEN_CLIP, OC(",\"init_logit_bias\":-10", "", "", ""), CLIPCU_ERR_UNSUPPORTED,
                   "SigLIP");
    expect_failure(OPEN_CLIP, OC("", ",\"layers\":[3,4,6,3]", "", ""), CLIPCU_ERR_UNSUPPORTED,
                   "ResNet towers are not supported yet");
    expect_failure(OPEN_CLIP, OC("", "", "", ",\"preprocess_cfg\":{\"resize_mode\":\"longest\"}"),
                   CLIPCU_ERR_UNSUPPORTED, "longest");
    expect_failure(OPEN_CLIP, OC("", "", "", ",\"preprocess_cfg\":{\"interpolation\":\"x\"}"),
                   CLIPCU_ERR_UNSUPPORTED, "interpolation");
}

static void refuses_broken_open_clip(void **state) {
    (void)state;
    expect_failure(OPEN_CLIP, "{}", CLIPCU_ERR_FORMAT, "model_cfg");
    expect_failure(OPEN_CLIP, "{\"model_cfg\":{\"embed_dim\":3,\"vision_cfg\":{}}}",
                   CLIPCU_ERR_FORMAT, "text_cfg");
    expect_failure(OPEN_CLIP, "{\"model_cfg\":3}", CLIPCU_ERR_FORMAT, "model_cfg");
    expect_failure(OPEN_CLIP, OC("", ",\"mlp_ratio\":1e300", "", ""), CLIPCU_ERR_LIMIT, "mlp");
    expect_failure(OPEN_CLIP, OC("", ",\"mlp_ratio\":-4", "", ""), CLIPCU_ERR_LIMIT, "mlp");
    expect_failure(OPEN_CLIP, OC("", ",\"head_width\":1000", "", ""), CLIPCU_ERR_FORMAT, "heads");
    expect_failure(OPEN_CLIP, OC("", ",\"head_width\":0", "", ""), CLIPCU_ERR_FORMAT, "head_width");
    expect_failure(OPEN_CLIP, OC("", "", "", ",\"preprocess_cfg\":{\"std\":[0,1,1]}"),
                   CLIPCU_ERR_FORMAT, "std");
    expect_failure(OPEN_CLIP, OC("", "", "", ",\"preprocess_cfg\":{\"mean\":[0,1]}"),
                   CLIPCU_ERR_FORMAT, "mean");
}

/* ---- preprocessor_config.json ---------------------------------------------------------------- */

static ccu_model_config preprocess(int32_t image_size, const char *text) {
    ccu_model_config config = { .image_size = image_size, .embed_dim = 1 };
    warnings         seen;
    clipcu_error     error;
    if (read_text(PREPROCESSOR, text, &config, &seen, &error) != CLIPCU_OK) {
        fail_msg("%s\n%s", error.text, text);
    }
    assert_int_equal(seen.count, 0);
    return config;
}

static void reads_both_generations(void **state) {
    (void)state;
    ccu_model_config config = preprocess(
        224, "{\"crop_size\":224,\"do_center_crop\":true,\"do_normalize\":true,\"do_resize\":true,"
             "\"feature_extractor_type\":\"CLIPFeatureExtractor\",\"image_mean\":[0.48145466,"
             "0.4578275,0.40821073],\"image_std\":[0.26862954,0.26130258,0.27577711],"
             "\"resample\":3,\"size\":224}");
    assert_int_equal(config.resize_size, 224);
    assert_int_equal(config.resample, CCU_RESAMPLE_BICUBIC);
    assert_false(config.squash);
    assert_true(same_f32(config.mean[0], 0.48145466f));
    config = preprocess(336, "{\"crop_size\":{\"height\":336,\"width\":336},\"do_rescale\":true,"
                             "\"rescale_factor\":0.00392156862745098,\"do_convert_rgb\":true,"
                             "\"image_processor_type\":\"CLIPImageProcessor\",\"image_mean\":0.5,"
                             "\"image_std\":0.25,\"resample\":2,\"size\":{\"shortest_edge\":400}}");
    assert_int_equal(config.resize_size, 400);
    assert_int_equal(config.resample, CCU_RESAMPLE_BILINEAR);
    assert_true(same_f32(config.mean[2], 0.5f));
    assert_true(same_f32(config.std[2], 0.25f));
    config = preprocess(378, "{\"size\":{\"height\":378,\"width\":378},\"do_center_crop\":false,"
                             "\"do_normalize\":false,\"crop_size\":224,\"resample\":1}");
    assert_true(config.squash);
    assert_int_equal(config.resize_size, 378);
    assert_int_equal(config.resample, CCU_RESAMPLE_LANCZOS);
    assert_true(same_f32(config.mean[0], 0.0f));
    assert_true(same_f32(config.std[1], 1.0f));
    config = preprocess(64, "{}");
    assert_int_equal(config.resize_size, 64);
    assert_true(same_f32(config.std[0], 0.26862954f));
}

static void warns_when_the_file_is_missing(void **state) {
    (void)state;
    ccu_model_config config = { .image_size = 224, .embed_dim = 1 };
    warnings         seen   = { .count = 0 };
    const ccu_warner warner = { collect, &seen };
    clipcu_error     error  = { .code = CLIPCU_OK };
    assert_int_equal(ccu_config_preprocessor(NULL, "p.json", &warner, &config, &error), CLIPCU_OK);
    assert_int_equal(seen.count, 1);
    assert_non_null(strstr(seen.last, "p.json"));
    assert_int_equal(config.resize_size, 224);
    assert_true(same_f32(config.mean[0], 0.48145466f));
    assert_int_equal(read_text(PREPROCESSOR, "{\"image_processor_type\":\"BitImageProcessor\"}",
                               &config, &seen, &error),
                     CLIPCU_OK);
    assert_non_null(strstr(seen.last, "BitImageProcessor"));
}

static void refuses_other_preprocessing(void **state) {
    (void)state;
    const struct {
        const char   *text, *word;
        clipcu_status status;
    } cases[] = {
        { "{\"do_resize\":false}", "do_resize", CLIPCU_ERR_UNSUPPORTED },
        { "{\"do_rescale\":false}", "do_rescale", CLIPCU_ERR_UNSUPPORTED },
        { "{\"do_center_crop\":false}", "do_center_crop", CLIPCU_ERR_UNSUPPORTED },
        { "{\"rescale_factor\":0.00784313725}", "rescale_factor", CLIPCU_ERR_UNSUPPORTED },
        { "{\"resample\":0}", "nearest", CLIPCU_ERR_UNSUPPORTED },
        { "{\"resample\":6}", "resample", CLIPCU_ERR_FORMAT },
        { "{\"resample\":\"bicubic\"}", "resample", CLIPCU_ERR_FORMAT },
        { "{\"size\":{\"longest_edge\":224}}", "size", CLIPCU_ERR_UNSUPPORTED },
        { "{\"size\":{\"shortest_edge\":224,\"longest_edge\":300}}", "size",
          CLIPCU_ERR_UNSUPPORTED },
        { "{\"size\":{\"height\":224,\"width\":300}}", "224 x 300", CLIPCU_ERR_UNSUPPORTED },
        { "{\"size\":{\"height\":256,\"width\":256}}", "256", CLIPCU_ERR_UNSUPPORTED },
        { "{\"size\":[224,224]}", "size", CLIPCU_ERR_FORMAT },
        { "{\"size\":200}", "200", CLIPCU_ERR_UNSUPPORTED },
        { "{\"size\":100000}", "100000", CLIPCU_ERR_LIMIT },
        { "{\"crop_size\":336}", "image_size 224", CLIPCU_ERR_FORMAT },
        { "{\"crop_size\":{\"height\":224}}", "crop_size", CLIPCU_ERR_UNSUPPORTED },
        { "{\"image_std\":[0.2,0.2,0]}", "image_std", CLIPCU_ERR_FORMAT },
        { "{\"image_std\":[0.2,\"0.2\",0.1]}", "image_std", CLIPCU_ERR_FORMAT },
        { "{\"image_mean\":1e300}", "image_mean", CLIPCU_ERR_FORMAT },
        { "{\"do_normalize\":1}", "do_normalize", CLIPCU_ERR_FORMAT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_failure(PREPROCESSOR, cases[i].text, cases[i].status, cases[i].word);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_published_architectures),
        cmocka_unit_test(fills_in_defaults),
        cmocka_unit_test(legacy_objects_override),
        cmocka_unit_test(reads_single_towers),
        cmocka_unit_test(refuses_other_models_by_name),
        cmocka_unit_test(refuses_values_out_of_range),
        cmocka_unit_test(reads_open_clip),
        cmocka_unit_test(warns_of_open_clip_oddities),
        cmocka_unit_test(refuses_open_clip_features),
        cmocka_unit_test(refuses_broken_open_clip),
        cmocka_unit_test(reads_both_generations),
        cmocka_unit_test(warns_when_the_file_is_missing),
        cmocka_unit_test(refuses_other_preprocessing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
