/* host/stream: pictures in archives with what stands beside them, and patterns of names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "stream/expand.h"
#include "stream/shard.h"
#include "support/st_tar.h"

#define OUT_BYTES 4000

/* ---- Archives ------------------------------------------------------------------------------- */

/* Reads an archive as "member=bytes sample|" after each other; without bytes where not kept, or
 * from the picture `kept_from` on. */
static void read_shard(const st_dir *dir, const char *name, int kept_from, char out[OUT_BYTES]) {
    char               path[512];
    ccu_shard          shard;
    ccu_shard_picture *picture = NULL;
    const char        *sample  = NULL;
    clipcu_error       error   = { .code = CLIPCU_OK };
    size_t             used    = 0;
    (void)st_dir_join(dir, name, path);
    if (ccu_shard_open(path, &shard, &error) != CLIPCU_OK) {
        assert_int_equal(error.code, CLIPCU_ERR_FORMAT);
        (void)snprintf(out, OUT_BYTES, "BROKEN=ERROR |");
        return;
    }
    out[0] = '\0';
    for (int i = 0; ccu_shard_next(&shard, i >= kept_from, &picture, &sample); i++) {
        const bool  whole = strcmp(picture->path, path) == 0;
        const char *member = whole ? "BROKEN" : picture->path + strlen(path) + 1;
        assert_true(whole || strncmp(picture->path, path, strlen(path)) == 0);
        assert_true((picture->bytes != NULL) ==
                    (i >= kept_from && picture->error.code == CLIPCU_OK));
        used += (size_t)snprintf(out + used, OUT_BYTES - used, "%s=%.*s%s %s|", member,
                                 (int)picture->bytes_count, (const char *)picture->bytes,
                                 picture->error.code == CLIPCU_OK ? "" : "ERROR",
                                 i >= kept_from ? sample : "");
        assert_true(used < OUT_BYTES);
    }
    assert_false(ccu_shard_next(&shard, true, &picture, &sample)); /* and stays at its end */
    ccu_shard_close(&shard);
    ccu_shard_close(&shard);
}

static void groups_samples(void **state) {
    const st_dir *dir = *state;
    st_tar       *tar = calloc(1, sizeof *tar);
    char          out[OUT_BYTES];
    assert_non_null(tar);
    st_tar_add_text(tar, "d/0.json", "{ \"n\" : 9007199254740993 }");
    st_tar_add_text(tar, "d/0.jpg", "A");
    st_tar_add_text(tar, "d/0.txt", "zero\r\n");
    st_tar_add_text(tar, "d/1.txt", "no picture");
    st_tar_add_text(tar, "./d/2.left.png", "B");
    st_tar_add_text(tar, "./d/2.cls", "7");
    st_tar_add_text(tar, "./d/2.right.png", "C");
    st_tar_add_text(tar, "./d/2.txt", "two \"2\"");
    st_tar_add_text(tar, "d.x/2.jpg", "D"); /* the same up to the first dot of all */
    st_tar_add_text(tar, "3.json", "[]");
    st_tar_add_text(tar, "3.jpg", "");
    st_tar_add_text(tar, "4.json", "{\"a\":\"line\nend\"}");
    st_tar_add_text(tar, "4.jpg", "E");
    st_tar_write(tar, dir, "a.tar");
    read_shard(dir, "a.tar", 0, out);
    assert_string_equal(out, "d/0.jpg=A ,\"text\":\"zero\",\"json\":{\"n\":9007199254740993}|"
                             "d/2.left.png=B ,\"text\":\"two \\\"2\\\"\"|"
                             "d/2.right.png=C ,\"text\":\"two \\\"2\\\"\"|"
                             "d.x/2.jpg=D |3.jpg= |4.jpg=E |");
    read_shard(dir, "a.tar", 100, out);
    assert_string_equal(out, "d/0.jpg= |d/2.left.png= |d/2.right.png= |d.x/2.jpg= |3.jpg= |"
                             "4.jpg= |");
    free(tar);
}

