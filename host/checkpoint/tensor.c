/* Reading elements of a tensor; see checkpoint.h. */
#include <assert.h>

#include "checkpoint/checkpoint.h"

/* Two-byte elements read and converted at a time: 16 KiB stay in the L1 cache, and reading them
 * costs far more than the call that does it. */
#define CHUNK 8192

size_t ccu_tensor_count(const ccu_tensor *tensor) {
    size_t count = 1;
    for (int32_t i = 0; i < tensor->rank; i++) { count *= (size_t)tensor->shape[i]; }
    return count;
}

static void bf16_to_f32(const uint16_t *restrict bits, size_t count, float *restrict out) {
    for (size_t i = 0; i < count; i++) { out[i] = ccu_f32_from_bits((uint32_t)bits[i] << 16); }
}

/* Same numbers as ccu_f16_to_f32, with masks in place of branches: written as ?:, gcc 12
 * sinks the conversion into a branch and does not vectorise the loop. */
static void f16_to_f32(const uint16_t *restrict bits, size_t count, float *restrict out) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t sign      = (uint32_t)(bits[i] & 0x8000u) << 16;
        const uint32_t magnitude = bits[i] & 0x7fffu;
        const uint32_t rebias    = magnitude >= 0x7c00u ? 224u << 23 : 112u << 23;
        const uint32_t normal    = (magnitude << 13) + rebias;
        const uint32_t small     = ccu_f32_bits((float)(int32_t)magnitude * 0x1p-24f);
        const uint32_t mask      = 0u - (uint32_t)(magnitude < 0x400u);
        out[i] = ccu_f32_from_bits(sign | (small & mask) | (normal & ~mask));
    }
}

clipcu_status ccu_tensor_read(const ccu_tensor *tensor, size_t first, size_t bytes, void *out,
                              clipcu_error *error) {
    assert((tensor->data == NULL) != (tensor->file == NULL));
    if (tensor->file != NULL) {
        return ccu_file_read_at(tensor->file, tensor->offset + first, bytes, out, error);
    }
    memcpy(out, tensor->data + first, bytes);
    return CLIPCU_OK;
}

clipcu_status ccu_tensor_to_f32(const ccu_tensor *tensor, size_t first, size_t count, float *out,
                                clipcu_error *error) {
    assert(first <= ccu_tensor_count(tensor));
    assert(count <= ccu_tensor_count(tensor) - first);
    if (tensor->dtype == CCU_F32) {
        return ccu_tensor_read(tensor, first * sizeof *out, count * sizeof *out, out, error);
    }
    uint16_t chunk[CHUNK];
    for (size_t done = 0; done < count; done += CHUNK) {
        const size_t        length = count - done < CHUNK ? count - done : CHUNK;
        const clipcu_status status = ccu_tensor_read(tensor, 2 * (first + done), 2 * length, chunk,
                                                     error);
        if (status != CLIPCU_OK) { return status; }
        if (tensor->dtype == CCU_BF16) {
            bf16_to_f32(chunk, length, out + done);
        } else {
            f16_to_f32(chunk, length, out + done);
        }
    }
    return CLIPCU_OK;
}
