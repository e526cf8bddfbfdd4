/* Matrices in NumPy's .npy format (npy_header.h) whose row count is known only at the end: the
 * header, which is as long for any count, is written first and again at the end. */
#ifndef CCU_STREAM_NPY_H
#define CCU_STREAM_NPY_H

#include "base/npy_header.h"
#include "stream/output.h"

typedef struct ccu_npy {
    ccu_output output;
    int64_t    rows;
    int32_t    columns;
    ccu_dtype  dtype; /* f32 or f16, which numbers are rounded to (to nearest, ties to even) */
} ccu_npy;

/* UNSUPPORTED if path is a pipe or device: the header is written last. Else as ccu_output_open. */
clipcu_status ccu_npy_open(const char *path, int32_t columns, ccu_dtype dtype, ccu_npy *npy,
                           clipcu_error *error);
/* Goes on with path.part, or with path if it was complete already: one of them has to be there.
 * rows is how many whole ones it has. */
clipcu_status ccu_npy_reopen(const char *path, int32_t columns, ccu_dtype dtype, ccu_npy *npy,
                             clipcu_error *error);
/* Keeps only the first rows. */
clipcu_status ccu_npy_cut(ccu_npy *npy, int64_t rows, clipcu_error *error);
/* values (count, columns). */
clipcu_status ccu_npy_add(ccu_npy *npy, const float *values, int32_t count, clipcu_error *error);
/* A row of NaN for something that has no embedding: it cannot be taken for one. */
clipcu_status ccu_npy_add_missing(ccu_npy *npy, clipcu_error *error);
/* As ccu_output_close; an incomplete file is valid too, with the rows written so far. */
clipcu_status ccu_npy_close(ccu_npy *npy, bool complete, clipcu_error *error);

#endif
