/* Weight files as one table; see shards.h. */
#include "checkpoint/shards.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

/* The index of a model of 3000 tensors is 300 kB. Bounds the parsed tree too. */
#define INDEX_BYTES_MAX ((size_t)8 << 20)

static int compare_entries(const void *a, const void *b) {
    const ccu_shard_entry *x = a;
    const ccu_shard_entry *y = b;
    return strcmp(x->name, y->name);
}

static int compare_strings(const void *a, const void *b) {
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

static const char *plain_name(const char *name) {
    static const char prefix[] = "module.";
    return strncmp(name, prefix, sizeof prefix - 1) == 0 ? name + sizeof prefix - 1 : name;
}

/* Gathers the tensors of all open files. */
static clipcu_status build_table(const char *dir, ccu_shards *shards, clipcu_error *error) {
    size_t total = 0;
    for (int32_t f = 0; f < shards->file_count; f++) {
        total += (size_t)ccu_st_count(shards->files[f]);
    }
    if (total > INT32_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: %zu tensors", dir, total);
    }
    shards->entries = ccu_alloc_zeroed(total, sizeof shards->entries[0]);
    if (shards->entries == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %zu tensors", dir, total);
    }
    for (int32_t f = 0; f < shards->file_count; f++) {
        for (int32_t i = 0; i < ccu_st_count(shards->files[f]); i++) {
            ccu_shard_entry *entry = &shards->entries[shards->count++];
            entry->file            = shards->files[f];
            entry->tensor          = ccu_st_at(shards->files[f], i);
            entry->name            = plain_name(entry->tensor->name);
        }
    }
    qsort(shards->entries, total, sizeof shards->entries[0], compare_entries);
    for (int32_t i = 1; i < shards->count; i++) {
        if (strcmp(shards->entries[i - 1].name, shards->entries[i].name) == 0) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: two tensors are named %s", dir,
                            shards->entries[i].name);
        }
    }
    return CLIPCU_OK;
}

/* Opens the next file; shards->files has room for it. */
static clipcu_status add_file(const char *dir, const char *name, ccu_shards *shards,
                              clipcu_error *error) {
    char          path[CCU_PATH_MAX];
    clipcu_status status = ccu_path_join(path, dir, name, error);
    if (status == CLIPCU_OK) {
        status = ccu_st_open(path, &shards->files[shards->file_count], error);
    }
    if (status == CLIPCU_OK) { shards->file_count++; }
    return status;
}

clipcu_status ccu_shards_open(const char *dir, const char *name, ccu_shards *out,
                              clipcu_error *error) {
    ccu_shards    shards = { NULL, 0, NULL, 0 };
    clipcu_status status;
    shards.files = ccu_alloc_zeroed(1, sizeof(ccu_st_file *));
    if (shards.files == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory", name);
    }
    status = add_file(dir, name, &shards, error);
    if (status == CLIPCU_OK) { status = build_table(dir, &shards, error); }
    if (status != CLIPCU_OK) {
        ccu_shards_close(&shards);
        return status;
    }
    *out = shards;
    return CLIPCU_OK;
}

/* An index must not lead out of its folder. */
static bool is_plain_file_name(const char *name) {
    return name[0] != '\0' && strcmp(name, ".") != 0 && strstr(name, "..") == NULL &&
           strchr(name, '/') == NULL && strchr(name, '\\') == NULL;
}

/* The file names of a weight map: names (items), sorted, each once; *count of them. */
static clipcu_status list_files(const char *path, const cJSON *map, const char **names,
                                int32_t *count, clipcu_error *error) {
    size_t total = 0;
    for (const cJSON *item = map->child; item != NULL; item = item->next) {
        if (!cJSON_IsString(item) || !is_plain_file_name(item->valuestring)) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: tensor %s: expected the name of a file in the same folder", path,
                            item->string);
        }
        names[total++] = item->valuestring;
    }
    qsort(names, total, sizeof names[0], compare_strings);
    size_t kept = 0;
    for (size_t i = 0; i < total; i++) {
        if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0) { names[kept++] = names[i]; }
    }
    if (kept == 0) { return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: names no file", path); }
    if (kept > CCU_SHARDS_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: %zu files, at most %d are read", path, kept,
                        CCU_SHARDS_MAX);
    }
    *count = (int32_t)kept;
    return CLIPCU_OK;
}

