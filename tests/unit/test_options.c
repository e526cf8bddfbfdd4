/* host/cli: the option tables, their parser, help and suggestions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/help.h"
#include "cli/options.h"
#include "cli/suggest.h"

#define WORDS_MAX 16

/* Parses words that end with NULL; a fresh error each time. argv must be writable. */
static clipcu_status parse(const char *command, ccu_arguments *arguments, clipcu_error *error,
                           const char *const *words) {
    static const char *none[1];
    char              *argv[WORDS_MAX];
    int                argc = 0;
    while (words[argc] != NULL) {
        argv[argc] = (char *)(uintptr_t)words[argc];
        argc++;
    }
    *error                     = (clipcu_error){ .code = CLIPCU_OK };
    const clipcu_status status = ccu_options_parse(ccu_command_find(command), argc, argv, arguments,
                                                   error);
    /* The inputs live in this function's argv: only their count is looked at outside. */
    if (status == CLIPCU_OK && arguments->inputs_count > 0) {
        for (int i = 0; i < arguments->inputs_count; i++) { assert_non_null(arguments->inputs[i]); }
    }
    arguments->inputs = none;
    return status;
}

#define PARSE(command, ...) \
    parse(command, &arguments, &error, (const char *const[]){ __VA_ARGS__, NULL })

/* A value that the option takes and that is not its default. */
static const char *sample(const ccu_option *option) {
    switch (option->type) {
    case CCU_OPTION_FLAG: return NULL;
    case CCU_OPTION_TEXT: return "something";
    case CCU_OPTION_NUMBER: return "7";
    case CCU_OPTION_CHOICE: return option->choices[1];
    case CCU_OPTION_DEVICE: return "cuda:3";
    case CCU_OPTION_TASK: return "1/3";
    }
    return NULL;
}

static void reads_every_option_of_the_table(void **state) {
    (void)state;
    ccu_arguments plain, arguments;
    clipcu_error  error;
    char          name[64], joined[160];
    for (size_t c = 0; c < ccu_commands_count; c++) {
        const ccu_command *command = &ccu_commands[c];
        if (command->id == 0) { continue; }
        assert_int_equal(parse(command->name, &plain, &error, (const char *const[]){ NULL }),
                         CLIPCU_OK);
        for (size_t i = 0; i < ccu_option_count; i++) {
            const ccu_option *option = &ccu_option_table[i];
            if ((option->commands & command->id) == 0) { continue; }
            (void)snprintf(name, sizeof name, "--%s", option->name);
            assert_int_equal(PARSE(command->name, name, sample(option)), CLIPCU_OK);
            assert_memory_not_equal(&arguments, &plain, sizeof plain);
            assert_int_equal(arguments.inputs_count, 0);
            if (option->argument == NULL) { continue; }
            (void)snprintf(joined, sizeof joined, "%s=%s", name, sample(option));
            const ccu_arguments apart = arguments;
            assert_int_equal(PARSE(command->name, joined), CLIPCU_OK);
            assert_memory_equal((char *)&arguments + option->offset,
                                (const char *)&apart + option->offset,
                                option->type == CCU_OPTION_TEXT ? 0 : sizeof(int32_t));
            assert_int_equal(PARSE(command->name, name), CLIPCU_ERR_ARGUMENT); /* no value */
        }
    }
}

static void defaults_are_those_of_the_library(void **state) {
    (void)state;
    const clipcu_options library = clipcu_options_default();
    ccu_arguments        arguments;
    clipcu_error         error;
    assert_int_equal(parse("classify", &arguments, &error, (const char *const[]){ NULL }),
                     CLIPCU_OK);
    assert_int_equal(arguments.batch, library.batch_max);
    assert_int_equal(arguments.threads, library.threads);
    assert_int_equal(arguments.device.device, library.device);
    assert_int_equal(arguments.device.index, library.device_index);
    assert_int_equal(arguments.precision, CLIPCU_PRECISION_AUTO); /* the library's is F32 */
    assert_int_equal(library.precision, CLIPCU_PRECISION_F32);
    assert_int_equal(arguments.crop, library.crop);
    assert_int_equal(arguments.tokenizer, library.tokenizer);
    assert_int_equal(arguments.truncate, library.truncate);
    assert_int_equal(arguments.exif, library.exif);
    assert_int_equal(arguments.draft, library.draft);
    assert_int_equal(arguments.pixels_max, library.pixels_max);
    assert_int_equal(arguments.top, 5);
    assert_int_equal(arguments.format, 0);
}

