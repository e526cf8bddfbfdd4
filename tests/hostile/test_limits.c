/* Limits of the system: too little address space, too few threads, too few open files. Opening and
 * using a model either works or says what was missing; no library below ends the process. Each try
 * is a process of its own, as limits cannot be widened again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/threads.h"
#include "clipcu.h"

#define MODEL CLIPCU_SOURCE_DIR "/tests/golden/hf_b32"
#define PHOTO CLIPCU_SOURCE_DIR "/tests/data/emoji/octopus.png"
#define MIB ((rlim_t)1 << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 /* which takes terabytes of address space, and all of this with it */
#else
#define SANITIZED 0
#endif

/* How a process ended that did the work; other numbers are crashes. */
enum { WORKED = 0, REFUSED = 10, WRONG_STATUS = 11, NO_MESSAGE = 12, WRONG_RESULT = 13 };

static void limit(int what, rlim_t most) {
    struct rlimit both = { .rlim_cur = most, .rlim_max = most };
    if (setrlimit(what, &both) != 0) { _exit(WRONG_RESULT); }
}

static int in_process(int (*work)(rlim_t most), rlim_t most) {
    const pid_t child = fork();
    if (child == 0) { _exit(work(most)); }
    int status = 0;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Bytes of address space that this process has. */
static rlim_t space_used(void) {
    unsigned long pages  = 0;
    FILE         *stream = fopen("/proc/self/statm", "r");
    assert_non_null(stream);
    assert_int_equal(fscanf(stream, "%lu", &pages), 1);
    (void)fclose(stream);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* ---- Models --------------------------------------------------------------------------------- */

static int judge(clipcu_status status, clipcu_status wanted, const clipcu_error *error) {
    if (status == CLIPCU_OK) { return WORKED; }
    if (status != wanted) {
        (void)fprintf(stderr, "status %d: %s\n", (int)status, error->text);
        return WRONG_STATUS;
    }
    return error->text[0] == '\0' ? NO_MESSAGE : REFUSED;
}

/* Opens the model, classifies a picture. */
static int use_model(clipcu_status wanted) {
    static const char *const labels[] = { "an octopus", "a tree" };
    clipcu_options           options  = clipcu_options_default();
    clipcu_engine           *engine   = NULL;
    clipcu_bank             *bank     = NULL;
    clipcu_error             error    = { .code = CLIPCU_OK };
    clipcu_match             best[2];
    options.device       = CLIPCU_DEVICE_CPU;
    options.threads      = 2;
    options.batch_max    = 2;
    clipcu_status status = clipcu_open(MODEL, &options, &engine, &error);
    if (status == CLIPCU_OK) {
        status = clipcu_bank_build(engine, labels, 2, NULL, 0, &bank, &error);
    }
    if (status == CLIPCU_OK) {
        status = clipcu_classify_file(engine, bank, PHOTO, 2, best, &error);
    }
    clipcu_bank_close(bank);
    clipcu_close(engine);
    return judge(status, wanted, &error);
}

static int with_space(rlim_t most) {
    limit(RLIMIT_AS, most);
    return use_model(CLIPCU_ERR_NOMEM);
}

static int with_files(rlim_t most) {
    limit(RLIMIT_NOFILE, most);
    return use_model(CLIPCU_ERR_IO);
}

/* Runs the work at every limit; both answers must come, and no other. */
static void expect_both(int (*work)(rlim_t most), rlim_t first, rlim_t last, rlim_t step) {
    int counts[2] = { 0, 0 };
    for (rlim_t most = first; most <= last; most += step) {
        const int end = in_process(work, most);
        if (end != WORKED && end != REFUSED) {
            fail_msg("with a limit of %lu: ended with %d", (unsigned long)most, end);
        }
        counts[end == REFUSED]++;
    }
    assert_true(counts[0] > 0);
    assert_true(counts[1] > 0);
}

static void little_address_space(void **state) {
    (void)state;
    if (SANITIZED) { skip(); }
    const rlim_t used = space_used();
    expect_both(with_space, used, used + 320 * MIB, 4 * MIB);
}

static void few_open_files(void **state) {
    (void)state;
    expect_both(with_files, 3, 16, 1);
}

/* ---- Threads -------------------------------------------------------------------------------- */

enum { THREADS = 200, CALLS = 1000 };

static void count_call(void *context, int32_t index) {
    int32_t *counts = context;
    counts[index]++;
}

static int with_few_threads(rlim_t most) {
    int32_t counts[CALLS] = { 0 };
    limit(RLIMIT_AS, most);
    const int32_t startable = ccu_threads_startable(THREADS);
    ccu_parallel_for(THREADS, CALLS, count_call, counts);
    for (int i = 0; i < CALLS; i++) {
        if (counts[i] != 1) { return WRONG_RESULT; }
    }
    if (startable < 1 || startable > THREADS) { return WRONG_RESULT; }
    return startable == THREADS ? WORKED : REFUSED;
}

/* Where not all threads can be started, the others do the work. */
static void few_threads(void **state) {
    (void)state;
    if (SANITIZED) { skip(); }
    const rlim_t used = space_used();
    assert_int_equal(in_process(with_few_threads, used), REFUSED);
    assert_int_equal(in_process(with_few_threads, used + 100 * MIB), REFUSED);
    assert_int_equal(in_process(with_few_threads, used + 100000 * MIB), WORKED);
}

/* A process that crashes, ends early or says nothing is told from one that does as it should. */
static int crash(rlim_t most) {
    (void)most;
    abort();
}

static int end_early(rlim_t most) {
    (void)most;
    exit(1);
}

static int say_nothing(rlim_t most) {
    const clipcu_error error = { .code = CLIPCU_ERR_NOMEM };
    (void)most;
    return judge(CLIPCU_ERR_NOMEM, CLIPCU_ERR_NOMEM, &error);
}

static void the_check_can_fail(void **state) {
    (void)state;
    const int ends[] = { in_process(crash, 0), in_process(end_early, 0),
                         in_process(say_nothing, 0) };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        assert_int_not_equal(ends[i], WORKED);
        assert_int_not_equal(ends[i], REFUSED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_can_fail),
        cmocka_unit_test(few_open_files),
        cmocka_unit_test(little_address_space),
        cmocka_unit_test(few_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
