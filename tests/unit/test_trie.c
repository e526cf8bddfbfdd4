/* The token trie against what it should be: as many rows as the prompts have different beginnings,
 * paths that lead from the root to each row, and chunks that stay within their room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "text/trie.h"

#define PROMPTS_MAX 3000
#define LENGTH_MAX 12

/* Prompts in rows of LENGTH_MAX, for the naive side. */
typedef struct fixture {
    int32_t     ids[PROMPTS_MAX * LENGTH_MAX];
    size_t      first[PROMPTS_MAX + 1];
    ccu_prompts prompts;
    int32_t     order[PROMPTS_MAX], scratch[PROMPTS_MAX];
    ccu_trie    trie;
} fixture;

static uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static fixture *fixture_make(int32_t rows_max, size_t path_max, int32_t leaves_max) {
    fixture *f         = calloc(1, sizeof *f);
    f->trie.ids        = calloc((size_t)rows_max, sizeof(int32_t));
    f->trie.at         = calloc((size_t)rows_max, sizeof(int32_t));
    f->trie.path_first = calloc((size_t)rows_max, sizeof(int32_t));
    f->trie.path_count = calloc((size_t)rows_max, sizeof(int32_t));
    f->trie.path       = calloc(path_max, sizeof(int32_t));
    f->trie.leaf       = calloc((size_t)leaves_max, sizeof(int32_t));
    f->trie.rows_max   = rows_max;
    f->trie.path_max   = path_max;
    f->trie.leaves_max = leaves_max;
    f->prompts.ids     = f->ids;
    f->prompts.first   = f->first;
    return f;
}

static void fixture_free(fixture *f) {
    free(f->trie.ids);
    free(f->trie.at);
    free(f->trie.path_first);
    free(f->trie.path_count);
    free(f->trie.path);
    free(f->trie.leaf);
    free(f);
}

static void add_prompt(fixture *f, const int32_t *ids, int32_t length) {
    const size_t at = f->first[f->prompts.count];
    memcpy(f->ids + at, ids, (size_t)length * sizeof *ids);
    f->first[++f->prompts.count] = at + (size_t)length;
}

/* Prompts that start with 7, go on with few different tokens and have lengths 1 .. LENGTH_MAX. */
static void add_random(fixture *f, int32_t count, int32_t alphabet, uint32_t seed) {
    for (int32_t i = 0; i < count; i++) {
        int32_t       ids[LENGTH_MAX] = { 7 };
        const int32_t length          = 1 + (int32_t)(next_random(&seed) % LENGTH_MAX);
        for (int32_t k = 1; k < length; k++) {
            ids[k] = (int32_t)(next_random(&seed) % (uint32_t)alphabet);
        }
        add_prompt(f, ids, length);
    }
}

static int32_t length_of(const fixture *f, int32_t p) {
    return (int32_t)(f->first[p + 1] - f->first[p]);
}

/* True if the first n tokens of prompts a and b are there and equal. */
static bool share(const fixture *f, int32_t a, int32_t b, int32_t n) {
    return length_of(f, a) >= n && length_of(f, b) >= n &&
           memcmp(f->ids + f->first[a], f->ids + f->first[b], (size_t)n * sizeof(int32_t)) == 0;
}

/* Different beginnings among order[from .. to): counted one by one. */
static int32_t count_beginnings(const fixture *f, int32_t from, int32_t to) {
    int32_t count = 0;
    for (int32_t i = from; i < to; i++) {
        for (int32_t n = 1; n <= length_of(f, f->order[i]); n++) {
            bool seen = false;
            for (int32_t k = from; k < i && !seen; k++) {
                seen = share(f, f->order[i], f->order[k], n);
            }
            count += !seen;
        }
    }
    return count;
}

