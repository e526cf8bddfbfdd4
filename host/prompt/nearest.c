/* Tokens nearest to context vectors; see nearest.h. */
#include "prompt/nearest.h"

#include <assert.h>
#include <math.h>

#include "base/memory.h"

#define ROWS 1024 /* embeddings read at a time */

static double distance(const float *a, const float *b, size_t C) {
    double square = 0.0;
    for (size_t c = 0; c < C; c++) {
        const double d = (double)a[c] - (double)b[c];
        square += d * d;
    }
    return sqrt(square);
}

/* Keeps the list (top) ascending; of equal distances the first that came stays before. */
static void insert(clipcu_near_token *list, int32_t top, int32_t *used, int32_t id,
                   float distance) {
    int32_t at = *used < top ? (*used)++ : top - 1;
    if (*used == top && list[top - 1].id >= 0 && !(distance < list[top - 1].distance)) { return; }
    while (at > 0 && distance < list[at - 1].distance) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] = (clipcu_near_token){ .id = id, .distance = distance };
}

clipcu_status ccu_prompt_near(const clipcu_prompt *p, const ccu_tensor *tokens, int32_t top,
                              clipcu_near_token *near, clipcu_error *error) {
    const size_t  C = (size_t)p->C, V = (size_t)tokens->shape[0];
    float        *rows   = ccu_alloc(ROWS * C * sizeof *rows);
    int32_t      *used   = ccu_alloc_zeroed((size_t)p->M, sizeof *used);
    clipcu_status status = CLIPCU_OK;
    assert(!p->class_specific && (size_t)top <= V);
    if (rows == NULL || used == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d token embeddings", ROWS);
    }
    for (int32_t i = 0; i < p->M * top; i++) { near[i] = (clipcu_near_token){ .id = -1 }; }
    for (size_t from = 0; from < V && status == CLIPCU_OK; from += ROWS) {
        const size_t count = V - from < ROWS ? V - from : ROWS;
        status             = ccu_tensor_to_f32(tokens, from * C, count * C, rows, error);
        for (size_t i = 0; i < count && status == CLIPCU_OK; i++) {
            for (int32_t m = 0; m < p->M; m++) {
                const double d = distance(p->context + (size_t)m * C, rows + i * C, C);
                insert(near + (size_t)m * (size_t)top, top, &used[m], (int32_t)(from + i),
                       (float)d);
            }
        }
    }
    ccu_free(used);
    ccu_free(rows);
    return status;
}
