/* clipcu classify: which classes fit each picture best. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/html.h"
#include "cli/report.h"
#include "cli/run_file.h"
#include "cli/runner.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "stream/escape.h"
#include "stream/npy.h"
#include "stream/sink.h"

#define TOP_MAX 1024 /* clipcu_rank's */
#define PATH_BYTES 512

#define HELP_HINT "; see clipcu classify --help"

typedef struct classifier {
    ccu_run_state  state; /* of the results in -o FILE */
    clipcu_engine *engine;
    clipcu_bank   *bank;
    ccu_sink       sink;
    ccu_output     output;
    ccu_buffer     buffer;
    ccu_npy        matrix;  /* --scores */
    bool           all;     /* wanted */
    ccu_score     *scores;  /* (top) */
    size_t         image_bytes;
    ccu_page      *page;    /* NULL: not wanted */
    ccu_page_score shown[CCU_CARD_SCORES_MAX];
} classifier;

static int check_arguments(const ccu_arguments *arguments) {
    const int given = (arguments->labels != NULL) + (arguments->classes != NULL) +
                      (arguments->bank != NULL);
    if (given == 0 && arguments->prompt == NULL) {
        ccu_report("which classes? Add --classes \"cat,dog,boat\", or --labels FILE with one "
                   "name per line, or --bank FILE, or --prompt FILE" HELP_HINT);
        return CCU_EXIT_USAGE;
    }
    if (given > 1) {
        ccu_report("expected one of --classes, --labels and --bank, found %d of them" HELP_HINT,
                   given);
        return CCU_EXIT_USAGE;
    }
    if (arguments->inputs_count == 0) {
        ccu_report("which pictures? Add files, folders, .txt lists, or - for paths on standard "
                   "input" HELP_HINT);
        return CCU_EXIT_USAGE;
    }
    if (arguments->bank != NULL && strcmp(arguments->templates, "single") != 0) {
        ccu_report("--templates belongs to clipcu bank here: %s was made with templates of its own",
                   arguments->bank);
        return CCU_EXIT_USAGE;
    }
    if (arguments->bank != NULL && arguments->prompt != NULL) {
        ccu_report("expected one of --bank and --prompt, found both" HELP_HINT);
        return CCU_EXIT_USAGE;
    }
    const int status = ccu_run_file_check_arguments(arguments);
    if (status != CCU_EXIT_OK) { return status; }
    if (arguments->resume != 0 && arguments->format == CCU_FORMAT_TABLE) {
        ccu_report("--resume needs results that can be told apart: --format jsonl or csv");
        return CCU_EXIT_USAGE;
    }
    return ccu_runner_check(arguments);
}

/* The engine and a bank for it. What is cheap to find wrong comes before opening the model. */
static int open_classes(const ccu_arguments *arguments, classifier *c) {
    ccu_vocabulary vocabulary = { .templates = NULL };
    clipcu_error   error      = { .code = CLIPCU_OK };
    int            status     = CCU_EXIT_OK;
    if (arguments->bank != NULL) {
        status = ccu_session_load_bank(arguments->bank, &c->bank);
    } else {
        status = ccu_session_vocabulary(arguments, &vocabulary);
    }
    if (status == CCU_EXIT_OK && (ccu_output_check(arguments->output, &error) != CLIPCU_OK ||
                                  ccu_output_check(arguments->scores, &error) != CLIPCU_OK ||
                                  ccu_page_check(arguments->html, &error) != CLIPCU_OK)) {
        ccu_report("%s", error.text);
        status = CCU_EXIT_FATAL;
    }
    if (status == CCU_EXIT_OK) { status = ccu_session_open(arguments, &c->engine); }
    if (status == CCU_EXIT_OK) {
        status = ccu_session_classes(c->engine, arguments->bank, &vocabulary, &c->bank);
    }
    ccu_vocabulary_free(&vocabulary);
    return status;
}

