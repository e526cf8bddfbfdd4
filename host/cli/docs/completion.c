/* Completions of bash, zsh and fish; see docs.h. All three know the commands, their options and
 * what the values of an option are: words, files, folders, or nothing that could be guessed. */
#include <ctype.h>
#include <string.h>

#include "cli/docs/docs.h"

typedef enum value_kind {
    VALUE_NONE,   /* the option takes none */
    VALUE_FREE,   /* a number, words of one's own */
    VALUE_WORDS,  /* one of add_words() */
    VALUE_FILE,   /* add_words() come before files, where there are any */
    VALUE_FOLDER
} value_kind;

static value_kind kind_of(const ccu_option *option) {
    static const char *const files[] = { "FILE", "PREFIX", "PICTURE" };
    if (option->argument == NULL) { return VALUE_NONE; }
    if (option->type == CCU_OPTION_CHOICE || option->type == CCU_OPTION_DEVICE) {
        return VALUE_WORDS;
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (strcmp(option->argument, files[i]) == 0) { return VALUE_FILE; }
    }
    return strcmp(option->argument, "DIR") == 0 ? VALUE_FOLDER : VALUE_FREE;
}

/* The words a value may be, parted by spaces. */
static void add_words(FILE *out, const ccu_option *option) {
    const char *gap = "";
    for (size_t i = 0; option->choices != NULL && option->choices[i] != NULL; i++) {
        (void)fprintf(out, "%s%s", gap, option->choices[i]);
        gap = " ";
    }
    if (option->type != CCU_OPTION_DEVICE) { return; }
    /* auto|cpu|cuda|cuda:N, but what holds an N to be filled in */
    for (const char *word = option->argument; *word != '\0';) {
        const size_t bytes  = strcspn(word, "|");
        bool         filled = true;
        for (size_t i = 0; i < bytes; i++) { filled = filled && !isupper((unsigned char)word[i]); }
        if (filled) {
            (void)fprintf(out, "%s%.*s", gap, (int)bytes, word);
            gap = " ";
        }
        word += bytes + (word[bytes] == '|');
    }
}

/* The beginning of a help text that says enough for a list, with `escape` before each character
 * of `special`. */
static void add_summary(FILE *out, const char *help, const char *special, const char *escape) {
    for (; *help != '\0'; help++) {
        if (strncmp(help, " [default", 9) == 0 || strncmp(help, "; ", 2) == 0 ||
            strncmp(help, ". ", 2) == 0 || strncmp(help, ": ", 2) == 0) {
            return;
        }
        if (strchr(special, *help) != NULL) { (void)fputs(escape, out); }
        (void)fputc(*help, out);
    }
}

/* ---- bash ----------------------------------------------------------------------------------- */

static void bash_names(FILE *out, const ccu_option *option, const char *gap) {
    if (option->letter != 0) { (void)fprintf(out, "%s-%c%s", gap, option->letter, gap); }
    else { (void)fputs(gap, out); }
    (void)fprintf(out, "--%s", option->name);
}

/* What follows an option, as one branch of case. */
static void bash_value(FILE *out, const ccu_option *option) {
    const value_kind kind = kind_of(option);
    if (kind == VALUE_NONE) { return; }
    (void)fputs("            ", out);
    if (option->letter != 0) { (void)fprintf(out, "-%c|", option->letter); }
    (void)fprintf(out, "--%s) ", option->name);
    switch (kind) {
    case VALUE_NONE: break;
    case VALUE_FREE: (void)fputs("files=no", out); break;
    case VALUE_FOLDER: (void)fputs("files=folders", out); break;
    case VALUE_FILE:
    case VALUE_WORDS:
        (void)fputs("words='", out);
        add_words(out, option);
        (void)fprintf(out, "'%s", kind == VALUE_WORDS ? " files=no" : "");
        break;
    }
    (void)fputs(" ;;\n", out);
}

