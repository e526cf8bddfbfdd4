/* Texts -> unit embedding rows, through the tokenizer, the trie and the text tower. */
#ifndef CCU_BANK_ENCODE_H
#define CCU_BANK_ENCODE_H

#include "model/text_tower.h"
#include "text/tokenizer.h"

/* What encoding needs; borrowed from the engine. */
typedef struct ccu_text_encoder {
    ccu_backend         *be;
    ccu_text_tower      *tower;
    const ccu_tokenizer *tokenizer;
    int32_t              eot_id;   /* see ccu_text_pool_index */
    bool                 truncate;
} ccu_text_encoder;

/* Token ids of many prompts, growing. Zeroed is empty. */
typedef struct ccu_prompt_list {
    int32_t *ids;
    size_t  *first; /* (count + 1) */
    int32_t  count, count_max;
    size_t   ids_used, ids_max;
} ccu_prompt_list;

/* Tokenizes text, cuts it after its pooled token and appends it. FORMAT, LIMIT, NOMEM. */
clipcu_status ccu_prompt_add(ccu_prompt_list *list, const ccu_text_encoder *encoder,
                             const char *text, clipcu_error *error);
/* Appends a prompt of token ids that ends at its pooled token, at most the context length. NOMEM,
 * LIMIT. */
clipcu_status ccu_prompt_push(ccu_prompt_list *list, const int32_t *ids, int32_t count,
                              clipcu_error *error);
/* Empties the list and keeps its memory. */
void ccu_prompt_clear(ccu_prompt_list *list);
void ccu_prompt_free(ccu_prompt_list *list);

/* Called for each chunk: row i of unit (count, E), in backend memory, is prompt order[i]. Rows
 * with equal ids share a computation, not a row. A status other than OK ends the encoding. */
typedef clipcu_status (*ccu_chunk_fn)(void *user, const int32_t *order, int32_t count,
                                      const float *unit, clipcu_error *error);

/* Encodes all prompts of the list in as many chunks as it takes. */
clipcu_status ccu_encode_prompts(const ccu_text_encoder *encoder, const ccu_prompt_list *list,
                                 ccu_chunk_fn chunk, void *user, clipcu_error *error);

/* Prompts -> embeddings (list->count, E) in host memory, in the order of the list. */
clipcu_status ccu_encode_list(const ccu_text_encoder *encoder, const ccu_prompt_list *list,
                              float *embeddings, clipcu_error *error);

/* Texts -> embeddings (count, E) in host memory, in the order given. */
clipcu_status ccu_encode_texts(const ccu_text_encoder *encoder, const char *const *texts,
                               int32_t count, float *embeddings, clipcu_error *error);

#endif
