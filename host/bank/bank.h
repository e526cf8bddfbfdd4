/* The class bank: one unit vector per class, with its label. The public functions on it are
 * declared in clipcu.h; bank.c holds the type, bank_file.c its file, build.c makes one from class
 * names, rank.c compares pictures with it. */
#ifndef CCU_BANK_BANK_H
#define CCU_BANK_BANK_H

#include "bank/encode.h"

struct clipcu_bank {
    int32_t  K, E;
    uint64_t fingerprint; /* of the model's weights */
    uint64_t content;     /* hash of rows: an engine keeps one bank in backend memory by it */
    float    logit_scale;
    char   **labels;      /* (K), one block behind them: label_text */
    char    *label_text;
    float   *rows;        /* (K, E) unit rows; NULL: each picture has its own */

    /* Then what they are computed with: opaque here, closed with the bank. */
    void *conditional;
    void (*conditional_close)(void *conditional);
};

/* Nothing but blanks. */
bool ccu_label_empty(const char *label);

/* An empty bank for these labels, rows zeroed. ARGUMENT for an empty label; NOMEM. */
clipcu_status ccu_bank_create(const char *const *labels, int32_t K, int32_t E, clipcu_bank **out,
                              clipcu_error *error);

/* Sets content once rows are filled. */
void ccu_bank_seal(clipcu_bank *bank);

/* Encodes labels in templates and fills bank->rows. */
clipcu_status ccu_bank_fill(clipcu_bank *bank, const ccu_text_encoder *encoder,
                            const char *const *templates, int32_t templates_count,
                            clipcu_error *error);

clipcu_status ccu_bank_write(const clipcu_bank *bank, const char *path, clipcu_error *error);
clipcu_status ccu_bank_read(const char *path, clipcu_bank **out, clipcu_error *error);

/* What ranking keeps in backend memory between calls. Zeroed is empty. */
typedef struct ccu_ranker {
    uint64_t content; /* of the bank that stands in the slab */
    int32_t  K, E, batch_max;
    void    *slab;
    float   *x, *bank;                  /* (batch_max, E), (K, E) */
    int32_t *index;                     /* (batch_max, CCU_TOP_MAX) */
    float   *cosine, *probability;      /* (batch_max, CCU_TOP_MAX) */
    float   *all;                       /* (all_rows, K) */
    int32_t  all_rows;                  /* 0: nobody has asked for every score */
    void    *scratch;
    int32_t *host_index;                /* host copies of the three */
    float   *host_cosine, *host_probability;
} ccu_ranker;

#define CCU_TOP_MAX 1024

/* What is to be compared, and where the answer goes. */
typedef struct ccu_ranking {
    const clipcu_bank *bank;
    const float       *embeddings; /* (count, E) */
    int32_t            count, top;
    float              scale;
    clipcu_match      *matches; /* (count, top) */
    float             *cosines; /* (count, K), or NULL: not wanted */
} ccu_ranking;

/* clipcu_rank_all without its checks. A bank not seen in the last call is uploaded first, which
 * allocates; further calls with it do not, but for the first that wants cosines. */
clipcu_status ccu_rank(ccu_ranker *ranker, ccu_backend *be, const ccu_ranking *ranking,
                       clipcu_error *error);
void          ccu_ranker_close(ccu_ranker *ranker, ccu_backend *be);

#endif
