/* Prompts packed as a token trie. CLIP's text tower is causal and pools at the end token, so a
 * beginning that many prompts share is computed once, and nothing after the end token at all:
 * exact, and several times less work than padding to the context length. */
#ifndef CCU_TEXT_TRIE_H
#define CCU_TEXT_TRIE_H

#include "base/status.h"

/* Token ids of many prompts, one after another. Prompt p is ids[first[p]] .. ids[first[p+1]-1]
 * and ends at the token that is pooled. */
typedef struct ccu_prompts {
    const int32_t *ids;
    const size_t  *first; /* (count + 1) */
    int32_t        count;
} ccu_prompts;

/* One packed chunk; rows in preorder, a parent before its children. All arrays are the caller's. */
typedef struct ccu_trie {
    int32_t *ids;        /* (rows_max) token */
    int32_t *at;         /* (rows_max) position = depth */
    int32_t *path_first; /* (rows_max) offset into path */
    int32_t *path_count; /* (rows_max) depth + 1 */
    int32_t *path;       /* (path_max) rows from the root to the row itself */
    int32_t *leaf;       /* (leaves_max) row of the pooled token of each packed prompt */
    int32_t  rows_max, leaves_max;
    size_t   path_max;
    int32_t  rows, leaves; /* filled */
    size_t   path_used;
} ccu_trie;

/* Sorts prompt numbers 0 .. count-1 into order (count), so that prompts with a common beginning
 * stand together. Lexicographic by ids, ties by number: deterministic. scratch (count). */
void ccu_trie_sort(const ccu_prompts *prompts, int32_t *order, int32_t *scratch);

/* Rows of one trie that holds all prompts; order is sorted. */
int64_t ccu_trie_rows(const ccu_prompts *prompts, const int32_t *order);

/* Packs prompts order[from], order[from+1], ... until one does not fit; leaf[i] belongs to
 * order[from+i]. Returns how many were packed: at least 1 when rows_max and path_max hold the
 * longest prompt (path_max >= length * (length + 1) / 2). Equal prompts share their rows. */
int32_t ccu_trie_pack(const ccu_prompts *prompts, const int32_t *order, int32_t from,
                      ccu_trie *trie);

#endif
