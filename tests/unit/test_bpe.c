/* Byte-pair encoding against the plain algorithm; token names; cutting into words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/text_files.h"
#include "text/bpe.h"
#include "text/split.h"
#include "text/vocab.h"

static uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void open_small(ccu_vocab *vocab) {
    char         path[1024];
    clipcu_error error = { 0 };
    text_data_path(path, CLIPCU_SOURCE_DIR, "small");
    if (ccu_vocab_open(path, vocab, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
}

/* ---- The plain algorithm -------------------------------------------------------------------- */

/* The merge of two tokens, looked for one by one; NULL if there is none. */
static const ccu_bpe_pair *find_pair(const ccu_bpe *bpe, int32_t left, int32_t right) {
    for (uint32_t i = 0; i < bpe->slots_count; i++) {
        const ccu_bpe_pair *pair = &bpe->slots[i];
        if (pair->left == left && pair->right == right) { return pair; }
    }
    return NULL;
}

/* Ids of a word by the definition in each order's source: look at all pairs, merge the lowest
 * rank, everywhere (OpenAI) or at its first place (Hugging Face), and look again. */
static int32_t encode_plainly(const ccu_bpe *bpe, ccu_bpe_order order, const uint8_t *word,
                              int32_t count, int32_t *ids) {
    for (int32_t i = 0; i < count; i++) {
        ids[i] = i + 1 < count ? bpe->inner[word[i]] : bpe->last[word[i]];
    }
    for (;;) {
        const ccu_bpe_pair *best = NULL;
        for (int32_t i = 0; i + 1 < count; i++) {
            const ccu_bpe_pair *pair = find_pair(bpe, ids[i], ids[i + 1]);
            if (pair != NULL && (best == NULL || pair->rank < best->rank)) { best = pair; }
        }
        if (best == NULL) { return count; }
        int32_t to   = 0;
        bool    done = false;
        for (int32_t i = 0; i < count; i++) {
            if (!done && i + 1 < count && ids[i] == best->left && ids[i + 1] == best->right) {
                ids[to++] = best->merged;
                i++;
                done = order == CCU_BPE_ONE_BY_ONE;
            } else {
                ids[to++] = ids[i];
            }
        }
        count = to;
    }
}

/* True if the library with bpe and the plain way with plain_bpe give the same ids. */
static bool agrees(const ccu_bpe *bpe, const ccu_bpe *plain_bpe, ccu_bpe_order order,
                   const uint8_t *word, int32_t bytes) {
    int32_t found[256], wanted[256];
    ccu_ids ids = { .items = found, .max = 256 };
    assert_int_equal(ccu_bpe_encode(bpe, order, word, (size_t)bytes, &ids, NULL), CLIPCU_OK);
    const int32_t count = encode_plainly(plain_bpe, order, word, bytes, wanted);
    return ids.count == count && memcmp(found, wanted, (size_t)count * sizeof *found) == 0;
}

/* ---- A vocabulary for one test -------------------------------------------------------------- */

/* Letters a .. e as bytes (alone and last) and merges written as "l r" strings. The table of 1024
 * slots makes the plain search cheap. */
typedef struct toy {
    ccu_names names;
    ccu_bpe   bpe;
    char      texts[64][16];
    int32_t   count;
} toy;

static void toy_name(toy *t, const char *text) {
    (void)snprintf(t->texts[t->count], 16, "%s", text);
    assert_int_equal(ccu_names_add(&t->names, t->texts[t->count], strlen(text), t->count, NULL),
                     CLIPCU_OK);
    t->count++;
}

static void toy_make(toy *t, const char *const *merges, int count) {
    memset(t, 0, sizeof *t);
    assert_int_equal(ccu_names_init(&t->names, "toy", 64, NULL), CLIPCU_OK);
    assert_int_equal(ccu_bpe_init(&t->bpe, "toy", count, NULL), CLIPCU_OK);
    for (char c = 'a'; c <= 'e'; c++) {
        char text[8];
        (void)snprintf(text, sizeof text, "%c", c);
        t->bpe.inner[(uint8_t)c] = t->count;
        toy_name(t, text);
        (void)snprintf(text, sizeof text, "%c</w>", c);
        t->bpe.last[(uint8_t)c] = t->count;
        toy_name(t, text);
    }
    for (int i = 0; i < 2 * count; i++) { /* names first: a merge may use what a later one makes */
        ccu_name          left, right;
        char              joined[32];
        const char *const merge = merges[i % count];
        assert_true(ccu_vocab_part(merge, strlen(merge), &left, &right));
        (void)snprintf(joined, sizeof joined, "%.*s%.*s", (int)left.bytes, left.text,
                       (int)right.bytes, right.text);
        if (ccu_names_find(&t->names, joined, strlen(joined), "", 0) < 0) { toy_name(t, joined); }
        if (i >= count) {
            assert_int_equal(ccu_bpe_add(&t->bpe, &t->names, &left, &right, NULL), CLIPCU_OK);
        }
    }
}

