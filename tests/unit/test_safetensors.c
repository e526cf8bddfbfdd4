/* host/checkpoint/safetensors: what is read, what is written, and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "checkpoint/safetensors.h"
#include "support/st_dir.h"

#define FLIPS 6000

static st_dir dir_of(void **state) {
    return *(st_dir *)*state;
}

static const uint8_t DATA[64] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

/* Opens a file of this header and 64 bytes of data. */
static clipcu_status open_header(const st_dir *dir, const char *header, ccu_st_file **file,
                                 clipcu_error *error) {
    char         path[512];
    const size_t length = strlen(header);
    st_dir_write_tensors(dir, "x.safetensors", length, header, length, DATA, sizeof DATA);
    *error = (clipcu_error){ .code = CLIPCU_OK };
    *file  = NULL;
    return ccu_st_open(st_dir_join(dir, "x.safetensors", path), file, error);
}

static void reads_every_field(void **state) {
    const st_dir dir = dir_of(state);
    ccu_st_file *file;
    clipcu_error error;
    assert_int_equal(
        open_header(&dir,
                    "{\"__metadata__\":{\"format\":\"pt\",\"note\":\"a \\\"b\\\" \\u00e9\"},"
                    "\"z\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                    "\"a.b\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[24,26]},"
                    "\"m\":{\"shape\":[1,1,1,2],\"extra\":1,\"data_offsets\":[30,34],"
                    "\"dtype\":\"F16\"}}   ",
                    &file, &error),
        CLIPCU_OK);
    assert_int_equal(ccu_st_count(file), 3);
    assert_string_equal(ccu_st_at(file, 0)->name, "a.b");
    assert_string_equal(ccu_st_at(file, 1)->name, "m");
    assert_string_equal(ccu_st_at(file, 2)->name, "z");
    assert_string_equal(ccu_st_metadata(file, "format"), "pt");
    assert_string_equal(ccu_st_metadata(file, "note"), "a \"b\" \xc3\xa9");
    assert_null(ccu_st_metadata(file, "absent"));
    assert_null(ccu_st_find(file, "absent"));
    const ccu_st_entry *z = ccu_st_find(file, "z");
    assert_non_null(z);
    ccu_tensor tensor;
    uint8_t    bytes[24];
    assert_int_equal(ccu_st_tensor(file, z, &tensor, &error), CLIPCU_OK);
    assert_int_equal(ccu_tensor_read(&tensor, 0, 24, bytes, &error), CLIPCU_OK);
    assert_memory_equal(bytes, DATA, 24);
    assert_int_equal(tensor.dtype, CCU_F32);
    assert_int_equal(tensor.rank, 2);
    assert_int_equal(tensor.shape[1], 3);
    assert_int_equal(ccu_st_tensor(file, ccu_st_find(file, "a.b"), &tensor, &error), CLIPCU_OK);
    assert_int_equal(tensor.dtype, CCU_BF16);
    assert_int_equal(ccu_tensor_count(&tensor), 1);
    assert_int_equal(ccu_st_tensor(file, ccu_st_find(file, "m"), &tensor, &error), CLIPCU_OK);
    assert_int_equal(tensor.dtype, CCU_F16);
    assert_int_equal(tensor.shape[3], 2);
    ccu_st_close(file);
}

static void opens_without_tensors(void **state) {
    const st_dir dir = dir_of(state);
    ccu_st_file *file;
    clipcu_error error;
    assert_int_equal(open_header(&dir, "{}", &file, &error), CLIPCU_OK);
    assert_int_equal(ccu_st_count(file), 0);
    assert_null(ccu_st_find(file, "x"));
    assert_null(ccu_st_metadata(file, "x"));
    ccu_st_close(file);
    ccu_st_close(NULL);
}

/* Entries that are valid in a file, and not usable as a tensor. */
static void refuses_use_not_presence(void **state) {
    static const char *const entries[] = {
        "{\"t\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]}}",
        "{\"t\":{\"dtype\":\"F4\",\"shape\":[64],\"data_offsets\":[0,32]}}", /* unknown */
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[8,8]}}",
        "{\"t\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}",
    };
    const st_dir dir = dir_of(state);
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        ccu_st_file *file;
        clipcu_error error;
        ccu_tensor   tensor;
        assert_int_equal(open_header(&dir, entries[i], &file, &error), CLIPCU_OK);
        assert_int_equal(ccu_st_tensor(file, ccu_st_find(file, "t"), &tensor, &error),
                         CLIPCU_ERR_UNSUPPORTED);
        assert_non_null(strstr(error.text, "tensor t"));
        ccu_st_close(file);
    }
}

