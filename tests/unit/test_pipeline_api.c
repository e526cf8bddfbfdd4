/* clipcu_pipeline_*: whatever goes in comes out once, in order, as the calls one by one give it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clipcu.h"

#define MODEL CLIPCU_SOURCE_DIR "/tests/golden/hf_b32"
#define OTHER CLIPCU_SOURCE_DIR "/tests/golden/oc_g14"
#define PHOTO CLIPCU_SOURCE_DIR "/tests/data/images/jpeg_rgb.jpg"
#define COUNT 60
#define TOP 2
#define E_MAX 64

typedef struct fixture {
    clipcu_engine *engines[2];
    clipcu_bank   *bank;
    int32_t        E, S;
    uint8_t       *file; /* PHOTO */
    size_t         file_bytes;
    uint8_t       *pixels; /* (COUNT, S, S, 3) noise */
    float          expected[COUNT + 1][E_MAX]; /* of them, and of PHOTO */
    clipcu_match   matches[COUNT + 1][TOP];
} fixture;

static clipcu_engine *open_engine(const char *model, int32_t batch_max) {
    clipcu_options options = clipcu_options_default();
    clipcu_engine *engine  = NULL;
    clipcu_error   error;
    options.device    = CLIPCU_DEVICE_CPU;
    options.batch_max = batch_max;
    options.threads   = 1;
    assert_int_equal(clipcu_open(model, &options, &engine, &error), CLIPCU_OK);
    return engine;
}

static int set_up(void **state) {
    static const char *const labels[] = { "cat", "dog", "boat" };
    fixture                 *f        = calloc(1, sizeof *f);
    FILE                    *file     = fopen(PHOTO, "rb");
    clipcu_error             error;
    assert_non_null(f);
    assert_non_null(file);
    for (int i = 0; i < 2; i++) { f->engines[i] = open_engine(MODEL, 7); }
    const clipcu_info info = clipcu_engine_info(f->engines[0]);
    f->E                   = info.embed_dim;
    f->S                   = info.image_size;
    assert_in_range(f->E, 1, E_MAX);
    assert_int_equal(clipcu_bank_build(f->engines[0], labels, 3, NULL, 0, &f->bank, &error),
                     CLIPCU_OK);
    f->file       = malloc(1 << 20);
    f->file_bytes = fread(f->file, 1, 1 << 20, file);
    (void)fclose(file);
    const size_t image = (size_t)f->S * (size_t)f->S * 3;
    f->pixels          = malloc((COUNT + 1) * image);
    uint32_t random    = 1;
    for (size_t i = 0; i < COUNT * image; i++) {
        random       = random * 1664525U + 1013904223U;
        f->pixels[i] = (uint8_t)(random >> 24);
    }
    assert_int_equal(clipcu_load_image(f->engines[0], PHOTO, f->pixels + COUNT * image, &error),
                     CLIPCU_OK);
    for (size_t i = 0; i <= COUNT; i++) {
        assert_int_equal(clipcu_encode_images(f->engines[0], f->pixels + i * image, 1,
                                              f->expected[i], &error),
                         CLIPCU_OK);
        assert_int_equal(clipcu_rank(f->engines[0], f->bank, f->expected[i], 1, TOP, f->matches[i],
                                     &error),
                         CLIPCU_OK);
    }
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    clipcu_bank_close(f->bank);
    clipcu_close(f->engines[0]);
    clipcu_close(f->engines[1]);
    free(f->file);
    free(f->pixels);
    free(f);
    return 0;
}

/* Picture i: noise, and among it files, paths and what is no picture. */
enum kind { PIXELS, BYTES, PATH, DAMAGED, MISSING };

static enum kind kind_of(int i) {
    return i % 5 == 1 ? BYTES : i % 7 == 3 ? PATH : i % 11 == 5 ? DAMAGED : i % 13 == 4 ? MISSING
                                                                                       : PIXELS;
}