/* Whatever was passed over before: the rest is what it would have been. */
static void skips_exactly(void **state) {
    const st_dir *dir = *state;
    st_tar       *tar = calloc(1, sizeof *tar);
    char          whole[OUT_BYTES], out[OUT_BYTES];
    assert_non_null(tar);
    for (int i = 0; i < 23; i++) {
        char name[32];
        /* Samples of 1, 7 and 15 pictures, captions among them. */
        const int sample = i < 1 ? 0 : i < 8 ? 1 : 2;
        (void)snprintf(name, sizeof name, "s%d.%02d.jpg", sample, i);
        st_tar_add_text(tar, name, "P");
        (void)snprintf(name, sizeof name, "s%d.%02d.txt", sample, i);
        if (i % 3 == 1) { st_tar_add_text(tar, name, name); }
    }
    st_tar_write(tar, dir, "b.tar");
    read_shard(dir, "b.tar", 0, whole);
    for (int skip = 1; skip <= 23; skip++) {
        const char *rest = whole;
        const char *got  = out;
        read_shard(dir, "b.tar", skip, out);
        for (int i = 0; i < skip; i++) {
            rest = strchr(rest, '|') + 1;
            got  = strchr(got, '|') + 1;
        }
        assert_string_equal(got, rest);
    }
    free(tar);
}

static void cut_anywhere(void **state) {
    const st_dir *dir = *state;
    st_tar       *tar = calloc(1, sizeof *tar);
    char          out[OUT_BYTES], names[OUT_BYTES];
    assert_non_null(tar);
    for (int i = 0; i < 3; i++) {
        char name[32];
        char data[700];
        memset(data, 'a' + i, sizeof data);
        (void)snprintf(name, sizeof name, "%d.jpg", i);
        st_tar_add(tar, name, data, sizeof data);
    }
    int broken = 0;
    for (size_t bytes = 1; bytes < tar->count; bytes += 37) {
        st_dir_write(dir, "cut.tar", tar->bytes, bytes);
        read_shard(dir, "cut.tar", 0, out);
        read_shard(dir, "cut.tar", 100, names);
        int items = 0, names_items = 0;
        for (const char *c = out; *c != '\0'; c++) { items += *c == '|'; }
        for (const char *c = names; *c != '\0'; c++) { names_items += *c == '|'; }
        assert_int_equal(items, names_items);
        assert_int_equal(items > 0, 1);
        broken += strstr(out, "ERROR") != NULL;
        /* Cut within a picture or header it says so; between two there is nothing to see. */
        assert_true(strstr(out, "ERROR") != NULL || bytes % 512 == 0 || bytes % 1536 > 1212);
    }
    assert_true(broken > 60);
    free(tar);
}

static void knows_archives(void **state) {
    (void)state;
    assert_true(ccu_shard_is("a.tar"));
    assert_true(ccu_shard_is("dir/A.TAR.GZ"));
    assert_true(ccu_shard_is("a.tgz"));
    assert_true(ccu_shard_is("a.tar.zst"));
    assert_false(ccu_shard_is(".tar"));
    assert_false(ccu_shard_is("a.tar.jpg"));
    assert_false(ccu_shard_is("a.zip"));
}

/* ---- Patterns ------------------------------------------------------------------------------- */

static void expand(const char *pattern, char out[OUT_BYTES]) {
    ccu_expand   expand;
    clipcu_error error = { .code = CLIPCU_OK };
    const char  *name  = NULL;
    size_t       used  = 0;
    out[0]             = '\0';
    assert_int_equal(ccu_expand_open(pattern, &expand, &error), CLIPCU_OK);
    while (ccu_expand_next(&expand, &name, &error)) {
        used += (size_t)snprintf(out + used, OUT_BYTES - used, "%s%s ", name,
                                 error.code == CLIPCU_OK ? "" : "!");
        error.code = CLIPCU_OK;
        assert_true(used < OUT_BYTES);
    }
    ccu_expand_close(&expand);
}