static void bash_command(FILE *out, const ccu_command *command) {
    (void)fprintf(out, "        %s)\n            options='", command->name);
    const char *gap = "";
    for (size_t i = 0; i < ccu_option_count; i++) {
        if (!ccu_docs_has(&ccu_option_table[i], command)) { continue; }
        bash_names(out, &ccu_option_table[i], gap);
        gap = " ";
    }
    (void)fputs("'\n            case $before in\n", out);
    for (size_t i = 0; i < ccu_option_count; i++) {
        if (ccu_docs_has(&ccu_option_table[i], command)) { bash_value(out, &ccu_option_table[i]); }
    }
    (void)fputs("            *) [[ $word == -* ]] && words=$options files=no ;;\n"
                "            esac ;;\n",
                out);
}

void ccu_docs_bash(FILE *out) {
    (void)fputs("# bash completion of clipcu, made from its tables of options by host/cli/docs.\n"
                "_clipcu() {\n"
                "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
                "    local words='' options='' files=yes commands='",
                out);
    for (size_t i = 0; i < ccu_commands_count; i++) {
        if (ccu_commands[i].id != 0) { (void)fprintf(out, "%s ", ccu_commands[i].name); }
    }
    (void)fputs("help'\n"
                "    # --option=value comes as three words.\n"
                "    if [[ $word == '=' ]]; then\n"
                "        word=''\n"
                "    elif [[ $before == '=' ]] && ((COMP_CWORD > 2)); then\n"
                "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
                "    fi\n"
                "    COMPREPLY=()\n"
                "    if ((COMP_CWORD == 1)); then\n"
                "        words=\"$commands --help --version\" files=no\n"
                "    else\n"
                "        case ${COMP_WORDS[1]} in\n"
                "        help) words=$commands files=no ;;\n",
                out);
    for (size_t i = 0; i < ccu_commands_count; i++) {
        if (ccu_commands[i].id != 0) { bash_command(out, &ccu_commands[i]); }
    }
    /* Where no reply is given, -o default lets readline look for files, quoting and all. Without
     * a completion under way (a test) compopt has nothing to change. */
    (void)fputs("        esac\n"
                "    fi\n"
                "    # shellcheck disable=SC2207 # no word holds a space or a pattern\n"
                "    [[ -n $words ]] && COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                "    case $files in\n"
                "    no) compopt +o default 2>/dev/null ;;\n"
                "    folders) compopt +o default -o dirnames 2>/dev/null ;;\n"
                "    esac\n"
                "    return 0\n"
                "}\n"
                "complete -o default -F _clipcu clipcu\n",
                out);
}

/* ---- zsh ------------------------------------------------------------------------------------ */

/* One argument of _arguments. */
static void zsh_option(FILE *out, const ccu_option *option) {
    const value_kind kind = kind_of(option);
    const char      *sign = kind == VALUE_NONE ? "" : "=";
    (void)fputs(" \\\n            ", out);
    if (option->letter != 0) {
        (void)fprintf(out, "'(-%c --%s)'{-%c%s,--%s%s}'[", option->letter, option->name,
                      option->letter, kind == VALUE_NONE ? "" : "+", option->name, sign);
    } else {
        (void)fprintf(out, "'--%s%s[", option->name, sign);
    }
    add_summary(out, option->help, "[]:\\", "\\");
    (void)fputs("]", out);
    switch (kind) {
    case VALUE_NONE: break;
    case VALUE_FREE: (void)fprintf(out, ":%s: ", option->argument); break;
    case VALUE_FOLDER: (void)fprintf(out, ":%s:_files -/", option->argument); break;
    case VALUE_FILE:
        if (option->choices != NULL) {
            (void)fprintf(out, ":%s:{compadd ", option->argument);
            add_words(out, option);
            (void)fputs("; _files}", out);
        } else {
            (void)fprintf(out, ":%s:_files", option->argument);
        }
        break;
    case VALUE_WORDS:
        (void)fprintf(out, ":%s:(", option->name);
        add_words(out, option);
        (void)fputs(")", out);
        break;
    }
    (void)fputs("'", out);
}

