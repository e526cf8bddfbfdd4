/* host/page: what a page holds, what becomes of hostile texts, limits, failures. */
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

#include "base/file.h"
#include "base/memory.h"
#include "page/assets.h"
#include "page/page.h"
#include "stream/buffer.h"
#include "stream/escape.h"

#define SIDE 20

static char page_path[512];

static int make_folder(void **state) {
    static char folder[] = "page_XXXXXX";
    if (mkdtemp(folder) == NULL) { return 1; }
    (void)snprintf(page_path, sizeof page_path, "%s/page.html", folder);
    *state = folder;
    return 0;
}

static int remove_folder(void **state) {
    (void)remove(page_path);
    return rmdir(*state); /* fails if a temporary file was left behind */
}

static ccu_page *open_page(ccu_page_kind kind, int64_t items_max) {
    ccu_page    *page  = NULL;
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_page_open(&(ccu_page_options){ .path       = page_path,
                                                        .kind       = kind,
                                                        .model      = "model",
                                                        .items_max  = items_max,
                                                        .image_size = SIDE },
                                   &page, &error),
                     CLIPCU_OK);
    return page;
}

static void add(ccu_page *page, const ccu_page_item *item) {
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_page_add(page, item, &error), CLIPCU_OK);
}

/* Closes the page and reads it. Freed by the caller. */
static char *finish(ccu_page *page) {
    clipcu_error error = { .code = CLIPCU_OK };
    uint8_t     *text  = NULL;
    size_t       bytes = 0;
    assert_int_equal(ccu_page_close(page, true, &error), CLIPCU_OK);
    assert_int_equal(ccu_file_read(page_path, 64 << 20, &text, &bytes, &error), CLIPCU_OK);
    assert_int_equal(strlen((char *)text), bytes);
    assert_true(ccu_utf8_valid((char *)text));
    return (char *)text;
}

static int count_of(const char *text, const char *piece) {
    int count = 0;
    for (; (text = strstr(text, piece)) != NULL; text += strlen(piece)) { count++; }
    return count;
}

static void escapes_html(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },
        { "a cat", "a cat" },
        { "<b a='1' c=\"2\">&amp;", "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;" },
        { "a\nb", "a\\x0ab" },
        { "\xff", "\xef\xbf\xbd" },
        { "\xe2\x80\xae" "cat", "\\u202ecat" },
        { "\xc3\xa9\xf0\x9f\x98\x80", "\xc3\xa9\xf0\x9f\x98\x80" },
    };
    ccu_buffer buffer = { .data = NULL };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ccu_buffer_clear(&buffer);
        ccu_escape_html(&buffer, cases[i][0]);
        assert_string_equal(buffer.data == NULL ? "" : buffer.data, cases[i][1]);
    }
    ccu_buffer_clear(&buffer);
    ccu_escape_base64(&buffer, "fooba", 5);
    assert_string_equal(buffer.data, "Zm9vYmE=");
    ccu_buffer_free(&buffer);
}

/* Wherever a text can stand, it stays text. */
static void texts_stay_texts(void **state) {
    (void)state;
    static const char    evil[]  = "</script><script>alert(1)</script>\"' onload=x \xff\n";
    const ccu_page_score score   = { .label = evil, .value = 0.5f, .cosine = 0.25f };
    const ccu_page_class classes[2] = { { .label = evil, .pictures = 2, .top1 = 1, .top5 = 2 },
                                        { .label = "b" } };
    const int64_t confusion[4] = { 1, 1, 0, 0 };
    clipcu_error  error        = { .code = CLIPCU_OK };
    ccu_page     *page         = open_page(CCU_PAGE_EVAL, 10);
    add(page, &(ccu_page_item){ .path = evil, .truth = evil, .scores = &score, .count = 1 });
    add(page, &(ccu_page_item){ .path = evil, .truth = "b", .scores = &score, .count = 1 });
    add(page, &(ccu_page_item){ .path = evil, .error = evil });
    assert_int_equal(ccu_page_accuracy_add(page,
                                           &(ccu_page_accuracy){ .classes   = classes,
                                                                 .confusion = confusion,
                                                                 .K         = 2,
                                                                 .pictures  = 2,
                                                                 .top1      = 1,
                                                                 .top5      = 2 },
                                           &error),
                     CLIPCU_OK);
    char *text = finish(page);
    assert_int_equal(count_of(text, "<script"), 1); /* our own */
    assert_int_equal(count_of(text, "</script"), 1);
    assert_int_equal(count_of(text, "onload=x"), count_of(text, "&#39; onload=x"));
    assert_true(count_of(text, "&lt;script&gt;alert(1)") >= 8);
    ccu_free(text);

    page = open_page(CCU_PAGE_SEARCH, 10);
    add(page, &(ccu_page_item){ .path = evil, .group = evil, .scores = &score, .count = 1 });
    text = finish(page);
    assert_int_equal(count_of(text, "<script"), 1);
    assert_int_equal(count_of(text, "&lt;script&gt;alert(1)"), 2);
    ccu_free(text);
}

