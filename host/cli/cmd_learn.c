/* clipcu learn: a prompt from a few pictures of each class. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/session.h"
#include "stream/buffer.h"
#include "stream/few_shot.h"
#include "stream/output.h"

#define HELP_HINT "; see clipcu learn --help"
#define COOP_BATCH 32 /* of the papers */
#define COCOOP_EPOCHS 10

typedef struct lesson {
    const ccu_arguments *arguments;
    ccu_interrupt       *interrupt;
    clipcu_engine       *engine;
    clipcu_learner      *learner;
    ccu_few_shot       data;
    clipcu_method        method;
    int32_t              epochs, batch, E;
    float                rate;
    int32_t             *order;    /* (count) of an epoch */
    int32_t             *label;    /* (batch) */
    float               *x;        /* (batch, E) */
    float               *fixed;    /* (fixed_views, count, E), or NULL */
    uint64_t            *draws;    /* (batch) */
    ccu_views      views;
    ccu_buffer           log;      /* a line for each epoch */
    char                 checkpoint[CCU_PATH_MAX];
    char                 settings[512]; /* what a run that goes on has to have in common */
} lesson;

/* ---- Arguments ------------------------------------------------------------------------------ */

static int find_method(const ccu_arguments *arguments, clipcu_method *method) {
    const char *name = arguments->inputs_count > 0 ? arguments->inputs[0] : "nothing";
    if (strcmp(name, "coop") == 0 || strcmp(name, "cocoop") == 0) {
        *method = strcmp(name, "coop") == 0 ? CLIPCU_METHOD_COOP : CLIPCU_METHOD_COCOOP;
        return CCU_EXIT_OK;
    }
    ccu_report("which method? Expected coop or cocoop first, found %s" HELP_HINT, name);
    return CCU_EXIT_USAGE;
}

static int usage(const char *text) {
    ccu_report("%s" HELP_HINT, text);
    return CCU_EXIT_USAGE;
}

/* Whether a file can be written there: to be known before hours of learning. */
static clipcu_status check_file(const char *path, clipcu_error *error) {
    ccu_writer          writer;
    const clipcu_status status = ccu_writer_open(path, &writer, error);
    if (status == CLIPCU_OK) { ccu_writer_abandon(&writer); }
    return status;
}

static int check_arguments(const ccu_arguments *arguments, lesson *l) {
    char        *end    = NULL;
    clipcu_error error  = { .code = CLIPCU_OK };
    const int    status = find_method(arguments, &l->method);
    if (status != CCU_EXIT_OK) { return status; }
    l->rate = strtof(arguments->rate, &end);
    if (*end != '\0' || !(l->rate > 0.0f) || !isfinite(l->rate)) {
        ccu_report("--rate: expected a number above 0, found \"%s\"" HELP_HINT, arguments->rate);
        return CCU_EXIT_USAGE;
    }
    if (arguments->inputs_count < 2) {
        return usage("which pictures? Add a folder with a folder for each class, or a list of "
                     "PATH<TAB>LABEL lines");
    }
    if (arguments->labels != NULL && arguments->classes != NULL) {
        return usage("expected at most one of --classes and --labels, found both");
    }
    if (arguments->output == NULL) { return usage("where to? Add -o FILE.safetensors"); }
    if (arguments->init != NULL && arguments->class_specific != 0) {
        return usage("vectors that begin as words are shared by all classes: expected one of "
                     "--init and --class-specific, found both");
    }
    if (snprintf(l->checkpoint, sizeof l->checkpoint, "%s.checkpoint", arguments->output) >=
        (int)sizeof l->checkpoint) {
        return usage("the path of -o is too long");
    }
    if (check_file(arguments->output, &error) != CLIPCU_OK ||
        check_file(l->checkpoint, &error) != CLIPCU_OK ||
        (arguments->log != NULL && ccu_output_check(arguments->log, &error) != CLIPCU_OK)) {
        ccu_report("%s", error.text);
        return CCU_EXIT_FATAL;
    }
    return CCU_EXIT_OK;
}

/* What was published where nothing else is asked for. */
static void settle(const ccu_arguments *arguments, lesson *l) {
    const bool conditional = l->method == CLIPCU_METHOD_COCOOP;
    const int64_t shots    = arguments->shots;
    l->batch  = conditional ? 1 : COOP_BATCH;
    l->epochs = conditional ? COCOOP_EPOCHS : shots <= 1 ? 50 : shots <= 4 ? 100 : 200;
    if (arguments->batch > 0) { l->batch = (int32_t)arguments->batch; }
    if (arguments->epochs > 0) { l->epochs = (int32_t)arguments->epochs; }
}

/* ---- Open ----------------------------------------------------------------------------------- */