#define T(fields) "{\"t\":{" fields "}}"
#define F32_4 "\"dtype\":\"F32\",\"shape\":[4],"

static void refuses_bad_headers(void **state) {
    static const char *const headers[] = {
        "", "[]", "{", "}", "null", "3", "{}x", "{}{}", "{\"t\":3}", "{\"t\":[]}", "{\"t\":{}}",
        "{\"a\":", "{\"a\":\"", "{\"a\\", "{\"__metadata__\":3}", "{\"__metadata__\":{\"a\":1}}",
        "{\"__metadata__\":{},\"__metadata__\":{}}",
        T("\"dtype\":\"F32\",\"shape\":[4]"), T(F32_4 "\"data_offsets\":[0]"),
        T(F32_4 "\"data_offsets\":[0,16,32]"), T(F32_4 "\"data_offsets\":{}"),
        T(F32_4 "\"data_offsets\":[0,15]"), T(F32_4 "\"data_offsets\":[0,17]"),
        T(F32_4 "\"data_offsets\":[16,0]"), T(F32_4 "\"data_offsets\":[-16,0]"),
        T(F32_4 "\"data_offsets\":[0.5,16.5]"), T(F32_4 "\"data_offsets\":[\"0\",\"16\"]"),
        T(F32_4 "\"data_offsets\":[56,72]"), T(F32_4 "\"data_offsets\":[1e300,1e300]"),
        T(F32_4 "\"data_offsets\":[18446744073709551600,18446744073709551616]"),
        T(F32_4 "\"data_offsets\":[1e999,1e999]"), T(F32_4 "\"data_offsets\":[0,null]"),
        T(F32_4 F32_4 "\"data_offsets\":[0,16]"),
        T(F32_4 "\"data_offsets\":[0,16],\"data_offsets\":[0,16]"),
        T("\"dtype\":7,\"shape\":[4],\"data_offsets\":[0,16]"),
        T("\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]"),
        T("\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]"),
        T("\"dtype\":\"F32\",\"shape\":[4.5],\"data_offsets\":[0,16]"),
        T("\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,16]"),
        T("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"),
        T("\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]"),
        T("\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,16]"),
        T("\"dtype\":\"F32\",\"shape\":[\"4\"],\"data_offsets\":[0,16]"),
        "{\"t\":{" F32_4 "\"data_offsets\":[0,16]},\"t\":{" F32_4 "\"data_offsets\":[16,32]}}",
        "{\"t\":{" F32_4 "\"data_offsets\":[0,16]},\"u\":{" F32_4 "\"data_offsets\":[12,28]}}",
        "{\"t\":{" F32_4 "\"data_offsets\":[0,16]},\"u\":{" F32_4 "\"data_offsets\":[0,16]}}",
        "{\"t\xff\":{" F32_4 "\"data_offsets\":[0,16]}}",
        "{\"t\xc0\xaf\":{" F32_4 "\"data_offsets\":[0,16]}}",
        "{\"t\xed\xa0\x80\":{" F32_4 "\"data_offsets\":[0,16]}}",
        "{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}",
    };
    const st_dir dir = dir_of(state);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        ccu_st_file *file;
        clipcu_error error;
        if (open_header(&dir, headers[i], &file, &error) != CLIPCU_ERR_FORMAT) {
            fail_msg("status %d for %s", (int)error.code, headers[i]);
        }
        assert_null(file);
        assert_int_equal(error.code, CLIPCU_ERR_FORMAT);
        assert_non_null(strstr(error.text, "x.safetensors"));
    }
}

static void refuses_bad_lengths(void **state) {
    static const uint64_t lengths[] = { 0, 1, 67, 100, 1u << 30, 1ull << 40, UINT64_MAX,
                                        (uint64_t)INT64_MAX };
    const st_dir          dir       = dir_of(state);
    char                  path[512];
    ccu_st_file          *file      = NULL;
    (void)st_dir_join(&dir, "x.safetensors", path);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        clipcu_error error = { .code = CLIPCU_OK };
        st_dir_write_tensors(&dir, "x.safetensors", lengths[i], "{}", 2, DATA, sizeof DATA);
        assert_int_equal(ccu_st_open(path, &file, &error), CLIPCU_ERR_FORMAT);
    }
    for (size_t bytes = 0; bytes < 8; bytes++) {
        clipcu_error error = { .code = CLIPCU_OK };
        st_dir_write(&dir, "x.safetensors", DATA, bytes);
        assert_int_equal(ccu_st_open(path, &file, &error), CLIPCU_ERR_FORMAT);
    }
    clipcu_error error = { .code = CLIPCU_OK };
    st_dir_write_tensors(&dir, "x.safetensors", 100000001, "{}", 2, NULL, 0);
    assert_int_equal(truncate(path, 100000100), 0); /* sparse */
    assert_int_equal(ccu_st_open(path, &file, &error), CLIPCU_ERR_LIMIT);
    error = (clipcu_error){ .code = CLIPCU_OK };
    st_dir_delete(&dir, "x.safetensors");
    assert_int_equal(ccu_st_open(path, &file, &error), CLIPCU_ERR_IO);
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_st_open(dir.path, &file, &error), CLIPCU_ERR_FORMAT);
}

