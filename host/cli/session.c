/* What commands do before they start; see session.h. */
#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"
#include "cli/self.h"

void ccu_vocabulary_free(ccu_vocabulary *vocabulary) {
    ccu_words_free(&vocabulary->labels);
    ccu_words_free(&vocabulary->template_words);
    clipcu_prompt_close(vocabulary->prompt);
    vocabulary->prompt = NULL;
}

/* A mistake in words is the caller's to mend; running out of memory is not. */
int ccu_session_exit_of_words(clipcu_status status) {
    switch (status) {
    case CLIPCU_OK: return CCU_EXIT_OK;
    case CLIPCU_ERR_ARGUMENT:
    case CLIPCU_ERR_IO:
    case CLIPCU_ERR_FORMAT:
    case CLIPCU_ERR_LIMIT: return CCU_EXIT_USAGE;
    case CLIPCU_ERR_UNSUPPORTED:
    case CLIPCU_ERR_NOMEM:
    case CLIPCU_ERR_CUDA:
    case CLIPCU_ERR_BACKEND: return CCU_EXIT_FATAL;
    }
    return CCU_EXIT_FATAL;
}

static clipcu_status read_templates(const char *name, ccu_vocabulary *out, clipcu_error *error) {
    out->templates = clipcu_builtin_templates(name, &out->templates_count);
    if (out->templates != NULL) { return CLIPCU_OK; }
    if (access(name, F_OK) != 0) {
        return ccu_fail(error, CLIPCU_ERR_IO,
                        "--templates: expected single, openai7, openai80 or a file, found \"%s\", "
                        "which does not exist",
                        name);
    }
    const clipcu_status status = ccu_words_templates(name, &out->template_words, error);
    if (status == CLIPCU_OK) {
        out->templates       = (const char *const *)out->template_words.items;
        out->templates_count = out->template_words.count;
    }
    return status;
}

/* What names are put into. */
static clipcu_status read_sentences(const ccu_arguments *arguments, ccu_vocabulary *out,
                                    clipcu_error *error) {
    if (arguments->prompt == NULL) { return read_templates(arguments->templates, out, error); }
    if (strcmp(arguments->templates, "single") != 0) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "expected one of --templates and --prompt, found both");
    }
    return clipcu_prompt_load(arguments->prompt, &out->prompt, error);
}

int ccu_session_templates(const ccu_arguments *arguments, ccu_vocabulary *out) {
    clipcu_error        error  = { .code = CLIPCU_OK };
    const clipcu_status status = read_sentences(arguments, out, &error);
    if (status != CLIPCU_OK) { ccu_report("%s", error.text); }
    return ccu_session_exit_of_words(status);
}

int ccu_session_vocabulary(const ccu_arguments *arguments, ccu_vocabulary *out) {
    clipcu_error error   = { .code = CLIPCU_OK };
    *out                 = (ccu_vocabulary){ .templates = NULL };
    clipcu_status status = CLIPCU_OK;
    if (arguments->labels != NULL) {
        status = ccu_words_labels(arguments->labels, &out->labels, &error);
    } else if (arguments->classes != NULL) {
        status = ccu_words_classes(arguments->classes, &out->labels, &error);
    } /* else those of the prompt */
    if (status == CLIPCU_OK) { status = read_sentences(arguments, out, &error); }
    const char *repeated = status == CLIPCU_OK ? ccu_words_repeated(&out->labels) : NULL;
    if (repeated != NULL && arguments->quiet == 0) {
        ccu_report("warning: %s: the class \"%s\" is given twice; equal classes share their "
                   "probability",
                   arguments->labels != NULL ? arguments->labels : "--classes", repeated);
    }
    if (status != CLIPCU_OK) {
        ccu_vocabulary_free(out);
        ccu_report("%s", error.text);
    }
    return ccu_session_exit_of_words(status);
}

