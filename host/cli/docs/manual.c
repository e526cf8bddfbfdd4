/* The manual page; see docs.h. */
#include <ctype.h>
#include <string.h>

#include "cli/docs/docs.h"

bool ccu_docs_has(const ccu_option *option, const ccu_command *command) {
    if (command != NULL) { return (option->commands & command->id) != 0; }
    for (size_t i = 0; i < ccu_commands_count; i++) {
        if ((option->commands & ccu_commands[i].id) != 0) { return true; }
    }
    return false;
}

/* Text in which nothing is a request or an escape of roff. A - that begins a word is one to type:
 * it must not become a hyphen. */
static void add_text(FILE *out, const char *text, bool literal) {
    char before = '\n';
    for (; *text != '\0'; before = *text++) {
        const bool word_begins = strchr(" \n(\"", before) != NULL;
        const bool hyphen      = !literal && !word_begins && before != '-';
        if (before == '\n' && (*text == '.' || *text == '\'')) { (void)fputs("\\&", out); }
        switch (*text) {
        case '\\': (void)fputs("\\e", out); break;
        case '-': (void)fputs(hyphen ? "-" : "\\-", out); break;
        case '\'': (void)fputs(literal ? "\\(aq" : "'", out); break;
        case '~': (void)fputs("\\(ti", out); break;
        case '^': (void)fputs("\\(ha", out); break;
        case '`': (void)fputs("\\(ga", out); break;
        default: (void)fputc(*text, out);
        }
    }
}

/* Lines as they are, in a fixed font. */
static void add_lines(FILE *out, const char *head, const char *lines) {
    (void)fprintf(out, ".PP\n.EX\n%s", head);
    add_text(out, lines, true);
    (void)fputs(".EE\n", out);
}

static void add_command(FILE *out, const ccu_command *command) {
    (void)fprintf(out, ".SS clipcu %s\n%c", command->name, toupper(command->summary[0]));
    add_text(out, command->summary + 1, false);
    (void)fputs(".\n", out);
    add_lines(out, "Usage: ", command->usage);
    if (command->details[0] != '\0') {
        (void)fputs(".PP\n", out);
        add_text(out, command->details, false);
    }
    (void)fputs(".PP\nExamples:\n", out);
    add_lines(out, "", command->examples);
}

/* "For classify and bank." behind what not every command takes. */
static void add_takers(FILE *out, const ccu_option *option) {
    int takers = 0, all = 0, named = 0;
    for (size_t i = 0; i < ccu_commands_count; i++) {
        all += ccu_commands[i].id != 0;
        takers += ccu_docs_has(option, &ccu_commands[i]);
    }
    if (takers == all) { return; }
    (void)fputs(".br\nFor", out);
    for (size_t i = 0; i < ccu_commands_count; i++) {
        if (!ccu_docs_has(option, &ccu_commands[i])) { continue; }
        named++;
        (void)fprintf(out, "%s \\fB%s\\fR",
                      named == 1        ? ""
                      : named == takers ? " and"
                                        : ",",
                      ccu_commands[i].name);
    }
    (void)fputs(".\n", out);
}

static void add_option(FILE *out, const ccu_option *option) {
    (void)fputs(".TP\n", out);
    if (option->letter != 0) { (void)fprintf(out, "\\fB\\-%c\\fR, ", option->letter); }
    (void)fputs("\\fB", out);
    add_text(out, "--", true);
    add_text(out, option->name, true);
    (void)fputs("\\fR", out);
    if (option->argument != NULL) {
        (void)fputs(" \\fI", out);
        add_text(out, option->argument, true);
        (void)fputs("\\fR", out);
    }
    (void)fputs("\n", out);
    add_text(out, option->help, false);
    if (option->fallback != NULL) {
        (void)fputs(" [default: ", out);
        add_text(out, option->fallback, true);
        (void)fputs("]", out);
    }
    (void)fputs("\n", out);
    add_takers(out, option);
}

