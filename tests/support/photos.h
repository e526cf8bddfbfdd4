/* Photographs on their way to the image tower, on any backend: decode, pack, resize_crop,
 * patch_embed, against the same through the host's resize. */
#ifndef CCU_SUPPORT_PHOTOS_H
#define CCU_SUPPORT_PHOTOS_H

#include "ops/ops.h"

/* The first photos_max pictures below folder that decode, for S = 64 and S = 224: bytes of
 * resize_crop must be those of ccu_image_fit(), tokens made of them those made of the host's bytes,
 * bit for bit. Returns how many pictures (or whole batches) fail, 1 if there are no pictures;
 * prints a line for each and one at the end. */
int32_t photos_compare(ccu_backend *be, const char *folder, int32_t photos_max);

#endif
