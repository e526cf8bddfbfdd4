/* Matrices in NumPy's format; see npy.h. */
#include "stream/npy.h"

#include <math.h>

static uint64_t row_bytes(const ccu_npy *npy) {
    return (uint64_t)npy->columns * sizeof(float);
}

clipcu_status ccu_npy_open(const char *path, int32_t columns, ccu_npy *npy, clipcu_error *error) {
    char header[CCU_NPY_HEADER_BYTES];
    *npy                 = (ccu_npy){ .columns = columns };
    clipcu_status status = ccu_output_open(path, &npy->output, error);
    if (status != CLIPCU_OK) { return status; }
    if (!npy->output.atomic) {
        (void)ccu_output_close(&npy->output, false, NULL); /* already failing */
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: expected a file, found a pipe or device", path);
    }
    ccu_npy_header(0, columns, header);
    status = ccu_output_write(&npy->output, header, sizeof header, error);
    if (status != CLIPCU_OK) { (void)ccu_output_close(&npy->output, false, NULL); } /* failing */
    return status;
}

clipcu_status ccu_npy_reopen(const char *path, int32_t columns, ccu_npy *npy, clipcu_error *error) {
    *npy                       = (ccu_npy){ .columns = columns };
    const clipcu_status status = ccu_output_reopen(path, &npy->output, error);
    if (status == CLIPCU_OK && npy->output.bytes > CCU_NPY_HEADER_BYTES) {
        npy->rows = (int64_t)((npy->output.bytes - CCU_NPY_HEADER_BYTES) / row_bytes(npy));
    }
    return status;
}

clipcu_status ccu_npy_cut(ccu_npy *npy, int64_t rows, clipcu_error *error) {
    char header[CCU_NPY_HEADER_BYTES];
    npy->rows = rows;
    ccu_npy_header(0, npy->columns, header);
    const clipcu_status status = ccu_output_patch(&npy->output, 0, header, sizeof header, error);
    if (status != CLIPCU_OK) { return status; }
    return ccu_output_cut(&npy->output, sizeof header + (uint64_t)rows * row_bytes(npy), error);
}

clipcu_status ccu_npy_add(ccu_npy *npy, const float *values, int32_t count, clipcu_error *error) {
    const size_t        bytes  = (size_t)count * (size_t)npy->columns * sizeof *values;
    const clipcu_status status = ccu_output_write(&npy->output, values, bytes, error);
    if (status == CLIPCU_OK) { npy->rows += count; }
    return status;
}

clipcu_status ccu_npy_add_missing(ccu_npy *npy, clipcu_error *error) {
    float         missing[256];
    clipcu_status status = CLIPCU_OK;
    for (int32_t i = 0; i < 256; i++) { missing[i] = NAN; }
    for (int32_t done = 0; done < npy->columns && status == CLIPCU_OK; done += 256) {
        const int32_t left  = npy->columns - done;
        const size_t  count = (size_t)(left < 256 ? left : 256);
        status = ccu_output_write(&npy->output, missing, count * sizeof *missing, error);
    }
    if (status == CLIPCU_OK) { npy->rows++; }
    return status;
}

clipcu_status ccu_npy_close(ccu_npy *npy, bool complete, clipcu_error *error) {
    char header[CCU_NPY_HEADER_BYTES];
    if (npy->output.fd < 0) { return CLIPCU_OK; }
    ccu_npy_header(npy->rows, npy->columns, header);
    const clipcu_status status = ccu_output_patch(&npy->output, 0, header, sizeof header, error);
    const clipcu_status closed = ccu_output_close(&npy->output, complete && status == CLIPCU_OK,
                                                  error);
    return status != CLIPCU_OK ? status : closed;
}