static void open_sink(const ccu_arguments *arguments, classifier *c) {
    const int32_t count = clipcu_bank_count(c->bank);
    const int32_t most  = count < TOP_MAX ? count : TOP_MAX;
    const size_t  side  = (size_t)clipcu_engine_info(c->engine).image_size;
    c->image_bytes      = side * side * 3;
    c->sink.format      = (ccu_format)arguments->format;
    c->sink.top         = arguments->top < most ? (int32_t)arguments->top : most;
    for (int32_t i = 0; i < count; i++) {
        const int32_t columns = ccu_plain_columns(clipcu_bank_label(c->bank, i));
        if (columns > c->sink.label_columns) { c->sink.label_columns = columns; }
    }
}

static clipcu_status open_page(const ccu_arguments *arguments, classifier *c, clipcu_error *error) {
    const clipcu_info info = clipcu_engine_info(c->engine);
    const int         K    = (int)clipcu_bank_count(c->bank);
    char              what[PATH_BYTES];
    if (arguments->bank != NULL) {
        (void)snprintf(what, sizeof what, "%d classes of %s", K, arguments->bank); /* may be cut */
    } else {
        (void)snprintf(what, sizeof what, "%d classes, %s %s", K,
                       arguments->prompt != NULL ? "prompt" : "templates",
                       arguments->prompt != NULL ? arguments->prompt : arguments->templates);
    }
    return ccu_html_open(arguments, &info, CCU_PAGE_CLASSIFY, what, &c->page, error);
}

/* --scores: that of a run that did not end, or a new one. */
static clipcu_status open_matrix(const ccu_arguments *arguments, classifier *c,
                                 clipcu_error *error) {
    const int32_t   K     = clipcu_bank_count(c->bank);
    const ccu_dtype dtype = ccu_options_dtype(arguments);
    c->all                = arguments->scores != NULL;
    if (!c->all) { return CLIPCU_OK; }
    return c->state == CCU_RUN_PART
               ? ccu_npy_reopen(arguments->scores, K, dtype, &c->matrix, error)
               : ccu_npy_open(arguments->scores, K, dtype, &c->matrix, error);
}

/* The results of a run that did not end, or new ones; beside them what they were begun with. */
static clipcu_status open_output(const ccu_arguments *arguments, classifier *c,
                                 clipcu_error *error) {
    const clipcu_info info   = clipcu_engine_info(c->engine);
    ccu_buffer        text   = { .data = NULL };
    clipcu_status     status = CLIPCU_OK;
    ccu_buffer_text(&text, "clipcu classify\n");
    ccu_run_file_describe(arguments, &info, &text);
    ccu_buffer_format(&text, "format %d\ntop %d\nscores %s\n", (int)arguments->format,
                      (int)c->sink.top,
                      arguments->scores == NULL ? "no"
                                                : ccu_dtype_name(ccu_options_dtype(arguments)));
    status = ccu_run_file_describe_classes(c->bank, arguments->prompt, &text, error);
    if (status == CLIPCU_OK && c->state == CCU_RUN_PART) {
        status = ccu_run_file_check(arguments->output, &text, error);
        if (status == CLIPCU_OK) {
            status = ccu_output_reopen(arguments->output, &c->output, error);
        }
    } else if (status == CLIPCU_OK) {
        status = ccu_output_open(arguments->output, &c->output, error);
        if (status == CLIPCU_OK && c->output.atomic) {
            status = ccu_run_file_write(arguments->output, &text, error);
        }
    }
    ccu_buffer_free(&text);
    return status;
}

static clipcu_status open_results(const ccu_arguments *arguments, classifier *c,
                                  clipcu_error *error) {
    open_sink(arguments, c);
    clipcu_status status = open_output(arguments, c, error);
    if (status == CLIPCU_OK) { status = open_matrix(arguments, c, error); }
    if (status == CLIPCU_OK) { status = open_page(arguments, c, error); }
    if (status != CLIPCU_OK) { return status; }
    ccu_terminal_look(&c->output, &c->sink);
    c->scores = ccu_alloc_zeroed((size_t)c->sink.top, sizeof *c->scores);
    if (c->scores == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d classes of each picture",
                        (int)c->sink.top);
    }
    ccu_sink_begin(&c->sink, &c->buffer);
    if (c->state == CCU_RUN_PART) { return ccu_buffer_status(&c->buffer, error); }
    return ccu_output_write(&c->output, c->buffer.data, c->buffer.bytes, error);
}

