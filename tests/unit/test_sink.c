/* host/stream, the way out: buffers, escaping, results as text, files, .npy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/escape.h"
#include "stream/npy.h"
#include "stream/output.h"
#include "stream/sink.h"
#include "support/st_dir.h"

#define PATH_BYTES 512

/* What an escaping function makes of a text. */
static const char *escaped(void (*escape)(ccu_buffer *, const char *), const char *text,
                           ccu_buffer *buffer) {
    ccu_buffer_clear(buffer);
    escape(buffer, text);
    return buffer->data == NULL ? "" : buffer->data;
}

/* ---- Escaping ------------------------------------------------------------------------------- */

static void escapes_json(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        { "", "\"\"" },
        { "a cat", "\"a cat\"" },
        { "a\"b\\c/d", "\"a\\\"b\\\\c/d\"" },
        { "\n\t\r\x01\x1f\x7f", "\"\\n\\t\\u000d\\u0001\\u001f\\u007f\"" },
        { "\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\"" },
        { "a\xff"
          "b",
          "\"a\\ufffdb\"" },
        { "\xc3", "\"\\ufffd\"" },                       /* cut off */
        { "\xc0\x80", "\"\\ufffd\\ufffd\"" },            /* overlong NUL */
        { "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" }, /* surrogate */
    };
    ccu_buffer buffer = { .data = NULL };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(escaped(ccu_escape_json, cases[i][0], &buffer), cases[i][1]);
    }
    ccu_buffer_free(&buffer);
}

/* Any bytes: the JSON parses, and valid text comes back as it was. */
static void json_survives_any_bytes(void **state) {
    (void)state;
    uint64_t   seed   = 20240611;
    ccu_buffer buffer = { .data = NULL };
    char       text[17];
    for (int round = 0; round < 20000; round++) {
        const uint64_t bits  = st_random(&seed);
        const size_t   bytes = (size_t)(bits % 16);
        for (size_t i = 0; i < bytes; i++) {
            text[i] = (char)(1 + st_random(&seed) % ((bits >> 8) % 2 == 0 ? 255 : 127));
        }
        text[bytes] = '\0';
        ccu_buffer_clear(&buffer);
        ccu_buffer_text(&buffer, "{");
        ccu_escape_json_path(&buffer, "path", text);
        ccu_buffer_text(&buffer, "}");
        assert_true(ccu_utf8_valid(buffer.data));
        cJSON *json = cJSON_Parse(buffer.data);
        assert_non_null(json);
        const cJSON *path = cJSON_GetObjectItemCaseSensitive(json, "path");
        assert_true(cJSON_IsString(path));
        const bool exact = strcmp(path->valuestring, text) == 0;
        assert_int_equal(exact, ccu_utf8_valid(text));
        assert_int_equal(exact, cJSON_GetObjectItemCaseSensitive(json, "path_base64") == NULL);
        cJSON_Delete(json);
    }
    ccu_buffer_free(&buffer);
}

static void keeps_odd_bytes_as_base64(void **state) {
    (void)state;
    static const char *const cases[][2] = { { "\xff", "/w==" },
                                            { "a\xff", "Yf8=" },
                                            { "a\xff"
                                              "b",
                                              "Yf9i" },
                                            { "\xff\xfe\xfd\xfc", "//79/A==" } };
    ccu_buffer               buffer     = { .data = NULL };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ccu_buffer_clear(&buffer);
        ccu_escape_json_path(&buffer, "text", cases[i][0]);
        const char *found = strstr(buffer.data, ",\"text_base64\":\"");
        assert_non_null(found);
        assert_memory_equal(found + 16, cases[i][1], strlen(cases[i][1]));
    }
    ccu_buffer_free(&buffer);
}

static void escapes_csv(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },
        { "a cat", "a cat" },
        { "a,b", "\"a,b\"" },
        { "say \"hi\"", "\"say \"\"hi\"\"\"" },
        { "two\nlines", "\"two\nlines\"" },
        { "cr\rcr", "\"cr\rcr\"" },
        { "\xff\x01", "\xff\x01" },
    };
    ccu_buffer buffer = { .data = NULL };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(escaped(ccu_escape_csv, cases[i][0], &buffer), cases[i][1]);
    }
    ccu_buffer_free(&buffer);
}

