/* A stream of pictures through all stages at once: paths on standard input, results as they come.
 *
 *     cc stream.c -o stream $(pkg-config --cflags --libs clipcu)
 *     find photos -name '*.jpg' | ./stream MODEL cat dog boat
 *
 * Prints path, best word and probability of each, in the order of the paths. */
#include <clipcu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 4096, PENDING = 1024 };

/* Paths by id modulo PENDING: more pictures than that are never on their way. */
typedef struct window {
    char         (*paths)[PATH_BYTES];
    clipcu_bank   *bank;
    unsigned long  failed;
} window;

static void print_result(void *user, const clipcu_result *result) {
    window     *w    = user;
    const char *path = w->paths[result->id % PENDING];
    if (result->status != CLIPCU_OK) {
        fprintf(stderr, "%s\n", result->error);
        w->failed++;
        return;
    }
    const clipcu_match *best = &result->matches[0];
    printf("%s\t%s\t%.4f\n", path, clipcu_bank_label(w->bank, best->class_index),
           best->probability);
}

int main(int argc, char **argv) {
    clipcu_options          options = clipcu_options_default();
    clipcu_pipeline_options stream  = clipcu_pipeline_options_default();
    clipcu_engine          *engine  = NULL;
    clipcu_pipeline        *pipe    = NULL;
    window                  w       = { .paths = malloc(PENDING * sizeof *w.paths) };
    clipcu_error            error   = { .code = CLIPCU_OK };
    char                    line[PATH_BYTES];
    if (argc < 3 || w.paths == NULL) {
        fprintf(stderr, "usage: stream MODEL WORD... < paths\n");
        return 1;
    }
    options.batch_max  = 32;
    stream.pending_max = 64; /* with the five batches inside: far fewer than PENDING */
    stream.take        = print_result;
    stream.user        = &w;
    clipcu_status status = clipcu_open(argv[1], &options, &engine, &error);
    if (status == CLIPCU_OK) {
        status = clipcu_bank_build(engine, (const char *const *)argv + 2, argc - 2, NULL, 0,
                                   &w.bank, &error);
    }
    stream.bank = w.bank;
    if (status == CLIPCU_OK) { status = clipcu_pipeline_open(&engine, 1, &stream, &pipe, &error); }
    for (uint64_t id = 0; status == CLIPCU_OK && fgets(line, sizeof line, stdin) != NULL; id++) {
        line[strcspn(line, "\n")] = '\0';
        memcpy(w.paths[id % PENDING], line, sizeof line);
        status = clipcu_pipeline_submit_file(pipe, id, line, -1, &error);
    }
    if (status == CLIPCU_OK) { status = clipcu_pipeline_finish(pipe, &error); }
    if (status != CLIPCU_OK) { fprintf(stderr, "%s\n", error.text); }
    clipcu_pipeline_close(pipe);
    clipcu_bank_close(w.bank);
    clipcu_close(engine);
    free(w.paths);
    return status != CLIPCU_OK ? 1 : w.failed > 0 ? 2 : 0;
}
