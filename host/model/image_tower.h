/* The vision transformer: pixels -> unit embedding rows. */
#ifndef CCU_MODEL_IMAGE_TOWER_H
#define CCU_MODEL_IMAGE_TOWER_H

#include "model/transformer.h"

#define CCU_BATCH_MAX 4096 /* images per batch */

typedef struct ccu_image_tower {
    ccu_transformer trunk;
    const void     *patch_w;              /* (C, 3 P P) packed, pixel scaling folded in */
    const float    *patch_b;              /* (C) */
    const float    *class_token;          /* (C) */
    const float    *positions;            /* (T, C) */
    const float    *ln_pre_w, *ln_pre_b;  /* (C) */
    const float    *ln_post_w, *ln_post_b;
    const void     *proj_w;               /* (E, C) packed */
    float           unscale[3], unshift[3]; /* see ccu_patch_embed */
    int32_t         S, P, T, E;
    int32_t         batch_max;

    /* Activations, backend memory. */
    void    *pixels;       /* (batch_max, S, S, 3) u8 or (batch_max, 3, S, S) f32 */
    void    *scratch;      /* of patch_embed */
    void    *embeddings;   /* (batch_max, E) dtype */
    float   *unit;         /* (batch_max, E): the result */
    int32_t *class_rows;   /* (batch_max): 0, T, 2T, ... */
} ccu_image_tower;

/* Takes the activations; dims and weights must be set (pointers may be NULL while counting). */
void ccu_image_tower_lay_out(ccu_image_tower *tower, ccu_backend *be, ccu_plan *plan);

/* Fills what never changes (class_rows). Once, after the activations have their addresses. */
void ccu_image_tower_prepare(ccu_image_tower *tower, ccu_backend *be);

/* Encodes B pictures from host memory; the result is tower->unit in backend memory. */
void ccu_image_tower_run(ccu_image_tower *tower, ccu_backend *be, const void *host_pixels,
                         ccu_pixels kind, int32_t B);

/* The same from backend memory. */
void ccu_image_tower_run_device(ccu_image_tower *tower, ccu_backend *be, const void *pixels,
                                ccu_pixels kind, int32_t B);

#endif