/* A header that would take 40 times its size as a parsed tree, and one nested a million deep. */
static void bounds_memory_and_depth(void **state) {
    const st_dir dir    = dir_of(state);
    const size_t length = 5000000;
    char        *header = malloc(length + 1);
    ccu_st_file *file;
    clipcu_error error;
    assert_non_null(header);
    memcpy(header, "{\"a\":[0", 7);
    for (size_t i = 7; i < length; i++) { header[i] = i % 2 == 1 ? ',' : '0'; }
    memcpy(header + length - 3, "0]}", 4);
    assert_int_equal(open_header(&dir, header, &file, &error), CLIPCU_ERR_LIMIT);
    memset(header, '[', length);
    memcpy(header, "{\"a\":", 5);
    assert_int_equal(open_header(&dir, header, &file, &error), CLIPCU_ERR_FORMAT);
    assert_non_null(strstr(error.text, "deep"));
    free(header);
}

static const char VALID[] =
    "{\"__metadata__\":{\"k\":\"v\"},\"b\":{\"dtype\":\"F16\",\"shape\":[2,2],"
    "\"data_offsets\":[48,56]},\"a\":{\"dtype\":\"F32\",\"shape\":[3,4],"
    "\"data_offsets\":[0,48]},\"c\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[56,64]}}";

static void refuses_every_truncation(void **state) {
    const st_dir  dir    = dir_of(state);
    const size_t  length = sizeof VALID - 1;
    uint8_t       whole[8 + sizeof VALID - 1 + sizeof DATA];
    char          path[512];
    ccu_st_file  *file = NULL;
    clipcu_error  error;
    memset(whole, 0, 8);
    whole[0] = (uint8_t)length;
    whole[1] = (uint8_t)(length >> 8);
    memcpy(whole + 8, VALID, length);
    memcpy(whole + 8 + length, DATA, sizeof DATA);
    (void)st_dir_join(&dir, "x.safetensors", path);
    for (size_t bytes = 0; bytes < sizeof whole; bytes++) {
        st_dir_write(&dir, "x.safetensors", whole, bytes);
        error = (clipcu_error){ .code = CLIPCU_OK };
        assert_int_equal(ccu_st_open(path, &file, &error), CLIPCU_ERR_FORMAT);
    }
    for (size_t cut = 0; cut < length; cut++) { /* the length agrees, the JSON is cut */
        st_dir_write_tensors(&dir, "x.safetensors", cut, VALID, cut, DATA, sizeof DATA);
        error = (clipcu_error){ .code = CLIPCU_OK };
        assert_int_equal(ccu_st_open(path, &file, &error), CLIPCU_ERR_FORMAT);
    }
    assert_int_equal(open_header(&dir, VALID, &file, &error), CLIPCU_OK);
    ccu_st_close(file);
}

/* Random damage: either refused, or every byte that the entries claim can be read. */
static void survives_random_damage(void **state) {
    const st_dir dir    = dir_of(state);
    uint64_t     seed   = 20240607;
    int          opened = 0;
    for (int i = 0; i < FLIPS; i++) {
        char         header[sizeof VALID];
        ccu_st_file *file;
        clipcu_error error;
        memcpy(header, VALID, sizeof VALID);
        for (uint64_t flips = 1 + st_random(&seed) % 3; flips > 0; flips--) {
            char *at = &header[st_random(&seed) % (sizeof VALID - 1)];
            *at      = st_random(&seed) % 2 == 0 ? (char)(*at ^ (1 << st_random(&seed) % 8))
                                                 : "0123456789[]{},:\"\\e-."[st_random(&seed) % 22];
            if (*at == '\0') { *at = ' '; }
        }
        const clipcu_status status = open_header(&dir, header, &file, &error);
        if (status != CLIPCU_OK) {
            assert_int_equal(status, CLIPCU_ERR_FORMAT);
            continue;
        }
        opened++;
        uint64_t sum = 0;
        for (int32_t e = 0; e < ccu_st_count(file); e++) {
            const ccu_st_entry *entry = ccu_st_at(file, e);
            uint8_t             bytes[sizeof DATA];
            assert_true(entry->bytes <= sizeof DATA);
            assert_int_equal(ccu_file_read_at(ccu_st_storage(file), entry->offset, entry->bytes,
                                              bytes, &error),
                             CLIPCU_OK);
            for (size_t b = 0; b < entry->bytes; b++) { sum += bytes[b]; }
            assert_ptr_equal(ccu_st_find(file, entry->name), entry);
        }
        assert_true(sum <= 3 * 136);
        ccu_st_close(file);
    }
    assert_true(opened > 0);
    assert_true(opened < FLIPS);
}

