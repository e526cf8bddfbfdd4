/* A class bank as a safetensors file:
 *
 *   tensor    "bank" (K, E) f32, unit rows
 *   metadata  "format" "clipcu-bank-1", "labels" a JSON array of K strings, "fingerprint" 16
 *             hexadecimal digits, "logit_scale" a decimal number
 */
#include <inttypes.h>
#include <math.h>
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

clipcu_status ccu_bank_write(const clipcu_bank *bank, const char *path, clipcu_error *error) {
    char fingerprint[17], scale[32];
    (void)snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, bank->fingerprint);
    (void)snprintf(scale, sizeof scale, "%.9g", (double)bank->logit_scale); /* exact for f32 */
    char *labels = labels_to_json(bank);
    if (labels == NULL) {
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

/* Number of the metadata entry key, which must be one whole number of the given base. */
static clipcu_status read_number(const ccu_st_file *file, const char *path, const char *key,
                                 uint64_t *hexadecimal, float *decimal, clipcu_error *error) {
    const char *text = ccu_st_metadata(file, key);
    char       *end  = NULL;
    if (text != NULL && hexadecimal != NULL && strlen(text) == 16) {
        *hexadecimal = strtoull(text, &end, 16);
    }
    if (text != NULL && decimal != NULL) { *decimal = strtof(text, &end); }
    if (end == NULL || end == text || *end != '\0' || (decimal != NULL && !isfinite(*decimal))) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: metadata \"%s\" is missing or no number",
                        path, key);
    }
    return CLIPCU_OK;
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
        if (!cJSON_IsString(item)) {
            ccu_free(labels);
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: label %d is no string", path,
                            filled + 1);
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
        status = read_number(file, path, "fingerprint", &bank->fingerprint, NULL, error);
    }
    if (status == CLIPCU_OK) {
        status = read_number(file, path, "logit_scale", NULL, &bank->logit_scale, error);
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
