/* Where context vectors stand in a prompt; see layout.h. */
#include "prompt/layout.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

/* Token ids of a text in host memory that the caller frees; start and end token included, cut
 * after the pooled one. */
static clipcu_status tokenize(const ccu_text_encoder *encoder, const char *text, int32_t **ids,
                              int32_t *count, clipcu_error *error) {
    const int32_t context = encoder->tower->context;
    *ids = ccu_alloc((size_t)context * sizeof **ids);
    if (*ids == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a class name"); }
    const clipcu_status status = ccu_tokenize(encoder->tokenizer, text, false, *ids, context, count,
                                              error);
    if (status == CLIPCU_OK) {
        *count = ccu_text_pool_index(*ids, *count, encoder->eot_id) + 1;
    }
    return status;
}

/* The name as the prompt has it: underscores as blanks, with a full stop or without. NULL: out of
 * memory. */
static char *spelled(const char *name, const char *stop) {
    const size_t length = strlen(name);
    char        *text   = ccu_alloc(length + strlen(stop) + 1);
    if (text == NULL) { return NULL; }
    for (size_t i = 0; i < length; i++) { text[i] = (char)(name[i] == '_' ? ' ' : name[i]); }
    memcpy(text + length, stop, strlen(stop) + 1);
    return text;
}

/* Puts the pieces together. ids (count): start, name, full stop, end; name: its tokens. */
static void arrange(const int32_t *ids, int32_t count, int32_t name, clipcu_position position,
                    int32_t M, int32_t first, int32_t *out) {
    const int32_t before = position == CLIPCU_POSITION_END      ? M
                           : position == CLIPCU_POSITION_MIDDLE ? M / 2
                                                             : 0;
    const int32_t middle = position == CLIPCU_POSITION_END ? count - 1 : name;
    int32_t       at     = 0;
    out[at++]            = ids[0];
    for (int32_t m = 0; m < before; m++) { out[at++] = first + m; }
    for (int32_t i = 1; i <= middle; i++) { out[at++] = ids[i]; }
    for (int32_t m = before; m < M; m++) { out[at++] = first + m; }
    for (int32_t i = middle + 1; i < count; i++) { out[at++] = ids[i]; }
    assert(at == count + M);
}

static clipcu_status add(ccu_prompt_list *list, const ccu_text_encoder *encoder, const char *name,
                         const int32_t *ids, int32_t count, int32_t name_count,
                         clipcu_position position, int32_t M, int32_t first, clipcu_error *error) {
    const int32_t context = encoder->tower->context;
    if (name_count < 1 || name_count > count - 2) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "class name \"%.100s\" has no tokens of its own", name);
    }
    if (count + M > context) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT,
                        "class name \"%.100s\": %d tokens and %d context vectors, the context has "
                        "room for %d",
                        name, count, M, context);
    }
    int32_t *out = ccu_alloc((size_t)(count + M) * sizeof *out);
    if (out == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a prompt"); }
    arrange(ids, count, name_count, position, M, encoder->tower->vocab + first, out);
    const clipcu_status status = ccu_prompt_push(list, out, count + M, error);
    ccu_free(out);
    return status;
}

clipcu_status ccu_layout_add(ccu_prompt_list *list, const ccu_text_encoder *encoder,
                             const char *name, clipcu_position position, int32_t M,
                             int32_t context_first, clipcu_error *error) {
    int32_t *ids = NULL, *bare_ids = NULL;
    int32_t  count = 0, bare_count = 0;
    assert(M >= 1 && context_first >= 0);
    char         *text   = spelled(name, ".");
    char         *bare   = spelled(name, "");
    clipcu_status status = text != NULL && bare != NULL
                               ? CLIPCU_OK
                               : ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a class name");
    if (status == CLIPCU_OK) { status = tokenize(encoder, text, &ids, &count, error); }
    if (status == CLIPCU_OK) { status = tokenize(encoder, bare, &bare_ids, &bare_count, error); }
    if (status == CLIPCU_OK) {
        /* An end token written out in the name ends the prompt there. */
        const int32_t name_count = bare_count - 2 < count - 2 ? bare_count - 2 : count - 2;
        status = add(list, encoder, name, ids, count, name_count, position, M, context_first,
                     error);
    }
    ccu_free(bare_ids);
    ccu_free(ids);
    ccu_free(bare);
    ccu_free(text);
    return status;
}
