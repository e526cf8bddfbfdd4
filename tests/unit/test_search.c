/* The search of saved embeddings against a naive one in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "support/matrix_files.h"

#define TOLERANCE 2e-6 /* f32 sums of at most 1024 products */

/* ---- The naive search ----------------------------------------------------------------------- */

/* -2: the row has no direction. */
static double naive_cosine(const float *row, const float *query, size_t E) {
    double dot = 0.0, row_square = 0.0, query_square = 0.0;
    for (size_t k = 0; k < E; k++) {
        dot += (double)row[k] * (double)query[k];
        row_square += (double)row[k] * (double)row[k];
        query_square += (double)query[k] * (double)query[k];
    }
    if (!(row_square > 0.0 && row_square < (double)INFINITY)) { return -2.0; }
    return dot / sqrt(row_square * query_square);
}

/* Whether hits (top) are the rows (rows, E) nearest to the query: each cosine right, best first,
 * ties by lowest row, and no better row left out. */
static bool is_right(const float *values, size_t rows, size_t E, const float *query,
                     const clipcu_hit *hits, int32_t top) {
    bool   *taken = calloc(rows + 1, sizeof *taken);
    double  worst = -2.0;
    int32_t found = 0;
    bool    right = taken != NULL;
    for (; right && found < top && hits[found].row != -1; found++) {
        const clipcu_hit hit = hits[found];
        if (hit.row < 0 || (size_t)hit.row >= rows || taken[hit.row]) {
            right = false;
            break;
        }
        taken[hit.row] = true;
        worst          = naive_cosine(values + (size_t)hit.row * E, query, E);
        right          = fabs(worst - (double)hit.cosine) <= TOLERANCE &&
                hit.cosine >= -1.0f && hit.cosine <= 1.0f;
        if (found > 0) {
            const clipcu_hit before = hits[found - 1];
            right = right && (before.cosine > hit.cosine ||
                              (before.cosine == hit.cosine && before.row < hit.row));
        }
    }
    for (int32_t i = found; right && i < top; i++) {
        right = hits[i].row == -1 && hits[i].cosine == 0.0f;
    }
    for (size_t row = 0; right && row < rows; row++) {
        const double cosine = naive_cosine(values + row * E, query, E);
        if (taken[row] || cosine < -1.5) { continue; }
        right = found == top && cosine <= worst + 2 * TOLERANCE;
    }
    free(taken);
    return right;
}

static void fill(float *values, size_t count, uint64_t *seed) {
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)((double)(st_random(seed) >> 11) / 9007199254740992.0 - 0.5);
    }
}

/* Rows as they come in practice and as they should not. */
static void plant_rows(float *values, size_t rows, size_t E) {
    for (size_t row = 0; row < rows; row++) {
        float *at = values + row * E;
        for (size_t k = 0; k < E; k++) {
            if (row % 17 == 3) { at[k] = 0.0f; }
            if (row % 19 == 5) { at[k] *= 1e-3f; } /* subnormal in f16 */
            if (row % 23 == 7) { at[k] *= 1e-25f; }
            if (row % 29 == 11) { at[k] *= 1e25f; } /* infinite in f16 */
            if (row % 31 == 13 && row > 13) { at[k] = values[(row - 13) * E + k]; }
        }
        if (row % 37 == 9) { at[row % E] = NAN; }
        if (row % 41 == 9) { at[row % E] = -INFINITY; }
    }
}

static void search(const clipcu_index *index, const float *queries, int32_t count, int32_t top,
                   int32_t threads, clipcu_hit *hits) {
    clipcu_error error;
    memset(hits, 0x5a, (size_t)count * (size_t)top * sizeof *hits);
    if (clipcu_index_search(index, queries, count, top, threads, hits, &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
}

static bool same_hits(const clipcu_hit *a, const clipcu_hit *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (a[i].row != b[i].row || a[i].cosine != b[i].cosine) { return false; }
    }
    return true;
}

/* One stored matrix: right for each query; the same for any number of threads and queries. */
static void check_matrix(const st_dir *dir, const matrix_storage *how, size_t rows, size_t E,
                         int32_t top) {
    enum { QUERIES = 9 };
    static const int32_t counts[] = { 1, 2, 3, 4, 5, 9 };
    uint64_t             seed     = 88172645463325252u + rows * 31 + E;
    float               *values   = malloc((rows * E + 1) * sizeof *values);
    float               *queries  = malloc(QUERIES * E * sizeof *queries);
    const size_t         hits     = QUERIES * (size_t)top;
    clipcu_hit          *first    = malloc(hits * sizeof *first);
    clipcu_hit          *again    = malloc(hits * sizeof *again);
    assert_true(values != NULL && queries != NULL && first != NULL && again != NULL);
    fill(values, rows * E, &seed);
    fill(queries, QUERIES * E, &seed);
    for (size_t k = 0; k < E; k++) { queries[k] *= 1e20f; } /* of any length */
    plant_rows(values, rows, E);
    matrix_write(dir, how, values, rows, E);
    clipcu_index *index = matrix_open(dir, how->name);
    assert_int_equal(clipcu_index_count(index), rows);
    assert_int_equal(clipcu_index_embed_dim(index), E);
    search(index, queries, QUERIES, top, 1, first);
    for (size_t q = 0; q < QUERIES; q++) {
        if (!is_right(values, rows, E, queries + q * E, first + q * (size_t)top, top)) {
            fail_msg("%s: %zu x %zu, query %zu", how->name, rows, E, q);
        }
    }
    for (int32_t threads = 1; threads <= 3; threads++) {
        for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
            for (int32_t q = 0; q < QUERIES; q += counts[c]) {
                const int32_t left  = QUERIES - q;
                const int32_t count = counts[c] < left ? counts[c] : left;
                search(index, queries + (size_t)q * E, count, top, threads,
                       again + (size_t)q * (size_t)top);
            }
            if (!same_hits(first, again, hits)) {
                fail_msg("%s: %zu x %zu differs with %d threads and %d queries", how->name, rows,
                         E, (int)threads, (int)counts[c]);
            }
        }
    }
    clipcu_index_close(index);
    free(values);
    free(queries);
    free(first);
    free(again);
}