/* What a policy allows is the script and nothing else. */
static void policy_names_the_script(void **state) {
    (void)state;
    char *text = finish(open_page(CCU_PAGE_CLASSIFY, 10));
    assert_non_null(strstr(text, "default-src 'none'"));
    assert_non_null(strstr(text, ccu_asset_js_hash));
    assert_int_equal(strlen(ccu_asset_js_hash), 51); /* sha256- and 44 digits of base64 */
    assert_null(strstr(text, "http://"));
    assert_null(strstr(text, "https://"));
    assert_non_null(strstr(text, "There is nothing to show"));
    ccu_free(text);
}

static void counts_and_limits(void **state) {
    (void)state;
    uint8_t              pixels[SIDE * SIDE * 3];
    const ccu_page_score score = { .label = "cat", .value = 0.931f, .cosine = 0.3f };
    ccu_page            *page  = open_page(CCU_PAGE_CLASSIFY, 3);
    memset(pixels, 90, sizeof pixels);
    for (int i = 0; i < 1200; i++) {
        assert_int_equal(ccu_page_has_room(page), i < 3);
        add(page, &(ccu_page_item){
                      .path = "a/b.jpg", .pixels = pixels, .scores = &score, .count = 1 });
    }
    for (int i = 0; i < 5; i++) { add(page, &(ccu_page_item){ .path = "c", .error = "c: bad" }); }
    char *text = finish(page);
    assert_int_equal(count_of(text, "<li class=\"card\""), 3);
    assert_int_equal(count_of(text, "data:image/jpeg;base64,/9j/"), 3);
    assert_non_null(strstr(text, "<h1>1,200 of 1,205 pictures classified</h1>"));
    assert_non_null(strstr(text, "This page shows 3 of 1,200; the others were only counted."));
    assert_non_null(strstr(text, "5 pictures could not be read"));
    assert_non_null(strstr(text, "And 2 more, not shown"));
    assert_non_null(strstr(text, "93.1\xc2\xa0%"));
    assert_int_equal(count_of(text, "<span>bad</span>"), 3);
    ccu_free(text);
}

/* In an evaluation mistakes come first, and right answers give way to them. */
static void mistakes_first(void **state) {
    (void)state;
    const ccu_page_score score = { .label = "cat", .value = 0.9f };
    ccu_page            *page  = open_page(CCU_PAGE_EVAL, 5);
    for (int i = 0; i < 9; i++) {
        add(page, &(ccu_page_item){ .path   = i % 3 == 2 ? "mistake" : "fine",
                                    .truth  = i % 3 == 2 ? "dog" : "cat",
                                    .scores = &score,
                                    .count  = 1 });
    }
    char *text = finish(page);
    assert_int_equal(count_of(text, "<li class=\"card wrong\""), 3);
    assert_int_equal(count_of(text, "<li class=\"card right\""), 2);
    assert_true(strstr(strstr(text, "card right"), "card wrong") == NULL);
    ccu_free(text);
}

static void search_has_groups(void **state) {
    (void)state;
    ccu_page *page = open_page(CCU_PAGE_SEARCH, 100);
    for (int i = 0; i < 6; i++) {
        const ccu_page_score score = { .value = 0.4f - 0.1f * (float)(i % 3) };
        add(page, &(ccu_page_item){
                      .path = "p", .group = i < 3 ? "one" : "two", .scores = &score, .count = 1 });
    }
    char *text = finish(page);
    assert_non_null(strstr(text, "<h1>2 queries, 6 hits</h1>"));
    assert_int_equal(count_of(text, "<section class=\"group\""), 2);
    assert_int_equal(count_of(text, "<section"), count_of(text, "</section>"));
    assert_int_equal(count_of(text, "<span class=\"rank\">3</span>"), 2);
    assert_int_equal(count_of(text, "--bar-length:100.0%"), 2); /* each query's best hit */
    ccu_free(text);
}

