/* The loop of classify and embed; see runner.h. */
#include "cli/runner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
                                 .root         = arguments->root,
                                 .task         = arguments->task.index,
                                 .tasks        = arguments->task.count };
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
    ccu_source_names_only(source, true);
    while (ccu_source_next(source, -1, &item) == CCU_SOURCE_ITEM) {
        count++;
        if (ccu_progress_clock() - started > COUNT_SECONDS) {
            count = 0;
            break;
        }
    }
    ccu_source_close(source);
    return count;
}

/* ---- Stages --------------------------------------------------------------------------------- */

/* What the callbacks of the pipeline share. Embeddings stand before the results of score. */
typedef struct stage_context {
    const ccu_run *run;
    ccu_progress   progress;
} stage_context;

static ccu_source_result next(void *context, int wait_ms, ccu_source_item *item) {
    return ccu_source_next(context, wait_ms, item);
}

static clipcu_status decode(const void *context, const char *name, const uint8_t *bytes,
                            size_t bytes_count, uint8_t *pixels, clipcu_error *error) {
    return clipcu_decode_image(context, name, bytes, bytes_count, pixels, error);
}

static size_t embeddings_bytes(const clipcu_info *info) {
    return (size_t)info->batch_max * (size_t)info->embed_dim * sizeof(float);
}

static clipcu_status encode(void *context, ccu_batch *batch, clipcu_error *error) {
    const stage_context *c          = context;
    const ccu_run       *run        = c->run;
    float               *embeddings = (float *)(void *)batch->embeddings;
    if (batch->loaded == 0) { return CLIPCU_OK; }
    const clipcu_status status = clipcu_encode_images(run->engine, batch->pixels, batch->loaded,
                                                      embeddings, error);
    if (status != CLIPCU_OK || run->score == NULL) { return status; }
    return run->score(run->context, batch, embeddings, error);
}

static void tell_failures(const ccu_batch *batch, ccu_progress *progress) {
    for (int32_t i = 0; i < batch->count; i++) {
        if (batch->items[i].row < 0) { ccu_progress_say(progress, batch->items[i].error.text); }
    }
}

static clipcu_status take(void *context, ccu_batch *batch, clipcu_error *error) {
    stage_context *c = context;
    if (c->run->tells) { tell_failures(batch, &c->progress); }
    const clipcu_status status = c->run->take(c->run->context, batch,
                                              (const float *)(const void *)batch->embeddings,
                                              error);
    if (status == CLIPCU_OK) {
        ccu_progress_add(&c->progress, batch->count, batch->count - batch->loaded);
    }
    return status;
}

static bool stopped(void *context) {
    return ccu_interrupt_caught(context) != 0;
}

static void warn(void *user, const char *text) {
    char line[1100];
    (void)snprintf(line, sizeof line, "warning: %s", text); /* may be cut */
    ccu_progress_say(user, line);
}

/* ---- A run ---------------------------------------------------------------------------------- */

static clipcu_status write_stages(const char *path, const ccu_stages *stages, clipcu_error *error) {
    ccu_buffer    buffer = { .data = NULL };
    ccu_output    output = { .fd = -1 };
    clipcu_status status = CLIPCU_OK;
    ccu_stages_json(stages, &buffer);
    status = ccu_buffer_status(&buffer, error);
    if (status == CLIPCU_OK) { status = ccu_output_open(path, &output, error); }
    if (status == CLIPCU_OK) {
        status = ccu_output_write(&output, buffer.data, buffer.bytes, error);
    }
    ccu_buffer_free(&buffer);
    const clipcu_status closed = ccu_output_close(&output, status == CLIPCU_OK, error);
    return status != CLIPCU_OK ? status : closed;
}

