/* Class names and templates; see words.h. */
#include "stream/words.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static int compare_words(const void *a, const void *b) {
    const char *const *left  = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

const char *ccu_words_repeated(const ccu_words *words) {
    const size_t count    = (size_t)words->count;
    const char  *repeated = NULL;
    const char **sorted   = ccu_alloc(count * sizeof *sorted);
    if (sorted == NULL) { return NULL; }
    for (size_t i = 0; i < count; i++) { sorted[i] = words->items[i]; }
    qsort(sorted, count, sizeof *sorted, compare_words);
    for (size_t i = 1; i < count && repeated == NULL; i++) {
        if (strcmp(sorted[i - 1], sorted[i]) == 0) { repeated = sorted[i]; }
    }
    ccu_free((void *)sorted);
    return repeated;
}

void ccu_words_free(ccu_words *words) {
    if (words->text != NULL) {
        ccu_free(words->text);
        ccu_free(words->items);
    } else {
        ccu_lines_free(&words->lines);
    }
    *words = (ccu_words){ .items = NULL };
}

static clipcu_status read_words(const char *path, ccu_words *words, clipcu_error *error) {
    const clipcu_status status = ccu_lines_read(path, &words->lines, error);
    if (status != CLIPCU_OK) { return status; }
    words->items = words->lines.items;
    words->count = words->lines.count;
    return CLIPCU_OK;
}

/* Hands the words over, or frees them after a failure. */
static clipcu_status finish(clipcu_status status, ccu_words *words, ccu_words *out) {
    if (status == CLIPCU_OK) {
        *out = *words; /* ownership moved to the caller */
    } else {
        ccu_words_free(words);
    }
    return status;
}

clipcu_status ccu_words_labels(const char *path, ccu_words *out, clipcu_error *error) {
    ccu_words           words  = { .items = NULL };
    const clipcu_status status = read_words(path, &words, error);
    return finish(status, &words, out);
}

/* Cuts words->text at its commas. */
static clipcu_status cut_classes(ccu_words *words, clipcu_error *error) {
    char *at = words->text;
    for (;;) {
        char *comma = strchr(at, ',');
        if (comma != NULL) { *comma = '\0'; }
        at += strspn(at, " \t");
        size_t bytes = strlen(at);
        while (bytes > 0 && (at[bytes - 1] == ' ' || at[bytes - 1] == '\t')) { at[--bytes] = '\0'; }
        if (bytes == 0) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                            "--classes: name %d is empty; expected names parted by commas, like "
                            "--classes \"cat,dog\" (a name that holds a comma needs "
                            "--labels FILE)",
                            (int)words->count + 1);
        }
        words->items[words->count++] = at;
        if (comma == NULL) { return CLIPCU_OK; }
        at = comma + 1;
    }
}

clipcu_status ccu_words_classes(const char *text, ccu_words *out, clipcu_error *error) {
    ccu_words words = { .items = NULL };
    size_t    count = 1;
    for (const char *c = text; *c != '\0'; c++) { count += *c == ','; }
    words.text           = ccu_strdup(text);
    words.items          = ccu_alloc_zeroed(count, sizeof *words.items);
    clipcu_status status = CLIPCU_OK;
    if (words.text == NULL || words.items == NULL) {
        ccu_free(words.text);
        ccu_free(words.items);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "--classes: no memory for %zu names", count);
    }
    status = cut_classes(&words, error);
    return finish(status, &words, out);
}

clipcu_status ccu_words_templates(const char *path, ccu_words *out, clipcu_error *error) {
    ccu_words     words  = { .items = NULL };
    clipcu_status status = read_words(path, &words, error);
    for (int32_t i = 0; i < words.count && status == CLIPCU_OK; i++) {
        clipcu_error why = { .code = CLIPCU_OK };
        if (ccu_template_check(words.items[i], &why) != CLIPCU_OK) {
            status = ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: template %d: %s", path, (int)i + 1,
                              why.text);
        }
    }
    return finish(status, &words, out);
}
