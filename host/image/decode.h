/* What the decoders of the single formats share; private to host/image. */
#ifndef CCU_IMAGE_DECODE_H
#define CCU_IMAGE_DECODE_H

#include "image/image.h"

/* A file in memory, borrowed. */
typedef struct ccu_source {
    const char    *name; /* stands in messages */
    const uint8_t *bytes;
    size_t         count;
    int64_t        pixels_max;
    int32_t        draft_side; /* see ccu_decode_options; JPEG only */
} ccu_source;

/* Checks a size that a header claims: 1 or more each way, at most pixels_max pixels. FORMAT,
 * LIMIT. */
clipcu_status ccu_image_check(const ccu_source *source, int64_t W, int64_t H, clipcu_error *error);

/* The same, and allocates the picture, pixels unset (NOMEM). Freed with ccu_image_free. */
clipcu_status ccu_image_alloc(const ccu_source *source, int64_t W, int64_t H, ccu_image *out,
                              clipcu_error *error);

/* One decoder per format, called when the file's magic is its own. On success the picture is
 * the caller's; on failure *out is left alone. FORMAT, UNSUPPORTED, LIMIT, NOMEM. */
clipcu_status ccu_decode_jpeg(const ccu_source *source, ccu_image *out, clipcu_error *error);
clipcu_status ccu_decode_png(const ccu_source *source, ccu_image *out, clipcu_error *error);
clipcu_status ccu_decode_gif(const ccu_source *source, ccu_image *out, clipcu_error *error);
clipcu_status ccu_decode_webp(const ccu_source *source, ccu_image *out, clipcu_error *error);
clipcu_status ccu_decode_pnm(const ccu_source *source, ccu_image *out, clipcu_error *error);
clipcu_status ccu_decode_bmp(const ccu_source *source, ccu_image *out, clipcu_error *error);

static inline uint32_t ccu_read_be16(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static inline uint32_t ccu_read_be32(const uint8_t *bytes) {
    return ccu_read_be16(bytes) << 16 | ccu_read_be16(bytes + 2);
}

static inline uint32_t ccu_read_le16(const uint8_t *bytes) {
    return (uint32_t)bytes[1] << 8 | bytes[0];
}

static inline uint32_t ccu_read_le32(const uint8_t *bytes) {
    return ccu_read_le16(bytes + 2) << 16 | ccu_read_le16(bytes);
}

#endif
