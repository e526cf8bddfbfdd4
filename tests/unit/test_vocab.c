/* Vocabulary files: the same vocabulary in every form, and files that are not what they should
 * be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cjson/cJSON.h>

#include "support/text_files.h"
#include "text/tokenizer.h"

#define SOURCE CLIPCU_SOURCE_DIR

static ccu_tokenizer *open_dir(const char *dir, clipcu_tokenizer rule) {
    ccu_tokenizer *tokenizer = NULL;
    clipcu_error   error     = { 0 };
    if (ccu_tokenizer_open(dir, rule, &tokenizer, &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
    return tokenizer;
}

static ccu_tokenizer *open_small(clipcu_tokenizer rule) {
    char path[1024];
    text_data_path(path, SOURCE, "small");
    return open_dir(path, rule);
}

/* Ids of one text that uses merges, digits and special tokens. */
static void ids_of(const ccu_tokenizer *t, int32_t ids[64], int32_t *count) {
    const char *text = "a photo of the dog's <|endoftext|> caf\u00e9 \U0001f600 1!<|startoftext|>";
    assert_int_equal(ccu_tokenize(t, text, false, ids, 64, count, NULL), CLIPCU_OK);
}

static void gzip_write(const char *dir, const char *name, const char *text) {
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    gzFile file = gzopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, text, (unsigned)strlen(text)), (int)strlen(text));
    assert_int_equal(gzclose(file), Z_OK);
}

/* The same vocabulary in every form gives the same ids. */
static void test_forms(void **state) {
    (void)state;
    char  *json   = text_small_json(SOURCE);
    char  *vocab  = text_small_vocab(SOURCE);
    char  *merges = text_small_merges(SOURCE, "#version: 0.2", "\n");
    char  *crlf   = text_small_merges(SOURCE, "#version: 0.2", "\r\n");
    char  *bare   = text_small_merges(SOURCE, "\"header#version: 0.2", "\n");
    cJSON *root   = cJSON_Parse(json); /* merges as strings, no model type: older files */
    cJSON *model  = cJSON_GetObjectItemCaseSensitive(root, "model");
    cJSON *list   = cJSON_CreateArray();
    for (const cJSON *m = cJSON_GetObjectItemCaseSensitive(model, "merges")->child; m != NULL;
         m              = m->next) {
        char text[64];
        (void)snprintf(text, sizeof text, "%s %s", m->child->valuestring,
                       m->child->next->valuestring);
        cJSON_AddItemToArray(list, cJSON_CreateString(text));
    }
    cJSON_ReplaceItemInObjectCaseSensitive(model, "merges", list);
    cJSON_DeleteItemFromObjectCaseSensitive(model, "type");
    char *older = cJSON_PrintUnformatted(root);

    for (int rule = 0; rule < 2; rule++) {
        ccu_tokenizer *small = open_small((clipcu_tokenizer)rule);
        int32_t        wanted[64], wanted_count = 0;
        ids_of(small, wanted, &wanted_count);
        ccu_tokenizer_close(small);
        for (int form = 0; form < 5; form++) {
            char    dir[TEXT_DIR_MAX];
            int32_t ids[64], count = 0;
            text_dir_make(dir);
            switch (form) {
            case 0: text_write_string(dir, "tokenizer.json", older); break;
            case 1:
            case 2:
                text_write_string(dir, "vocab.json", vocab);
                text_write_string(dir, "merges.txt", form == 1 ? merges : crlf);
                break;
            case 3: text_write_string(dir, "bpe_simple_vocab_16e6.txt", bare); break;
            default: gzip_write(dir, "bpe_simple_vocab_16e6.txt.gz", bare); break;
            }
            ccu_tokenizer *t = open_dir(dir, (clipcu_tokenizer)rule);
            ids_of(t, ids, &count);
            assert_int_equal(count, wanted_count);
            assert_memory_equal(ids, wanted, (size_t)count * sizeof *ids);
            assert_int_equal(ccu_tokenizer_vocab_size(t), 1514);
            ccu_tokenizer_close(t);
            text_dir_remove(dir);
        }
    }
    cJSON_free(older);
    cJSON_Delete(root);
    cJSON_free(vocab);
    free(json);
    free(merges);
    free(crlf);
    free(bare);
}

