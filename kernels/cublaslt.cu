/* cuBLASLt by dlopen; see cublaslt.h.
 *
 * The library is column-major. Row-major y (M, N) with rows y_stride apart is column-major (N, M)
 * with that leading dimension, so
 *
 *     y^T (N, M) = w (N, K) . x^T (K, M)        a TN product:
 *     A: the bytes of w as (K, N), leading dimension w_stride, transposed
 *     B: the bytes of x as (K, M), leading dimension x_stride
 *     C: the residual and D: y, both (N, M), leading dimension y_stride; beta is 1 with a residual
 *     bias: one value per row of D, that is per column n of y
 *
 * Sums are f32 (CUBLAS_COMPUTE_32F: no TF32). Residual and bias are added before the one rounding
 * to D's dtype. */
#include "cublaslt.h"

#if defined(__CUDACC__) /* tests/emu has its own, without the library */

#include <stdio.h>

static void say(char *reason, size_t bytes, const char *text) {
    if (bytes > 0) { (void)snprintf(reason, bytes, "%s", text); }
}

#if __has_include(<cublasLt.h>)

#include <assert.h>
#include <cublasLt.h>
#include <dlfcn.h>
#include <string.h>

#include "linear_ways.h"

extern "C" {
#include "base/memory.h"
}

static constexpr size_t  WORKSPACE_BYTES = (size_t)32 << 20;
static constexpr int32_t PLANS_MAX       = 64;    /* later keys are refused, that is ours */
static constexpr int32_t PLAN_ROWS       = 16384; /* M that every plan is made for */
static constexpr int     CANDIDATES      = 8;

/* What we call, by name. */
typedef struct library {
    decltype(&cublasLtCreate)                       create;
    decltype(&cublasLtDestroy)                      destroy;
    decltype(&cublasLtMatmul)                       matmul;
    decltype(&cublasLtMatmulDescCreate)             desc_create;
    decltype(&cublasLtMatmulDescDestroy)            desc_destroy;
    decltype(&cublasLtMatmulDescSetAttribute)       desc_set;
    decltype(&cublasLtMatrixLayoutCreate)           layout_create;
    decltype(&cublasLtMatrixLayoutDestroy)          layout_destroy;
    decltype(&cublasLtMatrixLayoutSetAttribute)     layout_set;
    decltype(&cublasLtMatmulPreferenceCreate)       preference_create;
    decltype(&cublasLtMatmulPreferenceDestroy)      preference_destroy;
    decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
    decltype(&cublasLtMatmulAlgoGetHeuristic)       heuristic;
    decltype(&cublasLtMatmulAlgoCheck)              check;
    decltype(&cublasLtMatmulAlgoConfigGetAttribute) config_get;
    decltype(&cublasLtGetStatusString)              text;
} library;

typedef struct plan {
    int32_t                N, K;
    ccu_dtype              dtype;
    bool                   bias, residual;
    bool                   good; /* false: the library has no algorithm, ours take the key */
    cublasLtMatmulDesc_t   desc;
    cublasLtMatrixLayout_t w, x, y;
    cublasLtMatmulAlgo_t   algorithm;
} plan;

struct ccu_cublaslt {
    library          call;
    cublasLtHandle_t handle;
    void            *workspace;
    int32_t          plan_count;
    plan             plans[PLANS_MAX];
};

/* ---- Open ----------------------------------------------------------------------------------- */