/* True if the chunk that starts at order[from] is right. */
static bool is_right(const fixture *f, int32_t from, int32_t packed) {
    const ccu_trie *t    = &f->trie;
    size_t          used = 0;
    if (t->leaves != packed || t->rows > t->rows_max || t->path_used > t->path_max) {
        return false;
    }
    for (int32_t row = 0; row < t->rows; row++) {
        const int32_t *path = t->path + t->path_first[row];
        if ((size_t)t->path_first[row] != used || t->path_count[row] != t->at[row] + 1) {
            return false;
        }
        used += (size_t)t->path_count[row];
        for (int32_t depth = 0; depth < t->path_count[row]; depth++) {
            if (path[depth] < 0 || path[depth] > row || t->at[path[depth]] != depth) {
                return false;
            }
        }
        if (path[t->at[row]] != row) { return false; }
        /* Preorder: the parent is the row before or one of its ancestors. */
        const int32_t parent = t->at[row] > 0 ? path[t->at[row] - 1] : -1;
        const int32_t above  = row - 1;
        if (parent >= 0 && (t->path_count[above] < t->path_count[parent] ||
                            t->path[t->path_first[above] + t->at[parent]] != parent)) {
            return false;
        }
    }
    if (used != t->path_used) { return false; }
    for (int32_t i = 0; i < packed; i++) {
        const int32_t p = f->order[from + i], leaf = t->leaf[i];
        if (leaf < 0 || leaf >= t->rows || t->path_count[leaf] != length_of(f, p)) { return false; }
        for (int32_t depth = 0; depth < length_of(f, p); depth++) {
            if (t->ids[t->path[t->path_first[leaf] + depth]] !=
                f->ids[f->first[p] + (size_t)depth]) {
                return false;
            }
        }
    }
    return true;
}

/* True if prompt a stands before b, by ids and then by number. */
static bool in_order(const fixture *f, int32_t a, int32_t b) {
    const int32_t *ids_a = f->ids + f->first[a], *ids_b = f->ids + f->first[b];
    for (int32_t n = 0;; n++) {
        if (n == length_of(f, a)) { return length_of(f, b) > n || a < b; }
        if (n == length_of(f, b)) { return false; }
        if (ids_a[n] != ids_b[n]) { return ids_a[n] < ids_b[n]; }
    }
}

static void test_sort(void **state) {
    (void)state;
    for (int32_t count = 0; count <= 40; count++) {
        fixture *f = fixture_make(1, 1, 1);
        add_random(f, count, 3, 17u + (uint32_t)count);
        ccu_trie_sort(&f->prompts, f->order, f->scratch);
        bool there[PROMPTS_MAX] = { false };
        for (int32_t i = 0; i < count; i++) {
            assert_in_range(f->order[i], 0, count - 1);
            assert_false(there[f->order[i]]);
            there[f->order[i]] = true;
            if (i > 0) { assert_true(in_order(f, f->order[i - 1], f->order[i])); }
        }
        fixture_free(f);
    }
    fixture *f = fixture_make(1, 1, 1);
    add_random(f, PROMPTS_MAX, 50, 5);
    ccu_trie_sort(&f->prompts, f->order, f->scratch);
    for (int32_t i = 1; i < PROMPTS_MAX; i++) {
        assert_true(in_order(f, f->order[i - 1], f->order[i]));
    }
    assert_false(in_order(f, f->order[1], f->order[0])); /* the check can fail */
    fixture_free(f);
}

static void test_pack_everything(void **state) {
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        fixture *f = fixture_make(2000, 20000, 200);
        add_random(f, 150, 2 + (int32_t)seed % 4, seed);
        ccu_trie_sort(&f->prompts, f->order, f->scratch);
        assert_int_equal(ccu_trie_pack(&f->prompts, f->order, 0, &f->trie), 150);
        assert_true(is_right(f, 0, 150));
        assert_int_equal(f->trie.rows, count_beginnings(f, 0, 150));
        fixture_free(f);
    }
}