/* tokenizer.json with one text replaced by another, and the status and message that follow. */
typedef struct change {
    const char   *from, *to;
    clipcu_status status;
    const char   *message;
} change;

static const change changes[] = {
    { "\"type\":\"BPE\"", "\"type\":\"WordPiece\"", CLIPCU_ERR_UNSUPPORTED, "WordPiece" },
    { "\"</w>\"", "\"@@\"", CLIPCU_ERR_UNSUPPORTED, "end_of_word_suffix is \"@@\"" },
    { "\"end_of_word_suffix\":\"</w>\"", "\"end_of_word_suffix\":null", CLIPCU_ERR_UNSUPPORTED,
      "end_of_word_suffix" },
    { "\"continuing_subword_prefix\":\"\"", "\"continuing_subword_prefix\":\"##\"",
      CLIPCU_ERR_UNSUPPORTED, "continuing_subword_prefix" },
    { "\"byte_fallback\":false", "\"byte_fallback\":true", CLIPCU_ERR_UNSUPPORTED,
      "byte_fallback" },
    { "\"ignore_merges\":false", "\"ignore_merges\":true", CLIPCU_ERR_UNSUPPORTED,
      "ignore_merges" },
    { "\"dropout\":null", "\"dropout\":0.1", CLIPCU_ERR_UNSUPPORTED, "dropout is 0.1" },
    { "{\"type\":\"NFC\"}", "{\"type\":\"NFKC\"}", CLIPCU_ERR_UNSUPPORTED, "NFKC" },
    { "{\"type\":\"NFC\"},", "", CLIPCU_ERR_UNSUPPORTED, "normalizer has other than" },
    { "\"Lowercase\"", "\"StripAccents\"", CLIPCU_ERR_UNSUPPORTED, "StripAccents" },
    { "\"\\\\s+\"", "\"\\\\s\"", CLIPCU_ERR_UNSUPPORTED, "normalizer.pattern.Regex" },
    { "\"normalizer\":{", "\"normalizer\":null,\"x\":{", CLIPCU_ERR_UNSUPPORTED, "no normalizer" },
    { "\"pre_tokenizer\":{\"type\":\"Sequence\"", "\"pre_tokenizer\":{\"type\":\"Whitespace\"",
      CLIPCU_ERR_UNSUPPORTED, "Whitespace" },
    { "|'ll|", "|", CLIPCU_ERR_UNSUPPORTED, "splits by" },
    { "\"Removed\"", "\"Isolated\"", CLIPCU_ERR_UNSUPPORTED, "Isolated" },
    { "\"invert\":true", "\"invert\":false", CLIPCU_ERR_UNSUPPORTED, "invert" },
    { "\"ByteLevel\",\"add_prefix_space\":false", "\"ByteLevel\",\"add_prefix_space\":true",
      CLIPCU_ERR_UNSUPPORTED, "add_prefix_space" },
    { "\"use_regex\":true", "\"use_regex\":false", CLIPCU_ERR_UNSUPPORTED, "use_regex" },
    { "\"lstrip\":false", "\"lstrip\":true", CLIPCU_ERR_UNSUPPORTED, "lstrip" },
    { "\"lstrip\":false", "\"lstrip\":3", CLIPCU_ERR_FORMAT, "lstrip" },
    { "\"id\":1512", "\"id\":7", CLIPCU_ERR_FORMAT, "id 1512 in the vocabulary and 7" },
    { "\"id\":1512", "\"id\":-1", CLIPCU_ERR_FORMAT, "\"id\" is -1" },
    { "\"id\":1512,", "", CLIPCU_ERR_FORMAT, "no \"id\"" },
    { "\"vocab\":{", "\"vocab\":[],\"x\":{", CLIPCU_ERR_FORMAT, "model.vocab" },
    { "\"merges\":[", "\"merges\":3,\"x\":[", CLIPCU_ERR_FORMAT, "model.merges" },
    { "\"model\":{", "\"model\":3,\"x\":{", CLIPCU_ERR_FORMAT, "\"model\"" },
    { "\"ry\":1511", "\"ry\":1515", CLIPCU_ERR_FORMAT, "none has id 1511" },
    { "\"!\":0,", "\"!\":0,\"!\":0,", CLIPCU_ERR_FORMAT, "both have id 0" },
    { "\"!\":0,", "\"!\":0,\"!\":1514,", CLIPCU_ERR_FORMAT, "\"!\" stands twice" },
    { "\"!\":0,", "\"!\":1,", CLIPCU_ERR_FORMAT, "both have id 1" },
    { "\"!\":0,", "\"!\":-1,", CLIPCU_ERR_FORMAT, "whole number" },
    { "\"!\":0,", "\"!\":0.5,", CLIPCU_ERR_FORMAT, "whole number" },
    { "\"!\":0,", "\"!\":1e300,", CLIPCU_ERR_FORMAT, "whole number" },
    { "\"!\":0,", "\"!\":\"0\",", CLIPCU_ERR_FORMAT, "whole number" },
    { "\"!\":0,", "\"!\":1999999,", CLIPCU_ERR_FORMAT, "has id 1999999" },
    { "\"\u0100\":188,", "\"!!!!\":188,", CLIPCU_ERR_FORMAT, "byte 0x00 has no token" },
    { "\"\u0100</w>\":444,", "\"!!!!\":444,", CLIPCU_ERR_FORMAT, "</w>" },
    { "[\"i\",\"n\"]", "[\"i\",\"zzzz\"]", CLIPCU_ERR_FORMAT,
      "merge 0 (\"i\" \"zzzz\"): the second is no token" },
    { "[\"i\",\"n\"]", "[\"zzzz\",\"n\"]", CLIPCU_ERR_FORMAT, "the first is no token" },
    { "[\"i\",\"n\"]", "[\"!\",\"7\"]", CLIPCU_ERR_FORMAT, "what they make is no token" },
    { "[\"i\",\"n\"]", "[\"i\",\"n\"],[\"i\",\"n\"]", CLIPCU_ERR_FORMAT,
      "merge 1 (\"i\" \"n\"): the pair stands twice" },
    { "[\"i\",\"n\"]", "[\"i\"]", CLIPCU_ERR_FORMAT, "merge 0: expected" },
    { "[\"i\",\"n\"]", "[\"i\",3]", CLIPCU_ERR_FORMAT, "merge 0: expected" },
    { "[\"i\",\"n\"]", "\"i  n\"", CLIPCU_ERR_FORMAT, "merge 0: expected" },
    { "[\"i\",\"n\"]", "\"in\"", CLIPCU_ERR_FORMAT, "merge 0: expected" },
    { "[\"i\",\"n\"]", "null", CLIPCU_ERR_FORMAT, "merge 0: expected" },
};

