/* Names that are not what they should be: links that lead nowhere or in circles, folders, pipes and
 * devices where a file is read or written. Each is refused by name, at once, and left as it was. */
#define _GNU_SOURCE /* mknod, S_IFSOCK */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "checkpoint/checkpoint.h"
#include "support/st_model.h"
#include "text/vocab.h"

/* ---- What there is -------------------------------------------------------------------------- */

static void names_that_are_there(void **state) {
    const st_dir *dir = *state;
    char          path[512], through[1024];
    st_dir_write_text(dir, "file", "text");
    assert_true(ccu_name_exists(st_dir_join(dir, "file", path)));
    assert_true(ccu_file_exists(path));
    (void)snprintf(through, sizeof through, "%s/more", path); /* below a file there is nothing */
    assert_false(ccu_name_exists(through));
    assert_false(ccu_name_exists(st_dir_join(dir, "none", path)));
    assert_int_equal(symlink("nowhere", st_dir_join(dir, "broken", path)), 0);
    assert_true(ccu_name_exists(path));
    assert_false(ccu_file_exists(path));
    assert_int_equal(symlink("circle", st_dir_join(dir, "circle", path)), 0);
    assert_true(ccu_name_exists(path));
    (void)snprintf(through, sizeof through, "%s/file", path); /* cannot be found out */
    assert_true(ccu_name_exists(through));
}

/* ---- Reading -------------------------------------------------------------------------------- */

static void expect_unreadable(const char *path, const char *why) {
    ccu_map       map   = { .data = NULL };
    ccu_file      file  = { .path = NULL };
    uint8_t      *data  = NULL;
    size_t        bytes = 0;
    clipcu_error  errors[3];
    clipcu_status statuses[3];
    memset(errors, 0, sizeof errors);
    statuses[0] = ccu_map_open(path, &map, &errors[0]);
    statuses[1] = ccu_file_open(path, &file, &errors[1]);
    statuses[2] = ccu_file_read(path, 1000, &data, &bytes, &errors[2]);
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(statuses[i], CLIPCU_OK);
        assert_non_null(strstr(errors[i].text, path));
        assert_non_null(strstr(errors[i].text, why));
    }
    assert_null(map.data);
    assert_null(file.path);
    assert_null(data);
}

static void only_files_are_read(void **state) {
    const st_dir *dir = *state;
    char          path[512];
    expect_unreadable(dir->path, "found a folder");
    expect_unreadable("/dev/zero", "found a device, socket or pipe");
    assert_int_equal(mkfifo(st_dir_join(dir, "pipe", path), 0600), 0);
    expect_unreadable(path, "found a device, socket or pipe"); /* and does not wait for a writer */
    assert_int_equal(mknod(st_dir_join(dir, "socket", path), S_IFSOCK | 0600, 0), 0);
    expect_unreadable(path, "cannot open");
    assert_int_equal(symlink("circle", st_dir_join(dir, "circle", path)), 0);
    expect_unreadable(path, "cannot open");
    assert_int_equal(symlink("nowhere", st_dir_join(dir, "broken", path)), 0);
    expect_unreadable(path, "cannot open");
}

/* ---- Writing -------------------------------------------------------------------------------- */

static mode_t type_of(const char *path) {
    struct stat info;
    return lstat(path, &info) == 0 ? info.st_mode & S_IFMT : 0;
}

/* Opening path for writing fails, and the object that was in the way is still what it was. */
static void expect_unwritable(const char *path, const char *in_the_way, const char *why) {
    ccu_writer   writer;
    clipcu_error error = { .code = CLIPCU_OK };
    const mode_t type  = type_of(in_the_way);
    assert_int_equal(ccu_writer_open(path, &writer, &error), CLIPCU_ERR_IO);
    assert_non_null(strstr(error.text, path));
    assert_non_null(strstr(error.text, why));
    assert_int_equal(type_of(in_the_way), type);
}

static void only_files_are_replaced(void **state) {
    const st_dir *dir = *state;
    char          path[512], part[512];
    expect_unwritable(dir->path, dir->path, "found a folder");
    expect_unwritable("/dev/full", "/dev/full", "found a device, socket or pipe");
    assert_int_equal(mkfifo(st_dir_join(dir, "pipe", path), 0600), 0);
    expect_unwritable(path, path, "found a device, socket or pipe");
    /* What lies where the results are collected: written through a link, they would end up in
     * somebody's file; a pipe would wait for a reader. */
    st_dir_join(dir, "out", path);
    st_dir_join(dir, "out.part", part);
    st_dir_write_text(dir, "victim", "precious");
    assert_int_equal(symlink("victim", part), 0);
    expect_unwritable(path, part, "cannot write");
    assert_int_equal(unlink(part), 0);
    assert_int_equal(mkfifo(part, 0600), 0);
    expect_unwritable(path, part, "cannot write");
    struct stat info;
    assert_int_equal(stat(st_dir_join(dir, "victim", path), &info), 0);
    assert_int_equal(info.st_size, 8);
}

