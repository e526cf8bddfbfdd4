/* Writing safetensors files; see safetensors.h. Called by the class bank and learned prompts. */
#include <assert.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"

#define ALIGN_BYTES 8

static bool utf8_valid(const char *text) {
    const utf8proc_uint8_t *at   = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t        left = (utf8proc_ssize_t)strlen(text);
    while (left > 0) {
        utf8proc_int32_t       code = -1;
        const utf8proc_ssize_t step = utf8proc_iterate(at, left, &code);
        if (step <= 0) { return false; }
        at += step;
        left -= step;
    }
    return true;
}

static const char *dtype_name(ccu_dtype dtype) {
    switch (dtype) {
    case CCU_F32: return "F32";
    case CCU_BF16: return "BF16";
    case CCU_F16: return "F16";
    }
    return "?";
}

static clipcu_status check_tensor(const char *path, const cJSON *header, const ccu_tensor *tensor,
                                  clipcu_error *error) {
    const char *name = tensor->name;
    if (name == NULL || name[0] == '\0' || !utf8_valid(name) ||
        strcmp(name, "__metadata__") == 0 ||
        cJSON_GetObjectItemCaseSensitive(header, name) != NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "%s: tensor name \"%s\" is empty, taken, reserved or not UTF-8", path,
                        name == NULL ? "" : name);
    }
    if (tensor->data == NULL || tensor->rank < 0 || tensor->rank > 4) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: tensor %s: no data, or rank %d", path,
                        name, tensor->rank);
    }
    size_t bytes = ccu_dtype_bytes(tensor->dtype);
    for (int32_t i = 0; i < tensor->rank; i++) {
        if (tensor->shape[i] <= 0 || bytes > SIZE_MAX / 2 / (size_t)tensor->shape[i]) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: tensor %s: dimension %d is %lld", path,
                            name, i, (long long)tensor->shape[i]);
        }
        bytes *= (size_t)tensor->shape[i];
    }
    return CLIPCU_OK;
}

/* cJSON's Add functions refuse NULL, but leave what they refused to the caller. */
static bool add_number(cJSON *array, double number) {
    cJSON *item = cJSON_CreateNumber(number);
    if (cJSON_AddItemToArray(array, item)) { return true; }
    cJSON_Delete(item);
    return false;
}

/* One tensor's line of the header. *offset moves past its data. NULL pointers that cJSON gives
 * back when memory is exhausted are refused by its Add functions, which then return false. */
static clipcu_status describe_tensor(const char *path, cJSON *header, const ccu_tensor *tensor,
                                     size_t *offset, clipcu_error *error) {
    const size_t bytes   = ccu_tensor_count(tensor) * ccu_dtype_bytes(tensor->dtype);
    cJSON       *item    = cJSON_AddObjectToObject(header, tensor->name);
    const cJSON *dtype   = cJSON_AddStringToObject(item, "dtype", dtype_name(tensor->dtype));
    cJSON       *shape   = cJSON_AddArrayToObject(item, "shape");
    cJSON       *offsets = cJSON_AddArrayToObject(item, "data_offsets");
    bool         good    = dtype != NULL;
    for (int32_t i = 0; i < tensor->rank; i++) {
        good &= add_number(shape, (double)tensor->shape[i]);
    }
    good &= add_number(offsets, (double)*offset);
    good &= add_number(offsets, (double)(*offset + bytes));
    if (!good) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for the header", path); }
    *offset += bytes;
    return CLIPCU_OK;
}

static clipcu_status describe_metadata(const char *path, cJSON *header, const ccu_st_pair *pairs,
                                       int32_t count, clipcu_error *error) {
    if (count == 0) { return CLIPCU_OK; }
    cJSON *metadata = cJSON_AddObjectToObject(header, "__metadata__");
    for (int32_t i = 0; i < count; i++) {
        const ccu_st_pair *pair = &pairs[i];
        if (pair->key == NULL || pair->value == NULL || !utf8_valid(pair->key) ||
            !utf8_valid(pair->value)) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: metadata %d is not UTF-8 text", path,
                            i);
        }
        if (cJSON_AddStringToObject(metadata, pair->key, pair->value) == NULL) {
            return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for the header", path);
        }
    }
    return CLIPCU_OK;
}

/* f32 first, then the two-byte formats: everything stays aligned without padding. */
static bool written_in_pass(const ccu_tensor *tensor, int pass) {
    return (tensor->dtype == CCU_F32) == (pass == 0);
}

static clipcu_status build_header(const char *path, cJSON *header, const ccu_tensor *tensors,
                                  int32_t count, clipcu_error *error) {
    size_t offset = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t i = 0; i < count; i++) {
            if (!written_in_pass(&tensors[i], pass)) { continue; }
            clipcu_status status = check_tensor(path, header, &tensors[i], error);
            if (status != CLIPCU_OK) { return status; }
            status = describe_tensor(path, header, &tensors[i], &offset, error);
            if (status != CLIPCU_OK) { return status; }
        }
    }
    return CLIPCU_OK;
}

/* Short writes show up in the stream's error flag, which ccu_writer_commit reads. */
static void write_all(FILE *stream, const char *text, const ccu_tensor *tensors, int32_t count) {
    const size_t bytes  = strlen(text);
    const size_t padded = (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    uint8_t      length[8];
    for (int i = 0; i < 8; i++) { length[i] = (uint8_t)((uint64_t)padded >> (8 * i)); }
    (void)fwrite(length, 1, sizeof length, stream);
    (void)fwrite(text, 1, bytes, stream);
    (void)fwrite("        ", 1, padded - bytes, stream);
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t i = 0; i < count; i++) {
            if (!written_in_pass(&tensors[i], pass)) { continue; }
            (void)fwrite(tensors[i].data, ccu_dtype_bytes(tensors[i].dtype),
                         ccu_tensor_count(&tensors[i]), stream);
        }
    }
}

clipcu_status ccu_st_write(const char *path, const ccu_st_pair *metadata, int32_t metadata_count,
                           const ccu_tensor *tensors, int32_t tensor_count, clipcu_error *error) {
    assert(path != NULL);
    assert(metadata_count >= 0);
    assert(tensor_count >= 0);
    ccu_writer writer;
    char      *text   = NULL;
    cJSON     *header = NULL;
    if (metadata_count > CCU_ST_WRITE_COUNT_MAX || tensor_count > CCU_ST_WRITE_COUNT_MAX) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: more than %d tensors or metadata pairs",
                        path, CCU_ST_WRITE_COUNT_MAX);
    }
    header = cJSON_CreateObject();
    clipcu_status status = describe_metadata(path, header, metadata, metadata_count, error);
    if (status != CLIPCU_OK) { goto done; }
    status = build_header(path, header, tensors, tensor_count, error);
    if (status != CLIPCU_OK) { goto done; }
    text = cJSON_PrintUnformatted(header);
    if (text == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for the header", path);
        goto done;
    }
    status = ccu_writer_open(path, &writer, error);
    if (status != CLIPCU_OK) { goto done; }
    write_all(writer.stream, text, tensors, tensor_count);
    status = ccu_writer_commit(&writer, error);

done:
    cJSON_free(text);
    cJSON_Delete(header);
    return status;
}
