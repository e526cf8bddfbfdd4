/* Reading safetensors files; see safetensors.h. Called by shards.c for models and by the class
 * bank and learned prompts for their own files. */
#include "checkpoint/safetensors.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

#define LENGTH_BYTES 8
/* A header is nested four deep (file, tensor, shape, number). */
#define DEPTH_MAX 8
/* JSON values in a header; a tensor takes about 8. Bounds the memory of the parsed tree, which is
 * 40 times as large as the bytes of a hostile header ("[0,0,0,..."). */
#define VALUES_MAX 2000000
/* Whole numbers up to here survive JSON's doubles. */
#define EXACT_MAX 9007199254740992.0 /* 2^53 */

struct ccu_st_file {
    ccu_file      storage;
    cJSON        *header; /* names and metadata point into it */
    const cJSON  *metadata;
    size_t        data_offset, data_bytes;
    ccu_st_entry *entries; /* (count), sorted by name */
    int32_t       count;
};

typedef struct dtype_size {
    const char *name;
    size_t      bytes;
} dtype_size;

static const dtype_size DTYPE_SIZES[] = {
    { "F64", 8 },     { "I64", 8 },     { "U64", 8 }, { "C64", 8 }, { "F32", 4 },
    { "I32", 4 },     { "U32", 4 },     { "F16", 2 }, { "BF16", 2 }, { "I16", 2 },
    { "U16", 2 },     { "I8", 1 },      { "U8", 1 },  { "BOOL", 1 }, { "F8_E4M3", 1 },
    { "F8_E5M2", 1 }, { "F8_E8M0", 1 },
};

/* Bytes of an element, 0 for a dtype that is not known (or smaller than a byte). */
static size_t dtype_bytes(const char *dtype) {
    for (size_t i = 0; i < sizeof DTYPE_SIZES / sizeof DTYPE_SIZES[0]; i++) {
        if (strcmp(DTYPE_SIZES[i].name, dtype) == 0) { return DTYPE_SIZES[i].bytes; }
    }
    return 0;
}

/* Bytes of the UTF-8 sequence at text, 0 if it is none. */
static size_t utf8_step(const uint8_t *text, size_t bytes) {
    if (text[0] < 0x80) { return 1; }
    utf8proc_int32_t     code = -1;
    const utf8proc_ssize_t step = utf8proc_iterate(text, (utf8proc_ssize_t)(bytes > 4 ? 4 : bytes),
                                                   &code);
    return step > 0 ? (size_t)step : 0;
}

/* What must hold before the header is given to a JSON parser that builds a tree: UTF-8, bounded
 * depth, bounded number of values, nothing after the object. */
static clipcu_status scan_header(const char *path, const uint8_t *text, size_t bytes,
                                 clipcu_error *error) {
    size_t  values  = 0;
    int32_t depth   = 0;
    bool    quoted  = false;
    bool    closed  = false;
    for (size_t i = 0, step = 1; i < bytes; i += step) {
        const uint8_t c = text[i];
        step = utf8_step(text + i, bytes - i);
        if (step == 0) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: byte %zu of the header is not UTF-8",
                            path, i);
        }
        if (closed) {
            if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
                return ccu_fail(error, CLIPCU_ERR_FORMAT,
                                "%s: byte %zu of the header stands after its end", path, i);
            }
        } else if (quoted) {
            if (c == '\\' && i + 1 < bytes && text[i + 1] < 0x80) { step = 2; }
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            values++;
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
            closed = depth <= 0;
        } else if (c == ',') {
            values++;
        }
        if (depth > DEPTH_MAX) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: the header is nested more than %d deep",
                            path, DEPTH_MAX);
        }
        if (values > VALUES_MAX) {
            return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: the header holds more than %d values",
                            path, VALUES_MAX);
        }
    }
    return CLIPCU_OK;
}

