/* Words of a text; see split.h. */
#include "text/split.h"

#include <assert.h>
#include <string.h>

#include "text/unicode.h"

#define LONG_S 0x17f
#define YPOGEGRAMMENI 0x345

static const char sot_text[] = "<|startoftext|>";
static const char eot_text[] = "<|endoftext|>";

typedef enum char_class { CLASS_SPACE, CLASS_LETTER, CLASS_NUMBER, CLASS_OTHER } char_class;

/* Class and length of the character at byte `at`. */
static char_class classify(const ccu_split *split, size_t at, size_t *length) {
    const uint8_t c = split->text[at];
    if (c < 0x80) {
        *length = 1;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) { return CLASS_LETTER; }
        if (c >= '0' && c <= '9') { return CLASS_NUMBER; }
        return ccu_is_space(c) ? CLASS_SPACE : CLASS_OTHER;
    }
    int32_t code = 0;
    *length      = ccu_utf8_decode(split->text + at, split->bytes - at, &code);
    assert(*length > 0);
    if (ccu_is_letter(code)) { return CLASS_LETTER; }
    if (ccu_is_number(code)) { return CLASS_NUMBER; }
    if (code == YPOGEGRAMMENI && split->rule == CCU_SPLIT_OPENAI) { return CLASS_SPACE; }
    return ccu_is_space(code) ? CLASS_SPACE : CLASS_OTHER;
}

/* Bytes of the text at `at` that match pattern (ASCII), 0 if it does not. A long s matches an s
 * in OpenAI's rule. */
static size_t match(const ccu_split *split, size_t at, const char *pattern) {
    size_t used = 0;
    for (const char *c = pattern; *c != '\0'; c++) {
        int32_t      code   = 0;
        const size_t length = ccu_utf8_decode(split->text + at + used, split->bytes - at - used,
                                              &code);
        if (length == 0) { return 0; }
        const bool long_s = code == LONG_S && *c == 's' && split->rule == CCU_SPLIT_OPENAI;
        if (code != (uint8_t)*c && !long_s) { return 0; }
        used += length;
    }
    return used;
}

static const char *const contractions[7] = { "'s", "'t", "'re", "'ve", "'m", "'ll", "'d" };

static size_t match_contraction(const ccu_split *split) {
    size_t used = 0;
    for (size_t i = 0; i < 7 && used == 0; i++) { used = match(split, split->at, contractions[i]); }
    return used;
}

/* End of the run of characters of class wanted that starts at split->at. */
static size_t run_end(const ccu_split *split, char_class wanted) {
    size_t at = split->at;
    while (at < split->bytes) {
        size_t length = 0;
        if (classify(split, at, &length) != wanted) { break; }
        at += length;
        if (at == split->special_end) { break; }
    }
    return at;
}

static bool take(ccu_split *split, size_t end, ccu_word_kind kind, ccu_word *word) {
    assert(end > split->at);
    assert(end <= split->bytes);
    word->text  = split->text + split->at;
    word->bytes = end - split->at;
    word->kind  = kind;
    split->at   = end;
    return true;
}

/* A special token at split->at. OpenAI: the word. Hugging Face: remembered, its second cut parts
 * "<|", the letters and "|>", and what follows the token does not join the last. */
static bool take_special(ccu_split *split, ccu_word *word) {
    const size_t sot = match(split, split->at, sot_text);
    const size_t eot = sot > 0 ? 0 : match(split, split->at, eot_text);
    if (sot == 0 && eot == 0) { return false; }
    if (split->rule == CCU_SPLIT_HF) {
        split->special_end = split->at + sot + eot;
        return false;
    }
    /* A token spelt with a long s is found but not known: OpenAI's code then cuts it up as one
     * word. */
    const bool          exact = eot > 0 || sot == sizeof sot_text - 1;
    const ccu_word_kind kind  = sot > 0 ? CCU_WORD_SOT : CCU_WORD_EOT;
    return take(split, split->at + sot + eot, exact ? kind : CCU_WORD_TEXT, word);
}

bool ccu_split_next(ccu_split *split, ccu_word *word) {
    size_t length    = 0;
    char_class class = CLASS_SPACE;
    while (split->at < split->bytes) {
        class = classify(split, split->at, &length);
        if (class != CLASS_SPACE) { break; }
        split->at += length;
    }
    if (split->at >= split->bytes) { return false; }
    const uint8_t c = split->text[split->at];
    if (c == '<' && split->rule != CCU_SPLIT_HF_OLDER && take_special(split, word)) { return true; }
    if (c == '\'') {
        const size_t used = match_contraction(split);
        if (used > 0) { return take(split, split->at + used, CCU_WORD_TEXT, word); }
    }
    const size_t end = class == CLASS_NUMBER ? split->at + length : run_end(split, class);
    return take(split, end, CCU_WORD_TEXT, word);
}