/* Chunks of every size cover all prompts once, each within its room. */
static void test_pack_chunks(void **state) {
    (void)state;
    for (int32_t rows_max = LENGTH_MAX; rows_max < 60; rows_max += 7) {
        for (size_t path_max = 78; path_max < 400; path_max += 61) { /* 78 = 12 * 13 / 2 */
            for (int32_t leaves_max = 1; leaves_max < 30; leaves_max += 9) {
                fixture *f = fixture_make(rows_max, path_max, leaves_max);
                add_random(f, 120, 3, 99);
                ccu_trie_sort(&f->prompts, f->order, f->scratch);
                int32_t from = 0;
                while (from < 120) {
                    const int32_t packed = ccu_trie_pack(&f->prompts, f->order, from, &f->trie);
                    assert_true(packed >= 1);
                    assert_true(is_right(f, from, packed));
                    assert_int_equal(f->trie.rows, count_beginnings(f, from, from + packed));
                    from += packed;
                }
                assert_int_equal(from, 120);
                assert_int_equal(ccu_trie_pack(&f->prompts, f->order, from, &f->trie), 0);
                fixture_free(f);
            }
        }
    }
}

/* A prompt that is a beginning of the next, equal prompts, and exact arrays. */
static void test_small(void **state) {
    (void)state;
    fixture *f = fixture_make(6, 13, 4);
    add_prompt(f, (int32_t[]){ 9, 1, 5, 2 }, 4);
    add_prompt(f, (int32_t[]){ 9, 1 }, 2);
    add_prompt(f, (int32_t[]){ 9, 1, 4 }, 3);
    add_prompt(f, (int32_t[]){ 9, 1 }, 2);
    ccu_trie_sort(&f->prompts, f->order, f->scratch);
    assert_memory_equal(f->order, ((int32_t[]){ 1, 3, 2, 0 }), 4 * sizeof(int32_t));
    assert_int_equal(ccu_trie_pack(&f->prompts, f->order, 0, &f->trie), 4);
    assert_int_equal(f->trie.rows, 5);
    assert_int_equal(f->trie.path_used, 13);
    assert_memory_equal(f->trie.ids, ((int32_t[]){ 9, 1, 4, 5, 2 }), 5 * sizeof(int32_t));
    assert_memory_equal(f->trie.at, ((int32_t[]){ 0, 1, 2, 2, 3 }), 5 * sizeof(int32_t));
    assert_memory_equal(f->trie.leaf, ((int32_t[]){ 1, 1, 2, 4 }), 4 * sizeof(int32_t));
    assert_memory_equal(f->trie.path, ((int32_t[]){ 0, 0, 1, 0, 1, 2, 0, 1, 3, 0, 1, 3, 4 }),
                        13 * sizeof(int32_t));
    assert_true(is_right(f, 0, 4));
    f->trie.path[8] = 2; /* the check sees a wrong ancestor, a wrong leaf and a wrong token */
    assert_false(is_right(f, 0, 4));
    f->trie.path[8] = 3;
    f->trie.leaf[2] = 3;
    assert_false(is_right(f, 0, 4));
    f->trie.leaf[2] = 2;
    f->trie.ids[4]  = 3;
    assert_false(is_right(f, 0, 4));

    f->trie.path_max = 12; /* one entry short: the last prompt stays out */
    assert_int_equal(ccu_trie_pack(&f->prompts, f->order, 0, &f->trie), 3);
    f->trie.path_max = 13;
    f->trie.rows_max = 4;
    assert_int_equal(ccu_trie_pack(&f->prompts, f->order, 0, &f->trie), 3);
    f->trie.rows_max = 3; /* too small for the longest prompt even alone */
    assert_int_equal(ccu_trie_pack(&f->prompts, f->order, 3, &f->trie), 0);
    f->trie.rows_max = 1;
    assert_int_equal(ccu_trie_pack(&f->prompts, f->order, 0, &f->trie), 0);
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_pack_everything),
        cmocka_unit_test(test_pack_chunks),
        cmocka_unit_test(test_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
