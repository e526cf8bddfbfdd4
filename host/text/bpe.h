/* Byte-pair encoding of one word: merges in the order of their rank. */
#ifndef CCU_TEXT_BPE_H
#define CCU_TEXT_BPE_H

#include <stdbool.h>

#include "base/status.h"
#include "text/token_names.h"

/* In which order pairs of equal standing are merged. The two differ only for vocabularies whose
 * merges use tokens that a later merge makes; CLIP's does not. */
typedef enum ccu_bpe_order {
    CCU_BPE_ALL_OF_RANK, /* OpenAI: every place of the lowest rank, then look again */
    CCU_BPE_ONE_BY_ONE   /* Hugging Face: look again after every merge */
} ccu_bpe_order;

/* left and right stand for merged. */
typedef struct ccu_bpe_pair {
    int32_t left, right; /* left -1: the slot is free */
    int32_t rank, merged;
} ccu_bpe_pair;

/* Zeroed is none. Immutable once filled: any number of threads may encode. */
typedef struct ccu_bpe {
    ccu_bpe_pair *slots;       /* (slots_count) open addressing */
    uint32_t      slots_count; /* a power of two */
    int32_t       count;       /* merges */
    int32_t       inner[256];  /* token of a byte inside a word */
    int32_t       last[256];   /* token of a word's last byte: with </w> */
} ccu_bpe;

/* For at most merges_max merges. FORMAT if that is none, LIMIT above CCU_VOCAB_MAX. path is used in
 * messages. */
clipcu_status ccu_bpe_init(ccu_bpe *bpe, const char *path, int64_t merges_max, clipcu_error *error);
void          ccu_bpe_free(ccu_bpe *bpe);

/* Appends the merge of left and right, two texts that names knows; its rank is the number of merges
 * before it. FORMAT, naming the merge, if one of the three texts is unknown or the pair is there
 * already. */
clipcu_status ccu_bpe_add(ccu_bpe *bpe, const ccu_names *names, const ccu_name *left,
                          const ccu_name *right, clipcu_error *error);

/* Looks the 256 bytes up, in CLIP's byte alphabet, alone and with </w>. FORMAT naming the first
 * one that has no token. */
clipcu_status ccu_bpe_set_bytes(ccu_bpe *bpe, const ccu_names *names, clipcu_error *error);

/* The character that stands for a byte in token texts: itself where it prints, else one from
 * U+0100 on. UTF-8 into out[4]; returns the length. */
size_t ccu_bpe_byte_text(int32_t byte, char *out);

/* Bytes that a token stands for, without the end of a word, which *ends_word tells of, into
 * out[out_bytes], NUL-terminated and cut to fit. False for an id that is no token of bytes and
 * merges. Looks through all merges for each of its parts: for a few tokens, not for texts. */
bool ccu_bpe_text(const ccu_bpe *bpe, int32_t id, char *out, size_t out_bytes, bool *ends_word);

/* Ids on their way to the caller: count goes on where items are full. */
typedef struct ccu_ids {
    int32_t *items; /* (max) */
    int32_t  max;
    int64_t  count;
} ccu_ids;

void ccu_ids_push(ccu_ids *ids, int32_t id);

/* Appends the ids of one word, 1 byte at least. Time grows as n log n with its length. NOMEM. */
clipcu_status ccu_bpe_encode(const ccu_bpe *bpe, ccu_bpe_order order, const uint8_t *word,
                             size_t bytes, ccu_ids *ids, clipcu_error *error);

#endif
