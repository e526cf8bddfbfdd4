/* Folders of models with one file damaged: cut at every boundary, with absurd values, with deep
 * or broken JSON, with bytes flipped. Opening refuses each with a message that names the file, or
 * works where the damage is of no account; it never crashes, hangs or takes memory beyond
 * measure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/st_dir.h"

#define GOLDEN CLIPCU_SOURCE_DIR "/tests/golden/"
#define FILES_MAX 6
#define RESIDENT_KIB_MAX (400L << 10) /* the models are of 300 KB */

typedef struct part {
    const char *name;
    uint8_t    *data;
    size_t      bytes;
} part;

typedef struct fixture {
    st_dir dir;
    part   parts[FILES_MAX]; /* of the model, undamaged */
    int    count;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    if (f == NULL) { return -1; }
    st_dir_make(&f->dir);
    *state = f;
    return 0;
}

static void forget_model(fixture *f) {
    for (int i = 0; i < f->count; i++) { ccu_free(f->parts[i].data); }
    f->count = 0;
    st_dir_empty(&f->dir);
}

static int tear_down(void **state) {
    fixture *f = *state;
    forget_model(f);
    st_dir_remove(&f->dir);
    free(f);
    return 0;
}

static void copy_model(fixture *f, const char *model) {
    static const char *const names[] = { "config.json",       "preprocessor_config.json",
                                         "vocab.json",        "merges.txt",
                                         "tokenizer.json",    "open_clip_config.json",
                                         "model.safetensors", "open_clip_model.safetensors" };
    forget_model(f);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char  path[512];
        part *p = &f->parts[f->count];
        (void)snprintf(path, sizeof path, GOLDEN "%s/%s", model, names[i]);
        if (!ccu_file_exists(path)) { continue; }
        assert_true(f->count < FILES_MAX);
        assert_int_equal(ccu_file_read(path, 1 << 24, &p->data, &p->bytes, NULL), CLIPCU_OK);
        p->name = names[i];
        st_dir_write(&f->dir, p->name, p->data, p->bytes);
        f->count++;
    }
    assert_true(f->count >= 3);
}

static const part *find_part(const fixture *f, const char *name) {
    for (int i = 0; i < f->count; i++) {
        if (strcmp(f->parts[i].name, name) == 0) { return &f->parts[i]; }
    }
    fail_msg("no %s", name);
    return NULL;
}

static clipcu_status open_model(const fixture *f, clipcu_error *error) {
    clipcu_options options     = clipcu_options_default();
    clipcu_engine *engine      = NULL;
    options.device             = CLIPCU_DEVICE_CPU;
    options.threads            = 1;
    options.batch_max          = 1;
    const clipcu_status status = clipcu_open(f->dir.path, &options, &engine, error);
    assert_true((status == CLIPCU_OK) == (engine != NULL));
    clipcu_close(engine);
    return status;
}