static void toy_free(toy *t) {
    ccu_names_free(&t->names);
    ccu_bpe_free(&t->bpe);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

/* Ids of the alphabet in CLIP's layout, by the formula. */
static void test_alphabet(void **state) {
    (void)state;
    ccu_vocab vocab;
    open_small(&vocab);
    for (int32_t b = 0; b < 256; b++) {
        int32_t id = 255;
        if (b <= 0x20) {
            id = 188 + b;
        } else if (b <= 0x7e) {
            id = b - 0x21;
        } else if (b <= 0xa0) {
            id = 221 + b - 0x7f;
        } else if (b <= 0xac) {
            id = 94 + b - 0xa1;
        } else if (b >= 0xae) {
            id = 106 + b - 0xae;
        }
        assert_int_equal(vocab.bpe.inner[b], id);
        assert_int_equal(vocab.bpe.last[b], id + 256);
    }
    assert_int_equal(vocab.size, 1514);
    assert_int_equal(vocab.sot, 1512);
    assert_int_equal(vocab.eot, 1513);
    ccu_vocab_close(&vocab);
    ccu_vocab_close(&vocab);
}

static void test_random_words(void **state) {
    (void)state;
    ccu_vocab vocab;
    uint32_t  seed = 4242;
    open_small(&vocab);
    for (int i = 0; i < 600; i++) {
        uint8_t       word[96];
        const int32_t bytes = 1 + (int32_t)(next_random(&seed) % (i % 10 == 0 ? 90 : 14));
        for (int32_t k = 0; k < bytes; k++) {
            word[k] = (uint8_t) "etaoinshrdlu"[next_random(&seed) % 12];
        }
        assert_true(agrees(&vocab.bpe, &vocab.bpe, CCU_BPE_ALL_OF_RANK, word, bytes));
        assert_true(agrees(&vocab.bpe, &vocab.bpe, CCU_BPE_ONE_BY_ONE, word, bytes));
    }
    ccu_vocab_close(&vocab);
}

/* Merges whose tokens a later merge makes: here the two orders differ, each as its source does. */
static void test_orders_differ(void **state) {
    (void)state;
    static const char *const merges[] = { "abc ab", "a b", "ab c", "abc abc", "c a" };
    toy                      t;
    toy_make(&t, merges, 5);
    uint32_t seed   = 7;
    int      differ = 0;
    for (int i = 0; i < 3000; i++) {
        uint8_t       word[40];
        const int32_t bytes = 1 + (int32_t)(next_random(&seed) % 30);
        for (int32_t k = 0; k < bytes; k++) { word[k] = (uint8_t) "abcd"[next_random(&seed) % 4]; }
        assert_true(agrees(&t.bpe, &t.bpe, CCU_BPE_ALL_OF_RANK, word, bytes));
        assert_true(agrees(&t.bpe, &t.bpe, CCU_BPE_ONE_BY_ONE, word, bytes));
        int32_t       one[40], all[40];
        const int32_t ones = encode_plainly(&t.bpe, CCU_BPE_ONE_BY_ONE, word, bytes, one);
        const int32_t alls = encode_plainly(&t.bpe, CCU_BPE_ALL_OF_RANK, word, bytes, all);
        differ += ones != alls || memcmp(one, all, (size_t)ones * sizeof *one) != 0;
    }
    print_message("orders differ for %d of 3000 words\n", differ);
    assert_true(differ > 0);
    ccu_bpe other   = t.bpe; /* the comparison can fail */
    other.last['d'] = t.bpe.last['e'];
    assert_false(agrees(&t.bpe, &other, CCU_BPE_ONE_BY_ONE, (const uint8_t *)"d", 1));
    toy_free(&t);
}

/* A million equal letters; with "aa" merging it is 19 generations of merges. */
static void test_long_word(void **state) {
    (void)state;
    static const char *const merges[] = { "a a", "aa aa", "aaaa aaaa" };
    toy                      t;
    toy_make(&t, merges, 3);
    const size_t bytes = 1000000;
    uint8_t     *word  = malloc(bytes);
    memset(word, 'a', bytes);
    int32_t       items[4];
    ccu_ids       ids   = { .items = items, .max = 4 };
    const clock_t start = clock();
    assert_int_equal(ccu_bpe_encode(&t.bpe, CCU_BPE_ALL_OF_RANK, word, bytes, &ids, NULL),
                     CLIPCU_OK);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 10.0);
    /* 999,999 letters make 124,999 eights, a four, a two and a one; the last one has </w>. */
    assert_int_equal(ids.count, 124999 + 1 + 1 + 1 + 1);
    free(word);
    toy_free(&t);
}

static void test_ids_overflow(void **state) {
    (void)state;
    int32_t items[2] = { 0, 0 };
    ccu_ids ids      = { .items = items, .max = 1 };
    ccu_ids_push(&ids, 5);
    ccu_ids_push(&ids, 6);
    assert_int_equal(items[0], 5);
    assert_int_equal(items[1], 0);
    assert_int_equal(ids.count, 2);
}

