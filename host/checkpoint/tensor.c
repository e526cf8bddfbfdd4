/* Reading elements of a mapped tensor; see checkpoint.h. */
#include <assert.h>

#include "checkpoint/checkpoint.h"

/* Elements converted at a time: the copy below stays in the L1 cache. */
#define CHUNK 1024

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

void ccu_tensor_to_f32(const ccu_tensor *tensor, size_t first, size_t count, float *out) {
    assert(tensor->data != NULL);
    assert(first <= ccu_tensor_count(tensor));
    assert(count <= ccu_tensor_count(tensor) - first);
    const uint8_t *data = tensor->data + first * ccu_dtype_bytes(tensor->dtype);
    if (tensor->dtype == CCU_F32) {
        memcpy(out, data, count * sizeof *out);
        return;
    }
    /* The mapping guarantees no alignment, so chunks are copied to where it holds. */
    uint16_t chunk[CHUNK];
    for (size_t done = 0; done < count; done += CHUNK) {
        const size_t length = count - done < CHUNK ? count - done : CHUNK;
        memcpy(chunk, data + 2 * done, 2 * length);
        if (tensor->dtype == CCU_BF16) {
            bf16_to_f32(chunk, length, out + done);
        } else {
            f16_to_f32(chunk, length, out + done);
        }
    }
}
