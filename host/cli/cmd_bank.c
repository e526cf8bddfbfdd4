/* clipcu bank: class names, encoded once and kept in a file. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/session.h"
#include "stream/output.h"

#define HELP_HINT "; see clipcu bank --help"

static int check_arguments(const ccu_arguments *arguments) {
    clipcu_error error = { .code = CLIPCU_OK };
    const bool none = arguments->labels == NULL && arguments->classes == NULL;
    if ((arguments->labels != NULL && arguments->classes != NULL) ||
        (none && arguments->prompt == NULL)) {
        ccu_report("which classes? Expected one of --classes \"cat,dog\" and --labels FILE, "
                   "found %s" HELP_HINT,
                   arguments->labels != NULL ? "both" : "neither");
        return CCU_EXIT_USAGE;
    }
    if (arguments->inputs_count > 0) {
        ccu_report("a bank is made of class names only, found the input \"%s\"" HELP_HINT,
                   arguments->inputs[0]);
        return CCU_EXIT_USAGE;
    }
    if (arguments->output == NULL) {
        ccu_report("where to? Add -o FILE.safetensors" HELP_HINT);
        return CCU_EXIT_USAGE;
    }
    if (ccu_output_check(arguments->output, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        return CCU_EXIT_FATAL;
    }
    return CCU_EXIT_OK;
}

static int save(const ccu_arguments *arguments, const clipcu_bank *bank) {
    clipcu_error error;
    if (clipcu_bank_save(bank, arguments->output, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        return CCU_EXIT_FATAL;
    }
    return CCU_EXIT_OK;
}

int ccu_cmd_bank(const ccu_arguments *arguments) {
    ccu_vocabulary vocabulary = { .templates = NULL };
    clipcu_engine *engine     = NULL;
    clipcu_bank   *bank       = NULL;
    const double   started    = ccu_progress_clock();
    int            status     = check_arguments(arguments);
    if (status == CCU_EXIT_OK) { status = ccu_session_vocabulary(arguments, &vocabulary); }
    if (status == CCU_EXIT_OK) { status = ccu_session_open(arguments, &engine); }
    if (status == CCU_EXIT_OK) { status = ccu_session_bank(engine, &vocabulary, &bank); }
    if (status == CCU_EXIT_OK) { status = save(arguments, bank); }
    if (status == CCU_EXIT_OK && arguments->quiet == 0) {
        char what[64];
        (void)snprintf(what, sizeof what, "%d template%s", vocabulary.templates_count,
                       vocabulary.templates_count == 1 ? "" : "s");
        ccu_report("%s: %d classes, %s, %.2f s", arguments->output, clipcu_bank_count(bank),
                   arguments->prompt != NULL ? arguments->prompt : what,
                   ccu_progress_clock() - started);
    }
    clipcu_bank_close(bank);
    clipcu_close(engine);
    ccu_vocabulary_free(&vocabulary);
    return status;
}
