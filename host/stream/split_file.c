/* CoOp's split files; see split_file.h. */
#include "stream/split_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)
#define LABEL_INDEX_MAX 10000000

static const char *const parts[] = { "train", "val", "test" };

bool ccu_split_file_is(const char *name) {
    const size_t bytes = strlen(name);
    return bytes > 5 && strcasecmp(name + bytes - 5, ".json") == 0;
}

/* ---- Entries -------------------------------------------------------------------------------- */

typedef struct entry {
    const char *path;
    char       *name;
    int32_t     label;
} entry;

/* [path, label, name] */
static bool read_entry(const cJSON *item, entry *out) {
    const cJSON *path  = cJSON_IsArray(item) ? item->child : NULL;
    const cJSON *label = path != NULL ? path->next : NULL;
    const cJSON *name  = label != NULL ? label->next : NULL;
    if (!cJSON_IsString(path) || !cJSON_IsNumber(label) || !cJSON_IsString(name) ||
        name->next != NULL || path->valuestring[0] == '\0' || name->valuestring[0] == '\0' ||
        strlen(name->valuestring) >= CCU_LABEL_MAX || label->valuedouble < 0 ||
        label->valuedouble > LABEL_INDEX_MAX ||
        label->valuedouble != (double)(int32_t)label->valuedouble) {
        return false;
    }
    *out = (entry){ path->valuestring, name->valuestring, (int32_t)label->valuedouble };
    return true;
}

static clipcu_status fail_entry(const char *file, const char *part, int64_t number,
                                clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_FORMAT,
                    "%s: %s[%lld]: expected [path, label from 0, name of the class]", file, part,
                    (long long)number);
}

static clipcu_status fail_part(const char *file, const char *part, const cJSON *found,
                               clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_FORMAT,
                    "%s: expected a split file, an object with \"train\", \"val\" and \"test\": "
                    "\"%s\" %s",
                    file, part, found == NULL ? "is missing" : "is no array");
}

/* ---- Pictures ------------------------------------------------------------------------------- */

/* The folder of a file, or the one that is given, with a slash at its end. */
static clipcu_status set_folder(const char *path, const char *pictures, ccu_split_file *split,
                                clipcu_error *error) {
    const char  *slash = strrchr(path, '/');
    const char  *from  = pictures != NULL ? pictures : path;
    const size_t bytes = pictures != NULL ? strlen(pictures)
                         : slash != NULL  ? (size_t)(slash - path) + 1
                                          : 0;
    if (bytes + 2 > sizeof split->folder) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes", from,
                        CCU_PATH_MAX - 1);
    }
    (void)snprintf(split->folder, sizeof split->folder, "%.*s%s", (int)bytes, from,
                   bytes > 0 && from[bytes - 1] != '/' ? "/" : ""); /* fits */
    return CLIPCU_OK;
}

clipcu_status ccu_split_file_open(const char *path, const char *part, const char *pictures,
                                  ccu_split_file *split, clipcu_error *error) {
    *split               = (ccu_split_file){ .name = path };
    clipcu_status status = set_folder(path, pictures, split, error);
    if (status == CLIPCU_OK) { status = ccu_json_read(path, FILE_BYTES_MAX, &split->root, error); }
    if (status != CLIPCU_OK) { return status; }
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(split->root, part);
    if (!cJSON_IsArray(array)) {
        status = fail_part(path, part, array, error);
        ccu_split_file_close(split);
        return status;
    }
    split->next = array->child;
    return CLIPCU_OK;
}

void ccu_split_file_close(ccu_split_file *split) {
    cJSON_Delete(split->root);
    split->root = NULL;
}

bool ccu_split_file_next(ccu_split_file *split, const char **path, const char **label,
                         clipcu_error *error) {
    entry        found = { .path = NULL };
    const cJSON *item  = split->next;
    if (item == NULL) { return false; }
    split->next = item->next;
    *path       = split->name;
    *label      = NULL;
    split->number++;
    if (!read_entry(item, &found)) {
        (void)ccu_fail(error, CLIPCU_ERR_FORMAT,
                       "%s: entry %lld: expected [path, label from 0, name of the class]",
                       split->name, (long long)split->number - 1);
        return true;
    }
    const int bytes = snprintf(split->path, sizeof split->path, "%s%s",
                               found.path[0] == '/' ? "" : split->folder, found.path);
    if (bytes < 0 || (size_t)bytes >= sizeof split->path) {
        (void)ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes",
                       split->path, CCU_PATH_MAX - 1);
        return true;
    }
    *path  = split->path;
    *label = found.name;
    return true;
}

