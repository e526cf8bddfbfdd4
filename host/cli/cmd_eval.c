/* clipcu eval: how often the best match is the class a picture is of. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/accuracy_text.h"
#include "cli/commands.h"
#include "cli/html.h"
#include "cli/report.h"
#include "cli/runner.h"
#include "cli/session.h"
#include "stream/words.h"

#define DETAILS_BYTES 256
#define FORMAT_JSON 1 /* of --format */

#define HELP_HINT "; see clipcu eval --help"

/* Classes that are compared with each other. */
typedef struct half {
    clipcu_bank *bank;
    int32_t      first, count, top;
} half;

typedef struct evaluation {
    clipcu_engine *engine;
    ccu_classes    classes;
    half           halves[2]; /* base and new classes, or all classes and none */
    int32_t        halves_count;
    ccu_accuracy   accuracy;
    float         *own;       /* (batch_max, E) embeddings of a half's pictures */
    int32_t       *own_rows;  /* (batch_max) their rows in the batch */
    clipcu_match  *own_top;   /* (batch_max, CCU_ACCURACY_TOP) what they match */
    int64_t        failed;
    size_t         image_bytes;
    ccu_output     output;
    ccu_page      *page; /* NULL: not wanted */
} evaluation;

static int check_arguments(const ccu_arguments *arguments) {
    const int given = (arguments->labels != NULL) + (arguments->classes != NULL) +
                      (arguments->bank != NULL);
    if (given > 1) {
        ccu_report("expected at most one of --classes, --labels and --bank, found %d of "
                   "them" HELP_HINT,
                   given);
        return CCU_EXIT_USAGE;
    }
    if (arguments->inputs_count == 0) {
        ccu_report("which pictures? Add a folder with a folder for each class, or a list of "
                   "PATH<TAB>LABEL lines" HELP_HINT);
        return CCU_EXIT_USAGE;
    }
    if (arguments->bank != NULL && strcmp(arguments->templates, "single") != 0) {
        ccu_report("--templates belongs to clipcu bank here: %s was made with templates of its own",
                   arguments->bank);
        return CCU_EXIT_USAGE;
    }
    if (arguments->bank != NULL && arguments->base_new != 0) {
        ccu_report("--base-new halves class names: expected --classes or --labels or neither, "
                   "found --bank");
        return CCU_EXIT_USAGE;
    }
    if (arguments->bank != NULL && arguments->prompt != NULL) {
        ccu_report("expected one of --bank and --prompt, found both" HELP_HINT);
        return CCU_EXIT_USAGE;
    }
    return ccu_runner_check(arguments);
}

/* ---- Classes -------------------------------------------------------------------------------- */

static clipcu_status classes_of_bank(const clipcu_bank *bank, ccu_classes *out,
                                     clipcu_error *error) {
    const int32_t count = clipcu_bank_count(bank);
    const char  **names = ccu_alloc_zeroed((size_t)count, sizeof *names);
    if (names == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d class names", (int)count);
    }
    for (int32_t i = 0; i < count; i++) { names[i] = clipcu_bank_label(bank, i); }
    const clipcu_status status = ccu_classes_named(names, count, out, error);
    ccu_free(names);
    return status;
}

static clipcu_status classes_of_text(const char *text, ccu_classes *out, clipcu_error *error) {
    ccu_words     words  = { .count = 0 };
    clipcu_status status = ccu_words_classes(text, &words, error);
    if (status == CLIPCU_OK) {
        status = ccu_classes_named((const char *const *)words.items, words.count, out, error);
    }
    ccu_words_free(&words);
    return status;
}

/* The classes that are asked for, else those that the data bring. */
static clipcu_status find_classes(const ccu_arguments *arguments, evaluation *e,
                                  clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    if (arguments->bank != NULL) {
        status = classes_of_bank(e->halves[0].bank, &e->classes, error);
    } else if (arguments->labels != NULL) {
        status = ccu_classes_read(arguments->labels, &e->classes, error);
    } else if (arguments->classes != NULL) {
        status = classes_of_text(arguments->classes, &e->classes, error);
    } else {
        return ccu_labelled_classes(arguments->inputs, arguments->inputs_count, &e->classes, error);
    }
    if (status != CLIPCU_OK) { return status; }
    return ccu_labelled_check(&e->classes, arguments->inputs, arguments->inputs_count, error);
}

