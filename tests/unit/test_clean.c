/* Cleaning of texts, HTML references and Unicode properties against what Python does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "text/clean.h"
#include "text/entities.h"
#include "text/unicode.h"

typedef clipcu_status (*clean_fn)(const uint8_t *, size_t, char **, size_t *, clipcu_error *);

/* True if cleaning text gives wanted; says what it gave otherwise. */
static bool cleans_to(clean_fn clean, const char *text, const char *wanted) {
    char        *out   = NULL;
    size_t       bytes = 0;
    clipcu_error error = { 0 };
    if (clean((const uint8_t *)text, strlen(text), &out, &bytes, &error) != CLIPCU_OK) {
        print_message("\"%s\": %s\n", text, error.text);
        return false;
    }
    const bool same = bytes == strlen(wanted) && memcmp(out, wanted, bytes + 1) == 0;
    if (!same) { print_message("\"%s\": \"%s\" instead of \"%s\"\n", text, out, wanted); }
    ccu_free(out);
    return same;
}

typedef struct clean_case {
    const char *text, *openai, *hf;
} clean_case;

/* hf NULL: not looked at. */
static const clean_case cases[] = {
    { "A Photo\t of\r\n a  CAT ", "a photo of a cat", "a photo of a cat " },
    { "", "", "" },
    { " \n ", "", " " },
    { "it\u2019s \u201cquoted\u201d \u02bc", "it's \"quoted\" '",
      "it\u2019s \u201cquoted\u201d \u02bc" },
    { "\ufb01ne o\ufb03ce \u0149 \u01c4 \u01c5 \u0133 \u01f1",
      "fine office 'n d\u017e d\u017e ij dz",
      "\ufb01ne o\ufb03ce \u0149 \u01c6 \u01c6 \u0133 \u01f3" },
    { "\uff28\uff45\u3000\uff11\uff76\uff9e\uffe3x\uff07", "he 1\u30ac \u0304x'", NULL },
    { "\x1b[31mred\x1b[0m \x1b[1;2", "red [1;2", NULL },
    { "\x1b[\u0661mX\x1b[;;HY\x1b[!", "xy[!", NULL },
    { "a\x01"
      "b\x7f"
      "c\u200b"
      "d\ufeff"
      "e\u206a"
      "f\ufff9",
      "abc\u200bdef", NULL },
    { "a\xc2\x85"
      "b\xc2\x81\u2028c\u2029d",
      "a\u2026b\xc2\x81 c d", NULL },
    { "cafe\u0301 \u2126 \u212b \u1100\u1161", "caf\u00e9 \u03c9 \u00e5 \uac00",
      "caf\u00e9 \u03c9 \u00e5 \uac00" },
    { "\u0130X \u1e9e", "i\u0307x \u00df", "i\u0307x \u00df" },
    { "\u039f\u0394\u039f\u03a3 \u03a3 \u03a3\u03a3",
      "\u03bf\u03b4\u03bf\u03c2 \u03c3 \u03c3\u03c2",
      "\u03bf\u03b4\u03bf\u03c3 \u03c3 \u03c3\u03c3" },
    { "A.\u03a3. A\u03a3'B A\u03a3' \u2160\u03a3 \u00aa\u03a3", /* ignorable, cased by property */
      "a.\u03c2. a\u03c3'b a\u03c2' \u2170\u03c2 \u00aa\u03c2", NULL },
    { "AT&amp;T &lt;b&gt; &amp;amp;", "at&t <b> &", "at&amp;t &lt;b&gt; &amp;amp;" },
    { "a <b> &amp; c", "a <b> & c", "a <b> &amp; c" },
    { "&#39; &quot;x&quot; &nbsp;y &copy", "' \"x\" y \u00a9", NULL },
    { "&amp;lt; &amp;amp;copy", "< \u00a9", NULL },
    { "P&EACUTE;REZ &SZLIG; &MICRO; &nTILDE; &FFLIG; &NAPOS;", /* ftfy's capitals */
      "p\u00e9rez ss \u03bc &ntilde; ff 'n", NULL },
    { "<P&EACUTE;REZ", "<p&eacute;rez", NULL },          /* not after a "<" on this line */
    { "&MICRO;\n<\n&MICRO;", "\u03bc < &micro;", NULL }, /* nor on a later one */
    { "<\n&MICRO;\r&eacute", "< &micro; \u00e9", NULL },
    { "&notit; &notin; &ampx &amp-x &ampamp;", "\u00acit; \u2209 &x &-x &", NULL },
    { "&#0; &#xd800; &#x110000; &#128; &#129; &#1; &#xfdd0; &#x1ffff;x &#59; &#12a;",
      "\ufffd \ufffd \ufffd \u20ac \xc2\x81 x ; a;", NULL },
    { "&#x; &#; & &; &#X41 &#99999999999999999999;", "&#x; &#; & &; a \ufffd", NULL },
    { "&NotEqualTilde; &fjlig;", "\u2242\u0338 fj", NULL },
    { "sch\u00c3\u00b6n", "sch\u00e3\u00b6n", "sch\u00e3\u00b6n" }, /* fix_encoding is not done */
};

