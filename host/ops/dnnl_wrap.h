/* oneDNN's matrix product behind one interface for its 2.x and 3.x C APIs.
 *
 * A product is C (M, N) f32 = A (M, K) . B^T, one fixed shape, computed by the calling thread
 * alone: how work is cut over threads, and with it the order of every sum, is ours (product.c).
 * B is either packed (the layout oneDNN likes best, made once by ccu_dnnl_pack) or plain rows. */
#ifndef CCU_OPS_DNNL_WRAP_H
#define CCU_OPS_DNNL_WRAP_H

#include <stdbool.h>

#include "base/dtype.h"
#include "base/status.h"

typedef struct ccu_dnnl         ccu_dnnl;
typedef struct ccu_dnnl_product ccu_dnnl_product;

typedef struct ccu_dnnl_shape {
    int32_t   M, N, K;
    int32_t   a_stride; /* elements between rows of A */
    int32_t   b_stride; /* elements between rows of plain B; 0: B is packed */
    ccu_dtype dtype;    /* of A and B: f32, or bf16 where the CPU multiplies it */
} ccu_dnnl_shape;

/* threads: how many call ccu_dnnl_run at the same time, at most. BACKEND, NOMEM. */
clipcu_status ccu_dnnl_open(int32_t threads, ccu_dnnl **out, clipcu_error *error);
void          ccu_dnnl_close(ccu_dnnl *dnnl);

/* Packed weights of N rows of K. BACKEND. */
clipcu_status ccu_dnnl_pack_bytes(ccu_dnnl *dnnl, int32_t N, int32_t K, ccu_dtype dtype,
                                  size_t *bytes, clipcu_error *error);
clipcu_status ccu_dnnl_pack(ccu_dnnl *dnnl, void *to, const float *rows, int32_t N, int32_t K,
                            ccu_dtype dtype, clipcu_error *error);

/* The product of this shape, made on first use and kept (the least recently used of many goes).
 * Borrowed until close or until CCU_DNNL_KEPT other shapes were asked for. One thread. */
#define CCU_DNNL_KEPT 256
clipcu_status ccu_dnnl_product_get(ccu_dnnl *dnnl, const ccu_dnnl_shape *shape,
                                   ccu_dnnl_product **out, clipcu_error *error);

/* Bytes of B as this product reads it, packed or plain. */
size_t ccu_dnnl_product_b_bytes(const ccu_dnnl_product *product);

/* Computes with thread's own memory handles, 0 <= thread < threads; different threads at the same
 * time. False if oneDNN failed. The caller has set OpenMP's thread count to 1 for itself. */
bool ccu_dnnl_run(ccu_dnnl *dnnl, ccu_dnnl_product *product, int32_t thread, const void *a,
                  const void *b, float *c);

/* "oneDNN 2.6.3, AVX2" into text. */
void ccu_dnnl_describe(char *text, size_t bytes);

/* True if the instruction set oneDNN uses here has AVX-512; multiplies bf16. */
bool ccu_dnnl_avx512(void);
bool ccu_dnnl_bf16(void);

#endif
