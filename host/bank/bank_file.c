/* A class bank as a safetensors file:
 *
 *   tensor    "bank" (K, E) f32, unit rows
 *   metadata  "format" "clipcu-bank-1", "labels" a JSON array of K strings, "fingerprint" 16
 *             hexadecimal digits, "logit_scale" a decimal number
 */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bank/bank.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "checkpoint/safetensors.h"

#define FORMAT_NAME "clipcu-bank-1"
#define CLASSES_MAX 16777216

/* ["label", ...] as text, freed with cJSON_free; NULL when out of memory. */
static char *labels_to_json(const clipcu_bank *bank) {
    char  *text  = NULL;
    cJSON *array = cJSON_CreateStringArray((const char *const *)bank->labels, bank->K);
    if (array != NULL) { text = cJSON_PrintUnformatted(array); }
    cJSON_Delete(array);
    return text;
}

/* A number with a point, whatever the program's locale has; false when out of memory. */
static bool number_to_json(float number, char *text, size_t text_bytes) {
    cJSON     *item    = cJSON_CreateNumber((double)number);
    const bool written = item != NULL &&
                         cJSON_PrintPreallocated(item, text, (int)text_bytes, 0) != 0;
    cJSON_Delete(item);
    return written;
}

clipcu_status ccu_bank_write(const clipcu_bank *bank, const char *path, clipcu_error *error) {
    char fingerprint[17], scale[64];
    (void)snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, bank->fingerprint);
    char *labels = labels_to_json(bank);
    if (labels == NULL || !number_to_json(bank->logit_scale, scale, sizeof scale)) {
        cJSON_free(labels);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %d labels", path, bank->K);
    }
    const ccu_st_pair metadata[] = {{"format", FORMAT_NAME}, {"fingerprint", fingerprint},
                                    {"logit_scale", scale}, {"labels", labels}};
    const ccu_tensor  rows = {.data = (const uint8_t *)bank->rows, .name = "bank",
                              .dtype = CCU_F32, .rank = 2, .shape = {bank->K, bank->E}};
    const clipcu_status status = ccu_st_write(path, metadata, 4, &rows, 1, error);
    cJSON_free(labels);
    return status;
}

static clipcu_status fail_number(const char *path, const char *key, clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: metadata \"%s\" is missing or no number", path,
                    key);
}

static clipcu_status read_fingerprint(const ccu_st_file *file, const char *path, uint64_t *out,
                                      clipcu_error *error) {
    const char *text = ccu_st_metadata(file, "fingerprint");
    char       *end  = NULL;
    if (text != NULL && strlen(text) == 16) { *out = strtoull(text, &end, 16); }
    if (end == NULL || end == text || *end != '\0') {
        return fail_number(path, "fingerprint", error);
    }
    return CLIPCU_OK;
}

/* As JSON: strtof would expect the decimal point of the program's locale. */
static clipcu_status read_scale(const ccu_st_file *file, const char *path, float *out,
                                clipcu_error *error) {
    const char *text = ccu_st_metadata(file, "logit_scale");
    cJSON      *item = NULL;
    if (text == NULL) { return fail_number(path, "logit_scale", error); }
    const clipcu_status status = ccu_json_parse_value(path, (const uint8_t *)text, strlen(text),
                                                      &item, error);
    if (status == CLIPCU_ERR_NOMEM) { return status; }
    const bool read = cJSON_IsNumber(item) != 0;
    if (read) { *out = (float)item->valuedouble; }
    cJSON_Delete(item);
    return read && isfinite(*out) ? CLIPCU_OK : fail_number(path, "logit_scale", error);
}