static void expands_braces(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        { "s-{8..11}.tar", "s-8.tar s-9.tar s-10.tar s-11.tar " },
        { "s-{08..11}.tar", "s-08.tar s-09.tar s-10.tar s-11.tar " },
        { "{2..0}", "2 1 0 " },
        { "{1..003}", "001 002 003 " },
        { "{0..2}", "0 1 2 " },
        { "a{b,c}{1..2}d", "ab1d ab2d ac1d ac2d " },
        { "{a,}b", "ab b " },
        { "{a}", "{a} " },
        { "{}", "{} " },
        { "{a", "{a " },
        { "a}{1..2}", "a}1 a}2 " },
        { "{{1..2}}", "{1} {2} " },
        { "{1..}{..1}{1...2}{1..2..3}{-1..1}", "{1..}{..1}{1...2}{1..2..3}{-1..1} " },
        { "{1..x}{a..c}", "{1..x}{a..c} " },
        { NULL, NULL },
    };
    char out[OUT_BYTES];
    for (int i = 0; cases[i][0] != NULL; i++) {
        expand(cases[i][0], out);
        assert_string_equal(out, cases[i][1]);
    }
}

static void expands_stars(void **state) {
    const st_dir *dir = *state;
    char          pattern[512], out[OUT_BYTES], expected[OUT_BYTES];
    st_dir_write_text(dir, "g2.x", "");
    st_dir_write_text(dir, "g1.x", "");
    st_dir_write_text(dir, "h1.x", "");
    st_dir_write_text(dir, "h[1].x", "");
    (void)snprintf(pattern, sizeof pattern, "%s/{h,g}[0-9].x", dir->path);
    (void)snprintf(expected, sizeof expected, "%s/h1.x %s/g1.x %s/g2.x ", dir->path, dir->path,
                   dir->path);
    expand(pattern, out);
    assert_string_equal(out, expected);
    (void)snprintf(pattern, sizeof pattern, "%s/{i,h}[1].x", dir->path); /* as it is, if it is */
    (void)snprintf(expected, sizeof expected, "%s/i[1].x! %s/h[1].x ", dir->path, dir->path);
    expand(pattern, out);
    assert_string_equal(out, expected);
}

static void limits_names(void **state) {
    (void)state;
    ccu_expand   expand;
    clipcu_error error = { .code = CLIPCU_OK };
    char         many[64] = "";
    char         longer[CCU_PATH_MAX + 8];
    const char  *name = NULL;
    assert_int_equal(ccu_expand_open("{1..10000001}", &expand, &error), CLIPCU_ERR_LIMIT);
    assert_int_equal(ccu_expand_open("{1..9999}{1..9999}", &expand, &error), CLIPCU_ERR_LIMIT);
    assert_int_equal(ccu_expand_open("{0..999999999999999999}", &expand, &error),
                     CLIPCU_ERR_LIMIT);
    for (int i = 0; i < 9; i++) { (void)snprintf(many + 5 * i, 8, "{a,b}"); }
    assert_int_equal(ccu_expand_open(many, &expand, &error), CLIPCU_ERR_LIMIT);
    memset(longer, 'x', sizeof longer);
    memcpy(longer + sizeof longer - 7, "{1..2}", 7);
    error.code = CLIPCU_OK;
    assert_int_equal(ccu_expand_open(longer, &expand, &error), CLIPCU_OK);
    assert_true(ccu_expand_next(&expand, &name, &error));
    assert_int_equal(error.code, CLIPCU_ERR_LIMIT);
    ccu_expand_close(&expand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_samples), cmocka_unit_test(skips_exactly),
        cmocka_unit_test(cut_anywhere),   cmocka_unit_test(knows_archives),
        cmocka_unit_test(expands_braces), cmocka_unit_test(expands_stars),
        cmocka_unit_test(limits_names),
    };
    return cmocka_run_group_tests(tests, st_dir_set_up, st_dir_tear_down);
}
