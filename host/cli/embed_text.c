/* Lines of text as vectors; see embed_text.h. */
#include "cli/embed_text.h"

#include <string.h>

#include "cli/progress.h"
#include "cli/text_chunk.h"

static clipcu_status work(const ccu_run *run, ccu_reader *reader, ccu_text_chunk *c,
                          ccu_vectors *vectors, ccu_progress *progress, clipcu_error *error) {
    while (ccu_interrupt_caught(run->interrupt) == 0) {
        clipcu_status status = ccu_text_chunk_fill(c, run->engine, reader, run->arguments->text,
                                                   false, error);
        if (status == CLIPCU_OK && c->count == 0) { return CLIPCU_OK; }
        if (status == CLIPCU_OK) { status = ccu_text_chunk_encode(c, run->engine, error); }
        int32_t row = 0;
        for (int32_t i = 0; i < c->count && status == CLIPCU_OK; i++) {
            const float *vector = NULL; /* (E) */
            if (c->errors[i].code == CLIPCU_OK) {
                vector = c->embeddings + (size_t)row++ * (size_t)vectors->columns;
            }
            status = ccu_vectors_add(vectors, c->lines[i], vector, c->errors[i].text, NULL,
                                     error);
        }
        if (status == CLIPCU_OK) { status = ccu_vectors_flush(vectors, error); }
        if (status != CLIPCU_OK) { return status; }
        ccu_progress_add(progress, c->count, c->count - c->good);
    }
    return CLIPCU_OK;
}

int ccu_embed_text_run(const ccu_run *run, ccu_vectors *vectors) {
    const char     *path   = run->arguments->text;
    const bool      quiet  = run->arguments->quiet != 0;
    clipcu_error    error  = { .code = CLIPCU_OK };
    ccu_reader      reader = { .fd = -1 };
    ccu_text_chunk *c      = NULL;
    ccu_progress    progress;

    ccu_interrupt_arm(run->interrupt, true);
    ccu_progress_open(&progress, "text", 0, ccu_runner_shows_progress(run->arguments));
    clipcu_status status = ccu_reader_open(strcmp(path, "-") == 0 ? NULL : path, CCU_TEXT_LINE_MAX,
                                           run->interrupt->wake[0], &reader, &error);
    const bool    opened = status == CLIPCU_OK;
    if (opened) { status = ccu_text_chunk_open(run->engine, &c, &error); }
    if (status == CLIPCU_OK) { status = work(run, &reader, c, vectors, &progress, &error); }
    ccu_text_chunk_close(c);
    ccu_reader_close(&reader);
    ccu_interrupt_arm(run->interrupt, false);

    const int caught = ccu_interrupt_caught(run->interrupt);
    ccu_progress_close(&progress, quiet || !opened || run->output->broken_pipe);
    if (status != CLIPCU_OK) {
        const int fatal = ccu_runner_fatal(&error, run->output);
        return opened ? fatal : CCU_EXIT_USAGE;
    }
    if (caught != 0) { return 128 + caught; }
    return progress.errors > 0 ? CCU_EXIT_INPUTS : CCU_EXIT_OK;
}
