/* host/stream: labelled data sets: lines of a list, classes, what a source makes of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "stream/labelled.h"
#include "stream/source.h"
#include "support/st_dir.h"

#define PATH_BYTES 512

static void make_folder(const st_dir *dir, const char *name) {
    char path[PATH_BYTES];
    assert_int_equal(mkdir(st_dir_join(dir, name, path), 0700), 0);
}

/* Removes files and folders, the last first. */
static void remove_all(const st_dir *dir, const char *const *names, size_t count) {
    char path[PATH_BYTES];
    while (count > 0) { assert_int_equal(remove(st_dir_join(dir, names[--count], path)), 0); }
    st_dir_remove(dir);
}

/* ---- Lines ---------------------------------------------------------------------------------- */

static void cuts(const char *line, bool csv, const char *path, const char *label) {
    ccu_labelled_line out;
    clipcu_error      error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_labelled_cut(line, strlen(line), csv, &out, &error), CLIPCU_OK);
    assert_string_equal(out.path, path);
    assert_string_equal(out.label, label);
}

static void refuses(const char *line, size_t bytes, bool csv, const char *wanted) {
    ccu_labelled_line out;
    clipcu_error      error = { .code = CLIPCU_OK };
    assert_int_not_equal(ccu_labelled_cut(line, bytes, csv, &out, &error), CLIPCU_OK);
    assert_non_null(strstr(error.text, wanted));
}

static void cuts_lines_of_tabs(void **state) {
    (void)state;
    cuts("a b.jpg\tred apple", false, "a b.jpg", "red apple");
    cuts("  a.jpg \t  dog ", false, "a.jpg", "dog");
    cuts("a,b.jpg\t\"dog\"", false, "a,b.jpg", "\"dog\"");
    refuses("a.jpg dog", 9, false, "no tab");
    refuses("a.jpg\tdog\tcat", 13, false, "several tabs");
    refuses("\tdog", 4, false, "no path");
    refuses("a.jpg\t", 6, false, "no label");
    refuses("a.jpg\td\0g", 9, false, "NUL");
}

static void cuts_lines_of_commas(void **state) {
    (void)state;
    cuts("a.jpg,dog", true, "a.jpg", "dog");
    cuts(" a.jpg , red apple ", true, "a.jpg", "red apple");
    cuts("\"a,b.jpg\",\"a \"\"big\"\" dog\"", true, "a,b.jpg", "a \"big\" dog");
    refuses("a.jpg", 5, true, "no comma");
    refuses("a.jpg,dog,cat", 13, true, "needs quotes");
    refuses("\"a.jpg,dog", 10, true, "needs quotes");
    refuses("a\"b.jpg,dog", 11, true, "needs quotes");
    refuses(",dog", 4, true, "no path");
    refuses("a.jpg,", 6, true, "no label");
    assert_true(ccu_labelled_is_csv("x/test.CSV"));
    assert_false(ccu_labelled_is_csv(".csv"));
    assert_true(ccu_labelled_is_heading("path,label", 1, true));
    assert_false(ccu_labelled_is_heading("path,label", 2, true));
    assert_false(ccu_labelled_is_heading("path,label", 1, false));
}

static void refuses_what_does_not_fit(void **state) {
    (void)state;
    char line[CCU_LABELLED_LINE_MAX + 20];
    memset(line, 'x', sizeof line);
    line[3]                   = '\t';
    line[3 + CCU_LABEL_MAX]   = '\0'; /* a label of CCU_LABEL_MAX - 1 bytes: the longest */
    ccu_labelled_line out;
    clipcu_error      error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_labelled_cut(line, strlen(line), false, &out, &error), CLIPCU_OK);
    assert_int_equal(strlen(out.label), CCU_LABEL_MAX - 1);
    line[3 + CCU_LABEL_MAX]     = 'x';
    line[3 + CCU_LABEL_MAX + 1] = '\0';
    refuses(line, strlen(line), false, "at most");
    line[3] = ',';
    refuses(line, strlen(line), true, "expected");
}

/* ---- Classes -------------------------------------------------------------------------------- */

static void names_are_found(void **state) {
    (void)state;
    const char *const names[] = { "red apple", "dog", "Zebra", "dog" };
    ccu_classes       classes;
    assert_int_equal(ccu_classes_named(names, 4, &classes, NULL), CLIPCU_OK);
    assert_int_equal(classes.K, 4);
    assert_string_equal(classes.names[2], "Zebra");
    assert_int_equal(ccu_classes_index(&classes, "red apple"), 0);
    assert_int_equal(ccu_classes_index(&classes, "red_apple"), 0);
    assert_int_equal(ccu_classes_index(&classes, "dog"), 1);
    assert_int_equal(ccu_classes_index(&classes, "zebra"), -1);
    assert_int_equal(ccu_classes_index(&classes, ""), -1);
    assert_string_equal(ccu_classes_repeated(&classes), "dog");
    ccu_classes_free(&classes);
    ccu_classes_free(&classes);
}

