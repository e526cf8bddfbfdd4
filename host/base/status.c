/* Filling a clipcu_error; see status.h. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

void ccu_error_clear(clipcu_error *error) {
    if (error != NULL) {
        error->code    = CLIPCU_OK;
        error->text[0] = '\0';
    }
}

clipcu_status ccu_fail(clipcu_error *error, clipcu_status code, const char *format, ...) {
    if (error == NULL || error->code != CLIPCU_OK) { return code; }

    va_list args;
    va_start(args, format);
    (void)vsnprintf(error->text, sizeof error->text, format, args); /* a cut message is still one */
    va_end(args);
    /* File names may hold anything; a message stays one printable line. */
    for (char *c = error->text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) { *c = '?'; }
    }
    error->code = code;
    return code;
}

const char *clipcu_status_name(clipcu_status status) {
    switch (status) {
    case CLIPCU_OK: return "OK";
    case CLIPCU_ERR_ARGUMENT: return "ARGUMENT";
    case CLIPCU_ERR_IO: return "IO";
    case CLIPCU_ERR_FORMAT: return "FORMAT";
    case CLIPCU_ERR_UNSUPPORTED: return "UNSUPPORTED";
    case CLIPCU_ERR_LIMIT: return "LIMIT";
    case CLIPCU_ERR_NOMEM: return "NOMEM";
    case CLIPCU_ERR_CUDA: return "CUDA";
    case CLIPCU_ERR_BACKEND: return "BACKEND";
    }
    return "UNKNOWN";
}
