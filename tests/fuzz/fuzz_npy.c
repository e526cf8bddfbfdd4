/* Fuzz target: saved embeddings, base/npy_header.c and bank/index.c, search.c.
 *
 *   n  a whole .npy file
 *   d  the dictionary of an .npy header: what stands before it and four rows of three numbers are
 *      put around it
 *   s  a whole .safetensors file
 *   h  its header alone, before the same numbers */
#include <math.h>
#include <string.h>

#include "bank/index.h"
#include "fuzz/fuzz.h"

#define TOP 3
#define WIDTH_MAX 64

static const float NUMBERS[4][3] = {
    { 1, 0, 0 }, { 0, 0.6f, 0.8f }, { NAN, 0, INFINITY }, { -1, 1e30f, 1e-40f }
};

static const char *write_npy(const uint8_t *dictionary, size_t bytes) {
    static uint8_t all[10 + UINT16_MAX + sizeof NUMBERS];
    const size_t   length = bytes < UINT16_MAX ? bytes : UINT16_MAX;
    memcpy(all, "\x93NUMPY\x01\x00", 8);
    all[8] = (uint8_t)length;
    all[9] = (uint8_t)(length >> 8);
    memcpy(all + 10, dictionary, length);
    memcpy(all + 10 + length, NUMBERS, sizeof NUMBERS);
    return fuzz_file("rows.npy", all, 10 + length + sizeof NUMBERS);
}

/* What is found stands in the file, the best first. */
static void search(const clipcu_index *index) {
    const int64_t rows = clipcu_index_count(index);
    const int32_t E    = clipcu_index_embed_dim(index);
    fuzz_expect(rows >= 0 && E >= 1 && E <= CCU_INDEX_WIDTH_MAX, "sizes");
    if (E > WIDTH_MAX) { return; }
    float               query[WIDTH_MAX] = { 1 };
    clipcu_hit          hits[TOP];
    clipcu_error        error  = { .code = CLIPCU_OK };
    const clipcu_status status = clipcu_index_search(index, query, 1, TOP, 1, hits, &error);
    fuzz_expect_status(status, &error, NULL);
    fuzz_expect(status == CLIPCU_OK, "an index that was opened can be searched");
    for (int i = 0; i < TOP; i++) {
        fuzz_expect(hits[i].row >= -1 && hits[i].row < rows, "a hit is a row");
        fuzz_expect(fabsf(hits[i].cosine) <= 1.0f + 1e-5f, "a cosine");
        fuzz_expect(i == 0 || hits[i].row == -1 ||
                        (hits[i - 1].row >= 0 && hits[i - 1].cosine >= hits[i].cosine),
                    "the best first");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    const char *path = NULL;
    switch (fuzz_kind("ndsh", &data, &bytes)) {
    case 0: path = fuzz_file("rows.npy", data, bytes); break;
    case 1: path = write_npy(data, bytes); break;
    case 2: path = fuzz_file("rows.safetensors", data, bytes); break;
    default:
        path = fuzz_tensors("rows.safetensors", data, bytes, NUMBERS, sizeof NUMBERS);
        break;
    }
    clipcu_index       *index  = NULL;
    clipcu_error        error  = { .code = CLIPCU_OK };
    const clipcu_status status = clipcu_index_open(path, &index, &error);
    fuzz_expect_status(status, &error, path);
    fuzz_expect((status == CLIPCU_OK) == (index != NULL), "an index on success only");
    if (index != NULL) { search(index); }
    clipcu_index_close(index);
    return 0;
}