/* Pictures too: their number stands for the list, which is not written out. */
static void describe(lesson *l) {
    const ccu_arguments *a = l->arguments;
    (void)snprintf(l->settings, sizeof l->settings,
                   "shots %lld seed %lld epochs %d batch %d rate %g fixed-views %lld precision %s "
                   "pictures %d init \"%.100s\"",
                   (long long)a->shots, (long long)a->seed, (int)l->epochs, (int)l->batch,
                   (double)l->rate, (long long)a->fixed_views,
                   clipcu_engine_info(l->engine).precision, (int)l->data.count,
                   a->init == NULL ? "" : a->init); /* may be cut */
}

static clipcu_status open_learner(lesson *l, clipcu_error *error) {
    const ccu_arguments *a       = l->arguments;
    clipcu_learn_options options = clipcu_learn_options_default();
    options.method               = l->method;
    options.position             = (clipcu_position)a->position;
    options.class_specific       = a->class_specific;
    options.context_count        = (int32_t)a->context_count;
    options.init                 = a->init;
    options.seed                 = (uint64_t)a->seed;
    options.batch_max            = l->batch;
    options.memory_max           = (size_t)a->memory << 20;
    return clipcu_learner_open(l->engine, &options, (const char *const *)l->data.classes.names,
                               l->data.K, &l->learner, error);
}

static clipcu_status open_memory(lesson *l, clipcu_error *error) {
    const clipcu_info info  = clipcu_engine_info(l->engine);
    const size_t      B     = (size_t)l->batch, N = (size_t)l->data.count;
    const size_t      image = (size_t)info.image_size * (size_t)info.image_size * 3;
    const size_t      fixed = (size_t)l->arguments->fixed_views * N * (size_t)info.embed_dim;
    l->E                    = info.embed_dim;
    l->order                = ccu_alloc_zeroed(N + B, sizeof *l->order);
    l->label                = ccu_alloc_zeroed(B, sizeof *l->label);
    l->x                    = ccu_alloc_zeroed(B * (size_t)l->E, sizeof *l->x);
    l->draws                = ccu_alloc_zeroed(B, sizeof *l->draws);
    l->fixed                = ccu_alloc_zeroed(fixed, sizeof *l->fixed);
    l->views = (ccu_views){ .data        = &l->data,
                                  .engine      = l->engine,
                                  .draws       = l->draws,
                                  .errors      = ccu_alloc_zeroed(B, sizeof *l->views.errors),
                                  .pixels      = ccu_alloc_zeroed(B, image),
                                  .seed        = (uint64_t)l->arguments->seed,
                                  .image_bytes = image,
                                  .threads     = (int32_t)l->arguments->threads };
    if (l->views.threads == 0) { l->views.threads = ccu_threads_online(); }
    if (l->order == NULL || l->label == NULL || l->x == NULL || l->draws == NULL ||
        l->fixed == NULL || l->views.errors == NULL || l->views.pixels == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a batch of %d pictures",
                        (int)l->batch);
    }
    return CLIPCU_OK;
}

static void warn(void *user, const char *text) {
    (void)user;
    ccu_report("warning: %s", text);
}

static clipcu_status open_data(lesson *l, clipcu_error *error) {
    const ccu_arguments       *a       = l->arguments;
    const ccu_few_shot_options options = { .inputs       = a->inputs + 1, /* behind the method */
                                           .inputs_count = a->inputs_count - 1,
                                           .root         = a->root,
                                           .labels       = a->labels,
                                           .classes      = a->classes,
                                           .base         = a->base_new != 0,
                                           .shots        = a->shots,
                                           .seed         = (uint64_t)a->seed,
                                           .warn         = a->quiet != 0 ? NULL : warn };
    return ccu_few_shot_open(&options, &l->data, error);
}

static int open_lesson(lesson *l) {
    ccu_arguments arguments = *l->arguments;
    clipcu_error  error     = { .code = CLIPCU_OK };
    clipcu_status opened    = open_data(l, &error);
    if (opened == CLIPCU_OK) {
        arguments.batch  = l->batch; /* what the image tower takes at once */
        const int status = ccu_session_open(&arguments, &l->engine);
        if (status != CCU_EXIT_OK) { return status; }
        describe(l);
        opened = open_memory(l, &error);
    }
    if (opened == CLIPCU_OK) { opened = open_learner(l, &error); }
    if (opened != CLIPCU_OK) { ccu_report("%s", error.text); }
    return ccu_session_exit_of_words(opened);
}

