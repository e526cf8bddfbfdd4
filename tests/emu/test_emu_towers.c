/* clipcu's towers on the CUDA backend under the emulator, watched block by block against what the
 * reference implementation gave, and a class bank of their texts.
 *
 *     test_emu_towers FOLDER [MODEL...]    FOLDER: tests/golden; all small models without names
 *
 * f32 within a multiple of the CPU backend's tolerances, f16 and bf16 by cosine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda_backend.h"
#include "reference/reference.h"
#include "support/golden_towers.h"

static const char *const models[] = { "hf_b32",   "hf_b16",   "hf_l14",  "hf_h14", "hf_bigg14",
                                      "hf_tiny16", "hf_image", "hf_text", "oc_g14", "oc_squash14" };

#define MODELS_COUNT (sizeof models / sizeof models[0])

/* The CPU adds runs of 256 products, the device all of a patch's 3072 in one chain: errors that add
 * up like independent ones are sqrt(3072 / 256) times as large. */
#define SLACK 3.5

static golden_towers *open_towers(const golden_file *golden, const char *folder, ccu_dtype dtype) {
    ccu_backend *be    = NULL;
    clipcu_error error = { 0 };
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    golden_towers *towers = golden_towers_open_on(be, golden, folder, dtype);
    towers->slack         = SLACK;
    return towers;
}

/* The pictures' rows against the last chunk's text rows as a bank: indices and probabilities. Rows
 * lie in host memory here, so the reference reads them where they are. */
static void check_bank(golden_towers *towers, int32_t B) {
    ccu_backend    *be    = towers->be;
    const int32_t   K     = towers->text.trie.leaves;
    const size_t    count = (size_t)B * (size_t)K;
    clipcu_error    error = { 0 };
    ccu_scores_topk op    = { .x = towers->image.unit, .bank = towers->text.unit, .scale = 100,
                              .B = B, .K = K, .E = towers->image.E, .top = K };
    const size_t    bytes = be->ops->scores_topk_scratch(be, &op);
    int32_t        *want  = calloc(count, sizeof *want);
    double         *cosine = calloc(count, sizeof *cosine), *p = calloc(count, sizeof *p);
    assert_true(bytes > 0 && want != NULL && cosine != NULL && p != NULL);
    op.scratch     = be->ops->slab_alloc(be, bytes);
    op.index       = be->ops->slab_alloc(be, count * sizeof *op.index);
    op.cosine      = be->ops->slab_alloc(be, count * sizeof *op.cosine);
    op.probability = be->ops->slab_alloc(be, count * sizeof *op.probability);
    be->ops->scores_topk(be, &op);
    if (be->ops->finish(be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    ref_scores_topk(&op, want, cosine, p);
    for (size_t i = 0; i < count; i++) {
        assert_true(fabs(op.cosine[i] - cosine[i]) <= 1e-6);
        assert_true(fabs(op.probability[i] - p[i]) <= 1e-4);
    }
    be->ops->slab_free(be, op.scratch);
    be->ops->slab_free(be, op.index);
    be->ops->slab_free(be, op.cosine);
    be->ops->slab_free(be, op.probability);
    free(want);
    free(cosine);
    free(p);
}

static void check_model(const char *folder, const char *model, ccu_dtype dtype) {
    golden_file    golden  = golden_open(folder, model);
    golden_towers *towers  = open_towers(&golden, folder, dtype);
    golden_verdict verdict = { .model = model, .cosine = 1.0 };
    const bool     image   = towers->checkpoint.config.image.present;
    const bool     text    = towers->checkpoint.config.text.present;
    if (image) { golden_check_images(towers, NULL, &verdict); }
    if (text) { golden_check_texts(towers, &verdict); }
    if (image && text) {
        check_bank(towers, (int32_t)golden_get(&golden, "pixels", "U8").shape[0]);
    }
    printf("%-12s %-4s %d tensors, largest error %.2f of its tolerance, smallest cosine %.7f\n",
           model, ccu_dtype_name(dtype), verdict.compared, verdict.worst, verdict.cosine);
    golden_towers_close(towers);
    golden_close(&golden);
    assert_int_equal(verdict.failed, 0);
}

typedef struct task {
    const char *folder, *model;
} task;

static void towers_agree(void **state) {
    const task     *t        = *state;
    const ccu_dtype dtypes[] = { CCU_F32, CCU_BF16, CCU_F16 };
    for (int i = 0; i < 3; i++) { check_model(t->folder, t->model, dtypes[i]); }
}

int main(int argc, char **argv) {
    struct CMUnitTest tests[MODELS_COUNT];
    task              tasks[MODELS_COUNT];
    size_t            count = 0;
    if (argc < 2 || argc - 2 > (int)MODELS_COUNT) {
        printf("test_emu_towers FOLDER [MODEL...]\n");
        return 2;
    }
    const size_t wanted = argc > 2 ? (size_t)argc - 2 : MODELS_COUNT;
    for (; count < wanted; count++) {
        tasks[count] = (task){ argv[1], argc > 2 ? argv[count + 2] : models[count] };
        tests[count] = (struct CMUnitTest)cmocka_unit_test_prestate(towers_agree, &tasks[count]);
        tests[count].name = tasks[count].model;
    }
    return _cmocka_run_group_tests("towers", tests, count, NULL, NULL);
}