/* The strings of a JSON array, borrowed from it. */
static clipcu_status read_labels(const char *path, const cJSON *array, int32_t K,
                                 const char ***out, clipcu_error *error) {
    if (!cJSON_IsArray(array) || cJSON_GetArraySize(array) != K) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: expected %d labels for %d rows, found %d", path, K, K,
                        cJSON_IsArray(array) ? cJSON_GetArraySize(array) : 0);
    }
    const char **labels = ccu_alloc((size_t)K * sizeof *labels);
    if (labels == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %d labels", path, K);
    }
    int32_t filled = 0;
    for (const cJSON *item = array->child; item != NULL; item = item->next) {
        const char *wrong = !cJSON_IsString(item)                ? "no string"
                            : ccu_label_empty(item->valuestring) ? "empty"
                                                                 : NULL;
        if (wrong != NULL) {
            ccu_free(labels);
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: label %d is %s", path, filled + 1,
                            wrong);
        }
        labels[filled++] = item->valuestring;
    }
    *out = labels;
    return CLIPCU_OK;
}

/* Rows must be unit vectors: a bank is only ever written with such. */
static clipcu_status check_rows(const char *path, const clipcu_bank *bank, clipcu_error *error) {
    for (int32_t k = 0; k < bank->K; k++) {
        const float *row    = bank->rows + (size_t)k * (size_t)bank->E;
        double       square = 0.0;
        for (int32_t e = 0; e < bank->E; e++) { square += (double)row[e] * (double)row[e]; }
        if (!(fabs(square - 1.0) < 1e-3)) { /* also true for NaN */
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: row %d (\"%.100s\") has squared length %g, expected 1", path, k,
                            bank->labels[k], square);
        }
    }
    return CLIPCU_OK;
}

static clipcu_status read_bank(const ccu_st_file *file, const char *path, clipcu_bank **out,
                               clipcu_error *error) {
    const char *format = ccu_st_metadata(file, "format");
    if (format == NULL || strcmp(format, FORMAT_NAME) != 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: not a class bank: metadata \"format\" is \"%.60s\", expected \"%s\"",
                        path, format == NULL ? "" : format, FORMAT_NAME);
    }
    const ccu_st_entry *entry = ccu_st_find(file, "bank");
    ccu_tensor          rows  = {0};
    if (entry == NULL) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: no tensor \"bank\"", path);
    }
    clipcu_status status = ccu_st_tensor(file, entry, &rows, error);
    if (status != CLIPCU_OK) { return status; }
    if (rows.dtype != CCU_F32 || rows.rank != 2 || rows.shape[0] > CLASSES_MAX ||
        rows.shape[1] > 65536) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"bank\" should be (classes, width) f32, at "
                                                  "most %d x 65536",
                        path, CLASSES_MAX);
    }
    const char   *text   = ccu_st_metadata(file, "labels");
    cJSON        *array  = NULL;
    const char  **labels = NULL;
    clipcu_bank  *bank   = NULL;
    if (text != NULL) {
        char name[CCU_PATH_MAX + 32];
        (void)snprintf(name, sizeof name, "%s: metadata \"labels\"", path); /* a cut name does */
        status = ccu_json_parse_value(name, (const uint8_t *)text, strlen(text), &array, error);
    }
    if (status == CLIPCU_OK) {
        status = read_labels(path, array, (int32_t)rows.shape[0], &labels, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_bank_create(labels, (int32_t)rows.shape[0], (int32_t)rows.shape[1], &bank,
                                 error);
    }
    if (status == CLIPCU_OK) {
        status = read_fingerprint(file, path, &bank->fingerprint, error);
    }
    if (status == CLIPCU_OK) {
        status = read_scale(file, path, &bank->logit_scale, error);
    }
    if (status == CLIPCU_OK) {
        status = ccu_tensor_to_f32(&rows, 0, ccu_tensor_count(&rows), bank->rows, error);
    }
    if (status == CLIPCU_OK) { status = check_rows(path, bank, error); }
    ccu_free(labels);
    cJSON_Delete(array);
    if (status != CLIPCU_OK) {
        clipcu_bank_close(bank);
        return status;
    }
    ccu_bank_seal(bank);
    *out = bank;
    return CLIPCU_OK;
}

clipcu_status ccu_bank_read(const char *path, clipcu_bank **out, clipcu_error *error) {
    ccu_st_file  *file   = NULL;
    clipcu_status status = ccu_st_open(path, &file, error);
    if (status == CLIPCU_OK) { status = read_bank(file, path, out, error); }
    ccu_st_close(file);
    return status;
}