static void test_cases(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(cleans_to(ccu_clean_openai, cases[i].text, cases[i].openai));
        assert_true(cases[i].hf == NULL || cleans_to(ccu_clean_hf, cases[i].text, cases[i].hf));
    }
}

static void test_checker_fails(void **state) {
    (void)state;
    assert_false(cleans_to(ccu_clean_openai, "A cat", "A cat"));
    assert_false(cleans_to(ccu_clean_hf, "a cat", "a ca"));
}

/* The entities table is sorted, well-formed, and every name is found with its semicolon. */
static void test_entity_table(void **state) {
    (void)state;
    for (int i = 0; i < CCU_ENTITIES; i++) {
        const char  *row   = ccu_entity_table[i];
        const size_t bytes = strcspn(row, " ;");
        unsigned     first = 0, second = 0;
        const int    found = sscanf(strchr(row, ' '), " %x %x", &first, &second);
        ccu_codes    codes = { 0 };
        char         text[64];
        assert_in_range(bytes, 2, 31);
        assert_in_range(found, 1, 2);
        (void)snprintf(text, sizeof text, "&%.*s;", (int)bytes, row);
        ccu_codes_append_utf8(&codes, (const uint8_t *)text, strlen(text));
        ccu_html_unescape(&codes);
        assert_int_equal(codes.count, (size_t)found);
        assert_int_equal(codes.items[0], (int32_t)first);
        if (found == 2) { assert_int_equal(codes.items[1], (int32_t)second); }
        if (i > 0) {
            const char  *before       = ccu_entity_table[i - 1];
            const size_t before_bytes = strcspn(before, " ;");
            const int    order = memcmp(before, row, bytes < before_bytes ? bytes : before_bytes);
            assert_true(order < 0 || (order == 0 && before_bytes < bytes));
        }
        ccu_codes_free(&codes);
    }
}

/* Escapes of escapes: as many rounds as there are levels, and a limit instead of hours. */
static void test_nested_escapes(void **state) {
    (void)state;
    const size_t levels = 250000;
    char        *text   = malloc(4 * levels + 8);
    text[0]             = '&';
    for (size_t i = 0; i < levels; i++) { memcpy(text + 1 + 4 * i, "amp;", 4); }
    char               *out    = NULL;
    size_t              bytes  = 0;
    clipcu_error        error  = { 0 };
    const clipcu_status status = ccu_clean_openai((const uint8_t *)text, 4 * levels + 1, &out,
                                                  &bytes, &error);
    assert_int_equal(status, CLIPCU_ERR_LIMIT);
    assert_non_null(strstr(error.text, "nested deeper"));
    error = (clipcu_error){ 0 };
    assert_int_equal(ccu_clean_openai((const uint8_t *)text, 4 * 90 + 1, &out, &bytes, &error),
                     CLIPCU_OK);
    assert_string_equal(out, "&");
    ccu_free(out);
    free(text);
}