/* False with the missing name in `reason`. The library stays loaded: it has exit handlers. */
static bool load(library *call, char *reason, size_t bytes) {
    static const char *const names[] = { "libcublasLt.so.13", "libcublasLt.so.12",
                                         "libcublasLt.so" };
    struct symbol {
        const char *name;
        void       *to;
    };
    const symbol symbols[] = {
        { "cublasLtCreate", &call->create },
        { "cublasLtDestroy", &call->destroy },
        { "cublasLtMatmul", &call->matmul },
        { "cublasLtMatmulDescCreate", &call->desc_create },
        { "cublasLtMatmulDescDestroy", &call->desc_destroy },
        { "cublasLtMatmulDescSetAttribute", &call->desc_set },
        { "cublasLtMatrixLayoutCreate", &call->layout_create },
        { "cublasLtMatrixLayoutDestroy", &call->layout_destroy },
        { "cublasLtMatrixLayoutSetAttribute", &call->layout_set },
        { "cublasLtMatmulPreferenceCreate", &call->preference_create },
        { "cublasLtMatmulPreferenceDestroy", &call->preference_destroy },
        { "cublasLtMatmulPreferenceSetAttribute", &call->preference_set },
        { "cublasLtMatmulAlgoGetHeuristic", &call->heuristic },
        { "cublasLtMatmulAlgoCheck", &call->check },
        { "cublasLtMatmulAlgoConfigGetAttribute", &call->config_get },
        { "cublasLtGetStatusString", &call->text },
    };
    void *loaded = NULL;
    for (size_t i = 0; loaded == NULL && i < sizeof names / sizeof *names; i++) {
        loaded = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    if (loaded == NULL) {
        say(reason, bytes, "libcublasLt.so is not installed");
        return false;
    }
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *found = dlsym(loaded, symbols[i].name);
        if (found == NULL) {
            if (bytes > 0) {
                (void)snprintf(reason, bytes, "libcublasLt.so has no %s", symbols[i].name);
            }
            return false;
        }
        memcpy(symbols[i].to, &found, sizeof found); /* a function through an object pointer */
    }
    return true;
}

ccu_cublaslt *ccu_cublaslt_open(ccu_device *device, char *reason, size_t reason_bytes) {
    ccu_cublaslt *lt = (ccu_cublaslt *)ccu_alloc_zeroed(1, sizeof *lt);
    if (lt == NULL) {
        say(reason, reason_bytes, "out of memory");
        return NULL;
    }
    if (!load(&lt->call, reason, reason_bytes)) {
        ccu_free(lt);
        return NULL;
    }
    const cublasStatus_t status = lt->call.create(&lt->handle);
    if (status != CUBLAS_STATUS_SUCCESS) {
        say(reason, reason_bytes, lt->call.text(status));
        ccu_free(lt);
        return NULL;
    }
    if (ccu_device_alloc(device, WORKSPACE_BYTES, &lt->workspace) != 0) {
        say(reason, reason_bytes, "no device memory for cuBLASLt's workspace");
        lt->workspace = NULL;
        ccu_cublaslt_close(lt, device);
        return NULL;
    }
    say(reason, reason_bytes, "");
    return lt;
}

void ccu_cublaslt_close(ccu_cublaslt *lt, ccu_device *device) {
    if (lt == NULL) { return; }
    for (int32_t i = 0; i < lt->plan_count; i++) {
        const plan *p = &lt->plans[i];
        if (p->desc != NULL) { (void)lt->call.desc_destroy(p->desc); }
        if (p->w != NULL) { (void)lt->call.layout_destroy(p->w); }
        if (p->x != NULL) { (void)lt->call.layout_destroy(p->x); }
        if (p->y != NULL) { (void)lt->call.layout_destroy(p->y); }
    }
    ccu_device_free(device, lt->workspace);
    (void)lt->call.destroy(lt->handle);
    ccu_free(lt);
}

/* ---- Plans ---------------------------------------------------------------------------------- */

static cudaDataType_t data_type(ccu_dtype dtype) {
    switch (dtype) {
    case CCU_F32: return CUDA_R_32F;
    case CCU_BF16: return CUDA_R_16BF;
    case CCU_F16: return CUDA_R_16F;
    }
    return CUDA_R_32F;
}