static bool whole_number(const cJSON *item, uint64_t *out) {
    if (!cJSON_IsNumber(item)) { return false; }
    const double value = item->valuedouble;
    if (!(value >= 0.0 && value <= EXACT_MAX) || floor(value) != value) { return false; }
    *out = (uint64_t)value;
    return true;
}

/* The three fields of a tensor; anything else in the object is left alone. */
typedef struct entry_fields {
    const cJSON *dtype, *shape, *offsets;
} entry_fields;

static clipcu_status find_fields(const char *path, const cJSON *item, entry_fields *fields,
                                 clipcu_error *error) {
    if (!cJSON_IsObject(item)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: tensor %s: expected an object", path,
                        item->string);
    }
    for (const cJSON *field = item->child; field != NULL; field = field->next) {
        const cJSON **slot = NULL;
        if (strcmp(field->string, "dtype") == 0) { slot = &fields->dtype; }
        if (strcmp(field->string, "shape") == 0) { slot = &fields->shape; }
        if (strcmp(field->string, "data_offsets") == 0) { slot = &fields->offsets; }
        if (slot == NULL) { continue; }
        if (*slot != NULL) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: tensor %s: \"%s\" stands twice", path,
                            item->string, field->string);
        }
        *slot = field;
    }
    if (!cJSON_IsString(fields->dtype) || !cJSON_IsArray(fields->shape) ||
        !cJSON_IsArray(fields->offsets)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: tensor %s: expected \"dtype\", \"shape\" and \"data_offsets\"", path,
                        item->string);
    }
    return CLIPCU_OK;
}

/* Fills rank and shape; *elements is their product. */
static clipcu_status read_shape(const char *path, const cJSON *shape, ccu_st_entry *entry,
                                size_t *elements, clipcu_error *error) {
    size_t product = 1;
    for (const cJSON *dim = shape->child; dim != NULL; dim = dim->next) {
        uint64_t length = 0;
        if (entry->rank == CCU_ST_RANK_MAX) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: tensor %s: more than %d dimensions",
                            path, entry->name, CCU_ST_RANK_MAX);
        }
        if (!whole_number(dim, &length)) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: tensor %s: dimension %d of the shape is no whole number", path,
                            entry->name, entry->rank);
        }
        if (length != 0 && product > SIZE_MAX / length) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: tensor %s: the shape is too large",
                            path, entry->name);
        }
        product *= (size_t)length;
        entry->shape[entry->rank++] = (int64_t)length;
    }
    *elements = product;
    return CLIPCU_OK;
}

static clipcu_status read_entry(const char *path, const ccu_st_file *file, const cJSON *item,
                                ccu_st_entry *entry, clipcu_error *error) {
    entry_fields  fields   = { NULL, NULL, NULL };
    size_t        elements = 0;
    uint64_t      begin    = 0;
    uint64_t      end      = 0;
    clipcu_status status   = find_fields(path, item, &fields, error);
    if (status != CLIPCU_OK) { return status; }
    entry->name  = item->string;
    entry->dtype = fields.dtype->valuestring;
    status       = read_shape(path, fields.shape, entry, &elements, error);
    if (status != CLIPCU_OK) { return status; }

    const cJSON *first = fields.offsets->child;
    const cJSON *last  = first == NULL ? NULL : first->next;
    if (last == NULL || last->next != NULL || !whole_number(first, &begin) ||
        !whole_number(last, &end) || begin > end) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: tensor %s: \"data_offsets\" should be [begin, end]", path,
                        entry->name);
    }
    if (end > file->data_bytes) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: tensor %s ends at byte %llu of the data, the file holds %zu; it is "
                        "truncated or damaged",
                        path, entry->name, (unsigned long long)end, file->data_bytes);
    }
    entry->offset = file->data_offset + (size_t)begin;
    entry->bytes  = (size_t)(end - begin);
    const size_t size = dtype_bytes(entry->dtype);
    if (size != 0 && (elements > SIZE_MAX / size || elements * size != entry->bytes)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: tensor %s: %zu bytes of data, expected %zu elements of %s", path,
                        entry->name, entry->bytes, elements, entry->dtype);
    }
    return CLIPCU_OK;
}

