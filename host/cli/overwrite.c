/* Whether results would replace their own input; see overwrite.h. */
#include "cli/overwrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/report.h"
#include "cli/vectors.h"

/* One file, under any two of its names; devices and pipes do not lose what they hold. */
static bool same_file(const char *a, const char *b) {
    struct stat left, right;
    if (a == NULL || b == NULL || stat(a, &left) != 0 || stat(b, &right) != 0) { return false; }
    return S_ISREG(left.st_mode) && left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

/* Whether path is what clipcu embed writes under prefix, the files that search reads. */
static bool is_of_vectors(const char *prefix, const char *path) {
    static const char *const endings[] = { ".npy", ".jsonl", ".safetensors" };
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char file[CCU_PATH_MAX];
        if (ccu_vectors_path(prefix, endings[i], file, NULL) == CLIPCU_OK &&
            same_file(file, path)) {
            return true;
        }
    }
    return false;
}

/* Whether path is a file that the model is made of. Shards of weights are not looked for. */
static bool is_of_model(const char *model, const char *path) {
    static const char *const files[] = {
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "vocab.json",
        "merges.txt",
        "open_clip_config.json",
        "open_clip_model.safetensors",
        "model.safetensors.index.json",
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char file[CCU_PATH_MAX];
        if (ccu_path_join(file, model, files[i], NULL) == CLIPCU_OK && same_file(file, path)) {
            return true;
        }
    }
    return false;
}

/* The first of what is read that the file `path` belongs to, or NULL. */
static const char *find_source(unsigned command, const ccu_arguments *arguments, const char *path) {
    const char *const named[] = { arguments->labels, arguments->bank,    arguments->templates,
                                  arguments->text,   arguments->queries, arguments->image,
                                  arguments->names,  arguments->prompt };
    const char       *model = arguments->model == NULL ? getenv("CLIPCU_MODEL") : arguments->model;
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        if (same_file(named[i], path)) { return named[i]; }
    }
    for (int32_t i = 0; i < arguments->inputs_count; i++) {
        const char *input = arguments->inputs[i];
        if (same_file(input, path)) { return input; }
        if (command == CCU_SEARCH && is_of_vectors(input, path)) { return input; }
    }
    return model != NULL && is_of_model(model, path) ? model : NULL;
}

static int check(const ccu_command *command, const ccu_arguments *arguments, const char *option,
                 const char *path) {
    const char *source = find_source(command->id, arguments, path);
    if (source == NULL) { return CCU_EXIT_OK; }
    if (strcmp(source, path) == 0) {
        ccu_report("%s %s would replace what it is made from; give it another name", option, path);
    } else {
        ccu_report("%s %s would replace %s, which it is made from; give it another name", option,
                   path, source);
    }
    return CCU_EXIT_USAGE;
}

/* Both files of embed -o. */
static int check_vectors(const ccu_command *command, const ccu_arguments *arguments) {
    static const char *const endings[] = { ".npy", ".jsonl" };
    int                      status    = CCU_EXIT_OK;
    for (size_t i = 0; i < 2 && status == CCU_EXIT_OK; i++) {
        char path[CCU_PATH_MAX];
        if (ccu_vectors_path(arguments->output, endings[i], path, NULL) != CLIPCU_OK) {
            break; /* opening it says so */
        }
        status = check(command, arguments, "-o", path);
    }
    return status;
}

/* A file that a command writes beside or instead of -o. */
typedef struct target {
    const char *option, *path; /* path NULL: not asked for */
} target;

int ccu_overwrite_check(const ccu_command *command, const ccu_arguments *arguments) {
    const bool   vectors   = command->id == CCU_EMBED; /* -o is the beginning of two names */
    const target targets[] = { { "-o", arguments->output },      { "--log", arguments->log },
                               { "--html", arguments->html },    { "--stats", arguments->stats },
                               { "--scores", arguments->scores } };
    int          status    = CCU_EXIT_OK;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0] && status == CCU_EXIT_OK; i++) {
        const target *t = &targets[i];
        if (t->path == NULL || strcmp(t->path, "-") == 0) { continue; }
        status = i == 0 && vectors ? check_vectors(command, arguments)
                                   : check(command, arguments, t->option, t->path);
        for (size_t k = 0; k < i && status == CCU_EXIT_OK; k++) {
            if (targets[k].path == NULL || (strcmp(targets[k].path, t->path) != 0 &&
                                            !same_file(targets[k].path, t->path))) {
                continue;
            }
            ccu_report("%s and %s are both %s; give one of them another name", targets[k].option,
                       t->option, targets[k].path);
            status = CCU_EXIT_USAGE;
        }
    }
    return status;
}