static void close_lesson(lesson *l) {
    clipcu_learner_close(l->learner);
    clipcu_close(l->engine);
    ccu_few_shot_close(&l->data);
    ccu_buffer_free(&l->log);
    ccu_free(l->order);
    ccu_free(l->label);
    ccu_free(l->x);
    ccu_free(l->draws);
    ccu_free(l->fixed);
    ccu_free(l->views.errors);
    ccu_free(l->views.pixels);
}

/* ---- Pictures -> embeddings ----------------------------------------------------------------- */

/* picks (count) in views number `view` of every picture -> x (count, E) */
static clipcu_status encode(lesson *l, const int32_t *picks, int32_t count, uint64_t view, float *x,
                            clipcu_error *error) {
    for (int32_t i = 0; i < count; i++) {
        l->draws[i] = view * (uint64_t)l->data.count + (uint64_t)picks[i];
    }
    l->views.picks             = picks;
    l->views.count             = count;
    const clipcu_status status = ccu_views_load(&l->views, error);
    if (status != CLIPCU_OK) { return status; }
    return clipcu_encode_images(l->engine, l->views.pixels, count, x, error);
}

static clipcu_status encode_fixed(lesson *l, clipcu_error *error) {
    const int32_t N      = l->data.count;
    clipcu_status status = CLIPCU_OK;
    for (int32_t i = 0; i < N; i++) { l->order[i] = i; }
    for (int64_t view = 0; view < l->arguments->fixed_views; view++) {
        for (int32_t from = 0; from < N && status == CLIPCU_OK; from += l->batch) {
            const int32_t count = N - from < l->batch ? N - from : l->batch;
            float *x = l->fixed + ((size_t)view * (size_t)N + (size_t)from) * (size_t)l->E;
            status   = encode(l, l->order + from, count, (uint64_t)view, x, error);
        }
    }
    return status;
}

/* The embeddings of a step of epoch 1, 2, ... */
static clipcu_status embed(lesson *l, const int32_t *picks, int32_t count, int32_t epoch,
                           clipcu_error *error) {
    const size_t E = (size_t)l->E, N = (size_t)l->data.count;
    if (l->arguments->fixed_views == 0) {
        return encode(l, picks, count, (uint64_t)epoch, l->x, error);
    }
    const size_t view = (size_t)((epoch - 1) % l->arguments->fixed_views);
    for (int32_t i = 0; i < count; i++) {
        memcpy(l->x + (size_t)i * E, l->fixed + (view * N + (size_t)picks[i]) * E,
               E * sizeof *l->x);
    }
    return CLIPCU_OK;
}

/* ---- Epochs --------------------------------------------------------------------------------- */

typedef struct tally {
    double  loss; /* sum over pictures */
    int64_t correct, pictures;
} tally;

/* Whole batches, as the papers' loader gives them; one smaller batch where there is no whole one.
 * A signal ends it with *stopped. */
static clipcu_status run_epoch(lesson *l, int32_t epoch, tally *t, bool *stopped,
                               clipcu_error *error) {
    const int32_t N = l->data.count, B = N < l->batch ? N : l->batch;
    const float   rate   = clipcu_learning_rate(epoch, l->epochs, l->rate);
    clipcu_status status = CLIPCU_OK;
    ccu_few_shot_order(&l->data, (uint64_t)l->arguments->seed, epoch, l->order);
    for (int32_t from = 0; from + B <= N && status == CLIPCU_OK; from += B) {
        const int32_t *picks   = l->order + from;
        double         loss    = 0.0;
        int32_t        correct = 0;
        *stopped               = ccu_interrupt_caught(l->interrupt) != 0;
        if (*stopped) { return CLIPCU_OK; }
        for (int32_t i = 0; i < B; i++) { l->label[i] = l->data.label[picks[i]]; }
        status = embed(l, picks, B, epoch, error);
        if (status == CLIPCU_OK) {
            status = clipcu_learner_step(l->learner, l->x, l->label, B, rate, &loss, &correct,
                                         error);
        }
        t->loss += loss * (double)B;
        t->correct += correct;
        t->pictures += B;
    }
    return status;
}

static clipcu_status write_log(lesson *l, clipcu_error *error) {
    ccu_output    output = { .fd = -1 };
    clipcu_status status = ccu_buffer_status(&l->log, error);
    if (l->arguments->log == NULL || status != CLIPCU_OK) { return status; }
    status = ccu_output_open(l->arguments->log, &output, error);
    if (status == CLIPCU_OK) {
        status = ccu_output_write(&output, l->log.data, l->log.bytes, error);
        const clipcu_status closed = ccu_output_close(&output, status == CLIPCU_OK, error);
        status                     = status == CLIPCU_OK ? closed : status;
    }
    return status;
}

