/* Whole image towers with random weights: the model's own code, its graphs included. The weights
 * come through the same upload as a checkpoint's, from tensors that all read one random buffer. */
#include <string.h>

#include "gpu_bench.h"
#include "model/weights.h"

#define BLOCKS_MAX 64

typedef struct tower_work {
    ccu_image_tower *tower;
    const void      *pixels;
    size_t           pixels_bytes;
    int32_t          batch;
} tower_work;

/* From the start of the buffer, or a little on, so that tensors differ. */
static ccu_tensor view(const float *random, size_t offset, int64_t rows, int64_t columns) {
    return (ccu_tensor){ .data = (const uint8_t *)(random + offset), .name = "random",
                         .dtype = CCU_F32, .rank = 2, .shape = { rows, columns, 1, 1 } };
}

static void fill_blocks(ccu_block_tensors *blocks, const bench_tower *t, const float *random) {
    const int64_t C = t->C, mlp = t->mlp;
    for (int32_t i = 0; i < t->layers; i++) {
        ccu_block_tensors *block = &blocks[i];
        const size_t       at    = (size_t)i * 61;
        block->ln1_w = block->ln2_w = view(random, at, 1, C);
        block->ln1_b = block->ln2_b = view(random, at + 3, 1, C);
        for (size_t j = 0; j < 3; j++) {
            block->qkv_w[j] = view(random, at + j * 7, C, C);
            block->qkv_b[j] = view(random, at + j * 5, 1, C);
        }
        block->out_w = view(random, at + 23, C, C);
        block->out_b = view(random, at + 29, 1, C);
        block->fc1_w = view(random, at + 31, mlp, C);
        block->fc1_b = view(random, at + 37, 1, mlp);
        block->fc2_w = view(random, at + 41, C, mlp);
        block->fc2_b = view(random, at + 43, 1, C);
    }
}

static ccu_checkpoint random_checkpoint(const bench_tower *t, ccu_block_tensors *blocks,
                                        const float *random) {
    const int64_t  C = t->C;
    ccu_checkpoint c = { .config = { .image = { .present = true, .layers = t->layers,
                                                .width = t->C, .heads = t->H, .mlp = t->mlp,
                                                .act = t->act, .eps = 1e-5f },
                                     .image_size = t->S, .patch_size = t->P, .embed_dim = t->E,
                                     .mean = { 0.48145466f, 0.4578275f, 0.40821073f },
                                     .std = { 0.26862954f, 0.26130258f, 0.27577711f } } };
    fill_blocks(blocks, t, random);
    c.image = (ccu_image_tensors){ .patch_w = view(random, 0, C, 3 * t->P * t->P),
                                   .class_token = view(random, 11, 1, C),
                                   .positions = view(random, 13, bench_tokens(t), C),
                                   .ln_pre_w = view(random, 17, 1, C),
                                   .ln_pre_b = view(random, 19, 1, C), .blocks = blocks,
                                   .ln_post_w = view(random, 23, 1, C),
                                   .ln_post_b = view(random, 29, 1, C),
                                   .proj = view(random, 31, t->E, C) };
    return c;
}

static void run_tower(bench *b, void *user, int32_t round) {
    const tower_work *w  = user;
    const uint8_t    *at = (const uint8_t *)w->pixels + (size_t)(round % 2) * w->pixels_bytes;
    ccu_image_tower_run_device(w->tower, b->be, at, CCU_PIXELS_U8, w->batch);
}

/* Multiply-adds times two, as the towers compute them: the last block's class rows alone. */
static double tower_flop(const bench_tower *t) {
    const double C = t->C, T = bench_tokens(t), mlp = t->mlp, K = 3.0 * t->P * t->P;
    const double full = 2.0 * T * C * (4.0 * C + 2.0 * mlp) + 4.0 * T * T * C;
    const double last = 2.0 * T * C * 2.0 * C + 2.0 * C * (2.0 * C + 2.0 * mlp) + 4.0 * T * C;
    return 2.0 * (T - 1.0) * C * K + (t->layers - 1) * full + last + 2.0 * C * t->E;
}

static void *open_slab(bench *b, ccu_image_tower *tower) {
    ccu_plan plan = { 0 };
    ccu_image_weights_lay_out(tower, b->be, &plan);
    ccu_image_tower_lay_out(tower, b->be, &plan);
    void *slab = b->be->ops->slab_alloc(b->be, plan.bytes);
    plan       = (ccu_plan){ .base = slab };
    if (slab != NULL) {
        ccu_image_weights_lay_out(tower, b->be, &plan);
        ccu_image_tower_lay_out(tower, b->be, &plan);
    }
    return slab;
}

static void measure(bench *b, const bench_tower *t, ccu_image_tower *tower) {
    const int32_t batches[] = { 1, 8, 32, 64, 256 };
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        const int32_t batch = batches[i];
        tower_work    w     = { .tower = tower, .batch = batch };
        bench_row     row   = { .op = "tower", .tower = t->name, .part = "image", .way = "clipcu",
                                .batch = batch, .dtype = b->dtype, .flop = tower_flop(t) * batch,
                                .images = batch };
        if (batch > tower->batch_max) { continue; }
        w.pixels_bytes = (size_t)batch * 3 * (size_t)t->S * (size_t)t->S;
        w.pixels       = b->pool; /* any bytes are pixels */
        if (bench_measure(b, run_tower, &w, &row.time)) {
            bench_report(b, &row);
        } else {
            bench_report_missing(b, &row, "failed");
        }
    }
}

void bench_tower_run(bench *b, const bench_tower *t) {
    ccu_block_tensors blocks[BLOCKS_MAX];
    ccu_image_tower   tower = { .batch_max = b->tiny ? 1 : 256 };
    clipcu_error      error = { 0 };
    void             *slab  = NULL;
    size_t most = (size_t)t->C * (size_t)(t->mlp > 3 * t->P * t->P ? t->mlp : 3 * t->P * t->P);
    if (most < (size_t)bench_tokens(t) * (size_t)t->C) {
        most = (size_t)bench_tokens(t) * (size_t)t->C;
    }
    float *random = bench_host_random(most + 61 * BLOCKS_MAX + 64, 0.02f);
    memset(blocks, 0, sizeof blocks);
    clipcu_status status = CLIPCU_ERR_NOMEM;
    if (random != NULL && t->layers <= BLOCKS_MAX) {
        const ccu_checkpoint checkpoint = random_checkpoint(t, blocks, random);
        status = ccu_image_weights_open(&checkpoint, b->dtype, &tower, &error);
        if (status == CLIPCU_OK) { slab = open_slab(b, &tower); }
        if (status == CLIPCU_OK && slab != NULL) {
            status = ccu_image_weights_upload(&checkpoint, &tower, b->be, &error);
            ccu_image_tower_prepare(&tower, b->be);
        }
        const clipcu_status finished = b->be->ops->finish(b->be, &error);
        if (status == CLIPCU_OK) { status = slab == NULL ? CLIPCU_ERR_NOMEM : finished; }
    }
    if (status == CLIPCU_OK) {
        measure(b, t, &tower);
    } else {
        const bench_row row = { .op = "tower", .tower = t->name, .part = "image", .way = "clipcu",
                                .dtype = b->dtype };
        printf("%s\n", error.text);
        bench_report_missing(b, &row, "does not open");
    }
    if (slab != NULL) { b->be->ops->slab_free(b->be, slab); }
    ccu_image_weights_close(&tower);
    bench_host_free(random);
}