static bool is_folder(const char *path) {
    struct stat info;
    return path[0] != '\0' && stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Written into `demo` if it is the demo model. */
static const char *find_model(const ccu_arguments *arguments, char demo[PATH_MAX]) {
    const char *wanted = getenv("CLIPCU_MODEL");
    if (arguments->model != NULL) { return arguments->model; }
    if (wanted != NULL && wanted[0] != '\0') { return wanted; }
    if (!ccu_self_beside(CLIPCU_DEMO_INSTALLED, demo)) {
        (void)snprintf(demo, PATH_MAX, "%s", CLIPCU_DEMO_SOURCE); /* cut: is no folder */
    }
    if (!is_folder(demo)) {
        ccu_report("no model: the demo model was not installed with clipcu; give one with "
                   "--model DIR");
        return NULL;
    }
    if (arguments->quiet == 0 && isatty(STDERR_FILENO)) {
        ccu_report("using the demo model, which is small and knows little; --model DIR takes "
                   "another");
    }
    return demo;
}

static void warn(void *user, const char *text) {
    (void)user;
    ccu_report("warning: %s", text);
}

int ccu_session_open(const ccu_arguments *arguments, clipcu_engine **out) {
    clipcu_error   error;
    clipcu_options options = clipcu_options_default();
    options.device         = arguments->device.device;
    options.device_index   = arguments->device.index;
    options.precision      = (clipcu_precision)arguments->precision;
    options.batch_max      = (int32_t)arguments->batch;
    options.threads        = (int32_t)arguments->threads;
    options.crop           = (clipcu_crop)arguments->crop;
    options.tokenizer      = (clipcu_tokenizer)arguments->tokenizer;
    options.truncate       = arguments->truncate;
    options.exif           = arguments->exif;
    options.draft          = arguments->draft;
    if (arguments->pixels_max > 0) { options.pixels_max = arguments->pixels_max; }
    if (arguments->quiet == 0) { options.warn = warn; }

    char        demo[PATH_MAX];
    const char *model = find_model(arguments, demo);
    if (model == NULL) { return CCU_EXIT_FATAL; }
    if (clipcu_open(model, &options, out, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        return CCU_EXIT_FATAL;
    }
    return CCU_EXIT_OK;
}

int ccu_session_bank(clipcu_engine *engine, const ccu_vocabulary *vocabulary, clipcu_bank **out) {
    clipcu_error       error;
    const char *const *labels = (const char *const *)vocabulary->labels.items;
    const int32_t      count  = vocabulary->labels.count;
    clipcu_status      status = CLIPCU_OK;
    if (vocabulary->prompt != NULL) {
        status = clipcu_bank_build_prompt(engine, vocabulary->prompt, labels, count, out, &error);
    } else {
        status = clipcu_bank_build(engine, labels, count, vocabulary->templates,
                                   vocabulary->templates_count, out, &error);
    }
    if (status != CLIPCU_OK) {
        ccu_report("%s%s", error.text,
                   status == CLIPCU_ERR_LIMIT && vocabulary->prompt == NULL
                       ? " (--truncate cuts what is too long)"
                       : "");
    }
    return ccu_session_exit_of_words(status);
}

int ccu_session_load_bank(const char *path, clipcu_bank **out) {
    clipcu_error        error;
    const clipcu_status status = clipcu_bank_load(path, out, &error);
    if (status == CLIPCU_OK) { return CCU_EXIT_OK; }
    ccu_report("%s", error.text);
    return status == CLIPCU_ERR_NOMEM ? CCU_EXIT_FATAL : CCU_EXIT_USAGE;
}

int ccu_session_classes(clipcu_engine *engine, const char *path, const ccu_vocabulary *vocabulary,
                        clipcu_bank **bank) {
    const clipcu_info info = clipcu_engine_info(engine);
    if (info.has_image == 0) {
        ccu_report("%s: this model has no image tower", info.model_dir);
        return CCU_EXIT_FATAL;
    }
    if (*bank == NULL) { return ccu_session_bank(engine, vocabulary, bank); }
    if (clipcu_bank_fingerprint(*bank) != info.fingerprint) {
        ccu_report("%s: made with another model than %s; make it again with clipcu bank", path,
                   info.model_dir);
        return CCU_EXIT_USAGE;
    }
    return CCU_EXIT_OK;
}
