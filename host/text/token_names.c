/* Token texts and ids; see token_names.h. */
#include "text/token_names.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "text/unicode.h"

#define SHOWN_MAX 40 /* bytes of a token in a message */

/* A table at most half full has no probe as long as this unless somebody chose the tokens so. */
#define PROBES_MAX 1024

static uint64_t hash_more(uint64_t hash, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) { /* FNV-1a */
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    }
    return hash;
}

clipcu_status ccu_names_init(ccu_names *names, const char *path, int64_t ids_max,
                             clipcu_error *error) {
    *names = (ccu_names){ .path = path };
    if (ids_max < 1 || ids_max > CCU_VOCAB_MAX) {
        return ccu_fail(error, ids_max < 1 ? CLIPCU_ERR_FORMAT : CLIPCU_ERR_LIMIT,
                        "%s: %lld tokens, expected 1 .. %d", path, (long long)ids_max,
                        CCU_VOCAB_MAX);
    }
    uint32_t slots_count = 1024;
    while (slots_count < 2 * (uint64_t)ids_max) { slots_count *= 2; }
    names->by_id = ccu_alloc_zeroed((size_t)ids_max, sizeof *names->by_id);
    names->slots = ccu_alloc(slots_count * sizeof *names->slots);
    if (names->by_id == NULL || names->slots == NULL) {
        ccu_names_free(names);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %lld tokens", path,
                        (long long)ids_max);
    }
    memset(names->slots, 0xff, slots_count * sizeof *names->slots); /* -1 */
    names->slots_count = slots_count;
    names->ids_max     = (int32_t)ids_max;
    return CLIPCU_OK;
}

void ccu_names_free(ccu_names *names) {
    ccu_free(names->by_id);
    ccu_free(names->slots);
    *names = (ccu_names){ 0 };
}

static bool is_text(const ccu_name *name, const char *left, size_t left_bytes, const char *right,
                    size_t right_bytes) {
    return name->bytes == left_bytes + right_bytes && memcmp(name->text, left, left_bytes) == 0 &&
           memcmp(name->text + left_bytes, right, right_bytes) == 0;
}

/* The slot of left + right, or the free one it would go to; slots_count after too many probes. */
static uint32_t find_slot(const ccu_names *names, const char *left, size_t left_bytes,
                          const char *right, size_t right_bytes) {
    uint64_t hash       = hash_more(0xcbf29ce484222325u, left, left_bytes);
    hash                = hash_more(hash, right, right_bytes);
    const uint32_t mask = names->slots_count - 1;
    uint32_t       slot = (uint32_t)(hash ^ hash >> 32) & mask;
    for (int probe = 0; probe < PROBES_MAX; probe++) {
        const int32_t id = names->slots[slot];
        if (id < 0) { return slot; }
        if (is_text(&names->by_id[id], left, left_bytes, right, right_bytes)) { return slot; }
        slot = (slot + 1) & mask;
    }
    return names->slots_count;
}

clipcu_status ccu_names_add(ccu_names *names, const char *text, size_t bytes, int32_t id,
                            clipcu_error *error) {
    const int shown = ccu_utf8_fit(text, bytes, SHOWN_MAX);
    if (id < 0 || id >= names->ids_max) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: token \"%.*s\" has id %d, expected 0 .. %d (one id per token)",
                        names->path, shown, text, id, names->ids_max - 1);
    }
    const ccu_name *taken = &names->by_id[id];
    if (taken->used) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: tokens \"%.*s\" and \"%.*s\" both have id %d", names->path,
                        ccu_utf8_fit(taken->text, taken->bytes, SHOWN_MAX), taken->text, shown,
                        text, id);
    }
    const uint32_t slot = find_slot(names, text, bytes, "", 0);
    if (slot == names->slots_count) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: token \"%.*s\": too many hash collisions",
                        names->path, shown, text);
    }
    if (names->slots[slot] >= 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: token \"%.*s\" stands twice, as %d and %d",
                        names->path, shown, text, names->slots[slot], id);
    }
    names->by_id[id]   = (ccu_name){ .text = text, .bytes = bytes, .used = true };
    names->slots[slot] = id;
    names->count++;
    return CLIPCU_OK;
}

int32_t ccu_names_find(const ccu_names *names, const char *left, size_t left_bytes,
                       const char *right, size_t right_bytes) {
    assert(names->slots != NULL);
    const uint32_t slot = find_slot(names, left, left_bytes, right, right_bytes);
    return slot == names->slots_count ? -1 : names->slots[slot];
}

clipcu_status ccu_names_check_dense(const ccu_names *names, clipcu_error *error) {
    for (int32_t id = 0; id < names->count; id++) {
        if (!names->by_id[id].used) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: %d tokens, but none has id %d: ids should run from 0 without "
                            "holes",
                            names->path, names->count, id);
        }
    }
    return CLIPCU_OK;
}
