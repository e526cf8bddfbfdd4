/* host/base: status, memory, number formats, files, JSON, threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/dtype.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/threads.h"
#include "support/st_dir.h"

/* ---- status --------------------------------------------------------------------------------- */

static void keeps_the_first_failure(void **state) {
    (void)state;
    clipcu_error error;
    ccu_error_clear(&error);
    assert_int_equal(error.code, CLIPCU_OK);
    assert_string_equal(error.text, "");
    assert_int_equal(ccu_fail(&error, CLIPCU_ERR_IO, "%s: %d", "first", 1), CLIPCU_ERR_IO);
    assert_int_equal(ccu_fail(&error, CLIPCU_ERR_FORMAT, "second"), CLIPCU_ERR_FORMAT);
    assert_int_equal(error.code, CLIPCU_ERR_IO);
    assert_string_equal(error.text, "first: 1");
    assert_int_equal(ccu_fail(NULL, CLIPCU_ERR_NOMEM, "dropped"), CLIPCU_ERR_NOMEM);
    ccu_error_clear(NULL);
}

static void messages_are_one_line_that_fits(void **state) {
    (void)state;
    char         text[2000];
    clipcu_error error = { .code = CLIPCU_OK };
    memset(text, 'x', sizeof text);
    memcpy(text, "a\nb\tc\x7f" "d\xc3\xa9", 9);
    text[sizeof text - 1] = '\0';
    (void)ccu_fail(&error, CLIPCU_ERR_FORMAT, "%s", text);
    assert_int_equal(strlen(error.text), sizeof error.text - 1);
    assert_memory_equal(error.text, "a?b?c?d\xc3\xa9x", 10);
}

static void names_every_status(void **state) {
    (void)state;
    for (int i = CLIPCU_OK; i <= CLIPCU_ERR_BACKEND; i++) {
        assert_string_not_equal(clipcu_status_name((clipcu_status)i), "UNKNOWN");
        for (int j = CLIPCU_OK; j < i; j++) {
            assert_string_not_equal(clipcu_status_name((clipcu_status)i),
                                    clipcu_status_name((clipcu_status)j));
        }
    }
    assert_string_equal(clipcu_status_name((clipcu_status)(CLIPCU_ERR_BACKEND + 1)), "UNKNOWN");
}

/* ---- memory --------------------------------------------------------------------------------- */

