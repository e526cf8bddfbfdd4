/* Text to token ids; see tokenizer.h. The way of a text:
 *   1. cleaned                  clean.c
 *   2. cut into words           split.c
 *   3. words to ids             bpe.c
 * With Hugging Face's rule, added tokens are cut out before 1 (those not normalised) and between 1
 * and 2 (the others); with OpenAI's rule, splitting finds the two special tokens. open_clip spells
 * these <start_of_text> and <end_of_text>, so that "<|endoftext|>" in a text is ordinary there;
 * that difference is not followed. */
#include "text/tokenizer.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "text/bpe.h"
#include "text/clean.h"
#include "text/split.h"
#include "text/unicode.h"
#include "text/vocab.h"

/* Longest text: ftfy starts to cut lines into segments at this length, and no prompt needs it. */
#define TEXT_BYTES_MAX ((size_t)1000000)

struct ccu_tokenizer {
    ccu_vocab        vocab;
    clipcu_tokenizer rule;
};

/* ---- Opening -------------------------------------------------------------------------------- */

/* Brings the added tokens to the form in which they are looked for. */
static clipcu_status prepare_added(const char *dir, ccu_vocab *vocab, clipcu_error *error) {
    for (int32_t i = 0; i < vocab->added_count; i++) {
        ccu_added *const added = &vocab->added[i];
        size_t           bad   = 0;
        if (!added->plain) {
            return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                            "%s: added token \"%.*s\" has lstrip, rstrip or single_word", dir,
                            ccu_utf8_fit(added->text, added->bytes, 40), added->text);
        }
        if (!ccu_utf8_check((const uint8_t *)added->text, added->bytes, &bad)) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: the added token with id %d is not UTF-8",
                            dir, added->id);
        }
        if (!added->normalized) { continue; }
        char         *clean  = NULL;
        clipcu_status status = ccu_clean_hf((const uint8_t *)added->text, added->bytes, &clean,
                                            &added->bytes, error);
        if (status != CLIPCU_OK) { return status; }
        ccu_free(added->text);
        added->text = clean;
    }
    return CLIPCU_OK;
}

clipcu_status ccu_tokenizer_open(const char *dir, clipcu_tokenizer rule, ccu_tokenizer **out,
                                 clipcu_error *error) {
    *out                     = NULL;
    ccu_tokenizer *tokenizer = ccu_alloc_zeroed(1, sizeof *tokenizer);
    if (tokenizer == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for a tokenizer", dir);
    }
    tokenizer->rule      = rule;
    clipcu_status status = ccu_vocab_open(dir, &tokenizer->vocab, error);
    if (status == CLIPCU_OK && rule == CLIPCU_TOKENIZER_HF_FAST) {
        status = prepare_added(dir, &tokenizer->vocab, error);
    }
    if (status != CLIPCU_OK) {
        ccu_tokenizer_close(tokenizer);
        return status;
    }
    *out = tokenizer;
    return CLIPCU_OK;
}

void ccu_tokenizer_close(ccu_tokenizer *tokenizer) {
    if (tokenizer != NULL) {
        ccu_vocab_close(&tokenizer->vocab);
        ccu_free(tokenizer);
    }
}

int32_t ccu_tokenizer_vocab_size(const ccu_tokenizer *tokenizer) {
    return tokenizer->vocab.size;
}

int32_t ccu_tokenizer_sot(const ccu_tokenizer *tokenizer) {
    return tokenizer->vocab.sot;
}

int32_t ccu_tokenizer_eot(const ccu_tokenizer *tokenizer) {
    return tokenizer->vocab.eot;
}

bool ccu_tokenizer_text(const ccu_tokenizer *tokenizer, int32_t id, char *out, size_t out_bytes,
                        bool *ends_word) {
    return ccu_bpe_text(&tokenizer->vocab.bpe, id, out, out_bytes, ends_word);
}

/* ---- Tokenizing ----------------------------------------------------------------------------- */

/* One call's way through the text. */
typedef struct call {
    const ccu_vocab *vocab;
    bool             truncate; /* stop when ids are full */
    ccu_ids          ids;
    clipcu_error    *error;
} call;

static bool is_full(const call *c) {
    return c->truncate && c->ids.count >= c->ids.max;
}

/* Words of a cleaned text to ids. */
static clipcu_status push_words(call *c, const char *text, size_t bytes, ccu_split_rule rule) {
    const ccu_bpe_order order = rule == CCU_SPLIT_OPENAI ? CCU_BPE_ALL_OF_RANK : CCU_BPE_ONE_BY_ONE;
    ccu_split           split = { .text = (const uint8_t *)text, .bytes = bytes, .rule = rule };
    ccu_word            word;
    while (!is_full(c) && ccu_split_next(&split, &word)) {
        if (word.kind == CCU_WORD_TEXT) {
            const clipcu_status status = ccu_bpe_encode(&c->vocab->bpe, order, word.text,
                                                        word.bytes, &c->ids, c->error);
            if (status != CLIPCU_OK) { return status; }
        } else {
            ccu_ids_push(&c->ids, word.kind == CCU_WORD_SOT ? c->vocab->sot : c->vocab->eot);
        }
    }
    return CLIPCU_OK;
}