static void expect_good(const fixture *f) {
    clipcu_error error;
    if (open_model(f, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
}

/* Opens the model with other contents in one file, puts the file right again. A failure says what
 * is wrong with what: the message names the folder at least. */
static clipcu_status open_with(const fixture *f, const char *name, const void *data, size_t bytes,
                               clipcu_error *error) {
    const part *p = find_part(f, name);
    st_dir_write(&f->dir, name, data, bytes);
    const clipcu_status status = open_model(f, error);
    st_dir_write(&f->dir, name, p->data, p->bytes);
    if (status != CLIPCU_OK) {
        assert_non_null(strstr(error->text, f->dir.path));
        assert_true(strlen(error->text) > strlen(f->dir.path) + 10);
    }
    return status;
}

static void expect_refused(const fixture *f, const char *name, const void *data, size_t bytes,
                           const char *what) {
    clipcu_error error;
    if (open_with(f, name, data, bytes, &error) == CLIPCU_OK) {
        fail_msg("%s: %.100s: opened", name, what);
    }
    if (strstr(error.text, name) == NULL) { fail_msg("%s: says \"%s\"", what, error.text); }
}

static void expect_little_memory(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(usage.ru_maxrss < RESIDENT_KIB_MAX);
#endif
}

/* ---- Cut short ------------------------------------------------------------------------------ */

static void cut(const fixture *f, const part *p, size_t bytes) {
    char what[64];
    (void)snprintf(what, sizeof what, "cut to %zu of %zu bytes", bytes, p->bytes);
    if (bytes < p->bytes) { expect_refused(f, p->name, p->data, bytes, what); }
}

static void cut_files(void **state) {
    static const char *const models[] = { "hf_b32", "hf_h14", "oc_g14" };
    fixture                 *f        = *state;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        copy_model(f, models[m]);
        for (int i = 0; i < f->count; i++) {
            const part *p = &f->parts[i];
            /* Lines may be missing from merges.txt: that is another vocabulary. */
            if (strcmp(p->name, "merges.txt") == 0) {
                cut(f, p, 0);
                continue;
            }
            const size_t last_brace = p->bytes - 3; /* a newline may follow it */
            const size_t at[]       = { 0, 1, 7, 8, 9, p->bytes / 3, p->bytes / 2, last_brace };
            for (size_t k = 0; k < sizeof at / sizeof at[0]; k++) { cut(f, p, at[k]); }
        }
        expect_good(f);
    }
}

/* The header's length, its end, and the end of every tenth part of the data. */
static void cut_weights(void **state) {
    fixture *f = *state;
    copy_model(f, "hf_b32");
    const part *p      = find_part(f, "model.safetensors");
    size_t      header = 0;
    for (int i = 0; i < 8; i++) { header |= (size_t)p->data[i] << (8 * i); }
    assert_true(8 + header < p->bytes);
    for (size_t bytes = 0; bytes <= 10; bytes++) { cut(f, p, bytes); }
    for (size_t bytes = 8 + header - 3; bytes <= 8 + header + 3; bytes++) { cut(f, p, bytes); }
    for (size_t i = 1; i < 10; i++) { cut(f, p, 8 + header + (p->bytes - 8 - header) * i / 10); }
    for (size_t less = 1; less <= 3; less++) { cut(f, p, p->bytes - less); }
}

/* Lengths of the header that no file has, with the rest as it was. */
static void absurd_header_lengths(void **state) {
    static const uint64_t lengths[] = {
        0,          1,          99999999,   100000001,  1ULL << 31,
        1ULL << 32, 1ULL << 62, 1ULL << 63, UINT64_MAX, UINT64_MAX - 7
    };
    fixture *f = *state;
    copy_model(f, "hf_b32");
    const part *p    = find_part(f, "model.safetensors");
    uint8_t    *copy = ccu_alloc(p->bytes);
    assert_non_null(copy);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char what[32];
        memcpy(copy, p->data, p->bytes);
        for (int b = 0; b < 8; b++) { copy[b] = (uint8_t)(lengths[i] >> (8 * b)); }
        (void)snprintf(what, sizeof what, "header of %llu", (unsigned long long)lengths[i]);
        expect_refused(f, p->name, copy, p->bytes, what);
    }
    ccu_free(copy);
    expect_little_memory();
}

/* ---- Absurd values -------------------------------------------------------------------------- */

/* Every number of a configuration becomes every absurd value in turn. Some do not matter (a field
 * that is not read, a null that means the default); the rest has to be refused by name. */
static int replace_numbers(const fixture *f, const char *name) {
    static const char *const values[] = {
        "-1",     "0",          "1e308",      "1e999",
        "-1e308", "2147483648", "4294967297", "9223372036854775807",
        "1.5",    "\"12\"",     "null",       "true",
        "[]",     "{}",         "[[[[1]]]]",  "NaN",
        "\"\""
    };
    const part *p       = find_part(f, name);
    const char *text    = (const char *)p->data; /* NUL-terminated */
    int         refused = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at != ':' && *at != '[') { continue; }
        const char  *number = at + 1 + strspn(at + 1, " \n");
        const size_t length = strspn(number, "0123456789.-+e");
        if (length == 0) { continue; }
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            char         changed[4096];
            clipcu_error error;
            const int    bytes = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(number - text),
                                          text, values[v], number + length);
            assert_true(bytes > 0 && (size_t)bytes < sizeof changed);
            refused += open_with(f, name, changed, (size_t)bytes, &error) != CLIPCU_OK;
        }
    }
    return refused;
}

