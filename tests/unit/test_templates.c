/* Prompt templates and lists of lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/memory.h"
#include "support/text_files.h"
#include "text/templates.h"

/* CRC32 of the texts joined by line feeds. */
static unsigned long crc_of(const char *const *texts, int count) {
    unsigned long crc = crc32(0, NULL, 0);
    for (int i = 0; i < count; i++) {
        if (i > 0) { crc = crc32(crc, (const Bytef *)"\n", 1); }
        crc = crc32(crc, (const Bytef *)texts[i], (uInt)strlen(texts[i]));
    }
    return crc;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The published list and its order. */
static void test_openai(void **state) {
    (void)state;
    const char *sorted[80];
    memcpy(sorted, ccu_templates_openai80, sizeof sorted);
    assert_int_equal(crc_of(ccu_templates_openai80, 80), 0xb6c616c7);
    qsort(sorted, 80, sizeof *sorted, compare);
    assert_int_equal(crc_of(sorted, 80), 0xf1a9ba31);
    assert_int_not_equal(crc_of(sorted, 79), 0xf1a9ba31); /* the checksum sees one missing */
    for (int i = 0; i < 80; i++) {
        assert_int_equal(ccu_template_check(ccu_templates_openai80[i], NULL), CLIPCU_OK);
    }
    for (int i = 0; i < 7; i++) {
        const char *const *found = bsearch(&ccu_templates_openai7[i], sorted, 80, sizeof *sorted,
                                           compare);
        assert_non_null(found);
    }
}

static void test_check(void **state) {
    (void)state;
    static const char *const wrong[] = { "", "a photo", "{} and {}", "{", "{ }", "}{", "{}{}" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        clipcu_error error = { 0 };
        assert_int_equal(ccu_template_check(wrong[i], &error), CLIPCU_ERR_ARGUMENT);
        assert_non_null(strstr(error.text, "expected {} once"));
    }
    assert_int_equal(ccu_template_check("{}", NULL), CLIPCU_OK);
    assert_int_equal(ccu_template_check("a {{}} b", NULL), CLIPCU_OK);
}

static void test_fill(void **state) {
    (void)state;
    static const char *const rows[][3] = {
        { "a photo of a {}.", "tench", "a photo of a tench." },
        { "{}", "x", "x" },
        { "{}", "", "" },
        { "{} end", "a {} b", "a {} b end" },
        { "none", "x", "none" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = ccu_template_fill(rows[i][0], rows[i][1]);
        assert_string_equal(text, rows[i][2]);
        ccu_free(text);
    }
}

/* Reads bytes as a file of lines. */
static clipcu_status read_lines(const void *data, size_t bytes, ccu_lines *lines,
                                clipcu_error *error) {
    char dir[TEXT_DIR_MAX], path[TEXT_DIR_MAX + 16];
    text_dir_make(dir);
    text_write(dir, "lines.txt", data, bytes);
    (void)snprintf(path, sizeof path, "%s/lines.txt", dir);
    *error                     = (clipcu_error){ 0 };
    const clipcu_status status = ccu_lines_read(path, lines, error);
    text_dir_remove(dir);
    return status;
}

static void test_lines(void **state) {
    (void)state;
    ccu_lines    lines = { 0 };
    clipcu_error error;
    const char  *text = "\xef\xbb\xbf"
                        "dog\r\n\n  \t \r\ncaf\u00e9 au lait \n\xef\xbb\xbf"
                        "boat";
    assert_int_equal(read_lines(text, strlen(text), &lines, &error), CLIPCU_OK);
    assert_int_equal(lines.count, 3);
    assert_string_equal(lines.items[0], "dog");
    assert_string_equal(lines.items[1], "caf\u00e9 au lait ");
    assert_string_equal(lines.items[2], "\xef\xbb\xbf"
                                        "boat"); /* a mark only at the start */
    ccu_lines_free(&lines);
    ccu_lines_free(&lines);
    assert_int_equal(read_lines("x\n", 2, &lines, &error), CLIPCU_OK);
    assert_int_equal(lines.count, 1);
    ccu_lines_free(&lines);
}

static void test_lines_wrong(void **state) {
    (void)state;
    static const struct {
        const char *data;
        size_t      bytes;
        const char *message;
    } rows[] = {
        { "", 0, "no line" },
        { "\n \r\n\t\n", 6, "no line" },
        { "\xef\xbb\xbf", 3, "no line" },
        { "ok\nb\xff"
          "d\n",
          7, "line 2 is not UTF-8 at its byte 1" },
        { "ok\na\0b\n", 7, "line 2 holds a NUL" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ccu_lines    lines = { 0 };
        clipcu_error error;
        assert_int_equal(read_lines(rows[i].data, rows[i].bytes, &lines, &error),
                         CLIPCU_ERR_FORMAT);
        assert_non_null(strstr(error.text, rows[i].message));
        assert_null(lines.items);
    }
    ccu_lines    lines = { 0 };
    clipcu_error error = { 0 };
    assert_int_equal(ccu_lines_read("/no/such/file", &lines, &error), CLIPCU_ERR_IO);
}

static void test_classnames(void **state) {
    (void)state;
    char         path[1024];
    ccu_lines    lines = { 0 };
    clipcu_error error = { 0 };
    text_data_path(path, CLIPCU_SOURCE_DIR, "imagenet_classnames.txt");
    assert_int_equal(ccu_lines_read(path, &lines, &error), CLIPCU_OK);
    assert_int_equal(lines.count, 1000);
    assert_int_equal(crc_of((const char *const *)lines.items, 1000), 0x849d9e1c);
    ccu_lines_free(&lines);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai),      cmocka_unit_test(test_check),
        cmocka_unit_test(test_fill),        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_lines_wrong), cmocka_unit_test(test_classnames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
