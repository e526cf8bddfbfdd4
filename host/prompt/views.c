/* Random views; see views.h. */
#include "prompt/views.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"

#define TRIES 10
#define AREA_LEAST 0.08
#define ASPECT_LEAST 0.75
#define ASPECT_MOST (4.0 / 3.0)

static double uniform(ccu_random *random, double least, double most) {
    return least + (most - least) * ccu_random_unit(random);
}

/* Where no draw fits: the largest part in the middle whose sides are within the bounds. */
static ccu_view middle(int32_t W, int32_t H) {
    const double aspect = (double)W / (double)H;
    ccu_view     v      = { .width = W, .height = H };
    if (aspect < ASPECT_LEAST) {
        v.height = (int32_t)rint((double)W / ASPECT_LEAST);
    } else if (aspect > ASPECT_MOST) {
        v.width = (int32_t)rint((double)H * ASPECT_MOST);
    }
    v.left = (W - v.width) / 2;
    v.top  = (H - v.height) / 2;
    return v;
}

static ccu_view draw_part(ccu_random *random, int32_t W, int32_t H) {
    for (int32_t i = 0; i < TRIES; i++) {
        const double area   = (double)W * (double)H * uniform(random, AREA_LEAST, 1.0);
        const double aspect = exp(uniform(random, log(ASPECT_LEAST), log(ASPECT_MOST)));
        const double w = rint(sqrt(area * aspect)), h = rint(sqrt(area / aspect));
        if (w >= 1.0 && w <= (double)W && h >= 1.0 && h <= (double)H) {
            ccu_view v = { .width = (int32_t)w, .height = (int32_t)h };
            v.top      = ccu_random_below(random, H - v.height + 1);
            v.left     = ccu_random_below(random, W - v.width + 1);
            return v;
        }
    }
    return middle(W, H);
}

ccu_view ccu_view_draw(ccu_random *random, int32_t W, int32_t H) {
    assert(W >= 1 && H >= 1);
    ccu_view v = draw_part(random, W, H);
    v.flip     = ccu_random_unit(random) < 0.5;
    return v;
}

static void mirror(uint8_t *rgb, int32_t size) {
    for (int32_t y = 0; y < size; y++) {
        uint8_t *row = rgb + (size_t)y * (size_t)size * 3;
        for (int32_t x = 0; x < size / 2; x++) {
            uint8_t *a = row + (size_t)x * 3, *b = row + (size_t)(size - 1 - x) * 3, kept[3];
            memcpy(kept, a, 3);
            memcpy(a, b, 3);
            memcpy(b, kept, 3);
        }
    }
}

clipcu_status ccu_view_render(const ccu_image *image, const ccu_view *v, int32_t size,
                              ccu_resample resample, uint8_t *out, clipcu_error *error) {
    assert(v->left >= 0 && v->left + v->width <= image->W);
    assert(v->top >= 0 && v->top + v->height <= image->H);
    const size_t row = (size_t)v->width * 3;
    ccu_image    part = { .W = v->width, .H = v->height };
    part.rgb          = ccu_alloc(row * (size_t)v->height);
    if (part.rgb == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a view of %d x %d pixels", v->width,
                        v->height);
    }
    for (int32_t y = 0; y < v->height; y++) {
        const size_t from = ((size_t)(v->top + y) * (size_t)image->W + (size_t)v->left) * 3;
        memcpy(part.rgb + (size_t)y * row, image->rgb + from, row);
    }
    const ccu_fit       fit    = { .size = size, .resize_size = size, .squash = true,
                                   .resample = resample };
    const clipcu_status status = ccu_image_fit(&part, &fit, out, error);
    if (status == CLIPCU_OK && v->flip) { mirror(out, size); }
    ccu_free(part.rgb);
    return status;
}
