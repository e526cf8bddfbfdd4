/* Filling a clipcu_error. Every module reports failure through ccu_fail. */
#ifndef CCU_BASE_STATUS_H
#define CCU_BASE_STATUS_H

#include "clipcu.h"

/* Empties the error. NULL is allowed. Every public function calls it on entry. */
void ccu_error_clear(clipcu_error *error);

/* Stores code and message (cut to fit, always one line) unless the error already holds a failure:
 * the first one wins. Returns the code, so that `return ccu_fail(error, CODE, "...")` reads well.
 * The message names the object, what was expected and what was found. */
clipcu_status ccu_fail(clipcu_error *error, clipcu_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