static clipcu_status submit(const fixture *f, clipcu_pipeline *p, int i, int32_t wait_ms,
                            clipcu_error *error) {
    const uint64_t id    = 1000000000000ULL + (uint64_t)i;
    const size_t   image = (size_t)f->S * (size_t)f->S * 3;
    switch (kind_of(i)) {
    case BYTES: return clipcu_pipeline_submit(p, id, f->file, f->file_bytes, wait_ms, error);
    case PATH: return clipcu_pipeline_submit_file(p, id, PHOTO, wait_ms, error);
    case DAMAGED: return clipcu_pipeline_submit(p, id, f->file, 50, wait_ms, error);
    case MISSING: return clipcu_pipeline_submit_file(p, id, "/nowhere.jpg", wait_ms, error);
    case PIXELS: break;
    }
    return clipcu_pipeline_submit_pixels(p, id, f->pixels + (size_t)i * image, wait_ms, error);
}

/* Result i is that of picture i. Returns false instead of failing: not every thread may. */
static bool is_right(const fixture *f, const clipcu_result *r, int i, bool ranked) {
    const enum kind kind = kind_of(i);
    const int       row  = kind == PIXELS ? i : COUNT;
    if (r->id != 1000000000000ULL + (uint64_t)i) { return false; }
    if (kind == DAMAGED || kind == MISSING) {
        return r->status == (kind == DAMAGED ? CLIPCU_ERR_FORMAT : CLIPCU_ERR_IO) &&
               r->embedding == NULL && r->matches == NULL && r->matches_count == 0 &&
               strstr(r->error, kind == DAMAGED ? "picture 10000000000" : "/nowhere.jpg") != NULL;
    }
    if (r->status != CLIPCU_OK || r->error != NULL || r->embedding == NULL) { return false; }
    if (memcmp(r->embedding, f->expected[row], (size_t)f->E * sizeof(float)) != 0) { return false; }
    if (!ranked) { return r->matches == NULL && r->matches_count == 0; }
    return r->matches_count == TOP &&
           memcmp(r->matches, f->matches[row], sizeof f->matches[row]) == 0;
}

static clipcu_pipeline *open_pipeline(fixture *f, int32_t engines,
                                      const clipcu_pipeline_options *options) {
    clipcu_pipeline *p = NULL;
    clipcu_error     error;
    assert_int_equal(clipcu_pipeline_open(f->engines, engines, options, &p, &error), CLIPCU_OK);
    assert_non_null(p);
    return p;
}

/* ---- Fetching ------------------------------------------------------------------------------- */

/* One thread that hands in what there is room for and fetches what is there. */
static void polls(void **state) {
    fixture                *f       = *state;
    clipcu_pipeline_options options = clipcu_pipeline_options_default();
    clipcu_error            error;
    clipcu_result           result;
    clipcu_arrival          arrival = CLIPCU_ARRIVAL_LATER;
    options.bank                    = f->bank;
    options.top                     = TOP;
    options.pending_max             = 3;
    for (int32_t engines = 1; engines <= 2; engines++) {
        clipcu_pipeline *p    = open_pipeline(f, engines, &options);
        int              in   = 0, out = 0;
        bool             full = false;
        assert_int_equal(clipcu_pipeline_next(p, 0, &result, &arrival, &error), CLIPCU_OK);
        assert_int_equal(arrival, CLIPCU_ARRIVAL_LATER);
        assert_int_equal(clipcu_pipeline_next(p, 20, &result, &arrival, &error), CLIPCU_OK);
        assert_int_equal(arrival, CLIPCU_ARRIVAL_LATER);
        while (out < COUNT) {
            const clipcu_status status = in < COUNT ? submit(f, p, in, 0, &error)
                                                    : clipcu_pipeline_finish(p, &error);
            if (status == CLIPCU_OK) {
                in++;
                if (in < COUNT) { continue; }
            } else {
                assert_int_equal(status, CLIPCU_ERR_LIMIT);
                full = true;
            }
            assert_int_equal(clipcu_pipeline_next(p, in < COUNT ? 1 : -1, &result, &arrival,
                                                  &error),
                             CLIPCU_OK);
            if (arrival == CLIPCU_ARRIVAL_RESULT) {
                assert_true(is_right(f, &result, out, true));
                out++;
            }
        }
        assert_true(full);
        assert_int_equal(clipcu_pipeline_next(p, -1, &result, &arrival, &error), CLIPCU_OK);
        assert_int_equal(arrival, CLIPCU_ARRIVAL_END);
        assert_int_equal(clipcu_pipeline_next(p, -1, &result, &arrival, &error), CLIPCU_OK);
        assert_int_equal(arrival, CLIPCU_ARRIVAL_END);
        assert_int_equal(submit(f, p, 0, -1, &error), CLIPCU_ERR_ARGUMENT);
        clipcu_pipeline_close(p);
    }
}

