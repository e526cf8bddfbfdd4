/* The text transformer: prompts packed as token tries -> unit embedding rows. */
#ifndef CCU_MODEL_TEXT_TOWER_H
#define CCU_MODEL_TEXT_TOWER_H

#include "model/transformer.h"
#include "text/trie.h"

typedef struct ccu_text_tower {
    ccu_transformer trunk;
    const void     *tokens;                 /* (V, C) dtype */
    const float    *positions;              /* (context, C) */
    const float    *ln_final_w, *ln_final_b; /* (C) */
    const void     *proj_w;                 /* (E, C) packed */
    const float    *learned;                /* (., C) context vectors: their ids are vocab, vocab+1,
                                               ...; NULL: none */
    int32_t         vocab, context, E;
    int32_t         rows_max;               /* trie rows per chunk, >= context */
    int32_t         leaves_max;             /* prompts per chunk; set to rows_max if it is 0 */

    ccu_trie        trie;                   /* host memory, owned */

    /* Activations, backend memory. */
    int32_t *ids, *at, *path_first, *path_count, *path, *leaf; /* the trie's arrays */
    void    *embeddings;                    /* (leaves_max, E) dtype */
    float   *unit;                          /* (leaves_max, E): the result */
} ccu_text_tower;

/* The trie of one chunk in host memory, sized from rows_max, leaves_max and context. NOMEM. */
clipcu_status ccu_text_tower_open_trie(ccu_text_tower *tower, clipcu_error *error);
void          ccu_text_tower_close_trie(ccu_text_tower *tower);

/* Takes the activations; dims must be set. */
void ccu_text_tower_lay_out(ccu_text_tower *tower, ccu_plan *plan);

/* Where a sequence of ids is pooled: the first eot_id, or with eot_id < 0 the first position of
 * the largest id; 0 if there is none (what Hugging Face's argmax of zeros gives). */
int32_t ccu_text_pool_index(const int32_t *ids, int32_t count, int32_t eot_id);

/* Packs prompts order[from], ... into one chunk and uploads its trie. Returns how many. Prompts
 * end at their pooled token and have 1 .. context tokens. */
int32_t ccu_text_tower_pack(ccu_text_tower *tower, ccu_backend *be, const ccu_prompts *prompts,
                            const int32_t *order, int32_t from);

/* Encodes the chunk packed last: row i of tower->unit (backend memory) belongs to
 * order[from + i]. */
void ccu_text_tower_encode(ccu_text_tower *tower, ccu_backend *be);

/* Both. Returns how many. */
int32_t ccu_text_tower_run(ccu_text_tower *tower, ccu_backend *be, const ccu_prompts *prompts,
                           const int32_t *order, int32_t from);

#endif