static void protects_terminals(void **state) {
    (void)state;
    static const struct {
        const char *text, *shown;
        int32_t     columns;
    } cases[] = {
        { "a cat", "a cat", 5 },
        { "\x1b[2J\n", "\\x1b[2J\\x0a", 11 },
        { "\xff", "\\xff", 4 },
        { "\xc2\x9b"
          "31m",
          "\\u009b31m", 9 }, /* the one-byte form of ESC [ */
        { "\xe2\x80\xae"
          "gpj",
          "\\u202egpj", 9 },                   /* turns the reading direction */
        { "\xe7\x8c\xab", "\xe7\x8c\xab", 2 }, /* a wide character */
        { "e\xcc\x81", "e\xcc\x81", 1 },       /* a combining accent */
    };
    ccu_buffer buffer = { .data = NULL };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(escaped(ccu_escape_plain, cases[i].text, &buffer), cases[i].shown);
        assert_int_equal(ccu_plain_columns(cases[i].text), cases[i].columns);
    }
    ccu_buffer_free(&buffer);
}

static void numbers_are_json(void **state) {
    (void)state;
    ccu_buffer buffer = { .data = NULL };
    ccu_escape_json_number(&buffer, 0.1f, 9);
    ccu_buffer_text(&buffer, " ");
    ccu_escape_json_number(&buffer, -1e-30f, 6);
    ccu_buffer_text(&buffer, " ");
    ccu_escape_json_number(&buffer, NAN, 6);
    ccu_buffer_text(&buffer, " ");
    ccu_escape_json_number(&buffer, -INFINITY, 6);
    assert_string_equal(buffer.data, "0.100000001 -1e-30 null null");
    ccu_buffer_free(&buffer);
}

static void buffers_grow_and_remember_failure(void **state) {
    (void)state;
    ccu_buffer   buffer = { .data = NULL };
    clipcu_error error  = { .code = CLIPCU_OK };
    for (int i = 0; i < 10000; i++) { ccu_buffer_format(&buffer, "%04d", i); }
    assert_int_equal(buffer.bytes, 40000);
    assert_memory_equal(buffer.data + 4 * 9876, "9876", 4);
    assert_int_equal(ccu_buffer_status(&buffer, &error), CLIPCU_OK);
    ccu_buffer_add(&buffer, "", SIZE_MAX / 2);
    assert_int_equal(ccu_buffer_status(&buffer, &error), CLIPCU_ERR_NOMEM);
    ccu_buffer_text(&buffer, "more");
    assert_int_equal(buffer.bytes, 40000);
    ccu_buffer_clear(&buffer);
    ccu_buffer_text(&buffer, "again");
    assert_string_equal(buffer.data, "again");
    ccu_buffer_free(&buffer);
}

/* ---- Results -------------------------------------------------------------------------------- */

static const ccu_score scores[3] = { { "a cat", 0.9375f, 0.28f },
                                     { "dog, \"big\"", 0.0625f, 0.2f },
                                     { "x", 0.0f, -0.1f } };

static const ccu_result fine = { .path = "a b.jpg", .scores = scores, .count = 3 };
static const ccu_result bad  = { .path = "c,d.jpg", .error = "c,d.jpg: not a \"picture\"" };

static const char *formatted(const ccu_sink *sink, ccu_buffer *buffer) {
    ccu_buffer_clear(buffer);
    ccu_sink_begin(sink, buffer);
    ccu_sink_add(sink, &fine, buffer);
    ccu_sink_add(sink, &bad, buffer);
    return buffer->data;
}

static void writes_every_format(void **state) {
    (void)state;
    ccu_buffer buffer = { .data = NULL };
    assert_string_equal(formatted(&(ccu_sink){ .format = CCU_FORMAT_JSONL, .top = 3 }, &buffer),
                        "{\"path\":\"a b.jpg\",\"labels\":["
                        "{\"label\":\"a cat\",\"probability\":0.9375,\"cosine\":0.28},"
                        "{\"label\":\"dog, \\\"big\\\"\",\"probability\":0.0625,\"cosine\":0.2},"
                        "{\"label\":\"x\",\"probability\":0,\"cosine\":-0.1}]}\n"
                        "{\"path\":\"c,d.jpg\",\"error\":\"not a \\\"picture\\\"\"}\n");
    assert_string_equal(formatted(&(ccu_sink){ .format = CCU_FORMAT_CSV, .top = 3 }, &buffer),
                        "path,label_1,probability_1,cosine_1,label_2,probability_2,cosine_2,"
                        "label_3,probability_3,cosine_3,error\n"
                        "a b.jpg,a cat,0.9375,0.28,\"dog, \"\"big\"\"\",0.0625,0.2,x,0,-0.1,\n"
                        "\"c,d.jpg\",,,,,,,,,,\"not a \"\"picture\"\"\"\n");
    assert_string_equal(formatted(&(ccu_sink){ .format = CCU_FORMAT_TABLE, .top = 3 }, &buffer),
                        "a b.jpg\n"
                        "  93.8 %  a cat\n"
                        "   6.2 %  dog, \"big\"\n"
                        "   0.0 %  x\n"
                        "c,d.jpg\n"
                        "   error  not a \"picture\"\n");
    const ccu_sink line = { .format = CCU_FORMAT_TABLE, .top = 1, .label_columns = 10 };
    assert_string_equal(formatted(&line, &buffer), "  93.8 %  a cat       a b.jpg\n"
                                                   "   error              c,d.jpg: not a "
                                                   "\"picture\"\n");
    ccu_buffer_free(&buffer);
}

