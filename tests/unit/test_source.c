/* host/stream, the way in: lines, folders, lists, and batches of loaded pictures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream/folder.h"
#include "stream/reader.h"
#include "stream/source.h"
#include "stream/words.h"
#include "support/st_dir.h"

#define PATH_BYTES 512

static const char *at(const st_dir *dir, const char *name, char path[PATH_BYTES]) {
    return st_dir_join(dir, name, path);
}

static void make_folder(const st_dir *dir, const char *name) {
    char path[PATH_BYTES];
    assert_int_equal(mkdir(at(dir, name, path), 0700), 0);
}

/* ---- Lines ---------------------------------------------------------------------------------- */

/* Reads `text` as a file and puts its lines together as "[line][line]". */
static void read_lines(const char *text, size_t bytes, size_t line_max, char out[1000]) {
    st_dir       dir;
    char         path[PATH_BYTES];
    ccu_reader   reader;
    clipcu_error error = { .code = CLIPCU_OK };
    size_t       used  = 0;
    st_dir_make(&dir);
    st_dir_write(&dir, "lines", text, bytes);
    assert_int_equal(ccu_reader_open(at(&dir, "lines", path), line_max, -1, &reader, &error),
                     CLIPCU_OK);
    out[0] = '\0';
    for (;;) {
        const char             *line   = NULL;
        size_t                  length = 0;
        const ccu_reader_result result = ccu_reader_next(&reader, -1, &line, &length);
        if (result == CCU_READER_END) { break; }
        assert_true(result == CCU_READER_LINE || result == CCU_READER_TOO_LONG);
        used += (size_t)snprintf(out + used, 1000 - used, "%s%.20s]",
                                 result == CCU_READER_LINE ? "[" : "<", line);
    }
    ccu_reader_close(&reader);
    st_dir_remove(&dir);
}

static void cuts_lines(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        { "", "" },
        { "a", "[a]" },
        { "a\n", "[a]" },
        { "a\nb", "[a][b]" },
        { "a\r\nb\r\n", "[a][b]" },
        { "\n\na\n", "[][][a]" },
        { "a\rb\n", "[a\rb]" },
        { "\xef\xbb\xbf"
          "a\n\xef\xbb\xbf"
          "b\n",
          "[a][\xef\xbb\xbf"
          "b]" },
        { "\xef\xbb\xbf", "[]" },
        { "\r", "[]" },
        { NULL, NULL },
    };
    char out[1000];
    for (int i = 0; cases[i][0] != NULL; i++) {
        read_lines(cases[i][0], strlen(cases[i][0]), 100, out);
        assert_string_equal(out, cases[i][1]);
    }
}

static void passes_over_endless_lines(void **state) {
    (void)state;
    const size_t bytes = 300000;
    char        *text  = malloc(bytes);
    char         out[1000];
    assert_non_null(text);
    memset(text, 'x', bytes);
    memcpy(text, "first\n", 6);
    memcpy(text + bytes - 6, "\nlast\n", 6);
    read_lines(text, bytes, 100, out);
    assert_string_equal(out, "[first]<xxxxxxxxxxxxxxxxxxxx][last]");
    text[bytes - 6] = 'x'; /* the endless line is the last */
    text[bytes - 1] = 'x';
    read_lines(text, bytes, 100, out);
    assert_string_equal(out, "[first]<xxxxxxxxxxxxxxxxxxxx]");
    free(text);
}

