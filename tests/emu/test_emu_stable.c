/* The CUDA backend under the emulator: a row's bits do not depend on how many rows there are or
 * where it stands, whichever way multiplies.
 *
 *     test_emu_stable [OP]     an op's name as agree_stable.c has it */
#include <stdio.h>
#include <string.h>

#include "cuda_backend.h"
#include "linear_way.h"
#include "support/agree_cases.h"

static const char *const linears[] = { "linear 768 x 768", "linear 64 x 3072" };

/* What wgmma takes where it exists. The plain way has had f32 and the odd K already. */
static int32_t linear_by_mma(ccu_backend *be, ccu_dtype dtype, const char *only) {
    int32_t failures = 0;
    ccu_cuda_linear_use(be, CCU_LINEAR_MMA);
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) {
        if (only != NULL && strcmp(only, linears[i]) != 0) { continue; }
        failures += agree_stable(&be, 1, dtype, linears[i]);
    }
    ccu_cuda_linear_use(be, CCU_LINEAR_AUTO);
    return failures;
}

int main(int argc, char **argv) {
    const ccu_dtype      dtypes[] = { CCU_F32, CCU_BF16, CCU_F16 };
    const char          *only     = argc > 1 ? argv[1] : NULL;
    clipcu_error         error    = { 0 };
    ccu_backend         *be       = NULL;
    int32_t              failures = 0;
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    for (int32_t d = 0; d < 3; d++) {
        failures += agree_stable(&be, 1, dtypes[d], only);
        if (dtypes[d] != CCU_F32) { failures += linear_by_mma(be, dtypes[d], only); }
        printf("%s: %d differences so far\n", ccu_dtype_name(dtypes[d]), failures);
    }
    be->ops->close(be);
    return failures != 0;
}
