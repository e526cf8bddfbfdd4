/* Every allocation of opening and using a model fails in turn: the call says NOMEM, leaks nothing,
 * leaves its outputs NULL, and works again on the same engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "hostile/sweep.h"

#define GOLDEN CLIPCU_SOURCE_DIR "/tests/golden/"
#define PHOTO CLIPCU_SOURCE_DIR "/tests/data/emoji/octopus.png"
#define TEXTS 3
#define WIDTH_MAX 4096

static const char *const texts[TEXTS] = { "a photo of a cat", "a photo of a dog", "boats" };

typedef struct fixture {
    clipcu_engine *engine;
    clipcu_bank   *bank, *other; /* two, so that ranking loads one anew each time */
    uint8_t       *pixels;       /* (2, S, S, 3) */
    char           path[256];    /* of a saved bank */
} fixture;

static clipcu_options options_of(void) {
    clipcu_options options = clipcu_options_default();
    options.device         = CLIPCU_DEVICE_CPU;
    options.threads        = 2;
    options.batch_max      = 2;
    return options;
}

/* ---- Open ----------------------------------------------------------------------------------- */

static clipcu_status open_and_close(void *model, clipcu_error *error) {
    const clipcu_options options = options_of();
    clipcu_engine       *engine  = NULL;
    const clipcu_status  status  = clipcu_open(model, &options, &engine, error);
    assert_true((status == CLIPCU_OK) == (engine != NULL));
    clipcu_close(engine);
    return status;
}

static void sweep_open(const char *name, heap_who who) {
    char path[512];
    (void)snprintf(path, sizeof path, GOLDEN "%s", name);
    const sweep s = { .name = name, .work = open_and_close, .fixture = path, .may_be_io = true };
    sweep_run(&s, who);
}

static void opening(void **state) {
    (void)state;
    sweep_open("hf_b32", HEAP_OURS);    /* Hugging Face; vocab.json and merges.txt */
    sweep_open("hf_h14", HEAP_OURS);    /* tokenizer.json */
    sweep_open("hf_bigg14", HEAP_OURS); /* sharded */
    sweep_open("oc_g14", HEAP_OURS);    /* open_clip */
}

static void opening_with_libraries(void **state) {
    (void)state;
    sweep_open("hf_b32", HEAP_ALL);
    sweep_open("hf_h14", HEAP_ALL);
    sweep_open("hf_bigg14", HEAP_ALL);
    sweep_open("oc_g14", HEAP_ALL);
}

/* ---- Use ------------------------------------------------------------------------------------ */

static int set_up(void **state) {
    fixture             *f       = calloc(1, sizeof *f);
    const clipcu_options options = options_of();
    clipcu_error         error;
    if (clipcu_open(GOLDEN "hf_b32", &options, &f->engine, &error) != CLIPCU_OK ||
        clipcu_bank_build(f->engine, texts, 2, NULL, 0, &f->bank, &error) != CLIPCU_OK ||
        clipcu_bank_build(f->engine, texts, 3, NULL, 0, &f->other, &error) != CLIPCU_OK) {
        print_message("%s\n", error.text);
        return 1;
    }
    const size_t side = (size_t)clipcu_engine_info(f->engine).image_size;
    f->pixels         = calloc(2 * side * side, 3);
    (void)snprintf(f->path, sizeof f->path, "/tmp/clipcu-memory-%ld.safetensors", (long)getpid());
    if (clipcu_bank_save(f->bank, f->path, &error) != CLIPCU_OK) { return 1; }
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    (void)unlink(f->path);
    clipcu_bank_close(f->bank);
    clipcu_bank_close(f->other);
    clipcu_close(f->engine);
    free(f->pixels);
    free(f);
    return 0;
}

static clipcu_status encode_images(void *context, clipcu_error *error) {
    fixture            *f = context;
    float               rows[2 * WIDTH_MAX];
    const clipcu_status status = clipcu_encode_images(f->engine, f->pixels, 1, rows, error);
    return status == CLIPCU_OK ? clipcu_encode_images(f->engine, f->pixels, 2, rows, error)
                               : status;
}

static clipcu_status encode_texts(void *context, clipcu_error *error) {
    fixture *f = context;
    float    rows[TEXTS * WIDTH_MAX];
    return clipcu_encode_texts(f->engine, texts, TEXTS, rows, error);
}

static clipcu_status classify(void *context, clipcu_error *error) {
    fixture            *f = context;
    clipcu_match        best;
    const clipcu_status status = clipcu_classify_file(f->engine, f->bank, PHOTO, 1, &best, error);
    if (status != CLIPCU_OK) { return status; }
    return clipcu_classify_file(f->engine, f->other, PHOTO, 1, &best, error);
}

static clipcu_status build(void *context, clipcu_error *error) {
    static const char *const templates[] = { "a {}", "the {}." };
    fixture                 *f           = context;
    clipcu_bank             *bank        = NULL;
    const clipcu_status      status =
        clipcu_bank_build(f->engine, texts, TEXTS, templates, 2, &bank, error);
    assert_true((status == CLIPCU_OK) == (bank != NULL));
    clipcu_bank_close(bank);
    return status;
}

