/* What a table may look like where it goes. */
#ifndef CCU_CLI_TERMINAL_H
#define CCU_CLI_TERMINAL_H

#include "stream/output.h"
#include "stream/sink.h"

/* Sets bars and colour for a terminal (NO_COLOR and TERM=dumb mean none), and unicode by the
 * locale. */
void ccu_terminal_look(const ccu_output *output, ccu_sink *sink);

#endif
