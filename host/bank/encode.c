/* Texts -> unit embedding rows; see encode.h. */
#include "bank/encode.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

/* Makes room for one more prompt of up to `context` ids. */
static clipcu_status reserve(ccu_prompt_list *list, int32_t context, clipcu_error *error) {
    if (list->count == list->count_max) {
        const int32_t count_max = list->count_max == 0 ? 256 : 2 * list->count_max;
        if (list->count_max > INT32_MAX / 4) {
            return ccu_fail(error, CLIPCU_ERR_LIMIT, "more than %d texts at once",
                            list->count_max);
        }
        const size_t size  = sizeof *list->first;
        const size_t kept  = list->first == NULL ? 0 : ((size_t)list->count + 1) * size;
        size_t      *first = ccu_realloc(list->first, kept, ((size_t)count_max + 1) * size);
        if (first == NULL) {
            return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d texts", count_max);
        }
        first[list->count] = list->ids_used;
        list->first        = first;
        list->count_max    = count_max;
    }
    if (list->ids_max - list->ids_used < (size_t)context) {
        const size_t ids_max = 2 * list->ids_max + (size_t)context + 1024;
        int32_t     *ids     = ccu_realloc(list->ids, list->ids_used * sizeof *ids,
                                           ids_max * sizeof *ids);
        if (ids == NULL) {
            return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %zu token ids", ids_max);
        }
        list->ids     = ids;
        list->ids_max = ids_max;
    }
    return CLIPCU_OK;
}

clipcu_status ccu_prompt_add(ccu_prompt_list *list, const ccu_text_encoder *encoder,
                             const char *text, clipcu_error *error) {
    const int32_t context = encoder->tower->context;
    int32_t       count   = 0;
    clipcu_status status  = reserve(list, context, error);
    if (status != CLIPCU_OK) { return status; }
    int32_t *ids = list->ids + list->ids_used;
    status = ccu_tokenize(encoder->tokenizer, text, encoder->truncate, ids, context, &count, error);
    if (status != CLIPCU_OK) { return status; }
    assert(count >= 1 && count <= context);

    /* Nothing after the pooled token can influence it: the tower is causal. */
    list->ids_used += (size_t)ccu_text_pool_index(ids, count, encoder->eot_id) + 1;
    list->count++;
    list->first[list->count] = list->ids_used;
    return CLIPCU_OK;
}

clipcu_status ccu_prompt_push(ccu_prompt_list *list, const int32_t *ids, int32_t count,
                              clipcu_error *error) {
    assert(count >= 1);
    const clipcu_status status = reserve(list, count, error);
    if (status != CLIPCU_OK) { return status; }
    memcpy(list->ids + list->ids_used, ids, (size_t)count * sizeof *ids);
    list->ids_used += (size_t)count;
    list->first[++list->count] = list->ids_used;
    return CLIPCU_OK;
}

void ccu_prompt_clear(ccu_prompt_list *list) {
    list->count    = 0;
    list->ids_used = 0;
    if (list->first != NULL) { list->first[0] = 0; }
}

void ccu_prompt_free(ccu_prompt_list *list) {
    ccu_free(list->ids);
    ccu_free(list->first);
    *list = (ccu_prompt_list){0};
}

clipcu_status ccu_encode_prompts(const ccu_text_encoder *encoder, const ccu_prompt_list *list,
                                 ccu_chunk_fn chunk, void *user, clipcu_error *error) {
    const ccu_prompts prompts = {.ids = list->ids, .first = list->first, .count = list->count};
    clipcu_status     status  = CLIPCU_OK;
    if (list->count == 0) { return CLIPCU_OK; }
    int32_t *order = ccu_alloc(2 * (size_t)list->count * sizeof *order);
    if (order == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory to sort %d texts", list->count);
    }
    ccu_trie_sort(&prompts, order, order + list->count);
    for (int32_t from = 0; from < list->count && status == CLIPCU_OK;) {
        const int32_t packed = ccu_text_tower_run(encoder->tower, encoder->be, &prompts, order,
                                                  from);
        status = chunk(user, order + from, packed, encoder->tower->unit, error);
        from += packed;
    }
    ccu_free(order);
    return status;
}

/* Where ccu_encode_list puts its rows. */
typedef struct scatter {
    const ccu_text_encoder *encoder;
    float                  *rows;       /* one chunk, host */
    float                  *embeddings; /* (count, E) */
} scatter;

static clipcu_status scatter_chunk(void *user, const int32_t *order, int32_t count,
                                   const float *unit, clipcu_error *error) {
    const scatter *to    = user;
    ccu_backend   *be    = to->encoder->be;
    const size_t   E     = (size_t)to->encoder->tower->E;
    const size_t   bytes = E * sizeof(float);
    be->ops->download(be, to->rows, unit, (size_t)count * bytes);
    const clipcu_status status = be->ops->finish(be, error);
    if (status != CLIPCU_OK) { return status; }
    for (int32_t i = 0; i < count; i++) {
        memcpy(to->embeddings + (size_t)order[i] * E, to->rows + (size_t)i * E, bytes);
    }
    return CLIPCU_OK;
}

clipcu_status ccu_encode_list(const ccu_text_encoder *encoder, const ccu_prompt_list *list,
                              float *embeddings, clipcu_error *error) {
    const size_t rows = (size_t)encoder->tower->rows_max * (size_t)encoder->tower->E;
    scatter      to   = {.encoder = encoder, .embeddings = embeddings};
    to.rows           = ccu_alloc(rows * sizeof *to.rows);
    if (to.rows == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %zu text embeddings", rows);
    }
    const clipcu_status status = ccu_encode_prompts(encoder, list, scatter_chunk, &to, error);
    ccu_free(to.rows);
    return status;
}

clipcu_status ccu_encode_texts(const ccu_text_encoder *encoder, const char *const *texts,
                               int32_t count, float *embeddings, clipcu_error *error) {
    ccu_prompt_list list   = {0};
    clipcu_status   status = CLIPCU_OK;
    for (int32_t i = 0; i < count && status == CLIPCU_OK; i++) {
        status = ccu_prompt_add(&list, encoder, texts[i], error);
    }
    if (status == CLIPCU_OK) { status = ccu_encode_list(encoder, &list, embeddings, error); }
    ccu_prompt_free(&list);
    return status;
}
