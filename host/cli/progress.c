/* How far a run is; see progress.h. */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "cli/report.h"

#define DRAW_SECONDS 0.1
#define RATE_SECONDS 0.5 /* a rate over less is noise */

double ccu_progress_clock(void) {
    struct timespec now = { .tv_sec = 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* always there on POSIX 2008 */
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void ccu_progress_open(ccu_progress *progress, const char *noun, int64_t total, bool visible) {
    *progress = (ccu_progress){
        .noun = noun, .total = total, .visible = visible, .started = ccu_progress_clock()
    };
    (void)pthread_mutex_init(&progress->lock, NULL); /* with default attributes: cannot fail */
}

static const char *plural(int64_t count) {
    return count == 1 ? "" : "s";
}

/* "0:42", "1:02:03". */
static void format_time(double seconds, char *out, size_t bytes) {
    const int64_t whole = (int64_t)(seconds + 0.5);
    if (whole < 3600) {
        (void)snprintf(out, bytes, "%d:%02d", (int)(whole / 60), (int)(whole % 60)); /* fits */
    } else {
        (void)snprintf(out, bytes, "%" PRId64 ":%02d:%02d", whole / 3600, (int)(whole / 60 % 60),
                       (int)(whole % 60)); /* fits */
    }
}

static void draw(ccu_progress *progress, double now) {
    const double seconds = now - progress->started;
    const double rate    = seconds > RATE_SECONDS ? (double)progress->done / seconds : 0.0;
    char         left[32];
    (void)fprintf(stderr, "\r\033[K%" PRId64, progress->done); /* a lost line is drawn again */
    if (progress->total > 0) {
        (void)fprintf(stderr, " of %" PRId64, progress->total); /* as above */
    }
    (void)fprintf(stderr, " %s%s", progress->noun, plural(progress->done)); /* as above */
    if (rate > 0.0) { (void)fprintf(stderr, ", %.1f/s", rate); }            /* as above */
    if (rate > 0.0 && progress->total > progress->done) {
        format_time((double)(progress->total - progress->done) / rate, left, sizeof left);
        (void)fprintf(stderr, ", %s left", left); /* as above */
    }
    if (progress->errors > 0) {
        (void)fprintf(stderr, ", %" PRId64 " error%s", progress->errors,
                      plural(progress->errors)); /* as above */
    }
    (void)fflush(stderr); /* as above */
    progress->drawn    = true;
    progress->drawn_at = now;
}

void ccu_progress_add(ccu_progress *progress, int64_t done, int64_t errors) {
    const double now = ccu_progress_clock();
    (void)pthread_mutex_lock(&progress->lock); /* a plain mutex: cannot fail */
    progress->done += done;
    progress->errors += errors;
    if (progress->visible && now - progress->drawn_at >= DRAW_SECONDS) { draw(progress, now); }
    (void)pthread_mutex_unlock(&progress->lock); /* held by this thread */
}

static void clear(ccu_progress *progress) {
    if (progress->drawn) {
        (void)fputs("\r\033[K", stderr); /* only the look suffers */
        progress->drawn = false;
    }
}

void ccu_progress_say(ccu_progress *progress, const char *text) {
    (void)pthread_mutex_lock(&progress->lock); /* a plain mutex: cannot fail */
    clear(progress);
    ccu_report("%s", text);
    (void)pthread_mutex_unlock(&progress->lock); /* held by this thread */
}

void ccu_progress_close(ccu_progress *progress, bool quiet) {
    const double seconds    = ccu_progress_clock() - progress->started;
    char         errors[48] = "";
    clear(progress);
    (void)pthread_mutex_destroy(&progress->lock); /* nobody holds it */
    if (quiet) { return; }
    if (progress->errors > 0) {
        (void)snprintf(errors, sizeof errors, ", %" PRId64 " error%s", progress->errors,
                       plural(progress->errors)); /* fits */
    }
    ccu_report("%" PRId64 " %s%s%s, %.2f s, %.1f %ss/s", progress->done, progress->noun,
               plural(progress->done), errors, seconds,
               seconds > 0.0 ? (double)progress->done / seconds : 0.0, progress->noun);
}