static void allocates_aligned(void **state) {
    (void)state;
    for (size_t bytes = 0; bytes < 300; bytes += 7) {
        uint8_t *memory = ccu_alloc(bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
        memset(memory, 0xa5, bytes);
        ccu_free(memory);
    }
    const size_t large = ((size_t)5 << 20) + 3; /* where large pages are asked for */
    uint8_t     *pages = ccu_alloc(large);
    assert_non_null(pages);
    assert_int_equal((uintptr_t)pages % ((size_t)2 << 20), 0);
    memset(pages, 0xa5, large);
    ccu_free(pages);
    assert_null(ccu_alloc(SIZE_MAX));
    assert_null(ccu_alloc(SIZE_MAX - 10));
    assert_null(ccu_alloc_zeroed(SIZE_MAX / 2, 3));
    assert_null(ccu_alloc_zeroed(3, SIZE_MAX / 2));
    ccu_free(NULL);
}

static void zeroes_grows_and_copies(void **state) {
    (void)state;
    uint8_t *memory = ccu_alloc_zeroed(100, 3);
    assert_non_null(memory);
    for (int i = 0; i < 300; i++) { assert_int_equal(memory[i], 0); }
    for (int i = 0; i < 300; i++) { memory[i] = (uint8_t)i; }
    memory = ccu_realloc(memory, 300, 1000);
    assert_non_null(memory);
    for (int i = 0; i < 300; i++) { assert_int_equal(memory[i], (uint8_t)i); }
    memory = ccu_realloc(memory, 1000, 10);
    assert_non_null(memory);
    assert_int_equal(memory[9], 9);
    assert_null(ccu_realloc(memory, 10, SIZE_MAX)); /* memory stays */
    assert_int_equal(memory[9], 9);
    ccu_free(memory);
    memory = ccu_realloc(NULL, 0, 5);
    assert_non_null(memory);
    ccu_free(memory);
    char *copy = ccu_strdup("text");
    assert_string_equal(copy, "text");
    ccu_free(copy);
    assert_non_null(memory = ccu_alloc_zeroed(0, 8));
    ccu_free(memory);
}

/* ---- number formats ------------------------------------------------------------------------- */

/* The value of a 16-bit float by its definition; NaN for NaN. */
static double defined_value(uint16_t bits, int exponent_bits) {
    const int    mantissa_bits = 15 - exponent_bits;
    const int    bias          = (1 << (exponent_bits - 1)) - 1;
    const int    exponent      = (bits & 0x7fff) >> mantissa_bits;
    const int    mantissa      = bits & ((1 << mantissa_bits) - 1);
    const double sign          = (bits & 0x8000) != 0 ? -1.0 : 1.0;
    if (exponent == (1 << exponent_bits) - 1) {
        return mantissa == 0 ? sign * HUGE_VAL : (double)NAN;
    }
    if (exponent == 0) { return sign * ldexp(mantissa, 1 - bias - mantissa_bits); }
    return sign * ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

static int same_number(float found, double expected) {
    if (isnan(expected)) { return isnan(found); }
    return (double)found >= expected && (double)found <= expected &&
           (signbit(found) != 0) == (signbit(expected) != 0);
}

static void converts_all_16_bit_floats(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const float half  = ccu_f16_to_f32((ccu_f16){ (uint16_t)bits });
        const float brain = ccu_bf16_to_f32((ccu_bf16){ (uint16_t)bits });
        if (!same_number(half, defined_value((uint16_t)bits, 5)) ||
            !same_number(brain, defined_value((uint16_t)bits, 8))) {
            fail_msg("bits %04x: f16 %.9g, bf16 %.9g", bits, (double)half, (double)brain);
        }
        const ccu_bf16 back = ccu_bf16_from_f32(brain);
        if (isnan(brain)) {
            assert_true(isnan(ccu_bf16_to_f32(back)));
        } else {
            assert_int_equal(back.bits, bits);
        }
    }
    assert_false(same_number(1.0f, 2.0)); /* the checker can fail */
    assert_false(same_number(0.0f, -0.0));
    assert_false(same_number(1.0f, (double)NAN));
}

/* Between neighbours the nearer one, at the middle the even one. */
static void rounds_to_bf16(void **state) {
    (void)state;
    for (uint32_t high = 0; high < 0x7f80; high++) {
        const uint32_t base    = high << 16;
        const uint32_t lows[]  = { 1, 0x7fff, 0x8000, 0x8001, 0xffff };
        const uint32_t even    = high + (high & 1);
        const uint32_t wants[] = { high, high, even, high + 1, high + 1 };
        for (int i = 0; i < 5; i++) {
            const uint32_t sign  = (high & 2) << 30;
            const float    value = ccu_f32_from_bits(sign | base | lows[i]);
            assert_int_equal(ccu_bf16_from_f32(value).bits, sign >> 16 | wants[i]);
        }
    }
    assert_int_equal(ccu_bf16_from_f32(INFINITY).bits, 0x7f80);
    assert_true(isnan(ccu_bf16_to_f32(ccu_bf16_from_f32(ccu_f32_from_bits(0x7f800001u)))));
    assert_true(isnan(ccu_bf16_to_f32(ccu_bf16_from_f32(ccu_f32_from_bits(0xffffffffu)))));
}

static void rounds_to_f16(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) { /* there and back */
        const float   value = ccu_f16_to_f32((ccu_f16){ (uint16_t)bits });
        const ccu_f16 back  = ccu_f16_from_f32(value);
        if (isnan(value)) {
            assert_true(isnan(ccu_f16_to_f32(back)));
            assert_int_equal(back.bits & 0x8000, bits & 0x8000);
        } else {
            assert_int_equal(back.bits, bits);
        }
    }
    for (uint32_t low = 0; low < 0x7c00; low++) { /* around the middle of two neighbours */
        const double below  = defined_value((uint16_t)low, 5);
        const double above  = low == 0x7bff ? 65536.0 : defined_value((uint16_t)(low + 1), 5);
        const float  middle = (float)((below + above) / 2.0); /* exact: one more bit */
        const uint32_t even = low + (low & 1);
        const uint32_t sign = (low & 2) << 14;
        const float    s    = sign != 0 ? -1.0f : 1.0f;
        assert_int_equal(ccu_f16_from_f32(s * middle).bits, sign | even);
        assert_int_equal(ccu_f16_from_f32(s * nextafterf(middle, 0.0f)).bits, sign | low);
        assert_int_equal(ccu_f16_from_f32(s * nextafterf(middle, HUGE_VALF)).bits,
                         sign | (low + 1));
        assert_int_equal(ccu_f16_from_f32(nextafterf((float)above, 0.0f)).bits, low + 1);
    }
    uint32_t random = 12345;
    for (int i = 0; i < 1000000; i++) { /* no f16 is nearer */
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        const float value = ccu_f32_from_bits(random);
        if (!(fabsf(value) < 65504.0f)) { continue; }
        const ccu_f16 rounded = ccu_f16_from_f32(value);
        const uint16_t size   = rounded.bits & 0x7fff;
        const double   target = fabs((double)value);
        const double   off    = fabs(defined_value(size, 5) - target);
        assert_int_equal(rounded.bits >> 15, signbit(value) != 0);
        assert_true(off <= fabs(defined_value((uint16_t)(size + 1), 5) - target));
        assert_true(size == 0 || off <= fabs(defined_value((uint16_t)(size - 1), 5) - target));
    }
    assert_int_equal(ccu_f16_from_f32(INFINITY).bits, 0x7c00);
    assert_int_equal(ccu_f16_from_f32(-3e38f).bits, 0xfc00);
    assert_int_equal(ccu_f16_from_f32(1e-45f).bits, 0);
    assert_true(isnan(ccu_f16_to_f32(ccu_f16_from_f32(ccu_f32_from_bits(0x7f800001u)))));
}

