/* The loop of classify and embed; see runner.h. */
#include "cli/runner.h"

#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/progress.h"
#include "cli/report.h"

#define COUNT_SECONDS 1.0 /* how long counting inputs for the time left may hold up the start */

bool ccu_runner_shows_progress(const ccu_arguments *arguments) {
    const bool to_file = arguments->output != NULL && strcmp(arguments->output, "-") != 0;
    return arguments->quiet == 0 && isatty(STDERR_FILENO) && (to_file || !isatty(STDOUT_FILENO));
}

int ccu_runner_fatal(const clipcu_error *error, const ccu_output *output) {
    if (!output->broken_pipe) { ccu_report("%s", error->text); }
    return CCU_EXIT_FATAL;
}

/* Says where a source's inputs come from; without warnings, never woken. */
static ccu_source_options describe(const ccu_arguments *arguments, const ccu_classes *classes) {
    return (ccu_source_options){ .inputs       = arguments->inputs,
                                 .inputs_count = arguments->inputs_count,
                                 .wake_fd      = -1,
                                 .classes      = classes,
                                 .part         = "test",
                                 .root         = arguments->root };
}

int ccu_runner_check(const ccu_arguments *arguments) {
    ccu_source              *source  = NULL;
    clipcu_error             error   = { .code = CLIPCU_OK };
    const ccu_source_options options = describe(arguments, NULL);
    const clipcu_status      status  = ccu_source_open(&options, &source, &error);
    ccu_source_close(source);
    if (status == CLIPCU_OK) { return CCU_EXIT_OK; }
    ccu_report("%s", error.text);
    return status == CLIPCU_ERR_UNSUPPORTED ? CCU_EXIT_USAGE : CCU_EXIT_FATAL;
}

/* How many inputs there will be; 0 if that cannot be told soon. */
static int64_t count_inputs(const ccu_arguments *arguments, const ccu_classes *classes) {
    const ccu_source_options options = describe(arguments, classes);
    const double             started = ccu_progress_clock();
    ccu_source              *source  = NULL;
    ccu_source_item          item;
    int64_t                  count = 0;
    for (int32_t i = 0; i < arguments->inputs_count; i++) {
        if (strcmp(arguments->inputs[i], "-") == 0) { return 0; }
    }
    if (ccu_source_open(&options, &source, NULL) != CLIPCU_OK) { return 0; }
    while (ccu_source_next(source, -1, &item) == CCU_SOURCE_ITEM) {
        count++;
        if (count % 1024 == 0 && ccu_progress_clock() - started > COUNT_SECONDS) {
            count = 0;
            break;
        }
    }
    ccu_source_close(source);
    return count;
}

static clipcu_status load(const void *context, const char *path, uint8_t *pixels,
                          clipcu_error *error) {
    return clipcu_load_image(context, path, pixels, error);
}

static void warn(void *user, const char *text) {
    ccu_progress_clear(user);
    ccu_report("warning: %s", text);
}

static void tell_failures(const ccu_batch *batch, ccu_progress *progress) {
    for (int32_t i = 0; i < batch->count; i++) {
        if (batch->items[i].row >= 0) { continue; }
        ccu_progress_clear(progress);
        ccu_report("%s", batch->items[i].error.text);
    }
}

/* Batch after batch, until the source ends or a signal comes. */
static clipcu_status work(const ccu_run *run, ccu_source *source, ccu_batch *batch,
                          float *embeddings, ccu_progress *progress, clipcu_error *error) {
    while (ccu_interrupt_caught(run->interrupt) == 0) {
        clipcu_status status = ccu_batch_fill(batch, source, error);
        if (status != CLIPCU_OK) { return status; }
        if (batch->count == 0) { return CLIPCU_OK; }
        if (batch->loaded > 0) {
            status = clipcu_encode_images(run->engine, batch->pixels, batch->loaded, embeddings,
                                          error);
            if (status != CLIPCU_OK) { return status; }
        }
        if (run->tells) { tell_failures(batch, progress); }
        status = run->take(run->context, batch, embeddings, error);
        if (status != CLIPCU_OK) { return status; }
        ccu_progress_add(progress, batch->count, batch->count - batch->loaded);
    }
    return CLIPCU_OK;
}

int ccu_runner_run(const ccu_run *run) {
    const clipcu_info info       = clipcu_engine_info(run->engine);
    const bool        quiet      = run->arguments->quiet != 0;
    const bool        visible    = ccu_runner_shows_progress(run->arguments);
    clipcu_error      error      = { .code = CLIPCU_OK };
    ccu_source       *source     = NULL;
    ccu_batch         batch      = { .items = NULL };
    float            *embeddings = ccu_alloc_zeroed((size_t)info.batch_max,
                                                    (size_t)info.embed_dim * sizeof *embeddings);
    ccu_progress      progress;

    ccu_interrupt_arm(run->interrupt, true);
    ccu_progress_open(&progress, "image", visible ? count_inputs(run->arguments, run->classes) : 0,
                      visible);
    clipcu_status status =
        embeddings == NULL
            ? ccu_fail(&error, CLIPCU_ERR_NOMEM, "no memory for %d embeddings", info.batch_max)
            : ccu_batch_open(&(ccu_batch_options){ .count_max   = info.batch_max,
                                                   .threads     = (int32_t)run->arguments->threads,
                                                   .image_bytes = (size_t)info.image_size *
                                                                  (size_t)info.image_size * 3,
                                                   .load    = load,
                                                   .context = run->engine },
                             &batch, &error);
    if (status == CLIPCU_OK) {
        ccu_source_options options = describe(run->arguments, run->classes);
        options.wake_fd            = run->interrupt->wake[0];
        options.warn               = quiet ? NULL : warn;
        options.warn_user          = &progress;
        status                     = ccu_source_open(&options, &source, &error);
    }
    if (status == CLIPCU_OK) { status = work(run, source, &batch, embeddings, &progress, &error); }
    ccu_source_close(source);
    ccu_batch_close(&batch);
    ccu_free(embeddings);
    ccu_interrupt_arm(run->interrupt, false);

    const int  caught = ccu_interrupt_caught(run->interrupt);
    const bool silent = quiet || run->output->broken_pipe;
    ccu_progress_close(&progress, silent);
    if (status != CLIPCU_OK) { return ccu_runner_fatal(&error, run->output); }
    if (caught != 0) { return 128 + caught; }
    return progress.errors > 0 ? CCU_EXIT_INPUTS : CCU_EXIT_OK;
}
