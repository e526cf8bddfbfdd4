/* clipcu embed: pictures as vectors. Lines of text are in embed_text.c. */
#include <string.h>

#include "cli/commands.h"
#include "cli/embed_text.h"
#include "cli/report.h"
#include "cli/runner.h"
#include "cli/session.h"
#include "cli/vectors.h"

#define HELP_HINT "; see clipcu embed --help"

static clipcu_status take(void *context, ccu_batch *batch, const float *embeddings,
                          clipcu_error *error) {
    ccu_vectors  *vectors = context;
    clipcu_status status  = CLIPCU_OK;
    for (int32_t i = 0; i < batch->count && status == CLIPCU_OK; i++) {
        const ccu_batch_item *item   = &batch->items[i];
        const float          *vector = NULL; /* (E) */
        if (item->row >= 0) { vector = embeddings + (size_t)item->row * (size_t)vectors->columns; }
        status = ccu_vectors_add(vectors, item->path, vector, item->error.text, item->sample,
                                 error);
    }
    return status == CLIPCU_OK ? ccu_vectors_flush(vectors, error) : status;
}

static int check_arguments(const ccu_arguments *arguments) {
    clipcu_error error = { .code = CLIPCU_OK };
    if (arguments->text != NULL && arguments->inputs_count > 0) {
        ccu_report("expected either --text FILE or pictures, found both (\"%s\")" HELP_HINT,
                   arguments->inputs[0]);
        return CCU_EXIT_USAGE;
    }
    if (arguments->text == NULL && arguments->inputs_count == 0) {
        ccu_report("which pictures? Add files, folders, .txt lists, or - for paths on standard "
                   "input; or --text FILE for lines of text" HELP_HINT);
        return CCU_EXIT_USAGE;
    }
    const int status = ccu_runner_check(arguments);
    if (status != CCU_EXIT_OK) { return status; }
    if (ccu_vectors_check(arguments->output, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        return CCU_EXIT_FATAL;
    }
    return CCU_EXIT_OK;
}

/* Ends the results; the exit status so far may become CCU_EXIT_FATAL. */
static int close_vectors(ccu_vectors *vectors, int exit_status) {
    clipcu_error error    = { .code = CLIPCU_OK };
    const bool   complete = exit_status == CCU_EXIT_OK || exit_status == CCU_EXIT_INPUTS;
    if (ccu_vectors_close(vectors, complete, &error) != CLIPCU_OK) {
        return ccu_runner_fatal(&error, &vectors->lines);
    }
    if (!complete && vectors->to_files && vectors->row > 0) {
        ccu_report("not complete: what was done is in %s and %s",
                   vectors->matrix.output.writer.part, vectors->lines.writer.part);
    }
    return exit_status;
}

int ccu_cmd_embed(const ccu_arguments *arguments, ccu_interrupt *interrupt) {
    clipcu_engine *engine  = NULL;
    clipcu_error   error   = { .code = CLIPCU_OK };
    clipcu_info    info    = { .model_dir = "" };
    const bool     text    = arguments->text != NULL;
    ccu_vectors    vectors = { .lines = { .fd = -1 }, .matrix = { .output = { .fd = -1 } } };
    int            status  = check_arguments(arguments);
    if (status == CCU_EXIT_OK) { status = ccu_session_open(arguments, &engine); }
    if (status == CCU_EXIT_OK) {
        info = clipcu_engine_info(engine);
        if ((text ? info.has_text : info.has_image) == 0) {
            ccu_report("%s: this model has no %s", info.model_dir,
                       text ? "text tower with tokenizer files" : "image tower");
            status = CCU_EXIT_FATAL;
        }
    }
    if (status == CCU_EXIT_OK && ccu_vectors_open(arguments->output, text ? "text" : "path",
                                                  info.embed_dim, &vectors, &error) != CLIPCU_OK) {
        status = ccu_runner_fatal(&error, &vectors.lines);
    }
    if (status == CCU_EXIT_OK) {
        const ccu_run run = { .engine    = engine,
                              .arguments = arguments,
                              .interrupt = interrupt,
                              .output    = &vectors.lines,
                              .take      = take,
                              .context   = &vectors };
        status            = text ? ccu_embed_text_run(&run, &vectors) : ccu_runner_run(&run);
    }
    status = close_vectors(&vectors, status);
    clipcu_close(engine);
    return status;
}