static void wakes_up_and_waits(void **state) {
    (void)state;
    int          wake[2], data[2];
    const char  *line  = NULL;
    size_t       bytes = 0;
    clipcu_error error = { .code = CLIPCU_OK };
    ccu_reader   reader;
    const int    saved = dup(STDIN_FILENO);
    assert_int_equal(pipe(wake), 0);
    assert_int_equal(pipe(data), 0);
    assert_int_equal(dup2(data[0], STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(ccu_reader_open(NULL, 100, wake[0], &reader, &error), CLIPCU_OK);
    assert_int_equal(ccu_reader_next(&reader, 10, &line, &bytes), CCU_READER_LATER);
    assert_int_equal(write(data[1], "ab", 2), 2);
    assert_int_equal(ccu_reader_next(&reader, 10, &line, &bytes), CCU_READER_LATER);
    assert_int_equal(write(data[1], "c\nd", 3), 3);
    assert_int_equal(ccu_reader_next(&reader, 10, &line, &bytes), CCU_READER_LINE);
    assert_string_equal(line, "abc");
    assert_int_equal(write(wake[1], "!", 1), 1);
    assert_int_equal(ccu_reader_next(&reader, -1, &line, &bytes), CCU_READER_END);
    ccu_reader_close(&reader);
    assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
    for (int i = 0; i < 2; i++) {
        (void)close(wake[i]);
        (void)close(data[i]);
    }
    (void)close(saved);
}

static void reads_regular_files_only(void **state) {
    (void)state;
    st_dir       dir;
    char         path[PATH_BYTES];
    ccu_reader   reader;
    clipcu_error error = { .code = CLIPCU_OK };
    st_dir_make(&dir);
    assert_int_equal(ccu_reader_open(at(&dir, "none", path), 9, -1, &reader, &error),
                     CLIPCU_ERR_IO);
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_reader_open(dir.path, 9, -1, &reader, &error), CLIPCU_ERR_FORMAT);
    assert_non_null(strstr(error.text, "folder"));
    assert_int_equal(mkfifo(at(&dir, "pipe", path), 0600), 0);
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_reader_open(path, 9, -1, &reader, &error), CLIPCU_ERR_FORMAT);
    st_dir_remove(&dir);
}

/* ---- Sources -------------------------------------------------------------------------------- */

typedef struct heard {
    char text[1000];
} heard;

static void hear(void *user, const char *text) {
    heard       *h    = user;
    const size_t used = strlen(h->text);
    (void)snprintf(h->text + used, sizeof h->text - used, "%s\n", text);
}

/* Runs a source over inputs (ends with NULL) and puts the items together, a line each, "!" before
 * failed ones. prefix is cut from the paths. */
static void drain(const char *const *inputs, const char *prefix, heard *h, char out[4000]) {
    ccu_source     *source = NULL;
    ccu_source_item item;
    clipcu_error    error = { .code = CLIPCU_OK };
    int32_t         count = 0;
    size_t          used  = 0;
    const size_t    skip  = strlen(prefix) + 1;
    while (inputs[count] != NULL) { count++; }
    assert_int_equal(ccu_source_open(&(ccu_source_options){ .inputs       = inputs,
                                                            .inputs_count = count,
                                                            .wake_fd      = -1,
                                                            .warn         = h != NULL ? hear : NULL,
                                                            .warn_user    = h },
                                     &source, &error),
                     CLIPCU_OK);
    out[0] = '\0';
    while (ccu_source_next(source, -1, &item) == CCU_SOURCE_ITEM) {
        const bool inside = strncmp(item.path, prefix, skip - 1) == 0 && item.path[skip - 1] == '/';
        used += (size_t)snprintf(out + used, 4000 - used, "%s%s\n",
                                 item.error.code == CLIPCU_OK ? "" : "!",
                                 inside ? item.path + skip : item.path);
    }
    assert_int_equal(ccu_source_next(source, -1, &item), CCU_SOURCE_END);
    ccu_source_close(source);
}

/* names stand top down. */
static void remove_deepest_first(const st_dir *dir, const char *const *names, size_t count) {
    char path[PATH_BYTES];
    while (count > 0) { assert_int_equal(remove(at(dir, names[--count], path)), 0); }
}

