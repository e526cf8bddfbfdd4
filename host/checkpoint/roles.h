/* What every tensor of a tower is called, by us and in the two layouts, and which shape it has.
 * names.c binds by these tables, fingerprint.c walks them. */
#ifndef CCU_CHECKPOINT_ROLES_H
#define CCU_CHECKPOINT_ROLES_H

#include "checkpoint/checkpoint.h"

typedef enum ccu_layout { CCU_LAYOUT_HUGGINGFACE = 0, CCU_LAYOUT_OPEN_CLIP = 1 } ccu_layout;

typedef enum ccu_shape {
    CCU_SHAPE_C,               /* (C) */
    CCU_SHAPE_C_C,             /* (C, C) */
    CCU_SHAPE_M,               /* (M), M the width of the MLP */
    CCU_SHAPE_M_C,             /* (M, C) */
    CCU_SHAPE_C_M,             /* (C, M) */
    CCU_SHAPE_PATCH,           /* (C, 3, P, P) */
    CCU_SHAPE_IMAGE_POSITIONS, /* (G*G + 1, C), G = image_size / patch_size */
    CCU_SHAPE_TOKENS,          /* (V, C) */
    CCU_SHAPE_TEXT_POSITIONS,  /* (T, C) */
    CCU_SHAPE_PROJ             /* (E, C) in Hugging Face, (C, E) in open_clip */
} ccu_shape;

typedef struct ccu_role {
    const char *role;    /* ours, part of the fingerprint: never rename */
    const char *name[2]; /* by ccu_layout; of a block: after the block's prefix */
    size_t      offset;  /* of the ccu_tensor in its struct */
    ccu_shape   shape;
    int32_t     third;   /* open_clip: 0, 1, 2 of a tensor of three times as many rows; or -1 */
} ccu_role;

#define CCU_BLOCK_ROLES 16
#define CCU_IMAGE_ROLES 8
#define CCU_TEXT_ROLES 5

extern const ccu_role CCU_BLOCK_ROLE[CCU_BLOCK_ROLES]; /* in ccu_block_tensors */
extern const ccu_role CCU_IMAGE_ROLE[CCU_IMAGE_ROLES]; /* in ccu_image_tensors */
extern const ccu_role CCU_TEXT_ROLE[CCU_TEXT_ROLES];   /* in ccu_text_tensors */

/* Fills shape and returns the rank. tower is config's image or text. */
int32_t ccu_role_shape(const ccu_role *role, ccu_layout layout, const ccu_model_config *config,
                       const ccu_tower_config *tower, int64_t shape[4]);

#endif
