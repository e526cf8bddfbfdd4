/* host/stream: the pipeline: order, failures, stopping, and what it says about its stages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "stream/pipeline.h"
#include "support/st_dir.h"

#define FILES 200
#define PATH_BYTES 512

/* What a run is made of and what it gave. A picture is its file's text, 4 bytes; those that begin
 * with x fail. An encoder turns the rows into sums; the sink writes paths down. */
typedef struct scene {
    st_dir        dir;
    char          list[PATH_BYTES];
    int32_t       files;
    int32_t       decode_us, encode_us, take_us; /* at most so long each, at random */
    int64_t       encode_fails_at, take_fails_at; /* batch, from 1; 0: never */
    atomic_int    encodes;
    atomic_int    stop_after; /* batches encoded; 0: never */
    int64_t       takes, items, bad;
    bool          in_order;
    ccu_stages    stages;
    clipcu_error  error;
} scene;

static void rest(int32_t us, uint64_t *random) {
    if (us <= 0) { return; }
    const uint64_t        draw = random == NULL ? (uint64_t)us : st_random(random) % (uint64_t)us;
    const struct timespec time = { .tv_nsec = (long)(draw * 1000 % 1000000000) };
    (void)nanosleep(&time, NULL);
}

static uint64_t seed_of(const char *name) {
    uint64_t seed = 88172645463325252u;
    for (; *name != '\0'; name++) { seed = seed * 31 + (uint8_t)*name; }
    return seed | 1;
}

static ccu_source_result next(void *context, int wait_ms, ccu_source_item *item) {
    return ccu_source_next(context, wait_ms, item);
}

static clipcu_status decode(const void *context, const char *name, const uint8_t *bytes,
                            size_t bytes_count, uint8_t *pixels, clipcu_error *error) {
    const scene *s    = context;
    uint64_t     seed = seed_of(name);
    rest(s->decode_us, &seed);
    if (bytes_count != 4 || bytes[0] == 'x') {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: no picture", name);
    }
    memcpy(pixels, bytes, 4);
    return CLIPCU_OK;
}

static clipcu_status encode(void *context, ccu_batch *batch, clipcu_error *error) {
    scene    *s      = context;
    const int number = atomic_fetch_add(&s->encodes, 1) + 1;
    rest(s->encode_us, NULL);
    if (number == s->encode_fails_at) {
        return ccu_fail(error, CLIPCU_ERR_BACKEND, "batch %d cannot be encoded", number);
    }
    for (int32_t i = 0; i < batch->loaded; i++) {
        int32_t sum = 0;
        for (int32_t k = 0; k < 4; k++) { sum += batch->pixels[i * 4 + k]; }
        ((int32_t *)(void *)batch->results)[i] = sum;
    }
    return CLIPCU_OK;
}

static int32_t sum_of(const char *text) {
    return text[0] + text[1] + text[2] + text[3];
}

static clipcu_status take(void *context, ccu_batch *batch, clipcu_error *error) {
    scene *s = context;
    rest(s->take_us, NULL);
    if (++s->takes == s->take_fails_at) {
        return ccu_fail(error, CLIPCU_ERR_IO, "batch %d cannot be written", (int)s->takes);
    }
    for (int32_t i = 0; i < batch->count; i++) {
        const ccu_batch_item *item = &batch->items[i];
        char                  want[24];
        const int64_t         number = s->items++;
        const char           *name   = strrchr(item->path, '/') + 1;
        (void)snprintf(want, sizeof want, "%04d", (int)number);
        if (strcmp(name, want) != 0) { s->in_order = false; }
        if (item->row < 0) {
            s->bad++;
            s->in_order = s->in_order && strstr(item->error.text, want) != NULL;
        } else {
            const int32_t sum = ((const int32_t *)(const void *)batch->results)[item->row];
            s->in_order       = s->in_order && sum == sum_of(want);
        }
    }
    return CLIPCU_OK;
}

static bool stopped(void *context) {
    scene    *s     = context;
    const int after = atomic_load(&s->stop_after);
    return after > 0 && atomic_load(&s->encodes) >= after;
}

