/* Fuzz target: the JSON files that describe a model, checkpoint/config*.c.
 *
 *   h  config.json of Hugging Face
 *   o  open_clip_config.json
 *   p  preprocessor_config.json, beside an image tower of 224 pixels */
#include <cjson/cJSON.h>
#include <math.h>

#include "checkpoint/config.h"
#include "fuzz/fuzz.h"

#define NAME "dir/the_config.json"

static void count_warning(void *user, const char *text) {
    fuzz_expect(text[0] != '\0', "a warning says something");
    for (; *text != '\0'; text++) {
        fuzz_expect((unsigned char)*text >= 0x20 && *text != 0x7f, "a warning is one line");
    }
    *(int *)user += 1;
}

static void expect_tower(const ccu_tower_config *tower) {
    if (!tower->present) { return; }
    fuzz_expect(tower->layers >= 1 && tower->layers <= CCU_LAYERS_MAX, "layers");
    fuzz_expect(tower->width >= 1 && tower->width <= CCU_WIDTH_MAX, "width");
    fuzz_expect(tower->mlp >= 1 && tower->mlp <= CCU_MLP_MAX, "mlp");
    fuzz_expect(tower->heads >= 1 && tower->width % tower->heads == 0, "heads divide the width");
    fuzz_expect(isfinite(tower->eps) && tower->eps >= 0.0f, "eps");
}

/* What the towers and the preprocessing rely on. */
static void expect_config(const ccu_model_config *config) {
    expect_tower(&config->image);
    expect_tower(&config->text);
    fuzz_expect(config->embed_dim >= 1 && config->embed_dim <= CCU_EMBED_DIM_MAX, "embed_dim");
    if (config->image.present) {
        fuzz_expect(config->patch_size >= 1 && config->image_size >= config->patch_size &&
                        config->image_size <= CCU_IMAGE_SIZE_MAX,
                    "image_size and patch_size");
    }
    if (config->text.present) {
        fuzz_expect(config->vocab_size >= 1 && config->vocab_size <= CCU_VOCAB_MAX, "vocab_size");
        fuzz_expect(config->context_length >= 1 && config->context_length <= CCU_CONTEXT_MAX,
                    "context_length");
        fuzz_expect(config->eot_id >= -1 && config->eot_id < config->vocab_size, "eot_id");
    }
}

static void expect_preprocess(const ccu_model_config *config) {
    for (int c = 0; c < 3; c++) {
        fuzz_expect(isfinite(config->mean[c]), "mean is finite");
        fuzz_expect(isfinite(config->std[c]) && config->std[c] > 0.0f, "std is positive");
    }
    fuzz_expect(config->squash || config->resize_size >= config->image_size,
                "the crop lies inside the picture");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const int        kind     = fuzz_kind("hop", &data, &bytes);
    int              warnings = 0;
    const ccu_warner warner   = { .say = count_warning, .user = &warnings };
    ccu_model_config config   = { .image_size = 224, .patch_size = 32, .embed_dim = 512 };
    clipcu_error     error    = { .code = CLIPCU_OK };
    cJSON           *root     = NULL;
    clipcu_status    status   = ccu_json_parse(NAME, data, bytes, &root, &error);
    if (status == CLIPCU_OK && kind == 0) {
        status = ccu_config_huggingface(root, NAME, &config, &error);
    } else if (status == CLIPCU_OK && kind == 1) {
        status = ccu_config_open_clip(root, NAME, &warner, &config, &error);
    }
    if (status == CLIPCU_OK && kind != 2) { status = ccu_config_check(&config, NAME, &error); }
    if (status == CLIPCU_OK && kind != 2) { expect_config(&config); }
    if (status == CLIPCU_OK && kind == 2) {
        status = ccu_config_preprocessor(root, NAME, &warner, &config, &error);
    }
    if (status == CLIPCU_OK && (kind == 2 || config.image.present)) { expect_preprocess(&config); }
    fuzz_expect_status(status, &error, NAME);
    cJSON_Delete(root);
    return 0;
}