static clipcu_status save(void *context, clipcu_error *error) {
    fixture *f = context;
    char     part[300];
    (void)snprintf(part, sizeof part, "%s.part", f->path);
    const clipcu_status status = clipcu_bank_save(f->bank, f->path, error);
    assert_int_not_equal(access(part, F_OK), 0); /* nothing half-written stays */
    return status;
}

static clipcu_status load(void *context, clipcu_error *error) {
    fixture            *f    = context;
    clipcu_bank        *bank = NULL;
    const clipcu_status status = clipcu_bank_load(f->path, &bank, error);
    assert_true((status == CLIPCU_OK) == (bank != NULL));
    clipcu_bank_close(bank);
    return status;
}

static void using_it(void **state) {
    const sweep sweeps[] = {
        { .name = "encode texts", .work = encode_texts, .fixture = *state },
        { .name = "classify", .work = classify, .fixture = *state },
        { .name = "build a bank", .work = build, .fixture = *state },
        { .name = "load a bank", .work = load, .fixture = *state },
    };
    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++) {
        sweep_run(&sweeps[i], HEAP_OURS);
    }
}

static void using_it_with_libraries(void **state) {
    const sweep sweeps[] = {
        { .name = "encode texts", .work = encode_texts, .fixture = *state },
        { .name = "classify", .work = classify, .fixture = *state },
        { .name = "build a bank", .work = build, .fixture = *state },
        { .name = "save a bank", .work = save, .fixture = *state, .may_be_io = true },
        { .name = "load a bank", .work = load, .fixture = *state },
    };
    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++) {
        sweep_run(&sweeps[i], HEAP_ALL);
    }
}

/* clipcu.h promises it; the first call may still fill a library's cache. */
static void encoding_pictures_allocates_nothing(void **state) {
    clipcu_error error;
    for (int warm = 0; warm < 2; warm++) {
        assert_int_equal(encode_images(*state, &error), CLIPCU_OK);
    }
    heap_fail_at(HEAP_OURS, 0, true);
    const clipcu_status status = encode_images(*state, &error);
    assert_false(heap_stop());
    assert_int_equal(status, CLIPCU_OK);
}

/* ---- The checker ---------------------------------------------------------------------------- */

/* Two allocations, each with a mistake to plant. */
typedef struct planted {
    bool  leaks, ignores, says_nothing, breaks;
    bool  broken;
    void *lost[8]; /* what it leaked, for whoever tidies up behind it */
    int   lost_count;
} planted;

static clipcu_status work_with_mistakes(void *context, clipcu_error *error) {
    planted *p = context;
    if (p->broken) {
        error->code = CLIPCU_ERR_FORMAT;
        return CLIPCU_ERR_FORMAT;
    }
    void *first  = ccu_alloc(10);
    void *second = ccu_alloc(10);
    bool  failed = first == NULL || second == NULL;
    if (failed && p->breaks) { p->broken = true; }
    ccu_free(second);
    if (failed && p->leaks && first != NULL && p->lost_count < 8) {
        p->lost[p->lost_count++] = first;
    } else {
        ccu_free(first);
    }
    if (failed && p->ignores) { return CLIPCU_OK; }
    if (failed && error != NULL && !p->says_nothing) {
        error->code = CLIPCU_ERR_NOMEM;
        (void)snprintf(error->text, sizeof error->text, "no memory");
    }
    return failed ? CLIPCU_ERR_NOMEM : CLIPCU_OK;
}

static void expect_verdict(planted *p, const char *part) {
    char        text[256];
    const sweep s = { .name = "planted", .work = work_with_mistakes, .fixture = p };
    (void)sweep_verdict(&s, HEAP_OURS, text, sizeof text);
    while (p->lost_count > 0) { ccu_free(p->lost[--p->lost_count]); }
    if (strstr(text, part) == NULL || (part[0] == '\0' && text[0] != '\0')) {
        fail_msg("found \"%s\", expected \"%s\"", text, part);
    }
}

static void the_checker_finds_mistakes(void **state) {
    (void)state;
    planted none = { .leaks = false }, leaks = { .leaks = true }, ignores = { .ignores = true },
            silent = { .says_nothing = true };
    expect_verdict(&none, "");
    expect_verdict(&leaks, "1 allocations leaked");
    expect_verdict(&ignores, "status OK");
    expect_verdict(&silent, "no message");
}

static void the_checker_finds_a_broken_object(void **state) {
    (void)state;
    planted breaks = { .breaks = true };
    char    text[256];
    const sweep s = { .name = "planted", .work = work_with_mistakes, .fixture = &breaks };
    clipcu_error error;
    heap_fail_at(HEAP_OURS, 0, false);
    assert_int_equal(work_with_mistakes(&breaks, &error), CLIPCU_ERR_NOMEM);
    assert_true(heap_stop());
    assert_true(sweep_verdict(&s, HEAP_OURS, text, sizeof text)[0] != '\0');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checker_finds_mistakes),
        cmocka_unit_test(the_checker_finds_a_broken_object),
        cmocka_unit_test(opening),
        cmocka_unit_test(opening_with_libraries),
        cmocka_unit_test_setup_teardown(using_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(using_it_with_libraries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(encoding_pictures_allocates_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