static void draws_bars(void **state) {
    (void)state;
    const ccu_score shares[3] = { { "all", 1.0f, 1.0f }, { "half", 0.5f, 0 }, { "bit", 0.01f, 0 } };
    const ccu_result result   = { .path = "p", .scores = shares, .count = 3 };
    ccu_buffer       buffer   = { .data = NULL };
    ccu_sink         sink     = { .format = CCU_FORMAT_TABLE, .top = 3, .bars = true };
    ccu_sink_add(&sink, &result, &buffer);
    assert_string_equal(buffer.data, "p\n 100.0 %  ####################  all\n"
                                     "  50.0 %  ##########            half\n"
                                     "   1.0 %                        bit\n");
    sink.unicode = true;
    sink.colour  = true;
    ccu_buffer_clear(&buffer);
    ccu_sink_add(&sink, &result, &buffer);
    assert_string_equal(buffer.data, "\033[1mp\033[0m\n"
                                     "\033[32m 100.0 %  ████████████████████  all\033[0m\n"
                                     "\033[2m  50.0 %  ██████████            half\033[0m\n"
                                     "\033[2m   1.0 %  ▎                     bit\033[0m\n");
    ccu_buffer_free(&buffer);
}

static void strips_the_path_from_errors(void **state) {
    (void)state;
    assert_string_equal(ccu_sink_bare_error("a", "a: b"), "b");
    assert_string_equal(ccu_sink_bare_error("a", "ab: c"), "ab: c");
    assert_string_equal(ccu_sink_bare_error("a", "a"), "a");
    assert_string_equal(ccu_sink_bare_error("a.jpg", ""), "");
}

/* ---- Files ---------------------------------------------------------------------------------- */

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

static size_t slurp(const char *path, char *out, size_t bytes_max) {
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    const size_t bytes = fread(out, 1, bytes_max - 1, stream);
    assert_int_equal(fclose(stream), 0);
    out[bytes] = '\0';
    return bytes;
}

static void files_appear_when_complete(void **state) {
    (void)state;
    st_dir       dir;
    char         path[PATH_BYTES], part[PATH_BYTES], text[64];
    ccu_output   output;
    clipcu_error error = { .code = CLIPCU_OK };
    st_dir_make(&dir);
    (void)st_dir_join(&dir, "out", path);
    (void)st_dir_join(&dir, "out.part", part);
    assert_int_equal(ccu_output_open(path, &output, &error), CLIPCU_OK);
    assert_int_equal(ccu_output_write(&output, "one\n", 4, &error), CLIPCU_OK);
    assert_false(exists(path));
    assert_true(exists(part));
    assert_int_equal(ccu_output_close(&output, true, &error), CLIPCU_OK);
    assert_int_equal(ccu_output_close(&output, true, &error), CLIPCU_OK);
    assert_false(exists(part));
    assert_int_equal(slurp(path, text, sizeof text), 4);

    /* Not complete: the old file stays, what was done is beside it. */
    assert_int_equal(ccu_output_open(path, &output, &error), CLIPCU_OK);
    assert_int_equal(ccu_output_write(&output, "two\n", 4, &error), CLIPCU_OK);
    assert_int_equal(ccu_output_close(&output, false, &error), CLIPCU_OK);
    (void)slurp(path, text, sizeof text);
    assert_string_equal(text, "one\n");
    (void)slurp(part, text, sizeof text);
    assert_string_equal(text, "two\n");

    /* Nothing done: nothing stays. */
    assert_int_equal(ccu_output_open(path, &output, &error), CLIPCU_OK);
    assert_int_equal(ccu_output_close(&output, false, &error), CLIPCU_OK);
    assert_false(exists(part));
    st_dir_remove(&dir);
}