/* matches (top) of one picture -> scores */
static void name_matches(const classifier *c, const clipcu_match *matches) {
    for (int32_t k = 0; k < c->sink.top; k++) {
        c->scores[k] = (ccu_score){ .label = clipcu_bank_label(c->bank, matches[k].class_index),
                                    .probability = matches[k].probability,
                                    .cosine      = matches[k].cosine };
    }
}

/* The result of one picture, whose scores are named, as a card. */
static clipcu_status add_card(classifier *c, const ccu_batch *batch, const ccu_result *result,
                              int32_t row, clipcu_error *error) {
    ccu_page_item item = { .path = result->path, .error = result->error, .scores = c->shown };
    while (item.count < result->count && item.count < CCU_CARD_SCORES_MAX) {
        const ccu_score *score   = &c->scores[item.count];
        c->shown[item.count++] = (ccu_page_score){ .label  = score->label,
                                                   .value  = score->probability,
                                                   .cosine = score->cosine };
    }
    if (row >= 0) { item.pixels = batch->pixels + (size_t)row * c->image_bytes; }
    return ccu_page_add(c->page, &item, error);
}

static size_t matches_bytes(const classifier *c) {
    const size_t batch_max = (size_t)clipcu_engine_info(c->engine).batch_max;
    return batch_max * (size_t)c->sink.top * sizeof(clipcu_match);
}

/* Behind the matches of a batch: the cosine of every class. */
static float *cosines_of(const classifier *c, const ccu_batch *batch) {
    return (float *)(void *)(batch->results + matches_bytes(c));
}

static size_t cosines_bytes(const classifier *c) {
    const size_t batch_max = (size_t)clipcu_engine_info(c->engine).batch_max;
    return c->all ? batch_max * (size_t)clipcu_bank_count(c->bank) * sizeof(float) : 0;
}

/* The batch's results: (loaded, top) matches, with --scores also (loaded, K) cosines. */
static clipcu_status score(void *context, ccu_batch *batch, const float *embeddings,
                           clipcu_error *error) {
    const classifier *c       = context;
    clipcu_match     *matches = (clipcu_match *)(void *)batch->results;
    if (!c->all) {
        return clipcu_rank(c->engine, c->bank, embeddings, batch->loaded, c->sink.top, matches,
                           error);
    }
    return clipcu_rank_all(c->engine, c->bank, embeddings, batch->loaded, c->sink.top, matches,
                           cosines_of(c, batch), error);
}

/* --scores: the rows of a batch. */
static clipcu_status add_rows(classifier *c, const ccu_batch *batch, clipcu_error *error) {
    const size_t  K      = (size_t)clipcu_bank_count(c->bank);
    clipcu_status status = CLIPCU_OK;
    for (int32_t i = 0; i < batch->count && status == CLIPCU_OK; i++) {
        const int32_t row = batch->items[i].row;
        status = row < 0 ? ccu_npy_add_missing(&c->matrix, error)
                         : ccu_npy_add(&c->matrix, cosines_of(c, batch) + (size_t)row * K, 1,
                                       error);
    }
    return status;
}

static clipcu_status take(void *context, ccu_batch *batch, const float *embeddings,
                          clipcu_error *error) {
    classifier         *c       = context;
    const int32_t       top     = c->sink.top;
    const clipcu_match *matches = (const clipcu_match *)(const void *)batch->results;
    clipcu_status       status  = CLIPCU_OK;
    (void)embeddings; /* score has made matches of them */
    ccu_buffer_clear(&c->buffer);
    for (int32_t i = 0; i < batch->count; i++) {
        const ccu_batch_item *item   = &batch->items[i];
        ccu_result            result = { .path   = item->path,
                                        .sample = item->sample,
                                        .scores = c->scores };
        if (item->row < 0) {
            result.error = item->error.text;
        } else {
            name_matches(c, matches + (size_t)item->row * (size_t)top);
            result.count = top;
        }
        ccu_sink_add(&c->sink, &result, &c->buffer);
        status = c->page == NULL ? CLIPCU_OK : add_card(c, batch, &result, item->row, error);
        if (status != CLIPCU_OK) { return status; }
    }
    status = ccu_buffer_status(&c->buffer, error);
    if (status == CLIPCU_OK && c->all) { status = add_rows(c, batch, error); }
    if (status != CLIPCU_OK) { return status; }
    return ccu_output_write(&c->output, c->buffer.data, c->buffer.bytes, error);
}

