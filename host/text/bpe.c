/* Byte-pair encoding; see bpe.h. */
#include "text/bpe.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "text/unicode.h"

#define NO_RANK INT32_MAX
#define SHOWN_MAX 40     /* bytes of a token in a message */
#define STACK_SYMBOLS 64 /* words up to this many bytes need no memory of the heap */

/* As in token_names.c: longer only where somebody chose the pairs so. */
#define PROBES_MAX 1024

/* ---- The table of merges -------------------------------------------------------------------- */

clipcu_status ccu_bpe_init(ccu_bpe *bpe, const char *path, int64_t merges_max,
                           clipcu_error *error) {
    *bpe = (ccu_bpe){ 0 };
    if (merges_max < 1) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: holds no merges", path);
    }
    if (merges_max > CCU_VOCAB_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: %lld merges, at most %d are read", path,
                        (long long)merges_max, CCU_VOCAB_MAX);
    }
    uint32_t slots_count = 1024;
    while (slots_count < 2 * (uint64_t)merges_max) { slots_count *= 2; }
    bpe->slots = ccu_alloc(slots_count * sizeof *bpe->slots);
    if (bpe->slots == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %lld merges", path,
                        (long long)merges_max);
    }
    memset(bpe->slots, 0xff, slots_count * sizeof *bpe->slots); /* left = -1 */
    bpe->slots_count = slots_count;
    return CLIPCU_OK;
}

void ccu_bpe_free(ccu_bpe *bpe) {
    ccu_free(bpe->slots);
    *bpe = (ccu_bpe){ 0 };
}

/* The slot of the pair or the free one it would go to; NULL after too many probes. */
static ccu_bpe_pair *find_slot(const ccu_bpe *bpe, int32_t left, int32_t right) {
    const uint64_t key  = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    const uint64_t hash = key * 0x9e3779b97f4a7c15u;
    const uint32_t mask = bpe->slots_count - 1;
    uint32_t       slot = (uint32_t)(hash >> 40) & mask;
    for (int probe = 0; probe < PROBES_MAX; probe++) {
        ccu_bpe_pair *const pair = &bpe->slots[slot];
        if (pair->left < 0 || (pair->left == left && pair->right == right)) { return pair; }
        slot = (slot + 1) & mask;
    }
    return NULL;
}

/* Writes "merge 17 (i n)" for a message. */
static clipcu_status fail_merge(const ccu_names *names, int32_t rank, const ccu_name *left,
                                const ccu_name *right, const char *fault, clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: merge %d (\"%.*s\" \"%.*s\"): %s", names->path,
                    rank, ccu_utf8_fit(left->text, left->bytes, SHOWN_MAX), left->text,
                    ccu_utf8_fit(right->text, right->bytes, SHOWN_MAX), right->text, fault);
}

clipcu_status ccu_bpe_add(ccu_bpe *bpe, const ccu_names *names, const ccu_name *left,
                          const ccu_name *right, clipcu_error *error) {
    assert(2 * (uint64_t)bpe->count < bpe->slots_count);
    const ccu_bpe_pair pair = {
        .left   = ccu_names_find(names, left->text, left->bytes, "", 0),
        .right  = ccu_names_find(names, right->text, right->bytes, "", 0),
        .rank   = bpe->count,
        .merged = ccu_names_find(names, left->text, left->bytes, right->text, right->bytes),
    };
    if (pair.left < 0 || pair.right < 0) {
        return fail_merge(names, pair.rank, left, right,
                          pair.left < 0 ? "the first is no token" : "the second is no token",
                          error);
    }
    if (pair.merged < 0) {
        return fail_merge(names, pair.rank, left, right, "what they make is no token", error);
    }
    ccu_bpe_pair *slot = find_slot(bpe, pair.left, pair.right);
    if (slot == NULL || slot->left >= 0) {
        return fail_merge(names, pair.rank, left, right,
                          slot == NULL ? "too many hash collisions" : "the pair stands twice",
                          error);
    }
    *slot = pair;
    bpe->count++;
    return CLIPCU_OK;
}

/* ---- The byte alphabet ---------------------------------------------------------------------- */

