/* Which of these words fits the picture best?
 *
 *     cc classify.c -o classify $(pkg-config --cflags --libs clipcu)
 *     ./classify MODEL photo.jpg cat dog boat
 *
 * Prints the words, the best one first, with their probabilities. MODEL is a folder as Hugging Face
 * or open_clip lay it out, or the demo model that comes with clipcu (PREFIX/share/clipcu/demo). */
#include <clipcu.h>
#include <stdio.h>

enum { LABELS_MAX = 100 };

int main(int argc, char **argv) {
    const int32_t labels_count = argc - 3;
    if (labels_count < 1 || labels_count > LABELS_MAX) {
        fprintf(stderr, "usage: classify MODEL PICTURE LABEL... (up to %d labels)\n", LABELS_MAX);
        return 1;
    }
    const char *const *labels = (const char *const *)(argv + 3);

    clipcu_options options = clipcu_options_default();
    clipcu_error   error;
    clipcu_engine *engine = NULL;
    clipcu_bank   *bank   = NULL;
    clipcu_match   matches[LABELS_MAX];
    int            exit_status = 1;

    /* 1. Open the model.  2. Encode the labels, once for any number of pictures.  3. Classify. */
    if (clipcu_open(argv[1], &options, &engine, &error) != CLIPCU_OK ||
        clipcu_bank_build(engine, labels, labels_count, NULL, 0, &bank, &error) != CLIPCU_OK ||
        clipcu_classify_file(engine, bank, argv[2], labels_count, matches, &error) != CLIPCU_OK) {
        fprintf(stderr, "classify: %s\n", error.text);
    } else {
        for (int32_t i = 0; i < labels_count; i++) {
            printf("%6.2f %%  %s\n", 100.0 * matches[i].probability,
                   clipcu_bank_label(bank, matches[i].class_index));
        }
        exit_status = 0;
    }
    clipcu_bank_close(bank); /* closing takes NULL */
    clipcu_close(engine);
    return exit_status;
}