static clipcu_status read_metadata(const char *path, ccu_st_file *file, const cJSON *item,
                                   clipcu_error *error) {
    if (file->metadata != NULL || !cJSON_IsObject(item)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"__metadata__\" should be one object",
                        path);
    }
    for (const cJSON *pair = item->child; pair != NULL; pair = pair->next) {
        if (!cJSON_IsString(pair)) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: metadata \"%s\" should be a string",
                            path, pair->string);
        }
    }
    file->metadata = item;
    return CLIPCU_OK;
}

static int compare_names(const void *a, const void *b) {
    const ccu_st_entry *x = a;
    const ccu_st_entry *y = b;
    return strcmp(x->name, y->name);
}

static int compare_data(const void *a, const void *b) {
    const ccu_st_entry *x = a;
    const ccu_st_entry *y = b;
    if (x->offset != y->offset) { return x->offset < y->offset ? -1 : 1; }
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; /* empty tensors first */
}

static clipcu_status check_overlap(const char *path, ccu_st_file *file, clipcu_error *error) {
    qsort(file->entries, (size_t)file->count, sizeof file->entries[0], compare_data);
    for (int32_t i = 1; i < file->count; i++) {
        const ccu_st_entry *left  = &file->entries[i - 1];
        const ccu_st_entry *right = &file->entries[i];
        if (left->offset + left->bytes > right->offset) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: tensors %s and %s overlap", path,
                            left->name, right->name);
        }
    }
    return CLIPCU_OK;
}

static clipcu_status check_names(const char *path, ccu_st_file *file, clipcu_error *error) {
    qsort(file->entries, (size_t)file->count, sizeof file->entries[0], compare_names);
    for (int32_t i = 1; i < file->count; i++) {
        if (strcmp(file->entries[i - 1].name, file->entries[i].name) == 0) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: two tensors are named %s", path,
                            file->entries[i].name);
        }
    }
    return CLIPCU_OK;
}

static clipcu_status read_entries(const char *path, ccu_st_file *file, clipcu_error *error) {
    const int items = cJSON_GetArraySize(file->header);
    file->entries   = ccu_alloc_zeroed((size_t)items, sizeof file->entries[0]);
    if (file->entries == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %d tensors", path, items);
    }
    for (const cJSON *item = file->header->child; item != NULL; item = item->next) {
        clipcu_status status;
        if (strcmp(item->string, "__metadata__") == 0) {
            status = read_metadata(path, file, item, error);
        } else {
            status = read_entry(path, file, item, &file->entries[file->count++], error);
        }
        if (status != CLIPCU_OK) { return status; }
    }
    const clipcu_status status = check_overlap(path, file, error);
    return status == CLIPCU_OK ? check_names(path, file, error) : status;
}

/* Opens the file, finds header and data in it and reads the header: *header, owned by the caller
 * also on failure. */
static clipcu_status read_header(const char *path, ccu_st_file *file, uint8_t **header,
                                 size_t *header_bytes, clipcu_error *error) {
    uint8_t       prefix[LENGTH_BYTES];
    uint64_t      length = 0;
    clipcu_status status = ccu_file_open(path, &file->storage, error);
    if (status != CLIPCU_OK) { return status; }
    const size_t bytes = file->storage.bytes;
    if (bytes == 0) { return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: the file is empty", path); }
    if (bytes < LENGTH_BYTES) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: %zu bytes are no safetensors file", path,
                        bytes);
    }
    status = ccu_file_read_at(&file->storage, 0, LENGTH_BYTES, prefix, error);
    if (status != CLIPCU_OK) { return status; }
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) { length = length << 8 | prefix[i]; }
    const size_t rest = bytes - LENGTH_BYTES;
    if (length > rest) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: a header of %llu bytes does not fit into the file of %zu; it is "
                        "truncated or no safetensors file",
                        path, (unsigned long long)length, bytes);
    }
    if (length > CCU_ST_HEADER_BYTES_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: a header of %llu bytes, at most %zu are read",
                        path, (unsigned long long)length, CCU_ST_HEADER_BYTES_MAX);
    }
    *header_bytes     = (size_t)length;
    file->data_offset = LENGTH_BYTES + *header_bytes;
    file->data_bytes  = rest - *header_bytes;
    *header           = ccu_alloc(*header_bytes);
    if (*header == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for a header of %zu bytes", path,
                        *header_bytes);
    }
    return ccu_file_read_at(&file->storage, LENGTH_BYTES, *header_bytes, *header, error);
}