/* Every option once, section by section. The table may return to a section. */
static void add_options(FILE *out) {
    for (size_t i = 0; i < ccu_option_count; i++) {
        const ccu_option *first = &ccu_option_table[i];
        bool              done  = !ccu_docs_has(first, NULL);
        for (size_t k = 0; k < i && !done; k++) {
            const ccu_option *other = &ccu_option_table[k];
            done = ccu_docs_has(other, NULL) && strcmp(other->section, first->section) == 0;
        }
        if (done) { continue; }
        (void)fprintf(out, ".SS %s\n", first->section);
        for (size_t k = i; k < ccu_option_count; k++) {
            const ccu_option *option = &ccu_option_table[k];
            if (!ccu_docs_has(option, NULL)) { continue; }
            if (strcmp(option->section, first->section) == 0) { add_option(out, option); }
        }
    }
}

void ccu_docs_manual(FILE *out) {
    (void)fprintf(out,
                  ".\\\" Made from the tables of options by host/cli/docs.\n"
                  ".TH CLIPCU 1 \"\" \"clipcu %d.%d.%d\" \"User Commands\"\n"
                  ".nh\n.ad l\n",
                  CLIPCU_VERSION_MAJOR, CLIPCU_VERSION_MINOR, CLIPCU_VERSION_PATCH);
    (void)fputs(".SH NAME\n"
                "clipcu \\- classify, embed and search pictures with words (CLIP)\n"
                ".SH SYNOPSIS\n"
                "\\fBclipcu\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIINPUT\\fR...]\n"
                ".br\n"
                "\\fBclipcu help\\fR [\\fICOMMAND\\fR]\n"
                ".br\n"
                "\\fBclipcu \\-\\-version\\fR\n"
                ".SH DESCRIPTION\n"
                "clipcu runs CLIP models, which map pictures and texts to vectors of one space: "
                "the nearer,\n"
                "the better a text describes a picture. Models are folders as Hugging Face or "
                "open_clip lay\n"
                "them out, used without conversion.\n"
                ".PP\n"
                "Results go to standard output or a file, messages and progress to standard "
                "error.\n"
                ".SH COMMANDS\n",
                out);
    for (size_t i = 0; i < ccu_commands_count; i++) {
        if (ccu_commands[i].id != 0) { add_command(out, &ccu_commands[i]); }
    }
    (void)fputs(".SH OPTIONS\n"
                "The value of an option is the next word, or follows an equals sign. Options and "
                "inputs may\n"
                "mix; behind \\fB\\-\\-\\fR everything is an input.\n",
                out);
    add_options(out);
    (void)fprintf(out,
                  ".SH EXIT STATUS\n"
                  ".TP\n\\fB%d\\fR\nall good\n"
                  ".TP\n\\fB%d\\fR\nthe command line has to change\n"
                  ".TP\n\\fB%d\\fR\nsome inputs failed; the results have a line with the error "
                  "for each\n"
                  ".TP\n\\fB%d\\fR\nthe model cannot be opened or results cannot be written\n"
                  ".TP\n\\fB130\\fR\nstopped by Ctrl-C\n",
                  CCU_EXIT_OK, CCU_EXIT_USAGE, CCU_EXIT_INPUTS, CCU_EXIT_FATAL);
    (void)fputs(".SH ENVIRONMENT\n"
                ".TP\n\\fBCLIPCU_MODEL\\fR\nthe model to use where \\fB\\-\\-model\\fR is not "
                "given\n"
                ".TP\n\\fBNO_COLOR\\fR\nif set and not empty, nothing is coloured\n"
                ".SH FILES\n"
                ".TP\n\\fI" CLIPCU_DEMO_INSTALLED "\\fR\nthe demo model: small, knows emoji only\n"
                ".SH SEE ALSO\n"
                "The C interface is documented in \\fI<clipcu.h>\\fR.\n",
                out);
}
