/* How far a run is: a line on the terminal that is drawn over itself, and a summary at the end. */
#ifndef CCU_CLI_PROGRESS_H
#define CCU_CLI_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ccu_progress {
    const char *noun;    /* "image": what is counted; an s is added */
    bool        visible; /* draw while running */
    bool        drawn;   /* a line stands on the terminal now */
    int64_t     total;   /* 0: not known */
    int64_t     done, errors;
    double      started, drawn_at; /* seconds of a clock that only goes forward */
    pthread_mutex_t lock; /* the line is drawn by one thread, warnings come from another */
} ccu_progress;

/* Seconds of that clock. */
double ccu_progress_clock(void);

/* Starts the clock. visible: whether the terminal is free for it. */
void ccu_progress_open(ccu_progress *progress, const char *noun, int64_t total, bool visible);

/* Counts done inputs, errors of them failed; draws at most ten times a second. */
void ccu_progress_add(ccu_progress *progress, int64_t done, int64_t errors);

/* Reports one line, see ccu_report, where the progress line stood. Any thread. */
void ccu_progress_say(ccu_progress *progress, const char *text);

/* The summary, "12 images, 1 error, 0.35 s, 34.3 images/s", unless quiet. */
void ccu_progress_close(ccu_progress *progress, bool quiet);

#endif