static clipcu_status open_json(const char *json, clipcu_tokenizer rule, ccu_tokenizer **t,
                               clipcu_error *error) {
    char dir[TEXT_DIR_MAX];
    text_dir_make(dir);
    text_write_string(dir, "tokenizer.json", json);
    *error                     = (clipcu_error){ 0 };
    const clipcu_status status = ccu_tokenizer_open(dir, rule, t, error);
    text_dir_remove(dir);
    return status;
}

static void test_changed_json(void **state) {
    (void)state;
    char *json = text_small_json(SOURCE);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char               *text = text_replace(json, changes[i].from, changes[i].to);
        ccu_tokenizer      *t    = NULL;
        clipcu_error        error;
        const clipcu_status status = open_json(text, CLIPCU_TOKENIZER_HF_FAST, &t, &error);
        if (status != changes[i].status || strstr(error.text, changes[i].message) == NULL) {
            fail_msg("%s -> %s: status %d, \"%s\" (wanted \"%s\")", changes[i].from, changes[i].to,
                     status, error.text, changes[i].message);
        }
        assert_null(t);
        free(text);
    }
    free(json);
}

/* Without the special tokens in its expression, a file cuts as older conversions do. */
static void test_older_split(void **state) {
    (void)state;
    char          *json = text_small_json(SOURCE);
    char          *text = text_replace(json, "<\\\\|startoftext\\\\|>|<\\\\|endoftext\\\\|>|", "");
    ccu_tokenizer *t    = NULL;
    clipcu_error   error;
    assert_int_equal(open_json(text, CLIPCU_TOKENIZER_HF_FAST, &t, &error), CLIPCU_OK);
    ccu_tokenizer *small = open_small(CLIPCU_TOKENIZER_HF_FAST);
    int32_t        a[64], b[64], count_a = 0, count_b = 0;
    ids_of(t, a, &count_a);
    ids_of(small, b, &count_b);
    assert_int_equal(count_a, count_b);
    assert_int_equal(ccu_tokenize(t, "<|ENDOFTEXT|>!", false, a, 64, &count_a, NULL), CLIPCU_OK);
    assert_int_equal(ccu_tokenize(small, "<|ENDOFTEXT|>!", false, b, 64, &count_b, NULL),
                     CLIPCU_OK);
    assert_int_equal(b[count_b - 2], 256); /* "!" alone; older: "|>!" is one word */
    assert_true(count_a != count_b || memcmp(a, b, (size_t)count_a * sizeof *a) != 0);
    ccu_tokenizer_close(small);
    ccu_tokenizer_close(t);
    free(text);
    free(json);
}

