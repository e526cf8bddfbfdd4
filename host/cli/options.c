/* Parsing by the tables; see options.h. */
#include "cli/options.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "cli/suggest.h"

#define DEVICE_INDEX_MAX 63

/* One option as it was typed. */
typedef struct typed {
    char        shown[64]; /* "--top" or "-k", for messages */
    const char *name;      /* not NUL-terminated */
    size_t      name_bytes;
    const char *value; /* behind = or a letter; NULL: the next word, if one is needed */
} typed;

const ccu_command *ccu_command_find(const char *name) {
    for (size_t i = 0; i < ccu_commands_count; i++) {
        if (strcmp(ccu_commands[i].name, name) == 0) { return &ccu_commands[i]; }
    }
    return NULL;
}

const ccu_command *ccu_command_suggest(const char *name) {
    const ccu_command *best = NULL;
    int32_t            cost = INT32_MAX;
    for (size_t i = 0; i < ccu_commands_count; i++) {
        const int32_t distance = ccu_suggest_distance(name, ccu_commands[i].name);
        if (ccu_suggest_near(name, ccu_commands[i].name) && distance < cost) {
            best = &ccu_commands[i];
            cost = distance;
        }
    }
    return best;
}

static bool is_named(const ccu_option *option, const typed *word) {
    return word->name_bytes == 1 && word->shown[1] != '-'
               ? option->letter == word->name[0]
               : strlen(option->name) == word->name_bytes &&
                     strncmp(option->name, word->name, word->name_bytes) == 0;
}

static clipcu_status fail_unknown(const ccu_command *command, const typed *word,
                                  clipcu_error *error) {
    const ccu_option *best = NULL;
    int32_t           cost = INT32_MAX;
    char              name[64];
    (void)snprintf(name, sizeof name, "%.*s", (int)word->name_bytes, word->name); /* cut is fine */
    for (size_t i = 0; i < ccu_option_count; i++) {
        const ccu_option *option = &ccu_option_table[i];
        if (is_named(option, word)) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s is no option of clipcu %s", word->shown,
                            command->name);
        }
        const int32_t distance = ccu_suggest_distance(name, option->name);
        if ((option->commands & command->id) != 0 && distance < cost &&
            ccu_suggest_near(name, option->name)) {
            best = option;
            cost = distance;
        }
    }
    if (best != NULL) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "unknown option %s; did you mean --%s?",
                        word->shown, best->name);
    }
    return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "unknown option %s", word->shown);
}

static clipcu_status parse_number(const ccu_option *option, const char *shown, const char *value,
                                  int64_t *out, clipcu_error *error) {
    char *end              = NULL;
    errno                  = 0;
    const long long number = strtoll(value, &end, 10);
    const bool      digits = (value[0] >= '0' && value[0] <= '9') || value[0] == '-';
    if (!digits || *end != '\0' || errno != 0 || number < option->min || number > option->max) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "%s: expected a whole number from %" PRId64 " to %" PRId64
                        ", found \"%.100s\"",
                        shown, option->min, option->max, value);
    }
    *out = number;
    return CLIPCU_OK;
}

static clipcu_status parse_choice(const ccu_option *option, const char *shown, const char *value,
                                  int32_t *out, clipcu_error *error) {
    for (int32_t i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], value) == 0) {
            *out = i;
            return CLIPCU_OK;
        }
    }
    return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: expected %s, found \"%.100s\"", shown,
                    option->argument, value);
}

static clipcu_status parse_device(const ccu_option *option, const char *shown, const char *value,
                                  ccu_device_choice *out, clipcu_error *error) {
    static const char *const names[] = { "auto", "cpu", "cuda" };
    for (int32_t i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            *out = (ccu_device_choice){ .device = (clipcu_device)i };
            return CLIPCU_OK;
        }
    }
    if (strncmp(value, "cuda:", 5) == 0 && value[5] >= '0' && value[5] <= '9') {
        char      *end   = NULL;
        const long index = strtol(value + 5, &end, 10);
        if (*end == ',') {
            return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                            "%s: several devices (\"%.100s\") are not in this version; give one",
                            shown, value);
        }
        if (*end == '\0' && index <= DEVICE_INDEX_MAX) {
            *out = (ccu_device_choice){ .device = CLIPCU_DEVICE_CUDA, .index = (int32_t)index };
            return CLIPCU_OK;
        }
    }
    return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: expected %s, found \"%.100s\"", shown,
                    option->argument, value);
}

static clipcu_status parse_task(const ccu_option *option, const char *shown, const char *value,
                                ccu_task *out, clipcu_error *error) {
    char *end   = NULL;
    errno       = 0;
    out->index  = strtoll(value, &end, 10);
    if (value[0] >= '0' && value[0] <= '9' && end[0] == '/' && end[1] >= '0' && end[1] <= '9') {
        out->count = strtoll(end + 1, &end, 10);
        if (*end == '\0' && errno == 0 && out->index < out->count) { return CLIPCU_OK; }
    }
    return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                    "%s: expected %s with I from 0 to N-1, found \"%.100s\"", shown,
                    option->argument, value);
}