/* Every default is one that its own option would take. */
static void defaults_parse(void **state) {
    (void)state;
    ccu_arguments arguments;
    clipcu_error  error;
    char          joined[160];
    for (size_t i = 0; i < ccu_option_count; i++) {
        const ccu_option *option = &ccu_option_table[i];
        if (option->fallback == NULL) { continue; }
        (void)snprintf(joined, sizeof joined, "--%s=%s", option->name, option->fallback);
        for (size_t c = 0; c < ccu_commands_count; c++) {
            if ((ccu_commands[c].id & option->commands) == 0) { continue; }
            assert_int_equal(PARSE(ccu_commands[c].name, joined), CLIPCU_OK);
        }
    }
}

static void inputs_and_options_mix(void **state) {
    (void)state;
    ccu_arguments arguments;
    clipcu_error  error;
    char          words[8][8] = { "a.jpg", "-k", "3", "b.jpg", "-q", "--", "--top", "-" };
    char         *argv[8];
    for (int i = 0; i < 8; i++) { argv[i] = words[i]; }
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_options_parse(ccu_command_find("classify"), 8, argv, &arguments, &error),
                     CLIPCU_OK);
    assert_int_equal(arguments.inputs_count, 4);
    assert_string_equal(arguments.inputs[0], "a.jpg");
    assert_string_equal(arguments.inputs[1], "b.jpg");
    assert_string_equal(arguments.inputs[2], "--top");
    assert_string_equal(arguments.inputs[3], "-");
    assert_int_equal(arguments.top, 3);
    assert_int_equal(arguments.quiet, 1);
}

static void short_options(void **state) {
    (void)state;
    ccu_arguments arguments;
    clipcu_error  error;
    assert_int_equal(PARSE("classify", "-k7"), CLIPCU_OK);
    assert_int_equal(arguments.top, 7);
    assert_int_equal(PARSE("classify", "-k=8"), CLIPCU_OK);
    assert_int_equal(arguments.top, 8);
    assert_int_equal(PARSE("classify", "-o", "-"), CLIPCU_OK);
    assert_string_equal(arguments.output, "-");
    assert_int_equal(PARSE("classify", "-h", "--nonsense"), CLIPCU_OK);
    assert_int_equal(arguments.help, 1);
    assert_int_equal(PARSE("classify", "-qx"), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(PARSE("classify", "-x"), CLIPCU_ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "-x"));
    assert_int_equal(PARSE("embed", "-k", "3"), CLIPCU_ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "no option of clipcu embed"));
    assert_int_equal(PARSE("classify", "--k", "3"), CLIPCU_ERR_ARGUMENT);
}

static void wrong_values_are_named(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        { "--top=0", "1 to 1024" },
        { "--top=1025", "1 to 1024" },
        { "--top=", "1 to 1024" },
        { "--top= 3", "\" 3\"" },
        { "--top=3x", "\"3x\"" },
        { "--top=-1", "\"-1\"" },
        { "--top=1e3", "\"1e3\"" },
        { "--top=99999999999999999999", "999" },
        { "--batch=4097", "0 to 4096" },
        { "--threads=-2", "0 to 1024" },
        { "--format=xml", "table|jsonl|csv" },
        { "--format=", "\"\"" },
        { "--precision=fp16", "f32|bf16|f16|auto|int8" },
        { "--device=gpu", "auto|cpu|cuda" },
        { "--device=cuda:", "cuda:N" },
        { "--device=cuda:x", "cuda:N" },
        { "--device=cuda:64", "cuda:N" },
        { "--device=cuda:99999999999999999999", "cuda:N" },
        { "--labels=", "expected FILE" },
        { "--quiet=1", "takes no value" },
        { "--max-pixels=0", "1 to" },
        { "--", NULL },
    };
    ccu_arguments arguments;
    clipcu_error  error;
    for (int i = 0; wrong[i][1] != NULL; i++) {
        assert_int_equal(PARSE("classify", wrong[i][0]), CLIPCU_ERR_ARGUMENT);
        if (strstr(error.text, wrong[i][1]) == NULL) {
            fail_msg("%s: %s", wrong[i][0], error.text);
        }
    }
    assert_int_equal(PARSE("classify", "--device=cuda:0,1"), CLIPCU_ERR_UNSUPPORTED);
    assert_int_equal(PARSE("classify", "--labels", "--top", "3"), CLIPCU_ERR_ARGUMENT);
    assert_non_null(strstr(error.text, "--labels: expected FILE"));
    assert_int_equal(PARSE("classify", "--device", "cuda:5"), CLIPCU_OK);
    assert_int_equal(arguments.device.device, CLIPCU_DEVICE_CUDA);
    assert_int_equal(arguments.device.index, 5);
}