static void test_names(void **state) {
    (void)state;
    ccu_names    names;
    clipcu_error error = { 0 };
    assert_int_equal(ccu_names_init(&names, "v", 0, &error), CLIPCU_ERR_FORMAT);
    assert_int_equal(ccu_names_init(&names, "v", CCU_VOCAB_MAX + 1, NULL), CLIPCU_ERR_LIMIT);
    assert_int_equal(ccu_names_init(&names, "v", 3, NULL), CLIPCU_OK);
    assert_int_equal(ccu_names_add(&names, "ab", 2, 2, NULL), CLIPCU_OK);
    assert_int_equal(ccu_names_find(&names, "a", 1, "b", 1), 2);
    assert_int_equal(ccu_names_find(&names, "ab", 2, "", 0), 2);
    assert_int_equal(ccu_names_find(&names, "a", 1, "", 0), -1);
    static const struct {
        const char *text;
        int32_t     id;
        const char *message;
    } wrong[] = {
        { "x", 3, "has id 3, expected 0 .. 2" },
        { "x", -1, "has id -1" },
        { "x", 2, "both have id 2" },
        { "ab", 0, "stands twice, as 2 and 0" },
    };
    for (size_t i = 0; i < 4; i++) {
        error = (clipcu_error){ 0 };
        assert_int_equal(
            ccu_names_add(&names, wrong[i].text, strlen(wrong[i].text), wrong[i].id, &error),
            CLIPCU_ERR_FORMAT);
        assert_non_null(strstr(error.text, wrong[i].message));
    }
    error = (clipcu_error){ 0 };
    assert_int_equal(ccu_names_check_dense(&names, &error), CLIPCU_ERR_FORMAT);
    assert_non_null(strstr(error.text, "none has id 0"));
    assert_int_equal(ccu_names_add(&names, "c", 1, 0, NULL), CLIPCU_OK);
    assert_int_equal(ccu_names_add(&names, "d", 1, 1, NULL), CLIPCU_OK);
    assert_int_equal(ccu_names_check_dense(&names, NULL), CLIPCU_OK);
    ccu_names_free(&names);
    ccu_names_free(&names);
}

/* Words joined by "|", special tokens as "S" and "E". */
static bool splits_to(ccu_split_rule rule, const char *text, const char *wanted) {
    char      found[256] = "";
    size_t    at         = 0;
    ccu_split split      = { .text = (const uint8_t *)text, .bytes = strlen(text), .rule = rule };
    ccu_word  word;
    while (ccu_split_next(&split, &word)) {
        const char *shown = word.kind == CCU_WORD_SOT ? "S" : "E";
        const int   bytes = word.kind == CCU_WORD_TEXT ? (int)word.bytes : 1;
        if (word.kind == CCU_WORD_TEXT) { shown = (const char *)word.text; }
        at += (size_t)snprintf(found + at, sizeof found - at, "%.*s ", bytes, shown);
    }
    if (at > 0) { found[at - 1] = '\0'; }
    return strcmp(found, wanted) == 0;
}

static void test_split(void **state) {
    (void)state;
    static const struct {
        const char *text, *openai, *hf, *older;
    } rows[] = {
        { "", "", "", "" },
        { " a  photo ", "a photo", "a photo", "a photo" },
        { "it's don't 'twas 's", "it 's don 't 't was 's", "it 's don 't 't was 's",
          "it 's don 't 't was 's" },
        { "i'llbe '' ''s !'s", "i 'll be '' '' s !' s", "i 'll be '' '' s !' s",
          "i 'll be '' '' s !' s" },
        { "20\u00bdx3", "2 0 \u00bd x 3", "2 0 \u00bd x 3", "2 0 \u00bd x 3" },
        { "a_b-c...", "a _ b - c ...", "a _ b - c ...", "a _ b - c ..." },
        { "'\u017f a'\u017f", "'\u017f a '\u017f", "' \u017f a ' \u017f", "' \u017f a ' \u017f" },
        { "e\u0301\u0345\u0301", "e \u0301 \u0301", "e \u0301\u0345\u0301",
          "e \u0301\u0345\u0301" },
        { "<|startoftext|>x<|endoftext|>!", "S x E !", "<| startoftext |> x <| endoftext |> !",
          "<| startoftext |> x <| endoftext |>!" },
        { "!<|endoftext|>", "!<| endoftext |>", "!<| endoftext |>", "!<| endoftext |>" },
        { "<|\u017ftartoftext|>!", "<|\u017ftartoftext|> !", "<| \u017ftartoftext |>!",
          "<| \u017ftartoftext |>!" },
        { "<|endoftext|", "<| endoftext |", "<| endoftext |", "<| endoftext |" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(splits_to(CCU_SPLIT_OPENAI, rows[i].text, rows[i].openai));
        assert_true(splits_to(CCU_SPLIT_HF, rows[i].text, rows[i].hf));
        assert_true(splits_to(CCU_SPLIT_HF_OLDER, rows[i].text, rows[i].older));
    }
    assert_false(splits_to(CCU_SPLIT_OPENAI, "ab", "a b"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alphabet),      cmocka_unit_test(test_random_words),
        cmocka_unit_test(test_orders_differ), cmocka_unit_test(test_long_word),
        cmocka_unit_test(test_ids_overflow),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