static void large_matrix_is_data(void **state) {
    (void)state;
    enum { K = 60 };
    static int64_t        confusion[K * K];
    static ccu_page_class classes[K];
    clipcu_error          error = { .code = CLIPCU_OK };
    for (int k = 0; k < K; k++) {
        classes[k] = (ccu_page_class){ .label = "c", .pictures = 4, .top1 = 3, .top5 = 4 };
        confusion[k * K + k] = 3;
        confusion[k * K + (k + 1) % K] = 1;
    }
    ccu_page *page = open_page(CCU_PAGE_EVAL, 1);
    assert_int_equal(ccu_page_accuracy_add(page,
                                           &(ccu_page_accuracy){ .classes   = classes,
                                                                 .confusion = confusion,
                                                                 .K         = K,
                                                                 .pictures  = 240,
                                                                 .top1      = 180,
                                                                 .top5      = 240 },
                                           &error),
                     CLIPCU_OK);
    char *text = finish(page);
    assert_non_null(strstr(text, "[0,0,3,0,1,1\n,1,1,3,1,2,1\n"));
    assert_int_equal(count_of(text, "<tr data-row"), 20);
    assert_non_null(strstr(text, "<b>75.0\xc2\xa0%</b> <small>180 of 240</small>"));
    ccu_free(text);
}

typedef struct colour {
    double rgb[3]; /* 0 .. 255 */
} colour;

/* A colour of the style sheet, in light or in dark. */
static colour colour_of(const char *name, bool dark) {
    colour      out;
    unsigned    rgb[2][3];
    char        search[40];
    const char *at = NULL;
    char       *css = ccu_alloc(ccu_asset_css.count + 1);
    assert_non_null(css);
    memcpy(css, ccu_asset_css.bytes, ccu_asset_css.count);
    css[ccu_asset_css.count] = '\0';
    (void)snprintf(search, sizeof search, "--%s: light-dark(", name);
    at = strstr(css, search);
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen(search), "#%2x%2x%2x, #%2x%2x%2x)", &rgb[0][0], &rgb[0][1],
                            &rgb[0][2], &rgb[1][0], &rgb[1][1], &rgb[1][2]),
                     6);
    ccu_free(css);
    for (int i = 0; i < 3; i++) { out.rgb[i] = (double)rgb[dark ? 1 : 0][i]; }
    return out;
}

/* share of front over back, as color-mix and an alpha do it. */
static colour mix(colour front, colour back, double share) {
    colour out;
    for (int i = 0; i < 3; i++) {
        out.rgb[i] = share * front.rgb[i] + (1.0 - share) * back.rgb[i];
    }
    return out;
}

/* WCAG 2: relative luminance. */
static double luminance(colour c) {
    static const double weight[3] = { 0.2126, 0.7152, 0.0722 };
    double              sum       = 0.0;
    for (int i = 0; i < 3; i++) {
        const double v = c.rgb[i] / 255.0;
        sum += weight[i] * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
    }
    return sum;
}

static double contrast(colour a, colour b) {
    const double la = luminance(a);
    const double lb = luminance(b);
    return (fmax(la, lb) + 0.05) / (fmin(la, lb) + 0.05);
}

static void expect_contrast(double least, colour front, const char *name, colour back,
                            const char *ground, bool dark) {
    const double ratio = contrast(front, back);
    if (ratio < least) {
        fail_msg("%s on %s, %s: contrast %.2f, expected at least %.1f", name, ground,
                 dark ? "dark" : "light", ratio, least);
    }
}

/* Text 4.5, what is needed to operate 3, as WCAG 2 AA has it. */
static void contrasts(void **state) {
    (void)state;
    static const char *const texts[]   = { "text", "quiet", "accent", "wrong", "right" };
    static const char *const grounds[] = { "ground", "surface", "hover" };
    const colour             black     = { { 0, 0, 0 } };
    const colour             white     = { { 255, 255, 255 } };
    const colour             grey      = { { 119, 119, 119 } };
    assert_true(fabs(contrast(black, white) - 21.0) < 1e-9);
    assert_true(fabs(contrast(grey, white) - 4.48) < 0.005); /* known to be just too little */
    for (int dark = 0; dark < 2; dark++) {
        const colour surface = colour_of("surface", dark != 0);
        const colour text    = colour_of("text", dark != 0);
        for (int g = 0; g < 3; g++) {
            const colour back = colour_of(grounds[g], dark != 0);
            for (int t = 0; t < 5; t++) {
                expect_contrast(4.5, colour_of(texts[t], dark != 0), texts[t], back, grounds[g],
                                dark != 0);
            }
        }
        /* The darkest cells of the matrix: TINT_LEAST + TINT_RANGE in evaluation.c. */
        expect_contrast(4.5, text, "text", mix(colour_of("hit", dark != 0), surface, 0.46), "hit",
                        dark != 0);
        expect_contrast(4.5, text, "text", mix(colour_of("miss", dark != 0), surface, 0.46), "miss",
                        dark != 0);
        expect_contrast(3.0, colour_of("edge", dark != 0), "edge", surface, "surface", dark != 0);
        expect_contrast(3.0, colour_of("edge", dark != 0), "edge", colour_of("ground", dark != 0),
                        "ground", dark != 0);
    }
}