/* A file that is cut short while it is open is a failure to read, whatever part is asked for. */
static void notices_a_file_cut_short(void **state) {
    const st_dir dir = dir_of(state);
    char         path[512];
    ccu_st_file *file;
    ccu_tensor   tensor;
    float        values[12];
    clipcu_error error = { .code = CLIPCU_OK };
    st_dir_write_tensors(&dir, "x.safetensors", sizeof VALID - 1, VALID, sizeof VALID - 1, DATA,
                         sizeof DATA);
    (void)st_dir_join(&dir, "x.safetensors", path);
    assert_int_equal(ccu_st_open(path, &file, &error), CLIPCU_OK);
    assert_int_equal(ccu_st_tensor(file, ccu_st_find(file, "a"), &tensor, &error), CLIPCU_OK);
    assert_int_equal(ccu_tensor_to_f32(&tensor, 0, 12, values, &error), CLIPCU_OK);
    assert_int_equal(truncate(path, (off_t)(tensor.offset + 40)), 0);
    assert_int_equal(ccu_tensor_to_f32(&tensor, 0, 10, values, &error), CLIPCU_OK);
    assert_int_equal(ccu_tensor_to_f32(&tensor, 0, 12, values, &error), CLIPCU_ERR_IO);
    assert_non_null(strstr(error.text, "x.safetensors"));
    assert_non_null(strstr(error.text, "cut short"));
    error.code = CLIPCU_OK;
    assert_int_equal(ccu_st_tensor(file, ccu_st_find(file, "b"), &tensor, &error), CLIPCU_OK);
    assert_int_equal(ccu_tensor_to_f32(&tensor, 0, 1, values, &error), CLIPCU_ERR_IO);
    ccu_st_close(file);
}

static void finds_among_many(void **state) {
    enum { COUNT = 3000 };
    const st_dir dir  = dir_of(state);
    const size_t room = COUNT * 80;
    char        *text = malloc(room);
    char         name[32];
    int          used = snprintf(text, room, "{");
    ccu_st_file *file;
    clipcu_error error;
    for (int i = 0; i < COUNT; i++) {
        used += snprintf(text + used, room - (size_t)used,
                         "%s\"t.%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[%d,%d]}",
                        i == 0 ? "" : ",", i * 7919 % COUNT, i % 64, i % 64);
    }
    (void)snprintf(text + used, room - (size_t)used, "}");
    assert_int_equal(open_header(&dir, text, &file, &error), CLIPCU_OK);
    assert_int_equal(ccu_st_count(file), COUNT);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "t.%d", i);
        assert_string_equal(ccu_st_find(file, name)->name, name);
    }
    for (int32_t i = 1; i < COUNT; i++) {
        assert_true(strcmp(ccu_st_at(file, i - 1)->name, ccu_st_at(file, i)->name) < 0);
    }
    ccu_st_close(file);
    free(text);
}