/* 400,000 combining marks of two classes, each pair out of order: seconds would be quadratic. */
static void test_many_marks(void **state) {
    (void)state;
    ccu_codes in = { 0 }, out = { 0 };
    ccu_codes_push(&in, 'a');
    for (int i = 0; i < 200000; i++) {
        ccu_codes_push(&in, 0x301); /* class 230 */
        ccu_codes_push(&in, 0x323); /* class 220: goes before */
    }
    const clock_t start = clock();
    ccu_codes_nfc(&in, &out);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 5.0);
    assert_false(out.failed);
    assert_int_equal(out.count, 400000); /* a and one dot below are one character */
    assert_int_equal(out.items[0], 0x1ea1);
    assert_int_equal(out.items[1], 0x323);
    assert_int_equal(out.items[199999], 0x323);
    assert_int_equal(out.items[200000], 0x301);
    ccu_codes_free(&in);
    ccu_codes_free(&out);
}

static void test_utf8(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t      bad_at;
    } wrong[] = {
        { "abc\x80", 3 },          { "\xc0\xaf", 0 },     { "\xc1\xbf", 0 },
        { "a\xe0\x80\xaf", 1 },    { "\xed\xa0\x80", 0 }, { "\xf0\x80\x80\xaf", 0 },
        { "\xf4\x90\x80\x80", 0 }, { "ab\xc3", 2 },       { "\xe2\x82", 0 },
        { "\xf5\x80\x80\x80", 0 }, { "\xff", 0 },         { "\u20ac\xe2\x28\xa1", 3 },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t bad_at = 99;
        assert_false(
            ccu_utf8_check((const uint8_t *)wrong[i].text, strlen(wrong[i].text), &bad_at));
        assert_int_equal(bad_at, wrong[i].bad_at);
    }
    for (int32_t code = 0; code <= 0x10ffff; code++) {
        if (code >= 0xd800 && code <= 0xdfff) { continue; }
        uint8_t      text[4];
        int32_t      back  = -1;
        const size_t bytes = ccu_utf8_encode(code, text);
        assert_int_equal(ccu_utf8_decode(text, bytes, &back), bytes);
        assert_int_equal(back, code);
        if (bytes > 1) { assert_int_equal(ccu_utf8_decode(text, bytes - 1, &back), 0); }
    }
    assert_int_equal(ccu_utf8_fit("ab\u20acd", 6, 4), 2);
    assert_int_equal(ccu_utf8_fit("ab\u20acd", 6, 5), 5);
    assert_int_equal(ccu_utf8_fit("ab", 2, 40), 2);
}

static void test_properties(void **state) {
    (void)state;
    static const int32_t letters[] = { 'a', 0xaa, 0x1c5, 0x5d0, 0x3b1, 0x4f60, 0xac00, 0x2b0 };
    static const int32_t numbers[] = { '7', 0xb2, 0xbd, 0x661, 0x2167, 0x2460 };
    static const int32_t others[]  = { '_', 0x301, 0x94d, 0x200d, 0x1f600, 0x24b6, 0xad, 0x85 };
    for (size_t i = 0; i < 8; i++) {
        assert_true(ccu_is_letter(letters[i]) && !ccu_is_number(letters[i]));
        assert_true(!ccu_is_letter(others[i]) && !ccu_is_number(others[i]));
    }
    for (size_t i = 0; i < 6; i++) {
        assert_true(ccu_is_number(numbers[i]) && !ccu_is_letter(numbers[i]));
    }
    int spaces = 0;
    for (int32_t code = 0; code <= 0x10ffff; code++) { spaces += ccu_is_space(code); }
    assert_int_equal(spaces, 25); /* White_Space of Unicode */
    assert_true(ccu_is_space(0x85) && ccu_is_space(0x3000) && !ccu_is_space(0x200b));
    assert_true(!ccu_is_space(0x1c) && !ccu_is_space(0x180e));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),        cmocka_unit_test(test_checker_fails),
        cmocka_unit_test(test_entity_table), cmocka_unit_test(test_nested_escapes),
        cmocka_unit_test(test_many_marks),   cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
