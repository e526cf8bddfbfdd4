/* linear: to be written. */
#include <stdlib.h>

#include "cuda_state.h"

size_t ccu_cuda_linear_bytes(ccu_backend *be, int32_t N, int32_t K, ccu_dtype dtype) {
    (void)be;
    return (size_t)N * (size_t)ccu_cuda_weight_stride(K, dtype) * ccu_dtype_bytes(dtype);
}

void ccu_cuda_linear_pack(ccu_backend *be, void *to, const float *host_w, int32_t N, int32_t K,
                          ccu_dtype dtype) {
    ccu_cuda     *cuda   = ccu_cuda_of(be);
    const int32_t stride = ccu_cuda_weight_stride(K, dtype);
    uint8_t      *out    = (uint8_t *)calloc(ccu_cuda_linear_bytes(be, N, K, dtype), 1);
    for (int32_t n = 0; n < N; n++) {
        for (int32_t k = 0; k < K; k++) {
            const float  x  = host_w[(size_t)n * K + k];
            const size_t at = (size_t)n * stride + k;
            if (dtype == CCU_F32) {
                ((float *)out)[at] = x;
            } else if (dtype == CCU_BF16) {
                ((ccu_bf16 *)out)[at] = ccu_bf16_from_f32(x);
            } else {
                ((ccu_f16 *)out)[at] = from_f32<ccu_f16>(x);
            }
        }
    }
    ccu_device_upload(cuda->device, to, out, ccu_cuda_linear_bytes(be, N, K, dtype));
    ccu_device_sync(cuda->device);
    free(out);
}

void ccu_cuda_linear(ccu_backend *be, const ccu_linear *op) {
    (void)op;
    ccu_cuda_unsupported(ccu_cuda_of(be), "linear: not written yet");
}
