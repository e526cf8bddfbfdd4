/* Ctrl-C and SIGTERM, so that a run ends with what was done instead of in the middle of a line.
 *
 * The signals are blocked and one thread waits for them: no handler, so no global to reach from
 * it. Before ccu_interrupt_arm and at the second signal the process ends at once. */
#ifndef CCU_CLI_INTERRUPT_H
#define CCU_CLI_INTERRUPT_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef struct ccu_interrupt {
    pthread_t   thread;
    sigset_t    signals;
    int         any;     /* one of signals, to wake the thread with; 0: no thread runs */
    int         wake[2]; /* a pipe: readable once a signal has come */
    atomic_int  caught;  /* which signal; 0: none */
    atomic_bool armed, closing;
} ccu_interrupt;

/* Call before any other thread exists: threads inherit what is blocked. Where it fails, signals
 * do what they always do. A signal that the parent ignores (nohup, &) stays ignored. */
void ccu_interrupt_open(ccu_interrupt *interrupt);
void ccu_interrupt_close(ccu_interrupt *interrupt);

/* From here on, or no longer, is there something to finish cleanly. */
void ccu_interrupt_arm(ccu_interrupt *interrupt, bool armed);

/* The signal that came, 0 if none did. */
int ccu_interrupt_caught(ccu_interrupt *interrupt);

#endif
