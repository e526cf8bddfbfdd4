/* A small JPEG of what the model saw. */
#ifndef CCU_PAGE_THUMBNAIL_H
#define CCU_PAGE_THUMBNAIL_H

#include "stream/buffer.h"

#define CCU_THUMBNAIL_SIDE 144

/* Appends to jpeg a picture of at most CCU_THUMBNAIL_SIDE a side. pixels (S, S, 3). NOMEM. */
clipcu_status ccu_thumbnail_add(const uint8_t *pixels, int32_t S, ccu_buffer *jpeg,
                                clipcu_error *error);

#endif