static void absurd_numbers(void **state) {
    fixture *f = *state;
    copy_model(f, "hf_b32");
    assert_true(replace_numbers(f, "config.json") > 150);
    assert_true(replace_numbers(f, "preprocessor_config.json") > 50);
    copy_model(f, "oc_g14");
    assert_true(replace_numbers(f, "open_clip_config.json") > 100);
    expect_good(f);
    expect_little_memory();
}

/* `open` count times, `middle`, `close` count times; freed by the caller. */
static char *nest(const char *open, const char *middle, const char *close, size_t count) {
    const size_t one = strlen(open), other = strlen(close), most = strlen(middle);
    char        *text = malloc(count * (one + other) + most + 1);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * one, open, one);
        memcpy(text + count * one + most + i * other, close, other);
    }
    memcpy(text + count * one, middle, most);
    text[count * (one + other) + most] = '\0';
    return text;
}

static void absurd_json(void **state) {
    static const char *const whole[] = { "",
                                         " ",
                                         "null",
                                         "0",
                                         "[]",
                                         "\"x\"",
                                         "{",
                                         "}",
                                         "{}",
                                         "{\"a\":}",
                                         "{\"a\":1,}",
                                         "{a:1}",
                                         "{'a':1}",
                                         "{\"a\":NaN}",
                                         "{\"a\":1}{\"b\":2}",
                                         "\xef\xbb\xbf",
                                         "\xff\xfe{\0}\0",
                                         "{\"a\":\"\\ud800\"}",
                                         "{\"a\":\"\xff\"}" };
    static const char *const names[] = { "config.json", "preprocessor_config.json", "vocab.json" };
    fixture                 *f       = *state;
    copy_model(f, "hf_b32");
    char *const deep[] = { nest("[", "1", "]", 100000), nest("{\"a\":", "1", "}", 100000),
                           nest("[", "", "", 1000000), nest("{\"a\":[", "", "", 100000) };
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
            /* Without anything in it this one is all defaults. */
            if (n == 1 && whole[i][0] == '{') { continue; }
            expect_refused(f, names[n], whole[i], strlen(whole[i]), whole[i]);
        }
        for (size_t i = 0; i < sizeof deep / sizeof deep[0]; i++) {
            expect_refused(f, names[n], deep[i], strlen(deep[i]), deep[i]);
        }
    }
    for (size_t i = 0; i < sizeof deep / sizeof deep[0]; i++) { free(deep[i]); }
    expect_good(f);
    expect_little_memory();
}

/* ---- Bytes flipped -------------------------------------------------------------------------- */

/* Any byte of any file may be any other: it is opened or refused, and nothing else happens. */
static void flipped_bytes(void **state) {
    static const char *const models[] = { "hf_b32", "oc_g14" };
    fixture                 *f        = *state;
    uint64_t                 random   = 20261124;
    int                      refused  = 0;
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        copy_model(f, models[m]);
        for (int i = 0; i < 300; i++) {
            const part   *p     = &f->parts[st_random(&random) % (uint64_t)f->count];
            const size_t  among = p->bytes < 6000 ? p->bytes : 6000; /* the header of weights */
            const size_t  at    = st_random(&random) % among;
            const uint8_t kept  = p->data[at];
            clipcu_error  error;
            uint8_t      *copy = ccu_alloc(p->bytes);
            assert_non_null(copy);
            memcpy(copy, p->data, p->bytes);
            copy[at] = (uint8_t)(kept ^ (1u << st_random(&random) % 8));
            refused += open_with(f, p->name, copy, p->bytes, &error) != CLIPCU_OK;
            ccu_free(copy);
        }
        expect_good(f);
    }
    assert_true(refused > 100);
    assert_true(refused < 600);
    expect_little_memory();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cut_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_weights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(absurd_header_lengths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(absurd_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(absurd_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flipped_bytes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