/* Reads `text` as a file of classes; returns its status. */
static clipcu_status read_classes(const char *text, ccu_classes *out, clipcu_error *error) {
    st_dir dir;
    char   path[PATH_BYTES];
    st_dir_make(&dir);
    st_dir_write_text(&dir, "names", text);
    const clipcu_status status = ccu_classes_read(st_dir_join(&dir, "names", path), out, error);
    st_dir_remove(&dir);
    return status;
}

static void folders_come_before_names(void **state) {
    (void)state;
    ccu_classes  classes;
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(read_classes("n01\ttench\nn02\tn01\ntench\tdog\n", &classes, &error),
                     CLIPCU_OK);
    assert_int_equal(classes.K, 3);
    assert_int_equal(ccu_classes_index(&classes, "n01"), 0);
    assert_int_equal(ccu_classes_index(&classes, "n02"), 1);
    assert_int_equal(ccu_classes_index(&classes, "tench"), 2);
    assert_int_equal(ccu_classes_index(&classes, "dog"), 2);
    assert_null(ccu_classes_repeated(&classes));
    ccu_classes_free(&classes);
}

static void files_of_classes_are_checked(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        { "n01\ttench\ndog\n", "in all lines or in none" },
        { "dog\nn01\ttench\n", "in all lines or in none" },
        { "n01\ttench\nn01\tdog\n", "stands twice" },
        { "n01\t\n", "expected FOLDER<TAB>NAME" },
        { "n01\ta\tb\n", "expected FOLDER<TAB>NAME" },
        { "", "names" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ccu_classes  classes = { .K = 0 };
        clipcu_error error   = { .code = CLIPCU_OK };
        assert_int_not_equal(read_classes(wrong[i][0], &classes, &error), CLIPCU_OK);
        assert_non_null(strstr(error.text, wrong[i][1]));
        assert_null(classes.names);
    }
}

static void distinct_labels_are_sorted(void **state) {
    (void)state;
    static const char labels[] = "dog\0red_apple\0cat\0dog\0red apple";
    char             *copy     = ccu_alloc(sizeof labels);
    ccu_classes       classes;
    assert_non_null(copy);
    memcpy(copy, labels, sizeof labels);
    assert_int_equal(ccu_classes_distinct(copy, 5, &classes, NULL), CLIPCU_OK);
    assert_int_equal(classes.K, 3);
    assert_string_equal(classes.names[0], "cat");
    assert_string_equal(classes.names[1], "dog");
    assert_string_equal(classes.names[2], "red apple");
    assert_int_equal(ccu_classes_index(&classes, "red_apple"), 2);
    ccu_classes_free(&classes);
}

/* ---- Data sets ------------------------------------------------------------------------------ */

/* Puts everything a source hands out together as "[path class]" or "<error>", paths without dir. */
static void read_all(const st_dir *dir, const char *input, const ccu_classes *classes,
                     char out[2000]) {
    const size_t    skip   = strlen(dir->path) + 1;
    ccu_source     *source = NULL;
    ccu_source_item item;
    size_t          used = 0;
    out[0]               = '\0';
    assert_int_equal(ccu_source_open(&(ccu_source_options){ .inputs       = &input,
                                                            .inputs_count = 1,
                                                            .wake_fd      = -1,
                                                            .classes      = classes,
                                                            .part         = "test" },
                                     &source, NULL),
                     CLIPCU_OK);
    while (ccu_source_next(source, -1, &item) == CCU_SOURCE_ITEM) {
        const char *path = strncmp(item.path, dir->path, skip - 1) == 0 ? item.path + skip
                                                                        : item.path;
        if (item.error.code == CLIPCU_OK) {
            used += (size_t)snprintf(out + used, 2000 - used, "[%s %d]", path, item.class_index);
        } else {
            const char *why = strstr(item.error.text, path);
            assert_non_null(why);
            used += (size_t)snprintf(out + used, 2000 - used, "<%s>", why);
        }
    }
    ccu_source_close(source);
}