/* M and the strides of this call. */
static bool set_rows(const library *call, const plan *p, int32_t M, int64_t x_stride,
                     int64_t y_stride) {
    const uint64_t columns = (uint64_t)M;
    return call->layout_set(p->x, CUBLASLT_MATRIX_LAYOUT_COLS, &columns, sizeof columns) == 0 &&
           call->layout_set(p->y, CUBLASLT_MATRIX_LAYOUT_COLS, &columns, sizeof columns) == 0 &&
           call->layout_set(p->x, CUBLASLT_MATRIX_LAYOUT_LD, &x_stride, sizeof x_stride) == 0 &&
           call->layout_set(p->y, CUBLASLT_MATRIX_LAYOUT_LD, &y_stride, sizeof y_stride) == 0;
}

static bool describe(const library *call, plan *p) {
    const cudaDataType_t      type     = data_type(p->dtype);
    const cudaDataType_t      f32      = CUDA_R_32F;
    const cublasOperation_t   turned   = CUBLAS_OP_T;
    const cublasLtEpilogue_t  epilogue = CUBLASLT_EPILOGUE_BIAS;
    const uint64_t            N = (uint64_t)p->N, K = (uint64_t)p->K;
    const int64_t             w_stride = ccu_cuda_weight_stride(p->K, p->dtype);
    if (call->desc_create(&p->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F) != 0 ||
        call->desc_set(p->desc, CUBLASLT_MATMUL_DESC_TRANSA, &turned, sizeof turned) != 0 ||
        call->layout_create(&p->w, type, K, N, w_stride) != 0 ||
        call->layout_create(&p->x, type, K, PLAN_ROWS, w_stride) != 0 ||
        call->layout_create(&p->y, type, N, PLAN_ROWS, (int64_t)N) != 0) {
        return false;
    }
    if (!p->bias) { return true; }
    if (call->desc_set(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue) != 0) {
        return false;
    }
    return call->desc_set(p->desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &f32, sizeof f32) == 0;
}

/* One sum per output in one block, whatever M is: no split-K, and the library accepts it for a
 * single row as well as for many. */
static bool independent_of_rows(const ccu_cublaslt *lt, const plan *p,
                                const cublasLtMatmulAlgo_t *algorithm) {
    static const int32_t rows[] = { 1, 77, 1000, 65792 };
    const library       *call   = &lt->call;
    int32_t              splits = 0;
    uint32_t             scheme = 0;
    size_t               bytes  = 0;
    if (call->config_get(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits, sizeof splits,
                         &bytes) != 0 ||
        call->config_get(algorithm, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme,
                         &bytes) != 0 ||
        splits > 1 || scheme != CUBLASLT_REDUCTION_SCHEME_NONE) {
        return false;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cublasLtMatmulHeuristicResult_t result;
        if (!set_rows(call, p, rows[i], ccu_cuda_weight_stride(p->K, p->dtype), p->N) ||
            call->check(lt->handle, p->desc, p->w, p->x, p->y, p->y, algorithm, &result) != 0 ||
            result.state != CUBLAS_STATUS_SUCCESS || result.workspaceSize > WORKSPACE_BYTES) {
            return false;
        }
    }
    return true;
}

/* The library's first choice that we accept; false if there is none. */
static bool ask(const ccu_cublaslt *lt, plan *p) {
    const library                  *call      = &lt->call;
    const uint32_t                  scheme    = CUBLASLT_REDUCTION_SCHEME_NONE;
    const uint32_t                  alignment = 16;
    cublasLtMatmulPreference_t      wish      = NULL;
    cublasLtMatmulHeuristicResult_t results[CANDIDATES];
    int                             count = 0;
    if (call->preference_create(&wish) != 0) { return false; }
    const cublasLtMatmulPreferenceAttributes_t sides[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES
    };
    bool good = call->preference_set(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                     &WORKSPACE_BYTES, sizeof WORKSPACE_BYTES) == 0 &&
                call->preference_set(wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &scheme,
                                     sizeof scheme) == 0;
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        good = good && call->preference_set(wish, sides[i], &alignment, sizeof alignment) == 0;
    }
    good = good && call->heuristic(lt->handle, p->desc, p->w, p->x, p->y, p->y, wish, CANDIDATES,
                                   results, &count) == 0;
    (void)call->preference_destroy(wish);
    for (int i = 0; good && i < count; i++) {
        if (results[i].state == CUBLAS_STATUS_SUCCESS &&
            independent_of_rows(lt, p, &results[i].algo)) {
            p->algorithm = results[i].algo;
            return true;
        }
    }
    return false;
}