void ccu_docs_zsh(FILE *out) {
    (void)fputs("#compdef clipcu\n"
                "# zsh completion of clipcu, made from its tables of options by host/cli/docs.\n"
                "_clipcu() {\n"
                "    local -a commands=(\n",
                out);
    for (size_t i = 0; i < ccu_commands_count; i++) {
        if (ccu_commands[i].id == 0) { continue; }
        (void)fprintf(out, "        '%s:", ccu_commands[i].name);
        add_summary(out, ccu_commands[i].summary, ":\\", "\\");
        (void)fputs("'\n", out);
    }
    (void)fputs("        'help:show the page of a command'\n"
                "    )\n"
                "    if ((CURRENT == 2)); then\n"
                "        _describe command commands\n"
                "        return\n"
                "    fi\n"
                "    shift words\n"
                "    ((CURRENT--))\n"
                "    case $words[1] in\n"
                "    help) _describe command commands ;;\n",
                out);
    for (size_t i = 0; i < ccu_commands_count; i++) {
        if (ccu_commands[i].id == 0) { continue; }
        (void)fprintf(out, "    %s)\n        _arguments -S", ccu_commands[i].name);
        for (size_t k = 0; k < ccu_option_count; k++) {
            if (ccu_docs_has(&ccu_option_table[k], &ccu_commands[i])) {
                zsh_option(out, &ccu_option_table[k]);
            }
        }
        (void)fputs(" \\\n            '*:input:_files' ;;\n", out);
    }
    (void)fputs("    esac\n"
                "}\n"
                "if [[ $funcstack[1] == _clipcu ]]; then _clipcu \"$@\"; else compdef _clipcu "
                "clipcu; fi\n",
                out);
}

/* ---- fish ----------------------------------------------------------------------------------- */

static void fish_option(FILE *out, const ccu_command *command, const ccu_option *option) {
    const value_kind kind = kind_of(option);
    (void)fprintf(out, "complete -c clipcu -n '__fish_seen_subcommand_from %s' -l %s",
                  command->name, option->name);
    if (option->letter != 0) { (void)fprintf(out, " -s %c", option->letter); }
    switch (kind) {
    case VALUE_NONE: break;
    case VALUE_FREE: (void)fputs(" -x", out); break;
    case VALUE_FOLDER: (void)fputs(" -x -a '(__fish_complete_directories)'", out); break;
    case VALUE_FILE:
    case VALUE_WORDS:
        (void)fputs(kind == VALUE_WORDS ? " -x" : " -r -F", out);
        if (option->choices != NULL || kind == VALUE_WORDS) {
            (void)fputs(" -a '", out);
            add_words(out, option);
            (void)fputs("'", out);
        }
        break;
    }
    (void)fputs(" -d '", out);
    add_summary(out, option->help, "\\'", "\\");
    (void)fputs("'\n", out);
}

void ccu_docs_fish(FILE *out) {
    (void)fputs("# fish completion of clipcu, made from its tables of options by host/cli/docs.\n",
                out);
    for (size_t i = 0; i < ccu_commands_count; i++) {
        const ccu_command *command = &ccu_commands[i];
        if (command->id == 0) { continue; }
        (void)fprintf(out, "complete -c clipcu -n __fish_use_subcommand -f -a %s -d '",
                      command->name);
        add_summary(out, command->summary, "\\'", "\\");
        (void)fputs("'\n", out);
        (void)fprintf(out, "complete -c clipcu -n '__fish_seen_subcommand_from help' -f -a %s\n",
                      command->name);
        for (size_t k = 0; k < ccu_option_count; k++) {
            if (ccu_docs_has(&ccu_option_table[k], command)) {
                fish_option(out, command, &ccu_option_table[k]);
            }
        }
    }
    (void)fputs("complete -c clipcu -n __fish_use_subcommand -f -a help -d "
                "'show the page of a command'\n",
                out);
}
