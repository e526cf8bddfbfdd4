/* What learning a prompt is made of: random numbers and few-shot draws as CPython has them, random
 * views as Pillow renders them, prompt files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checkpoint/safetensors.h"
#include "prompt/prompt.h"
#include "prompt/shots.h"
#include "prompt/views.h"

/* ---- Random numbers: what CPython prints after random.seed(seed) ----------------------------- */

typedef struct draws {
    uint64_t seed;
    double   unit;                                /* random.random() */
    uint32_t word;                                /* random.getrandbits(32) */
    int32_t  of_10[3], of_300[16], of_22[5];      /* random.sample(range(N), count) */
    int32_t  shuffled[8];                         /* of range(8) */
} draws;

static const draws table[] = {
    { 1, 0.13436424411240122, 3639700191u, { 1, 4, 9 },
      { 253, 230, 241, 194, 107, 48, 249, 14, 199, 221, 1, 228, 136, 117, 52, 162 },
      { 0, 20, 17, 12, 21 }, { 4, 2, 6, 1, 0, 5, 7, 3 } },
    { 12345678901234u, 0.02504137575317178, 624174316u, { 6, 8, 9 },
      { 252, 219, 100, 75, 189, 119, 186, 177, 254, 139, 32, 80, 94, 197, 238, 193 },
      { 17, 3, 4, 16, 12 }, { 1, 2, 4, 6, 0, 7, 5, 3 } },
};

static void expect_sample(ccu_random *random, int32_t n, int32_t count, const int32_t *want) {
    int32_t      got[32];
    clipcu_error error = { 0 };
    assert_int_equal(ccu_random_sample(random, n, count, got, &error), CLIPCU_OK);
    assert_memory_equal(got, want, (size_t)count * sizeof *got);
}

static void random_numbers_are_cpythons(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const draws *d = &table[i];
        ccu_random   random;
        int32_t      items[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
        ccu_random_seed(&random, d->seed);
        const double unit = ccu_random_unit(&random);
        assert_memory_equal(&unit, &d->unit, sizeof unit);
        assert_true(ccu_random_word(&random) == d->word);
        expect_sample(&random, 10, 3, d->of_10);
        expect_sample(&random, 300, 16, d->of_300); /* by a set: 277 is the longest list */
        expect_sample(&random, 22, 5, d->of_22);
        ccu_random_shuffle(&random, items, 8);
        assert_memory_equal(items, d->shuffled, sizeof items);
    }
}

static void streams_of_a_seed_differ(void **state) {
    (void)state;
    ccu_random a, b;
    double     sum = 0.0, square = 0.0;
    ccu_random_seed_part(&a, 1, CCU_RANDOM_VIEW, 1);
    ccu_random_seed_part(&b, 1, CCU_RANDOM_VIEW, 2);
    assert_true(ccu_random_word(&a) != ccu_random_word(&b));
    ccu_random_seed_part(&b, 1, CCU_RANDOM_ORDER, 1);
    assert_true(ccu_random_word(&a) != ccu_random_word(&b));
    for (int32_t i = 0; i < 20000; i++) {
        const double x = ccu_random_normal(&a);
        sum += x;
        square += x * x;
    }
    assert_true(fabs(sum / 20000.0) < 0.03 && fabs(square / 20000.0 - 1.0) < 0.04);
}