static void knows_sizes_and_names(void **state) {
    (void)state;
    assert_int_equal(ccu_dtype_bytes(CCU_F32), 4);
    assert_int_equal(ccu_dtype_bytes(CCU_BF16), 2);
    assert_int_equal(ccu_dtype_bytes(CCU_F16), 2);
    assert_string_equal(ccu_dtype_name(CCU_F32), "f32");
    assert_string_equal(ccu_dtype_name(CCU_BF16), "bf16");
    assert_string_equal(ccu_dtype_name(CCU_F16), "f16");
}

/* ---- files ---------------------------------------------------------------------------------- */

static void maps_and_reads(void **state) {
    const st_dir *dir = *state;
    char          path[512];
    ccu_map       map   = { NULL, 0 };
    uint8_t      *data  = NULL;
    size_t        bytes = 0;
    clipcu_error  error = { .code = CLIPCU_OK };
    st_dir_write(dir, "f", "a\0bc", 4);
    (void)st_dir_join(dir, "f", path);
    assert_true(ccu_file_exists(path));
    assert_false(ccu_dir_exists(path));
    assert_true(ccu_dir_exists(dir->path));
    assert_false(ccu_file_exists(dir->path));
    assert_int_equal(ccu_map_open(path, &map, &error), CLIPCU_OK);
    assert_int_equal(map.bytes, 4);
    assert_memory_equal(map.data, "a\0bc", 4);
    ccu_map_close(&map);
    assert_null(map.data);
    ccu_map_close(&map);
    assert_int_equal(ccu_file_read(path, 4, &data, &bytes, &error), CLIPCU_OK);
    assert_int_equal(bytes, 4);
    assert_memory_equal(data, "a\0bc", 5); /* and a NUL */
    ccu_free(data);
    assert_int_equal(ccu_file_read(path, 3, &data, &bytes, &error), CLIPCU_ERR_LIMIT);
    st_dir_write(dir, "empty", "", 0);
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_map_open(st_dir_join(dir, "empty", path), &map, &error),
                     CLIPCU_ERR_FORMAT);
    assert_int_equal(ccu_file_read(path, 3, &data, &bytes, &error), CLIPCU_OK);
    assert_int_equal(bytes, 0);
    ccu_free(data);
}

static void refuses_what_is_no_file(void **state) {
    const st_dir *dir = *state;
    char          path[512];
    ccu_map       map   = { NULL, 0 };
    uint8_t      *data  = NULL;
    size_t        bytes = 0;
    clipcu_error  error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_map_open(st_dir_join(dir, "absent", path), &map, &error), CLIPCU_ERR_IO);
    assert_non_null(strstr(error.text, "absent"));
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_map_open(dir->path, &map, &error), CLIPCU_ERR_FORMAT);
    assert_non_null(strstr(error.text, "folder"));
    assert_int_equal(mkfifo(st_dir_join(dir, "fifo", path), 0600), 0);
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_file_read(path, 10, &data, &bytes, &error), CLIPCU_ERR_FORMAT);
    assert_null(data);
}

