/* Matrices in NumPy's format; see npy.h. */
#include "stream/npy.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define PART ((size_t)1024) /* numbers converted at a time */

static uint64_t row_bytes(const ccu_npy *npy) {
    return (uint64_t)npy->columns * ccu_dtype_bytes(npy->dtype);
}

clipcu_status ccu_npy_open(const char *path, int32_t columns, ccu_dtype dtype, ccu_npy *npy,
                           clipcu_error *error) {
    char header[CCU_NPY_HEADER_BYTES];
    *npy                 = (ccu_npy){ .columns = columns, .dtype = dtype };
    clipcu_status status = ccu_output_open(path, &npy->output, error);
    if (status != CLIPCU_OK) { return status; }
    if (!npy->output.atomic) {
        (void)ccu_output_close(&npy->output, false, NULL); /* already failing */
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: expected a file, found a pipe or device", path);
    }
    ccu_npy_header(0, columns, dtype, header);
    status = ccu_output_write(&npy->output, header, sizeof header, error);
    if (status != CLIPCU_OK) { (void)ccu_output_close(&npy->output, false, NULL); } /* failing */
    return status;
}

clipcu_status ccu_npy_reopen(const char *path, int32_t columns, ccu_dtype dtype, ccu_npy *npy,
                             clipcu_error *error) {
    char part[CCU_PATH_MAX];
    *npy = (ccu_npy){ .columns = columns, .dtype = dtype, .output = { .fd = -1 } };
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes", path,
                        CCU_PATH_MAX - 6);
    }
    if (!ccu_file_exists(part) && rename(path, part) != 0) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: not there, and %s cannot take its place: %s",
                        part, path, strerror(errno));
    }
    const clipcu_status status = ccu_output_reopen(path, &npy->output, error);
    if (status == CLIPCU_OK && npy->output.bytes > CCU_NPY_HEADER_BYTES) {
        npy->rows = (int64_t)((npy->output.bytes - CCU_NPY_HEADER_BYTES) / row_bytes(npy));
    }
    return status;
}

clipcu_status ccu_npy_cut(ccu_npy *npy, int64_t rows, clipcu_error *error) {
    char header[CCU_NPY_HEADER_BYTES];
    npy->rows = rows;
    ccu_npy_header(0, npy->columns, npy->dtype, header);
    const clipcu_status status = ccu_output_patch(&npy->output, 0, header, sizeof header, error);
    if (status != CLIPCU_OK) { return status; }
    return ccu_output_cut(&npy->output, sizeof header + (uint64_t)rows * row_bytes(npy), error);
}

/* count numbers, rounded on their way. */
static clipcu_status write_numbers(ccu_npy *npy, const float *values, size_t count,
                                   clipcu_error *error) {
    ccu_f16       part[PART];
    clipcu_status status = CLIPCU_OK;
    if (npy->dtype == CCU_F32) {
        return ccu_output_write(&npy->output, values, count * sizeof *values, error);
    }
    for (size_t from = 0; from < count && status == CLIPCU_OK; from += PART) {
        const size_t some = count - from < PART ? count - from : PART;
        for (size_t i = 0; i < some; i++) { part[i] = ccu_f16_from_f32(values[from + i]); }
        status = ccu_output_write(&npy->output, part, some * sizeof part[0], error);
    }
    return status;
}

clipcu_status ccu_npy_add(ccu_npy *npy, const float *values, int32_t count, clipcu_error *error) {
    const size_t        numbers = (size_t)count * (size_t)npy->columns;
    const clipcu_status status  = write_numbers(npy, values, numbers, error);
    if (status == CLIPCU_OK) { npy->rows += count; }
    return status;
}

clipcu_status ccu_npy_add_missing(ccu_npy *npy, clipcu_error *error) {
    float         missing[PART];
    const size_t  columns = (size_t)npy->columns;
    clipcu_status status  = CLIPCU_OK;
    for (size_t i = 0; i < PART; i++) { missing[i] = NAN; }
    for (size_t done = 0; done < columns && status == CLIPCU_OK; done += PART) {
        status = write_numbers(npy, missing, columns - done < PART ? columns - done : PART, error);
    }
    if (status == CLIPCU_OK) { npy->rows++; }
    return status;
}

clipcu_status ccu_npy_close(ccu_npy *npy, bool complete, clipcu_error *error) {
    char header[CCU_NPY_HEADER_BYTES];
    if (npy->output.fd < 0) { return CLIPCU_OK; }
    ccu_npy_header(npy->rows, npy->columns, npy->dtype, header);
    const clipcu_status status = ccu_output_patch(&npy->output, 0, header, sizeof header, error);
    const clipcu_status closed = ccu_output_close(&npy->output, complete && status == CLIPCU_OK,
                                                  error);
    return status != CLIPCU_OK ? status : closed;
}
