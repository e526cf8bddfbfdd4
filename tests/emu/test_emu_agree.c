/* The CUDA backend's ops, run by the emulator, against the double-precision reference.
 *
 *     test_emu_agree [OP [DTYPE [WORK_MAX]]]
 *
 * OP and DTYPE: a name, or "all". Cases of more than WORK_MAX multiply-adds are left out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_backend.h"
#include "support/agree_cases.h"

static bool chosen(const char *argument, const char *name) {
    return argument == NULL || strcmp(argument, "all") == 0 || strcmp(argument, name) == 0;
}

/* Failed cases. */
static int32_t run(ccu_backend *be, const agree_op *op, ccu_dtype dtype, double work_max) {
    agree a;
    agree_init(&a, be, 1 + (uint64_t)dtype);
    a.work_max = work_max;
    op->run(&a, dtype);
    agree_end(&a);
    printf("%s %s: %d cases, %d failures, worst %.2f of the bound at %s", op->name,
           ccu_dtype_name(dtype), a.cases, a.failures, a.worst, a.worst_at);
    if (a.left_out > 0) { printf("; %d larger cases left out", a.left_out); }
    printf("\n");
    return a.failures;
}

int main(int argc, char **argv) {
    const ccu_dtype dtypes[]    = { CCU_F32, CCU_BF16, CCU_F16 };
    const char     *op_name     = argc > 1 ? argv[1] : NULL;
    const char     *dtype_name  = argc > 2 ? argv[2] : NULL;
    const double    work_max    = argc > 3 ? strtod(argv[3], NULL) : 0;
    clipcu_error    error       = { 0 };
    ccu_backend    *be          = NULL;
    int32_t         runs        = 0;
    int32_t         failures    = 0;
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    for (const agree_op *op = agree_ops; op->name != NULL; op++) {
        if (!chosen(op_name, op->name)) { continue; }
        for (int32_t d = 0; d < 3; d++) {
            if (op->f32_only && dtypes[d] != CCU_F32) { continue; }
            if (!chosen(dtype_name, ccu_dtype_name(dtypes[d]))) { continue; }
            failures += run(be, op, dtypes[d], work_max);
            runs++;
        }
    }
    be->ops->close(be);
    if (runs == 0) { printf("no op %s with dtype %s\n", op_name, dtype_name); }
    return failures != 0 || runs == 0;
}