/* A single picture comes out although no batch is full and no more come. */
static void slow_inputs_come_out(void **state) {
    fixture                *f       = *state;
    clipcu_pipeline_options options = clipcu_pipeline_options_default();
    clipcu_pipeline        *p       = open_pipeline(f, 1, &options);
    clipcu_error            error;
    clipcu_result           result;
    clipcu_arrival          arrival = CLIPCU_ARRIVAL_LATER;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(submit(f, p, i, -1, &error), CLIPCU_OK);
        assert_int_equal(clipcu_pipeline_next(p, -1, &result, &arrival, &error), CLIPCU_OK);
        assert_int_equal(arrival, CLIPCU_ARRIVAL_RESULT);
        assert_true(is_right(f, &result, i, false));
    }
    clipcu_pipeline_close(p);
}

/* ---- Callbacks ------------------------------------------------------------------------------ */

typedef struct seen {
    const fixture *f;
    int            count, wrong;
} seen;

static void look(void *user, const clipcu_result *result) {
    seen *s = user;
    s->wrong += !is_right(s->f, result, s->count, true);
    s->count++;
}

static void calls_back(void **state) {
    fixture                *f       = *state;
    clipcu_pipeline_options options = clipcu_pipeline_options_default();
    seen                    s       = { .f = f };
    clipcu_error            error;
    clipcu_result           result;
    clipcu_arrival          arrival;
    options.bank                    = f->bank;
    options.top                     = TOP;
    options.take                    = look;
    options.user                    = &s;
    options.threads                 = 3;
    clipcu_pipeline *p              = open_pipeline(f, 2, &options);
    for (int i = 0; i < COUNT; i++) { assert_int_equal(submit(f, p, i, -1, &error), CLIPCU_OK); }
    assert_int_equal(clipcu_pipeline_next(p, 0, &result, &arrival, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_pipeline_finish(p, &error), CLIPCU_OK);
    assert_int_equal(s.count, COUNT);
    assert_int_equal(s.wrong, 0);
    assert_int_equal(clipcu_pipeline_finish(p, &error), CLIPCU_OK);
    clipcu_pipeline_close(p);
    assert_int_equal(s.count, COUNT);
}

/* A checker that cannot fail is none. */
static void notices_wrong_results(void **state) {
    fixture      *f = *state;
    clipcu_result r = { .id = 1000000000000ULL, .embedding = f->expected[0],
                        .matches = f->matches[0], .matches_count = TOP };
    assert_true(is_right(f, &r, 0, true));
    assert_false(is_right(f, &r, 0, false));
    assert_false(is_right(f, &r, 2, true));
    r.embedding = f->expected[2];
    assert_false(is_right(f, &r, 0, true));
    r.embedding = f->expected[0];
    r.matches_count--;
    assert_false(is_right(f, &r, 0, true));
}

/* ---- Many threads, early ends ---------------------------------------------------------------- */

typedef struct submitter {
    const fixture   *f;
    clipcu_pipeline *p;
    int              first, failed;
} submitter;

static void *submit_some(void *context) {
    submitter   *s = context;
    clipcu_error error;
    for (int i = s->first; i < COUNT; i += 3) {
        s->failed += submit(s->f, s->p, i, -1, &error) != CLIPCU_OK;
    }
    return NULL;
}

static void takes_from_many_threads(void **state) {
    fixture                *f       = *state;
    clipcu_pipeline_options options = clipcu_pipeline_options_default();
    pthread_t               threads[3];
    submitter               s[3];
    clipcu_error            error;
    clipcu_result           result;
    clipcu_arrival          arrival = CLIPCU_ARRIVAL_LATER;
    int                     came[COUNT] = { 0 };
    options.pending_max             = 1;
    clipcu_pipeline *p              = open_pipeline(f, 1, &options);
    for (int t = 0; t < 3; t++) {
        s[t] = (submitter){ .f = f, .p = p, .first = t };
        assert_int_equal(pthread_create(&threads[t], NULL, submit_some, &s[t]), 0);
    }
    for (int n = 0; n < COUNT; n++) {
        assert_int_equal(clipcu_pipeline_next(p, -1, &result, &arrival, &error), CLIPCU_OK);
        assert_int_equal(arrival, CLIPCU_ARRIVAL_RESULT);
        const int i = (int)(result.id - 1000000000000ULL);
        assert_in_range(i, 0, COUNT - 1);
        assert_true(is_right(f, &result, i, false));
        came[i]++;
    }
    for (int t = 0; t < 3; t++) {
        assert_int_equal(pthread_join(threads[t], NULL), 0);
        assert_int_equal(s[t].failed, 0);
    }
    for (int i = 0; i < COUNT; i++) { assert_int_equal(came[i], 1); }
    clipcu_pipeline_close(p);
}

static void closes_at_any_time(void **state) {
    fixture                *f       = *state;
    clipcu_pipeline_options options = clipcu_pipeline_options_default();
    clipcu_error            error;
    clipcu_result           result;
    clipcu_arrival          arrival;
    for (int i = 0; i < 40; i++) {
        clipcu_pipeline *p = open_pipeline(f, 1 + i % 2, &options);
        for (int k = 0; k < i % 15; k++) {
            assert_int_equal(submit(f, p, k, -1, &error), CLIPCU_OK);
        }
        if (i % 3 == 1) {
            assert_int_equal(clipcu_pipeline_next(p, 1, &result, &arrival, &error), CLIPCU_OK);
        }
        if (i % 4 == 1) { assert_int_equal(clipcu_pipeline_finish(p, &error), CLIPCU_OK); }
        clipcu_pipeline_close(p);
    }
    clipcu_pipeline_close(NULL);
}

static void refuses_what_does_not_fit(void **state) {
    fixture                *f       = *state;
    clipcu_pipeline_options options = clipcu_pipeline_options_default();
    clipcu_engine          *other   = open_engine(OTHER, 7);
    clipcu_engine          *two[2]  = { f->engines[0], other };
    clipcu_pipeline        *p       = (clipcu_pipeline *)&options;
    clipcu_error            error;
    assert_int_equal(clipcu_pipeline_open(two, 2, &options, &p, &error), CLIPCU_ERR_ARGUMENT);
    assert_null(p);
    assert_non_null(strstr(error.text, "one model"));
    assert_int_equal(clipcu_pipeline_open(two, 0, &options, &p, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_pipeline_open(NULL, 1, &options, &p, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_pipeline_open(two, 1, NULL, &p, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_pipeline_open(two, 1, &options, NULL, &error), CLIPCU_ERR_ARGUMENT);
    options.bank = f->bank;
    for (options.top = -1; options.top <= 4; options.top += 5) {
        assert_int_equal(clipcu_pipeline_open(two, 1, &options, &p, &error), CLIPCU_ERR_ARGUMENT);
    }
    options.top = 1;
    assert_int_equal(clipcu_pipeline_open(two + 1, 1, &options, &p, &error), CLIPCU_ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "another model"));
    options.threads = 1025;
    assert_int_equal(clipcu_pipeline_open(two, 1, &options, &p, &error), CLIPCU_ERR_ARGUMENT);
    options.threads = 0;
    p               = open_pipeline(f, 1, &options);
    assert_int_equal(clipcu_pipeline_submit(p, 1, NULL, 1, -1, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_pipeline_submit(NULL, 1, f->file, 1, -1, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_pipeline_submit_file(p, 1, NULL, -1, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_pipeline_submit_pixels(p, 1, NULL, -1, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_pipeline_finish(NULL, &error), CLIPCU_ERR_ARGUMENT);
    clipcu_pipeline_close(p);
    clipcu_close(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polls),
        cmocka_unit_test(slow_inputs_come_out),
        cmocka_unit_test(calls_back),
        cmocka_unit_test(notices_wrong_results),
        cmocka_unit_test(takes_from_many_threads),
        cmocka_unit_test(closes_at_any_time),
        cmocka_unit_test(refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
