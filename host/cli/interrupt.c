/* Ctrl-C and SIGTERM; see interrupt.h. */
#include "cli/interrupt.h"

#include <stddef.h>
#include <unistd.h>

static void *wait_for_signals(void *context) {
    ccu_interrupt *interrupt = context;
    for (;;) {
        int number = 0;
        if (sigwait(&interrupt->signals, &number) != 0) { continue; }
        if (atomic_load(&interrupt->closing)) { return NULL; }
        if (!atomic_load(&interrupt->armed) || atomic_load(&interrupt->caught) != 0) {
            _exit(128 + number);
        }
        atomic_store(&interrupt->caught, number);
        if (write(interrupt->wake[1], "!", 1) != 1) { _exit(128 + number); }
    }
}

/* Blocks number unless it is ignored already. */
static void add_signal(ccu_interrupt *interrupt, int number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
        (void)sigaddset(&interrupt->signals, number); /* number is a signal */
        interrupt->any = number;
    }
}

void ccu_interrupt_open(ccu_interrupt *interrupt) {
    interrupt->any     = 0;
    interrupt->wake[0] = -1;
    interrupt->wake[1] = -1;
    atomic_init(&interrupt->caught, 0);
    atomic_init(&interrupt->armed, false);
    atomic_init(&interrupt->closing, false);
    (void)sigemptyset(&interrupt->signals); /* cannot fail */
    add_signal(interrupt, SIGTERM);
    add_signal(interrupt, SIGINT);
    if (interrupt->any == 0) { return; }
    if (pipe(interrupt->wake) != 0) {
        interrupt->any = 0;
        return;
    }
    if (pthread_sigmask(SIG_BLOCK, &interrupt->signals, NULL) != 0 ||
        pthread_create(&interrupt->thread, NULL, wait_for_signals, interrupt) != 0) {
        (void)pthread_sigmask(SIG_UNBLOCK, &interrupt->signals, NULL); /* as it was before */
        interrupt->any = 0;
    }
}

void ccu_interrupt_close(ccu_interrupt *interrupt) {
    if (interrupt->any != 0) {
        atomic_store(&interrupt->closing, true);
        if (pthread_kill(interrupt->thread, interrupt->any) == 0) {
            (void)pthread_join(interrupt->thread, NULL); /* the thread is ours and returns */
        }
        interrupt->any = 0;
    }
    for (int i = 0; i < 2; i++) {
        if (interrupt->wake[i] >= 0) { (void)close(interrupt->wake[i]); } /* only a wake-up */
        interrupt->wake[i] = -1;
    }
}

void ccu_interrupt_arm(ccu_interrupt *interrupt, bool armed) {
    atomic_store(&interrupt->armed, armed);
}

int ccu_interrupt_caught(ccu_interrupt *interrupt) {
    return atomic_load(&interrupt->caught);
}
