/* The classes of a data set; see classes.h. */
#include "stream/classes.h"

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/templates.h"

void ccu_classes_free(ccu_classes *classes) {
    ccu_free(classes->names);
    ccu_free(classes->keys);
    ccu_free(classes->text);
    *classes = (ccu_classes){ .K = 0 };
}

static void make_spaces(char *label) {
    for (; *label != '\0'; label++) {
        if (*label == '_') { *label = ' '; }
    }
}

static int compare_keys(const void *a, const void *b) {
    const ccu_class_key *left  = a;
    const ccu_class_key *right = b;
    const int            order = strcmp(left->text, right->text);
    if (order != 0) { return order; }
    if (left->rank != right->rank) { return left->rank < right->rank ? -1 : 1; }
    return left->index < right->index ? -1 : left->index > right->index;
}

/* Room for count classes and up to two keys of each. */
static clipcu_status make_room(size_t count, ccu_classes *classes, clipcu_error *error) {
    if (count > INT32_MAX / 2) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "classes: at most %d, found %zu", INT32_MAX / 2,
                        count);
    }
    classes->names = ccu_alloc_zeroed(count, sizeof *classes->names);
    classes->keys  = ccu_alloc_zeroed(2 * count, sizeof *classes->keys);
    if (classes->names == NULL || classes->keys == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %zu class names", count);
    }
    return CLIPCU_OK;
}

/* One more class; folder may be NULL. */
static void add_class(ccu_classes *classes, const char *folder, char *name) {
    const int32_t index   = classes->K++;
    classes->names[index] = name;
    if (folder != NULL) {
        classes->keys[classes->keys_count++] = (ccu_class_key){ folder, 0, index };
    }
    classes->keys[classes->keys_count++] = (ccu_class_key){ name, 1, index };
}

static void sort_keys(ccu_classes *classes) {
    qsort(classes->keys, (size_t)classes->keys_count, sizeof *classes->keys, compare_keys);
}

/* Hands the classes over, or frees them after a failure. */
static clipcu_status finish(clipcu_status status, ccu_classes *classes, ccu_classes *out) {
    if (status == CLIPCU_OK) {
        sort_keys(classes);
        *out = *classes; /* ownership moved to the caller */
    } else {
        ccu_classes_free(classes);
    }
    return status;
}

clipcu_status ccu_classes_named(const char *const *names, int32_t count, ccu_classes *out,
                                clipcu_error *error) {
    ccu_classes   classes = { .K = 0 };
    size_t        bytes   = 0;
    clipcu_status status  = make_room((size_t)count, &classes, error);
    for (int32_t i = 0; i < count; i++) { bytes += strlen(names[i]) + 1; }
    classes.text = ccu_alloc(bytes);
    if (status == CLIPCU_OK && classes.text == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d class names", (int)count);
    }
    char *at = classes.text;
    for (int32_t i = 0; i < count && status == CLIPCU_OK; i++) {
        const size_t name_bytes = strlen(names[i]) + 1;
        memcpy(at, names[i], name_bytes);
        add_class(&classes, NULL, at);
        at += name_bytes;
    }
    return finish(status, &classes, out);
}

/* Splits a line at its tab, if it has one. */
static clipcu_status add_line(const char *path, char *line, bool mapped, ccu_classes *classes,
                              clipcu_error *error) {
    char *tab = strchr(line, '\t');
    if ((tab != NULL) != mapped) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: expected FOLDER<TAB>NAME in all lines or in none, found \"%.100s\" %s "
                        "a tab",
                        path, line, mapped ? "without" : "with");
    }
    if (tab == NULL) {
        add_class(classes, NULL, line);
        return CLIPCU_OK;
    }
    if (tab == line || tab[1] == '\0' || strchr(tab + 1, '\t') != NULL) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: expected FOLDER<TAB>NAME, found \"%.100s\"",
                        path, line);
    }
    *tab = '\0';
    add_class(classes, line, tab + 1);
    return CLIPCU_OK;
}

