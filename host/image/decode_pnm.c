/* Binary PNM: P4 (bits), P5 (grey), P6 (RGB), 8 and 16 bits a sample. As Pillow reads them:
 * samples are scaled to 255 (8-bit grey, RGB) or to 65535 and then clipped at 255 (16-bit grey). */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "image/decode.h"

typedef struct pnm {
    int64_t  W, H;
    int64_t  sample_max;
    size_t   data;     /* offset of the first sample */
    uint32_t channels; /* 1, 3; 0 for bits */
} pnm;

static bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next number of the header, at most 9 digits; -1 if there is none. */
static int64_t next_number(const ccu_source *source, size_t *at) {
    size_t  i      = *at;
    int64_t value  = 0;
    int     digits = 0;
    while (i < source->count && (is_space(source->bytes[i]) || source->bytes[i] == '#')) {
        if (source->bytes[i] == '#') {
            while (i < source->count && source->bytes[i] != '\n' && source->bytes[i] != '\r') {
                i++;
            }
        } else {
            i++;
        }
    }
    for (; i < source->count && source->bytes[i] >= '0' && source->bytes[i] <= '9'; i++) {
        value = value * 10 + (source->bytes[i] - '0');
        if (++digits > 9) { return -1; }
    }
    *at = i;
    return digits > 0 ? value : -1;
}

static clipcu_status read_header(const ccu_source *source, pnm *p, clipcu_error *error) {
    const uint8_t kind = source->bytes[1];
    size_t        at   = 2;
    p->channels        = kind == '4' ? 0 : kind == '5' ? 1 : 3;
    p->W               = next_number(source, &at);
    p->H               = next_number(source, &at);
    p->sample_max      = kind == '4' ? 1 : next_number(source, &at);
    if (p->W < 0 || p->H < 0 || p->sample_max < 1 || p->sample_max > 65535 ||
        at >= source->count || !is_space(source->bytes[at])) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: PNM header: expected width, height and a maximum of 1 .. 65535",
                        source->name);
    }
    p->data = at + 1;
    return CLIPCU_OK;
}

/* 8 bits of every sample that the file can hold; table (65536). Half-way cases go to even. */
static void fill_table(const pnm *p, uint8_t *table) {
    const bool   wide = p->channels == 1 && p->sample_max > 255;
    const double top  = wide ? 65535.0 : 255.0;
    for (int32_t i = 0; i < 65536; i++) {
        const double value = nearbyint(i / (double)p->sample_max * top);
        table[i]           = (uint8_t)(value > 255.0 ? 255.0 : value);
    }
}

static void read_bits(const uint8_t *data, ccu_image *image) {
    const size_t stride = ((size_t)image->W + 7) / 8;
    uint8_t     *to     = image->rgb;
    for (int32_t y = 0; y < image->H; y++) {
        for (int32_t x = 0; x < image->W; x++) {
            const uint8_t bit = (data[x >> 3] >> (7 - (x & 7))) & 1;
            memset(to, bit ? 0 : 255, 3); /* 1 is black */
            to += 3;
        }
        data += stride;
    }
}

static void read_samples(const pnm *p, const uint8_t *data, const uint8_t *table,
                         ccu_image *image) {
    const size_t pixels = (size_t)image->W * (size_t)image->H;
    const bool   wide   = p->sample_max > 255;
    const size_t count  = pixels * p->channels;
    uint8_t     *to     = image->rgb;
    for (size_t i = 0; i < count; i++) {
        const uint8_t value = table[wide ? ccu_read_be16(data + 2 * i) : data[i]];
        if (p->channels == 1) {
            memset(to, value, 3);
            to += 3;
        } else {
            *to++ = value;
        }
    }
}

clipcu_status ccu_decode_pnm(const ccu_source *source, ccu_image *out, clipcu_error *error) {
    pnm           p      = { 0 };
    ccu_image     image  = { 0 };
    uint8_t      *table  = NULL;
    clipcu_status status = read_header(source, &p, error);
    if (status != CLIPCU_OK) { return status; }
    status = ccu_image_alloc(source, p.W, p.H, &image, error);
    if (status != CLIPCU_OK) { return status; }

    const size_t sample = p.sample_max > 255 ? 2 : 1;
    const size_t row    = p.channels == 0 ? ((size_t)p.W + 7) / 8
                                          : (size_t)p.W * p.channels * sample;
    const size_t wanted = row * (size_t)p.H;
    const size_t found  = source->count - p.data;
    if (found < wanted) {
        status = ccu_fail(error, CLIPCU_ERR_FORMAT,
                          "%s: truncated: expected %zu bytes of pixels, found %zu", source->name,
                          wanted, found);
        goto done;
    }
    if (p.channels == 0) {
        read_bits(source->bytes + p.data, &image);
    } else if (p.channels == 3 && p.sample_max == 255) {
        memcpy(image.rgb, source->bytes + p.data, wanted);
    } else {
        table = ccu_alloc(65536);
        if (table == NULL) {
            status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for a table", source->name);
            goto done;
        }
        fill_table(&p, table);
        read_samples(&p, source->bytes + p.data, table, &image);
    }
    *out  = image;
    image = (ccu_image){ 0 }; /* ownership moved to the caller */

done:
    ccu_free(table);
    ccu_image_free(&image);
    return status;
}