/* The checkpoint's note: settings, then the log so far. */
static clipcu_status save(lesson *l, int32_t epoch, clipcu_error *error) {
    ccu_buffer note = { .data = NULL };
    ccu_buffer_format(&note, "%s\n", l->settings);
    ccu_buffer_add(&note, l->log.data, l->log.bytes);
    ccu_buffer_add(&note, "", 1); /* its NUL */
    clipcu_status status = ccu_buffer_status(&note, error);
    if (status == CLIPCU_OK) {
        status = clipcu_learner_save(l->learner, epoch, note.data, l->checkpoint, error);
    }
    ccu_buffer_free(&note);
    return status;
}

static clipcu_status tell(lesson *l, int32_t epoch, const tally *t, double seconds,
                          clipcu_error *error) {
    const double rate     = (double)clipcu_learning_rate(epoch, l->epochs, l->rate);
    const double loss     = t->loss / (double)t->pictures;
    const double accuracy = (double)t->correct / (double)t->pictures;
    ccu_buffer_format(&l->log,
                      "{\"epoch\":%d,\"rate\":%.9g,\"loss\":%.9g,\"accuracy\":%.6g,"
                      "\"pictures\":%lld}\n",
                      (int)epoch, rate, loss, accuracy, (long long)t->pictures);
    if (l->arguments->quiet == 0) {
        ccu_report("epoch %d/%d: rate %.3g, loss %.4f, right %.1f %%, %.2f s", (int)epoch,
                   (int)l->epochs, rate, loss, 100.0 * accuracy, seconds);
    }
    const clipcu_status status = save(l, epoch, error);
    return status == CLIPCU_OK ? write_log(l, error) : status;
}

/* Where to go on: the epoch that the checkpoint stands after, 0 without one. */
static clipcu_status resume(lesson *l, int32_t *epoch, clipcu_error *error) {
    char *note = NULL;
    *epoch     = 0;
    if (l->arguments->resume == 0 || !ccu_file_exists(l->checkpoint)) { return CLIPCU_OK; }
    clipcu_status status = clipcu_learner_load(l->learner, l->checkpoint, epoch, &note, error);
    const size_t  length = strlen(l->settings);
    if (status == CLIPCU_OK &&
        (strncmp(note, l->settings, length) != 0 || note[length] != '\n')) {
        status = ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: begun with %.*s, expected %s",
                          l->checkpoint, (int)strcspn(note, "\n"), note, l->settings);
    }
    if (status == CLIPCU_OK) {
        ccu_buffer_add(&l->log, note + length + 1, strlen(note + length + 1));
        if (l->arguments->quiet == 0) {
            ccu_report("going on after epoch %d of %s", (int)*epoch, l->checkpoint);
        }
    }
    clipcu_free(note);
    return status;
}

static clipcu_status learn(lesson *l, bool *stopped, clipcu_error *error) {
    int32_t       done   = 0;
    clipcu_status status = resume(l, &done, error);
    if (status == CLIPCU_OK && done < l->epochs) { status = encode_fixed(l, error); }
    while (status == CLIPCU_OK && done < l->epochs && !*stopped) {
        const double started = ccu_progress_clock();
        tally        t       = { .pictures = 0 };
        status               = run_epoch(l, done + 1, &t, stopped, error);
        if (status == CLIPCU_OK && !*stopped) {
            done++;
            status = tell(l, done, &t, ccu_progress_clock() - started, error);
        }
    }
    if (status == CLIPCU_OK && !*stopped) {
        status = clipcu_prompt_save(clipcu_learner_prompt(l->learner, done), l->arguments->output,
                                    error);
    }
    return status;
}

int ccu_cmd_learn(const ccu_arguments *arguments, ccu_interrupt *interrupt) {
    lesson       l       = { .arguments = arguments, .interrupt = interrupt };
    clipcu_error error   = { .code = CLIPCU_OK };
    bool         stopped = false;
    int          status  = check_arguments(arguments, &l);
    if (status == CCU_EXIT_OK) {
        settle(arguments, &l);
        status = open_lesson(&l);
    }
    if (status == CCU_EXIT_OK) {
        ccu_interrupt_arm(interrupt, true);
        const clipcu_status learned = learn(&l, &stopped, &error);
        if (learned != CLIPCU_OK) {
            ccu_report("%s", error.text);
            status = learned == CLIPCU_ERR_ARGUMENT ? CCU_EXIT_USAGE : CCU_EXIT_FATAL;
        } else if (stopped) {
            ccu_report("stopped; --resume goes on from %s", l.checkpoint);
            status = 128 + ccu_interrupt_caught(interrupt);
        } else {
            (void)remove(l.checkpoint); /* the prompt is there: nothing to go on from */
        }
        ccu_interrupt_arm(interrupt, false);
    }
    close_lesson(&l);
    return status;
}
