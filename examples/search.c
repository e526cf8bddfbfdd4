/* Which of many pictures are nearest to a text?
 *
 *     cc search.c -o search $(pkg-config --cflags --libs clipcu)
 *     clipcu embed photos/ -o photos                   # once: photos.npy, one row per picture
 *     ./search MODEL photos.npy "a dog on a beach"
 *
 * Prints row and cosine of the five nearest; line N + 1 of photos.jsonl names the picture of row N.
 * MODEL is the one that made the embeddings. */
#include <clipcu.h>
#include <stdio.h>
#include <stdlib.h>

enum { TOP = 5 };

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: search MODEL EMBEDDINGS TEXT\n");
        return 1;
    }
    const char *const text = argv[3];

    clipcu_options options = clipcu_options_default();
    clipcu_error   error;
    clipcu_engine *engine = NULL;
    clipcu_index  *index  = NULL;
    float         *query  = NULL;
    clipcu_hit     hits[TOP];
    int            exit_status = 1;

    /* 1. Open the model and the embeddings, which are mapped, not read. */
    if (clipcu_open(argv[1], &options, &engine, &error) != CLIPCU_OK ||
        clipcu_index_open(argv[2], &index, &error) != CLIPCU_OK) {
        fprintf(stderr, "search: %s\n", error.text);
        goto done;
    }
    const int32_t width = clipcu_engine_info(engine).embed_dim;
    query               = malloc((size_t)width * sizeof *query);
    if (query == NULL || clipcu_index_embed_dim(index) != width) {
        fprintf(stderr, "search: %s: not made by this model\n", argv[2]);
        goto done;
    }

    /* 2. One text becomes one vector.  3. Compare it with every row. */
    if (clipcu_encode_texts(engine, &text, 1, query, &error) != CLIPCU_OK ||
        clipcu_index_search(index, query, 1, TOP, 0, hits, &error) != CLIPCU_OK) {
        fprintf(stderr, "search: %s\n", error.text);
        goto done;
    }
    for (int i = 0; i < TOP && hits[i].row >= 0; i++) { /* row -1: there are no more */
        printf("%lld  %.4f\n", (long long)hits[i].row, hits[i].cosine);
    }
    exit_status = 0;

done:
    free(query);
    clipcu_index_close(index);
    clipcu_close(engine);
    return exit_status;
}
