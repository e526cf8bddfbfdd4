/* The safetensors container: checked on open and read by parts, or written whole.
 *
 *   1. 8 bytes      length H of the header, little-endian
 *   2. H bytes      JSON object {name: {"dtype", "shape", "data_offsets": [begin, end]}},
 *                   "__metadata__": {string: string} optional; padded with spaces
 *   3. the rest     tensor data, row-major, little-endian; offsets count from here
 *
 * A file is untrusted: every number is checked before use, and opening costs memory in proportion
 * to the header at worst. Holes between tensors are tolerated, overlaps are not. A file that is cut
 * short while it is open is an IO failure of whoever reads the lost part.
 */
#ifndef CCU_CHECKPOINT_SAFETENSORS_H
#define CCU_CHECKPOINT_SAFETENSORS_H

#include "checkpoint/checkpoint.h"

#define CCU_ST_HEADER_BYTES_MAX ((size_t)100000000)
#define CCU_ST_RANK_MAX 8
#define CCU_ST_WRITE_COUNT_MAX 4096

typedef struct ccu_st_file ccu_st_file;

/* One tensor as the file describes it, whatever its dtype. Lives as long as the file. */
typedef struct ccu_st_entry {
    const char *name;
    const char *dtype;  /* "F32", "I64", ... */
    size_t      offset; /* of its first byte in the file */
    size_t      bytes;
    int32_t     rank;
    int64_t     shape[CCU_ST_RANK_MAX];
} ccu_st_entry;

typedef struct ccu_st_pair {
    const char *key, *value;
} ccu_st_pair;

/* IO if it cannot be opened, FORMAT if anything in it is wrong, LIMIT if the header is larger
 * than the maximum. *out is written only on success. */
clipcu_status ccu_st_open(const char *path, ccu_st_file **out, clipcu_error *error);
/* NULL is a no-op. */
void ccu_st_close(ccu_st_file *file);

/* The open file itself, for whoever maps it. Lives as long as it. */
const ccu_file *ccu_st_storage(const ccu_st_file *file);

/* Tensors, in the order of their names. */
int32_t             ccu_st_count(const ccu_st_file *file);
const ccu_st_entry *ccu_st_at(const ccu_st_file *file, int32_t index);

/* NULL if there is none. O(log count). */
const ccu_st_entry *ccu_st_find(const ccu_st_file *file, const char *name);

/* Value of a metadata key, or NULL. */
const char *ccu_st_metadata(const ccu_st_file *file, const char *key);

/* The entry as a tensor that can be computed with: F32, F16 or BF16, rank at most 4, not empty;
 * else UNSUPPORTED by name. */
clipcu_status ccu_st_tensor(const ccu_st_file *file, const ccu_st_entry *entry, ccu_tensor *out,
                            clipcu_error *error);

/* Writes tensors (name, data, dtype, rank, shape of each) and metadata; the file appears under
 * `path` only when it is complete. Data begins at a multiple of 8 bytes and f32 tensors come
 * first, so every tensor is aligned to its dtype. ARGUMENT if a name is empty, taken, reserved or
 * no UTF-8, if a shape is not positive, or above CCU_ST_WRITE_COUNT_MAX tensors or pairs. */
clipcu_status ccu_st_write(const char *path, const ccu_st_pair *metadata, int32_t metadata_count,
                           const ccu_tensor *tensors, int32_t tensor_count, clipcu_error *error);

#endif