static void walks_folders_in_order(void **state) {
    (void)state;
    static const char *const folders[] = { "d", "d/e", "skip", ".git" };
    static const char *const links[]   = { "d/loop", "same.jpg", "z.jpg", "broken.jpg" };
    static const char *const targets[] = { "..", "d", "b.jpg", "nothing" };
    static const char *const files[]   = { "b.jpg",       "a.PNG",    "B.jpg",        "c.txt",
                                           ".hidden.jpg", "noend",    "x.webp",       "é.jpg",
                                           "d/2.bmp",     "d/10.bmp", "d/e/deep.gif", "skip/a.md",
                                           ".git/x.jpg" };
    st_dir                   dir;
    heard                    h = { .text = "" };
    char                     out[4000], path[PATH_BYTES], link[PATH_BYTES];
    st_dir_make(&dir);
    for (size_t i = 0; i < 4; i++) { make_folder(&dir, folders[i]); }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        st_dir_write_text(&dir, files[i], "");
    }
    /* A loop, a link to a folder that is named like a picture, one to a file, one to nothing. */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(symlink(targets[i], at(&dir, links[i], link)), 0);
    }
    drain((const char *const[]){ dir.path, NULL }, dir.path, &h, out);
    assert_string_equal(out, "B.jpg\na.PNG\nb.jpg\nbroken.jpg\nd/10.bmp\nd/2.bmp\nd/e/deep.gif\n"
                             "x.webp\nz.jpg\né.jpg\n");
    assert_non_null(strstr(h.text, "2 links to folders"));
    /* A slash at the end does not double; a link given by name is followed. */
    h.text[0] = '\0';
    (void)snprintf(path, sizeof path, "%s/d/e/", dir.path);
    drain((const char *const[]){ path, at(&dir, "same.jpg", link), NULL }, dir.path, &h, out);
    assert_string_equal(out,
                        "d/e/deep.gif\nsame.jpg/10.bmp\nsame.jpg/2.bmp\nsame.jpg/e/deep.gif\n");
    /* A folder without pictures is said to be one. */
    h.text[0] = '\0';
    drain((const char *const[]){ at(&dir, "skip", path), NULL }, dir.path, &h, out);
    assert_string_equal(out, "");
    assert_non_null(strstr(h.text, "no pictures"));
    remove_deepest_first(&dir, links, sizeof links / sizeof links[0]);
    remove_deepest_first(&dir, files, sizeof files / sizeof files[0]);
    remove_deepest_first(&dir, folders, sizeof folders / sizeof folders[0]);
    st_dir_remove(&dir);
}

static void reads_lists(void **state) {
    (void)state;
    static const char lines[] = "one.jpg\r\n\n two words.png\nnul\0byte\nother.txt";
    st_dir            dir;
    char              out[4000], list[PATH_BYTES], other[PATH_BYTES], none[PATH_BYTES];
    char              endless[9000];
    st_dir_make(&dir);
    st_dir_write(&dir, "list.TXT", lines, sizeof lines - 1);
    memset(endless, 'x', sizeof endless);
    st_dir_write(&dir, "long.txt", endless, sizeof endless);
    drain((const char *const[]){ at(&dir, "list.TXT", list), "explicit", "",
                                 at(&dir, "none.txt", none), "last.gif", NULL },
          dir.path, NULL, out);
    /* A line naming a list is a picture of that name; a missing list is one failed input. */
    assert_string_equal(out, "one.jpg\n two words.png\n!nul\nother.txt\nexplicit\n\n!none.txt\n"
                             "last.gif\n");
    /* Longer than any path, but shorter than the reader's buffer: opening it will say so. */
    drain((const char *const[]){ at(&dir, "long.txt", other), NULL }, dir.path, NULL, out);
    assert_int_equal(strspn(out, "x"), 3999);
    st_dir_remove(&dir);
}

static void refuses_archives_by_name(void **state) {
    (void)state;
    static const char *const names[] = { "d.zip", "shard-000.tar", "x.TAR", "a/b.tar.gz", "c.tgz" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *const inputs[2] = { "fine.jpg", names[i] };
        ccu_source       *source    = NULL;
        clipcu_error      error     = { .code = CLIPCU_OK };
        const ccu_classes  none  = { .K = 0 };
        ccu_source_options asked = { .inputs       = inputs,
                                     .inputs_count = 2,
                                     .wake_fd      = -1,
                                     .classes      = i == 0 ? NULL : &none };
        assert_int_equal(ccu_source_open(&asked, &source, &error), CLIPCU_ERR_UNSUPPORTED);
        assert_non_null(strstr(error.text, names[i]));
        assert_non_null(strstr(error.text, "unpack it"));
        assert_null(source);
    }
    ccu_source_close(NULL);
}

