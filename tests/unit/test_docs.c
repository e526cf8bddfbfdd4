/* host/cli/docs: the manual page and the completions hold what the tables of options hold. Shells
 * and page viewers read them in tests/cli/test_docs.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cli/docs/docs.h"

#define PAGE_BYTES (1 << 18)
#define PIECE_BYTES 64

typedef struct page {
    char text[PAGE_BYTES];
} page;

static void take(page *out, void (*write)(FILE *file)) {
    FILE *file = tmpfile();
    assert_non_null(file);
    write(file);
    rewind(file);
    const size_t bytes = fread(out->text, 1, PAGE_BYTES - 1, file);
    assert_in_range(bytes, 1000, PAGE_BYTES - 2);
    out->text[bytes] = '\0';
    assert_int_equal(ferror(file), 0);
    assert_int_equal(fclose(file), 0);
}

/* What a page says of one command or section: from `begin` to `end`, cut out in place. */
static const char *part(page *scratch, const page *whole, const char *begin, const char *end) {
    const char *from = strstr(whole->text, begin);
    if (from == NULL) { fail_msg("\"%s\" is not there", begin); }
    from += strlen(begin);
    const char *to = strstr(from, end);
    assert_non_null(to);
    memcpy(scratch->text, from, (size_t)(to - from));
    scratch->text[to - from] = '\0';
    return scratch->text;
}

/* As roff wants what is typed: every - with a backslash before it. */
static void escape(char *out, const char *text) {
    size_t at = 0;
    for (; *text != '\0'; text++) {
        assert_in_range(at, 0, PIECE_BYTES - 3);
        if (*text == '-') { out[at++] = '\\'; }
        out[at++] = *text;
    }
    out[at] = '\0';
}

static int count(const char *text, const char *piece) {
    int found = 0;
    for (; (text = strstr(text, piece)) != NULL; text++) { found++; }
    return found;
}

static page whole, scratch; /* too large for a stack; one test at a time */

static bool in_any_command(const ccu_option *option) {
    bool found = false;
    for (size_t c = 0; c < ccu_commands_count; c++) {
        found = found || (ccu_commands[c].id & option->commands) != 0;
    }
    return found;
}

static void manual_lists_the_tables(void **state) {
    (void)state;
    char name[PIECE_BYTES], argument[PIECE_BYTES], wanted[4 * PIECE_BYTES];
    int  shown = 0;
    take(&whole, ccu_docs_manual);
    for (size_t i = 0; i < ccu_option_count; i++) {
        const ccu_option *option = &ccu_option_table[i];
        if (!in_any_command(option)) { continue; }
        shown++;
        escape(name, option->name);
        escape(argument, option->argument != NULL ? option->argument : "");
        (void)snprintf(wanted, sizeof wanted, "\\fB\\-\\-%s\\fR%s%s%s\n", name,
                       option->argument != NULL ? " \\fI" : "", argument,
                       option->argument != NULL ? "\\fR" : "");
        if (strstr(whole.text, wanted) == NULL) { fail_msg("--%s: no %s", option->name, wanted); }
        if (option->fallback != NULL) {
            escape(argument, option->fallback);
            (void)snprintf(wanted, sizeof wanted, "[default: %s]", argument);
            assert_non_null(strstr(whole.text, wanted));
        }
    }
    assert_int_equal(count(whole.text, ".TP\n\\fB\\-\\-") + count(whole.text, "\\fR, \\fB\\-\\-"),
                     shown); /* each once */
    for (size_t c = 0; c < ccu_commands_count; c++) {
        (void)snprintf(wanted, sizeof wanted, ".SS clipcu %s\n", ccu_commands[c].name);
        assert_int_equal(count(whole.text, wanted), ccu_commands[c].id != 0);
    }
}

