/* Opening saved embeddings; see index.h. The file may hold anything: every number in its header is
 * held against the bytes that are there before it is used. */
#define _GNU_SOURCE /* madvise */
#include "bank/index.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/npy_header.h"

static bool ends_with(const char *path, const char *ending) {
    const size_t bytes = strlen(path), wanted = strlen(ending);
    return bytes > wanted && strcmp(path + bytes - wanted, ending) == 0;
}

/* Maps the file and remembers its state. What is in it may change from here on without harm but to
 * the answers; ccu_index_check tells. */
static clipcu_status map(clipcu_index *index, const ccu_file *file, clipcu_error *error) {
    struct stat info;
    index->file = file;
    if (fstat(file->fd, &info) != 0) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot stat: %s", file->path, strerror(errno));
    }
    index->changed             = info.st_mtim;
    const clipcu_status status = ccu_file_map(file, &index->map, error);
    return status == CLIPCU_OK ? ccu_index_check(index, error) : status;
}

/* The matrix that stands in bytes offset .. end of the file. */
static clipcu_status set_matrix(clipcu_index *index, size_t offset, size_t end, int64_t rows,
                                int64_t columns, clipcu_error *error) {
    if (columns < 1 || columns > CCU_INDEX_WIDTH_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: rows of %lld numbers, expected 1 .. %d",
                        index->file->path, (long long)columns, CCU_INDEX_WIDTH_MAX);
    }
    const size_t row_bytes = (size_t)columns * ccu_dtype_bytes(index->dtype);
    const size_t bytes     = end - offset;
    if ((uint64_t)rows > bytes / row_bytes || (size_t)rows * row_bytes != bytes) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: the header says %lld rows of %zu bytes, the file holds %zu bytes of "
                        "them; it is truncated or damaged",
                        index->file->path, (long long)rows, row_bytes, bytes);
    }
    index->data = index->map.data + offset;
    index->rows = rows;
    index->E    = (int32_t)columns;
    return CLIPCU_OK;
}

static clipcu_status open_npy(clipcu_index *index, const char *path, clipcu_error *error) {
    ccu_npy_shape shape;
    clipcu_status status = ccu_file_open(path, &index->npy, error);
    if (status == CLIPCU_OK) { status = map(index, &index->npy, error); }
    if (status == CLIPCU_OK) {
        status = ccu_npy_header_read(path, index->map.data, index->map.bytes, &shape, error);
    }
    if (status != CLIPCU_OK) { return status; }
    index->dtype = shape.dtype;
    return set_matrix(index, shape.data_offset, index->map.bytes, shape.rows, shape.columns, error);
}

/* "embeddings", else "bank", else the only matrix. */
static const ccu_st_entry *find_matrix(const ccu_st_file *file) {
    const ccu_st_entry *found = ccu_st_find(file, "embeddings");
    if (found == NULL) { found = ccu_st_find(file, "bank"); }
    if (found != NULL) { return found; }
    for (int32_t i = 0; i < ccu_st_count(file); i++) {
        const ccu_st_entry *entry = ccu_st_at(file, i);
        if (entry->rank != 2) { continue; }
        if (found != NULL) { return NULL; }
        found = entry;
    }
    return found;
}

static clipcu_status open_safetensors(clipcu_index *index, const char *path,
                                      clipcu_error *error) {
    ccu_tensor    tensor;
    clipcu_status status = ccu_st_open(path, &index->tensors, error);
    if (status == CLIPCU_OK) { status = map(index, ccu_st_storage(index->tensors), error); }
    if (status != CLIPCU_OK) { return status; }
    const ccu_st_entry *entry = find_matrix(index->tensors);
    if (entry == NULL) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: expected a tensor \"embeddings\" or \"bank\", or one matrix only, "
                        "found %d tensors",
                        path, (int)ccu_st_count(index->tensors));
    }
    if (entry->rank != 2) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: tensor %s has %d dimensions, expected 2: (rows, columns)", path,
                        entry->name, (int)entry->rank);
    }
    status = ccu_st_tensor(index->tensors, entry, &tensor, error);
    if (status != CLIPCU_OK) { return status; }
    index->dtype = tensor.dtype;
    return set_matrix(index, entry->offset, entry->offset + entry->bytes, tensor.shape[0],
                      tensor.shape[1], error);
}

clipcu_status ccu_index_check(const clipcu_index *index, clipcu_error *error) {
    struct stat info;
    if (fstat(index->file->fd, &info) != 0 || (size_t)info.st_size != index->file->bytes ||
        info.st_mtim.tv_sec != index->changed.tv_sec ||
        info.st_mtim.tv_nsec != index->changed.tv_nsec) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: the file was changed while it was read",
                        index->file->path);
    }
    return CLIPCU_OK;
}

/* ---- Public --------------------------------------------------------------------------------- */

/* Searches read from front to end. Only advice: nothing depends on it. */
static void advise(const clipcu_index *index) {
    const uintptr_t at    = (uintptr_t)index->data;
    const uintptr_t start = at & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
    const size_t    bytes = (size_t)index->rows * (size_t)index->E * ccu_dtype_bytes(index->dtype);
    if (bytes > 0) { (void)madvise((void *)start, at - start + bytes, MADV_SEQUENTIAL); }
}

clipcu_status clipcu_index_open(const char *path, clipcu_index **out, clipcu_error *error) {
    ccu_error_clear(error);
    if (path == NULL || out == NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "clipcu_index_open: NULL where it is not allowed");
    }
    *out                = NULL;
    clipcu_index *index = ccu_alloc_zeroed(1, sizeof *index);
    if (index == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory", path); }
    clipcu_status status;
    if (ends_with(path, ".npy")) {
        status = open_npy(index, path, error);
    } else if (ends_with(path, ".safetensors")) {
        status = open_safetensors(index, path, error);
    } else {
        status = ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                          "%s: expected a file whose name ends in .npy or .safetensors", path);
    }
    if (status != CLIPCU_OK) {
        clipcu_index_close(index);
        return status;
    }
    advise(index);
    *out = index;
    return CLIPCU_OK;
}

void clipcu_index_close(clipcu_index *index) {
    if (index == NULL) { return; }
    ccu_map_close(&index->map);
    ccu_file_close(&index->npy);
    ccu_st_close(index->tensors);
    ccu_free(index);
}

int64_t clipcu_index_count(const clipcu_index *index) {
    return index->rows;
}

int32_t clipcu_index_embed_dim(const clipcu_index *index) {
    return index->E;
}
