/* Code points: strict UTF-8, a growable list, and the Unicode properties that CLIP's tokenizers
 * ask for (tables: utf8proc). */
#ifndef CCU_TEXT_UNICODE_H
#define CCU_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads one code point at text. Returns its length in bytes, 1 .. 4, or 0 where bytes is 0 or the
 * bytes are not UTF-8 (overlong forms, surrogates and numbers above U+10FFFF are not). */
size_t ccu_utf8_decode(const uint8_t *text, size_t bytes, int32_t *code);

/* Writes code (a valid one) into out[4]; returns the length, 1 .. 4. */
size_t ccu_utf8_encode(int32_t code, uint8_t *out);

/* True if all of text is UTF-8; otherwise *bad_at is the offset of the first byte that is not. */
bool ccu_utf8_check(const uint8_t *text, size_t bytes, size_t *bad_at);

/* The longest beginning of text, at most bytes_max, that does not cut a character: for messages. */
int ccu_utf8_fit(const char *text, size_t bytes, size_t bytes_max);

bool ccu_is_letter(int32_t code);  /* \p{L} */
bool ccu_is_number(int32_t code);  /* \p{N} */
bool ccu_is_space(int32_t code);   /* White_Space */
bool ccu_is_decimal(int32_t code); /* \p{Nd} */

/* Code points of one text. Zeroed is empty. A push that finds no memory is dropped and sets
 * failed, so that a run of pushes is checked once, at its end. */
typedef struct ccu_codes {
    int32_t *items; /* owned */
    size_t   count, capacity;
    bool     failed;
} ccu_codes;

void ccu_codes_free(ccu_codes *codes);
void ccu_codes_push(ccu_codes *codes, int32_t code);
void ccu_codes_append(ccu_codes *codes, const int32_t *items, size_t count);
bool ccu_codes_equal(const ccu_codes *a, const ccu_codes *b);
void ccu_codes_swap(ccu_codes *a, ccu_codes *b);

/* Appends text, which is UTF-8 (ccu_utf8_check). */
void ccu_codes_append_utf8(ccu_codes *codes, const uint8_t *text, size_t bytes);

/* The list as UTF-8, NUL-terminated past its end, owned by the caller (ccu_free); NULL when out of
 * memory. */
char *ccu_codes_to_utf8(const ccu_codes *codes, size_t *bytes);

/* Canonical composition (NFC) of in, appended to out, which is empty. Linear in the text, also
 * where thousands of combining marks follow each other. */
void ccu_codes_nfc(const ccu_codes *in, ccu_codes *out);

/* Lower case of in, appended to out. U+0130 becomes i and U+0307. With final_sigma a capital sigma
 * at the end of a word becomes U+03C2, as in Python's str.lower; without it always U+03C3, as
 * where characters are mapped one by one. */
void ccu_codes_lower(const ccu_codes *in, bool final_sigma, ccu_codes *out);

#endif
