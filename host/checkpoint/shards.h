/* The weight files of a model as one table of tensors. */
#ifndef CCU_CHECKPOINT_SHARDS_H
#define CCU_CHECKPOINT_SHARDS_H

#include "checkpoint/safetensors.h"

#define CCU_SHARDS_MAX 1000

typedef struct ccu_shard_entry {
    const char         *name; /* without the prefix "module." of training checkpoints */
    const ccu_st_file  *file;
    const ccu_st_entry *tensor;
    bool                used; /* set by names.c */
} ccu_shard_entry;

/* Zeroed means none. */
typedef struct ccu_shards {
    ccu_st_file    **files;   /* (file_count) */
    int32_t          file_count;
    ccu_shard_entry *entries; /* (count), sorted by name */
    int32_t          count;
} ccu_shards;

/* One file. */
clipcu_status ccu_shards_open(const char *dir, const char *name, ccu_shards *out,
                              clipcu_error *error);

/* The files that an index ({"weight_map": {tensor: file}}) names, all in dir. FORMAT if a file name
 * is not plain, if a tensor is not in the file that the index says or in two. */
clipcu_status ccu_shards_open_index(const char *dir, const char *index_name, ccu_shards *out,
                                    clipcu_error *error);

/* Zeroed is a no-op. */
void ccu_shards_close(ccu_shards *shards);

/* NULL if there is none. O(log count). */
ccu_shard_entry *ccu_shards_find(const ccu_shards *shards, const char *name);

/* True if a tensor's name begins with prefix. O(log count). */
bool ccu_shards_any(const ccu_shards *shards, const char *prefix);

#endif
