/* The clipcu command: finds out what is asked for and hands it to the command's own file. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/overwrite.h"
#include "cli/report.h"
#include "cli/runner.h"
#include "cli/self.h"

/* Opens what the caller has closed of 0, 1 and 2, so that no file of ours gets such a number and
 * messages land in it. Read-only: writing still fails, as it should. */
static void fill_standard_files(void) {
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) == -1) { (void)open("/dev/null", O_RDONLY); } /* nothing to do */
    }
}

/* Writes a page and frees it. */
static int show(ccu_buffer *page, int exit_status) {
    ccu_output    output;
    clipcu_error  error  = { .code = CLIPCU_OK };
    clipcu_status status = ccu_output_open(NULL, &output, &error);
    if (status == CLIPCU_OK && page->bytes > 0) {
        status = ccu_output_write(&output, page->data, page->bytes, &error);
    }
    ccu_buffer_free(page);
    return status == CLIPCU_OK ? exit_status : ccu_runner_fatal(&error, &output);
}

static int refuse_command(const char *name) {
    const ccu_command *known = ccu_command_find(name);
    const ccu_command *meant = ccu_command_suggest(name);
    struct stat        info;
    if (known != NULL) {
        ccu_report("%s is not in this version; see clipcu --help", name);
    } else if (name[0] == '-' && name[1] != '\0') {
        ccu_report("expected a command before the option %s; see clipcu --help", name);
    } else if (meant != NULL) {
        ccu_report("unknown command \"%s\"; did you mean clipcu %s?", name, meant->name);
    } else if (stat(name, &info) == 0) {
        ccu_report("expected a command before \"%s\", as in: clipcu classify %s --classes "
                   "\"cat,dog\"",
                   name, name);
    } else {
        ccu_report("unknown command \"%s\"; see clipcu --help", name);
    }
    return CCU_EXIT_USAGE;
}

/* help, help COMMAND */
static int show_help(int argc, char **argv) {
    ccu_buffer page = { .data = NULL };
    if (argc == 0) {
        ccu_help_overview(&page);
        return show(&page, CCU_EXIT_OK);
    }
    if (strcmp(argv[0], "help") == 0) {
        ccu_help_overview(&page);
        return show(&page, CCU_EXIT_OK);
    }
    const ccu_command *command = ccu_command_find(argv[0]);
    if (command == NULL || command->id == 0) { return refuse_command(argv[0]); }
    ccu_help_command(command, &page);
    return show(&page, CCU_EXIT_OK);
}

static int show_version(void) {
    ccu_buffer page = { .data = NULL };
    ccu_buffer_format(&page, "clipcu %s\n", clipcu_version());
    return show(&page, CCU_EXIT_OK);
}

static int run_command(const ccu_command *command, const ccu_arguments *arguments) {
    ccu_interrupt interrupt;
    int           status = CCU_EXIT_USAGE;
    ccu_interrupt_open(&interrupt);
    switch (command->id) {
    case CCU_CLASSIFY: status = ccu_cmd_classify(arguments, &interrupt); break;
    case CCU_EMBED: status = ccu_cmd_embed(arguments, &interrupt); break;
    case CCU_BANK: status = ccu_cmd_bank(arguments); break;
    case CCU_SEARCH: status = ccu_cmd_search(arguments, &interrupt); break;
    case CCU_EVAL: status = ccu_cmd_eval(arguments, &interrupt); break;
    case CCU_LEARN: status = ccu_cmd_learn(arguments, &interrupt); break;
    case CCU_INFO: status = ccu_cmd_info(arguments); break;
    }
    ccu_interrupt_close(&interrupt);
    return status;
}

static bool is_one_of(const char *word, const char *a, const char *b, const char *c) {
    return strcmp(word, a) == 0 || strcmp(word, b) == 0 || strcmp(word, c) == 0;
}

int main(int argc, char **argv) {
    ccu_arguments arguments;
    clipcu_error  error = { .code = CLIPCU_OK };
    ccu_self_change(argv);
    fill_standard_files();
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write; cannot fail */
    (void)signal(SIGXFSZ, SIG_IGN); /* so is a file that grows beyond ulimit -f */
    if (argc < 2) {
        ccu_report("expected a command: classify, embed, bank, search, eval, learn or info; see "
                   "clipcu --help");
        return CCU_EXIT_USAGE;
    }
    if (is_one_of(argv[1], "help", "--help", "-h")) { return show_help(argc - 2, argv + 2); }
    if (is_one_of(argv[1], "--version", "-V", "version")) { return show_version(); }
    const ccu_command *command = ccu_command_find(argv[1]);
    if (command == NULL || command->id == 0) { return refuse_command(argv[1]); }
    if (ccu_options_parse(command, argc - 2, argv + 2, &arguments, &error) != CLIPCU_OK) {
        ccu_report("%s; see clipcu %s --help", error.text, command->name);
        return CCU_EXIT_USAGE;
    }
    if (arguments.help != 0) {
        char *name = argv[1];
        return show_help(1, &name);
    }
    const int status = ccu_overwrite_check(command, &arguments);
    return status == CCU_EXIT_OK ? run_command(command, &arguments) : status;
}
