/* Text to token ids: CLIP's byte-level BPE, bit-equal with OpenAI's SimpleTokenizer (the ftfy
 * subset named in clean.h) or with Hugging Face's fast tokenizer. */
#ifndef CCU_TEXT_TOKENIZER_H
#define CCU_TEXT_TOKENIZER_H

#include <stdbool.h>

#include "base/status.h"

typedef struct ccu_tokenizer ccu_tokenizer;

/* Looks in dir for tokenizer.json, then vocab.json + merges.txt, then a bare merges file
 * (bpe_simple_vocab_16e6.txt or .txt.gz: OpenAI's, ids follow from it).
 * IO naming the files that were looked for if there are none. */
clipcu_status ccu_tokenizer_open(const char *dir, clipcu_tokenizer rule, ccu_tokenizer **out,
                                 clipcu_error *error);
/* NULL is a no-op. */
void ccu_tokenizer_close(ccu_tokenizer *tokenizer);

int32_t ccu_tokenizer_vocab_size(const ccu_tokenizer *tokenizer);
int32_t ccu_tokenizer_sot(const ccu_tokenizer *tokenizer);
int32_t ccu_tokenizer_eot(const ccu_tokenizer *tokenizer);

/* As ccu_bpe_text. */
bool ccu_tokenizer_text(const ccu_tokenizer *tokenizer, int32_t id, char *out, size_t out_bytes,
                        bool *ends_word);

/* ids of text between start and end token, at most ids_max. Longer texts: with truncate the first
 * ids_max - 1 are kept and the end token put last (OpenAI's rule), without it LIMIT.
 * Invalid UTF-8 is FORMAT with the byte offset. Any number of threads at once. */
clipcu_status ccu_tokenize(const ccu_tokenizer *tokenizer, const char *text, bool truncate,
                           int32_t *ids, int32_t ids_max, int32_t *ids_count,
                           clipcu_error *error);

#endif