/* True if text gives these ids between start and end token. */
static bool gives(const ccu_tokenizer *t, const char *text, int32_t wanted_count,
                  const int32_t *wanted) {
    int32_t ids[64], count = 0;
    assert_int_equal(ccu_tokenize(t, text, false, ids, 64, &count, NULL), CLIPCU_OK);
    return count == wanted_count + 2 &&
           memcmp(ids + 1, wanted, (size_t)wanted_count * sizeof *ids) == 0;
}

/* More added tokens: known to Hugging Face's rule, longest first; not to OpenAI's. */
static void test_added_tokens(void **state) {
    (void)state;
    static const char list[] =
        "\"added_tokens\":[{\"id\":1514,\"content\":\"<X>\",\"normalized\":false},"
        "{\"id\":1515,\"content\":\"<X><X>\",\"normalized\":false},"
        "{\"id\":1516,\"content\":\"MY  Word\",\"normalized\":true},";
    char          *json = text_small_json(SOURCE);
    char          *text = text_replace(json, "\"added_tokens\":[", list);
    ccu_tokenizer *t    = NULL;
    clipcu_error   error;
    assert_int_equal(open_json(text, CLIPCU_TOKENIZER_HF_FAST, &t, &error), CLIPCU_OK);
    assert_int_equal(ccu_tokenizer_vocab_size(t), 1517);
    assert_true(gives(t, "1<X><X><X>2", 4, (int32_t[]){ 272, 1515, 1514, 273 }));
    assert_true(gives(t, "<x>", 3, (int32_t[]){ 283, 343, 285 }));
    assert_true(gives(t, "1my \n WORD2", 3, (int32_t[]){ 272, 1516, 273 }));
    ccu_tokenizer_close(t);
    assert_int_equal(open_json(text, CLIPCU_TOKENIZER_OPENAI, &t, &error), CLIPCU_OK);
    assert_true(gives(t, "<X>", 3, (int32_t[]){ 283, 343, 285 }));
    ccu_tokenizer_close(t);
    free(text);
    free(json);
}

/* Opens a folder with one file, and gives the message. */
static clipcu_status open_file(const char *name, const void *data, size_t bytes,
                               clipcu_error *error) {
    char           dir[TEXT_DIR_MAX];
    ccu_tokenizer *t = NULL;
    text_dir_make(dir);
    text_write(dir, name, data, bytes);
    if (strcmp(name, "merges.txt") == 0) {
        char *vocab = text_small_vocab(SOURCE);
        text_write_string(dir, "vocab.json", vocab);
        cJSON_free(vocab);
    }
    *error                     = (clipcu_error){ 0 };
    const clipcu_status status = ccu_tokenizer_open(dir, CLIPCU_TOKENIZER_OPENAI, &t, error);
    assert_true((status == CLIPCU_OK) == (t != NULL));
    ccu_tokenizer_close(t);
    text_dir_remove(dir);
    return status;
}

