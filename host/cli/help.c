/* The pages of --help; see help.h. */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS 80
#define HELP_COLUMN 30 /* where the explanation of an option starts */
#define WHOLE_MAX 40

void ccu_help_overview(ccu_buffer *out) {
    ccu_buffer_text(out, "clipcu: classify and embed pictures with words (CLIP)\n\n"
                         "Usage: clipcu COMMAND [OPTIONS] [INPUT...]\n\nCommands:\n");
    for (size_t i = 0; i < ccu_commands_count; i++) {
        if (ccu_commands[i].id == 0) { continue; }
        ccu_buffer_format(out, "  %-10s %s\n", ccu_commands[i].name, ccu_commands[i].summary);
    }
    ccu_buffer_text(
        out, "  help       show this page, or that of a command: clipcu help classify\n\n"
             "Examples:\n"
             "  What is in this photo?\n"
             "    clipcu classify photo.jpg --classes \"cat,dog,boat\"\n\n"
             "  Sort a folder of photos: one JSON line each\n"
             "    clipcu classify photos/ --labels labels.txt --format jsonl -o results.jsonl\n\n"
             "  Vectors for search or clustering, as a NumPy file\n"
             "    clipcu embed photos/ -o vectors\n\n"
             "Exit status: 0 all good, 1 the command line has to change, 2 some inputs failed,\n"
             "3 the model cannot be opened or results cannot be written, 130 stopped by Ctrl-C.\n"
             "clipcu --version shows the version.\n");
}

/* Breaks text into lines at spaces; the cursor stands at HELP_COLUMN. */
static void add_wrapped(ccu_buffer *out, const char *text) {
    size_t column = HELP_COLUMN;
    while (*text != '\0') {
        /* A default stays in one piece where it is short. */
        const size_t whole = text[0] == '[' ? strcspn(text, "]") + 1 : 0;
        const size_t bytes = whole > 0 && whole <= WHOLE_MAX ? whole : strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + bytes > COLUMNS) {
            ccu_buffer_text(out, "\n");
            ccu_buffer_repeat(out, ' ', HELP_COLUMN);
            column = HELP_COLUMN;
        }
        if (column > HELP_COLUMN) {
            ccu_buffer_text(out, " ");
            column++;
        }
        ccu_buffer_add(out, text, bytes);
        column += bytes;
        text += bytes + strspn(text + bytes, " ");
    }
    ccu_buffer_text(out, "\n");
}

static void add_option(ccu_buffer *out, const ccu_option *option) {
    char head[64] = "      ";
    char text[512];
    if (option->letter != 0) { (void)snprintf(head, sizeof head, "  -%c, ", option->letter); }
    const size_t at = strlen(head);
    (void)snprintf(head + at, sizeof head - at, "--%s%s%s", option->name,
                   option->argument != NULL ? " " : "",
                   option->argument != NULL ? option->argument : ""); /* a test sees it whole */
    ccu_buffer_text(out, head);
    const size_t columns = strlen(head);
    if (columns + 2 > HELP_COLUMN) {
        ccu_buffer_text(out, "\n");
        ccu_buffer_repeat(out, ' ', HELP_COLUMN);
    } else {
        ccu_buffer_repeat(out, ' ', (int32_t)(HELP_COLUMN - columns));
    }
    (void)snprintf(text, sizeof text, "%s%s%s%s", option->help,
                   option->fallback != NULL ? " [default: " : "",
                   option->fallback != NULL ? option->fallback : "",
                   option->fallback != NULL ? "]" : ""); /* as above */
    add_wrapped(out, text);
}

void ccu_help_command(const ccu_command *command, ccu_buffer *out) {
    const char *section = "";
    ccu_buffer_format(out, "clipcu %s: %s\n\nUsage: %s\n", command->name, command->summary,
                      command->usage);
    if (command->details[0] != '\0') {
        ccu_buffer_text(out, command->details);
        ccu_buffer_text(out, "\n");
    }
    for (size_t i = 0; i < ccu_option_count; i++) {
        const ccu_option *option = &ccu_option_table[i];
        if ((option->commands & command->id) == 0) { continue; }
        if (strcmp(section, option->section) != 0) {
            ccu_buffer_format(out, "%s%s:\n", section[0] == '\0' ? "" : "\n", option->section);
            section = option->section;
        }
        add_option(out, option);
    }
    ccu_buffer_text(out, "\nExamples:\n");
    ccu_buffer_text(out, command->examples);
}
