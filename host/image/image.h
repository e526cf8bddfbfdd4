/* Pictures: bytes -> RGB -> the S x S crop that the image tower takes.
 * decode.c (with decode_*.c, exif.c), resize.c and preprocess.c implement it. */
#ifndef CCU_IMAGE_IMAGE_H
#define CCU_IMAGE_IMAGE_H

#include <stdbool.h>

#include "base/kinds.h"
#include "base/status.h"

/* Decoded picture, owned (ccu_image_free). Zeroed means none. */
typedef struct ccu_image {
    uint8_t *rgb; /* (H, W, 3), interleaved, top row first, no padding */
    int32_t  W, H;
} ccu_image;

typedef struct ccu_decode_options {
    int64_t pixels_max; /* LIMIT above, found from the header before anything is decoded */
    bool    exif;       /* turn upright by the EXIF orientation tag */
    int32_t draft_side; /* 0: every pixel. Else JPEGs are decoded at 1/2, 1/4 or 1/8 of their size
                           where the shorter side keeps at least so many pixels: the pixels of
                           Pillow's Image.draft. Half the time for large pictures */
} ccu_decode_options;

/* JPEG, PNG, GIF and WebP (first frames), BMP, PNM, told by content, never by name. Modes become
 * RGB by Pillow's convert("RGB") rules. `name` stands in messages. */
clipcu_status ccu_image_decode(const char *name, const uint8_t *bytes, size_t bytes_count,
                               const ccu_decode_options *options, ccu_image *out,
                               clipcu_error *error);
void ccu_image_free(ccu_image *image);

typedef struct ccu_fit {
    int32_t      size;        /* S: side of the result */
    int32_t      resize_size; /* shortest side after the resize; usually S */
    bool         squash;      /* resize to S x S, no crop */
    clipcu_crop  crop;
    ccu_resample resample;
} ccu_fit;

/* Resize and centre crop, byte-equal with Pillow; only the crop's window is computed.
 * out (S, S, 3). LIMIT, NOMEM. */
clipcu_status ccu_image_fit(const ccu_image *image, const ccu_fit *fit, uint8_t *out,
                            clipcu_error *error);

#endif
