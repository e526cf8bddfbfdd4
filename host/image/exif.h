/* Turning a picture upright by the orientation that its camera noted; private to host/image. */
#ifndef CCU_IMAGE_EXIF_H
#define CCU_IMAGE_EXIF_H

#include "image/decode.h"

/* 1 .. 8; 1 (upright) for every file that does not say otherwise in a readable way. Looks into
 * JPEG's APP1, PNG's eXIf and WebP's EXIF. XMP is not read. */
int32_t ccu_exif_orientation(const uint8_t *bytes, size_t count);

/* Applies orientation 1 .. 8 to *image, as PIL.ImageOps.exif_transpose does. NOMEM leaves the
 * picture as it was. */
clipcu_status ccu_exif_upright(int32_t orientation, ccu_image *image, clipcu_error *error);

#endif
