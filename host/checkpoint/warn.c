/* Warnings while a model opens; see warn.h. */
#include "checkpoint/warn.h"

#include <stdarg.h>
#include <stdio.h>

void ccu_warner_say(const ccu_warner *warner, const char *format, ...) {
    if (warner == NULL || warner->say == NULL) { return; }

    char    text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args); /* a cut warning is still one */
    va_end(args);
    /* Names in a file may hold anything; a warning stays one printable line. */
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) { *c = '?'; }
    }
    warner->say(warner->user, text);
}
