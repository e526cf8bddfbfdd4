/* Fuzz target: the files of a tokenizer, text/vocab_files.c and tokenizer_json.c. A vocabulary
 * needs 512 tokens before it is one, so most kinds take them from here.
 *
 *   t  a whole tokenizer.json
 *   p  members of tokenizer.json; a good "model" follows them
 *   m  merges.txt beside a good vocab.json
 *   v  members of vocab.json after the bytes' tokens, beside a merges.txt of three lines
 *   b  a bare merges file, plain or gzip */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "fuzz/fuzz.h"
#include "text/bpe.h"
#include "text/tokenizer.h"

#define TEXT_MAX ((size_t)1 << 16)

/* A text being put together. */
typedef struct text {
    char   bytes[TEXT_MAX];
    size_t count;
} text;

static void add(text *to, const void *bytes, size_t count) {
    fuzz_expect(count <= sizeof to->bytes - to->count, "the target's own text fits");
    memcpy(to->bytes + to->count, bytes, count);
    to->count += count;
}

static void add_string(text *to, const char *string) {
    add(to, string, strlen(string));
}

/* "x":id, for every byte, alone and as the end of a word. */
static void add_byte_tokens(text *to) {
    for (int32_t id = 0; id < 512; id++) {
        const char *end = id < 256 ? "" : "</w>";
        char        byte_text[4], item[32];
        const int   bytes = (int)ccu_bpe_byte_text(id & 255, byte_text);
        const char *slash = byte_text[0] == '"' || byte_text[0] == '\\' ? "\\" : "";
        (void)snprintf(item, sizeof item, "\"%s%.*s%s\":%d,", slash, bytes, byte_text, end, id);
        add_string(to, item);
    }
}

static const char MORE_TOKENS[] = "\"th\":512,\"the</w>\":513,\"do\":514,\"<|startoftext|>\":515,"
                                  "\"<|endoftext|>\":516}";

static void write_vocab(const char *members, size_t bytes) {
    text all = { .count = 0 };
    add_string(&all, "{");
    add_byte_tokens(&all);
    add(&all, members, bytes);
    (void)fuzz_file("vocab.json", all.bytes, all.count);
}

static void write_parts(const uint8_t *data, size_t bytes) {
    text all = { .count = 0 };
    add_string(&all, "{");
    add(&all, data, bytes);
    add_string(&all, ",\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"vocab\":{");
    add_byte_tokens(&all);
    add_string(&all, MORE_TOKENS);
    add_string(&all, ",\"merges\":[\"t h\",\"th e</w>\",\"d o\"]}}");
    (void)fuzz_file("tokenizer.json", all.bytes, all.count);
}

/* Ids of a text are inside the vocabulary, between start and end. */
static void use(const ccu_tokenizer *tokenizer) {
    const int32_t size = ccu_tokenizer_vocab_size(tokenizer);
    fuzz_expect(size >= 514, "a vocabulary holds all bytes and two special tokens");
    fuzz_expect(ccu_tokenizer_sot(tokenizer) >= 0 && ccu_tokenizer_sot(tokenizer) < size, "sot");
    fuzz_expect(ccu_tokenizer_eot(tokenizer) >= 0 && ccu_tokenizer_eot(tokenizer) < size, "eot");
    int32_t             ids[77], count = 0;
    clipcu_error        error  = { .code = CLIPCU_OK };
    const clipcu_status status = ccu_tokenize(tokenizer, "The do\xc3\xa9 <|endoftext|> thethe 7",
                                              true, ids, 77, &count, &error);
    fuzz_expect_status(status, &error, NULL);
    if (status != CLIPCU_OK) { return; }
    fuzz_expect(count >= 2 && count <= 77, "a text has a start and an end");
    fuzz_expect(ids[0] == ccu_tokenizer_sot(tokenizer), "a text begins with sot");
    fuzz_expect(ids[count - 1] == ccu_tokenizer_eot(tokenizer), "a text ends with eot");
    for (int32_t i = 0; i < count; i++) { fuzz_expect(ids[i] >= 0 && ids[i] < size, "an id"); }
}

static void open_and_use(clipcu_tokenizer rule) {
    ccu_tokenizer      *tokenizer = NULL;
    clipcu_error        error     = { .code = CLIPCU_OK };
    const clipcu_status status    = ccu_tokenizer_open(fuzz_dir(), rule, &tokenizer, &error);
    fuzz_expect_status(status, &error, fuzz_dir());
    fuzz_expect((status == CLIPCU_OK) == (tokenizer != NULL), "a tokenizer on success only");
    if (status == CLIPCU_OK) { use(tokenizer); }
    ccu_tokenizer_close(tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const char merges[] = "#version: 0.2\nt h\nth e</w>\nd o\n";
    const int         kind     = fuzz_kind("tpmvb", &data, &bytes);
    if (bytes > TEXT_MAX / 2) { return 0; } /* more would only be slower */
    fuzz_clear();
    switch (kind) {
    case 0: (void)fuzz_file("tokenizer.json", data, bytes); break;
    case 1: write_parts(data, bytes); break;
    case 2:
        write_vocab(MORE_TOKENS, strlen(MORE_TOKENS));
        (void)fuzz_file("merges.txt", data, bytes);
        break;
    case 3:
        write_vocab((const char *)data, bytes);
        (void)fuzz_file("merges.txt", merges, strlen(merges));
        break;
    default: (void)fuzz_file("bpe_simple_vocab_16e6.txt.gz", data, bytes); break;
    }
    open_and_use(CLIPCU_TOKENIZER_OPENAI);
    open_and_use(CLIPCU_TOKENIZER_HF_FAST);
    return 0;
}