/* random.seed(3), then random.sample of each class's pictures in the order of first appearance */
static void few_shots_are_coops(void **state) {
    (void)state;
    const int32_t label[] = { 2, 2, 0, 1, 0, 2, 1, 1, 0, 2, 2, 1, 0, 0, 2 };
    const int32_t want[]  = { 1, 10, 14, 9, 13, 12, 8, 2, 3, 6, 7, 11 };
    const int32_t n       = (int32_t)(sizeof label / sizeof *label);
    int32_t       picks[64], count = 0, fewest = -1, fewest_count = -1;
    clipcu_error  error = { 0 };
    assert_int_equal(ccu_shots_draw(label, n, 3, 4, 3, picks, &count, &fewest, &fewest_count,
                                    &error),
                     CLIPCU_OK);
    assert_int_equal(count, 12);
    assert_memory_equal(picks, want, sizeof want);
    assert_int_equal(fewest, 1);
    assert_int_equal(fewest_count, 4);

    /* more than there are: all of them as they stand; a class without pictures is told */
    assert_int_equal(ccu_shots_draw(label, n, 4, 6, 3, picks, &count, &fewest, &fewest_count,
                                    &error),
                     CLIPCU_OK);
    assert_int_equal(count, 15);
    assert_int_equal(fewest, 3);
    assert_int_equal(fewest_count, 0);
    assert_int_equal(picks[11], 3);
    assert_int_equal(picks[14], 11);
}

/* ---- Views ---------------------------------------------------------------------------------- */

/* Pillow 13: crop(box).resize((16, 16), BICUBIC).transpose(FLIP_LEFT_RIGHT), FNV-1a of its bytes */
static const struct {
    ccu_view view;
    uint64_t hash;
} views[] = {
    { { 5, 3, 21, 17, true }, 0xd942212759183851u },
    { { 0, 0, 37, 29, false }, 0x251d3a1e74970a1du },
    { { 30, 2, 4, 27, true }, 0xc184c6d5fbff58f3u },
    { { 36, 28, 1, 1, false }, 0xa44e44b6ef28fa25u },
};

static void views_are_pillows(void **state) {
    (void)state;
    uint8_t      rgb[37 * 29 * 3], out[16 * 16 * 3];
    uint32_t     seed  = 7;
    clipcu_error error = { 0 };
    for (size_t i = 0; i < sizeof rgb; i++) {
        seed   = seed * 1664525u + 1013904223u;
        rgb[i] = (uint8_t)(seed >> 24);
    }
    const ccu_image image = { .rgb = rgb, .W = 37, .H = 29 };
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        uint64_t hash = 0xcbf29ce484222325u;
        assert_int_equal(ccu_view_render(&image, &views[i].view, 16, CCU_RESAMPLE_BICUBIC, out,
                                         &error),
                         CLIPCU_OK);
        for (size_t n = 0; n < sizeof out; n++) { hash = (hash ^ out[n]) * 0x100000001b3u; }
        if (hash != views[i].hash) { fail_msg("view %zu has other bytes than Pillow's", i); }
    }
}

static void views_have_the_published_sizes(void **state) {
    (void)state;
    const int32_t sizes[][2] = { { 640, 480 }, { 100, 100 }, { 1, 1 }, { 2000, 10 }, { 3, 700 } };
    ccu_random    random;
    ccu_random_seed(&random, 11);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const int32_t W = sizes[s][0], H = sizes[s][1];
        int32_t       flips = 0;
        double        area  = 0.0;
        for (int32_t i = 0; i < 2000; i++) {
            const ccu_view v = ccu_view_draw(&random, W, H);
            assert_true(v.width >= 1 && v.height >= 1 && v.left >= 0 && v.top >= 0);
            assert_true(v.left + v.width <= W && v.top + v.height <= H);
            const double share  = (double)v.width * v.height / ((double)W * H);
            const double aspect = (double)v.width / (double)v.height;
            if (s < 2) {
                assert_true(share > 0.075 && aspect > 0.72 && aspect < 1.38);
            }
            area += share;
            flips += v.flip ? 1 : 0;
        }
        assert_in_range(flips, 900, 1100);
        /* torchvision 0.29 gave means of 0.435 and 0.482 over 20000 draws */
        if (s < 2) { assert_true(fabs(area / 2000.0 - (s == 0 ? 0.435 : 0.482)) < 0.02); }
    }
}

/* ---- Files ---------------------------------------------------------------------------------- */

static const char *const labels[] = { "red fox", "caf\xc3\xa9 \"noir\"", "x" };

