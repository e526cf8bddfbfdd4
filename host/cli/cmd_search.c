/* clipcu search: which saved embeddings are nearest to a text or a picture. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/hits.h"
#include "cli/html.h"
#include "cli/report.h"
#include "cli/row_names.h"
#include "cli/runner.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "cli/text_chunk.h"

#define HELP_HINT "; see clipcu search --help"

typedef struct searcher {
    const ccu_arguments *arguments;
    const char          *kind; /* of queries: "query" or "image" */
    char                 path[CCU_PATH_MAX]; /* of the embeddings */
    clipcu_engine       *engine;
    clipcu_index        *index;
    ccu_row_names        row_names;
    ccu_hits_sink        sink;
    ccu_output           output;
    ccu_buffer           buffer;
    ccu_text_chunk      *queries;
    int32_t              top;
    clipcu_hit          *hits;  /* (CCU_TEXT_CHUNK, top) */
    char               **names; /* (CCU_TEXT_CHUNK, top) */
    int64_t              failed; /* queries */
    ccu_page            *page;   /* NULL: not wanted */
    uint8_t             *asked;  /* (S, S, 3) the picture of --image; NULL: texts */
    uint8_t             *pixels; /* (S, S, 3) of a hit, for the page; NULL: no thumbnails */
} searcher;

/* The embeddings are mapped: if somebody cuts the file short while it is read, touching what is
 * gone is a SIGBUS. Nothing can be saved then but the message. */
static void end_on_bus_error(int number) {
    static const char text[] = "clipcu: a file was cut short while it was being searched\n";
    (void)number;
    const ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void)written; /* the process ends either way */
    _exit(CCU_EXIT_FATAL);
}

/* Whether the file of queries can be read, before a model is opened for it. */
static int check_queries(const char *path) {
    clipcu_error error  = { .code = CLIPCU_OK };
    ccu_reader   reader = { .fd = -1 };
    if (path == NULL || strcmp(path, "-") == 0) { return CCU_EXIT_OK; }
    if (ccu_reader_open(path, CCU_TEXT_LINE_MAX, -1, &reader, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        return CCU_EXIT_USAGE;
    }
    ccu_reader_close(&reader);
    return CCU_EXIT_OK;
}

static int check_arguments(const ccu_arguments *arguments) {
    const int given = (arguments->query != NULL) + (arguments->queries != NULL) +
                      (arguments->image != NULL);
    if (arguments->inputs_count != 1) {
        ccu_report("expected the embeddings to search in, one PREFIX or file that clipcu embed "
                   "wrote, found %d" HELP_HINT,
                   (int)arguments->inputs_count);
        return CCU_EXIT_USAGE;
    }
    if (given != 1) {
        ccu_report("what to search for? Expected one of --query TEXT, --queries FILE and "
                   "--image PICTURE, found %d of them" HELP_HINT,
                   given);
        return CCU_EXIT_USAGE;
    }
    return check_queries(arguments->queries);
}

/* ---- Opening -------------------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *ending) {
    const size_t bytes = strlen(text), wanted = strlen(ending);
    return bytes > wanted && strcmp(text + bytes - wanted, ending) == 0;
}

/* The embeddings' file as named, else PREFIX.npy, else PREFIX.safetensors. */
static clipcu_status find_vectors(const char *input, char out[CCU_PATH_MAX],
                                  clipcu_error *error) {
    static const char *const endings[] = { ".safetensors", ".npy" }; /* the last one is named */
    if (strlen(input) + sizeof ".safetensors" > CCU_PATH_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes", input,
                        CCU_PATH_MAX - (int)sizeof ".safetensors");
    }
    const bool whole = ends_with(input, ".npy") || ends_with(input, ".safetensors");
    (void)snprintf(out, CCU_PATH_MAX, "%.4080s%s", input, whole ? "" : ".npy"); /* fits */
    for (size_t i = 0; i < 2 && !whole && !ccu_file_exists(out); i++) {
        (void)snprintf(out, CCU_PATH_MAX, "%.4080s%s", input, endings[i]); /* fits */
    }
    return CLIPCU_OK;
}

