/* y = act(x . w^T + b) + r: who multiplies, and how weights are laid out.
 *
 * Weights are (N, K) row-major in the op's dtype, rows padded with zeros to 16 bytes: what every
 * way reads. The ways are in linear_ways.h. Which of them takes an op is decided by the table below
 * from dtype, N, K, strides and act, never by M: the ways may differ in the last bit, and a row
 * must not depend on its batch. */
#include <assert.h>
#include <string.h>

#include "cublaslt.h"
#include "linear_ways.h"
#include "staging.h"

/* ---- Who multiplies ------------------------------------------------------------------------- */

typedef struct linear_way {
    const char *name;
    bool (*can)(const ccu_cuda *cuda, const ccu_linear *op);
    int (*run)(ccu_cuda *cuda, const ccu_linear *op);
} linear_way;

static const linear_way ways[] = {
    { "auto", NULL, NULL },
    { "cublaslt", ccu_cuda_linear_cublaslt_can, ccu_cuda_linear_cublaslt },
    { "wgmma", ccu_cuda_linear_wgmma_can, ccu_cuda_linear_wgmma },
    { "mma", ccu_cuda_linear_mma_can, ccu_cuda_linear_mma },
    { "plain", ccu_cuda_linear_plain_can, ccu_cuda_linear_plain },
};
static_assert(sizeof ways / sizeof *ways == CCU_LINEAR_PLAIN + 1, "one per ccu_linear_way");

/* The first way of a line that can do the op takes it; plain can do everything.
 * Measured: not yet run on hardware, so the reasons are arithmetic. */
typedef struct preference {
    bool           wide; /* f32 */
    bool           act;  /* has an activation */
    ccu_linear_way order[4];
    const char    *reason;
} preference;

static const preference preferences[] = {
    { false, true, { CCU_LINEAR_WGMMA, CCU_LINEAR_MMA, CCU_LINEAR_PLAIN },
      "cuBLASLt has no QuickGELU and only the tanh form of GELU; a pass of its own over y would "
      "round twice and move 4 M N bytes" },
    { false, false, { CCU_LINEAR_CUBLASLT, CCU_LINEAR_WGMMA, CCU_LINEAR_MMA, CCU_LINEAR_PLAIN },
      "bias and residual fit into the library's epilogue; where it refuses an f32 bias for 16-bit "
      "results, ours fuse it" },
    { true, true, { CCU_LINEAR_CUBLASLT, CCU_LINEAR_PLAIN },
      "f32 products are arithmetic: the pass for the activation is small beside them" },
    { true, false, { CCU_LINEAR_CUBLASLT, CCU_LINEAR_PLAIN }, "f32 without TF32 is the reference" },
};

static ccu_linear_way choose(const ccu_cuda *cuda, const ccu_linear *op) {
    if (cuda->way != CCU_LINEAR_AUTO && ways[cuda->way].can(cuda, op)) { return cuda->way; }
    for (size_t i = 0; i < sizeof preferences / sizeof *preferences; i++) {
        const preference *line = &preferences[i];
        if (line->wide != (op->dtype == CCU_F32)) { continue; }
        if (line->act != (op->act != CCU_ACT_NONE)) { continue; }
        for (size_t w = 0; w < 4 && line->order[w] != CCU_LINEAR_AUTO; w++) {
            if (ways[line->order[w]].can(cuda, op)) { return line->order[w]; }
        }
    }
    return CCU_LINEAR_PLAIN;
}

/* False, recorded, for weights that only the CPU has. */
static bool weights_ready(ccu_cuda *cuda, const char *op, ccu_weights weights) {
    if (weights == CCU_WEIGHTS_PLAIN) { return true; }
    ccu_cuda_unsupported(cuda, "%s: int8 weights are the CPU's", op);
    return false;
}

void ccu_cuda_linear(ccu_backend *be, const ccu_linear *op) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!ccu_cuda_ready(cuda) || op->M == 0) { return; }
    if (!weights_ready(cuda, "linear", op->weights)) { return; }
    assert(op->M > 0 && op->N > 0 && op->K > 0);
    assert(op->y != NULL && op->x != NULL && op->w != NULL);
    assert(ccu_linear_x_stride(op) >= op->K);
    assert(ccu_linear_y_stride(op) >= op->N);
    const linear_way *way = &ways[choose(cuda, op)];
    ccu_cuda_result(cuda, way->run(cuda, op), "linear by %s: M %d N %d K %d act %d %s", way->name,
                    op->M, op->N, op->K, (int)op->act, ccu_dtype_name(op->dtype));
}

void ccu_cuda_linear_use(ccu_backend *be, ccu_linear_way way) {
    ccu_cuda_of(be)->way = way;
}

ccu_linear_way ccu_cuda_linear_way_of(const ccu_backend *be, const ccu_linear *op) {
    return choose(reinterpret_cast<const ccu_cuda *>(be), op);
}

const char *ccu_linear_way_name(ccu_linear_way way) {
    return ways[way].name;
}

/* ---- Weights -------------------------------------------------------------------------------- */

size_t ccu_cuda_linear_bytes(ccu_backend *be, int32_t N, int32_t K, ccu_dtype dtype,
                             ccu_weights weights) {
    if (!weights_ready(ccu_cuda_of(be), "linear_bytes", weights)) { return 0; }
    assert(N > 0 && K > 0);
    return (size_t)N * (size_t)ccu_cuda_weight_stride(K, dtype) * ccu_dtype_bytes(dtype);
}

static void convert(void *to, const float *from, int32_t count, ccu_dtype dtype) {
    switch (dtype) {
    case CCU_F32: memcpy(to, from, (size_t)count * sizeof *from); break;
    case CCU_BF16:
        for (int32_t i = 0; i < count; i++) { ((ccu_bf16 *)to)[i] = ccu_bf16_from_f32(from[i]); }
        break;
    case CCU_F16:
        for (int32_t i = 0; i < count; i++) { ((ccu_f16 *)to)[i] = ccu_f16_from_f32(from[i]); }
        break;
    }
}

/* Row by row through pinned memory: as many whole rows as a chunk holds. */
void ccu_cuda_linear_pack(ccu_backend *be, void *to, const float *host_w, int32_t N, int32_t K,
                          ccu_dtype dtype, ccu_weights weights) {
    ccu_cuda *cuda = ccu_cuda_of(be);
    if (!weights_ready(cuda, "linear_pack", weights)) { return; }
    const size_t row_bytes = ccu_cuda_linear_bytes(be, 1, K, dtype, weights);
    const size_t end       = (size_t)K * ccu_dtype_bytes(dtype);
    assert(to != NULL && host_w != NULL);
    if (row_bytes > CCU_STAGING_CHUNK_BYTES) {
        ccu_cuda_unsupported(cuda, "linear_pack: N %d K %d: a row exceeds the staging chunk", N,
                             K);
        return;
    }
    for (size_t n = 0; n < (size_t)N;) {
        size_t   bytes = 0;
        uint8_t *room  = (uint8_t *)ccu_staging_begin(cuda, ((size_t)N - n) * row_bytes, &bytes);
        if (room == NULL) { return; }
        const size_t rows = bytes / row_bytes;
        for (size_t i = 0; i < rows; i++) {
            convert(room + i * row_bytes, host_w + (n + i) * (size_t)K, K, dtype);
            memset(room + i * row_bytes + end, 0, row_bytes - end);
        }
        ccu_staging_send(cuda, (uint8_t *)to + n * row_bytes, rows * row_bytes);
        n += rows;
    }
}
