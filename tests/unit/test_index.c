/* Saved embeddings: what is opened, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/npy_header.h"
#include "support/matrix_files.h"

#define PATH_BYTES 512

/* ---- What is refused ------------------------------------------------------------------------ */

typedef struct damage {
    const char   *text; /* header; 24 bytes of data follow */
    clipcu_status status;
    const char   *says;
} damage;

#define ORDER "'fortran_order': False, "

static const damage damages[] = {
    { "{'descr': '<f4', " ORDER "'shape': (2, 3), }\n", CLIPCU_OK, "" },
    { "{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<f4\"}", CLIPCU_OK, "" },
    { "{'descr': '<f2', " ORDER "'shape': (4, 3)}", CLIPCU_OK, "" },
    { "{'descr': '<f4', " ORDER "'shape': (3, 3)}", CLIPCU_ERR_FORMAT, "truncated" },
    { "{'descr': '<f4', " ORDER "'shape': (1, 3)}", CLIPCU_ERR_FORMAT, "damaged" },
    { "{'descr': '<f4', " ORDER "'shape': (0, 3)}", CLIPCU_ERR_FORMAT, "0 rows" },
    { "{'descr': '<f4', " ORDER "'shape': (2, 0)}", CLIPCU_ERR_LIMIT, "rows of 0" },
    { "{'descr': '<f4', " ORDER "'shape': (0, 65537)}", CLIPCU_ERR_LIMIT, "65537" },
    { "{'descr': '<f4', " ORDER "'shape': (4611686018427387906, 3)}", CLIPCU_ERR_FORMAT, "rows" },
    { "{'descr': '<f4', " ORDER "'shape': (9223372036854775808, 3)}", CLIPCU_ERR_FORMAT, "64" },
    { "{'descr': '<f4', " ORDER "'shape': (-2, 3)}", CLIPCU_ERR_FORMAT, "a dimension" },
    { "{'descr': '<f4', " ORDER "'shape': (2.0, 3)}", CLIPCU_ERR_FORMAT, "comma" },
    { "{'descr': '<f4', " ORDER "'shape': (6,)}", CLIPCU_ERR_UNSUPPORTED, "1 dimension" },
    { "{'descr': '<f4', " ORDER "'shape': (6)}", CLIPCU_ERR_FORMAT, "comma" },
    { "{'descr': '<f4', " ORDER "'shape': ()}", CLIPCU_ERR_UNSUPPORTED, "0 dimensions" },
    { "{'descr': '<f4', " ORDER "'shape': (2, 3, 1)}", CLIPCU_ERR_UNSUPPORTED, "3 dimensions" },
    { "{'descr': '<f8', " ORDER "'shape': (1, 3)}", CLIPCU_ERR_UNSUPPORTED, "<f8" },
    { "{'descr': '>f4', " ORDER "'shape': (2, 3)}", CLIPCU_ERR_UNSUPPORTED, ">f4" },
    { "{'descr': [('x', '<f4')], " ORDER "'shape': (2, 3)}", CLIPCU_ERR_UNSUPPORTED, "records" },
    { "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", CLIPCU_ERR_UNSUPPORTED,
      "Fortran" },
    { "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2, 3)}", CLIPCU_ERR_FORMAT, "True or" },
    { "{'descr': '<f4', " ORDER "'shape': (2, 3), 'more': 1}", CLIPCU_ERR_FORMAT, "unknown" },
    { "{'descr': '<f4', 'descr': '<f4', 'shape': (2, 3)}", CLIPCU_ERR_FORMAT, "twice" },
    { "{'descr': '<f4', 'shape': (2, 3)}", CLIPCU_ERR_FORMAT, "expected the keys" },
    { "{'descr': '<f4', " ORDER "'shape': (2, 3)} x", CLIPCU_ERR_FORMAT, "its end" },
    { "{'descr': '<f4', " ORDER "'shape': (2, 3)", CLIPCU_ERR_FORMAT, "comma or }" },
    { "{'descr': '<f4', " ORDER "'shape': (2, 3", CLIPCU_ERR_FORMAT, "comma or )" },
    { "{'descr': '<f4", CLIPCU_ERR_FORMAT, "type" },
    { "{'descr' '<f4'}", CLIPCU_ERR_FORMAT, "expected :" },
    { "{", CLIPCU_ERR_FORMAT, "key" },
    { "", CLIPCU_ERR_FORMAT, "expected {" },
};

static void expect_refused(const char *path, clipcu_status status, const char *says) {
    clipcu_error  error;
    clipcu_index *index = (clipcu_index *)(uintptr_t)1;
    const clipcu_status found = clipcu_index_open(path, &index, &error);
    if (found != status || (found != CLIPCU_OK && strstr(error.text, says) == NULL)) {
        fail_msg("%s: found %s \"%s\", expected %s \"%s\"", path, clipcu_status_name(found),
                 error.text, clipcu_status_name(status), says);
    }
    if (found != CLIPCU_OK) { assert_null(index); }
    clipcu_index_close(index);
}