/* --stats, and the table for whoever asked for --explain. */
static clipcu_status explain(const ccu_arguments *arguments, const ccu_stages *stages,
                             clipcu_error *error) {
    if (arguments->explain != 0) {
        ccu_buffer buffer = { .data = NULL };
        ccu_stages_table(stages, &buffer);
        (void)fputs(buffer.data == NULL ? "" : buffer.data, stderr); /* only for people */
        ccu_buffer_free(&buffer);
    }
    return arguments->stats == NULL ? CLIPCU_OK : write_stages(arguments->stats, stages, error);
}

/* Goes on where an earlier run was; *errors grows by its. */
static clipcu_status skip(stage_context *c, ccu_source *source, int64_t *errors,
                          clipcu_error *error) {
    const ccu_run           *run     = c->run;
    const ccu_resume_options options = { .most            = -1,
                                         .heading         = "",
                                         .stopped         = stopped,
                                         .stopped_context = run->interrupt };
    ccu_resumed              done    = { .items = 0 };
    const clipcu_status      status  = run->skip(run->context, source, &options, &done, error);
    if (status != CLIPCU_OK || done.stopped) { return status; }
    *errors = done.errors;
    if (c->progress.total > done.items) { c->progress.total -= done.items; }
    if (run->arguments->quiet == 0) {
        char line[128];
        (void)snprintf(line, sizeof line, "going on behind %" PRId64 " images that are done",
                       done.items); /* fits */
        ccu_progress_say(&c->progress, line);
    }
    return CLIPCU_OK;
}

int ccu_runner_run(const ccu_run *run) {
    const ccu_arguments *arguments = run->arguments;
    const clipcu_info    info      = clipcu_engine_info(run->engine);
    const bool           quiet     = arguments->quiet != 0;
    const bool           visible   = ccu_runner_shows_progress(arguments);
    clipcu_error         error     = { .code = CLIPCU_OK };
    ccu_source          *source    = NULL;
    ccu_stages           stages    = { .seconds = 0.0 };
    stage_context        c         = { .run = run };
    void                *encoder   = &c;
    int64_t              errors_before = 0; /* of the run that is gone on with */

    ccu_interrupt_arm(run->interrupt, true);
    ccu_progress_open(&c.progress, "image", visible ? count_inputs(arguments, run->classes) : 0,
                      visible);
    ccu_source_options options = describe(arguments, run->classes);
    options.wake_fd            = run->interrupt->wake[0];
    options.warn               = quiet ? NULL : warn;
    options.warn_user          = &c.progress;
    clipcu_status status       = ccu_source_open(&options, &source, &error);
    if (status == CLIPCU_OK && run->skip != NULL) {
        status = skip(&c, source, &errors_before, &error);
    }
    if (status == CLIPCU_OK && !stopped(run->interrupt)) {
        const ccu_pipeline_options pipeline = {
            .batch_max        = info.batch_max,
            .decoders         = (int32_t)arguments->threads,
            .image_bytes      = (size_t)info.image_size * (size_t)info.image_size * 3,
            .embeddings_bytes = embeddings_bytes(&info),
            .results_bytes    = run->results_bytes,
            .next             = next,
            .next_context     = source,
            .decode           = decode,
            .decode_context   = run->engine,
            .encode           = encode,
            .encoders         = &encoder,
            .encoders_count   = 1,
            .take             = take,
            .take_context     = &c,
            .stopped          = stopped,
            .stopped_context  = run->interrupt,
        };
        status              = ccu_pipeline_run(&pipeline, &stages, &error);
        stages.shared_cores = strncmp(info.device, "cpu", 3) == 0;
    }
    ccu_source_close(source);
    ccu_interrupt_arm(run->interrupt, false);

    const int  caught = ccu_interrupt_caught(run->interrupt);
    const bool silent = quiet || run->output->broken_pipe;
    ccu_progress_close(&c.progress, silent);
    if (status == CLIPCU_OK) { status = explain(arguments, &stages, &error); }
    if (status != CLIPCU_OK) { return ccu_runner_fatal(&error, run->output); }
    if (caught != 0) { return 128 + caught; }
    return c.progress.errors + errors_before > 0 ? CCU_EXIT_INPUTS : CCU_EXIT_OK;
}
