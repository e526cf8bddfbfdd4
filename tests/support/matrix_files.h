/* Matrices in .npy and safetensors files, for tests of saved embeddings. Failures end the test. */
#ifndef CCU_SUPPORT_MATRIX_FILES_H
#define CCU_SUPPORT_MATRIX_FILES_H

#include <stdbool.h>

#include "base/dtype.h"
#include "clipcu.h"
#include "support/st_dir.h"

/* How a matrix is stored. odd: its first byte stands at an odd offset. */
typedef struct matrix_storage {
    const char *name;
    ccu_dtype   dtype;
    bool        odd;
    int         version; /* of .npy; 0: safetensors */
} matrix_storage;

/* Each format, type and alignment once. */
#define MATRIX_STORAGES 8
extern const matrix_storage matrix_storages[MATRIX_STORAGES];

/* A file of header `text` and data, whatever they are. */
void matrix_write_npy(const st_dir *dir, const char *name, int version, const char *text,
                      const void *data, size_t bytes);

/* Writes values (rows, E) and rounds them in place to what was stored. */
void matrix_write(const st_dir *dir, const matrix_storage *how, float *values, size_t rows,
                  size_t E);

clipcu_index *matrix_open(const st_dir *dir, const char *name);

#endif
