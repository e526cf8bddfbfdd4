/* A cleaned text cut into words: CLIP's regular expression, by hand. At each position the first of
 * these that matches is a word; white space separates and vanishes.
 *
 *   <|startoftext|> or <|endoftext|>          the two special tokens
 *   's 't 're 've 'm 'll 'd                    contractions
 *   \p{L}+                                     letters
 *   \p{N}                                      one digit
 *   [^\s\p{L}\p{N}]+                           anything else
 *
 * OpenAI's expression ignores case, which after lower-casing matters for two characters: U+017F
 * (long s) counts as an s in 's and <|startoftext|>, and U+0345 (a mark whose capital is a letter)
 * matches nothing and vanishes like white space. Hugging Face's does not ignore case; it cuts words
 * a second time, so that a special token becomes three words. */
#ifndef CCU_TEXT_SPLIT_H
#define CCU_TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ccu_split_rule {
    CCU_SPLIT_OPENAI,
    CCU_SPLIT_HF,      /* the special tokens are part of the expression */
    CCU_SPLIT_HF_OLDER /* they are not: older conversions */
} ccu_split_rule;

typedef enum ccu_word_kind { CCU_WORD_TEXT, CCU_WORD_SOT, CCU_WORD_EOT } ccu_word_kind;

typedef struct ccu_word {
    const uint8_t *text; /* into the text that is split */
    size_t         bytes;
    ccu_word_kind  kind; /* SOT and EOT in OpenAI's rule only */
} ccu_word;

/* Start with { .text, .bytes, .rule }; text is UTF-8 and lives as long as the words. */
typedef struct ccu_split {
    const uint8_t *text;
    size_t         bytes;
    ccu_split_rule rule;
    size_t         at;          /* next byte to look at */
    size_t         special_end; /* where a special token that is being cut up ends; 0: none */
} ccu_split;

/* The next word; false when there is none left. */
bool ccu_split_next(ccu_split *split, ccu_word *word);

#endif
