/* What happens to a text before it is cut into words, in the two rules.
 *
 * OpenAI's rule is ftfy.fix_text, html.unescape twice, strip, white space collapsed, str.lower.
 * Of ftfy's defaults this is done, line by line, until a line no longer changes:
 *   1. HTML references that end in a semicolon, up to the first line that holds a "<"
 *   2. C1 controls read as Windows-1252 (U+0085 becomes an ellipsis)
 *   3. Latin ligatures and digraphs taken apart
 *   4. full-width and half-width forms to their usual width, U+3000 to a space
 *   5. curly quotes to straight ones
 *   6. CR, CRLF, U+2028 and U+2029 to a line feed
 *   7. ANSI terminal escapes removed
 *   8. control characters, U+206A..F, U+FEFF and U+FFF9..C removed
 *   9. NFC
 * and this is not: fix_encoding, which guesses from the whole line whether it was decoded in the
 * wrong encoding (a line that looks like "schÃ¶n" stays so). Lone surrogates are not UTF-8 and
 * never arrive.
 *
 * Hugging Face's rule is NFC, runs of white space to one space, every character's own lower
 * case. */
#ifndef CCU_TEXT_CLEAN_H
#define CCU_TEXT_CLEAN_H

#include "base/status.h"
#include "text/unicode.h"

/* Rounds of steps 1 to 9 a line may take. Only HTML escapes of escapes of escapes need many; real
 * text needs two. A line that needs more is LIMIT: ftfy would go on, in quadratic time. */
#define CCU_CLEAN_ROUNDS_MAX 100

/* text is UTF-8 (ccu_utf8_check). *out is UTF-8, NUL-terminated, owned by the caller (ccu_free). */
clipcu_status ccu_clean_openai(const uint8_t *text, size_t bytes, char **out, size_t *out_bytes,
                               clipcu_error *error);
clipcu_status ccu_clean_hf(const uint8_t *text, size_t bytes, char **out, size_t *out_bytes,
                           clipcu_error *error);

#endif
