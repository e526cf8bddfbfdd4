/* The frozen text tower with learned context vectors in its prompts: class rows from contexts, and
 * the gradient of the loss with respect to contexts. It has memory of its own beside the engine's
 * and borrows the engine's weights.
 *
 * Prompts are fixed when it opens; contexts change from call to call. Where memory_max does not
 * hold what all prompts keep, they go in chunks, forward and then once more with the gradient:
 * half as fast again, and equal but for the order of sums. */
#ifndef CCU_PROMPT_PROMPT_TOWER_H
#define CCU_PROMPT_PROMPT_TOWER_H

#include "bank/encode.h"
#include "model/text_backward.h"

typedef struct ccu_prompt_tower {
    ccu_backend      *be;       /* borrowed */
    ccu_text_tower    tower;    /* the engine's weights, rows of its own */
    ccu_text_backward backward;
    ccu_prompts       prompts;  /* borrowed */
    int32_t          *order;    /* (P) sorted prompts, host memory, owned */
    int32_t          *place;    /* (K) where class c stands among the K of an image */
    int32_t          *starts;   /* (P + 1) where chunks begin in order */
    int32_t           chunks;   /* of the last forward pass; 0 before it */
    int32_t           packed;   /* prompts that stand packed while chunks is 1 */
    int32_t           K, P, images_max, contexts_max;
    bool              own_banks;
    void             *weights, *slab; /* backend memory, owned */
    size_t            slab_bytes;

    /* Backend memory. */
    float   *context, *dcontext; /* (contexts_max, C) */
    float   *bank, *dbank;       /* (P, E) in sorted order */
    float   *x, *loss;           /* (images_max, E), (images_max) */
    int32_t *label, *best;       /* (images_max) */
    void    *scratch;            /* of softmax_cross_entropy */
    float   *zeros;              /* (contexts_max, C) host memory, owned, as the next */
    int32_t *host_label;         /* (images_max) */
} ccu_prompt_tower;

/* What it is opened for. */
typedef struct ccu_prompt_plan {
    const ccu_prompts    *prompts; /* K of them, or own_banks: images_max times K, by image */
    int32_t               K;
    int32_t               contexts_max; /* context vectors the prompts name */
    int32_t               images_max;
    bool                  own_banks;  /* every image has prompts of its own (CoCoOp) */
    size_t                memory_max; /* bytes of activations; 0: whatever it takes */
} ccu_prompt_plan;

/* NOMEM; LIMIT if memory_max does not hold the longest prompt; UNSUPPORTED for int8 weights; IO and
 * FORMAT from reading the checkpoint again. */
clipcu_status ccu_prompt_tower_open(ccu_prompt_tower *pt, ccu_backend *be,
                                    const ccu_text_tower *engine_tower,
                                    const ccu_checkpoint *checkpoint, const ccu_prompt_plan *plan,
                                    clipcu_error *error);
/* Takes whatever was opened; zeroed is nothing. */
void ccu_prompt_tower_close(ccu_prompt_tower *pt);

/* One batch. All arrays are host memory. */
typedef struct ccu_prompt_step {
    const float   *context;  /* (contexts, C) */
    const float   *x;        /* (images, E) unit rows */
    const int32_t *label;    /* (images) 0 .. K-1 */
    float         *loss;     /* (images) out */
    int32_t       *best;     /* (images) out: class with the highest score */
    float         *dcontext; /* (contexts, C) out: of the mean loss */
    float          scale;    /* of the cosines */
    int32_t        images, contexts;
} ccu_prompt_step;

/* Loss and gradient. */
clipcu_status ccu_prompt_tower_step(ccu_prompt_tower *pt, const ccu_prompt_step *step,
                                    clipcu_error *error);

/* Class rows (K, E), or (images, K, E), in the order of the classes, to host memory. */
clipcu_status ccu_prompt_tower_rows(ccu_prompt_tower *pt, const float *context, int32_t contexts,
                                    int32_t images, float *rows, clipcu_error *error);

#endif
