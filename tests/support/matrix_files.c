/* Matrices in files; see matrix_files.h. */
#include "support/matrix_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const matrix_storage matrix_storages[MATRIX_STORAGES] = {
    { "a.npy", CCU_F32, false, 1 },         { "b.npy", CCU_F16, false, 1 },
    { "c.npy", CCU_F32, true, 2 },          { "d.npy", CCU_F16, true, 3 },
    { "e.safetensors", CCU_F32, false, 0 }, { "f.safetensors", CCU_F16, true, 0 },
    { "g.safetensors", CCU_BF16, true, 0 }, { "h.safetensors", CCU_F32, true, 0 },
};

void matrix_write_npy(const st_dir *dir, const char *name, int version, const char *text,
                            const void *data, size_t bytes) {
    char         path[512];
    const size_t length    = strlen(text);
    uint8_t      start[12] = { 0x93, 'N', 'U', 'M', 'P', 'Y', (uint8_t)version, 0 };
    for (size_t i = 0; i < 4; i++) { start[8 + i] = (uint8_t)(length >> (8 * i)); }
    FILE *file = fopen(st_dir_join(dir, name, path), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(start, 1, version == 1 ? 10 : 12, file), version == 1 ? 10 : 12);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static const char *dtype_name(ccu_dtype dtype) {
    return dtype == CCU_F32 ? "F32" : dtype == CCU_F16 ? "F16" : "BF16";
}

void matrix_write(const st_dir *dir, const matrix_storage *how, float *values, size_t rows,
                         size_t E) {
    const size_t count = rows * E, bytes = count * ccu_dtype_bytes(how->dtype);
    uint16_t    *half  = malloc(count * sizeof *half + 1);
    char         text[256];
    assert_non_null(half);
    for (size_t i = 0; i < count && how->dtype != CCU_F32; i++) {
        if (how->dtype == CCU_F16) {
            const ccu_f16 rounded = ccu_f16_from_f32(values[i]);
            half[i]               = rounded.bits;
            values[i]             = ccu_f16_to_f32(rounded);
        } else {
            const ccu_bf16 rounded = ccu_bf16_from_f32(values[i]);
            half[i]                = rounded.bits;
            values[i]              = ccu_bf16_to_f32(rounded);
        }
    }
    const void *data = how->dtype == CCU_F32 ? (const void *)values : half;
    if (how->version > 0) {
        int length = snprintf(text, sizeof text,
                              "{'descr': '%s', 'fortran_order': False, 'shape': (%zu, %zu), }",
                              how->dtype == CCU_F32 ? "<f4" : "<f2", rows, E);
        const int start = how->version == 1 ? 10 : 12;
        while ((start + length + 1) % 64 != (how->odd ? 33 : 0)) { text[length++] = ' '; }
        text[length++] = '\n';
        text[length]   = '\0';
        matrix_write_npy(dir, how->name, how->version, text, data, bytes);
    } else {
        int length = snprintf(text, sizeof text,
                              "{\"embeddings\":{\"dtype\":\"%s\",\"shape\":[%zu,%zu],"
                              "\"data_offsets\":[0,%zu]}}",
                              dtype_name(how->dtype), rows, E, bytes);
        while (length % 2 != (how->odd ? 1 : 0)) { text[length++] = ' '; }
        st_dir_write_tensors(dir, how->name, (uint64_t)length, text, (size_t)length, data, bytes);
    }
    free(half);
}

clipcu_index *matrix_open(const st_dir *dir, const char *name) {
    char          path[512];
    clipcu_index *index = NULL;
    clipcu_error  error;
    if (clipcu_index_open(st_dir_join(dir, name, path), &index, &error) != CLIPCU_OK) {
        fail_msg("%s", error.text);
    }
    return index;
}
