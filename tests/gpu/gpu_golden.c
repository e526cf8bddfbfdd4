/* Both towers of the small golden models on the device, end to end: stored pixels and token ids to
 * unit rows, against what the reference implementation gave (tests/golden/make_golden.py).
 *
 *     gpu_golden FOLDER MODEL...
 *
 * The blocks between are watched by the CPU's tests; here it is the backend's turn. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/safetensors.h"
#include "cuda_backend.h"
#include "model/weights.h"
#include "support/golden_compare.h"

#define BATCH_MAX 4
#define ROWS_MAX 256
#define PROMPTS_MAX 16
#define TOLERANCE_F32 2e-6 /* of unit rows, times sqrt(blocks): as tests/support/golden_towers.c */

typedef struct check {
    const char     *model;
    ccu_st_file    *golden;
    ccu_map         map; /* of the golden file */
    ccu_checkpoint  checkpoint;
    ccu_backend    *be;
    ccu_dtype       dtype;
    ccu_image_tower image;
    ccu_text_tower  text;
    void           *slab;
    golden_verdict  verdict;
} check;

static void lay_out(check *c, ccu_plan *plan) {
    if (c->checkpoint.config.image.present) {
        ccu_image_weights_lay_out(&c->image, c->be, plan);
        ccu_image_tower_lay_out(&c->image, c->be, plan);
    }
    if (c->checkpoint.config.text.present) {
        ccu_text_weights_lay_out(&c->text, c->be, plan);
        ccu_text_tower_lay_out(&c->text, plan);
    }
}

static clipcu_status open_slab(check *c, clipcu_error *error) {
    ccu_plan plan = { 0 };
    lay_out(c, &plan);
    c->slab = c->be->ops->slab_alloc(c->be, plan.bytes);
    if (c->slab == NULL) { return c->be->ops->finish(c->be, error); }
    plan = (ccu_plan){ .base = c->slab };
    lay_out(c, &plan);
    return CLIPCU_OK;
}

static clipcu_status open_towers(check *c, clipcu_error *error) {
    const ccu_model_config *config = &c->checkpoint.config;
    clipcu_status           status = CLIPCU_OK;
    if (config->image.present) {
        c->image.batch_max = BATCH_MAX;
        status = ccu_image_weights_open(&c->checkpoint, c->dtype, &c->image, error);
    }
    if (status == CLIPCU_OK && config->text.present) {
        c->text.rows_max = ROWS_MAX;
        status = ccu_text_weights_open(&c->checkpoint, c->dtype, &c->text, error);
        if (status == CLIPCU_OK) { status = ccu_text_tower_open_trie(&c->text, error); }
    }
    if (status == CLIPCU_OK) { status = open_slab(c, error); }
    if (status == CLIPCU_OK && config->image.present) {
        status = ccu_image_weights_upload(&c->checkpoint, &c->image, c->be, error);
        ccu_image_tower_prepare(&c->image, c->be);
    }
    if (status == CLIPCU_OK && config->text.present) {
        status = ccu_text_weights_upload(&c->checkpoint, &c->text, c->be, error);
    }
    return status == CLIPCU_OK ? c->be->ops->finish(c->be, error) : status;
}

static const void *golden(const check *c, const char *name) {
    const ccu_st_entry *entry = ccu_st_find(c->golden, name);
    return entry == NULL ? NULL : c->map.data + entry->offset;
}

/* got and want: row 0 of E numbers each. */
static void compare(check *c, const char *name, const float *got, const float *want, int32_t E,
                    int32_t layers) {
    if (c->dtype == CCU_F32) {
        golden_within(&c->verdict, name, got, want, (size_t)E,
                      TOLERANCE_F32 * sqrt((double)layers));
    }
    golden_cosine(&c->verdict, name, got, want, 1, E, c->dtype == CCU_F32 ? 0.999999 : 0.999);
}

/* Twice and a third time: as it is, recorded, replayed. */
static clipcu_status check_images(check *c, clipcu_error *error) {
    const void  *pixels = golden(c, "pixels");
    const float *want   = golden(c, "image.unit");
    const size_t row    = (size_t)c->image.E;
    float       *unit   = calloc(BATCH_MAX * row, sizeof *unit);
    if (pixels == NULL || want == NULL || unit == NULL) {
        free(unit);
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: no pixels in the golden file", c->model);
    }
    const int32_t B      = (int32_t)ccu_st_find(c->golden, "pixels")->shape[0];
    clipcu_status status = CLIPCU_OK;
    for (int32_t pass = 0; pass < 3 && status == CLIPCU_OK; pass++) {
        ccu_image_tower_run(&c->image, c->be, pixels, CCU_PIXELS_U8, B);
        c->be->ops->download(c->be, unit, c->image.unit, (size_t)B * row * sizeof *unit);
        status = c->be->ops->finish(c->be, error);
        for (int32_t b = 0; b < B && status == CLIPCU_OK; b++) {
            compare(c, "image.unit", unit + (size_t)b * row, want + (size_t)b * row, c->image.E,
                    c->image.trunk.layers);
        }
    }
    free(unit);
    return status;
}