/* Cells are tinted by their share of the class; folders stand apart from names. */
static void tints_and_folders(void **state) {
    (void)state;
    const ccu_page_class classes[2]   = { { .label = "a", .pictures = 10, .top1 = 5, .top5 = 10 },
                                          { .label = "b", .pictures = 4, .top1 = 3, .top5 = 4 } };
    const int64_t        confusion[4] = { 5, 5, 1, 3 };
    const ccu_page_score score        = { .label = "a", .value = 0.9f };
    clipcu_error         error        = { .code = CLIPCU_OK };
    ccu_page            *page         = open_page(CCU_PAGE_EVAL, 10);
    add(page, &(ccu_page_item){
                  .path = "x/y&z/1.jpg", .truth = "a", .scores = &score, .count = 1 });
    assert_int_equal(ccu_page_accuracy_add(page,
                                           &(ccu_page_accuracy){ .classes   = classes,
                                                                 .confusion = confusion,
                                                                 .K         = 2,
                                                                 .pictures  = 14,
                                                                 .top1      = 8,
                                                                 .top5      = 14 },
                                           &error),
                     CLIPCU_OK);
    char *text = finish(page);
    assert_non_null(strstr(text, "<td class=\"same\" style=\"--tint:28%\">5</td>"));  /* 5/10 */
    assert_non_null(strstr(text, "<td class=\"other\" style=\"--tint:46%\">5</td>")); /* worst */
    assert_non_null(strstr(text, "<td class=\"other\" style=\"--tint:28%\">1</td>")); /* half */
    assert_non_null(strstr(text, "<td class=\"same\" style=\"--tint:37%\">3</td>"));  /* 3/4 */
    assert_non_null(strstr(text, "<span class=\"folder\">x/<wbr>y&amp;z/<wbr></span>"
                                 "<span class=\"file\">1.jpg</span>"));
    ccu_free(text);
}

static void failures(void **state) {
    (void)state;
    ccu_page    *page  = NULL;
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_page_check("-", &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(ccu_page_check(NULL, NULL), CLIPCU_OK);
    assert_int_equal(ccu_page_open(&(ccu_page_options){ .path = "no/such/page", .model = "m" },
                                   &page, NULL),
                     CLIPCU_ERR_IO);
    assert_null(page);
    /* No page was wanted. */
    assert_int_equal(ccu_page_add(NULL, NULL, NULL), CLIPCU_OK);
    assert_int_equal(ccu_page_accuracy_add(NULL, NULL, NULL), CLIPCU_OK);
    assert_int_equal(ccu_page_close(NULL, true, NULL), CLIPCU_OK);
    assert_false(ccu_page_has_room(NULL));
    /* A full disk. */
    if (access("/dev/full", W_OK) == 0) {
        ccu_error_clear(&error);
        assert_int_equal(ccu_page_open(&(ccu_page_options){ .path = "/dev/full", .model = "m" },
                                       &page, &error),
                         CLIPCU_OK);
        assert_int_equal(ccu_page_close(page, true, &error), CLIPCU_ERR_IO);
        assert_non_null(strstr(error.text, "/dev/full: cannot write"));
    }
}

/* Cut short: the page is not there, what was done is in FILE.part. */
static void cut_short(void **state) {
    (void)state;
    char         part[600];
    const ccu_page_score score = { .label = "cat", .value = 0.9f };
    (void)snprintf(part, sizeof part, "%s.part", page_path);
    (void)remove(page_path);
    ccu_page *page = open_page(CCU_PAGE_CLASSIFY, 5);
    assert_int_equal(ccu_page_close(page, false, NULL), CLIPCU_OK);
    assert_int_equal(access(part, F_OK), -1);
    page = open_page(CCU_PAGE_CLASSIFY, 5);
    add(page, &(ccu_page_item){ .path = "p", .scores = &score, .count = 1 });
    assert_int_equal(ccu_page_close(page, false, NULL), CLIPCU_OK);
    assert_int_equal(access(page_path, F_OK), -1);
    uint8_t *text  = NULL;
    size_t   bytes = 0;
    assert_int_equal(ccu_file_read(part, 1 << 20, &text, &bytes, NULL), CLIPCU_OK);
    assert_non_null(strstr((char *)text, "The run was cut short"));
    ccu_free(text);
    assert_int_equal(remove(part), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_html),     cmocka_unit_test(texts_stay_texts),
        cmocka_unit_test(policy_names_the_script), cmocka_unit_test(counts_and_limits),
        cmocka_unit_test(mistakes_first),   cmocka_unit_test(search_has_groups),
        cmocka_unit_test(large_matrix_is_data), cmocka_unit_test(contrasts),
        cmocka_unit_test(tints_and_folders), cmocka_unit_test(failures),
        cmocka_unit_test(cut_short),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
