/* Resize and centre crop: any picture -> the S x S bytes that the image tower takes. The size and
 * crop rules are those of Hugging Face's CLIPImageProcessor and of torchvision (open_clip), which
 * agree on the size and differ in the crop by one pixel for some odd differences. */
#include <assert.h>

#include "image/image.h"
#include "image/resize.h"

/* A side longer than this after the resize is refused: 32-bit positions must hold it. */
#define SIDE_MAX ((int64_t)1 << 30)

/* Where a crop of `size` starts on a side of `length`. */
static int32_t crop_start(int32_t length, int32_t size, clipcu_crop crop) {
    const int32_t spare = length - size;
    const int32_t half  = spare / 2;
    assert(spare >= 0);
    const bool up = crop == CLIPCU_CROP_HALF_EVEN && spare % 2 == 1 && half % 2 == 1;
    return up ? half + 1 : half;
}

/* The shorter side becomes resize_size, the longer one floor(resize_size * long / short). */
static clipcu_status scale(const ccu_fit *fit, int32_t W, int32_t H, ccu_resize *resize,
                           clipcu_error *error) {
    const int64_t shorter = W < H ? W : H;
    const int64_t longer  = W < H ? H : W;
    const int64_t scaled  = (int64_t)fit->resize_size * longer / shorter;
    if (scaled > SIDE_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT,
                        "a picture of %d x %d pixels is too narrow: its longer side would become "
                        "%lld pixels, at most %lld are handled",
                        W, H, (long long)scaled, (long long)SIDE_MAX);
    }
    resize->W    = W <= H ? fit->resize_size : (int32_t)scaled;
    resize->H    = W <= H ? (int32_t)scaled : fit->resize_size;
    resize->left = crop_start(resize->W, fit->size, fit->crop);
    resize->top  = crop_start(resize->H, fit->size, fit->crop);
    return CLIPCU_OK;
}

clipcu_status ccu_fit_resize(const ccu_fit *fit, int32_t W, int32_t H, ccu_resize *resize,
                             clipcu_error *error) {
    assert(W > 0 && H > 0);
    if (fit->size <= 0 || fit->size > SIDE_MAX || fit->resize_size > SIDE_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT,
                        "image size %d (resize %d): expected 1 .. %lld", fit->size,
                        fit->resize_size, (long long)SIDE_MAX);
    }
    if (!fit->squash && fit->resize_size < fit->size) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "resize to %d before a crop of %d: the crop would reach outside the "
                        "picture",
                        fit->resize_size, fit->size);
    }
    *resize = (ccu_resize){ .W = fit->size, .H = fit->size, .width = fit->size,
                            .height = fit->size, .resample = fit->resample };
    return fit->squash ? CLIPCU_OK : scale(fit, W, H, resize, error);
}

clipcu_status ccu_image_fit(const ccu_image *image, const ccu_fit *fit, uint8_t *out,
                            clipcu_error *error) {
    assert(image != NULL && fit != NULL && out != NULL);
    if (image->rgb == NULL || image->W <= 0 || image->H <= 0) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "a picture of %d x %d pixels has no pixels",
                        image->W, image->H);
    }
    ccu_resize          resize;
    const clipcu_status status = ccu_fit_resize(fit, image->W, image->H, &resize, error);
    if (status != CLIPCU_OK) { return status; }
    return ccu_image_resize(image, &resize, out, error);
}
