/* See sweep.h. */
#include "hostile/sweep.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) /* opening a model takes a second then */
#define SAMPLES 6
#else
#define SAMPLES 50
#endif

static volatile const char *running; /* for a crash: which work, which allocation */
static volatile int64_t     at;

static void on_crash(int number) {
    char      text[256];
    const int bytes = snprintf(text, sizeof text, "signal %d in \"%s\", allocation %lld failing\n",
                               number, (const char *)(uintptr_t)running, (long long)at);
    if (bytes > 0) { (void)!write(STDERR_FILENO, text, (size_t)bytes); }
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

/* How many allocations the work makes, by letting ever later ones fail: 2^k until none does, then
 * by halves. */
static int64_t count_allocations(const sweep *s, heap_who who) {
    int64_t low = 0, high = 1; /* low .. high-1: the first n at which nothing fails */
    for (bool failed = true; failed; high *= 2) {
        heap_fail_at(who, high, false);
        (void)s->work(s->fixture, NULL);
        failed = heap_stop();
    }
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        heap_fail_at(who, middle, false);
        (void)s->work(s->fixture, NULL);
        if (heap_stop()) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool good_status(const sweep *s, heap_who who, clipcu_status status) {
    return status == CLIPCU_ERR_NOMEM || (status == CLIPCU_OK && s->may_succeed) ||
           (status == CLIPCU_OK && heap_refused_only_libc()) ||
           (status == CLIPCU_ERR_IO && s->may_be_io && who == HEAP_ALL);
}

/* One run with a failure; false, with the text, if it did not end as it should. */
static bool run_once(const sweep *s, heap_who who, int64_t n, bool lasting, char *text,
                     size_t bytes) {
    clipcu_error  error  = { .code = CLIPCU_OK };
    const int64_t before = heap_live();
    at                   = n;
    heap_fail_at(who, n, lasting);
    const clipcu_status status = s->work(s->fixture, &error);
    const bool          failed = heap_stop();
    const int64_t       leaked = heap_live() - before;
    const char         *how    = lasting ? "from allocation" : "at allocation";
    text[0]                    = '\0';
    if (!failed) { return true; }
    if (!good_status(s, who, status)) {
        (void)snprintf(text, bytes, "%s: failing %s %lld: status %s \"%s\"", s->name, how,
                       (long long)n, clipcu_status_name(status), error.text);
    } else if (status != CLIPCU_OK && (error.code != status || error.text[0] == '\0')) {
        (void)snprintf(text, bytes, "%s: failing %s %lld: no message for %s", s->name, how,
                       (long long)n, clipcu_status_name(status));
    } else if (leaked > 0) {
        (void)snprintf(text, bytes, "%s: failing %s %lld: %lld allocations leaked", s->name,
                       how, (long long)n, (long long)leaked);
    }
    return text[0] == '\0';
}

/* The same work on the same object, after a failure. */
static bool run_again(const sweep *s, int64_t n, char *text, size_t bytes) {
    clipcu_error        error  = { .code = CLIPCU_OK };
    const clipcu_status status = s->work(s->fixture, &error);
    if (status == CLIPCU_OK) { return true; }
    (void)snprintf(text, bytes, "%s: does not work again after a failure at allocation %lld: %s",
                   s->name, (long long)n, error.text);
    return false;
}

const char *sweep_verdict(const sweep *s, heap_who who, char *text, size_t bytes) {
    const char   *wanted  = getenv("CLIPCU_SWEEP_MAX");
    const int64_t most    = wanted != NULL ? strtoll(wanted, NULL, 10) : SAMPLES;
    clipcu_error  error   = { .code = CLIPCU_OK };
    void (*before)(int)   = signal(SIGSEGV, on_crash);
    void (*aborting)(int) = signal(SIGABRT, on_crash);
    running               = s->name;
    text[0]               = '\0';
    for (int warm = 0; warm < 2; warm++) { /* libraries fill their caches */
        if (s->work(s->fixture, &error) != CLIPCU_OK) {
            (void)snprintf(text, bytes, "%s: %s", s->name, error.text);
            return text;
        }
    }
    const int64_t count = count_allocations(s, who);
    const int64_t runs  = count < most ? count : most;
    bool          good  = true;
    for (int64_t i = 0; i < runs && good; i++) {
        const int64_t n = runs < 2 ? i : i * (count - 1) / (runs - 1);
        good = run_once(s, who, n, false, text, bytes) && run_again(s, n, text, bytes) &&
               run_once(s, who, n, true, text, bytes) && run_again(s, n, text, bytes);
    }
    if (good && count == 0) {
        (void)snprintf(text, bytes, "%s: allocates nothing: nothing was tested", s->name);
    }
    if (good && count > 0) {
        print_message("%s: %lld of %lld allocations failed%s\n", s->name, (long long)runs,
                      (long long)count, who == HEAP_ALL ? ", the libraries' included" : "");
    }
    (void)signal(SIGSEGV, before);
    (void)signal(SIGABRT, aborting);
    return text;
}

void sweep_run(const sweep *s, heap_who who) {
    char text[1024];
    if (sweep_verdict(s, who, text, sizeof text)[0] != '\0') { fail_msg("%s", text); }
}
