/* HTML character references, decoded as Python's html.unescape does. */
#ifndef CCU_TEXT_ENTITIES_H
#define CCU_TEXT_ENTITIES_H

#include "text/unicode.h"

#define CCU_ENTITIES 2125

/* "name code [code]" or "name; code [code]", sorted by name; see entities_table.c. */
extern const char *const ccu_entity_table[CCU_ENTITIES];

/* html.unescape: every reference once, what comes out is not read again. */
void ccu_html_unescape(ccu_codes *codes);

/* ftfy's unescape_html: only references that end in a semicolon, and all-capital spellings of
 * lower-case names (&EACUTE; is a capital e with acute). */
void ccu_html_unescape_strict(ccu_codes *codes);

/* What byte 0x80 .. 0x9f means in Windows-1252, the five that mean nothing as they are. */
int32_t ccu_windows_1252(int32_t byte);

#endif