static void test_wrong_files(void **state) {
    (void)state;
    static const struct {
        const char   *name, *text;
        clipcu_status status;
        const char   *message;
    } rows[] = {
        { "lines.txt", "x", CLIPCU_ERR_IO, "looked for tokenizer.json, vocab.json" },
        { "tokenizer.json", "", CLIPCU_ERR_FORMAT, "not valid JSON" },
        { "tokenizer.json", "[]", CLIPCU_ERR_FORMAT, "expected a JSON object" },
        { "tokenizer.json", "{}", CLIPCU_ERR_FORMAT, "\"model\"" },
        { "merges.txt", "#version: 0.2\ni n\nin\n", CLIPCU_ERR_FORMAT, "line 3: expected" },
        { "merges.txt", "i n\n\nt h\n", CLIPCU_ERR_FORMAT, "line 2: expected" },
        { "merges.txt", "i n\ni n\n", CLIPCU_ERR_FORMAT, "stands twice" },
        { "merges.txt", "i n m\n", CLIPCU_ERR_FORMAT, "line 1: expected" },
        { "merges.txt", "q zz\n", CLIPCU_ERR_FORMAT, "the second is no token" },
        { "bpe_simple_vocab_16e6.txt", "", CLIPCU_ERR_FORMAT, "holds no merges" },
        { "bpe_simple_vocab_16e6.txt", "header\n", CLIPCU_ERR_FORMAT, "holds no merges" },
        { "bpe_simple_vocab_16e6.txt", "header\ni n\ni n\n", CLIPCU_ERR_FORMAT, "stands twice" },
        { "bpe_simple_vocab_16e6.txt", "header\nin g\n", CLIPCU_ERR_FORMAT, "first is no token" },
        { "bpe_simple_vocab_16e6.txt", "header\n!!\n", CLIPCU_ERR_FORMAT, "line 2: expected" },
        { "bpe_simple_vocab_16e6.txt.gz", "\x1f\x8b nonsense", CLIPCU_ERR_FORMAT, "damaged" },
        { "bpe_simple_vocab_16e6.txt.gz", "h\ni n\n", CLIPCU_OK, "" }, /* plain in spite of .gz */
        { "bpe_simple_vocab_16e6.txt", "h\r\ni n\r\n\r\n", CLIPCU_OK, "" },
        { "merges.txt", "i n\n", CLIPCU_OK, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        clipcu_error        error;
        const clipcu_status status = open_file(rows[i].name, rows[i].text, strlen(rows[i].text),
                                               &error);
        if (status != rows[i].status || strstr(error.text, rows[i].message) == NULL) {
            fail_msg("row %zu: status %d, \"%s\"", i, status, error.text);
        }
    }
}

/* Files cut short and files with wrong bytes never crash; cut gzip is always found. */
static void test_damaged_files(void **state) {
    (void)state;
    char    *json = text_small_json(SOURCE);
    size_t   size = strlen(json);
    uint32_t seed = 12345;
    for (size_t cut = 0; cut < size; cut += 1499) {
        clipcu_error error;
        assert_int_equal(open_file("tokenizer.json", json, cut, &error), CLIPCU_ERR_FORMAT);
    }
    for (int i = 0; i < 150; i++) {
        char *copy = malloc(size);
        memcpy(copy, json, size);
        for (int k = 0; k < 3; k++) {
            seed              = seed * 1664525u + 1013904223u;
            copy[seed % size] = (char)(seed >> 24);
        }
        clipcu_error error;
        (void)open_file("tokenizer.json", copy, size, &error); /* any status, no crash */
        free(copy);
    }
    free(json);

    char  dir[TEXT_DIR_MAX], path[TEXT_DIR_MAX + 64];
    char *bare = text_small_merges(SOURCE, "header", "\n");
    text_dir_make(dir);
    gzip_write(dir, "bpe_simple_vocab_16e6.txt.gz", bare);
    (void)snprintf(path, sizeof path, "%s/bpe_simple_vocab_16e6.txt.gz", dir);
    char *gz = text_read(path, &size);
    text_dir_remove(dir);
    for (size_t cut = 3; cut < size; cut += 97) {
        clipcu_error error;
        assert_int_equal(open_file("bpe_simple_vocab_16e6.txt.gz", gz, cut, &error),
                         CLIPCU_ERR_FORMAT);
        assert_non_null(strstr(error.text, "cut short"));
    }
    free(gz);
    free(bare);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),       cmocka_unit_test(test_changed_json),
        cmocka_unit_test(test_older_split), cmocka_unit_test(test_added_tokens),
        cmocka_unit_test(test_wrong_files), cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
