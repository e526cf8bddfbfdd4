/* Fingerprint of a model; see fingerprint.h. */
#include "checkpoint/fingerprint.h"

#include <string.h>

#include "checkpoint/roles.h"

#define FNV_OFFSET 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull
#define BLOCK_BYTES ((size_t)64)
#define BLOCKS ((size_t)66)

static uint64_t hash_bytes(uint64_t hash, const uint8_t *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) { hash = (hash ^ data[i]) * FNV_PRIME; }
    return hash;
}

static uint64_t hash_number(uint64_t hash, uint64_t number) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) { bytes[i] = (uint8_t)(number >> (8 * i)); }
    return hash_bytes(hash, bytes, sizeof bytes);
}

static uint64_t hash_text(uint64_t hash, const char *text) {
    return hash_bytes(hash, (const uint8_t *)text, strlen(text) + 1);
}

static uint64_t hash_contents(uint64_t hash, const uint8_t *data, size_t bytes) {
    if (bytes <= BLOCKS * BLOCK_BYTES) { return hash_bytes(hash, data, bytes); }
    const size_t span = bytes - BLOCK_BYTES;
    const size_t gaps = BLOCKS - 1;
    for (size_t i = 0; i < BLOCKS; i++) { /* i * span / gaps in parts that cannot overflow */
        const size_t offset = i * (span / gaps) + i * (span % gaps) / gaps;
        hash = hash_bytes(hash, data + offset, BLOCK_BYTES);
    }
    return hash;
}

static uint64_t hash_tensors(uint64_t hash, const ccu_role *roles, int32_t count, int32_t block,
                             const void *tensors) {
    for (int32_t i = 0; i < count; i++) {
        const ccu_tensor *tensor =
            (const ccu_tensor *)(const void *)((const uint8_t *)tensors + roles[i].offset);
        hash = hash_text(hash, roles[i].role);
        hash = hash_number(hash, (uint64_t)(int64_t)block);
        hash = hash_number(hash, (uint64_t)tensor->dtype);
        hash = hash_number(hash, (uint64_t)tensor->rank);
        for (int32_t d = 0; d < tensor->rank; d++) {
            hash = hash_number(hash, (uint64_t)tensor->shape[d]);
        }
        hash = hash_contents(hash, tensor->data,
                             ccu_tensor_count(tensor) * ccu_dtype_bytes(tensor->dtype));
    }
    return hash;
}

static uint64_t hash_tower(uint64_t hash, const char *name, const ccu_tower_config *config) {
    hash = hash_text(hash, name);
    hash = hash_number(hash, (uint64_t)config->heads);
    hash = hash_number(hash, (uint64_t)config->act);
    return hash_number(hash, ccu_f32_bits(config->eps));
}

static uint64_t hash_blocks(uint64_t hash, const ccu_block_tensors *blocks, int32_t layers) {
    for (int32_t i = 0; i < layers; i++) {
        hash = hash_tensors(hash, CCU_BLOCK_ROLE, CCU_BLOCK_ROLES, i, &blocks[i]);
    }
    return hash;
}

uint64_t ccu_fingerprint(const ccu_checkpoint *checkpoint) {
    const ccu_model_config *config = &checkpoint->config;
    uint64_t                hash   = FNV_OFFSET;
    if (config->image.present) {
        hash = hash_tower(hash, "image", &config->image);
        hash = hash_tensors(hash, CCU_IMAGE_ROLE, CCU_IMAGE_ROLES, -1, &checkpoint->image);
        hash = hash_blocks(hash, checkpoint->image.blocks, config->image.layers);
    }
    if (config->text.present) {
        hash = hash_tower(hash, "text", &config->text);
        hash = hash_number(hash, (uint64_t)(int64_t)config->eot_id);
        hash = hash_tensors(hash, CCU_TEXT_ROLE, CCU_TEXT_ROLES, -1, &checkpoint->text);
        hash = hash_blocks(hash, checkpoint->text.blocks, config->text.layers);
    }
    return hash_number(hash, ccu_f32_bits(checkpoint->logit_scale));
}
