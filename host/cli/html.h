/* --html: the page that classify, search and eval write beside their results. */
#ifndef CCU_CLI_HTML_H
#define CCU_CLI_HTML_H

#include "cli/options.h"
#include "page/page.h"

/* Opens the page that --html asks for; *out is NULL without it, which ccu_page_* accept.
 * info NULL: no model was opened. what: how the results were made beside model and device, one
 * line, like "12 classes, templates openai80". */
clipcu_status ccu_html_open(const ccu_arguments *arguments, const clipcu_info *info,
                            ccu_page_kind kind, const char *what, ccu_page **out,
                            clipcu_error *error);

#endif
