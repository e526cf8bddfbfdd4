/* Engines, banks and indexes opened and closed again and again, most of them with a failure in
 * between: no open file, thread or memory is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/threads.h"
#include "support/st_dir.h"

#define MODEL CLIPCU_SOURCE_DIR "/tests/golden/hf_b32"
#define PHOTO CLIPCU_SOURCE_DIR "/tests/data/emoji/octopus.png"

#define WARM_UP 20 /* rounds until every library has what it keeps */
#define ROUNDS 200
/* What may come on top by the ways of the heap. An engine takes 5 MB: one in 100 is noticed. */
#define GROWTH_KIB_MAX 4096

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* which keeps freed memory on purpose */
#else
#define SANITIZED 0
#endif

typedef struct held {
    int  files, threads;
    long resident_kib;
} held;

static int entries(const char *folder) {
    DIR *stream = opendir(folder);
    int  count  = 0;
    assert_non_null(stream);
    while (readdir(stream) != NULL) { count++; }
    (void)closedir(stream);
    return count;
}

static held look(void) {
    long  pages  = 0;
#if defined(__GLIBC__) /* or a leak hides in what earlier work has freed and the heap still holds */
    (void)malloc_trim(0);
#endif
    FILE *stream = fopen("/proc/self/statm", "r");
    assert_non_null(stream);
    assert_int_equal(fscanf(stream, "%*d %ld", &pages), 1);
    (void)fclose(stream);
    return (held){ .files        = entries("/proc/self/fd"),
                   .threads      = entries("/proc/self/task"),
                   .resident_kib = pages * (sysconf(_SC_PAGESIZE) / 1024) };
}

/* Empty, or what there is more of than there was. */
static const char *compare(const held *before, const held *after) {
    if (after->files > before->files) { return "open files"; }
    if (after->threads > before->threads) { return "threads"; }
    if (!SANITIZED && after->resident_kib > before->resident_kib + GROWTH_KIB_MAX) {
        return "memory";
    }
    return "";
}

static const char *repeat(void (*work)(const st_dir *dir, int round), const st_dir *dir) {
    for (int i = 0; i < WARM_UP; i++) { work(dir, i); }
    const held before = look();
    for (int i = 0; i < ROUNDS; i++) { work(dir, i); }
    const held  after = look();
    const char *more  = compare(&before, &after);
    if (more[0] != '\0') {
        print_message("files %d -> %d, threads %d -> %d, KiB %ld -> %ld\n", before.files,
                      after.files, before.threads, after.threads, before.resident_kib,
                      after.resident_kib);
    }
    return more;
}

/* ---- Work ----------------------------------------------------------------------------------- */

static clipcu_status open_at(const char *dir, clipcu_engine **engine, clipcu_error *error) {
    clipcu_options options = clipcu_options_default();
    options.device         = CLIPCU_DEVICE_CPU;
    options.threads        = 2;
    options.batch_max      = 2;
    return clipcu_open(dir, &options, engine, error);
}

