/* Fuzz target: what people write by hand and what is written for them: lists, labels, templates,
 * class names of the command line (stream/reader.c, words.c, text/templates.c), and the same texts
 * as JSON, CSV and HTML (stream/escape.c). */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fuzz/fuzz.h"
#include "stream/escape.h"
#include "stream/reader.h"
#include "stream/words.h"

#define LINE_MAX_BYTES 100

static void read_lines(const char *path, size_t file_bytes) {
    ccu_reader          reader = { .fd = -1 };
    clipcu_error        error  = { .code = CLIPCU_OK };
    const clipcu_status status = ccu_reader_open(path, LINE_MAX_BYTES, -1, &reader, &error);
    fuzz_expect_status(status, &error, path);
    if (status != CLIPCU_OK) { return; }
    size_t            total = 0;
    const char       *line  = NULL;
    size_t            bytes = 0;
    ccu_reader_result result;
    while ((result = ccu_reader_next(&reader, -1, &line, &bytes)) != CCU_READER_END) {
        fuzz_expect(result == CCU_READER_LINE || result == CCU_READER_TOO_LONG, "a line");
        fuzz_expect(line[bytes] == '\0', "a line ends");
        fuzz_expect(memchr(line, '\n', bytes) == NULL, "a line is one line");
        total += bytes;
    }
    fuzz_expect(total <= file_bytes, "no more than the file holds");
    ccu_reader_close(&reader);
}

static void use_words(const ccu_words *words, const char *apart) {
    fuzz_expect(words->count >= 1, "there are words");
    for (int32_t i = 0; i < words->count; i++) {
        fuzz_expect(words->items[i][0] != '\0', "a word is not empty");
        fuzz_expect(strpbrk(words->items[i], apart) == NULL, "a word is one word");
    }
    const char *repeated = ccu_words_repeated(words);
    int         seen     = 0;
    for (int32_t i = 0; repeated != NULL && i < words->count; i++) {
        seen += strcmp(words->items[i], repeated) == 0;
    }
    fuzz_expect(repeated == NULL || seen >= 2, "what is repeated is there twice");
}

static void read_words(const char *path, const char *text) {
    ccu_words    words = { 0 };
    clipcu_error error = { .code = CLIPCU_OK };
    fuzz_expect_status(ccu_words_labels(path, &words, &error), &error, path);
    if (error.code == CLIPCU_OK) { use_words(&words, "\n"); }
    ccu_words_free(&words);

    error = (clipcu_error){ .code = CLIPCU_OK };
    fuzz_expect_status(ccu_words_classes(text, &words, &error), &error, NULL);
    if (error.code == CLIPCU_OK) { use_words(&words, ","); }
    ccu_words_free(&words);

    error = (clipcu_error){ .code = CLIPCU_OK };
    fuzz_expect_status(ccu_words_templates(path, &words, &error), &error, path);
    for (int32_t i = 0; error.code == CLIPCU_OK && i < words.count; i++) {
        char *filled = ccu_template_fill(words.items[i], "zebra");
        fuzz_expect(filled != NULL, "a template takes a name");
        fuzz_expect(strlen(filled) == strlen(words.items[i]) + 3 && strstr(filled, "zebra") != NULL,
                    "the name stands in place of {}");
        ccu_free(filled);
    }
    ccu_words_free(&words);
}

/* JSON that another parser reads back, plain text without control characters, HTML without tags. */
static void escape(const char *text) {
    ccu_buffer buffer = { 0 };
    ccu_escape_json(&buffer, text);
    cJSON *parsed = cJSON_ParseWithLength(buffer.data, buffer.bytes);
    fuzz_expect(cJSON_IsString(parsed), "a JSON string");
    fuzz_expect(!ccu_utf8_valid(text) || strcmp(parsed->valuestring, text) == 0,
                "JSON says what the text said");
    cJSON_Delete(parsed);
    ccu_buffer_clear(&buffer);
    ccu_escape_csv(&buffer, text);
    fuzz_expect(buffer.bytes >= strlen(text), "CSV loses nothing");
    ccu_buffer_clear(&buffer);
    ccu_escape_plain(&buffer, text);
    for (size_t i = 0; i < buffer.bytes; i++) {
        fuzz_expect((uint8_t)buffer.data[i] >= 0x20 && buffer.data[i] != 0x7f, "plain text");
    }
    fuzz_expect(ccu_plain_columns(text) >= 0, "columns");
    ccu_buffer_clear(&buffer);
    ccu_escape_html(&buffer, text);
    for (size_t i = 0; i < buffer.bytes; i++) {
        fuzz_expect(strchr("<>\"'", buffer.data[i]) == NULL, "HTML text stays text");
    }
    ccu_buffer_free(&buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    char *text = malloc(bytes + 1);
    fuzz_expect(text != NULL, "memory for the input");
    memcpy(text, data, bytes);
    text[bytes]      = '\0';
    const char *path = fuzz_file("lines.txt", data, bytes);
    read_lines(path, bytes);
    read_words(path, text);
    escape(text);
    free(text);
    return 0;
}
