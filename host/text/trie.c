/* Prompts packed as a token trie; see trie.h. */
#include "text/trie.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

static int32_t length_of(const ccu_prompts *prompts, int32_t p) {
    assert(prompts->first[p + 1] > prompts->first[p]);
    return (int32_t)(prompts->first[p + 1] - prompts->first[p]);
}

/* Tokens that the beginnings of prompts a and b share. */
static int32_t shared_length(const ccu_prompts *prompts, int32_t a, int32_t b) {
    const int32_t *ids_a = prompts->ids + prompts->first[a];
    const int32_t *ids_b = prompts->ids + prompts->first[b];
    const int32_t  max_a = length_of(prompts, a), max_b = length_of(prompts, b);
    int32_t        n = 0;
    while (n < max_a && n < max_b && ids_a[n] == ids_b[n]) { n++; }
    return n;
}

/* True if prompt b stands strictly before prompt a: by ids, a beginning before what extends it. */
static bool is_before(const ccu_prompts *prompts, int32_t b, int32_t a) {
    const int32_t  n     = shared_length(prompts, a, b);
    const int32_t  max_a = length_of(prompts, a), max_b = length_of(prompts, b);
    const int32_t *ids_a = prompts->ids + prompts->first[a];
    const int32_t *ids_b = prompts->ids + prompts->first[b];
    if (n == max_a || n == max_b) { return max_b < max_a; }
    return ids_b[n] < ids_a[n];
}

/* Merges from[low .. middle) and from[middle .. high) into `to`. Equal prompts keep their order. */
static void merge_runs(const ccu_prompts *prompts, const int32_t *from, int32_t *to, size_t low,
                       size_t middle, size_t high) {
    size_t left = low, right = middle;
    for (size_t at = low; at < high; at++) {
        const bool take_right = left == middle ||
                                (right < high && is_before(prompts, from[right], from[left]));
        to[at] = take_right ? from[right++] : from[left++];
    }
}

void ccu_trie_sort(const ccu_prompts *prompts, int32_t *order, int32_t *scratch) {
    assert(prompts->count >= 0);
    const size_t count = (size_t)prompts->count;
    int32_t     *from = order, *to = scratch;
    for (size_t i = 0; i < count; i++) { order[i] = (int32_t)i; }
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t low = 0; low < count; low += 2 * width) {
            const size_t middle = low + width < count ? low + width : count;
            const size_t high   = middle + width < count ? middle + width : count;
            merge_runs(prompts, from, to, low, middle, high);
        }
        int32_t *const other = from;
        from                 = to;
        to                   = other;
    }
    if (from != order) { memcpy(order, from, count * sizeof *order); }
}

int64_t ccu_trie_rows(const ccu_prompts *prompts, const int32_t *order) {
    int64_t rows = 0;
    for (int32_t i = 0; i < prompts->count; i++) {
        rows += length_of(prompts, order[i]);
        if (i > 0) { rows -= shared_length(prompts, order[i - 1], order[i]); }
    }
    return rows;
}

/* Adds token number depth of a prompt as a child of row parent (-1 at depth 0). */
static int32_t add_row(ccu_trie *trie, int32_t id, int32_t depth, int32_t parent) {
    const int32_t row     = trie->rows++;
    int32_t      *path    = trie->path + trie->path_used; /* (depth + 1) */
    trie->ids[row]        = id;
    trie->at[row]         = depth;
    trie->path_first[row] = (int32_t)trie->path_used;
    trie->path_count[row] = depth + 1;
    if (parent >= 0) {
        memcpy(path, trie->path + trie->path_first[parent], (size_t)depth * sizeof *path);
    }
    path[depth] = row;
    trie->path_used += (size_t)depth + 1;
    return row;
}

/* Path entries of the rows at depths from .. to - 1: the sum of depth + 1. */
static size_t path_cost(int32_t from, int32_t to) {
    const size_t a = (size_t)from, b = (size_t)to;
    return b * (b + 1) / 2 - a * (a + 1) / 2;
}

int32_t ccu_trie_pack(const ccu_prompts *prompts, const int32_t *order, int32_t from,
                      ccu_trie *trie) {
    assert(from >= 0);
    assert(from <= prompts->count);
    trie->rows = trie->leaves = 0;
    trie->path_used           = 0;
    /* path_first holds offsets into path as int32_t. */
    const size_t path_max = trie->path_max < INT32_MAX ? trie->path_max : INT32_MAX;
    for (int32_t i = from; i < prompts->count && trie->leaves < trie->leaves_max; i++) {
        const int32_t  p      = order[i];
        const int32_t  length = length_of(prompts, p);
        const int32_t *ids    = prompts->ids + prompts->first[p];
        const int32_t  shared = i == from ? 0 : shared_length(prompts, order[i - 1], p);
        if (length - shared > trie->rows_max - trie->rows ||
            path_cost(shared, length) > path_max - trie->path_used) {
            break;
        }
        /* The shared rows are the beginning of the path to the prompt before. */
        int32_t row = -1;
        if (shared > 0) {
            const int32_t before = trie->leaf[trie->leaves - 1];
            row                  = trie->path[trie->path_first[before] + shared - 1];
        }
        for (int32_t depth = shared; depth < length; depth++) {
            row = add_row(trie, ids[depth], depth, row);
        }
        trie->leaf[trie->leaves++] = row;
    }
    return trie->leaves;
}