static void joins_paths(void **state) {
    (void)state;
    char         out[CCU_PATH_MAX];
    char         name[CCU_PATH_MAX];
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_path_join(out, "a/b", "c", &error), CLIPCU_OK);
    assert_string_equal(out, "a/b/c");
    memset(name, 'n', sizeof name);
    name[CCU_PATH_MAX - 3] = '\0';
    assert_int_equal(ccu_path_join(out, "a", name, &error), CLIPCU_OK); /* exactly fits */
    assert_int_equal(ccu_path_join(out, "aa", name, &error), CLIPCU_ERR_LIMIT);
}

static void writes_whole_files_or_none(void **state) {
    const st_dir *dir = *state;
    char          path[512];
    char          part[520];
    ccu_writer    writer;
    uint8_t      *data  = NULL;
    size_t        bytes = 0;
    clipcu_error  error = { .code = CLIPCU_OK };
    (void)st_dir_join(dir, "out", path);
    (void)snprintf(part, sizeof part, "%s.part", path);
    assert_int_equal(ccu_writer_open(path, &writer, &error), CLIPCU_OK);
    assert_int_equal(fputs("new", writer.stream) >= 0, 1);
    assert_false(ccu_file_exists(path));
    assert_true(ccu_file_exists(part));
    assert_int_equal(ccu_writer_commit(&writer, &error), CLIPCU_OK);
    assert_false(ccu_file_exists(part));
    assert_int_equal(ccu_writer_open(path, &writer, &error), CLIPCU_OK);
    assert_int_equal(fputs("thrown away", writer.stream) >= 0, 1);
    ccu_writer_abandon(&writer);
    ccu_writer_abandon(&writer);
    assert_false(ccu_file_exists(part));
    assert_int_equal(ccu_file_read(path, 10, &data, &bytes, &error), CLIPCU_OK);
    assert_string_equal((char *)data, "new");
    ccu_free(data);
    assert_int_equal(ccu_writer_open("/nonexistent/x", &writer, &error), CLIPCU_ERR_IO);
    /* A full disk is noticed, and nothing is renamed. */
    struct rlimit none = { .rlim_cur = 0 }, before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none.rlim_max = before.rlim_max;
    error         = (clipcu_error){ .code = CLIPCU_OK };
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_equal(ccu_writer_open(path, &writer, &error), CLIPCU_OK);
    assert_int_equal(fputs("lost", writer.stream) >= 0, 1);
    const clipcu_status status = ccu_writer_commit(&writer, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, CLIPCU_ERR_IO);
    assert_false(ccu_file_exists(part));
    assert_int_equal(ccu_file_read(path, 10, &data, &bytes, NULL), CLIPCU_OK);
    assert_string_equal((char *)data, "new");
    ccu_free(data);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void looks_up_typed_values(void **state) {
    (void)state;
    static const char text[] = "{\"i\":7,\"d\":0.5,\"b\":true,\"s\":\"x\",\"n\":null,"
                               "\"big\":1e300}";
    cJSON            *root   = NULL;
    int32_t           i      = 1;
    double            d      = 2.0;
    bool              b      = false;
    const char       *s      = "default";
    clipcu_error      error  = { .code = CLIPCU_OK };
    assert_int_equal(ccu_json_parse("f", (const uint8_t *)text, sizeof text - 1, &root, &error),
                     CLIPCU_OK);
    assert_int_equal(ccu_json_int(root, "f", "absent", 0, 9, &i, &error), CLIPCU_OK);
    assert_int_equal(ccu_json_int(root, "f", "n", 0, 9, &i, &error), CLIPCU_OK);
    assert_int_equal(ccu_json_int(NULL, "f", "i", 0, 9, &i, &error), CLIPCU_OK);
    assert_int_equal(i, 1); /* absent, null or no object: the default stays */
    assert_int_equal(ccu_json_int(root, "f", "i", 7, 7, &i, &error), CLIPCU_OK);
    assert_int_equal(i, 7);
    assert_int_equal(ccu_json_double(root, "f", "d", &d, &error), CLIPCU_OK);
    assert_true(d > 0.49 && d < 0.51);
    assert_int_equal(ccu_json_bool(root, "f", "b", &b, &error), CLIPCU_OK);
    assert_true(b);
    assert_int_equal(ccu_json_string(root, "f", "s", &s, &error), CLIPCU_OK);
    assert_string_equal(s, "x");
    assert_true(ccu_json_has(root, "i"));
    assert_false(ccu_json_has(root, "n"));
    assert_false(ccu_json_has(root, "absent"));
    assert_false(ccu_json_has(NULL, "i"));
    assert_int_equal(error.code, CLIPCU_OK);
    assert_int_equal(ccu_json_int(root, "f", "i", 8, 9, &i, NULL), CLIPCU_ERR_FORMAT);
    assert_int_equal(ccu_json_int(root, "f", "d", 0, 9, &i, NULL), CLIPCU_ERR_FORMAT);
    assert_int_equal(ccu_json_int(root, "f", "s", 0, 9, &i, NULL), CLIPCU_ERR_FORMAT);
    assert_int_equal(ccu_json_int(root, "f", "big", 0, 9, &i, NULL), CLIPCU_ERR_FORMAT);
    assert_int_equal(ccu_json_double(root, "f", "s", &d, NULL), CLIPCU_ERR_FORMAT);
    assert_int_equal(ccu_json_bool(root, "f", "i", &b, NULL), CLIPCU_ERR_FORMAT);
    assert_int_equal(ccu_json_string(root, "f", "i", &s, &error), CLIPCU_ERR_FORMAT);
    assert_non_null(strstr(error.text, "\"i\""));
    assert_int_equal(i, 7);
    cJSON_Delete(root);
}

static void refuses_what_is_no_object(void **state) {
    static const char *const texts[] = { "", "[]", "3", "{", "{\"a\":}", "nul" };
    const st_dir            *dir     = *state;
    char                     path[512];
    cJSON                   *root = NULL;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        clipcu_error error = { .code = CLIPCU_OK };
        assert_int_equal(ccu_json_parse("name", (const uint8_t *)texts[i], strlen(texts[i]), &root,
                                        &error),
                         CLIPCU_ERR_FORMAT);
        assert_non_null(strstr(error.text, "name"));
        assert_null(root);
    }
    st_dir_write_text(dir, "j.json", "{\"a\":1}");
    assert_int_equal(ccu_json_read(st_dir_join(dir, "j.json", path), 100, &root, NULL), CLIPCU_OK);
    assert_true(ccu_json_has(root, "a"));
    cJSON_Delete(root);
    root = NULL;
    assert_int_equal(ccu_json_read(path, 3, &root, NULL), CLIPCU_ERR_LIMIT);
    assert_int_equal(ccu_json_read("/nonexistent", 3, &root, NULL), CLIPCU_ERR_IO);
    char deep[5000]; /* recursion of the parser is bounded */
    memset(deep, '[', sizeof deep);
    memcpy(deep, "{\"a\":", 5);
    assert_int_equal(ccu_json_parse("deep", (const uint8_t *)deep, sizeof deep, &root, NULL),
                     CLIPCU_ERR_FORMAT);
}

