/* cublaslt.h without the library: our own kernels multiply, which is what is to be tested. */
#include "cublaslt.h"

#include <stdio.h>

ccu_cublaslt *ccu_cublaslt_open(ccu_device *device, char *reason, size_t reason_bytes) {
    (void)device;
    (void)snprintf(reason, reason_bytes, "the emulator has no cuBLASLt");
    return NULL;
}

void ccu_cublaslt_close(ccu_cublaslt *lt, ccu_device *device) {
    (void)lt;
    (void)device;
}

bool ccu_cuda_linear_cublaslt_can(const ccu_cuda *cuda, const ccu_linear *op) {
    (void)cuda;
    (void)op;
    return false;
}

int ccu_cuda_linear_cublaslt(ccu_cuda *cuda, const ccu_linear *op) {
    (void)cuda;
    (void)op;
    return 1; /* never called */
}