/* All classes as one, or the first half of them, rounded up, and the rest. */
static int halve(const ccu_arguments *arguments, evaluation *e) {
    const int32_t K = e->classes.K;
    if (arguments->base_new != 0 && K < 2) {
        ccu_report("--base-new: expected at least 2 classes, found %d", (int)K);
        return CCU_EXIT_USAGE;
    }
    e->halves_count    = arguments->base_new != 0 ? 2 : 1;
    e->halves[0].count = arguments->base_new != 0 ? K - K / 2 : K;
    e->halves[1].first = e->halves[0].count;
    e->halves[1].count = K - e->halves[0].count;
    return CCU_EXIT_OK;
}

static int read_classes(const ccu_arguments *arguments, evaluation *e) {
    clipcu_error error  = { .code = CLIPCU_OK };
    int          status = CCU_EXIT_OK;
    if (arguments->bank != NULL) {
        status = ccu_session_load_bank(arguments->bank, &e->halves[0].bank);
        if (status != CCU_EXIT_OK) { return status; }
    }
    const clipcu_status found = find_classes(arguments, e, &error);
    if (found != CLIPCU_OK) {
        ccu_report("%s", error.text);
        return ccu_session_exit_of_words(found);
    }
    const char *repeated = ccu_classes_repeated(&e->classes);
    if (repeated != NULL && arguments->quiet == 0) {
        ccu_report("warning: the class \"%s\" is given twice: pictures belong to the first, which "
                   "shares its probability with the other",
                   repeated);
    }
    return halve(arguments, e);
}

/* A bank of each half, unless one was loaded. */
static int open_banks(const ccu_arguments *arguments, evaluation *e) {
    ccu_vocabulary vocabulary = { .templates = NULL };
    int            status     = ccu_session_templates(arguments, &vocabulary);
    for (int32_t i = 0; i < e->halves_count && status == CCU_EXIT_OK; i++) {
        half *h                 = &e->halves[i];
        vocabulary.labels.items = e->classes.names + h->first; /* borrowed */
        vocabulary.labels.count = h->count;
        status = ccu_session_classes(e->engine, arguments->bank, &vocabulary, &h->bank);
        vocabulary.labels = (ccu_words){ .count = 0 };
    }
    ccu_vocabulary_free(&vocabulary);
    return status;
}

/* What is cheap to find wrong comes before opening the model. */
static int open_classes(const ccu_arguments *arguments, evaluation *e) {
    clipcu_error error  = { .code = CLIPCU_OK };
    int          status = read_classes(arguments, e);
    if (status == CCU_EXIT_OK && (ccu_output_check(arguments->output, &error) != CLIPCU_OK ||
                                  ccu_page_check(arguments->html, &error) != CLIPCU_OK)) {
        ccu_report("%s", error.text);
        status = CCU_EXIT_FATAL;
    }
    if (status == CCU_EXIT_OK) { status = ccu_session_open(arguments, &e->engine); }
    return status == CCU_EXIT_OK ? open_banks(arguments, e) : status;
}

/* ---- Pictures ------------------------------------------------------------------------------- */

static clipcu_status open_page(const ccu_arguments *arguments, evaluation *e, clipcu_error *error) {
    const clipcu_info info = clipcu_engine_info(e->engine);
    char              what[DETAILS_BYTES];
    const char *with  = arguments->bank != NULL     ? ""
                        : arguments->prompt != NULL ? "prompt "
                                                    : "templates ";
    const char *which = arguments->bank != NULL     ? arguments->bank
                        : arguments->prompt != NULL ? arguments->prompt
                                                    : arguments->templates;
    (void)snprintf(what, sizeof what, "%d classes%s, %s%s", (int)e->classes.K,
                   e->halves_count == 2 ? " in halves" : "", with, which); /* may be cut */
    return ccu_html_open(arguments, &info, CCU_PAGE_EVAL, what, &e->page, error);
}

static clipcu_status open_results(const ccu_arguments *arguments, evaluation *e,
                                  clipcu_error *error) {
    const clipcu_info info      = clipcu_engine_info(e->engine);
    const size_t      batch_max = (size_t)info.batch_max, E = (size_t)info.embed_dim;
    clipcu_status     status    = ccu_output_open(arguments->output, &e->output, error);
    if (status == CLIPCU_OK) { status = open_page(arguments, e, error); }
    if (status == CLIPCU_OK) { status = ccu_accuracy_open(e->classes.K, &e->accuracy, error); }
    e->own      = ccu_alloc_zeroed(batch_max * E, sizeof *e->own);
    e->own_rows = ccu_alloc_zeroed(batch_max, sizeof *e->own_rows);
    e->own_top  = ccu_alloc_zeroed(batch_max * CCU_ACCURACY_TOP, sizeof *e->own_top);
    if (status == CLIPCU_OK && (e->own == NULL || e->own_rows == NULL || e->own_top == NULL)) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a batch of %zu pictures",
                          batch_max);
    }
    for (int32_t i = 0; i < e->halves_count; i++) {
        half *h = &e->halves[i];
        h->top  = h->count < CCU_ACCURACY_TOP ? h->count : CCU_ACCURACY_TOP;
    }
    e->image_bytes = (size_t)info.image_size * (size_t)info.image_size * 3;
    return status;
}

