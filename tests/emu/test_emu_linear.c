/* linear by every way that the emulator has, against the double-precision reference; the choice of
 * the way; the activation pass.
 *
 *     test_emu_linear [WORK_MAX]     cases of more multiply-adds are left out */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_backend.h"
#include "linear_way.h"
#include "reference/reference.h"
#include "support/agree_cases.h"

static const ccu_dtype dtypes[] = { CCU_F32, CCU_BF16, CCU_F16 };

static int32_t run_way(ccu_backend *be, ccu_linear_way way, ccu_dtype dtype, double work_max) {
    agree a;
    agree_init(&a, be, 7 + (uint64_t)dtype);
    a.work_max = work_max;
    ccu_cuda_linear_use(be, way);
    agree_linear(&a, dtype);
    agree_end(&a);
    ccu_cuda_linear_use(be, CCU_LINEAR_AUTO);
    printf("linear by %s %s: %d cases, %d failures, worst %.2f of the bound at %s\n",
           ccu_linear_way_name(way), ccu_dtype_name(dtype), a.cases, a.failures, a.worst,
           a.worst_at);
    return a.failures;
}

/* The way may depend on anything but M. */
static int32_t check_choice(const ccu_backend *be) {
    static const int32_t rows[]  = { 1, 2, 50, 129, 1031, 65792 };
    static const int32_t sizes[] = { 1, 8, 65, 200, 768, 3072 };
    int32_t              failures = 0;
    for (int32_t i = 0; i < 6 * 6 * 3 * 3; i++) {
        ccu_linear op = { .y = (void *)64, .x = (void *)64, .w = (void *)64, .M = 1 };
        op.N     = sizes[i % 6];
        op.K     = sizes[i / 6 % 6];
        op.dtype = dtypes[i / 36 % 3];
        op.act   = (ccu_act)(i / 108);
        const ccu_linear_way want = ccu_cuda_linear_way_of(be, &op);
        for (int32_t m = 0; m < 6; m++) {
            op.M = rows[m];
            if (ccu_cuda_linear_way_of(be, &op) == want) { continue; }
            printf("FAILED M %d N %d K %d %s: by %s, one row by %s\n", op.M, op.N, op.K,
                   ccu_dtype_name(op.dtype), ccu_linear_way_name(ccu_cuda_linear_way_of(be, &op)),
                   ccu_linear_way_name(want));
            failures++;
        }
        const bool tensor = want == CCU_LINEAR_WGMMA || want == CCU_LINEAR_MMA;
        if (tensor == (op.dtype != CCU_F32 && op.K % 8 == 0)) { continue; }
        printf("FAILED N %d K %d %s: by %s\n", op.N, op.K, ccu_dtype_name(op.dtype),
               ccu_linear_way_name(want));
        failures++;
    }
    return failures;
}

/* y = act(y) + r as a product with the unit matrix. */
static bool check_act(agree *a, int32_t M, int32_t N, int32_t y_stride, ccu_act act, bool add) {
    const size_t rows = (size_t)M, columns = (size_t)N;
    agree_begin(a, "linear_act", "M %d N %d stride %d act %d residual %d", M, N, y_stride,
                (int)act, add);
    agree_tensor *y = agree_input(a, rows, columns, (size_t)y_stride, CCU_F32, 0, 8);
    agree_tensor *r = agree_input(a, rows, columns, (size_t)y_stride, CCU_F32, 0, 1);
    float        *w = calloc(columns * columns, sizeof *w);
    for (size_t i = 0; i < columns; i++) { w[i * columns + i] = 1.0f; }
    ccu_linear op = { .y = y->at, .r = add ? r->at : NULL, .M = M, .N = N, .K = N,
                      .x_stride = y_stride, .y_stride = y_stride, .act = act, .dtype = CCU_F32 };
    ccu_cuda_linear_act(a->be, &op);
    double *want  = malloc(rows * columns * sizeof *want);
    double *bound = malloc(rows * columns * sizeof *bound);
    op.x          = y->host;
    op.w          = w;
    op.r          = add ? r->host : NULL;
    ref_linear(&op, want, bound);
    const bool good = agree_check(a, y, want, bound);
    free(want);
    free(bound);
    free(w);
    return good;
}

/* Int8 weights are the CPU's: each entry says so by name. The number of those that do not. */
static int32_t check_int8_is_refused(ccu_backend *be) {
    const ccu_linear op  = { .M = 1, .N = 8, .K = 8, .dtype = CCU_F32,
                             .weights = CCU_WEIGHTS_INT8 };
    const float      w   = 0.0f;
    int32_t          bad = 0;
    for (int32_t i = 0; i < 3; i++) {
        const char *const names[] = { "linear: int8", "linear_bytes: int8", "linear_pack: int8" };
        clipcu_error      error   = { 0 };
        if (i == 0) { be->ops->linear(be, &op); }
        if (i == 1) { bad += be->ops->linear_bytes(be, 8, 8, CCU_F32, CCU_WEIGHTS_INT8) != 0; }
        if (i == 2) { be->ops->linear_pack(be, NULL, &w, 1, 1, CCU_F32, CCU_WEIGHTS_INT8); }
        const bool refused = be->ops->finish(be, &error) == CLIPCU_ERR_UNSUPPORTED &&
                             strstr(error.text, names[i]) != NULL;
        if (!refused) { printf("FAILED %s: %s\n", names[i], error.text); }
        bad += !refused;
    }
    return bad;
}

int main(int argc, char **argv) {
    const ccu_linear_way ways[]   = { CCU_LINEAR_WGMMA, CCU_LINEAR_MMA, CCU_LINEAR_PLAIN };
    const double         work_max = argc > 1 ? strtod(argv[1], NULL) : 0;
    clipcu_error         error    = { 0 };
    ccu_backend         *be       = NULL;
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    int32_t failures = check_choice(be) + check_int8_is_refused(be);
    agree   a;
    agree_init(&a, be, 3);
    for (int32_t act = CCU_ACT_NONE; act <= CCU_ACT_GELU; act++) {
        (void)check_act(&a, 37, 64, 0, (ccu_act)act, true);
        (void)check_act(&a, 5, 61, 0, (ccu_act)act, false);
        (void)check_act(&a, 9, 60, 70, (ccu_act)act, true);
    }
    agree_end(&a);
    printf("linear_act: %d cases, %d failures, worst %.2f\n", a.cases, a.failures, a.worst);
    failures += a.failures;
    for (int32_t d = 0; d < 3; d++) {
        for (int32_t w = 0; w < 3; w++) {
            if (dtypes[d] == CCU_F32 && ways[w] != CCU_LINEAR_PLAIN) { continue; }
            failures += run_way(be, ways[w], dtypes[d], work_max);
        }
    }
    be->ops->close(be);
    return failures != 0;
}