/* Files 0000, 0001, ..: every 7th cannot be decoded, every 11th is missing. */
static void make(scene *s, int32_t files) {
    ccu_buffer list = { .data = NULL };
    *s              = (scene){ .files = files, .in_order = true };
    st_dir_make(&s->dir);
    ccu_buffer_text(&list, "\n");
    for (int32_t i = 0; i < files; i++) {
        char name[24], path[PATH_BYTES];
        (void)snprintf(name, sizeof name, "%04d", (int)i);
        if (i % 11 != 10) { st_dir_write_text(&s->dir, name, i % 7 == 6 ? "x..." : name); }
        ccu_buffer_format(&list, "%s\n", st_dir_join(&s->dir, name, path));
    }
    st_dir_write_text(&s->dir, "list.txt", list.data);
    ccu_buffer_free(&list);
    (void)st_dir_join(&s->dir, "list.txt", s->list);
}

static int64_t bad_files(int32_t files) {
    int64_t bad = 0;
    for (int32_t i = 0; i < files; i++) { bad += i % 11 == 10 || i % 7 == 6; }
    return bad;
}

static clipcu_status run(scene *s, int32_t batch_max, int32_t batches, int32_t decoders,
                         int32_t encoders) {
    const char  *input  = s->list;
    ccu_source  *source = NULL;
    void *const  all[4] = { s, s, s, s };
    assert_int_equal(ccu_source_open(&(ccu_source_options){ .inputs       = &input,
                                                            .inputs_count = 1,
                                                            .wake_fd      = -1 },
                                     &source, &s->error),
                     CLIPCU_OK);
    const ccu_pipeline_options options = { .batch_max        = batch_max,
                                           .batches          = batches,
                                           .decoders         = decoders,
                                           .image_bytes      = 4,
                                           .results_bytes    = (size_t)batch_max * sizeof(int32_t),
                                           .next             = next,
                                           .next_context     = source,
                                           .decode           = decode,
                                           .decode_context   = s,
                                           .encode           = encode,
                                           .encoders         = all,
                                           .encoders_count   = encoders,
                                           .take             = take,
                                           .take_context     = s,
                                           .stopped          = stopped,
                                           .stopped_context  = s };
    const clipcu_status status = ccu_pipeline_run(&options, &s->stages, &s->error);
    ccu_source_close(source);
    return status;
}

static void every_input_comes_out_in_order(void **state) {
    (void)state;
    static const int32_t shapes[][4] = { { 1, 2, 1, 1 },  { 8, 2, 1, 1 },   { 8, 0, 4, 1 },
                                         { 7, 3, 16, 3 }, { 64, 0, 3, 4 }, { 500, 2, 2, 1 } };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        scene s;
        make(&s, FILES);
        s.decode_us = 300;
        s.encode_us = i % 2 == 0 ? 200 : 0;
        assert_int_equal(run(&s, shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3]),
                         CLIPCU_OK);
        assert_int_equal(s.items, FILES);
        assert_true(s.in_order);
        assert_int_equal(s.bad, bad_files(FILES));
        assert_int_equal(s.stages.images, FILES);
        assert_int_equal(s.stages.errors, s.bad);
        assert_int_equal(s.stages.stage[CCU_STAGE_SOURCE].items, FILES);
        assert_int_equal(s.stages.stage[CCU_STAGE_READ].items, FILES);
        assert_int_equal(s.stages.stage[CCU_STAGE_ENCODE].items, FILES - s.bad);
        assert_int_equal(s.stages.stage[CCU_STAGE_SINK].items, FILES);
        assert_int_equal(s.stages.stage[CCU_STAGE_DECODE].threads, shapes[i][2]);
        st_dir_remove(&s.dir);
    }
}

static void a_failing_batch_ends_the_run(void **state) {
    (void)state;
    scene s;
    make(&s, FILES);
    s.encode_fails_at = 4;
    assert_int_equal(run(&s, 10, 0, 3, 1), CLIPCU_ERR_BACKEND);
    assert_string_equal(s.error.text, "batch 4 cannot be encoded");
    assert_int_equal(s.items, 30); /* what was encoded before is kept */
    assert_true(s.in_order);
    st_dir_remove(&s.dir);

    make(&s, FILES);
    s.take_fails_at = 3;
    assert_int_equal(run(&s, 10, 0, 3, 1), CLIPCU_ERR_IO);
    assert_string_equal(s.error.text, "batch 3 cannot be written");
    assert_int_equal(s.items, 20);
    st_dir_remove(&s.dir);
}