static void damaged_npy_is_refused(void **state) {
    const st_dir *dir      = *state;
    const float   data[6]  = { 1, 2, 3, 4, 5, 6 };
    char          path[PATH_BYTES];
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        for (int version = 1; version <= 3; version++) {
            matrix_write_npy(dir, "x.npy", version, damages[i].text, data, sizeof data);
            expect_refused(st_dir_join(dir, "x.npy", path), damages[i].status, damages[i].says);
        }
    }
    matrix_write_npy(dir, "x.npy", 4, damages[0].text, data, sizeof data);
    expect_refused(path, CLIPCU_ERR_UNSUPPORTED, "version 4.0");
    st_dir_write(dir, "x.npy", "\x93NUMPX\1\0\0\0\0\0", 12);
    expect_refused(path, CLIPCU_ERR_FORMAT, "no .npy file");
    st_dir_write(dir, "x.npy", "\x93NUMPY\1\0\1\0", 10);
    expect_refused(path, CLIPCU_ERR_FORMAT, "does not fit");
    st_dir_write(dir, "x.npy", "\x93NUMPY\2\0\xff\xff", 10);
    expect_refused(path, CLIPCU_ERR_FORMAT, "does not fit");
    st_dir_write(dir, "x.npy", "\x93NUMPY\2\0\xff\xff\xff\xff{}", 14);
    expect_refused(path, CLIPCU_ERR_FORMAT, "does not fit");
    st_dir_write(dir, "x.npy", "", 0);
    expect_refused(path, CLIPCU_ERR_FORMAT, "empty");
    st_dir_write(dir, "x.txt", "x", 1);
    expect_refused(st_dir_join(dir, "x.txt", path), CLIPCU_ERR_UNSUPPORTED, "ends in .npy");
    expect_refused(st_dir_join(dir, "no.npy", path), CLIPCU_ERR_IO, "cannot open");
}

/* Each byte of a good header replaced by others: opened or refused, never worse. */
static void mutated_npy_does_no_harm(void **state) {
    const st_dir *dir = *state;
    char          bytes[CCU_NPY_HEADER_BYTES + 24] = { 0 }, path[PATH_BYTES];
    clipcu_error  error;
    ccu_npy_header(2, 3, CCU_F32, bytes);
    (void)st_dir_join(dir, "m.npy", path);
    for (size_t at = 0; at < 75; at++) {
        for (int bit = 0; bit < 8; bit++) {
            clipcu_index *index = NULL;
            bytes[at] = (char)(bytes[at] ^ (1 << bit));
            st_dir_write(dir, "m.npy", bytes, sizeof bytes);
            if (clipcu_index_open(path, &index, &error) == CLIPCU_OK) {
                const size_t size = (size_t)clipcu_index_count(index) *
                                    (size_t)clipcu_index_embed_dim(index);
                assert_true(size == 6 || size == 12); /* f32 or f16 */
                clipcu_index_close(index);
            }
            bytes[at] = (char)(bytes[at] ^ (1 << bit));
        }
    }
}

static void write_tensors(const st_dir *dir, const char *header) {
    const float data[6] = { 1, 2, 3, 4, 5, 6 };
    st_dir_write_tensors(dir, "t.safetensors", strlen(header), header, strlen(header), data,
                         sizeof data);
}

#define TENSOR(name, dtype, shape) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":"

static void safetensors_matrix_is_found_or_refused(void **state) {
    const st_dir *dir = *state;
    char          path[PATH_BYTES];
    (void)st_dir_join(dir, "t.safetensors", path);
    write_tensors(dir, "{" TENSOR("any", "F32", "[2,3]") "[0,24]}}");
    expect_refused(path, CLIPCU_OK, "");
    write_tensors(dir, "{" TENSOR("a", "F32", "[1,3]") "[0,12]}," TENSOR("bank", "F32", "[1,3]")
                       "[12,24]}}");
    clipcu_index *index = matrix_open(dir, "t.safetensors");
    const float   query[3] = { 4, 5, 6 };
    clipcu_hit    hit;
    assert_int_equal(clipcu_index_search(index, query, 1, 1, 1, &hit, NULL), CLIPCU_OK);
    assert_true(hit.row == 0 && fabsf(hit.cosine - 1.0f) < 1e-6f); /* the second tensor's data */
    clipcu_index_close(index);
    write_tensors(dir, "{" TENSOR("a", "F32", "[1,3]") "[0,12]}," TENSOR("b", "F32", "[1,3]")
                       "[12,24]}}");
    expect_refused(path, CLIPCU_ERR_UNSUPPORTED, "one matrix only");
    write_tensors(dir, "{" TENSOR("bank", "F32", "[6]") "[0,24]}}");
    expect_refused(path, CLIPCU_ERR_UNSUPPORTED, "1 dimensions");
    write_tensors(dir, "{" TENSOR("bank", "I32", "[2,3]") "[0,24]}}");
    expect_refused(path, CLIPCU_ERR_UNSUPPORTED, "I32");
    write_tensors(dir, "{" TENSOR("bank", "F32", "[3,3]") "[0,24]}}");
    expect_refused(path, CLIPCU_ERR_FORMAT, "9 elements");
    write_tensors(dir, "{" TENSOR("bank", "F32", "[3,3]") "[0,36]}}");
    expect_refused(path, CLIPCU_ERR_FORMAT, "truncated");
}