static void finds_the_nearest(void **state) {
    static const size_t widths[] = { 1, 3, 8, 13, 32, 67 };
    for (size_t i = 0; i < MATRIX_STORAGES; i++) {
        for (size_t e = 0; e < sizeof widths / sizeof widths[0]; e++) {
            check_matrix(*state, &matrix_storages[i], 1, widths[e], 3);
            check_matrix(*state, &matrix_storages[i], 211, widths[e], 10);
            check_matrix(*state, &matrix_storages[i], 64, widths[e], 100);
        }
    }
}

/* Several chunks of rows, so that threads share them. */
static void finds_the_nearest_of_many(void **state) {
    check_matrix(*state, &matrix_storages[0], 5003, 515, 20);
    check_matrix(*state, &matrix_storages[1], 4801, 512, 20);
    check_matrix(*state, &matrix_storages[6], 4801, 509, 20);
    check_matrix(*state, &matrix_storages[3], 300001, 4, 200);
}

/* More queries than one pass takes. */
static void takes_any_number_of_queries(void **state) {
    enum { COUNT = 300, E = 16, ROWS = 50, TOP = 4 };
    uint64_t   seed = 7;
    float      values[ROWS * E], *queries = malloc(COUNT * E * sizeof *queries);
    clipcu_hit one[TOP], *all = malloc(COUNT * TOP * sizeof *all);
    assert_true(queries != NULL && all != NULL);
    fill(values, ROWS * E, &seed);
    fill(queries, COUNT * E, &seed);
    matrix_write(*state, &matrix_storages[0], values, ROWS, E);
    clipcu_index *index = matrix_open(*state, matrix_storages[0].name);
    search(index, queries, COUNT, TOP, 2, all);
    for (size_t q = 0; q < COUNT; q++) {
        search(index, queries + q * E, 1, TOP, 1, one);
        assert_true(same_hits(one, all + q * TOP, TOP));
        assert_true(is_right(values, ROWS, E, queries + q * E, one, TOP));
    }
    clipcu_index_close(index);
    free(queries);
    free(all);
}

static void ties_go_to_the_lowest_row(void **state) {
    enum { ROWS = 3000, E = 6, TOP = 7 };
    static float values[ROWS * E];
    const float  query[4 * E] = { 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6,
                                  1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6 };
    clipcu_hit   hits[4 * TOP];
    for (size_t i = 0; i < ROWS * E; i++) { values[i] = (float)(i % E + 1); }
    matrix_write(*state, &matrix_storages[0], values, ROWS, E);
    clipcu_index *index = matrix_open(*state, matrix_storages[0].name);
    for (int32_t threads = 1; threads <= 3; threads++) {
        for (int32_t count = 1; count <= 4; count += 3) {
            search(index, query, count, TOP, threads, hits);
            for (int32_t i = 0; i < count * TOP; i++) {
                assert_int_equal(hits[i].row, i % TOP);
                assert_true(fabsf(hits[i].cosine - 1.0f) < 1e-6f);
            }
        }
    }
    clipcu_index_close(index);
}

/* The check of the tests above sees each kind of wrong answer. */
static void planted_mistakes_are_seen(void **state) {
    enum { ROWS = 100, E = 8, TOP = 5 };
    uint64_t   seed = 99;
    float      values[ROWS * E], query[E];
    clipcu_hit hits[TOP], wrong[TOP];
    fill(values, ROWS * E, &seed);
    fill(query, E, &seed);
    for (size_t k = 0; k < E; k++) { values[ROWS / 2 * E + k] = NAN; }
    matrix_write(*state, &matrix_storages[0], values, ROWS, E);
    clipcu_index *index = matrix_open(*state, matrix_storages[0].name);
    search(index, query, 1, TOP, 1, hits);
    clipcu_index_close(index);
    assert_true(is_right(values, ROWS, E, query, hits, TOP));
    for (int32_t mistake = 0; mistake < 7; mistake++) {
        memcpy(wrong, hits, sizeof hits);
        switch (mistake) {
        case 0: wrong[2].row = (wrong[2].row + 1) % ROWS; break;
        case 1: wrong[2].cosine += 1e-4f; break;
        case 2: wrong[1] = hits[2], wrong[2] = hits[1]; break;
        case 3: wrong[4] = (clipcu_hit){ .row = -1 }; break;
        case 4: memmove(wrong + 2, wrong + 3, 2 * sizeof wrong[0]); break;
        case 5: wrong[4] = (clipcu_hit){ .row = ROWS / 2, .cosine = -0.9f }; break;
        case 6: wrong[0].row = ROWS; break;
        }
        if (is_right(values, ROWS, E, query, wrong, TOP)) { fail_msg("mistake %d", mistake); }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_nearest),
        cmocka_unit_test(finds_the_nearest_of_many),
        cmocka_unit_test(takes_any_number_of_queries),
        cmocka_unit_test(ties_go_to_the_lowest_row),
        cmocka_unit_test(planted_mistakes_are_seen),
    };
    return cmocka_run_group_tests(tests, st_dir_set_up, st_dir_tear_down);
}