/* Stores a value at the option's place. memcpy: the place is known as bytes only. */
static clipcu_status store(const ccu_option *option, const char *shown, const char *value,
                           ccu_arguments *arguments, clipcu_error *error) {
    char             *at     = (char *)arguments + option->offset;
    clipcu_status     status = CLIPCU_OK;
    int64_t           number = 0;
    int32_t           choice = 1;
    ccu_device_choice device = { .device = CLIPCU_DEVICE_AUTO };
    ccu_task          task   = { .index = 0 };
    switch (option->type) {
    case CCU_OPTION_FLAG: memcpy(at, &choice, sizeof choice); break;
    case CCU_OPTION_TEXT:
        if (value[0] == '\0') {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: expected %s, found nothing", shown,
                            option->argument);
        }
        memcpy(at, &value, sizeof value);
        break;
    case CCU_OPTION_NUMBER:
        status = parse_number(option, shown, value, &number, error);
        memcpy(at, &number, sizeof number);
        break;
    case CCU_OPTION_CHOICE:
        status = parse_choice(option, shown, value, &choice, error);
        memcpy(at, &choice, sizeof choice);
        break;
    case CCU_OPTION_DEVICE:
        status = parse_device(option, shown, value, &device, error);
        memcpy(at, &device, sizeof device);
        break;
    case CCU_OPTION_TASK:
        status = parse_task(option, shown, value, &task, error);
        memcpy(at, &task, sizeof task);
        break;
    }
    return status;
}

/* Takes a word apart that begins with - and is more than that. */
static void read_word(const char *word, typed *out) {
    *out = (typed){ .name = word + 1 };
    if (word[1] == '-') {
        out->name       = word + 2;
        out->name_bytes = strcspn(out->name, "=");
        if (out->name[out->name_bytes] == '=') { out->value = out->name + out->name_bytes + 1; }
        (void)snprintf(out->shown, sizeof out->shown, "--%.*s", (int)out->name_bytes, out->name);
        return;
    }
    out->name_bytes = 1;
    if (word[2] != '\0') { out->value = word[2] == '=' ? word + 3 : word + 2; }
    (void)snprintf(out->shown, sizeof out->shown, "-%c", word[1]);
}

/* Parses the option at argv[*index] and moves *index to its last word. */
static clipcu_status parse_option(const ccu_command *command, int argc, char **argv, int *index,
                                  ccu_arguments *arguments, clipcu_error *error) {
    typed             word;
    const ccu_option *option = NULL;
    read_word(argv[*index], &word);
    for (size_t i = 0; i < ccu_option_count && option == NULL; i++) {
        const ccu_option *candidate = &ccu_option_table[i];
        if ((candidate->commands & command->id) != 0 && is_named(candidate, &word)) {
            option = candidate;
        }
    }
    if (option == NULL) { return fail_unknown(command, &word, error); }
    if (option->argument == NULL) {
        if (word.value != NULL) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s takes no value, found \"%.100s\"",
                            word.shown, word.value);
        }
        return store(option, word.shown, "", arguments, error);
    }
    if (word.value == NULL) {
        /* The next word, unless it is plainly an option itself: --labels --top 3. */
        if (*index + 1 >= argc || strncmp(argv[*index + 1], "--", 2) == 0) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "%s: expected %s behind it, found %s",
                            word.shown, option->argument,
                            *index + 1 >= argc ? "nothing" : argv[*index + 1]);
        }
        word.value = argv[++*index];
    }
    return store(option, word.shown, word.value, arguments, error);
}

static void set_defaults(const ccu_command *command, ccu_arguments *arguments) {
    for (size_t i = 0; i < ccu_option_count; i++) {
        const ccu_option *option = &ccu_option_table[i];
        if ((option->commands & command->id) == 0 || option->fallback == NULL) { continue; }
        const clipcu_status status = store(option, option->name, option->fallback, arguments, NULL);
        assert(status == CLIPCU_OK);
        (void)status; /* the table is right: a test parses every default */
    }
}

clipcu_status ccu_options_parse(const ccu_command *command, int argc, char **argv,
                                ccu_arguments *arguments, clipcu_error *error) {
    bool options_ended = false;
    int  inputs        = 0;
    assert(command->id != 0);
    *arguments = (ccu_arguments){ .model = NULL };
    set_defaults(command, arguments);
    for (int i = 0; i < argc; i++) {
        char *word = argv[i];
        if (options_ended || word[0] != '-' || word[1] == '\0') {
            argv[inputs++] = word; /* at or before i: nothing unread is overwritten */
            continue;
        }
        if (strcmp(word, "--") == 0) {
            options_ended = true;
            continue;
        }
        const clipcu_status status = parse_option(command, argc, argv, &i, arguments, error);
        if (status != CLIPCU_OK) { return status; }
        if (arguments->help != 0) { return CLIPCU_OK; }
    }
    arguments->inputs       = (const char *const *)argv;
    arguments->inputs_count = inputs;
    return CLIPCU_OK;
}