static bool byte_prints(int32_t byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

size_t ccu_bpe_byte_text(int32_t byte, char *out) {
    assert(byte >= 0);
    assert(byte <= 0xff);
    int32_t code = byte;
    if (!byte_prints(byte)) { /* the 68 others, in increasing order, from U+0100 on */
        if (byte <= 0x20) {
            code = 0x100 + byte;
        } else {
            code = byte == 0xad ? 0x143 : 0x121 + byte - 0x7f;
        }
    }
    return ccu_utf8_encode(code, (uint8_t *)out);
}

clipcu_status ccu_bpe_set_bytes(ccu_bpe *bpe, const ccu_names *names, clipcu_error *error) {
    for (int32_t byte = 0; byte < 256; byte++) {
        char         text[4];
        const size_t bytes = ccu_bpe_byte_text(byte, text);
        bpe->inner[byte]   = ccu_names_find(names, text, bytes, "", 0);
        bpe->last[byte]    = ccu_names_find(names, text, bytes, "</w>", 4);
        if (bpe->inner[byte] < 0 || bpe->last[byte] < 0) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: byte 0x%02x has no token \"%.*s%s\"",
                            names->path, (unsigned)byte, (int)bytes, text,
                            bpe->inner[byte] < 0 ? "" : "</w>");
        }
    }
    return CLIPCU_OK;
}

/* ---- Decoding ------------------------------------------------------------------------------- */

static int32_t byte_of(const int32_t tokens[256], int32_t id) {
    for (int32_t byte = 0; byte < 256; byte++) {
        if (tokens[byte] == id) { return byte; }
    }
    return -1;
}

static const ccu_bpe_pair *pair_of(const ccu_bpe *bpe, int32_t id) {
    for (uint32_t i = 0; i < bpe->slots_count; i++) {
        if (bpe->slots[i].left >= 0 && bpe->slots[i].merged == id) { return &bpe->slots[i]; }
    }
    return NULL;
}

bool ccu_bpe_text(const ccu_bpe *bpe, int32_t id, char *out, size_t out_bytes, bool *ends_word) {
    int32_t parts[STACK_SYMBOLS] = { id }, count = 1; /* to be taken apart, the next one last */
    size_t  at                   = 0;
    assert(out_bytes > 0);
    *ends_word = false;
    while (count > 0) {
        const int32_t part  = parts[--count];
        const int32_t last  = byte_of(bpe->last, part);
        const int32_t byte  = last >= 0 ? last : byte_of(bpe->inner, part);
        const ccu_bpe_pair *pair = byte >= 0 ? NULL : pair_of(bpe, part);
        if (byte >= 0) {
            *ends_word = last >= 0;
            if (at + 1 < out_bytes) { out[at++] = (char)byte; }
        } else if (pair != NULL && count + 2 <= STACK_SYMBOLS) {
            parts[count++] = pair->right;
            parts[count++] = pair->left;
        } else {
            return false;
        }
    }
    out[at] = '\0';
    return true;
}

/* ---- Encoding ------------------------------------------------------------------------------- */

/* A symbol of the word, in a list so that a merge costs the same at any length. */
typedef struct symbol {
    int32_t id;         /* token; -1: merged into the one before */
    int32_t next, prev; /* index, -1 at the ends */
    int32_t rank;       /* of the pair with the next symbol; NO_RANK: none */
} symbol;

/* Candidate merges, lowest rank first, then leftmost: rank << 32 | symbol, in a binary heap.
 * Entries whose symbol has another rank by now are stale and skipped when they come up. */
typedef struct merge_heap {
    uint64_t *items; /* (3 * symbols) each merge adds two at most */
    size_t    count;
} merge_heap;

static void heap_push(merge_heap *heap, uint64_t item) {
    size_t at = heap->count++;
    while (at > 0 && heap->items[(at - 1) / 2] > item) {
        heap->items[at] = heap->items[(at - 1) / 2];
        at              = (at - 1) / 2;
    }
    heap->items[at] = item;
}

static uint64_t heap_pop(merge_heap *heap) {
    assert(heap->count > 0);
    const uint64_t top  = heap->items[0];
    const uint64_t item = heap->items[--heap->count];
    size_t         at   = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count) { break; }
        if (child + 1 < heap->count && heap->items[child + 1] < heap->items[child]) { child++; }
        if (heap->items[child] >= item) { break; }
        heap->items[at] = heap->items[child];
        at              = child;
    }
    heap->items[at] = item;
    return top;
}

typedef struct encoder {
    const ccu_bpe *bpe;
    symbol        *symbols; /* (count) */
    int32_t        count;
    merge_heap     heap;
    uint64_t      *waiting; /* (2 * count) pairs to push when the rank at hand is done */
    size_t         waiting_count;
} encoder;