/* Folders as deep as the walk goes, and one more. */
static void bounds_the_depth(void **state) {
    (void)state;
    st_dir dir;
    char   path[CCU_PATH_MAX], out[4000];
    st_dir_make(&dir);
    (void)snprintf(path, sizeof path, "%s", dir.path);
    for (int i = 0; i <= CCU_FOLDER_DEPTH; i++) {
        const size_t used = strlen(path);
        (void)snprintf(path + used, sizeof path - used, "/d");
        assert_int_equal(mkdir(path, 0700), 0);
    }
    drain((const char *const[]){ dir.path, NULL }, dir.path, NULL, out);
    assert_int_equal(out[0], '!');
    assert_int_equal(out[strlen(out) - 2], 'd');
    for (int i = 0; i <= CCU_FOLDER_DEPTH; i++) {
        assert_int_equal(rmdir(path), 0);
        *strrchr(path, '/') = '\0';
    }
    st_dir_remove(&dir);
}

static void knows_pictures_by_their_ending(void **state) {
    (void)state;
    assert_true(ccu_folder_is_picture("a.jpg"));
    assert_true(ccu_folder_is_picture("a.b.JPEG"));
    assert_true(ccu_folder_is_picture("photo.webp"));
    assert_false(ccu_folder_is_picture("jpg"));
    assert_false(ccu_folder_is_picture("a.jpg.txt"));
    assert_false(ccu_folder_is_picture("a."));
    assert_false(ccu_folder_is_picture(""));
}

/* ---- Words ---------------------------------------------------------------------------------- */

static void cuts_classes_at_commas(void **state) {
    (void)state;
    static const char *const wrong[][2] = { { "", "name 1 is empty" },
                                            { "a,,b", "name 2 is empty" },
                                            { "a,b, ", "name 3 is empty" } };
    ccu_words                words;
    clipcu_error             error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_words_classes(" a cat,a dog ,boat", &words, &error), CLIPCU_OK);
    assert_int_equal(words.count, 3);
    assert_string_equal(words.items[0], "a cat");
    assert_string_equal(words.items[1], "a dog");
    assert_string_equal(words.items[2], "boat");
    assert_null(ccu_words_repeated(&words));
    ccu_words_free(&words);
    ccu_words_free(&words);
    assert_int_equal(ccu_words_classes("b, a b,c,a b", &words, &error), CLIPCU_OK);
    assert_string_equal(ccu_words_repeated(&words), "a b");
    ccu_words_free(&words);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        error = (clipcu_error){ .code = CLIPCU_OK };
        assert_int_equal(ccu_words_classes(wrong[i][0], &words, &error), CLIPCU_ERR_ARGUMENT);
        if (strstr(error.text, wrong[i][1]) == NULL) { fail_msg("%s", error.text); }
    }
}

static void reads_words_of_files(void **state) {
    (void)state;
    st_dir       dir;
    char         path[PATH_BYTES];
    ccu_words    words;
    clipcu_error error = { .code = CLIPCU_OK };
    st_dir_make(&dir);
    st_dir_write_text(&dir, "labels", "a cat, grey\r\n\na dog\n");
    assert_int_equal(ccu_words_labels(at(&dir, "labels", path), &words, &error), CLIPCU_OK);
    assert_int_equal(words.count, 2);
    assert_string_equal(words.items[0], "a cat, grey");
    ccu_words_free(&words);
    st_dir_write_text(&dir, "labels", "\n\n");
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_words_labels(path, &words, &error), CLIPCU_ERR_FORMAT);
    st_dir_write_text(&dir, "labels", "a {}.\nno braces\n");
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_words_templates(path, &words, &error), CLIPCU_ERR_FORMAT);
    assert_non_null(strstr(error.text, "template 2"));
    st_dir_write_text(&dir, "labels", "a {}.\n{}\n");
    assert_int_equal(ccu_words_templates(path, &words, &error), CLIPCU_OK);
    assert_int_equal(words.count, 2);
    ccu_words_free(&words);
    st_dir_remove(&dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_lines),
        cmocka_unit_test(passes_over_endless_lines),
        cmocka_unit_test(wakes_up_and_waits),
        cmocka_unit_test(reads_regular_files_only),
        cmocka_unit_test(walks_folders_in_order),
        cmocka_unit_test(reads_lists),
        cmocka_unit_test(refuses_archives_by_name),
        cmocka_unit_test(bounds_the_depth),
        cmocka_unit_test(knows_pictures_by_their_ending),
        cmocka_unit_test(cuts_classes_at_commas),
        cmocka_unit_test(reads_words_of_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
