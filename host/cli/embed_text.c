/* Lines of text as vectors; see embed_text.h. */
#include "cli/embed_text.h"

#include <string.h>

#include "base/memory.h"
#include "cli/progress.h"
#include "stream/reader.h"

#define CHUNK 256 /* lines encoded together: neighbours share their beginnings */
#define LINE_MAX_BYTES 65536
#define WAIT_MS 50 /* for further lines of a slow standard input */

/* One chunk of lines. */
typedef struct chunk {
    char        *lines[CHUNK];  /* owned */
    clipcu_error errors[CHUNK]; /* OK: the line can be encoded */
    int32_t      count, good;
    const char  *texts[CHUNK]; /* (good) */
    float       *embeddings;   /* (CHUNK, E) */
    int32_t     *ids;          /* (ids_max): only whether a line fits is of interest */
    int32_t      ids_max;
} chunk;

static void empty(chunk *c) {
    for (int32_t i = 0; i < c->count; i++) { ccu_free(c->lines[i]); }
    c->count = 0;
    c->good  = 0;
}

/* Takes one line in and sees whether the model can read it. */
static clipcu_status add_line(const ccu_run *run, const char *line, size_t bytes, bool too_long,
                              chunk *c, clipcu_error *error) {
    const int32_t at    = c->count;
    int32_t       count = 0;
    c->errors[at]       = (clipcu_error){ .code = CLIPCU_OK };
    c->lines[at]        = ccu_strdup(too_long ? "" : line);
    if (c->lines[at] == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a line of text");
    }
    c->count++;
    if (too_long) {
        (void)ccu_fail(&c->errors[at], CLIPCU_ERR_LIMIT, "line longer than %d bytes",
                       LINE_MAX_BYTES); /* kept with the line */
    } else if (strlen(line) != bytes) {
        (void)ccu_fail(&c->errors[at], CLIPCU_ERR_FORMAT, "line holds a NUL byte"); /* as above */
    } else if (clipcu_tokenize(run->engine, line, c->ids, c->ids_max, &count, &c->errors[at]) ==
               CLIPCU_OK) {
        c->texts[c->good++] = c->lines[at];
    }
    return CLIPCU_OK;
}

/* The next lines; none at the end. */
static clipcu_status fill(const ccu_run *run, ccu_reader *reader, chunk *c, clipcu_error *error) {
    empty(c);
    while (c->count < CHUNK) {
        const char             *line   = NULL;
        size_t                  bytes  = 0;
        const ccu_reader_result result = ccu_reader_next(reader, c->count == 0 ? -1 : WAIT_MS,
                                                         &line, &bytes);
        if (result == CCU_READER_FAILED) {
            return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot read: %s", run->arguments->text,
                            strerror(reader->cause));
        }
        if (result != CCU_READER_LINE && result != CCU_READER_TOO_LONG) { return CLIPCU_OK; }
        const clipcu_status status = add_line(run, line, bytes, result == CCU_READER_TOO_LONG, c,
                                              error);
        if (status != CLIPCU_OK) { return status; }
    }
    return CLIPCU_OK;
}

static clipcu_status work(const ccu_run *run, ccu_reader *reader, chunk *c, ccu_vectors *vectors,
                          ccu_progress *progress, clipcu_error *error) {
    while (ccu_interrupt_caught(run->interrupt) == 0) {
        clipcu_status status = fill(run, reader, c, error);
        if (status == CLIPCU_OK && c->count == 0) { return CLIPCU_OK; }
        if (status == CLIPCU_OK && c->good > 0) {
            status = clipcu_encode_texts(run->engine, c->texts, c->good, c->embeddings, error);
        }
        int32_t row = 0;
        for (int32_t i = 0; i < c->count && status == CLIPCU_OK; i++) {
            const float *vector = NULL; /* (E) */
            if (c->errors[i].code == CLIPCU_OK) {
                vector = c->embeddings + (size_t)row++ * (size_t)vectors->columns;
            }
            status = ccu_vectors_add(vectors, c->lines[i], vector, c->errors[i].text, error);
        }
        if (status == CLIPCU_OK) { status = ccu_vectors_flush(vectors, error); }
        if (status != CLIPCU_OK) { return status; }
        ccu_progress_add(progress, c->count, c->count - c->good);
    }
    return CLIPCU_OK;
}

static clipcu_status open_chunk(const clipcu_info *info, chunk **out, clipcu_error *error) {
    chunk *c = ccu_alloc_zeroed(1, sizeof *c);
    *out     = c;
    if (c != NULL) {
        c->ids_max    = info->context_length;
        c->ids        = ccu_alloc_zeroed((size_t)c->ids_max, sizeof *c->ids);
        c->embeddings = ccu_alloc_zeroed(CHUNK, (size_t)info->embed_dim * sizeof *c->embeddings);
    }
    if (c == NULL || c->ids == NULL || c->embeddings == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d lines of text", CHUNK);
    }
    return CLIPCU_OK;
}

static void close_chunk(chunk *c) {
    if (c == NULL) { return; }
    empty(c);
    ccu_free(c->ids);
    ccu_free(c->embeddings);
    ccu_free(c);
}

int ccu_embed_text_run(const ccu_run *run, ccu_vectors *vectors) {
    const clipcu_info info   = clipcu_engine_info(run->engine);
    const char       *path   = run->arguments->text;
    const bool        quiet  = run->arguments->quiet != 0;
    clipcu_error      error  = { .code = CLIPCU_OK };
    ccu_reader        reader = { .fd = -1 };
    chunk            *c      = NULL;
    ccu_progress      progress;

    ccu_interrupt_arm(run->interrupt, true);
    ccu_progress_open(&progress, "text", 0, ccu_runner_shows_progress(run->arguments));
    clipcu_status status = ccu_reader_open(strcmp(path, "-") == 0 ? NULL : path, LINE_MAX_BYTES,
                                           run->interrupt->wake[0], &reader, &error);
    const bool    opened = status == CLIPCU_OK;
    if (opened) { status = open_chunk(&info, &c, &error); }
    if (status == CLIPCU_OK) { status = work(run, &reader, c, vectors, &progress, &error); }
    close_chunk(c);
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
