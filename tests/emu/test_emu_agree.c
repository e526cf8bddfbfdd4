/* The CUDA backend's ops, run by the emulator, against the double-precision reference.
 *
 *     test_emu_agree [OP [DTYPE]]     all ops and dtypes without arguments */
#include <stdio.h>
#include <string.h>

#include "cuda_backend.h"
#include "support/agree_cases.h"

int main(int argc, char **argv) {
    const ccu_dtype dtypes[] = { CCU_F32, CCU_BF16, CCU_F16 };
    clipcu_error    error    = { 0 };
    ccu_backend    *be       = NULL;
    int32_t         failures = 0;
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    for (const agree_op *op = agree_ops; op->name != NULL; op++) {
        if (argc > 1 && strcmp(argv[1], op->name) != 0) { continue; }
        for (int32_t d = 0; d < 3; d++) {
            agree a;
            if (op->f32_only && dtypes[d] != CCU_F32) { continue; }
            if (argc > 2 && strcmp(argv[2], ccu_dtype_name(dtypes[d])) != 0) { continue; }
            agree_init(&a, be, 1 + (uint64_t)d);
            op->run(&a, dtypes[d]);
            agree_end(&a);
            printf("%s %s: %d cases, %d failures, worst %.2f of the bound at %s\n", op->name,
                   ccu_dtype_name(dtypes[d]), a.cases, a.failures, a.worst, a.worst_at);
            failures += a.failures;
        }
    }
    be->ops->close(be);
    return failures != 0;
}
