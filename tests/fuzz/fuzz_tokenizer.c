/* Fuzz target: any text through the small vocabulary of tests/data/text, by both rules; cleaning,
 * splitting, merging: text/clean.c, entities.c, unicode.c, split.c, bpe.c, tokenizer.c. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

#define IDS_MAX 4096

typedef struct vocabularies {
    ccu_tokenizer *by_rule[2];
} vocabularies;

static vocabularies opened;

static void close_all(void) {
    for (int i = 0; i < 2; i++) { ccu_tokenizer_close(opened.by_rule[i]); }
}

static const ccu_tokenizer *by_rule(clipcu_tokenizer rule) {
    clipcu_error error = { .code = CLIPCU_OK };
    for (int i = 0; i < 2 && opened.by_rule[i] == NULL; i++) {
        const clipcu_status status = ccu_tokenizer_open(CLIPCU_SOURCE_DIR "/tests/data/text/small",
                                                        (clipcu_tokenizer)i, &opened.by_rule[i],
                                                        &error);
        fuzz_expect(status == CLIPCU_OK, error.text);
        if (i == 1) { fuzz_expect(atexit(close_all) == 0, "atexit"); }
    }
    return opened.by_rule[rule];
}

static void run_rule(clipcu_tokenizer rule, const char *text, bool is_utf8) {
    static int32_t       whole[IDS_MAX];
    const ccu_tokenizer *tokenizer   = by_rule(rule);
    const int32_t        size        = ccu_tokenizer_vocab_size(tokenizer);
    int32_t              whole_count = 0, cut[7], cut_count = 0;
    clipcu_error         error       = { .code = CLIPCU_OK };

    clipcu_status status = ccu_tokenize(tokenizer, text, false, whole, IDS_MAX, &whole_count,
                                        &error);
    fuzz_expect_status(status, &error, NULL);
    fuzz_expect(is_utf8 || status == CLIPCU_ERR_FORMAT, "what is not UTF-8 is refused");
    fuzz_expect(!is_utf8 || status == CLIPCU_OK || status == CLIPCU_ERR_LIMIT, "all UTF-8 is text");
    if (status != CLIPCU_OK) { return; }
    fuzz_expect(whole_count >= 2 && whole[0] == ccu_tokenizer_sot(tokenizer) &&
                    whole[whole_count - 1] == ccu_tokenizer_eot(tokenizer),
                "ids stand between start and end");
    for (int32_t i = 0; i < whole_count; i++) {
        fuzz_expect(whole[i] >= 0 && whole[i] < size, "an id is in the vocabulary");
    }
    /* Cut short, the ids are the beginning of the whole. */
    status = ccu_tokenize(tokenizer, text, true, cut, 7, &cut_count, &error);
    fuzz_expect_status(status, &error, NULL);
    fuzz_expect(status == CLIPCU_OK, "a text that fits whole can be cut");
    fuzz_expect(cut_count == (whole_count < 7 ? whole_count : 7), "as many ids as fit");
    fuzz_expect(memcmp(whole, cut, sizeof *cut * (size_t)(cut_count - 1)) == 0, "the same ids");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *text = malloc(bytes + 1);
    fuzz_expect(text != NULL, "memory for the input");
    memcpy(text, data, bytes);
    text[bytes]        = '\0';
    size_t     bad     = 0;
    const bool is_utf8 = ccu_utf8_check((const uint8_t *)text, strlen(text), &bad);
    run_rule(CLIPCU_TOKENIZER_OPENAI, text, is_utf8);
    run_rule(CLIPCU_TOKENIZER_HF_FAST, text, is_utf8);
    free(text);
    return 0;
}
