/* Fuzz target: weight files and indexes of shards, checkpoint/safetensors.c and shards.c.
 *
 *   f  a whole file
 *   h  a header alone: its length and 64 bytes of data are put around it
 *   i  an index; the folder holds shards a.safetensors (x, y) and b.safetensors (z) */
#include <string.h>

#include "base/memory.h"
#include "checkpoint/shards.h"
#include "fuzz/fuzz.h"

static const char SHARD_A[] = "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                              "\"y\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[8,16]}}";
static const char SHARD_B[] = "{\"z\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]}}";

/* Every value of a tensor can be read, the first and the last ones as f32. */
static void use_entry(const ccu_st_file *file, const ccu_st_entry *entry) {
    clipcu_error    error   = { .code = CLIPCU_OK };
    const ccu_file *storage = ccu_st_storage(file);
    fuzz_expect(entry->rank >= 0 && entry->rank <= CCU_ST_RANK_MAX, "rank is in range");
    fuzz_expect(entry->offset <= storage->bytes && entry->bytes <= storage->bytes - entry->offset,
                "a tensor lies in its file");

    ccu_tensor    tensor = { 0 };
    clipcu_status status = ccu_st_tensor(file, entry, &tensor, &error);
    fuzz_expect_status(status, &error, storage->path);
    if (status != CLIPCU_OK) { return; }
    const size_t count = ccu_tensor_count(&tensor);
    const size_t shown = count < 16 ? count : 16;
    float        values[16];
    fuzz_expect(count > 0 && count <= entry->bytes / 2, "a tensor has its numbers");
    status = ccu_tensor_to_f32(&tensor, 0, shown, values, &error);
    fuzz_expect(status == CLIPCU_OK, "the first numbers can be read");
    status = ccu_tensor_to_f32(&tensor, count - shown, shown, values, &error);
    fuzz_expect(status == CLIPCU_OK, "the last numbers can be read");
}

static void use_file(const char *path) {
    clipcu_error        error  = { .code = CLIPCU_OK };
    ccu_st_file        *file   = NULL;
    const clipcu_status status = ccu_st_open(path, &file, &error);
    fuzz_expect_status(status, &error, path);
    fuzz_expect((status == CLIPCU_OK) == (file != NULL), "a file is there on success only");
    if (file == NULL) { return; }
    for (int32_t i = 0; i < ccu_st_count(file); i++) {
        const ccu_st_entry *entry = ccu_st_at(file, i);
        fuzz_expect(ccu_st_find(file, entry->name) == entry, "a tensor is found by its name");
        use_entry(file, entry);
    }
    (void)ccu_st_metadata(file, "format"); /* may be there or not */
    fuzz_expect(ccu_st_find(file, "no such tensor, surely") == NULL, "nothing else is found");
    ccu_st_close(file);
}

static void use_index(const uint8_t *data, size_t bytes) {
    static const uint8_t zeros[16];
    (void)fuzz_tensors("a.safetensors", SHARD_A, strlen(SHARD_A), zeros, 16);
    (void)fuzz_tensors("b.safetensors", SHARD_B, strlen(SHARD_B), zeros, 8);
    (void)fuzz_file("index.json", data, bytes);
    clipcu_error        error  = { .code = CLIPCU_OK };
    ccu_shards          shards = { 0 };
    const clipcu_status status = ccu_shards_open_index(fuzz_dir(), "index.json", &shards, &error);
    fuzz_expect_status(status, &error, fuzz_dir());
    for (int32_t i = 0; i < shards.count; i++) {
        const ccu_shard_entry *entry = &shards.entries[i];
        fuzz_expect(ccu_shards_find(&shards, entry->name) == entry, "an entry is found");
        fuzz_expect(ccu_shards_any(&shards, entry->name), "a name is its own beginning");
        use_entry(entry->file, entry->tensor);
    }
    fuzz_expect(status == CLIPCU_OK || shards.count == 0, "nothing is left after a failure");
    ccu_shards_close(&shards);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const uint8_t zeros[64];
    switch (fuzz_kind("fhi", &data, &bytes)) {
    case 0: use_file(fuzz_file("model.safetensors", data, bytes)); break;
    case 1: use_file(fuzz_tensors("model.safetensors", data, bytes, zeros, sizeof zeros)); break;
    default: use_index(data, bytes); break;
    }
    return 0;
}