/* What can be found wrong before a model is opened. */
static int open_vectors(searcher *s) {
    clipcu_error  error  = { .code = CLIPCU_OK };
    clipcu_status status = find_vectors(s->arguments->inputs[0], s->path, &error);
    if (status == CLIPCU_OK) { status = clipcu_index_open(s->path, &s->index, &error); }
    if (status == CLIPCU_OK) {
        status = ccu_row_names_open(s->path, s->arguments->names, &s->row_names, &error);
    }
    if (status != CLIPCU_OK) {
        ccu_report("%s", error.text);
        return status == CLIPCU_ERR_NOMEM ? CCU_EXIT_FATAL : CCU_EXIT_USAGE;
    }
    if (ccu_output_check(s->arguments->output, &error) != CLIPCU_OK ||
        ccu_page_check(s->arguments->html, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        return CCU_EXIT_FATAL;
    }
    return CCU_EXIT_OK;
}

static int check_model(const searcher *s) {
    const clipcu_info info  = clipcu_engine_info(s->engine);
    const int32_t     width = clipcu_index_embed_dim(s->index);
    const bool        image = s->arguments->image != NULL;
    if ((image ? info.has_image : info.has_text) == 0) {
        ccu_report("%s: this model has no %s", info.model_dir,
                   image ? "image tower" : "text tower with tokenizer files");
        return CCU_EXIT_FATAL;
    }
    if (width != info.embed_dim) {
        ccu_report("%s holds rows of %d numbers, but the model %s makes %d: give the model they "
                   "were made with as --model",
                   s->path, (int)width, info.model_dir, (int)info.embed_dim);
        return CCU_EXIT_USAGE;
    }
    if (s->row_names.bank != NULL &&
        clipcu_bank_fingerprint(s->row_names.bank) != info.fingerprint) {
        ccu_report("%s: made with another model than %s; make it again with clipcu bank", s->path,
                   info.model_dir);
        return CCU_EXIT_USAGE;
    }
    return CCU_EXIT_OK;
}

/* The page, and memory for its thumbnails where the model can load pictures. */
static clipcu_status open_page(searcher *s, clipcu_error *error) {
    const clipcu_info   info   = clipcu_engine_info(s->engine);
    const size_t        side   = (size_t)info.image_size;
    const clipcu_status status = ccu_html_open(s->arguments, &info, CCU_PAGE_SEARCH, s->path,
                                               &s->page, error);
    if (status != CLIPCU_OK || s->page == NULL || info.has_image == 0) { return status; }
    s->pixels = ccu_alloc(side * side * 3);
    if (s->pixels == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a picture"); }
    return CLIPCU_OK;
}

static clipcu_status open_results(searcher *s, clipcu_error *error) {
    ccu_sink      look   = { .format = CCU_FORMAT_TABLE };
    const int64_t rows   = clipcu_index_count(s->index);
    clipcu_status status = ccu_output_open(s->arguments->output, &s->output, error);
    if (status == CLIPCU_OK) { status = open_page(s, error); }
    if (status != CLIPCU_OK) { return status; }
    ccu_terminal_look(&s->output, &look);
    s->sink  = (ccu_hits_sink){ .format = (ccu_format)s->arguments->format, .colour = look.colour };
    s->top   = (int32_t)(rows < s->arguments->top && rows > 0 ? rows : s->arguments->top);
    s->hits  = ccu_alloc_zeroed(CCU_TEXT_CHUNK, (size_t)s->top * sizeof *s->hits);
    s->names = ccu_alloc_zeroed(CCU_TEXT_CHUNK, (size_t)s->top * sizeof *s->names);
    if (s->hits == NULL || s->names == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d hits of each query",
                        (int)s->top);
    }
    ccu_hits_begin(&s->sink, &s->buffer);
    return ccu_text_chunk_open(s->engine, &s->queries, error);
}

/* ---- Queries -------------------------------------------------------------------------------- */

/* The picture as the only query. */
static clipcu_status load_picture(searcher *s, clipcu_error *error) {
    const size_t    side   = (size_t)clipcu_engine_info(s->engine).image_size;
    ccu_text_chunk *c      = s->queries;
    clipcu_status   status = CLIPCU_OK;
    s->asked               = ccu_alloc(side * side * 3);
    c->lines[0]            = ccu_strdup(s->arguments->image);
    if (s->asked == NULL || c->lines[0] == NULL) {
        ccu_free(c->lines[0]);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a picture");
    }
    c->count     = 1;
    c->errors[0] = (clipcu_error){ .code = CLIPCU_OK };
    if (clipcu_load_image(s->engine, c->lines[0], s->asked, &c->errors[0]) == CLIPCU_OK) {
        c->good = 1;
        status  = clipcu_encode_images(s->engine, s->asked, 1, c->embeddings, error);
    }
    return status;
}

/* The hits of one query as cards. A hit whose picture is no longer there has no thumbnail. */
static clipcu_status show(searcher *s, const ccu_hits *result, clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    for (int32_t k = 0; k < result->count && status == CLIPCU_OK; k++) {
        const clipcu_hit *hit = &result->hits[k];
        char              row[32];
        if (hit->row < 0) { break; }
        (void)snprintf(row, sizeof row, "row %lld", (long long)hit->row);
        const ccu_page_score score = { .value = hit->cosine, .cosine = hit->cosine };
        ccu_page_item        item  = { .path  = result->names[k] != NULL ? result->names[k] : row,
                                       .group = result->query,
                                       .group_pixels = s->asked,
                                       .scores       = &score,
                                       .count        = 1 };
        if (s->pixels != NULL && result->names[k] != NULL && ccu_page_has_room(s->page) &&
            strcmp(result->key, "path") == 0 &&
            clipcu_load_image(s->engine, item.path, s->pixels, NULL) == CLIPCU_OK) {
            item.pixels = s->pixels;
        }
        status = ccu_page_add(s->page, &item, error);
    }
    if (result->error != NULL) {
        status = ccu_page_add(
            s->page, &(ccu_page_item){ .path = result->query, .error = result->error }, error);
    }
    return status;
}

/* Searches for the queries of the chunk and writes what was found. */
static clipcu_status answer(searcher *s, clipcu_error *error) {
    const ccu_text_chunk *c      = s->queries;
    const size_t          found  = (size_t)c->good * (size_t)s->top;
    clipcu_status         status = CLIPCU_OK;
    size_t                at     = 0;
    if (c->good > 0) {
        status = clipcu_index_search(s->index, c->embeddings, c->good, s->top,
                                     (int32_t)s->arguments->threads, s->hits, error);
        if (status == CLIPCU_OK) {
            status = ccu_row_names_get(&s->row_names, s->hits, found, s->names, error);
        }
    }
    for (int32_t i = 0; i < c->count && status == CLIPCU_OK; i++) {
        ccu_hits result = { .kind = s->kind, .query = c->lines[i] };
        if (c->errors[i].code != CLIPCU_OK) {
            result.error = ccu_sink_bare_error(c->lines[i], c->errors[i].text);
            s->failed++;
        } else {
            result.hits  = s->hits + at;
            result.names = s->names + at;
            result.key   = s->row_names.key;
            result.count = s->top;
            at += (size_t)s->top;
        }
        ccu_hits_add(&s->sink, &result, &s->buffer);
        if (s->page != NULL) { status = show(s, &result, error); }
    }
    ccu_row_names_free(s->names, found);
    if (status == CLIPCU_OK) { status = ccu_buffer_status(&s->buffer, error); }
    if (status == CLIPCU_OK) {
        status = ccu_output_write(&s->output, s->buffer.data, s->buffer.bytes, error);
    }
    ccu_buffer_clear(&s->buffer);
    return status;
}

/* Line after line of --queries, until the end or a signal. */
static clipcu_status answer_lines(searcher *s, ccu_interrupt *interrupt, clipcu_error *error) {
    const char   *path   = s->arguments->queries;
    ccu_reader    reader = { .fd = -1 };
    clipcu_status status = ccu_reader_open(strcmp(path, "-") == 0 ? NULL : path, CCU_TEXT_LINE_MAX,
                                           interrupt->wake[0], &reader, error);
    while (status == CLIPCU_OK && ccu_interrupt_caught(interrupt) == 0) {
        status = ccu_text_chunk_fill(s->queries, s->engine, &reader, path, true, error);
        if (status == CLIPCU_OK && s->queries->count == 0) { break; }
        if (status == CLIPCU_OK) { status = ccu_text_chunk_encode(s->queries, s->engine, error); }
        if (status == CLIPCU_OK) { status = answer(s, error); }
    }
    ccu_reader_close(&reader);
    return status;
}

static int run(searcher *s, ccu_interrupt *interrupt) {
    clipcu_error  error  = { .code = CLIPCU_OK };
    clipcu_status status = open_results(s, &error);
    ccu_interrupt_arm(interrupt, true);
    if (status == CLIPCU_OK && s->arguments->queries != NULL) {
        status = answer_lines(s, interrupt, &error);
    } else if (status == CLIPCU_OK) {
        if (s->arguments->image != NULL) {
            status = load_picture(s, &error);
        } else {
            status = ccu_text_chunk_add(s->queries, s->engine, s->arguments->query, &error);
            if (status == CLIPCU_OK) {
                status = ccu_text_chunk_encode(s->queries, s->engine, &error);
            }
        }
        if (status == CLIPCU_OK) { status = answer(s, &error); }
    }
    ccu_interrupt_arm(interrupt, false);
    if (status != CLIPCU_OK) { return ccu_runner_fatal(&error, &s->output); }
    if (ccu_interrupt_caught(interrupt) != 0) { return 128 + ccu_interrupt_caught(interrupt); }
    return s->failed > 0 ? CCU_EXIT_INPUTS : CCU_EXIT_OK;
}

/* Ends the results; the exit status so far may become CCU_EXIT_FATAL. */
static int close_results(searcher *s, int exit_status) {
    clipcu_error error    = { .code = CLIPCU_OK };
    const bool   complete = exit_status == CCU_EXIT_OK || exit_status == CCU_EXIT_INPUTS;
    if (ccu_page_close(s->page, complete, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        exit_status = CCU_EXIT_FATAL;
        error       = (clipcu_error){ .code = CLIPCU_OK };
    }
    if (ccu_output_close(&s->output, complete, &error) != CLIPCU_OK) {
        return ccu_runner_fatal(&error, &s->output);
    }
    if (!complete && s->output.atomic && s->output.bytes > 0) {
        ccu_report("not complete: what was done is in %s", s->output.writer.part);
    }
    return exit_status;
}

int ccu_cmd_search(const ccu_arguments *arguments, ccu_interrupt *interrupt) {
    searcher      s = { .arguments = arguments, .output = { .fd = -1 } };
    ccu_arguments model = *arguments;
    s.kind              = arguments->image != NULL ? "image" : "query";
    /* One picture at most: no memory for more. */
    if (model.batch == 0) { model.batch = 1; }
    (void)sigaction(SIGBUS, &(struct sigaction){ .sa_handler = end_on_bus_error },
                    NULL); /* cannot fail */
    int status = check_arguments(arguments);
    if (status == CCU_EXIT_OK) { status = open_vectors(&s); }
    if (status == CCU_EXIT_OK) { status = ccu_session_open(&model, &s.engine); }
    if (status == CCU_EXIT_OK) { status = check_model(&s); }
    if (status == CCU_EXIT_OK) { status = run(&s, interrupt); }
    status = close_results(&s, status);
    ccu_text_chunk_close(s.queries);
    ccu_buffer_free(&s.buffer);
    ccu_free((void *)s.names);
    ccu_free(s.hits);
    ccu_free(s.asked);
    ccu_free(s.pixels);
    ccu_row_names_close(&s.row_names);
    clipcu_index_close(s.index);
    clipcu_close(s.engine);
    return status;
}
