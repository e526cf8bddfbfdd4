/* The CUDA backend's ops on the device at hand against the double-precision reference.
 *
 *     gpu_agree agree  [OP [DTYPE [WORK_MAX [WAY]]]]
 *     gpu_agree stable [DTYPE]
 *
 * OP, DTYPE: a name or "all". Cases of more than WORK_MAX multiply-adds are left out (0: none).
 * WAY: linear layers by this way alone where it can do them. stable: a row has the same bits in
 * every batch. Exit status 1 if a case fails, 77 if the backend has no such way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_backend.h"
#include "gpu/inside.h"
#include "support/agree_cases.h"

static const ccu_dtype dtypes[] = { CCU_F32, CCU_BF16, CCU_F16 };

static bool chosen(const char *argument, const char *name) {
    return argument == NULL || strcmp(argument, "all") == 0 || strcmp(argument, name) == 0;
}

static int32_t run_op(ccu_backend *be, const agree_op *op, ccu_dtype dtype, double work_max) {
    agree a;
    agree_init(&a, be, 11 + (uint64_t)dtype);
    a.work_max = work_max;
    op->run(&a, dtype);
    agree_end(&a);
    printf("%-14s %-4s %3d cases, %d left out, %d failed, largest error %.2f of its bound (%s)\n",
           op->name, ccu_dtype_name(dtype), a.cases, a.left_out, a.failures, a.worst, a.worst_at);
    return a.failures;
}

static int check_agree(ccu_backend *be, int argc, char **argv) {
    const char  *name     = argc > 2 ? argv[2] : NULL;
    const char  *dtype    = argc > 3 ? argv[3] : NULL;
    const double work_max = argc > 4 ? strtod(argv[4], NULL) : 0.0;
    int32_t      failures = 0, runs = 0;
    gpu_linears  linears  = { 0, 0 };
    if (argc > 5 && !gpu_set_way(be, argv[5])) {
        printf("no way \"%s\" here\n", argv[5]);
        return 77;
    }
    if (argc > 5) { gpu_count_linears(be, &linears); }
    for (const agree_op *op = agree_ops; op->name != NULL; op++) {
        for (int32_t d = 0; d < 3; d++) {
            if (!chosen(name, op->name) || (op->f32_only && dtypes[d] != CCU_F32)) { continue; }
            if (!op->f32_only && !chosen(dtype, ccu_dtype_name(dtypes[d]))) { continue; }
            failures += run_op(be, op, dtypes[d], work_max);
            runs += 1;
        }
    }
    if (runs == 0) { printf("no such op or dtype\n"); }
    if (argc > 5) {
        printf("%s took %d of %d linear layers, %d cases failed\n", argv[5], linears.taken,
               linears.all, failures);
        if (linears.taken == 0) { return 1; } /* nothing was tried */
    }
    return failures > 0 || runs == 0;
}

static int check_stable(ccu_backend *be, int argc, char **argv) {
    ccu_backend *const backends[] = { be, be };
    int32_t            different  = 0;
    for (int32_t d = 0; d < 3; d++) {
        if (!chosen(argc > 2 ? argv[2] : NULL, ccu_dtype_name(dtypes[d]))) { continue; }
        const int32_t found = agree_stable(backends, 2, dtypes[d], NULL);
        printf("stable %s: %d differences\n", ccu_dtype_name(dtypes[d]), found);
        different += found;
    }
    return different > 0;
}

int main(int argc, char **argv) {
    clipcu_error error = { 0 };
    ccu_backend *be    = NULL;
    char         text[160];
    const bool   stable = argc > 1 && strcmp(argv[1], "stable") == 0;
    if (argc < 2 || (!stable && strcmp(argv[1], "agree") != 0)) {
        (void)fprintf(stderr, "usage: %s agree [OP [DTYPE [WORK_MAX [WAY]]]] | stable [DTYPE]\n",
                      argv[0]);
        return 2;
    }
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    ccu_cuda_describe(be, text, sizeof text);
    printf("%s\n", text);
    const int status = stable ? check_stable(be, argc, argv) : check_agree(be, argc, argv);
    be->ops->close(be);
    return status;
}