static void wrong_arguments_are_refused(void **state) {
    float         values[6] = { 1, 2, 3, 4, 5, 6 }, query[3] = { 1, 0, 0 };
    clipcu_hit    hits[2];
    clipcu_error  error;
    clipcu_index *index = NULL;
    matrix_write(*state, &matrix_storages[0], values, 2, 3);
    index = matrix_open(*state, matrix_storages[0].name);
    assert_int_equal(clipcu_index_open(NULL, &index, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_index_search(NULL, query, 1, 1, 1, hits, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_index_search(index, NULL, 1, 1, 1, hits, &error), CLIPCU_ERR_ARGUMENT);
    assert_int_equal(clipcu_index_search(index, query, 1, 1, 1, NULL, &error),
                     CLIPCU_ERR_ARGUMENT);
    static const int32_t numbers[][3] = { { 0, 1, 1 },    { 1, 0, 1 },  { 1, 1025, 1 },
                                          { 1, 1, -1 },   { 1, 1, 1025 }, { -1, 1, 1 } };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_int_equal(clipcu_index_search(index, query, numbers[i][0], numbers[i][1],
                                             numbers[i][2], hits, &error),
                         CLIPCU_ERR_ARGUMENT);
    }
    static const float bad[] = { 0.0f, NAN, INFINITY };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        query[0] = bad[i];
        assert_int_equal(clipcu_index_search(index, query, 1, 1, 1, hits, &error),
                         CLIPCU_ERR_ARGUMENT);
        assert_non_null(strstr(error.text, "query 0"));
    }
    clipcu_index_close(index);
    clipcu_index_close(NULL);
}

/* A file that grew, shrank or was written to since it was opened. */
static void changed_file_is_noticed(void **state) {
    float        values[6] = { 1, 2, 3, 4, 5, 6 };
    char         path[PATH_BYTES];
    clipcu_hit   hit;
    clipcu_error error;
    for (int how = 0; how < 3; how++) {
        for (size_t i = 0; i < MATRIX_STORAGES; i += 4) {
            matrix_write(*state, &matrix_storages[i], values, 2, 3);
            clipcu_index *index = matrix_open(*state, matrix_storages[i].name);
            (void)st_dir_join(*state, matrix_storages[i].name, path);
            struct stat info;
            assert_int_equal(stat(path, &info), 0);
            const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
            if (how == 0) { assert_int_equal(truncate(path, info.st_size + 1), 0); }
            if (how == 1) { assert_int_equal(truncate(path, 10), 0); }
            if (how == 2) { assert_int_equal(utimensat(-100, path, times, 0), 0); } /* AT_FDCWD */
            assert_int_equal(clipcu_index_search(index, values, 1, 1, 1, &hit, &error),
                             CLIPCU_ERR_IO);
            assert_non_null(strstr(error.text, "changed while it was read"));
            clipcu_index_close(index);
        }
    }
}

/* As clipcu embed leaves it without inputs. */
static void no_rows_give_no_hits(void **state) {
    char          header[CCU_NPY_HEADER_BYTES];
    const float   query[3] = { 1, 2, 3 };
    clipcu_hit    hits[2];
    ccu_npy_header(0, 3, CCU_F32, header);
    st_dir_write(*state, "z.npy", header, sizeof header);
    clipcu_index *index = matrix_open(*state, "z.npy");
    assert_int_equal(clipcu_index_count(index), 0);
    assert_int_equal(clipcu_index_search(index, query, 1, 2, 2, hits, NULL), CLIPCU_OK);
    assert_true(hits[0].row == -1 && hits[1].row == -1);
    clipcu_index_close(index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_npy_is_refused),
        cmocka_unit_test(mutated_npy_does_no_harm),
        cmocka_unit_test(safetensors_matrix_is_found_or_refused),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(changed_file_is_noticed),
        cmocka_unit_test(no_rows_give_no_hits),
    };
    return cmocka_run_group_tests(tests, st_dir_set_up, st_dir_tear_down);
}
