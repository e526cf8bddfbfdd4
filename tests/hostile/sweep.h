/* Fails one allocation after the other of a piece of work, and sees what becomes of it. */
#ifndef CCU_HOSTILE_SWEEP_H
#define CCU_HOSTILE_SWEEP_H

#include "clipcu.h"
#include "hostile/failing_heap.h"

/* Does the work and undoes it again: everything it made is freed, whatever happened. Outputs that
 * should be NULL after a failure are checked by the work itself. */
typedef clipcu_status (*sweep_work)(void *fixture, clipcu_error *error);

typedef struct sweep {
    const char *name;
    sweep_work  work;
    void       *fixture;
    bool        may_succeed; /* some of its memory is for comfort only: OK is a good answer too */
    bool        may_be_io;   /* stdio and opendir report exhausted memory as a failure to open */
    /* OK is also good where only libc was refused: qsort sorts in place then. */
} sweep;

/* Runs the work with every allocation failing in turn, once alone and once with all that follow,
 * and without failure in between. Fails the running cmocka test if a status is not NOMEM, if a
 * message is missing, if anything is left allocated, or if the work does not succeed afterwards.
 * Where there are more than $CLIPCU_SWEEP_MAX allocations (50; 6 with the address sanitizer), that
 * many are chosen, evenly. */
void sweep_run(const sweep *s, heap_who who);

/* What sweep_run would say of the work, as text; "" if nothing is wrong. Fails no test. */
const char *sweep_verdict(const sweep *s, heap_who who, char *text, size_t bytes);

#endif
