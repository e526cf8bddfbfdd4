/* Learning a prompt on the CUDA backend under the emulator: losses and gradients as on the CPU
 * backend, in f32 within rounding, in 16 bits by direction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

#include "cuda_backend.h"
#include "support/prompt_fixture.h"

#define FOLDER CLIPCU_SOURCE_DIR "/tests/golden"

/* How far two gradients are apart, of the length of the first. */
static double apart(const prompt_fixture *a, const prompt_fixture *b) {
    double length = 0.0, off = 0.0;
    for (size_t i = 0; i < (size_t)a->contexts * (size_t)a->C; i++) {
        const double x = (double)a->dcontext[i], y = (double)b->dcontext[i];
        length += x * x;
        off += (x - y) * (x - y);
    }
    return sqrt(off / length);
}

static void compare(const prompt_kind *kind, ccu_dtype dtype, size_t memory_max, double most) {
    prompt_fixture cpu, cuda;
    ccu_backend   *be    = NULL;
    clipcu_error   error = { 0 };
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    prompt_fixture_open(&cpu, FOLDER, NULL, CCU_F32);
    prompt_fixture_prompts(&cpu, kind, 0);
    prompt_fixture_open(&cuda, FOLDER, be, dtype);
    prompt_fixture_prompts(&cuda, kind, memory_max);
    const double want = prompt_fixture_step(&cpu), got = prompt_fixture_step(&cuda);
    const double off = apart(&cpu, &cuda);
    if (fabs(want - got) > most * want) { fail_msg("loss %g, expected %g", got, want); }
    if (!(off <= most)) {
        fail_msg("%s, M %d: gradients are apart by %g, allowed are %g", ccu_dtype_name(dtype),
                 kind->M, off, most);
    }
    cuda.dcontext[0] += 2.0f * (float)most * fabsf(cuda.dcontext[0]) + 1.0f;
    assert_true(apart(&cpu, &cuda) > most); /* the check can fail */
    ccu_prompt_tower_close(&cuda.pt);
    ccu_prompt_tower_close(&cpu.pt);
    prompt_fixture_close(&cuda);
    prompt_fixture_close(&cpu);
}

static void f32_is_the_cpus(void **state) {
    (void)state;
    for (size_t i = 0; i < PROMPT_KINDS; i++) { compare(&prompt_kinds[i], CCU_F32, 0, 5e-5); }
}

static void narrow_goes_the_same_way(void **state) {
    (void)state;
    compare(&prompt_kinds[0], CCU_BF16, 0, 0.1);
    compare(&prompt_kinds[0], CCU_F16, 0, 0.02);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f32_is_the_cpus),
        cmocka_unit_test(narrow_goes_the_same_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
