/* Tiny random CLIP models in both layouts, to be damaged by tests. The names are written out here
 * on their own: they are not the library's tables. Image tower: 2 layers of width 12, 3 heads, mlp
 * 20, 8 pixels in patches of 4; text tower: 3 layers of width 8, 2 heads, mlp 16, vocabulary 11,
 * context 6; embedding 10. */
#ifndef CCU_SUPPORT_ST_MODEL_H
#define CCU_SUPPORT_ST_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "support/st_dir.h"

enum { ST_IMAGE_LAYERS = 2, ST_IMAGE_WIDTH = 12, ST_IMAGE_MLP = 20, ST_IMAGE_SIZE = 8, ST_PATCH = 4,
       ST_TEXT_LAYERS = 3, ST_TEXT_WIDTH = 8, ST_TEXT_MLP = 16, ST_VOCAB = 11, ST_CONTEXT = 6,
       ST_EMBED = 10 };

typedef enum st_layout { ST_HUGGINGFACE, ST_OPEN_CLIP, ST_OPEN_CLIP_CUSTOM } st_layout;

typedef struct st_tensor {
    char     name[128];
    char     dtype[8]; /* as in the file */
    int32_t  rank;
    int64_t  shape[5];
    uint8_t *data;     /* pseudo-random by name and dtype; logit_scale is 2 */
    size_t   bytes;
} st_tensor;

typedef struct st_model {
    st_tensor tensors[256];
    int32_t   count;
} st_model;

/* image, text: which towers. logit_scale is there with both. */
void st_model_init(st_model *model, st_layout layout, int image, int text);
void st_model_free(st_model *model);

/* NULL if there is none. */
st_tensor *st_model_find(st_model *model, const char *name);
/* dims end with 0. */
st_tensor *st_model_add(st_model *model, const char *name, const char *dtype, const int64_t *dims);
void       st_model_remove(st_model *model, const char *name);
/* New shape or dtype (NULL: as it was), new contents. */
void       st_tensor_reset(st_tensor *tensor, const char *dtype, int32_t rank,
                           const int64_t *shape);

/* The tensors with index % parts == part as a safetensors file; prefix stands before each name. */
void st_model_save(const st_model *model, const st_dir *dir, const char *file, const char *prefix,
                   int32_t parts, int32_t part);
/* config.json or open_clip_config.json of these sizes, and preprocessor_config.json. */
void st_model_save_config(st_layout layout, const st_dir *dir);

#endif
