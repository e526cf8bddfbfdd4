/* Vocabularies in temporary folders; see text_files.h. */
#include "support/text_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

void text_data_path(char out[1024], const char *source, const char *name) {
    (void)snprintf(out, 1024, "%s/tests/data/text/%s", source, name);
}

const char *text_outside_data(void) {
    return getenv("CLIPCU_TEST_DATA");
}

void text_dir_make(char dir[TEXT_DIR_MAX]) {
    const char *base = getenv("TMPDIR");
    (void)snprintf(dir, TEXT_DIR_MAX, "%s/clipcu_text_XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(dir));
}

void text_dir_remove(const char *dir) {
    static const char *const names[6] = {
        "tokenizer.json",
        "vocab.json",
        "merges.txt",
        "bpe_simple_vocab_16e6.txt",
        "bpe_simple_vocab_16e6.txt.gz",
        "lines.txt",
    };
    char path[1024];
    for (int i = 0; i < 6; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)unlink(path); /* most are not there */
    }
    assert_int_equal(rmdir(dir), 0);
}

void text_write(const char *dir, const char *name, const void *data, size_t bytes) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void text_write_string(const char *dir, const char *name, const char *text) {
    text_write(dir, name, text, strlen(text));
}

char *text_read(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) { fail_msg("%s: cannot open", path); }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    char *data = malloc((size_t)size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, (size_t)size, file), (size_t)size);
    (void)fclose(file);
    data[size] = '\0';
    if (bytes != NULL) { *bytes = (size_t)size; }
    return data;
}

char *text_replace(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    if (at == NULL) { fail_msg("\"%s\" is not in the text", from); }
    const size_t before = (size_t)(at - text);
    const size_t bytes  = strlen(text) + strlen(to) + 1;
    char        *out    = malloc(bytes);
    assert_non_null(out);
    (void)snprintf(out, bytes, "%.*s%s%s", (int)before, text, to, at + strlen(from));
    return out;
}

char *text_small_json(const char *source) {
    char path[1024];
    text_data_path(path, source, "small/tokenizer.json");
    return text_read(path, NULL);
}

static cJSON *small_model(const char *source, cJSON **root) {
    char *text = text_small_json(source);
    *root      = cJSON_Parse(text);
    free(text);
    assert_non_null(*root);
    return cJSON_GetObjectItemCaseSensitive(*root, "model");
}

char *text_small_vocab(const char *source) {
    cJSON *root  = NULL;
    cJSON *model = small_model(source, &root);
    char  *out   = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(model, "vocab"));
    assert_non_null(out);
    cJSON_Delete(root);
    return out;
}

char *text_small_merges(const char *source, const char *header, const char *end) {
    cJSON       *root   = NULL;
    const cJSON *merges = cJSON_GetObjectItemCaseSensitive(small_model(source, &root), "merges");
    const size_t max    = 64 * ((size_t)cJSON_GetArraySize(merges) + 2);
    char        *out    = malloc(max);
    size_t       at     = (size_t)snprintf(out, max, "%s%s", header, end);
    for (const cJSON *item = merges->child; item != NULL; item = item->next) {
        at += (size_t)snprintf(out + at, max - at, "%s %s%s", item->child->valuestring,
                               item->child->next->valuestring, end);
        assert_true(at < max);
    }
    cJSON_Delete(root);
    return out;
}