/* Every tensor of the map must be in the file it names. names[i] is the name of files[i]. */
static clipcu_status check_map(const char *path, const cJSON *map, const char *const *names,
                               const ccu_shards *shards, clipcu_error *error) {
    for (const cJSON *item = map->child; item != NULL; item = item->next) {
        const char *const *name = bsearch(&item->valuestring, names, (size_t)shards->file_count,
                                          sizeof names[0], compare_strings);
        assert(name != NULL); /* names was made from this map */
        if (ccu_st_find(shards->files[name - names], item->string) == NULL) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: tensor %s is not in %s", path,
                            item->string, item->valuestring);
        }
    }
    return CLIPCU_OK;
}

clipcu_status ccu_shards_open_index(const char *dir, const char *index_name, ccu_shards *out,
                                    clipcu_error *error) {
    char          path[CCU_PATH_MAX];
    cJSON        *root   = NULL;
    const char  **names  = NULL;
    ccu_shards    shards = { NULL, 0, NULL, 0 };
    int32_t       count  = 0;
    clipcu_status status = ccu_path_join(path, dir, index_name, error);
    if (status == CLIPCU_OK) { status = ccu_json_read(path, INDEX_BYTES_MAX, &root, error); }
    if (status != CLIPCU_OK) { return status; }

    const cJSON *map = cJSON_GetObjectItemCaseSensitive(root, "weight_map");
    if (!cJSON_IsObject(map)) {
        status = ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: expected an object \"weight_map\"", path);
        goto done;
    }
    names = ccu_alloc_zeroed((size_t)cJSON_GetArraySize(map), sizeof names[0]);
    if (names == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory", path);
        goto done;
    }
    status = list_files(path, map, names, &count, error);
    if (status != CLIPCU_OK) { goto done; }
    shards.files = ccu_alloc_zeroed((size_t)count, sizeof shards.files[0]);
    if (shards.files == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory", path);
        goto done;
    }
    for (int32_t i = 0; i < count && status == CLIPCU_OK; i++) {
        status = add_file(dir, names[i], &shards, error);
    }
    if (status == CLIPCU_OK) { status = check_map(path, map, names, &shards, error); }
    if (status == CLIPCU_OK) { status = build_table(dir, &shards, error); }
    if (status != CLIPCU_OK) { goto done; }
    *out   = shards;
    shards = (ccu_shards){ NULL, 0, NULL, 0 }; /* ownership moved to the caller */

done:
    ccu_shards_close(&shards);
    ccu_free((void *)names);
    cJSON_Delete(root);
    return status;
}

void ccu_shards_close(ccu_shards *shards) {
    for (int32_t i = 0; i < shards->file_count; i++) { ccu_st_close(shards->files[i]); }
    ccu_free((void *)shards->files);
    ccu_free(shards->entries);
    *shards = (ccu_shards){ NULL, 0, NULL, 0 };
}

ccu_shard_entry *ccu_shards_find(const ccu_shards *shards, const char *name) {
    const ccu_shard_entry key = { .name = name };
    return bsearch(&key, shards->entries, (size_t)shards->count, sizeof key, compare_entries);
}

bool ccu_shards_any(const ccu_shards *shards, const char *prefix) {
    int32_t low  = 0;
    int32_t high = shards->count; /* the first name not below prefix is in low .. high */
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (strcmp(shards->entries[middle].name, prefix) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < shards->count &&
           strncmp(shards->entries[low].name, prefix, strlen(prefix)) == 0;
}