static void writes_what_it_reads(void **state) {
    static const float     values[6] = { 1.0f, -2.5f, 3e-9f, INFINITY, 0.0f, 7.0f };
    static const uint16_t  halves[3] = { 0x3c00, 0x8001, 0x7bff };
    const st_dir           dir       = dir_of(state);
    char                   path[512];
    ccu_st_file           *file       = NULL;
    clipcu_error           error      = { .code = CLIPCU_OK };
    const ccu_st_pair      metadata[] = { { "labels", "[\"a \\\"dog\\\"\",\"\xc3\xa9\\n\"]" },
                                          { "empty", "" } };
    const ccu_tensor       tensors[]  = {
        { .data = (const uint8_t *)halves, .name = "half", .dtype = CCU_F16, .rank = 1,
          .shape = { 3 } },
        { .data = (const uint8_t *)values, .name = "quoted \"name\"", .dtype = CCU_F32, .rank = 2,
          .shape = { 2, 3 } },
        { .data = (const uint8_t *)halves, .name = "scalar", .dtype = CCU_BF16, .rank = 0 },
    };
    (void)st_dir_join(&dir, "w.safetensors", path);
    assert_int_equal(ccu_st_write(path, metadata, 2, tensors, 3, &error), CLIPCU_OK);
    assert_int_equal(ccu_st_open(path, &file, &error), CLIPCU_OK);
    assert_int_equal(ccu_st_count(file), 3);
    assert_string_equal(ccu_st_metadata(file, "labels"), metadata[0].value);
    assert_string_equal(ccu_st_metadata(file, "empty"), "");
    for (int i = 0; i < 3; i++) {
        const ccu_st_entry *entry = ccu_st_find(file, tensors[i].name);
        ccu_tensor          found;
        assert_non_null(entry);
        assert_int_equal(ccu_st_tensor(file, entry, &found, &error), CLIPCU_OK);
        assert_int_equal(found.dtype, tensors[i].dtype);
        assert_int_equal(found.rank, tensors[i].rank);
        uint8_t      bytes[64];
        const size_t length = ccu_tensor_count(&tensors[i]) * ccu_dtype_bytes(found.dtype);
        assert_int_equal(ccu_tensor_read(&found, 0, length, bytes, &error), CLIPCU_OK);
        assert_memory_equal(bytes, tensors[i].data, length);
        assert_int_equal(found.offset % ccu_dtype_bytes(found.dtype), 0);
    }
    assert_int_equal(ccu_st_find(file, "quoted \"name\"")->offset % 8, 0);
    ccu_st_close(file);
    char part[520];
    (void)snprintf(part, sizeof part, "%s.part", path);
    assert_false(ccu_file_exists(part));
}

static void refuses_to_write_nonsense(void **state) {
    const st_dir      dir  = dir_of(state);
    char              path[512];
    const ccu_st_pair bad_pairs[] = {
        { "k", "\xff" }, { "\xff", "v" }, { NULL, "v" }, { "k", NULL }
    };
    const ccu_tensor  good = { .data = DATA, .name = "t", .dtype = CCU_F32, .rank = 1,
                               .shape = { 4 } };
    ccu_tensor        bad[7];
    for (int i = 0; i < 7; i++) { bad[i] = good; }
    bad[0].name     = "";
    bad[1].name     = NULL;
    bad[2].name     = "__metadata__";
    bad[3].name     = "\xc3";
    bad[4].shape[0] = 0;
    bad[5].shape[0] = INT64_MAX;
    bad[6].rank     = 5;
    (void)st_dir_join(&dir, "bad.safetensors", path);
    for (int i = 0; i < 7; i++) {
        clipcu_error error = { .code = CLIPCU_OK };
        assert_int_equal(ccu_st_write(path, NULL, 0, &bad[i], 1, &error), CLIPCU_ERR_ARGUMENT);
    }
    for (int i = 0; i < 4; i++) {
        clipcu_error error = { .code = CLIPCU_OK };
        assert_int_equal(ccu_st_write(path, &bad_pairs[i], 1, &good, 1, &error),
                         CLIPCU_ERR_ARGUMENT);
    }
    const ccu_tensor twice[] = { good, good };
    clipcu_error     error   = { .code = CLIPCU_OK };
    assert_int_equal(ccu_st_write(path, NULL, 0, twice, 2, &error), CLIPCU_ERR_ARGUMENT);
    assert_false(ccu_file_exists(path));
    error = (clipcu_error){ .code = CLIPCU_OK };
    assert_int_equal(ccu_st_write("/nonexistent/x.safetensors", NULL, 0, &good, 1, &error),
                     CLIPCU_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_field),
        cmocka_unit_test(opens_without_tensors),
        cmocka_unit_test(refuses_use_not_presence),
        cmocka_unit_test(refuses_bad_headers),
        cmocka_unit_test(refuses_bad_lengths),
        cmocka_unit_test(bounds_memory_and_depth),
        cmocka_unit_test(refuses_every_truncation),
        cmocka_unit_test(survives_random_damage),
        cmocka_unit_test(notices_a_file_cut_short),
        cmocka_unit_test(finds_among_many),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(refuses_to_write_nonsense),
    };
    return cmocka_run_group_tests(tests, st_dir_set_up, st_dir_tear_down);
}
