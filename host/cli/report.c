/* Messages to standard error; see report.h. */
#include "cli/report.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_BYTES 1024

void ccu_report(const char *format, ...) {
    char    text[TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args); /* a cut message is still one */
    va_end(args);
    for (char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) { *c = '?'; }
    }
    (void)fprintf(stderr, "clipcu: %s\n", text); /* nobody is left to hear of a failure here */
}