/* Everything once, from opening to ranking, with a picture that fails among them. */
static void use_everything(const st_dir *dir, int round) {
    static const char *const labels[] = { "an octopus", "a tree" };
    clipcu_engine           *engine   = NULL;
    clipcu_bank             *bank = NULL, *loaded = NULL;
    clipcu_index            *index = NULL;
    clipcu_match             best[2];
    clipcu_hit               hit;
    clipcu_error             error;
    char                     path[512];
    (void)round;
    (void)st_dir_join(dir, "bank.safetensors", path);
    if (open_at(MODEL, &engine, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    assert_int_equal(clipcu_bank_build(engine, labels, 2, NULL, 0, &bank, &error), CLIPCU_OK);
    assert_int_equal(clipcu_classify_file(engine, bank, PHOTO, 2, best, &error), CLIPCU_OK);
    assert_int_equal(clipcu_classify_file(engine, bank, MODEL "/vocab.json", 2, best, &error),
                     CLIPCU_ERR_FORMAT);
    assert_int_equal(clipcu_bank_save(bank, path, &error), CLIPCU_OK);
    assert_int_equal(clipcu_bank_load(path, &loaded, &error), CLIPCU_OK);
    assert_int_equal(clipcu_index_open(path, &index, &error), CLIPCU_OK);
    assert_int_equal(clipcu_index_search(index, clipcu_bank_rows(loaded), 1, 1, 2, &hit, &error),
                     CLIPCU_OK);
    clipcu_index_close(index);
    clipcu_bank_close(loaded);
    clipcu_bank_close(bank);
    clipcu_close(engine);
}

/* Weights that are cut a little later each round: opening fails at every stage. */
static void fail_to_open(const st_dir *dir, int round) {
    static const char *const files[] = { "config.json", "preprocessor_config.json", "vocab.json",
                                         "merges.txt", "model.safetensors" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const size_t cut   = i == (size_t)round % 5 ? 1 : 0; /* one of them is not whole */
        uint8_t     *data  = NULL;
        size_t       bytes = 0;
        char         path[512];
        (void)snprintf(path, sizeof path, MODEL "/%s", files[i]);
        assert_int_equal(ccu_file_read(path, 1 << 24, &data, &bytes, NULL), CLIPCU_OK);
        const size_t some = bytes * (size_t)(round % 50) / 50;
        st_dir_write(dir, files[i], data, cut ? some : bytes);
        ccu_free(data);
    }
    clipcu_engine *engine = NULL;
    clipcu_bank   *bank   = NULL;
    clipcu_index  *index  = NULL;
    clipcu_error   error;
    char           path[512];
    (void)st_dir_join(dir, "model.safetensors", path);
    if (open_at(dir->path, &engine, &error) == CLIPCU_OK) {
        assert_int_equal(round % 5, 3); /* fewer merges are another vocabulary */
    }
    clipcu_close(engine);
    assert_int_not_equal(clipcu_bank_load(path, &bank, &error), CLIPCU_OK);
    assert_int_not_equal(clipcu_index_open(path, &index, &error), CLIPCU_OK);
    assert_int_not_equal(open_at("/nonexistent", &engine, &error), CLIPCU_OK);
    assert_int_not_equal(clipcu_bank_load("/dev/null", &bank, &error), CLIPCU_OK);
    assert_int_not_equal(clipcu_index_open(dir->path, &index, &error), CLIPCU_OK);
}

static void nothing(void *context, int32_t index) {
    (void)context;
    (void)index;
}

static void loop(const st_dir *dir, int round) {
    (void)dir;
    ccu_parallel_for(1 + round % 8, 20, nothing, NULL);
    assert_int_equal(ccu_threads_startable(1 + round % 8), 1 + round % 8);
}

static void nothing_is_left_behind(void **state) {
    const st_dir *dir = *state;
    assert_string_equal(repeat(use_everything, dir), "");
    assert_string_equal(repeat(fail_to_open, dir), "");
    assert_string_equal(repeat(loop, dir), "");
}

/* ---- The check can fail --------------------------------------------------------------------- */

static void *planted[ROUNDS + WARM_UP];
static int   planted_count;

static void leak_memory(const st_dir *dir, int round) {
    (void)dir;
    (void)round;
    planted[planted_count] = malloc(50000);
    assert_non_null(planted[planted_count]);
    memset(planted[planted_count++], 1, 50000);
}

static void leak_a_file(const st_dir *dir, int round) {
    (void)dir;
    if (round == 100) { planted_count = open("/dev/null", O_RDONLY); }
}

static void planted_leaks_are_noticed(void **state) {
    const st_dir *dir = *state;
    planted_count     = 0;
    if (!SANITIZED) { assert_string_equal(repeat(leak_memory, dir), "memory"); }
    while (planted_count > 0) { free(planted[--planted_count]); }
    assert_string_equal(repeat(leak_a_file, dir), "open files");
    assert_int_equal(close(planted_count), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_left_behind, st_dir_set_up, st_dir_tear_down),
        cmocka_unit_test_setup_teardown(planted_leaks_are_noticed, st_dir_set_up, st_dir_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