static void a_folder_has_classes(void **state) {
    static const char *const tree[] = { "dog",  "dog/3.png",       "dog/notes.txt",  "empty",
                                        "red_apple", "red_apple/1.jpg", "red_apple/more",
                                        "red_apple/more/2.jpg", "lost.jpg" };
    (void)state;
    st_dir      dir;
    ccu_classes classes;
    char        all[2000];
    st_dir_make(&dir);
    for (size_t i = 0; i < sizeof tree / sizeof tree[0] - 1; i++) {
        if (strchr(tree[i], '.') == NULL) {
            make_folder(&dir, tree[i]);
        } else {
            st_dir_write_text(&dir, tree[i], "x");
        }
    }
    const char *input = dir.path;
    assert_int_equal(ccu_labelled_classes(&input, 1, &classes, NULL), CLIPCU_OK);
    assert_int_equal(classes.K, 3); /* also the one without pictures */
    read_all(&dir, dir.path, &classes, all);
    assert_string_equal(all, "[dog/3.png 0][red_apple/1.jpg 2][red_apple/more/2.jpg 2]");
    ccu_classes_free(&classes);

    /* Other classes: a folder that is none of them is an error, before and while reading. */
    const char *const names[] = { "dog", "empty" };
    clipcu_error      error   = { .code = CLIPCU_OK };
    assert_int_equal(ccu_classes_named(names, 2, &classes, NULL), CLIPCU_OK);
    assert_int_equal(ccu_labelled_check(&classes, &input, 1, &error), CLIPCU_ERR_FORMAT);
    assert_non_null(strstr(error.text, "no class is called \"red_apple\""));
    st_dir_write_text(&dir, "lost.jpg", "x");
    read_all(&dir, dir.path, &classes, all);
    assert_string_equal(all, "[dog/3.png 0]<lost.jpg: lies in no folder of a class>"
                             "<red_apple/1.jpg: no class is called \"red_apple\">"
                             "<red_apple/more/2.jpg: no class is called \"red_apple\">");
    ccu_classes_free(&classes);
    remove_all(&dir, tree, sizeof tree / sizeof tree[0]);
}

static void a_list_has_classes(void **state) {
    (void)state;
    st_dir      dir;
    ccu_classes classes;
    char        path[PATH_BYTES];
    char        all[2000];
    st_dir_make(&dir);
    st_dir_write_text(&dir, "list.csv",
                      "path,label\na.jpg,dog\n\n\"b,b.jpg\",red_apple\nc.jpg,dog\n");
    const char *input = st_dir_join(&dir, "list.csv", path);
    assert_int_equal(ccu_labelled_classes(&input, 1, &classes, NULL), CLIPCU_OK);
    assert_int_equal(classes.K, 2);
    read_all(&dir, input, &classes, all);
    assert_string_equal(all, "[a.jpg 0][b,b.jpg 1][c.jpg 0]");

    /* A line that is none is one error that names it, and the next line is read. */
    st_dir_write_text(&dir, "list.tsv", "a.jpg\tdog\nb.jpg\nc.jpg\tcat\nd.jpg\tred apple\n");
    input = st_dir_join(&dir, "list.tsv", path);
    read_all(&dir, input, &classes, all);
    assert_string_equal(all, "[a.jpg 0]<list.tsv: line 2: expected PATH<TAB>LABEL, found no tab>"
                             "<c.jpg: no class is called \"cat\">[d.jpg 1]");
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_labelled_check(&classes, &input, 1, &error), CLIPCU_ERR_FORMAT);
    assert_non_null(strstr(error.text, "list.tsv: line 2"));
    ccu_classes_free(&classes);
    st_dir_remove(&dir);
}