static void refuses_what_cannot_be_written(void **state) {
    (void)state;
    ccu_output   output;
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_output_open("/no/such/folder/out", &output, &error), CLIPCU_ERR_IO);
    assert_non_null(strstr(error.text, "/no/such/folder"));
    assert_int_equal(output.fd, -1);
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_output_open("/", &output, &error), CLIPCU_ERR_IO);
    assert_non_null(strstr(error.text, "folder"));
    assert_int_equal(ccu_output_check(NULL, NULL), CLIPCU_OK);
    assert_int_equal(ccu_output_check("-", NULL), CLIPCU_OK);
    assert_int_equal(ccu_output_check("/dev/null", NULL), CLIPCU_OK);
}

static void devices_are_written_as_they_are(void **state) {
    (void)state;
    ccu_output   output;
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_output_open("/dev/null", &output, &error), CLIPCU_OK);
    assert_false(output.atomic);
    assert_int_equal(ccu_output_write(&output, "x", 1, &error), CLIPCU_OK);
    assert_int_equal(ccu_output_close(&output, true, &error), CLIPCU_OK);
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(ccu_output_open("/dev/full", &output, &error), CLIPCU_OK);
        assert_int_equal(ccu_output_write(&output, "x", 1, &error), CLIPCU_ERR_IO);
        assert_non_null(strstr(error.text, "/dev/full"));
        assert_false(output.broken_pipe);
        assert_int_equal(ccu_output_close(&output, false, &error), CLIPCU_OK);
    }
    assert_false(exists("/dev/null.part"));
}

static void sees_a_closed_pipe(void **state) {
    (void)state;
    int          ends[2];
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(pipe(ends), 0);
    assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    ccu_output output = { .fd = ends[1], .name = "pipe" };
    assert_int_equal(ccu_output_write(&output, "x", 1, &error), CLIPCU_OK);
    (void)close(ends[0]);
    assert_int_equal(ccu_output_write(&output, "x", 1, &error), CLIPCU_ERR_IO);
    assert_true(output.broken_pipe);
    (void)close(ends[1]);
}

/* ---- .npy ----------------------------------------------------------------------------------- */

/* The header that numpy.save writes for np.zeros((3, 4), '<f4'), with our padding: NumPy leaves
 * room for a growing row count and pads to 128 bytes too. */
static void npy_header_is_numpys(void **state) {
    (void)state;
    static const char start[] =
        "\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }";
    char header[CCU_NPY_HEADER_BYTES];
    ccu_npy_header(3, 4, CCU_F32, header);
    assert_memory_equal(header, start, sizeof start - 1);
    for (size_t i = sizeof start - 1; i < sizeof header - 1; i++) {
        assert_int_equal(header[i], ' ');
    }
    assert_int_equal(header[sizeof header - 1], '\n');
    ccu_npy_header(INT64_MAX, INT32_MAX, CCU_F32, header);
    assert_int_equal(header[sizeof header - 2], ' ');
    assert_non_null(strstr(header + 10, "(9223372036854775807, 2147483647), }"));
}

