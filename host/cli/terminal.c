/* What a table may look like; see terminal.h. */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the terminal shows block characters. */
static bool is_utf8_locale(void) {
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value == NULL || value[0] == '\0') { continue; }
        return strstr(value, "UTF-8") != NULL || strstr(value, "utf8") != NULL ||
               strstr(value, "UTF8") != NULL || strstr(value, "utf-8") != NULL;
    }
    return false;
}

void ccu_terminal_look(const ccu_output *output, ccu_sink *sink) {
    const char *no_color = getenv("NO_COLOR");
    const char *term     = getenv("TERM");
    const bool  plain    = (no_color != NULL && no_color[0] != '\0') || term == NULL ||
                       strcmp(term, "dumb") == 0;
    sink->bars    = output->fd == STDOUT_FILENO && isatty(STDOUT_FILENO) != 0;
    sink->colour  = sink->bars && !plain;
    sink->unicode = is_utf8_locale();
}