static void a_split_file_has_classes(void **state) {
    (void)state;
    st_dir      dir;
    ccu_classes classes;
    char        path[PATH_BYTES], all[2000];
    st_dir_make(&dir);
    st_dir_write_text(&dir, "split.json",
                      "{\"train\":[[\"a.jpg\",4,\"zebra\"],[\"b.jpg\",2,\"red_apple\"]],"
                      "\"val\":[[\"c.jpg\",7,\"cat\"]],\"test\":[[\"d/e.jpg\",4,\"zebra\"],"
                      "[\"f.jpg\",2,\"red_apple\"],[\"g.jpg\",4,\"zebra\"]]}");
    const char *input = st_dir_join(&dir, "split.json", path);
    assert_int_equal(ccu_labelled_classes(&input, 1, &classes, NULL), CLIPCU_OK);
    assert_int_equal(classes.K, 3); /* by label, not by name */
    assert_string_equal(classes.names[0], "red apple");
    assert_string_equal(classes.names[1], "zebra");
    assert_string_equal(classes.names[2], "cat");
    read_all(&dir, input, &classes, all); /* the part "test", from the file's folder on */
    assert_string_equal(all, "[d/e.jpg 1][f.jpg 0][g.jpg 1]");

    /* An entry that is none is one error, and the next is read. */
    st_dir_write_text(&dir, "split.json",
                      "{\"test\":[[\"a.jpg\",0,\"dog\"],[\"b.jpg\",-1,\"cat\"],[\"b.jpg\",0.5,"
                      "\"cat\"],[1,2,3],[\"c.jpg\",1,\"cat\"]]}");
    read_all(&dir, input, &classes, all);
    assert_string_equal(all, "<a.jpg: no class is called \"dog\">"
                             "<split.json: entry 1: expected [path, label from 0, name of the "
                             "class]><split.json: entry 2: expected [path, label from 0, name of "
                             "the class]><split.json: entry 3: expected [path, label from 0, name "
                             "of the class]>[c.jpg 2]");
    ccu_classes_free(&classes);
    st_dir_remove(&dir);
}

static void split_fails(const st_dir *dir, const char *text, const char *wanted) {
    char         path[PATH_BYTES];
    ccu_classes  classes = { .K = 0 };
    clipcu_error error   = { .code = CLIPCU_OK };
    st_dir_write_text(dir, "split.json", text);
    const char *input = st_dir_join(dir, "split.json", path);
    assert_int_equal(ccu_labelled_classes(&input, 1, &classes, &error), CLIPCU_ERR_FORMAT);
    assert_non_null(strstr(error.text, wanted));
    assert_null(classes.names);
}

static void what_is_no_split_file(void **state) {
    (void)state;
    st_dir dir;
    st_dir_make(&dir);
    split_fails(&dir, "[]", "expected a JSON object");
    split_fails(&dir, "{\"train\":[", "not valid JSON");
    split_fails(&dir, "{}", "found no entry");
    split_fails(&dir, "{\"train\":{}}", "\"train\" is no array");
    split_fails(&dir, "{\"train\":[[\"a\",0,\"x\"],[\"a\",0]]}", "train[1]: expected [path");
    split_fails(&dir, "{\"train\":[[\"a\",3,\"x\"],[\"b\",3,\"y\"]]}", "the label 3 has two names");
    st_dir_remove(&dir);
}

static void what_is_no_data_set(void **state) {
    (void)state;
    st_dir       dir;
    ccu_classes  classes = { .K = 0 };
    char         path[PATH_BYTES];
    clipcu_error error = { .code = CLIPCU_OK };
    st_dir_make(&dir);
    const char *input = dir.path;
    assert_int_equal(ccu_labelled_classes(&input, 1, &classes, &error), CLIPCU_ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "a folder for each class"));
    error.code = CLIPCU_OK;
    input      = "-";
    assert_int_equal(ccu_labelled_classes(&input, 1, &classes, &error), CLIPCU_ERR_ARGUMENT);
    error.code = CLIPCU_OK;
    st_dir_write_text(&dir, "a.jpg", "x");
    input = st_dir_join(&dir, "a.jpg", path);
    assert_int_equal(ccu_labelled_classes(&input, 1, &classes, &error), CLIPCU_ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "found a picture"));
    error.code = CLIPCU_OK;
    st_dir_write_text(&dir, "empty.csv", "path,label\n");
    input = st_dir_join(&dir, "empty.csv", path);
    assert_int_equal(ccu_labelled_classes(&input, 1, &classes, &error), CLIPCU_ERR_FORMAT);
    error.code = CLIPCU_OK;
    input      = st_dir_join(&dir, "nothing.csv", path);
    assert_int_equal(ccu_labelled_classes(&input, 1, &classes, &error), CLIPCU_ERR_IO);
    assert_non_null(strstr(error.text, "nothing.csv"));
    assert_null(classes.names);
    st_dir_remove(&dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_lines_of_tabs),
        cmocka_unit_test(cuts_lines_of_commas),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(folders_come_before_names),
        cmocka_unit_test(files_of_classes_are_checked),
        cmocka_unit_test(distinct_labels_are_sorted),
        cmocka_unit_test(a_folder_has_classes),
        cmocka_unit_test(a_list_has_classes),
        cmocka_unit_test(a_split_file_has_classes),
        cmocka_unit_test(what_is_no_split_file),
        cmocka_unit_test(what_is_no_data_set),
    };
    return cmocka_run_group_tests_name("labelled", tests, NULL, NULL);
}