/* A folder that stands twice would belong to two classes. */
static clipcu_status check_folders(const char *path, ccu_classes *classes, clipcu_error *error) {
    sort_keys(classes);
    for (int32_t i = 1; i < classes->keys_count; i++) {
        const ccu_class_key *key = &classes->keys[i];
        if (key->rank == 0 && key[-1].rank == 0 && strcmp(key->text, key[-1].text) == 0) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: the folder \"%.100s\" stands twice, as \"%.100s\" and as "
                            "\"%.100s\"",
                            path, key->text, classes->names[key[-1].index],
                            classes->names[key->index]);
        }
    }
    return CLIPCU_OK;
}

clipcu_status ccu_classes_read(const char *path, ccu_classes *out, clipcu_error *error) {
    ccu_lines     lines   = { .items = NULL };
    ccu_classes   classes = { .K = 0 };
    clipcu_status status  = ccu_lines_read(path, &lines, error);
    if (status != CLIPCU_OK) { return status; }
    const bool mapped = strchr(lines.items[0], '\t') != NULL;
    classes.text      = lines.text; /* ownership moved */
    lines.text        = NULL;
    status            = make_room((size_t)lines.count, &classes, error);
    for (int32_t i = 0; i < lines.count && status == CLIPCU_OK; i++) {
        status = add_line(path, lines.items[i], mapped, &classes, error);
    }
    ccu_lines_free(&lines);
    if (status == CLIPCU_OK) { status = check_folders(path, &classes, error); }
    return finish(status, &classes, out);
}

static int compare_labels(const void *a, const void *b) {
    char *const *left  = a;
    char *const *right = b;
    return strcmp(*left, *right);
}

clipcu_status ccu_classes_distinct(char *labels, size_t count, ccu_classes *out,
                                   clipcu_error *error) {
    ccu_classes classes = { .text = labels };
    char      **sorted  = ccu_alloc_zeroed(count, sizeof *sorted);
    assert(count >= 1);
    if (sorted == NULL) {
        ccu_classes_free(&classes);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %zu labels", count);
    }
    size_t distinct = 0;
    char  *at       = labels;
    for (size_t i = 0; i < count; i++) {
        make_spaces(at);
        sorted[i] = at;
        at += strlen(at) + 1;
    }
    qsort(sorted, count, sizeof *sorted, compare_labels);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0) { distinct++; }
    }
    const clipcu_status status = make_room(distinct, &classes, error);
    for (size_t i = 0; i < count && status == CLIPCU_OK; i++) {
        if (i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0) {
            add_class(&classes, NULL, sorted[i]);
        }
    }
    ccu_free(sorted);
    return finish(status, &classes, out);
}

static int32_t find(const ccu_classes *classes, const char *text) {
    int32_t low  = 0;
    int32_t high = classes->keys_count;
    while (low < high) { /* the first key that is not before text */
        const int32_t middle = low + (high - low) / 2;
        if (strcmp(classes->keys[middle].text, text) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == classes->keys_count || strcmp(classes->keys[low].text, text) != 0) { return -1; }
    return classes->keys[low].index;
}

int32_t ccu_classes_index(const ccu_classes *classes, const char *label) {
    char          spaced[CCU_LABEL_MAX];
    const int32_t index = find(classes, label);
    const size_t  bytes = strlen(label) + 1;
    if (index >= 0 || bytes > sizeof spaced) { return index; }
    memcpy(spaced, label, bytes);
    make_spaces(spaced);
    return find(classes, spaced);
}

const char *ccu_classes_repeated(const ccu_classes *classes) {
    const char *last = NULL;
    for (int32_t i = 0; i < classes->keys_count; i++) {
        if (classes->keys[i].rank == 0) { continue; }
        if (last != NULL && strcmp(last, classes->keys[i].text) == 0) { return last; }
        last = classes->keys[i].text;
    }
    return NULL;
}