clipcu_status ccu_st_open(const char *path, ccu_st_file **out, clipcu_error *error) {
    assert(path != NULL);
    assert(out != NULL);
    uint8_t     *header       = NULL;
    size_t       header_bytes = 0;
    ccu_st_file *file         = ccu_alloc_zeroed(1, sizeof *file);
    if (file == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory", path); }

    clipcu_status status = read_header(path, file, &header, &header_bytes, error);
    if (status != CLIPCU_OK) { goto done; }
    status = scan_header(path, header, header_bytes, error);
    if (status != CLIPCU_OK) { goto done; }
    status = ccu_json_parse(path, header, header_bytes, &file->header, error);
    if (status != CLIPCU_OK) { goto done; }
    status = read_entries(path, file, error);
    if (status != CLIPCU_OK) { goto done; }
    *out = file;
    file = NULL; /* ownership moved to the caller */

done:
    ccu_free(header);
    ccu_st_close(file);
    return status;
}

void ccu_st_close(ccu_st_file *file) {
    if (file == NULL) { return; }
    ccu_free(file->entries);
    cJSON_Delete(file->header);
    ccu_file_close(&file->storage);
    ccu_free(file);
}

const ccu_file *ccu_st_storage(const ccu_st_file *file) {
    return &file->storage;
}

int32_t ccu_st_count(const ccu_st_file *file) {
    return file->count;
}

const ccu_st_entry *ccu_st_at(const ccu_st_file *file, int32_t index) {
    assert(index >= 0);
    assert(index < file->count);
    return &file->entries[index];
}

const ccu_st_entry *ccu_st_find(const ccu_st_file *file, const char *name) {
    const ccu_st_entry key = { .name = name };
    return bsearch(&key, file->entries, (size_t)file->count, sizeof key, compare_names);
}

const char *ccu_st_metadata(const ccu_st_file *file, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(file->metadata, key);
    return item == NULL ? NULL : item->valuestring;
}

clipcu_status ccu_st_tensor(const ccu_st_file *file, const ccu_st_entry *entry, ccu_tensor *out,
                            clipcu_error *error) {
    ccu_tensor tensor = { .file = &file->storage, .offset = entry->offset, .name = entry->name,
                          .rank = entry->rank };
    if (strcmp(entry->dtype, "F32") == 0) {
        tensor.dtype = CCU_F32;
    } else if (strcmp(entry->dtype, "F16") == 0) {
        tensor.dtype = CCU_F16;
    } else if (strcmp(entry->dtype, "BF16") == 0) {
        tensor.dtype = CCU_BF16;
    } else {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: tensor %s: expected F32, F16 or BF16, found %.20s",
                        file->storage.path, entry->name, entry->dtype);
    }
    if (entry->rank > 4 || entry->bytes == 0) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: tensor %s: %d dimensions, %zu bytes, expected at most 4 and some",
                        file->storage.path, entry->name, (int)entry->rank, entry->bytes);
    }
    for (int32_t i = 0; i < entry->rank; i++) { tensor.shape[i] = entry->shape[i]; }
    *out = tensor;
    return CLIPCU_OK;
}
