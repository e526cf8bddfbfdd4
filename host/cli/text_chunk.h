/* Lines of text, read and encoded some at a time: what embed --text and search --queries share. */
#ifndef CCU_CLI_TEXT_CHUNK_H
#define CCU_CLI_TEXT_CHUNK_H

#include "clipcu.h"
#include "stream/reader.h"

#define CCU_TEXT_CHUNK 256 /* lines encoded together: neighbours share their beginnings */
#define CCU_TEXT_LINE_MAX 65536

typedef struct ccu_text_chunk {
    char         *lines[CCU_TEXT_CHUNK];  /* (count), owned */
    clipcu_error  errors[CCU_TEXT_CHUNK]; /* (count) OK: it has a row of embeddings */
    int32_t       count, good;
    float        *embeddings; /* (good, E), in the order of the lines */
    int32_t       E;
    const char   *texts[CCU_TEXT_CHUNK]; /* (good) */
    int32_t      *ids;                   /* (ids_max): only whether a line fits is of interest */
    int32_t       ids_max;
} ccu_text_chunk;

/* Freed with ccu_text_chunk_close, also after a failure. */
clipcu_status ccu_text_chunk_open(const clipcu_engine *engine, ccu_text_chunk **out,
                                  clipcu_error *error);
void          ccu_text_chunk_close(ccu_text_chunk *chunk);

void ccu_text_chunk_empty(ccu_text_chunk *chunk);

/* Takes one line in and sees whether the model can read it; if not, that is its error. NOMEM. */
clipcu_status ccu_text_chunk_add(ccu_text_chunk *chunk, const clipcu_engine *engine,
                                 const char *line, clipcu_error *error);

/* The next lines of a reader, without those of spaces only if skip_blank; none at the end. `name`
 * of what is read stands in messages. */
clipcu_status ccu_text_chunk_fill(ccu_text_chunk *chunk, const clipcu_engine *engine,
                                  ccu_reader *reader, const char *name, bool skip_blank,
                                  clipcu_error *error);

clipcu_status ccu_text_chunk_encode(ccu_text_chunk *chunk, clipcu_engine *engine,
                                    clipcu_error *error);

#endif