/* Keeps what an earlier run has done. The heading stands in the buffer. */
static clipcu_status skip(void *context, ccu_source *source, const ccu_resume_options *options,
                          ccu_resumed *out, clipcu_error *error) {
    classifier        *c   = context;
    ccu_resume_options own = *options;
    own.path               = c->output.writer.part;
    own.csv                = c->sink.format == CCU_FORMAT_CSV;
    own.heading            = c->buffer.data == NULL ? "" : c->buffer.data;
    if (c->all) { own.most = c->matrix.rows; }
    clipcu_status status   = ccu_resume_read(&own, source, out, error);
    if (status != CLIPCU_OK || out->stopped) { return status; }
    status = ccu_output_cut(&c->output, out->bytes, error);
    if (status == CLIPCU_OK && c->all) { status = ccu_npy_cut(&c->matrix, out->items, error); }
    if (status != CLIPCU_OK || out->bytes > 0) { return status; }
    return ccu_output_write(&c->output, c->buffer.data, c->buffer.bytes, error);
}

/* Ends the results; the exit status so far may become CCU_EXIT_FATAL. */
static int close_results(classifier *c, int exit_status) {
    clipcu_error error    = { .code = CLIPCU_OK };
    bool         complete = exit_status == CCU_EXIT_OK || exit_status == CCU_EXIT_INPUTS;
    if (ccu_page_close(c->page, complete, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        exit_status = CCU_EXIT_FATAL;
        error       = (clipcu_error){ .code = CLIPCU_OK };
    }
    if (ccu_npy_close(&c->matrix, complete, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        exit_status = CCU_EXIT_FATAL;
        complete    = false; /* --resume finds both files as they are */
        error       = (clipcu_error){ .code = CLIPCU_OK };
    }
    if (ccu_output_close(&c->output, complete, &error) != CLIPCU_OK) {
        return ccu_runner_fatal(&error, &c->output);
    }
    if (c->output.atomic && (complete || c->output.bytes == 0)) {
        ccu_run_file_remove(c->output.name);
    }
    if (!complete && c->output.atomic && c->output.bytes > 0) {
        ccu_report("not complete: what was done is in %s; --resume goes on with it",
                   c->output.writer.part);
    }
    return exit_status;
}

int ccu_cmd_classify(const ccu_arguments *arguments, ccu_interrupt *interrupt) {
    classifier   c      = { .output = { .fd = -1 }, .matrix = { .output = { .fd = -1 } } };
    clipcu_error error  = { .code = CLIPCU_OK };
    int          status = check_arguments(arguments);
    if (status == CCU_EXIT_OK && arguments->resume != 0) {
        c.state = ccu_run_file_state(arguments->output);
        if (c.state == CCU_RUN_COMPLETE) {
            ccu_report("%s is complete: nothing to do", arguments->output);
            return CCU_EXIT_OK;
        }
    }
    if (status == CCU_EXIT_OK) { status = open_classes(arguments, &c); }
    if (status == CCU_EXIT_OK && open_results(arguments, &c, &error) != CLIPCU_OK) {
        status = ccu_runner_fatal(&error, &c.output);
    }
    if (status == CCU_EXIT_OK) {
        status = ccu_runner_run(&(ccu_run){ .engine    = c.engine,
                                            .arguments = arguments,
                                            .interrupt = interrupt,
                                            .output    = &c.output,
                                            .skip  = c.state == CCU_RUN_PART ? skip : NULL,
                                            .score = score,
                                            .results_bytes = matches_bytes(&c) +
                                                             cosines_bytes(&c),
                                            .take      = take,
                                            .context   = &c });
    }
    status = close_results(&c, status);
    ccu_free(c.scores);
    ccu_buffer_free(&c.buffer);
    clipcu_bank_close(c.bank);
    clipcu_close(c.engine);
    return status;
}