/* The half that a picture's class belongs to. */
static half *half_of(evaluation *e, const ccu_batch_item *item) {
    return &e->halves[item->class_index >= e->halves[0].count ? 1 : 0];
}

/* The matches of a row, by all classes: of a batch's (batch_max, CCU_ACCURACY_TOP) results. */
static clipcu_match *matches_of(const ccu_batch *batch, int32_t row) {
    return (clipcu_match *)(void *)batch->results + (size_t)row * CCU_ACCURACY_TOP;
}

/* Compares the pictures of a half with its classes: those of learned prompts may take a text tower
 * for each picture. */
static clipcu_status rank(evaluation *e, half *h, const ccu_batch *batch, const float *embeddings,
                          clipcu_error *error) {
    const size_t E = (size_t)clipcu_bank_embed_dim(h->bank), top = (size_t)h->top;
    int32_t      count = 0;
    for (int32_t i = 0; i < batch->count; i++) {
        const ccu_batch_item *item = &batch->items[i];
        if (item->row < 0 || half_of(e, item) != h) { continue; }
        memcpy(e->own + (size_t)count * E, embeddings + (size_t)item->row * E, E * sizeof *e->own);
        e->own_rows[count++] = item->row;
    }
    if (count == 0) { return CLIPCU_OK; }
    const clipcu_status status = clipcu_rank(e->engine, h->bank, e->own, count, h->top, e->own_top,
                                             error);
    for (size_t i = 0; i < (size_t)count && status == CLIPCU_OK; i++) {
        clipcu_match *to = matches_of(batch, e->own_rows[i]);
        memcpy(to, e->own_top + i * top, top * sizeof *to);
        for (size_t k = 0; k < top; k++) { to[k].class_index += h->first; }
    }
    return status;
}

/* matches (count) of one picture, or none and why */
static clipcu_status add_card(evaluation *e, const ccu_batch *batch, const ccu_batch_item *item,
                              const clipcu_match *matches, int32_t count, clipcu_error *error) {
    ccu_page_score scores[CCU_ACCURACY_TOP];
    ccu_page_item  card = { .path = item->path, .scores = scores, .count = count };
    if (item->class_index >= 0) { card.truth = e->classes.names[item->class_index]; }
    if (item->row < 0) { card.error = item->error.text; }
    for (int32_t k = 0; k < count; k++) {
        scores[k] = (ccu_page_score){ .label  = e->classes.names[matches[k].class_index],
                                      .value  = matches[k].probability,
                                      .cosine = matches[k].cosine };
    }
    if (item->row >= 0) {
        card.pixels = batch->pixels + (size_t)item->row * e->image_bytes;
    }
    return ccu_page_add(e->page, &card, error);
}

static clipcu_status score(void *context, ccu_batch *batch, const float *embeddings,
                           clipcu_error *error) {
    evaluation   *e      = context;
    clipcu_status status = CLIPCU_OK;
    for (int32_t i = 0; i < e->halves_count && status == CLIPCU_OK; i++) {
        status = rank(e, &e->halves[i], batch, embeddings, error);
    }
    return status;
}

static clipcu_status take(void *context, ccu_batch *batch, const float *embeddings,
                          clipcu_error *error) {
    evaluation   *e      = context;
    clipcu_status status = CLIPCU_OK;
    (void)embeddings; /* score has made matches of them */
    for (int32_t i = 0; i < batch->count && status == CLIPCU_OK; i++) {
        const ccu_batch_item *item = &batch->items[i];
        if (item->row < 0) {
            e->failed++;
            status = add_card(e, batch, item, NULL, 0, error);
            continue;
        }
        const half         *h       = half_of(e, item);
        const clipcu_match *matches = matches_of(batch, item->row);
        ccu_accuracy_add(&e->accuracy, item->class_index, matches, h->top);
        status = add_card(e, batch, item, matches, h->top, error);
    }
    return status;
}

