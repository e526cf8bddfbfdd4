/* The command line: one table of commands and one of options. Parsing, --help and whatever else
 * lists options (manual page, shell completion) read these tables and nothing else. */
#ifndef CCU_CLI_OPTIONS_H
#define CCU_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "clipcu.h"

/* What a program run by a script can learn from the exit status. */
enum {
    CCU_EXIT_OK     = 0,
    CCU_EXIT_USAGE  = 1, /* the command line, or a file of words it names, has to change */
    CCU_EXIT_INPUTS = 2, /* done, but some inputs failed */
    CCU_EXIT_FATAL  = 3  /* the model cannot be opened, results cannot be written */
};

/* Bits, so that an option can belong to several commands. */
enum {
    CCU_CLASSIFY = 1,
    CCU_EMBED    = 2,
    CCU_BANK     = 4,
    CCU_INFO     = 8,
    CCU_SEARCH   = 16,
    CCU_EVAL     = 32,
    CCU_LEARN    = 64,
    CCU_ALL      = 127
};

typedef struct ccu_command {
    const char *name;
    unsigned    id; /* 0: refused, not in this version */
    const char *summary;
    const char *usage; /* lines behind "Usage: " */
    const char *details;
    const char *examples; /* lines */
} ccu_command;

/* What an option's argument is; also how it is stored at its offset. */
typedef enum ccu_option_type {
    CCU_OPTION_FLAG,   /* none; int32_t 1 */
    CCU_OPTION_TEXT,   /* anything but nothing; const char * */
    CCU_OPTION_NUMBER, /* min .. max; int64_t */
    CCU_OPTION_CHOICE, /* one of choices; int32_t, its index */
    CCU_OPTION_DEVICE, /* auto, cpu, cuda, cuda:N; ccu_device_choice */
    CCU_OPTION_TASK    /* I/N; ccu_task */
} ccu_option_type;

typedef struct ccu_option {
    const char        *name;   /* without -- */
    char               letter; /* 0: none */
    ccu_option_type    type;
    const char        *argument; /* its name in --help; NULL: takes none */
    size_t             offset;   /* in ccu_arguments */
    int64_t            min, max;
    const char *const *choices;  /* ends with NULL; of a TEXT: what it may be beside a file */
    const char        *fallback; /* as if it had been given; NULL: none */
    unsigned           commands; /* bits */
    const char        *section;  /* of --help; options of a section stand together */
    const char        *help;
} ccu_option;

typedef struct ccu_device_choice {
    clipcu_device device;
    int32_t       index;
} ccu_device_choice;

/* One of several processes that share the inputs. */
typedef struct ccu_task {
    int64_t index, count; /* count 0: all of it */
} ccu_task;

/* What was asked for. Strings are borrowed from argv or the tables. */
typedef struct ccu_arguments {
    const char        *model, *labels, *classes, *bank, *templates, *text, *output;
    int64_t            top, batch, threads, pixels_max;
    int32_t            format, precision, crop, tokenizer, dtype;
    int32_t            truncate, exif, draft, quiet, help;
    const char        *html;                          /* classify, search, eval */
    const char        *query, *queries, *image, *names; /* search */
    int64_t            html_max;
    int32_t            base_new;                      /* eval, learn */
    const char        *root;                          /* eval, learn */
    const char        *scores;                        /* classify */
    const char        *stats;                         /* classify, embed, eval */
    int32_t            explain;
    const char        *prompt;                        /* classify, bank, eval */
    const char        *init, *log;                    /* learn */
    int64_t            shots, seed, context_count, epochs, fixed_views, memory;
    int32_t            position, class_specific;
    int32_t            resume;                        /* learn, classify, embed */
    const char        *rate;
    ccu_device_choice  device;
    ccu_task           task;                          /* classify, embed */
    const char *const *inputs;
    int32_t            inputs_count;
} ccu_arguments;

extern const ccu_command ccu_commands[];
extern const size_t      ccu_commands_count;
extern const ccu_option  ccu_option_table[];
extern const size_t      ccu_option_count;

/* --dtype */
static inline ccu_dtype ccu_options_dtype(const ccu_arguments *arguments) {
    return arguments->dtype == 1 ? CCU_F16 : CCU_F32;
}

/* NULL if there is none of that name. */
const ccu_command *ccu_command_find(const char *name);
/* The command that was probably meant; NULL: none comes near. */
const ccu_command *ccu_command_suggest(const char *name);

/* Parses what stands behind the command's name. argv is reordered: inputs come to its front.
 * ARGUMENT says what was expected and found; UNSUPPORTED for what this version refuses. --help
 * ends the parsing, whatever else is wrong behind it. */
clipcu_status ccu_options_parse(const ccu_command *command, int argc, char **argv,
                                ccu_arguments *arguments, clipcu_error *error);

#endif