static void slips_are_recognised(void **state) {
    (void)state;
    static const char *const slips[][2] = {
        { "--lables", "--labels?" },
        { "--clases", "--classes?" },
        { "--modle", "--model?" },
        { "--templ", "--templates?" },
        { "--ouput", "--output?" },
        { "--thread=2", "--threads?" },
        { NULL, NULL },
    };
    ccu_arguments arguments;
    clipcu_error  error;
    for (int i = 0; slips[i][0] != NULL; i++) {
        assert_int_equal(PARSE("classify", slips[i][0]), CLIPCU_ERR_ARGUMENT);
        if (strstr(error.text, slips[i][1]) == NULL) {
            fail_msg("%s: %s", slips[i][0], error.text);
        }
    }
    assert_int_equal(PARSE("classify", "--xylophone"), CLIPCU_ERR_ARGUMENT);
    assert_null(strstr(error.text, "did you mean"));
    assert_int_equal(PARSE("classify", "--\x1b[31m"), CLIPCU_ERR_ARGUMENT);
    assert_null(strchr(error.text, '\x1b'));

    assert_string_equal(ccu_command_suggest("clasify")->name, "classify");
    assert_string_equal(ccu_command_suggest("embedd")->name, "embed");
    assert_null(ccu_command_suggest("photograph"));
    assert_null(ccu_command_find("clasify"));
}

static void distance_counts_edits(void **state) {
    (void)state;
    char long_a[100], long_b[100];
    memset(long_a, 'a', sizeof long_a);
    memset(long_b, 'b', sizeof long_b);
    long_a[99] = long_b[99] = '\0';
    assert_int_equal(ccu_suggest_distance("", ""), 0);
    assert_int_equal(ccu_suggest_distance("abc", ""), 3);
    assert_int_equal(ccu_suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(ccu_suggest_distance("lables", "labels"), 1); /* a swap */
    assert_int_equal(ccu_suggest_distance(long_a, long_b), 31);    /* cut */
}

/* Each option stands in its command's help with its argument and default, refused ones do not. */
static void help_lists_the_table(void **state) {
    (void)state;
    char wanted[160];
    for (size_t c = 0; c < ccu_commands_count; c++) {
        const ccu_command *command = &ccu_commands[c];
        ccu_buffer         page    = { .data = NULL };
        if (command->id == 0) { continue; }
        ccu_help_command(command, &page);
        for (size_t i = 0; i < ccu_option_count; i++) {
            const ccu_option *option = &ccu_option_table[i];
            const bool        shown  = (option->commands & command->id) != 0;
            (void)snprintf(wanted, sizeof wanted, "--%s%s%s ", option->name,
                           option->argument != NULL ? " " : "",
                           option->argument != NULL ? option->argument : "");
            if (strlen(wanted) + 6 > 29) { wanted[strlen(wanted) - 1] = '\n'; } /* stands alone */
            if (shown) { assert_non_null(strstr(page.data, wanted)); }
            if (shown && option->fallback != NULL) {
                (void)snprintf(wanted, sizeof wanted, "[default: %s]", option->fallback);
                assert_non_null(strstr(page.data, wanted));
            }
        }
        for (const char *line = page.data; *line != '\0'; line += strcspn(line, "\n") + 1) {
            assert_in_range(strcspn(line, "\n"), 0, 80);
        }
        ccu_buffer_free(&page);
        ccu_help_overview(&page);
        assert_non_null(strstr(page.data, command->summary));
        ccu_buffer_free(&page);
    }
}

/* One option never has two meanings within a command. */
static void names_are_unique(void **state) {
    (void)state;
    for (size_t i = 0; i < ccu_option_count; i++) {
        for (size_t k = 0; k < i; k++) {
            const ccu_option *a = &ccu_option_table[i];
            const ccu_option *b = &ccu_option_table[k];
            if ((a->commands & b->commands) == 0) { continue; }
            assert_string_not_equal(a->name, b->name);
            assert_true(a->letter == 0 || a->letter != b->letter);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_option_of_the_table),
        cmocka_unit_test(defaults_are_those_of_the_library),
        cmocka_unit_test(defaults_parse),
        cmocka_unit_test(inputs_and_options_mix),
        cmocka_unit_test(short_options),
        cmocka_unit_test(wrong_values_are_named),
        cmocka_unit_test(slips_are_recognised),
        cmocka_unit_test(distance_counts_edits),
        cmocka_unit_test(help_lists_the_table),
        cmocka_unit_test(names_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
