/* Lines of text, some at a time; see text_chunk.h. */
#include "cli/text_chunk.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"

#define WAIT_MS 50 /* for further lines of a slow standard input */

clipcu_status ccu_text_chunk_open(const clipcu_engine *engine, ccu_text_chunk **out,
                                  clipcu_error *error) {
    const clipcu_info info = clipcu_engine_info(engine);
    ccu_text_chunk   *c    = ccu_alloc_zeroed(1, sizeof *c);
    *out                   = c;
    if (c != NULL) {
        c->E          = info.embed_dim;
        c->ids_max    = info.context_length;
        c->ids        = ccu_alloc_zeroed((size_t)c->ids_max, sizeof *c->ids);
        c->embeddings = ccu_alloc_zeroed(CCU_TEXT_CHUNK, (size_t)c->E * sizeof *c->embeddings);
    }
    if (c == NULL || c->ids == NULL || c->embeddings == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d lines of text", CCU_TEXT_CHUNK);
    }
    return CLIPCU_OK;
}

void ccu_text_chunk_close(ccu_text_chunk *chunk) {
    if (chunk == NULL) { return; }
    ccu_text_chunk_empty(chunk);
    ccu_free(chunk->ids);
    ccu_free(chunk->embeddings);
    ccu_free(chunk);
}

void ccu_text_chunk_empty(ccu_text_chunk *chunk) {
    for (int32_t i = 0; i < chunk->count; i++) { ccu_free(chunk->lines[i]); }
    chunk->count = 0;
    chunk->good  = 0;
}

/* A new entry of the chunk, without an error. */
static clipcu_status add_entry(ccu_text_chunk *c, const char *line, clipcu_error *error) {
    assert(c->count < CCU_TEXT_CHUNK);
    c->errors[c->count] = (clipcu_error){ .code = CLIPCU_OK };
    c->lines[c->count]  = ccu_strdup(line);
    if (c->lines[c->count] == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a line of text");
    }
    c->count++;
    return CLIPCU_OK;
}

clipcu_status ccu_text_chunk_add(ccu_text_chunk *chunk, const clipcu_engine *engine,
                                 const char *line, clipcu_error *error) {
    int32_t             ids_count = 0;
    const clipcu_status status    = add_entry(chunk, line, error);
    if (status != CLIPCU_OK) { return status; }
    const int32_t at = chunk->count - 1;
    if (clipcu_tokenize(engine, line, chunk->ids, chunk->ids_max, &ids_count,
                        &chunk->errors[at]) == CLIPCU_OK) {
        chunk->texts[chunk->good++] = chunk->lines[at];
    }
    return CLIPCU_OK;
}

/* A line that cannot be a text at all. */
static clipcu_status add_unusable(ccu_text_chunk *c, const char *line, clipcu_status code,
                                  clipcu_error *error) {
    const clipcu_status status = add_entry(c, line, error);
    if (status != CLIPCU_OK) { return status; }
    clipcu_error *why = &c->errors[c->count - 1]; /* kept with the line */
    if (code == CLIPCU_ERR_LIMIT) {
        (void)ccu_fail(why, code, "line longer than %d bytes", CCU_TEXT_LINE_MAX);
    } else {
        (void)ccu_fail(why, code, "line holds a NUL byte");
    }
    return CLIPCU_OK;
}

clipcu_status ccu_text_chunk_fill(ccu_text_chunk *chunk, const clipcu_engine *engine,
                                  ccu_reader *reader, const char *name, bool skip_blank,
                                  clipcu_error *error) {
    ccu_text_chunk_empty(chunk);
    while (chunk->count < CCU_TEXT_CHUNK) {
        const char             *line   = NULL;
        size_t                  bytes  = 0;
        clipcu_status           status = CLIPCU_OK;
        const ccu_reader_result result = ccu_reader_next(reader, chunk->count == 0 ? -1 : WAIT_MS,
                                                         &line, &bytes);
        if (result == CCU_READER_FAILED) {
            return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot read: %s", name,
                            strerror(reader->cause));
        }
        if (result == CCU_READER_TOO_LONG) {
            status = add_unusable(chunk, "", CLIPCU_ERR_LIMIT, error);
        } else if (result != CCU_READER_LINE) {
            return CLIPCU_OK;
        } else if (strlen(line) != bytes) {
            status = add_unusable(chunk, line, CLIPCU_ERR_FORMAT, error);
        } else if (!skip_blank || line[strspn(line, " \t")] != '\0') {
            status = ccu_text_chunk_add(chunk, engine, line, error);
        }
        if (status != CLIPCU_OK) { return status; }
    }
    return CLIPCU_OK;
}

clipcu_status ccu_text_chunk_encode(ccu_text_chunk *chunk, clipcu_engine *engine,
                                    clipcu_error *error) {
    if (chunk->good == 0) { return CLIPCU_OK; }
    return clipcu_encode_texts(engine, chunk->texts, chunk->good, chunk->embeddings, error);
}
