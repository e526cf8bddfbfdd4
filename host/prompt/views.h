/* Random views of a picture as CoOp's training sees it: torchvision's RandomResizedCrop (area 0.08
 * to 1, sides 3:4 to 4:3) to S x S and a flip in every second one. */
#ifndef CCU_PROMPT_VIEWS_H
#define CCU_PROMPT_VIEWS_H

#include "image/image.h"
#include "prompt/random.h"

typedef struct ccu_view {
    int32_t left, top, width, height; /* inside the picture */
    bool    flip;
} ccu_view;

/* A view of a picture of W x H. */
ccu_view ccu_view_draw(ccu_random *random, int32_t W, int32_t H);

/* Pillow's crop, resize to size x size and mirror. out (size, size, 3). LIMIT, NOMEM. */
clipcu_status ccu_view_render(const ccu_image *image, const ccu_view *view, int32_t size,
                              ccu_resample resample, uint8_t *out, clipcu_error *error);

#endif