/* The rest of an interrupted run is no obstacle. */
static void old_parts_are_replaced(void **state) {
    const st_dir *dir = *state;
    char          path[512];
    ccu_writer    writer;
    struct stat   info;
    st_dir_write_text(dir, "out.part", "of another run");
    assert_int_equal(ccu_writer_open(st_dir_join(dir, "out", path), &writer, NULL), CLIPCU_OK);
    assert_int_equal(fputs("new", writer.stream) >= 0, 1);
    assert_int_equal(ccu_writer_commit(&writer, NULL), CLIPCU_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 3);
    assert_false(ccu_name_exists(st_dir_join(dir, "out.part", path)));
}

/* ---- Folders of models ---------------------------------------------------------------------- */

/* A file that should decide something and is a broken link is not taken for a missing one. */
static void broken_links_are_not_passed_over(void **state) {
    static const char *const names[] = { "preprocessor_config.json", "config.json",
                                         "model.safetensors" };
    const st_dir            *dir     = *state;
    st_model                 model;
    char                     path[512];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ccu_checkpoint checkpoint = { .files = NULL };
        clipcu_error   error      = { .code = CLIPCU_OK };
        st_model_init(&model, ST_HUGGINGFACE, 1, 1);
        st_model_save(&model, dir, "model.safetensors", "", 1, 0);
        st_model_save_config(ST_HUGGINGFACE, dir);
        if (ccu_checkpoint_open(dir->path, NULL, NULL, &checkpoint, &error) != CLIPCU_OK) {
            fail_msg("%s", error.text);
        }
        ccu_checkpoint_close(&checkpoint);
        st_dir_delete(dir, names[i]);
        assert_int_equal(symlink("nowhere", st_dir_join(dir, names[i], path)), 0);
        error = (clipcu_error){ .code = CLIPCU_OK };
        assert_int_equal(ccu_checkpoint_open(dir->path, NULL, NULL, &checkpoint, &error),
                         CLIPCU_ERR_IO);
        assert_non_null(strstr(error.text, names[i]));
        st_model_free(&model);
        st_dir_empty(dir);
    }
}

static void expect_no_vocabulary(const st_dir *dir, const char *why) {
    ccu_vocab    vocab = { .size = 0 };
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_not_equal(ccu_vocab_open(dir->path, &vocab, &error), CLIPCU_OK);
    ccu_vocab_close(&vocab);
    if (strstr(error.text, why) == NULL) { fail_msg("\"%s\", found \"%s\"", why, error.text); }
}

static void vocabularies(void **state) {
    const st_dir *dir = *state;
    char          path[512];
    expect_no_vocabulary(dir, "no vocabulary");
    /* A broken tokenizer.json beside a good pair: the pair may be another tokenizer. */
    st_dir_write_text(dir, "vocab.json", "{\"a\":0}");
    st_dir_write_text(dir, "merges.txt", "#version: 0.2\n");
    assert_int_equal(symlink("nowhere", st_dir_join(dir, "tokenizer.json", path)), 0);
    expect_no_vocabulary(dir, "tokenizer.json: cannot open");
    st_dir_delete(dir, "tokenizer.json");
    expect_no_vocabulary(dir, "merges.txt: holds no merges");
    st_dir_write_text(dir, "merges.txt", "");
    expect_no_vocabulary(dir, "merges.txt: holds no merges");
    st_dir_write_text(dir, "tokenizer.json", "{\"model\":{\"vocab\":{\"a\":0},\"merges\":[]}}");
    expect_no_vocabulary(dir, "tokenizer.json: ");
    st_dir_delete(dir, "tokenizer.json");
    st_dir_delete(dir, "merges.txt");
    expect_no_vocabulary(dir, "no vocabulary"); /* vocab.json alone is none */
    st_dir_write_text(dir, "bpe_simple_vocab_16e6.txt", "");
    expect_no_vocabulary(dir, "bpe_simple_vocab_16e6.txt");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_that_are_there, st_dir_set_up, st_dir_tear_down),
        cmocka_unit_test_setup_teardown(only_files_are_read, st_dir_set_up, st_dir_tear_down),
        cmocka_unit_test_setup_teardown(only_files_are_replaced, st_dir_set_up, st_dir_tear_down),
        cmocka_unit_test_setup_teardown(old_parts_are_replaced, st_dir_set_up, st_dir_tear_down),
        cmocka_unit_test_setup_teardown(broken_links_are_not_passed_over, st_dir_set_up,
                                        st_dir_tear_down),
        cmocka_unit_test_setup_teardown(vocabularies, st_dir_set_up, st_dir_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