static size_t results_bytes(const evaluation *e) {
    const size_t batch_max = (size_t)clipcu_engine_info(e->engine).batch_max;
    return batch_max * CCU_ACCURACY_TOP * sizeof(clipcu_match);
}

/* ---- Results -------------------------------------------------------------------------------- */

static clipcu_status write_accuracy(const ccu_arguments *arguments, evaluation *e,
                                    clipcu_error *error) {
    ccu_buffer              buffer = { .data = NULL };
    const ccu_accuracy_text text   = { .accuracy = &e->accuracy,
                                       .names    = e->classes.names,
                                       .failed   = e->failed,
                                       .base     = e->halves_count == 2 ? e->halves[0].count : 0 };
    if (arguments->format == FORMAT_JSON) {
        ccu_accuracy_json(&text, &buffer);
    } else {
        ccu_accuracy_table(&text, &buffer);
    }
    clipcu_status status = ccu_buffer_status(&buffer, error);
    if (status == CLIPCU_OK) {
        status = ccu_output_write(&e->output, buffer.data, buffer.bytes, error);
    }
    ccu_buffer_free(&buffer);
    return status;
}

static clipcu_status add_accuracy(evaluation *e, clipcu_error *error) {
    const size_t    K       = (size_t)e->classes.K;
    ccu_page_class *classes = NULL;
    if (e->page == NULL) { return CLIPCU_OK; }
    classes = ccu_alloc_zeroed(K, sizeof *classes);
    if (classes == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d classes of a page",
                        (int)e->classes.K);
    }
    for (size_t i = 0; i < K; i++) {
        const ccu_class_tally *tally = &e->accuracy.classes[i];
        classes[i] = (ccu_page_class){ e->classes.names[i], tally->pictures, tally->top1,
                                       tally->top5 };
    }
    const ccu_page_accuracy accuracy = { .classes   = classes,
                                         .confusion = e->accuracy.confusion,
                                         .K         = e->classes.K,
                                         .pictures  = e->accuracy.all.pictures,
                                         .top1      = e->accuracy.all.top1,
                                         .top5      = e->accuracy.all.top5 };
    const clipcu_status status = ccu_page_accuracy_add(e->page, &accuracy, error);
    ccu_free(classes);
    return status;
}

/* A run that did not end has no accuracy: parts of data sets are ordered by class. */
static int close_results(const ccu_arguments *arguments, evaluation *e, int exit_status) {
    clipcu_error error    = { .code = CLIPCU_OK };
    bool         complete = exit_status == CCU_EXIT_OK || exit_status == CCU_EXIT_INPUTS;
    if (complete && (write_accuracy(arguments, e, &error) != CLIPCU_OK ||
                     add_accuracy(e, &error) != CLIPCU_OK)) {
        exit_status = ccu_runner_fatal(&error, &e->output);
        complete    = false;
        error       = (clipcu_error){ .code = CLIPCU_OK };
    }
    if (ccu_page_close(e->page, complete, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        exit_status = CCU_EXIT_FATAL;
        error       = (clipcu_error){ .code = CLIPCU_OK };
    }
    if (ccu_output_close(&e->output, complete, &error) != CLIPCU_OK) {
        return ccu_runner_fatal(&error, &e->output);
    }
    return exit_status;
}

int ccu_cmd_eval(const ccu_arguments *arguments, ccu_interrupt *interrupt) {
    evaluation   e      = { .output = { .fd = -1 } };
    clipcu_error error  = { .code = CLIPCU_OK };
    int          status = check_arguments(arguments);
    if (status == CCU_EXIT_OK) { status = open_classes(arguments, &e); }
    if (status == CCU_EXIT_OK && open_results(arguments, &e, &error) != CLIPCU_OK) {
        status = ccu_runner_fatal(&error, &e.output);
    }
    if (status == CCU_EXIT_OK) {
        status = ccu_runner_run(&(ccu_run){ .engine    = e.engine,
                                            .arguments = arguments,
                                            .interrupt = interrupt,
                                            .classes   = &e.classes,
                                            .tells     = true,
                                            .output    = &e.output,
                                            .score     = score,
                                            .results_bytes = results_bytes(&e),
                                            .take      = take,
                                            .context   = &e });
    }
    status = close_results(arguments, &e, status);
    for (int32_t i = 0; i < 2; i++) { clipcu_bank_close(e.halves[i].bank); }
    ccu_free(e.own);
    ccu_free(e.own_rows);
    ccu_free(e.own_top);
    ccu_accuracy_close(&e.accuracy);
    ccu_classes_free(&e.classes);
    clipcu_close(e.engine);
    return status;
}
