/* See prompt_fixture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/prompt_fixture.h"

#define MODEL "hf_b32"

const char *const prompt_names[PROMPT_CLASSES] = { "dog", "cat", "dog_house", "kite (bird)", "cat",
                                     "a big red dog" };

const prompt_kind prompt_kinds[PROMPT_KINDS] = {
    { CLIPCU_POSITION_END, 4, false, false },   { CLIPCU_POSITION_MIDDLE, 3, false, false },
    { CLIPCU_POSITION_FRONT, 2, false, false }, { CLIPCU_POSITION_END, 1, true, false },
    { CLIPCU_POSITION_MIDDLE, 4, true, false }, { CLIPCU_POSITION_END, 4, false, true },
};

float prompt_number(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)(*state >> 8) / 8388608.0f - 1.0f;
}

void prompt_fixture_open(prompt_fixture *f, const char *folder, ccu_backend *be,
                         ccu_dtype dtype) {
    clipcu_error error;
    char         dir[512];
    (void)snprintf(dir, sizeof dir, "%s/%s", folder, MODEL);
    *f        = (prompt_fixture){ .golden = golden_open(folder, MODEL) };
    f->towers = be == NULL ? golden_towers_open(&f->golden, folder, dtype)
                           : golden_towers_open_on(be, &f->golden, folder, dtype);
    if (ccu_tokenizer_open(dir, CLIPCU_TOKENIZER_OPENAI, &f->tokenizer, &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
    f->C       = f->towers->text.trunk.C;
    f->E       = f->towers->text.E;
    f->encoder = (ccu_text_encoder){ .be = f->towers->be, .tower = &f->towers->text,
                                     .tokenizer = f->tokenizer,
                                     .eot_id = ccu_tokenizer_eot(f->tokenizer) };
}

void prompt_fixture_close(prompt_fixture *f) {
    ccu_prompt_free(&f->list);
    ccu_tokenizer_close(f->tokenizer);
    golden_towers_close(f->towers);
    golden_close(&f->golden);
    free(f->context);
    free(f->dcontext);
    free(f->x);
}

void prompt_fixture_prompts(prompt_fixture *f, const prompt_kind *k, size_t memory_max) {
    clipcu_error  error;
    uint32_t      seed   = 5;
    const int32_t images = k->own_banks ? PROMPT_IMAGES : 1;
    f->M                 = k->M;
    f->contexts          = k->M * (k->class_specific ? PROMPT_CLASSES : images);
    for (int32_t b = 0; b < images; b++) {
        for (int32_t c = 0; c < PROMPT_CLASSES; c++) {
            const int32_t first = k->class_specific ? c * k->M : b * k->M;
            if (ccu_layout_add(&f->list, &f->encoder, prompt_names[c], k->position, k->M, first,
                               &error) != CLIPCU_OK) {
                fail_msg("%s", error.text);
            }
        }
    }
    const size_t numbers = (size_t)f->contexts * (size_t)f->C;
    f->context  = malloc(numbers * sizeof *f->context);
    f->dcontext = malloc(numbers * sizeof *f->dcontext);
    f->x        = malloc((size_t)PROMPT_IMAGES * (size_t)f->E * sizeof *f->x);
    for (size_t i = 0; i < numbers; i++) { f->context[i] = 0.05f * prompt_number(&seed); }
    for (int32_t b = 0; b < PROMPT_IMAGES; b++) {
        float *row    = f->x + (size_t)b * (size_t)f->E;
        double square = 0.0;
        for (int32_t e = 0; e < f->E; e++) {
            row[e] = prompt_number(&seed);
            square += (double)row[e] * row[e];
        }
        for (int32_t e = 0; e < f->E; e++) { row[e] /= (float)sqrt(square); }
        f->label[b] = (b * 2 + 1) % PROMPT_CLASSES;
    }
    const ccu_prompts     prompts = { f->list.ids, f->list.first, f->list.count };
    const ccu_prompt_plan plan    = { .prompts = &prompts, .K = PROMPT_CLASSES,
                                      .contexts_max = f->contexts, .images_max = PROMPT_IMAGES,
                                      .own_banks = k->own_banks,
                                      .memory_max = memory_max };
    if (ccu_prompt_tower_open(&f->pt, f->towers->be, &f->towers->text, &f->towers->checkpoint,
                              &plan, &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
}

double prompt_fixture_step(prompt_fixture *f) {
    clipcu_error          error;
    double                mean = 0.0;
    const ccu_prompt_step s    = { .context = f->context, .x = f->x, .label = f->label,
                                   .loss = f->loss, .best = f->best, .dcontext = f->dcontext,
                                   .scale = 20.0f, .images = PROMPT_IMAGES,
                                   .contexts = f->contexts };
    if (ccu_prompt_tower_step(&f->pt, &s, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    for (int32_t b = 0; b < PROMPT_IMAGES; b++) {
        mean += (double)f->loss[b] / PROMPT_IMAGES;
        assert_in_range(f->best[b], 0, PROMPT_CLASSES - 1);
    }
    return mean;
}

