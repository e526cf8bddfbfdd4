/* One line through the caller's warning function. */
#ifndef CCU_CHECKPOINT_WARN_H
#define CCU_CHECKPOINT_WARN_H

#include "clipcu.h"

typedef struct ccu_warner {
    clipcu_warn_fn say; /* NULL: warnings are dropped */
    void          *user;
} ccu_warner;

/* Formats one printable line, cut to fit. warner may be NULL. */
void ccu_warner_say(const ccu_warner *warner, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