/* ---- Classes -------------------------------------------------------------------------------- */

typedef struct label_name {
    int32_t label;
    char   *name; /* in the JSON, with spaces */
} label_name;

static int compare_labels(const void *a, const void *b) {
    const label_name *left = a, *right = b;
    return left->label < right->label ? -1 : left->label > right->label;
}

/* How many entries all parts have. FORMAT if one is no array; a part may be missing. */
static clipcu_status count_entries(const char *path, const cJSON *root, size_t *count,
                                   clipcu_error *error) {
    *count = 0;
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        const cJSON *array = cJSON_GetObjectItemCaseSensitive(root, parts[p]);
        if (array == NULL) { continue; }
        if (!cJSON_IsArray(array)) { return fail_part(path, parts[p], array, error); }
        for (const cJSON *item = array->child; item != NULL; item = item->next) { ++*count; }
    }
    if (*count == 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: expected a split file, an object with \"train\", \"val\" and "
                        "\"test\", found no entry of any",
                        path);
    }
    return CLIPCU_OK;
}

/* out (count of count_entries) */
static clipcu_status collect(const char *path, const cJSON *root, label_name *out,
                             clipcu_error *error) {
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        const cJSON *array  = cJSON_GetObjectItemCaseSensitive(root, parts[p]);
        int64_t      number = 0;
        for (const cJSON *item = array == NULL ? NULL : array->child; item != NULL;
             item              = item->next) {
            entry found;
            if (!read_entry(item, &found)) { return fail_entry(path, parts[p], number, error); }
            for (char *c = found.name; *c != '\0'; c++) {
                if (*c == '_') { *c = ' '; }
            }
            *out++ = (label_name){ found.label, found.name };
            number++;
        }
    }
    return CLIPCU_OK;
}

/* One of each label stays, in order. */
static clipcu_status thin_out(const char *path, label_name *labels, size_t count, int32_t *K,
                              clipcu_error *error) {
    qsort(labels, count, sizeof *labels, compare_labels);
    *K = 1;
    for (size_t i = 1; i < count; i++) {
        const label_name *last = &labels[*K - 1];
        if (labels[i].label != last->label) {
            labels[(*K)++] = labels[i];
        } else if (strcmp(labels[i].name, last->name) != 0) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: the label %d has two names, \"%.100s\" and \"%.100s\"", path,
                            (int)last->label, last->name, labels[i].name);
        }
    }
    return CLIPCU_OK;
}

static clipcu_status name_classes(const label_name *labels, int32_t K, ccu_classes *out,
                                  clipcu_error *error) {
    const char **names = ccu_alloc_zeroed((size_t)K, sizeof *names);
    if (names == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d class names", (int)K);
    }
    for (int32_t i = 0; i < K; i++) { names[i] = labels[i].name; }
    const clipcu_status status = ccu_classes_named(names, K, out, error);
    ccu_free(names);
    return status;
}

clipcu_status ccu_split_file_classes(const char *path, ccu_classes *out, clipcu_error *error) {
    cJSON        *root   = NULL;
    label_name   *labels = NULL;
    size_t        count  = 0;
    int32_t       K      = 0;
    clipcu_status status = ccu_json_read(path, FILE_BYTES_MAX, &root, error);
    if (status == CLIPCU_OK) { status = count_entries(path, root, &count, error); }
    if (status == CLIPCU_OK) {
        labels = ccu_alloc_zeroed(count, sizeof *labels);
        if (labels == NULL) {
            status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %zu labels", path,
                              count);
        }
    }
    if (status == CLIPCU_OK) { status = collect(path, root, labels, error); }
    if (status == CLIPCU_OK) { status = thin_out(path, labels, count, &K, error); }
    if (status == CLIPCU_OK) { status = name_classes(labels, K, out, error); }
    ccu_free(labels);
    cJSON_Delete(root);
    return status;
}