static void npy_rows_are_in_order(void **state) {
    (void)state;
    const float  values[4] = { 1.0f, -2.5f, 3.0f, 0.125f }; /* (2, 2) */
    st_dir       dir;
    char         path[PATH_BYTES], bytes[512], header[CCU_NPY_HEADER_BYTES];
    float        rows[6];
    ccu_npy      npy;
    clipcu_error error = { .code = CLIPCU_OK };
    st_dir_make(&dir);
    (void)st_dir_join(&dir, "m.npy", path);
    assert_int_equal(ccu_npy_open(path, 2, CCU_F32, &npy, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_add(&npy, values, 1, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_add_missing(&npy, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_add(&npy, values + 2, 1, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_close(&npy, true, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_close(&npy, true, &error), CLIPCU_OK);
    assert_int_equal(slurp(path, bytes, sizeof bytes), CCU_NPY_HEADER_BYTES + sizeof rows);
    ccu_npy_header(3, 2, CCU_F32, header);
    assert_memory_equal(bytes, header, sizeof header);
    memcpy(rows, bytes + CCU_NPY_HEADER_BYTES, sizeof rows);
    assert_memory_equal(rows, values, 2 * sizeof *rows);
    assert_true(isnan(rows[2]) && isnan(rows[3]));
    assert_memory_equal(rows + 4, values + 2, 2 * sizeof *rows);

    /* Stopped early: what is there is a valid file under its temporary name. */
    assert_int_equal(ccu_npy_open(path, 2, CCU_F32, &npy, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_add(&npy, values, 2, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_close(&npy, false, &error), CLIPCU_OK);
    (void)st_dir_join(&dir, "m.npy.part", path);
    assert_int_equal(slurp(path, bytes, sizeof bytes), CCU_NPY_HEADER_BYTES + sizeof values);
    ccu_npy_header(2, 2, CCU_F32, header);
    assert_memory_equal(bytes, header, sizeof header);
    assert_int_equal(ccu_npy_open("/dev/null", 2, CCU_F32, &npy, &error), CLIPCU_ERR_UNSUPPORTED);
    st_dir_remove(&dir);
}

/* f16: NumPy's header, numbers rounded to nearest, half the size; gone on with behind whole rows,
 * also where the file has its name already. */
static void npy_in_half_precision(void **state) {
    (void)state;
    enum { COLUMNS = 1500 }; /* more than are converted at a time */
    const uint16_t bits[4] = { 0x3c00, 0xb555, 0x0000, 0x3c00 }; /* 1, -1/3, underflow, a tie */
    st_dir         dir;
    char           path[PATH_BYTES], bytes[8192];
    uint16_t       got[3 * COLUMNS];
    float          row[COLUMNS];
    ccu_npy        npy;
    clipcu_error   error = { .code = CLIPCU_OK };
    const float    values[4] = { 1.0f, -1.0f / 3.0f, 1e-9f, 1.0f + 0x1p-11f };
    for (int32_t i = 0; i < COLUMNS; i++) { row[i] = values[i % 4]; }
    st_dir_make(&dir);
    (void)st_dir_join(&dir, "m.npy", path);
    assert_int_equal(ccu_npy_open(path, COLUMNS, CCU_F16, &npy, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_add(&npy, row, 1, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_add_missing(&npy, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_close(&npy, true, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_reopen(path, COLUMNS, CCU_F16, &npy, &error), CLIPCU_OK);
    assert_int_equal(npy.rows, 2);
    assert_int_equal(ccu_npy_cut(&npy, 1, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_add_missing(&npy, &error), CLIPCU_OK);
    assert_int_equal(ccu_npy_close(&npy, true, &error), CLIPCU_OK);
    assert_int_equal(slurp(path, bytes, sizeof bytes), CCU_NPY_HEADER_BYTES + 2 * 2 * COLUMNS);
    assert_non_null(strstr(bytes + 10, "'<f2', 'fortran_order': False, 'shape': (2, 1500), }"));
    memcpy(got, bytes + CCU_NPY_HEADER_BYTES, 2 * 2 * COLUMNS);
    for (int32_t i = 0; i < COLUMNS; i++) {
        assert_int_equal(got[i], bits[i % 4]);
        assert_true((got[COLUMNS + i] & 0x7fff) > 0x7c00); /* NaN */
    }
    assert_int_equal(ccu_npy_reopen(st_dir_join(&dir, "none.npy", path), 4, CCU_F16, &npy, &error),
                     CLIPCU_ERR_IO);
    st_dir_remove(&dir);
}

/* A row wider than the block that missing rows are written in. */
static void npy_missing_rows_are_whole(void **state) {
    (void)state;
    static const int32_t columns[] = { 1, 1024, 1025, 2600 };
    st_dir               dir;
    char                 path[PATH_BYTES];
    struct stat          info;
    clipcu_error         error = { .code = CLIPCU_OK };
    st_dir_make(&dir);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        ccu_npy npy;
        (void)st_dir_join(&dir, "m.npy", path);
        assert_int_equal(ccu_npy_open(path, columns[i], CCU_F32, &npy, &error), CLIPCU_OK);
        assert_int_equal(ccu_npy_add_missing(&npy, &error), CLIPCU_OK);
        assert_int_equal(ccu_npy_close(&npy, true, &error), CLIPCU_OK);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_size, CCU_NPY_HEADER_BYTES + 4 * columns[i]);
    }
    st_dir_remove(&dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_json),
        cmocka_unit_test(json_survives_any_bytes),
        cmocka_unit_test(keeps_odd_bytes_as_base64),
        cmocka_unit_test(escapes_csv),
        cmocka_unit_test(protects_terminals),
        cmocka_unit_test(numbers_are_json),
        cmocka_unit_test(buffers_grow_and_remember_failure),
        cmocka_unit_test(writes_every_format),
        cmocka_unit_test(draws_bars),
        cmocka_unit_test(strips_the_path_from_errors),
        cmocka_unit_test(files_appear_when_complete),
        cmocka_unit_test(refuses_what_cannot_be_written),
        cmocka_unit_test(devices_are_written_as_they_are),
        cmocka_unit_test(sees_a_closed_pipe),
        cmocka_unit_test(npy_header_is_numpys),
        cmocka_unit_test(npy_rows_are_in_order),
        cmocka_unit_test(npy_in_half_precision),
        cmocka_unit_test(npy_missing_rows_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