static clipcu_status check_texts(check *c, clipcu_error *error) {
    const int32_t *ids = golden(c, "ids"), *first = golden(c, "first");
    const float   *want = golden(c, "text.unit");
    const size_t   row  = (size_t)c->text.E;
    float         *unit = calloc(PROMPTS_MAX * row, sizeof *unit);
    int32_t        order[PROMPTS_MAX], scratch[PROMPTS_MAX];
    size_t         at[PROMPTS_MAX + 1];
    if (ids == NULL || first == NULL || want == NULL || unit == NULL) {
        free(unit);
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: no texts in the golden file", c->model);
    }
    const int32_t count = (int32_t)ccu_st_find(c->golden, "first")->shape[0] - 1;
    for (int32_t i = 0; i <= count && i <= PROMPTS_MAX; i++) { at[i] = (size_t)first[i]; }
    const ccu_prompts prompts = { .ids = ids, .first = at, .count = count };
    clipcu_status     status  = CLIPCU_OK;
    ccu_trie_sort(&prompts, order, scratch);
    for (int32_t from = 0; from < count && status == CLIPCU_OK;) {
        const int32_t packed = ccu_text_tower_run(&c->text, c->be, &prompts, order, from);
        c->be->ops->download(c->be, unit, c->text.unit, (size_t)packed * row * sizeof *unit);
        status = c->be->ops->finish(c->be, error);
        for (int32_t i = 0; i < packed && status == CLIPCU_OK; i++) {
            compare(c, "text.unit", unit + (size_t)i * row,
                    want + (size_t)order[from + i] * row, c->text.E, c->text.trunk.layers);
        }
        from += packed;
    }
    free(unit);
    return status;
}

static void close_check(check *c) {
    if (c->slab != NULL) { c->be->ops->slab_free(c->be, c->slab); }
    ccu_text_tower_close_trie(&c->text);
    ccu_text_weights_close(&c->text);
    ccu_image_weights_close(&c->image);
    if (c->be != NULL) { c->be->ops->close(c->be); }
    ccu_checkpoint_close(&c->checkpoint);
    ccu_map_close(&c->map);
    ccu_st_close(c->golden);
}

/* Failed comparisons, or 1 if the model does not run. */
static int32_t run(const char *folder, const char *model, ccu_dtype dtype) {
    check         c     = { .model = model, .dtype = dtype,
                            .verdict = { .model = model, .cosine = 1.0 } };
    clipcu_error  error = { 0 };
    char          path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, model);
    clipcu_status status = ccu_checkpoint_open(path, NULL, NULL, &c.checkpoint, &error);
    (void)snprintf(path, sizeof path, "%s/%s.golden.safetensors", folder, model);
    if (status == CLIPCU_OK) { status = ccu_st_open(path, &c.golden, &error); }
    if (status == CLIPCU_OK) { status = ccu_file_map(ccu_st_storage(c.golden), &c.map, &error); }
    if (status == CLIPCU_OK) { status = ccu_cuda_open(0, NULL, &c.be, &error); }
    if (status == CLIPCU_OK) { status = open_towers(&c, &error); }
    if (status == CLIPCU_OK && c.checkpoint.config.image.present) {
        status = check_images(&c, &error);
    }
    if (status == CLIPCU_OK && c.checkpoint.config.text.present) {
        status = check_texts(&c, &error);
    }
    printf("%s %s: %d comparisons, %d failed, smallest cosine %.7f%s%s\n", model,
           ccu_dtype_name(dtype), c.verdict.compared, c.verdict.failed, c.verdict.cosine,
           status == CLIPCU_OK ? "" : ": ", status == CLIPCU_OK ? "" : error.text);
    const int32_t failed = c.verdict.failed + (status != CLIPCU_OK || c.verdict.compared == 0);
    close_check(&c);
    return failed;
}

int main(int argc, char **argv) {
    const ccu_dtype dtypes[] = { CCU_F32, CCU_BF16, CCU_F16 };
    int32_t         failed   = argc < 3;
    for (int i = 2; i < argc; i++) {
        for (size_t d = 0; d < 3; d++) { failed += run(argv[1], argv[i], dtypes[d]); }
    }
    if (argc < 3) { (void)fprintf(stderr, "usage: %s FOLDER MODEL...\n", argv[0]); }
    return failed != 0;
}