static clipcu_prompt *new_prompt(clipcu_method method, bool specific) {
    clipcu_prompt         *p     = NULL;
    clipcu_error           error = { 0 };
    const ccu_prompt_shape shape = { .method = method, .class_specific = specific, .M = 3, .C = 8,
                                     .E = 32, .K = 3, .labels = labels,
                                     .position = method == CLIPCU_METHOD_COOP
                                                     ? CLIPCU_POSITION_MIDDLE
                                                     : CLIPCU_POSITION_END };
    if (ccu_prompt_create(&shape, &p, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    ccu_prompt_randomise(p, 4);
    p->fingerprint = 0xfedcba9876543210u;
    p->epoch       = 7;
    return p;
}

static void files_keep_everything(void **state) {
    (void)state;
    char path[] = "/tmp/clipcu_prompt_XXXXXX";
    close(mkstemp(path));
    for (int which = 0; which < 3; which++) {
        clipcu_error   error    = { 0 };
        clipcu_prompt *p        = new_prompt(which == 2 ? CLIPCU_METHOD_COCOOP : CLIPCU_METHOD_COOP,
                                             which == 1);
        clipcu_prompt *q        = NULL;
        float         *momentum = malloc(p->count * sizeof *momentum), *read = NULL;
        char          *note     = NULL;
        for (size_t i = 0; i < p->count; i++) { momentum[i] = (float)i - 0.25f; }
        assert_int_equal(ccu_prompt_write(p, momentum, "a\nnote", path, &error), CLIPCU_OK);
        if (ccu_prompt_read(path, &q, &read, &note, &error) != CLIPCU_OK) {
            fail_msg("%s", error.text);
        }
        assert_int_equal(q->count, p->count);
        assert_memory_equal(q->values, p->values, p->count * sizeof *p->values);
        assert_memory_equal(read, momentum, p->count * sizeof *momentum);
        assert_string_equal(note, "a\nnote");
        const clipcu_prompt_info a = clipcu_prompt_get_info(p), b = clipcu_prompt_get_info(q);
        assert_true(a.method == b.method && a.position == b.position && a.epoch == b.epoch &&
                    a.class_specific == b.class_specific && a.fingerprint == b.fingerprint &&
                    a.classes == b.classes && a.embed_dim == b.embed_dim);
        for (int32_t k = 0; k < 3; k++) { assert_string_equal(b.labels[k], labels[k]); }
        clipcu_prompt_close(q);
        clipcu_free(note);
        free(momentum);
        clipcu_free((char *)read);

        /* a prompt alone is no checkpoint */
        assert_int_equal(clipcu_prompt_save(p, path, &error), CLIPCU_OK);
        assert_int_equal(ccu_prompt_read(path, &q, &read, &note, &error), CLIPCU_ERR_FORMAT);
        assert_non_null(strstr(error.text, "go on from"));
        clipcu_prompt_close(p);
    }
    (void)unlink(path);
}

/* What may be wrong with a file: a changed pair, or a tensor of another shape. */
typedef struct wrong {
    const char *key, *value, *message;
} wrong;

static const wrong wrongs[] = {
    { "format", "clipcu-bank-1", "not a learned prompt" },
    { "method", "maple", "\"method\" is \"maple\", expected one of coop, cocoop" },
    { "position", "", "expected one of end, middle, front" },
    { "class_specific", "true", "of (classes, vectors, width)" },
    { "embed_dim", "-5", "\"embed_dim\" is \"-5\"" },
    { "embed_dim", "99999999", "expected a number up to 65536" },
    { "epoch", "", "\"epoch\"" },
    { "fingerprint", "zz", "\"fingerprint\" is \"zz\"" },
    { "labels", "[1, 2, 3]", "label 1 is no string" },
    { "labels", "{}", "no list of names" },
    { "labels", "[\"a\",\" \",\"c\"]", "label 2 is empty" },
    { "method", "cocoop", "meta_net.linear1.weight" },
};

static void wrong_files_are_refused(void **state) {
    (void)state;
    char path[] = "/tmp/clipcu_prompt_XXXXXX";
    close(mkstemp(path));
    float values[3 * 8] = { 0 };
    for (size_t i = 0; i <= sizeof wrongs / sizeof *wrongs; i++) {
        ccu_st_pair pairs[] = {
            { "format", "clipcu-prompt-1" }, { "method", "coop" },     { "position", "end" },
            { "class_specific", "false" },   { "embed_dim", "32" },    { "epoch", "3" },
            { "fingerprint", "00ff" },       { "labels", "[\"a\",\"b\",\"c\"]" },
        };
        const size_t   count  = sizeof pairs / sizeof *pairs;
        clipcu_prompt *p      = NULL;
        clipcu_error   error  = { 0 };
        const bool     good   = i == sizeof wrongs / sizeof *wrongs;
        ccu_tensor     tensor = { .data = (const uint8_t *)values, .name = "ctx", .rank = 2,
                                  .dtype = CCU_F32, .shape = { 3, 8 } };
        for (size_t n = 0; n < count && !good; n++) {
            if (strcmp(pairs[n].key, wrongs[i].key) == 0) { pairs[n].value = wrongs[i].value; }
        }
        assert_int_equal(ccu_st_write(path, pairs, (int32_t)count, &tensor, 1, &error), CLIPCU_OK);
        const clipcu_status status = clipcu_prompt_load(path, &p, &error);
        assert_int_equal(status, good ? CLIPCU_OK : CLIPCU_ERR_FORMAT);
        if (!good && strstr(error.text, wrongs[i].message) == NULL) {
            fail_msg("%s: \"%s\", expected \"%s\"", wrongs[i].key, error.text, wrongs[i].message);
        }
        clipcu_prompt_close(p);
    }
    values[5] = NAN;
    clipcu_prompt *p     = new_prompt(CLIPCU_METHOD_COOP, false);
    clipcu_error   error = { 0 };
    p->values[5]         = NAN;
    assert_int_equal(clipcu_prompt_save(p, path, &error), CLIPCU_OK);
    clipcu_prompt_close(p);
    p = NULL;
    assert_int_equal(clipcu_prompt_load(path, &p, &error), CLIPCU_ERR_FORMAT);
    assert_non_null(strstr(error.text, "nan"));
    (void)unlink(path);
}

static void what_does_not_go_together_is_refused(void **state) {
    (void)state;
    const char *const one[] = { " " };
    ccu_prompt_shape  shape = { .method = CLIPCU_METHOD_COCOOP, .M = 2, .C = 4, .E = 32, .K = 3,
                                .labels = labels };
    clipcu_prompt    *p     = NULL;
    clipcu_error      error = { 0 };
    shape.class_specific    = true;
    assert_int_equal(ccu_prompt_create(&shape, &p, &error), CLIPCU_ERR_ARGUMENT);
    shape.class_specific = false;
    shape.position       = CLIPCU_POSITION_FRONT;
    error                = (clipcu_error){ 0 };
    assert_int_equal(ccu_prompt_create(&shape, &p, &error), CLIPCU_ERR_ARGUMENT);
    shape.position = CLIPCU_POSITION_END;
    shape.E        = 15;
    error          = (clipcu_error){ 0 };
    assert_int_equal(ccu_prompt_create(&shape, &p, &error), CLIPCU_ERR_UNSUPPORTED);
    shape.E      = 16;
    shape.labels = one;
    shape.K      = 1;
    error        = (clipcu_error){ 0 };
    assert_int_equal(ccu_prompt_create(&shape, &p, &error), CLIPCU_ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "label 1 is empty"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_numbers_are_cpythons),
        cmocka_unit_test(streams_of_a_seed_differ),
        cmocka_unit_test(few_shots_are_coops),
        cmocka_unit_test(views_are_pillows),
        cmocka_unit_test(views_have_the_published_sizes),
        cmocka_unit_test(files_keep_everything),
        cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(what_does_not_go_together_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