/* Whatever the tables hold, no line of theirs becomes a request of roff. */
static void manual_holds_only_its_own_requests(void **state) {
    (void)state;
    static const char *const requests[] = { ".TH", ".SH", ".SS", ".PP", ".TP",   ".EX",
                                            ".EE", ".br", ".nh", ".ad", ".\\\"", NULL };
    take(&whole, ccu_docs_manual);
    for (const char *line = whole.text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        assert_int_not_equal(*line, '\'');
        if (*line != '.') { continue; }
        bool known = false;
        for (int i = 0; requests[i] != NULL; i++) {
            known = known || strncmp(line, requests[i], strlen(requests[i])) == 0;
        }
        if (!known) { fail_msg("%.40s", line); }
    }
}

/* Whether `options` (as in " -k --top --model ") names the option, in every spelling it has. */
static bool names(const char *options, const ccu_option *option) {
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, " --%s ", option->name);
    if (strstr(options, wanted) == NULL) { return false; }
    (void)snprintf(wanted, sizeof wanted, " -%c ", option->letter);
    return option->letter == 0 || strstr(options, wanted) != NULL;
}

static void bash_lists_the_tables(void **state) {
    (void)state;
    char begin[64], options[4096], wanted[160];
    take(&whole, ccu_docs_bash);
    for (size_t c = 0; c < ccu_commands_count; c++) {
        const ccu_command *command = &ccu_commands[c];
        (void)snprintf(begin, sizeof begin, "        %s)\n            options='", command->name);
        assert_int_equal(count(whole.text, begin), command->id != 0);
        if (command->id == 0) { continue; }
        const char *list = part(&scratch, &whole, begin, "'");
        assert_in_range(snprintf(options, sizeof options, " %.4000s ", list), 9, 4000);
        const char *branch = part(&scratch, &whole, begin, "esac");
        for (size_t i = 0; i < ccu_option_count; i++) {
            const ccu_option *option = &ccu_option_table[i];
            if ((option->commands & command->id) == 0) { continue; }
            assert_true(names(options, option));
            (void)snprintf(wanted, sizeof wanted, "--%s) ", option->name);
            assert_int_equal(count(branch, wanted),
                             option->argument != NULL);
            for (int k = 0; option->choices != NULL && option->choices[k] != NULL; k++) {
                const char *line = strstr(branch, wanted);
                const char *word = line == NULL ? NULL : strstr(line, option->choices[k]);
                assert_non_null(word);
                assert_true(word < line + strcspn(line, "\n"));
            }
        }
    }
}

static void zsh_and_fish_list_the_tables(void **state) {
    (void)state;
    char begin[128], wanted[160];
    for (size_t c = 0; c < ccu_commands_count; c++) {
        const ccu_command *command = &ccu_commands[c];
        take(&whole, ccu_docs_zsh);
        (void)snprintf(begin, sizeof begin, "    %s)\n        _arguments -S", command->name);
        assert_int_equal(count(whole.text, begin), command->id != 0);
        if (command->id == 0) { continue; }
        const char *branch = part(&scratch, &whole, begin, ";;");
        for (size_t i = 0; i < ccu_option_count; i++) {
            const ccu_option *option = &ccu_option_table[i];
            if ((option->commands & command->id) == 0) { continue; }
            (void)snprintf(wanted, sizeof wanted, "%c--%s%s", option->letter == 0 ? '\'' : ',',
                           option->name,
                           option->argument != NULL ? "="
                           : option->letter != 0    ? "}"
                                                    : "[");
            assert_int_equal(count(branch, wanted), 1);
        }
        take(&whole, ccu_docs_fish);
        for (size_t i = 0; i < ccu_option_count; i++) {
            const ccu_option *option = &ccu_option_table[i];
            if ((option->commands & command->id) == 0) { continue; }
            (void)snprintf(wanted, sizeof wanted, "_from %s' -l %s ", command->name, option->name);
            assert_int_equal(count(whole.text, wanted), 1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manual_lists_the_tables),
        cmocka_unit_test(manual_holds_only_its_own_requests),
        cmocka_unit_test(bash_lists_the_tables),
        cmocka_unit_test(zsh_and_fish_list_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