/* ---- threads -------------------------------------------------------------------------------- */

static void count_call(void *context, int32_t index) {
    int32_t *counts = context;
    counts[index]++;
}

static void visits_every_index_once(void **state) {
    (void)state;
    assert_true(ccu_threads_online() >= 1);
    for (int32_t threads = 1; threads <= 4; threads++) {
        int32_t counts[1000] = { 0 };
        ccu_parallel_for(threads, 999, count_call, counts);
        for (int i = 0; i < 999; i++) { assert_int_equal(counts[i], 1); }
        assert_int_equal(counts[999], 0);
        ccu_parallel_for(threads, 0, count_call, counts);
        assert_int_equal(counts[0], 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_first_failure),
        cmocka_unit_test(messages_are_one_line_that_fits),
        cmocka_unit_test(names_every_status),
        cmocka_unit_test(allocates_aligned),
        cmocka_unit_test(zeroes_grows_and_copies),
        cmocka_unit_test(converts_all_16_bit_floats),
        cmocka_unit_test(rounds_to_bf16),
        cmocka_unit_test(rounds_to_f16),
        cmocka_unit_test(knows_sizes_and_names),
        cmocka_unit_test(maps_and_reads),
        cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(joins_paths),
        cmocka_unit_test(writes_whole_files_or_none),
        cmocka_unit_test(looks_up_typed_values),
        cmocka_unit_test(refuses_what_is_no_object),
        cmocka_unit_test(visits_every_index_once),
    };
    return cmocka_run_group_tests(tests, st_dir_set_up, st_dir_tear_down);
}