static void stopping_keeps_what_was_encoded(void **state) {
    (void)state;
    scene s;
    make(&s, FILES);
    s.encode_us = 2000;
    atomic_store(&s.stop_after, 5);
    assert_int_equal(run(&s, 10, 0, 2, 1), CLIPCU_OK);
    assert_int_equal(s.items, 50);
    assert_true(s.in_order);
    st_dir_remove(&s.dir);
}

/* The stage that is made slow is the one that is named. */
static void the_slowest_stage_is_found(void **state) {
    (void)state;
    for (int32_t slow = CCU_STAGE_DECODE; slow <= CCU_STAGE_SINK; slow++) {
        scene      s;
        ccu_buffer text = { .data = NULL };
        make(&s, 60);
        s.decode_us = slow == CCU_STAGE_DECODE ? 12000 : 0;
        s.encode_us = slow == CCU_STAGE_ENCODE ? 30000 : 0;
        s.take_us   = slow == CCU_STAGE_SINK ? 30000 : 0;
        assert_int_equal(run(&s, 6, 0, 1, 1), CLIPCU_OK);
        assert_int_equal(ccu_stages_slowest(&s.stages), slow);
        const ccu_stage *stage = &s.stages.stage[slow];
        assert_true(stage->busy > 0.5 * s.stages.seconds);
        ccu_stages_table(&s.stages, &text);
        assert_non_null(strstr(text.data, slow == CCU_STAGE_DECODE   ? "\ndecode was at work"
                                          : slow == CCU_STAGE_ENCODE ? "\nencode was at work"
                                                                     : "\nsink was at work"));
        ccu_buffer_clear(&text);
        ccu_stages_json(&s.stages, &text);
        assert_non_null(strstr(text.data, slow == CCU_STAGE_DECODE   ? "\"slowest\":\"decode\""
                                          : slow == CCU_STAGE_ENCODE ? "\"slowest\":\"encode\""
                                                                     : "\"slowest\":\"sink\""));
        ccu_buffer_free(&text);
        st_dir_remove(&s.dir);
    }
}

/* Decoders that wait for something else than the processor do not wait for each other. */
static void sixteen_decoders_set_the_pace(void **state) {
    (void)state;
    scene s;
    make(&s, FILES);
    s.decode_us = 20000; /* 10 ms on average, 2 s of all files one after the other */
    assert_int_equal(run(&s, 8, 0, 16, 2), CLIPCU_OK);
    assert_true(s.in_order);
    assert_int_equal(ccu_stages_slowest(&s.stages), CCU_STAGE_DECODE);
    assert_true(s.stages.stage[CCU_STAGE_DECODE].busy > 6.0 * s.stages.seconds);
    st_dir_remove(&s.dir);
}

/* Stages work at the same time: together they take less than one after the other. */
static void stages_overlap(void **state) {
    (void)state;
    scene s;
    make(&s, 120);
    s.encode_us = 20000;
    s.take_us   = 20000;
    assert_int_equal(run(&s, 10, 0, 1, 1), CLIPCU_OK); /* 12 batches: 0.24 s of each */
    const double busy = s.stages.stage[CCU_STAGE_ENCODE].busy + s.stages.stage[CCU_STAGE_SINK].busy;
    assert_true(busy >= 0.48);
    assert_true(s.stages.seconds < 0.8 * busy);
    st_dir_remove(&s.dir);
}

static void no_inputs_are_no_batches(void **state) {
    (void)state;
    scene s;
    make(&s, 0);
    assert_int_equal(run(&s, 10, 0, 2, 2), CLIPCU_OK);
    assert_int_equal(s.takes, 0);
    assert_int_equal(ccu_stages_slowest(&(ccu_stages){ .seconds = 1.0 }), -1);
    st_dir_remove(&s.dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_input_comes_out_in_order),
        cmocka_unit_test(a_failing_batch_ends_the_run),
        cmocka_unit_test(stopping_keeps_what_was_encoded),
        cmocka_unit_test(the_slowest_stage_is_found),
        cmocka_unit_test(sixteen_decoders_set_the_pace),
        cmocka_unit_test(stages_overlap),
        cmocka_unit_test(no_inputs_are_no_batches),
    };
    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
