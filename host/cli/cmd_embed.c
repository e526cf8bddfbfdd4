/* clipcu embed: pictures as vectors. Lines of text are in embed_text.c. */
#include <string.h>

#include "cli/commands.h"
#include "cli/embed_text.h"
#include "cli/report.h"
#include "cli/run_file.h"
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
    int status = ccu_run_file_check_arguments(arguments);
    if (status == CCU_EXIT_OK) { status = ccu_runner_check(arguments); }
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
    const bool   pictures = vectors->key != NULL && strcmp(vectors->key, "path") == 0;
    if (ccu_vectors_close(vectors, complete, &error) != CLIPCU_OK) {
        return ccu_runner_fatal(&error, &vectors->lines);
    }
    if (!vectors->lines.atomic) { return exit_status; } /* or not opened */
    if (complete || vectors->lines.bytes == 0) {
        ccu_run_file_remove(vectors->lines_path);
    } else {
        ccu_report("not complete: what was done is in %s and %s%s",
                   vectors->matrix.output.writer.part, vectors->lines.writer.part,
                   pictures ? "; --resume goes on with it" : "");
    }
    return exit_status;
}

static clipcu_status skip(void *context, ccu_source *source, const ccu_resume_options *options,
                          ccu_resumed *out, clipcu_error *error) {
    return ccu_vectors_skip(context, source, options, out, error);
}

/* What is there of the results. */
static ccu_run_state look(const ccu_arguments *arguments) {
    char lines[CCU_PATH_MAX];
    if (arguments->resume == 0 ||
        ccu_vectors_path(arguments->output, ".jsonl", lines, NULL) != CLIPCU_OK) {
        return CCU_RUN_NEW; /* opening it says what is wrong with it */
    }
    return ccu_run_file_state(lines);
}

/* The results of a run that did not end, or new ones; beside them what they were begun with. */
static clipcu_status open_vectors(const ccu_arguments *arguments, const clipcu_info *info,
                                  ccu_run_state state, ccu_vectors *vectors, clipcu_error *error) {
    const ccu_dtype dtype  = ccu_options_dtype(arguments);
    ccu_buffer      text   = { .data = NULL };
    clipcu_status   status = CLIPCU_OK;
    if (arguments->text != NULL) {
        return ccu_vectors_open(arguments->output, "text", info->embed_dim, dtype, vectors, error);
    }
    ccu_buffer_text(&text, "clipcu embed\n");
    ccu_run_file_describe(arguments, info, &text);
    ccu_buffer_format(&text, "dtype %s\n", ccu_dtype_name(dtype));
    if (state == CCU_RUN_PART) {
        char lines[CCU_PATH_MAX];
        status = ccu_vectors_path(arguments->output, ".jsonl", lines, error);
        if (status == CLIPCU_OK) { status = ccu_run_file_check(lines, &text, error); }
        if (status == CLIPCU_OK) {
            status = ccu_vectors_reopen(arguments->output, "path", info->embed_dim, dtype, vectors,
                                        error);
        }
    } else {
        status = ccu_vectors_open(arguments->output, "path", info->embed_dim, dtype, vectors,
                                  error);
        if (status == CLIPCU_OK && vectors->to_files) {
            status = ccu_run_file_write(vectors->lines_path, &text, error);
        }
    }
    ccu_buffer_free(&text);
    return status;
}

int ccu_cmd_embed(const ccu_arguments *arguments, ccu_interrupt *interrupt) {
    clipcu_engine *engine  = NULL;
    clipcu_error   error   = { .code = CLIPCU_OK };
    clipcu_info    info    = { .model_dir = "" };
    const bool     text    = arguments->text != NULL;
    ccu_vectors    vectors = { .lines = { .fd = -1 }, .matrix = { .output = { .fd = -1 } } };
    int            status  = check_arguments(arguments);
    ccu_run_state  state   = status == CCU_EXIT_OK ? look(arguments) : CCU_RUN_NEW;
    if (state == CCU_RUN_COMPLETE) {
        ccu_report("%s is complete: nothing to do", arguments->output);
        return CCU_EXIT_OK;
    }
    if (status == CCU_EXIT_OK) { status = ccu_session_open(arguments, &engine); }
    if (status == CCU_EXIT_OK) {
        info = clipcu_engine_info(engine);
        if ((text ? info.has_text : info.has_image) == 0) {
            ccu_report("%s: this model has no %s", info.model_dir,
                       text ? "text tower with tokenizer files" : "image tower");
            status = CCU_EXIT_FATAL;
        }
    }
    if (status == CCU_EXIT_OK &&
        open_vectors(arguments, &info, state, &vectors, &error) != CLIPCU_OK) {
        status = ccu_runner_fatal(&error, &vectors.lines);
    }
    if (status == CCU_EXIT_OK) {
        const ccu_run run = { .engine    = engine,
                              .arguments = arguments,
                              .interrupt = interrupt,
                              .output    = &vectors.lines,
                              .skip      = state == CCU_RUN_PART ? skip : NULL,
                              .take      = take,
                              .context   = &vectors };
        status            = text ? ccu_embed_text_run(&run, &vectors) : ccu_runner_run(&run);
    }
    status = close_vectors(&vectors, status);
    clipcu_close(engine);
    return status;
}