/* NULL: the table is full. */
static const plan *find_plan(ccu_cublaslt *lt, const ccu_linear *op) {
    const bool bias = op->b != NULL, residual = op->r != NULL && op->act == CCU_ACT_NONE;
    for (int32_t i = 0; i < lt->plan_count; i++) {
        const plan *p = &lt->plans[i];
        if (p->N == op->N && p->K == op->K && p->dtype == op->dtype && p->bias == bias &&
            p->residual == residual) {
            return p;
        }
    }
    if (lt->plan_count == PLANS_MAX) { return NULL; }
    plan *p     = &lt->plans[lt->plan_count++];
    p->N        = op->N;
    p->K        = op->K;
    p->dtype    = op->dtype;
    p->bias     = bias;
    p->residual = residual;
    p->good     = describe(&lt->call, p) && ask(lt, p);
    return p;
}

/* ---- The op --------------------------------------------------------------------------------- */

bool ccu_cuda_linear_cublaslt_can(const ccu_cuda *cuda, const ccu_linear *op) {
    const uintptr_t at   = (uintptr_t)op->y | (uintptr_t)op->x | (uintptr_t)op->w |
                           (uintptr_t)op->r | (uintptr_t)op->b;
    const int32_t   step = op->dtype == CCU_F32 ? 4 : 8;
    if (cuda->cublaslt == NULL || at % 16 != 0) { return false; }
    if (op->N % step != 0 || op->K % step != 0 || ccu_linear_x_stride(op) % step != 0 ||
        ccu_linear_y_stride(op) % step != 0) {
        return false;
    }
    if (op->act != CCU_ACT_NONE && (op->dtype != CCU_F32 || op->r == op->y)) { return false; }
    const plan *p = find_plan(cuda->cublaslt, op);
    return p != NULL && p->good;
}

int ccu_cuda_linear_cublaslt(ccu_cuda *cuda, const ccu_linear *op) {
    ccu_cublaslt *lt = cuda->cublaslt;
    assert(ccu_cuda_linear_cublaslt_can(cuda, op));
    const plan    *p      = find_plan(lt, op);
    const library *call   = &lt->call;
    const float    one    = 1.0f;
    const float    beta   = p->residual ? 1.0f : 0.0f;
    const void    *c      = p->residual ? op->r : op->y;
    cublasStatus_t status = CUBLAS_STATUS_INTERNAL_ERROR;
    if (set_rows(call, p, op->M, ccu_linear_x_stride(op), ccu_linear_y_stride(op)) &&
        (!p->bias || call->desc_set(p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &op->b,
                                    sizeof op->b) == 0)) {
        status = call->matmul(lt->handle, p->desc, &one, op->w, p->w, op->x, p->x, &beta, c, p->y,
                              op->y, p->y, &p->algorithm, lt->workspace, WORKSPACE_BYTES,
                              cuda->stream);
    }
    if (status != CUBLAS_STATUS_SUCCESS) {
        (void)ccu_fail(&cuda->base.error, CLIPCU_ERR_CUDA,
                       "linear by cublaslt: M %d N %d K %d %s: %s", op->M, op->N, op->K,
                       ccu_dtype_name(op->dtype), call->text(status));
        return 0;
    }
    return op->act == CCU_ACT_NONE ? 0 : ccu_linear_act_launch(cuda, op);
}

#else /* a toolkit without the header */

ccu_cublaslt *ccu_cublaslt_open(ccu_device *device, char *reason, size_t reason_bytes) {
    (void)device;
    say(reason, reason_bytes, "built without cublasLt.h");
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
    return 0; /* never called */
}

#endif
#endif