static clipcu_status push_openai(call *c, const char *text, size_t bytes) {
    char         *clean       = NULL;
    size_t        clean_bytes = 0;
    clipcu_status status      = ccu_clean_openai((const uint8_t *)text, bytes, &clean, &clean_bytes,
                                                 c->error);
    if (status == CLIPCU_OK) { status = push_words(c, clean, clean_bytes, CCU_SPLIT_OPENAI); }
    ccu_free(clean);
    return status;
}

/* The added token that starts first at or after `at`, the longest of those; NULL if none does. */
static const ccu_added *find_added(const ccu_vocab *vocab, bool normalized, const char *text,
                                   size_t bytes, size_t *at) {
    for (size_t i = *at; i < bytes; i++) {
        const ccu_added *best = NULL;
        for (int32_t k = 0; k < vocab->added_count; k++) {
            const ccu_added *added = &vocab->added[k];
            if (added->normalized == normalized && added->bytes > 0 && added->text[0] == text[i] &&
                added->bytes <= bytes - i && memcmp(added->text, text + i, added->bytes) == 0 &&
                (best == NULL || added->bytes > best->bytes)) {
                best = added;
            }
        }
        if (best != NULL) {
            *at = i;
            return best;
        }
    }
    *at = bytes;
    return NULL;
}

/* Text between added tokens that are not normalised. */
static clipcu_status push_hf_stretch(call *c, const char *text, size_t bytes) {
    const ccu_split_rule rule  = c->vocab->older_split ? CCU_SPLIT_HF_OLDER : CCU_SPLIT_HF;
    char                *clean = NULL;
    size_t               end = 0, from = 0;
    clipcu_status status = ccu_clean_hf((const uint8_t *)text, bytes, &clean, &end, c->error);
    while (status == CLIPCU_OK && from < end && !is_full(c)) {
        size_t           at    = from;
        const ccu_added *added = find_added(c->vocab, true, clean, end, &at);
        status                 = push_words(c, clean + from, at - from, rule);
        if (added != NULL) { ccu_ids_push(&c->ids, added->id); }
        from = added == NULL ? end : at + added->bytes;
    }
    ccu_free(clean);
    return status;
}

static clipcu_status push_hf(call *c, const char *text, size_t bytes) {
    clipcu_status status = CLIPCU_OK;
    size_t        from   = 0;
    while (status == CLIPCU_OK && from < bytes && !is_full(c)) {
        size_t           at    = from;
        const ccu_added *added = find_added(c->vocab, false, text, bytes, &at);
        if (at > from) { status = push_hf_stretch(c, text + from, at - from); }
        if (added != NULL) { ccu_ids_push(&c->ids, added->id); }
        from = added == NULL ? bytes : at + added->bytes;
    }
    return status;
}

static clipcu_status check_text(const char *text, size_t *bytes, clipcu_error *error) {
    size_t bad = 0;
    *bytes     = strnlen(text, TEXT_BYTES_MAX + 1);
    if (*bytes > TEXT_BYTES_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "text \"%.*s...\": longer than %zu bytes",
                        ccu_utf8_fit(text, *bytes, 40), text, TEXT_BYTES_MAX);
    }
    if (!ccu_utf8_check((const uint8_t *)text, *bytes, &bad)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "text \"%.*s...\": not UTF-8 at byte %zu",
                        ccu_utf8_fit(text, bad, 40), text, bad);
    }
    return CLIPCU_OK;
}

clipcu_status ccu_tokenize(const ccu_tokenizer *tokenizer, const char *text, bool truncate,
                           int32_t *ids, int32_t ids_max, int32_t *ids_count, clipcu_error *error) {
    size_t bytes = 0;
    call   c     = { .vocab    = &tokenizer->vocab,
                     .truncate = truncate,
                     .ids      = { .items = ids, .max = ids_max },
                     .error    = error };
    if (ids_max < 2) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "room for %d ids, a text takes 2 at least",
                        ids_max);
    }
    clipcu_status status = check_text(text, &bytes, error);
    if (status != CLIPCU_OK) { return status; }
    ccu_ids_push(&c.ids, c.vocab->sot);
    status = tokenizer->rule == CLIPCU_TOKENIZER_OPENAI ? push_openai(&c, text, bytes)
                                                        : push_hf(&c, text, bytes);
    if (status != CLIPCU_OK) { return status; }
    ccu_ids_push(&c.ids, c.vocab->eot);
    if (c.ids.count > ids_max && !truncate) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT,
                        "text \"%.*s%s\": %lld tokens, at most %d fit; shorten it or allow "
                        "truncation",
                        ccu_utf8_fit(text, bytes, 40), text, bytes > 40 ? "..." : "",
                        (long long)c.ids.count, ids_max);
    }
    if (c.ids.count > ids_max) { ids[ids_max - 1] = c.vocab->eot; }
    *ids_count = c.ids.count > ids_max ? ids_max : (int32_t)c.ids.count;
    return CLIPCU_OK;
}
