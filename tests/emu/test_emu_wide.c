/* An image tower of ViT-B/32's sizes with random weights: the emulated CUDA backend in f16 and bf16
 * against the CPU backend in f32.
 *
 *     test_emu_wide LAYERS     2 in a few seconds; 12 is the whole tower */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_backend.h"
#include "model/weights.h"
#include "ops/cpu_backend.h"

enum { C = 768, MLP = 3072, S = 224, P = 32, T = 50, E = 512, LAYERS_MAX = 12, SHIFTS = 4096 };

typedef struct wide_model {
    ccu_checkpoint    checkpoint;
    ccu_block_tensors blocks[LAYERS_MAX];
    float            *small; /* 0 +- 0.04: weights, biases */
    float            *ones;  /* 1 +- 0.2: LayerNorm weights */
    size_t            shift; /* where the next tensor starts in them */
} wide_model;

static float uniform(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(*state >> 40) * 0x1p-23f - 1.0f;
}

/* Every tensor reads the same numbers from another place. */
static ccu_tensor tensor(wide_model *m, const float *from, int64_t rows, int64_t columns) {
    m->shift = (m->shift + 61) % SHIFTS;
    return (ccu_tensor){ .data = (const uint8_t *)(from + m->shift), .name = "random",
                         .dtype = CCU_F32, .rank = 2, .shape = { rows, columns, 1, 1 } };
}

static void fill_blocks(wide_model *m, int32_t layers) {
    for (int32_t i = 0; i < layers; i++) {
        ccu_block_tensors *block = &m->blocks[i];
        for (int32_t j = 0; j < 3; j++) {
            block->qkv_w[j] = tensor(m, m->small, C, C);
            block->qkv_b[j] = tensor(m, m->small, 1, C);
        }
        block->out_w = tensor(m, m->small, C, C);
        block->out_b = tensor(m, m->small, 1, C);
        block->fc1_w = tensor(m, m->small, MLP, C);
        block->fc1_b = tensor(m, m->small, 1, MLP);
        block->fc2_w = tensor(m, m->small, C, MLP);
        block->fc2_b = tensor(m, m->small, 1, C);
        block->ln1_w = tensor(m, m->ones, 1, C);
        block->ln1_b = tensor(m, m->small, 1, C);
        block->ln2_w = tensor(m, m->ones, 1, C);
        block->ln2_b = tensor(m, m->small, 1, C);
    }
}

static void make_model(wide_model *m, int32_t layers) {
    uint64_t     state = 42;
    const size_t small = (size_t)MLP * C + SHIFTS, ones = C + SHIFTS;
    memset(m, 0, sizeof *m);
    m->small = malloc(small * sizeof *m->small);
    m->ones  = malloc(ones * sizeof *m->ones);
    for (size_t i = 0; i < small; i++) { m->small[i] = 0.04f * uniform(&state); }
    for (size_t i = 0; i < ones; i++) { m->ones[i] = 1.0f + 0.2f * uniform(&state); }
    fill_blocks(m, layers);
    m->checkpoint.config = (ccu_model_config){
        .image = { .present = true, .layers = layers, .width = C, .heads = C / 64, .mlp = MLP,
                   .act = CCU_ACT_QUICK_GELU, .eps = 1e-5f },
        .image_size = S, .patch_size = P, .embed_dim = E,
        .mean = { 0.48145466f, 0.4578275f, 0.40821073f },
        .std = { 0.26862954f, 0.26130258f, 0.27577711f } };
    m->checkpoint.image = (ccu_image_tensors){
        .patch_w = tensor(m, m->small, C, 3 * P * P), .class_token = tensor(m, m->small, 1, C),
        .positions = tensor(m, m->small, T, C), .ln_pre_w = tensor(m, m->ones, 1, C),
        .ln_pre_b = tensor(m, m->small, 1, C), .blocks = m->blocks,
        .ln_post_w = tensor(m, m->ones, 1, C), .ln_post_b = tensor(m, m->small, 1, C),
        .proj = tensor(m, m->small, E, C) };
}

static void lay_out(ccu_image_tower *tower, ccu_backend *be, ccu_plan *plan) {
    ccu_image_weights_lay_out(tower, be, plan);
    ccu_image_tower_lay_out(tower, be, plan);
}

/* One picture's unit row (E). False, and a line, on failure. Closes the backend. */
static bool encode(const wide_model *m, ccu_backend *be, ccu_dtype dtype, const uint8_t *pixels,
                   float *unit) {
    ccu_image_tower tower = { .batch_max = 1 };
    clipcu_error    error = { 0 };
    ccu_plan        plan  = { 0 };
    void           *slab  = NULL;
    clipcu_status   status = ccu_image_weights_open(&m->checkpoint, dtype, &tower, &error);
    if (status == CLIPCU_OK) {
        lay_out(&tower, be, &plan);
        slab = be->ops->slab_alloc(be, plan.bytes);
        plan = (ccu_plan){ .base = slab };
        lay_out(&tower, be, &plan);
        status = ccu_image_weights_upload(&m->checkpoint, &tower, be, &error);
    }
    if (status == CLIPCU_OK) {
        ccu_image_tower_prepare(&tower, be);
        ccu_image_tower_run(&tower, be, pixels, CCU_PIXELS_U8, 1);
        be->ops->download(be, unit, tower.unit, E * sizeof *unit);
        status = be->ops->finish(be, &error);
    }
    if (status != CLIPCU_OK) { printf("FAILED: %s\n", error.text); }
    be->ops->slab_free(be, slab);
    ccu_image_weights_close(&tower);
    be->ops->close(be);
    return status == CLIPCU_OK;
}

static bool compare(const wide_model *m, ccu_dtype dtype, const uint8_t *pixels, const float *want,
                    double least) {
    ccu_backend *be = NULL;
    clipcu_error error = { 0 };
    float        unit[E];
    double       cosine = 0.0;
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) {
        printf("FAILED: %s\n", error.text);
        return false;
    }
    if (!encode(m, be, dtype, pixels, unit)) { return false; }
    for (int32_t i = 0; i < E; i++) { cosine += (double)unit[i] * (double)want[i]; }
    const bool good = cosine >= least;
    printf("%s%s: cosine %.7f with the CPU's f32, at least %.7g\n", good ? "" : "FAILED ",
           ccu_dtype_name(dtype), cosine, least);
    return good;
}

int main(int argc, char **argv) {
    static uint8_t pixels[S * S * 3];
    wide_model     m;
    float          want[E];
    clipcu_error   error  = { 0 };
    ccu_backend   *be     = NULL;
    uint64_t       state  = 7;
    const int32_t  layers = argc > 1 ? (int32_t)strtol(argv[1], NULL, 10) : 2;
    if (layers < 1 || layers > LAYERS_MAX) {
        printf("layers: 1 .. %d\n", LAYERS_MAX);
        return 1;
    }
    make_model(&m, layers);
    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = (uint8_t)(127.0f + 120.0f * sinf((float)i * 0.01f) + 8.0f * uniform(&state));
    }
    bool good = ccu_cpu_open(1, &be, &error) == CLIPCU_OK &&
                encode(&m, be, CCU_F32, pixels, want);
    good = good && compare(&m, CCU_F32, pixels, want, 0.9999999);
    good = good && compare(&m, CCU_F16, pixels, want, 0.9995);
    good = good && compare(&m, CCU_BF16, pixels, want, 0.999);
    free(m.small);
    free(m.ones);
    return good ? 0 : 1;
}
