/* A vocabulary in CLIP's layout, read from the files that models come with. */
#ifndef CCU_TEXT_VOCAB_H
#define CCU_TEXT_VOCAB_H

#include <cjson/cJSON.h>

#include "base/status.h"
#include "text/bpe.h"

#define CCU_SOT_TEXT "<|startoftext|>"
#define CCU_EOT_TEXT "<|endoftext|>"
#define CCU_ADDED_MAX 64
#define CCU_VOCAB_FILE_MAX ((size_t)64 << 20) /* bytes of one vocabulary file */

/* A token that Hugging Face cuts out of a text before anything else. */
typedef struct ccu_added {
    char   *text; /* owned */
    size_t  bytes;
    int32_t id;
    bool    normalized; /* looked for in the cleaned text, not in the raw one */
    bool    plain;      /* no lstrip, rstrip or single_word */
} ccu_added;

/* Zeroed is none. */
typedef struct ccu_vocab {
    ccu_bpe   bpe;
    int32_t   size, sot, eot;
    bool      older_split; /* tokenizer.json cuts without the special tokens (CCU_SPLIT_HF_OLDER) */
    ccu_added added[CCU_ADDED_MAX];
    int32_t   added_count;
} ccu_vocab;

/* Looks in dir for tokenizer.json, then vocab.json with merges.txt, then a bare merges file.
 * IO naming what was looked for if there are none. Anything that is not byte-level BPE in CLIP's
 * layout is UNSUPPORTED or FORMAT by name. */
clipcu_status ccu_vocab_open(const char *dir, ccu_vocab *vocab, clipcu_error *error);
void          ccu_vocab_close(ccu_vocab *vocab);

/* The rest is for the readers. Each fills vocab but for what finish does; the caller closes it
 * also after a failure. */

/* tokenizer.json of Hugging Face's tokenizers library. */
clipcu_status ccu_vocab_read_tokenizer_json(const char *path, ccu_vocab *vocab,
                                            clipcu_error *error);
/* vocab.json and merges.txt. */
clipcu_status ccu_vocab_read_pair(const char *vocab_path, const char *merges_path, ccu_vocab *vocab,
                                  clipcu_error *error);
/* A merges file alone, plain or gzip: the first line is skipped, the next 48894 or fewer are
 * merges, and the ids are 256 bytes, 256 bytes with </w>, the merges in order, the two special
 * tokens. */
clipcu_status ccu_vocab_read_merges(const char *path, ccu_vocab *vocab, clipcu_error *error);

/* Names of a JSON object {"token": id, ...}, which they borrow. FORMAT naming the token. */
clipcu_status ccu_vocab_names(const cJSON *object, ccu_names *names, clipcu_error *error);
/* Parts "i n" into its two texts, which borrow it; false if it is anything else. */
bool ccu_vocab_part(const char *text, size_t bytes, ccu_name *left, ccu_name *right);

/* Copies an added token into vocab. LIMIT above CCU_ADDED_MAX. */
clipcu_status ccu_vocab_add(ccu_vocab *vocab, const char *path, const ccu_added *added,
                            clipcu_error *error);
/* Start and end token with the flags Hugging Face's conversion gives them. */
clipcu_status ccu_vocab_add_default(ccu_vocab *vocab, const char *path, clipcu_error *error);
/* Size, special tokens and byte tokens from names. FORMAT for a hole or a missing one. */
clipcu_status ccu_vocab_finish(ccu_vocab *vocab, const ccu_names *names, clipcu_error *error);

#endif