/* Sets the rank of symbol at with its next; returns whether there is one. */
static bool rank_pair(encoder *e, int32_t at) {
    symbol *const s = &e->symbols[at];
    s->rank         = NO_RANK;
    if (s->next < 0) { return false; }
    const ccu_bpe_pair *pair = find_slot(e->bpe, s->id, e->symbols[s->next].id);
    if (pair != NULL && pair->left >= 0) { s->rank = pair->rank; }
    return s->rank != NO_RANK;
}

static uint64_t heap_key(const encoder *e, int32_t at) {
    return (uint64_t)(uint32_t)e->symbols[at].rank << 32 | (uint32_t)at;
}

/* Joins the symbol with its next and puts the two pairs this changes on the waiting list. */
static void merge_at(encoder *e, int32_t at) {
    symbol *const s    = &e->symbols[at];
    symbol *const gone = &e->symbols[s->next];
    s->id              = find_slot(e->bpe, s->id, gone->id)->merged;
    s->next            = gone->next;
    gone->id           = -1;
    if (s->next >= 0) { e->symbols[s->next].prev = at; }
    if (s->prev >= 0 && rank_pair(e, s->prev)) {
        e->waiting[e->waiting_count++] = heap_key(e, s->prev);
    }
    if (rank_pair(e, at)) { e->waiting[e->waiting_count++] = heap_key(e, at); }
}

static void push_waiting(encoder *e) {
    for (size_t i = 0; i < e->waiting_count; i++) { heap_push(&e->heap, e->waiting[i]); }
    e->waiting_count = 0;
}

static void merge_all(encoder *e, ccu_bpe_order order) {
    for (int32_t at = 0; at < e->count; at++) {
        if (rank_pair(e, at)) { heap_push(&e->heap, heap_key(e, at)); }
    }
    while (e->heap.count > 0 || e->waiting_count > 0) {
        if (e->heap.count == 0) { push_waiting(e); }
        const uint64_t key  = heap_pop(&e->heap);
        const int32_t  at   = (int32_t)(key & 0xffffffffu);
        const int32_t  rank = (int32_t)(key >> 32);
        if (e->symbols[at].id >= 0 && e->symbols[at].rank == rank) { merge_at(e, at); }
        const bool more = e->heap.count > 0 && (int32_t)(e->heap.items[0] >> 32) == rank;
        if (order == CCU_BPE_ONE_BY_ONE || !more) { push_waiting(e); }
    }
}

void ccu_ids_push(ccu_ids *ids, int32_t id) {
    if (ids->count < ids->max) { ids->items[ids->count] = id; }
    ids->count++;
}

static void encode_word(encoder *e, ccu_bpe_order order, const uint8_t *word, ccu_ids *ids) {
    const int32_t end = e->count - 1;
    for (int32_t i = 0; i <= end; i++) {
        e->symbols[i] = (symbol){
            .id   = i < end ? e->bpe->inner[word[i]] : e->bpe->last[word[i]],
            .prev = i - 1,
            .next = i < end ? i + 1 : -1,
        };
    }
    merge_all(e, order);
    for (int32_t at = 0; at >= 0; at = e->symbols[at].next) {
        ccu_ids_push(ids, e->symbols[at].id);
    }
}

clipcu_status ccu_bpe_encode(const ccu_bpe *bpe, ccu_bpe_order order, const uint8_t *word,
                             size_t bytes, ccu_ids *ids, clipcu_error *error) {
    assert(bytes > 0);
    assert(bytes <= INT32_MAX / 8);
    symbol    stack_symbols[STACK_SYMBOLS];
    uint64_t  stack_keys[5 * STACK_SYMBOLS]; /* heap 3, waiting 2 */
    encoder   e     = { .bpe = bpe, .count = (int32_t)bytes };
    symbol   *large = NULL;
    uint64_t *keys  = stack_keys;
    e.symbols       = stack_symbols;
    if (bytes > STACK_SYMBOLS) {
        large = ccu_alloc(bytes * (sizeof(symbol) + 5 * sizeof(uint64_t)));
        if (large == NULL) {
            return ccu_fail(error, CLIPCU_ERR_NOMEM, "text: no memory for a word of %zu bytes",
                            bytes);
        }
        e.symbols = large;
        keys      = (uint64_t *)(large + bytes);
    }
    e.heap.items = keys;
    e.waiting    = keys + 3 * bytes;
    encode_word(&e, order, word, ids);
    ccu_free(large);
    return CLIPCU_OK;
}
