/* Weights that are damaged where no header shows it: opening a model says which tensor of which
 * file, and whoever changes or cuts the file of an open model does it no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/safetensors.h"
#include "support/st_dir.h"

#define GOLDEN CLIPCU_SOURCE_DIR "/tests/golden/"

/* A model in a temporary folder, its weights also in memory. */
typedef struct fixture {
    st_dir   dir;
    uint8_t *weights;
    size_t   bytes;
} fixture;

static uint8_t *read_golden(const char *model, const char *name, size_t *bytes) {
    char         path[512];
    uint8_t     *data = NULL;
    clipcu_error error;
    (void)snprintf(path, sizeof path, GOLDEN "%s/%s", model, name);
    if (!ccu_file_exists(path)) { return NULL; }
    if (ccu_file_read(path, SIZE_MAX - 1, &data, bytes, &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
    return data;
}

static void copy_model(fixture *f, const char *model) {
    static const char *const names[] = { "config.json", "preprocessor_config.json", "merges.txt",
                                         "vocab.json", "tokenizer.json" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t   bytes = 0;
        uint8_t *data  = read_golden(model, names[i], &bytes);
        if (data != NULL) { st_dir_write(&f->dir, names[i], data, bytes); }
        ccu_free(data);
    }
    ccu_free(f->weights);
    f->weights = read_golden(model, "model.safetensors", &f->bytes);
    assert_non_null(f->weights);
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    if (f == NULL) { return -1; }
    st_dir_make(&f->dir);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    ccu_free(f->weights);
    st_dir_remove(&f->dir);
    free(f);
    return 0;
}

static clipcu_status open_model(const fixture *f, clipcu_engine **engine, clipcu_error *error) {
    clipcu_options options = clipcu_options_default();
    options.device         = CLIPCU_DEVICE_CPU;
    options.threads        = 1;
    options.batch_max      = 2;
    return clipcu_open(f->dir.path, &options, engine, error);
}

/* ---- Numbers that are none ------------------------------------------------------------------ */

/* The bits of an infinity or NaN over one element, at each end and in the middle of every tensor:
 * refused by name; put right again, opened. */
static void poison(fixture *f, const ccu_st_entry *entry, uint32_t bits, size_t size) {
    const size_t count = entry->bytes / size;
    const size_t at[]  = { 0, count / 2, count - 1 };
    for (size_t i = 0; i < 3; i++) {
        uint8_t       *place = f->weights + entry->offset + at[i] * size;
        uint8_t        kept[4];
        clipcu_engine *engine = NULL;
        clipcu_error   error;
        memcpy(kept, place, size);
        for (size_t b = 0; b < size; b++) { place[b] = (uint8_t)(bits >> (8 * b)); }
        st_dir_write(&f->dir, "model.safetensors", f->weights, f->bytes);
        memcpy(place, kept, size);
        assert_int_equal(open_model(f, &engine, &error), CLIPCU_ERR_FORMAT);
        assert_null(engine);
        assert_non_null(strstr(error.text, "model.safetensors: tensor "));
        assert_non_null(strstr(error.text, entry->name));
    }
}

static void poison_all(fixture *f, const char *model, const char *dtype, uint32_t bits) {
    ccu_st_file   *file   = NULL;
    clipcu_engine *engine = NULL;
    clipcu_error   error;
    char           path[512];
    int            poisoned = 0;
    copy_model(f, model);
    (void)snprintf(path, sizeof path, GOLDEN "%s/model.safetensors", model);
    assert_int_equal(ccu_st_open(path, &file, &error), CLIPCU_OK);
    for (int32_t i = 0; i < ccu_st_count(file); i++) {
        const ccu_st_entry *entry = ccu_st_at(file, i);
        if (strcmp(entry->dtype, dtype) != 0) { continue; }
        if (strcmp(entry->name, "logit_scale") == 0) { continue; } /* has a check of its own */
        poison(f, entry, bits, strcmp(dtype, "F32") == 0 ? 4 : 2);
        poisoned++;
    }
    ccu_st_close(file);
    assert_true(poisoned > 20);
    /* All of it was put back: nothing but the poison was refused. */
    st_dir_write(&f->dir, "model.safetensors", f->weights, f->bytes);
    if (open_model(f, &engine, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    clipcu_close(engine);
}

static void no_numbers_are_refused(void **state) {
    poison_all(*state, "hf_b32", "F16", 0x7c00u);     /* infinity */
    poison_all(*state, "hf_h14", "F32", 0xffc00000u); /* -NaN */
    poison_all(*state, "hf_l14", "BF16", 0x7f81u);    /* a signalling NaN */
    poison_all(*state, "hf_h14", "F16", 0xfc00u);     /* -infinity */
}

/* ---- Files that change ---------------------------------------------------------------------- */

/* What an engine needs of its files it has read when it is open. */
static void an_open_model_needs_no_files(void **state) {
    fixture       *f      = *state;
    clipcu_engine *engine = NULL;
    clipcu_error   error;
    char           path[512];
    const char    *text[] = { "a photo of a cat" };
    copy_model(f, "hf_b32");
    st_dir_write(&f->dir, "model.safetensors", f->weights, f->bytes);
    assert_int_equal(open_model(f, &engine, &error), CLIPCU_OK);
    const size_t width  = (size_t)clipcu_engine_info(engine).embed_dim;
    float       *before = calloc(2 * width, sizeof *before);
    assert_non_null(before);
    assert_int_equal(clipcu_encode_texts(engine, text, 1, before, &error), CLIPCU_OK);
    assert_int_equal(truncate(st_dir_join(&f->dir, "model.safetensors", path), 100), 0);
    assert_int_equal(truncate(st_dir_join(&f->dir, "vocab.json", path), 0), 0);
    st_dir_empty(&f->dir);
    assert_int_equal(clipcu_encode_texts(engine, text, 1, before + width, &error), CLIPCU_OK);
    assert_memory_equal(before, before + width, width * sizeof *before);
    free(before);
    clipcu_close(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_numbers_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_open_model_needs_no_files, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
