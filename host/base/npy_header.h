/* The header of NumPy's .npy files, for matrices:
 *
 *   1. 6 bytes  "\x93NUMPY"
 *   2. 2 bytes  version: 1 0, 2 0 or 3 0
 *   3. 2 bytes (version 1) or 4 (2 and 3), little-endian: length of the rest of the header
 *   4. a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (ROWS, COLUMNS), }
 *      and spaces, LF
 *
 * The numbers follow at once, row after row. */
#ifndef CCU_BASE_NPY_HEADER_H
#define CCU_BASE_NPY_HEADER_H

#include "base/dtype.h"
#include "base/status.h"

#define CCU_NPY_HEADER_BYTES 128 /* of what ccu_npy_header writes */

/* The header of a matrix of f32 or f16, version 1.0. As long for any number of rows: a writer puts
 * it first and again at the end, when it knows how many there are. */
void ccu_npy_header(int64_t rows, int32_t columns, ccu_dtype dtype,
                    char out[CCU_NPY_HEADER_BYTES]);

typedef struct ccu_npy_shape {
    int64_t   rows, columns;
    size_t    data_offset; /* in bytes; at most what was given to read from */
    ccu_dtype dtype;       /* f32 or f16 */
} ccu_npy_shape;

/* Reads a header from the first bytes of a file, which may hold anything. `name` stands in
 * messages. FORMAT if it is damaged or no .npy file; UNSUPPORTED, by name, for another type of
 * numbers, Fortran's order or not two dimensions. Whether the numbers are all there is not looked
 * at. *out is written only on success. */
clipcu_status ccu_npy_header_read(const char *name, const uint8_t *data, size_t bytes,
                                  ccu_npy_shape *out, clipcu_error *error);

#endif
