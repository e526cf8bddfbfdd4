/* JSON through cJSON; see json.h. */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

clipcu_status ccu_json_parse_value(const char *name, const uint8_t *data, size_t bytes,
                                   cJSON **out, clipcu_error *error) {
    const char *end = NULL;
    errno           = 0; /* NULL may mean bad text or no memory; only the latter sets ENOMEM */
    cJSON *root     = cJSON_ParseWithLengthOpts((const char *)data, bytes, &end, 0);
    if (root == NULL && errno == ENOMEM) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %zu bytes of JSON", name,
                        bytes);
    }
    if (root == NULL) {
        const size_t at = end == NULL ? 0 : (size_t)(end - (const char *)data);
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: not valid JSON near byte %zu of %zu", name,
                        at, bytes);
    }
    *out = root;
    return CLIPCU_OK;
}

clipcu_status ccu_json_parse(const char *name, const uint8_t *data, size_t bytes, cJSON **out,
                             clipcu_error *error) {
    cJSON              *root   = NULL;
    const clipcu_status status = ccu_json_parse_value(name, data, bytes, &root, error);
    if (status != CLIPCU_OK) { return status; }
    if (!cJSON_IsObject(root)) {
        cJSON_Delete(root);
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: expected a JSON object", name);
    }
    *out = root;
    return CLIPCU_OK;
}

clipcu_status ccu_json_read(const char *path, size_t bytes_max, cJSON **out,
                            clipcu_error *error) {
    uint8_t      *data   = NULL;
    size_t        bytes  = 0;
    clipcu_status status = ccu_file_read(path, bytes_max, &data, &bytes, error);
    if (status == CLIPCU_OK) { status = ccu_json_parse(path, data, bytes, out, error); }
    ccu_free(data);
    return status;
}

/* The item under key, or NULL if it is absent or null. */
static const cJSON *find(const cJSON *object, const char *key) {
    const cJSON *item = object == NULL ? NULL : cJSON_GetObjectItemCaseSensitive(object, key);
    return item == NULL || cJSON_IsNull(item) ? NULL : item;
}

bool ccu_json_has(const cJSON *object, const char *key) {
    return find(object, key) != NULL;
}

clipcu_status ccu_json_int(const cJSON *object, const char *name, const char *key, int32_t min,
                           int32_t max, int32_t *value, clipcu_error *error) {
    const cJSON *item = find(object, key);
    if (item == NULL) { return CLIPCU_OK; }
    if (!cJSON_IsNumber(item) || floor(item->valuedouble) != item->valuedouble) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"%s\" should be a whole number", name,
                        key);
    }
    if (item->valuedouble < min || item->valuedouble > max) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"%s\" is %.17g, expected %d .. %d", name,
                        key, item->valuedouble, min, max);
    }
    *value = (int32_t)item->valuedouble;
    return CLIPCU_OK;
}

clipcu_status ccu_json_double(const cJSON *object, const char *name, const char *key,
                              double *value, clipcu_error *error) {
    const cJSON *item = find(object, key);
    if (item == NULL) { return CLIPCU_OK; }
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"%s\" should be a number", name, key);
    }
    *value = item->valuedouble;
    return CLIPCU_OK;
}

clipcu_status ccu_json_bool(const cJSON *object, const char *name, const char *key, bool *value,
                            clipcu_error *error) {
    const cJSON *item = find(object, key);
    if (item == NULL) { return CLIPCU_OK; }
    if (!cJSON_IsBool(item)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"%s\" should be true or false", name, key);
    }
    *value = cJSON_IsTrue(item) != 0;
    return CLIPCU_OK;
}

clipcu_status ccu_json_string(const cJSON *object, const char *name, const char *key,
                              const char **value, clipcu_error *error) {
    const cJSON *item = find(object, key);
    if (item == NULL) { return CLIPCU_OK; }
    if (!cJSON_IsString(item)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"%s\" should be a string", name, key);
    }
    *value = item->valuestring;
    return CLIPCU_OK;
}
