/* Matrices in NumPy's .npy format, version 1.0, whose row count is known only at the end:
 *
 *   1. 6 bytes "\x93NUMPY", 2 bytes version 1 0, 2 bytes little-endian length of the rest: 118
 *   2. {'descr': '<f4', 'fortran_order': False, 'shape': (ROWS, COLUMNS), } and spaces, LF
 *   3. ROWS * COLUMNS little-endian f32, row after row
 *
 * Parts 1 and 2 are 128 bytes whatever ROWS is, so they are written first and again at the end. */
#ifndef CCU_STREAM_NPY_H
#define CCU_STREAM_NPY_H

#include "stream/output.h"

#define CCU_NPY_HEADER_BYTES 128

typedef struct ccu_npy {
    ccu_output output;
    int64_t    rows;
    int32_t    columns;
} ccu_npy;

void ccu_npy_header(int64_t rows, int32_t columns, char out[CCU_NPY_HEADER_BYTES]);

/* UNSUPPORTED if path is a pipe or device: the header is written last. Else as ccu_output_open. */
clipcu_status ccu_npy_open(const char *path, int32_t columns, ccu_npy *npy, clipcu_error *error);
/* values (count, columns). */
clipcu_status ccu_npy_add(ccu_npy *npy, const float *values, int32_t count, clipcu_error *error);
/* A row of NaN for something that has no embedding: it cannot be taken for one. */
clipcu_status ccu_npy_add_missing(ccu_npy *npy, clipcu_error *error);
/* As ccu_output_close; an incomplete file is valid too, with the rows written so far. */
clipcu_status ccu_npy_close(ccu_npy *npy, bool complete, clipcu_error *error);

#endif
