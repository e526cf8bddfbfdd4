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

/* A hash on its way through the files, and the first failure of reading them. */
typedef struct walk {
    uint64_t      hash;
    clipcu_status status;
    clipcu_error *error;
} walk;

static void hash_contents(walk *w, const ccu_tensor *tensor) {
    uint8_t      data[BLOCKS * BLOCK_BYTES];
    const size_t bytes = ccu_tensor_count(tensor) * ccu_dtype_bytes(tensor->dtype);
    if (w->status != CLIPCU_OK) { return; }
    if (bytes <= sizeof data) {
        w->status = ccu_tensor_read(tensor, 0, bytes, data, w->error);
        if (w->status == CLIPCU_OK) { w->hash = hash_bytes(w->hash, data, bytes); }
        return;
    }
    const size_t span = bytes - BLOCK_BYTES;
    const size_t gaps = BLOCKS - 1;
    for (size_t i = 0; i < BLOCKS && w->status == CLIPCU_OK; i++) {
        /* i * span / gaps in parts that cannot overflow */
        const size_t offset = i * (span / gaps) + i * (span % gaps) / gaps;
        w->status = ccu_tensor_read(tensor, offset, BLOCK_BYTES, data, w->error);
        if (w->status == CLIPCU_OK) { w->hash = hash_bytes(w->hash, data, BLOCK_BYTES); }
    }
}

static void hash_tensors(walk *w, const ccu_role *roles, int32_t count, int32_t block,
                         const void *tensors) {
    for (int32_t i = 0; i < count; i++) {
        const ccu_tensor *tensor =
            (const ccu_tensor *)(const void *)((const uint8_t *)tensors + roles[i].offset);
        uint64_t hash = hash_text(w->hash, roles[i].role);
        hash = hash_number(hash, (uint64_t)(int64_t)block);
        hash = hash_number(hash, (uint64_t)tensor->dtype);
        hash = hash_number(hash, (uint64_t)tensor->rank);
        for (int32_t d = 0; d < tensor->rank; d++) {
            hash = hash_number(hash, (uint64_t)tensor->shape[d]);
        }
        w->hash = hash;
        hash_contents(w, tensor);
    }
}

static uint64_t hash_tower(uint64_t hash, const char *name, const ccu_tower_config *config) {
    hash = hash_text(hash, name);
    hash = hash_number(hash, (uint64_t)config->heads);
    hash = hash_number(hash, (uint64_t)config->act);
    return hash_number(hash, ccu_f32_bits(config->eps));
}

static void hash_blocks(walk *w, const ccu_block_tensors *blocks, int32_t layers) {
    for (int32_t i = 0; i < layers; i++) {
        hash_tensors(w, CCU_BLOCK_ROLE, CCU_BLOCK_ROLES, i, &blocks[i]);
    }
}

clipcu_status ccu_fingerprint(const ccu_checkpoint *checkpoint, uint64_t *out,
                              clipcu_error *error) {
    const ccu_model_config *config = &checkpoint->config;
    walk                    w      = { FNV_OFFSET, CLIPCU_OK, error };
    if (config->image.present) {
        w.hash = hash_tower(w.hash, "image", &config->image);
        hash_tensors(&w, CCU_IMAGE_ROLE, CCU_IMAGE_ROLES, -1, &checkpoint->image);
        hash_blocks(&w, checkpoint->image.blocks, config->image.layers);
    }
    if (config->text.present) {
        w.hash = hash_tower(w.hash, "text", &config->text);
        w.hash = hash_number(w.hash, (uint64_t)(int64_t)config->eot_id);
        hash_tensors(&w, CCU_TEXT_ROLE, CCU_TEXT_ROLES, -1, &checkpoint->text);
        hash_blocks(&w, checkpoint->text.blocks, config->text.layers);
    }
    if (w.status == CLIPCU_OK) {
        *out = hash_number(w.hash, ccu_f32_bits(checkpoint->logit_scale));
    }
    return w.status;
}
