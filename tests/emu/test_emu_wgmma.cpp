/* linear_wgmma.cu under the emulator, called directly: edges, epilogues, strides and both tile
 * widths against the double-precision reference, and rows that must not know M.
 *
 *     test_emu_wgmma [few]     few: a handful of small cases, for the slow builds */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linear_ways.h"

extern "C" {
#include "cuda_backend.h"
#include "reference/reference.h"
#include "support/agree_tensor.h"
}

enum residual { NONE, IN_PLACE, SEPARATE };

struct wgmma_case {
    int32_t  M, N, K;
    int32_t  x_stride, y_stride; /* 0: packed */
    ccu_act  act;
    bool     bias;
    residual r;
    bool     few;
};

/* Tiles are 128 x 256 unless that pads N by more than an eighth (64, 136, 264, ...): then x 128. */
static const wgmma_case cases[] = {
    { 1, 64, 64, 0, 0, CCU_ACT_NONE, true, NONE, true },
    { 1, 256, 72, 0, 0, CCU_ACT_QUICK_GELU, true, SEPARATE, true },
    { 7, 72, 65, 72, 0, CCU_ACT_GELU, true, IN_PLACE, true },
    { 63, 128, 127, 128, 136, CCU_ACT_NONE, false, SEPARATE, false },
    { 64, 136, 128, 0, 0, CCU_ACT_NONE, true, NONE, false },
    { 65, 248, 136, 0, 256, CCU_ACT_QUICK_GELU, false, IN_PLACE, true },
    { 127, 256, 200, 208, 0, CCU_ACT_GELU, true, NONE, false },
    { 128, 264, 64, 0, 0, CCU_ACT_QUICK_GELU, true, SEPARATE, false },
    { 129, 384, 129, 136, 0, CCU_ACT_NONE, true, IN_PLACE, false },
    { 197, 512, 64, 64 * 3, 512 * 2, CCU_ACT_NONE, true, NONE, false },
    { 257, 520, 192, 0, 0, CCU_ACT_GELU, true, SEPARATE, false },
    { 300, 488, 80, 0, 0, CCU_ACT_QUICK_GELU, true, IN_PLACE, false },
    { 1500, 256, 8, 0, 0, CCU_ACT_NONE, true, IN_PLACE, false },   /* several tiles a block */
    { 40, 768, 768, 0, 0, CCU_ACT_QUICK_GELU, true, NONE, false }, /* the ring goes round */
    { 70, 1024, 328, 0, 0, CCU_ACT_NONE, true, IN_PLACE, true },   /* and across tiles */
};

static bool run(agree *a, const wgmma_case *c, ccu_dtype dtype) {
    const size_t M = (size_t)c->M, N = (size_t)c->N, K = (size_t)c->K;
    agree_begin(a, "linear_wgmma", "%s M %d N %d K %d strides %d %d act %d residual %d",
                ccu_dtype_name(dtype), c->M, c->N, c->K, c->x_stride, c->y_stride, (int)c->act,
                (int)c->r);
    float *w = (float *)malloc(N * K * sizeof *w);
    for (size_t i = 0; i < N * K; i++) { w[i] = ref_round(agree_random(a, 0, 0.1f), dtype); }
    const size_t  x_stride = (size_t)(c->x_stride == 0 && K % 8 != 0 ? (K + 7) / 8 * 8 : 0);
    agree_tensor *x = agree_input(a, M, K, c->x_stride != 0 ? (size_t)c->x_stride : x_stride,
                                  dtype, 0, 1);
    agree_tensor *b = agree_input(a, 1, N, 0, CCU_F32, 0, 1);
    agree_tensor *r = NULL, *y = NULL;
    if (c->r != NONE) { r = agree_input(a, M, N, (size_t)c->y_stride, dtype, 0, 2); }
    y = c->r == IN_PLACE ? r : agree_output(a, M, N, (size_t)c->y_stride, dtype);

    ccu_linear op = {};
    op.y          = y->at;
    op.x          = x->at;
    op.w          = agree_weights(a, w, c->N, c->K, dtype);
    op.b          = c->bias ? (const float *)b->at : NULL;
    op.r          = r == NULL ? NULL : r->at;
    op.M          = c->M;
    op.N          = c->N;
    op.K          = c->K;
    op.x_stride   = (int32_t)x->stride;
    op.y_stride   = (int32_t)y->stride;
    op.act        = c->act;
    op.dtype      = dtype;

    ccu_cuda *cuda = ccu_cuda_of(a->be);
    if (!ccu_cuda_linear_wgmma_can(cuda, &op)) { return agree_fail(a, "the kernel cannot"); }
    if (ccu_cuda_linear_wgmma(cuda, &op) != 0) { return agree_fail(a, "the launch failed"); }

    double *want  = (double *)malloc(M * N * sizeof *want);
    double *bound = (double *)malloc(M * N * sizeof *bound);
    op.x = x->host;
    op.w = w;
    op.b = c->bias ? b->host : NULL;
    op.r = r == NULL ? NULL : r->host;
    ref_linear(&op, want, bound);
    const bool good = agree_check(a, y, want, bound);
    free(want);
    free(bound);
    free(w);
    return good;
}

/* Rows `first` .. `first + count - 1` of x alone: the bits that they have among all M. */
static void run_alone(agree *a, ccu_dtype dtype) {
    const int32_t M = 150, N = 264, K = 136, places[][2] = { { 0, 1 }, { 77, 30 }, { 149, 1 } };
    agree_begin(a, "linear_wgmma", "%s rows alone", ccu_dtype_name(dtype));
    float *w = (float *)malloc((size_t)N * K * sizeof *w);
    for (int32_t i = 0; i < N * K; i++) { w[i] = ref_round(agree_random(a, 0, 0.1f), dtype); }
    agree_tensor *x = agree_input(a, M, K, 0, dtype, 0, 1);
    agree_tensor *y = agree_output(a, M, N, 0, dtype);
    ccu_linear    op = {};
    op.x     = x->at;
    op.y     = y->at;
    op.w     = agree_weights(a, w, N, K, dtype);
    op.M     = M;
    op.N     = N;
    op.K     = K;
    op.act   = CCU_ACT_QUICK_GELU;
    op.dtype = dtype;
    (void)ccu_cuda_linear_wgmma(ccu_cuda_of(a->be), &op);
    float *whole = agree_values(a, y);
    for (const int32_t *place : places) {
        agree_tensor *part = agree_output(a, (size_t)place[1], N, 0, dtype);
        op.x = (const uint8_t *)x->at + (size_t)place[0] * K * 2;
        op.y = part->at;
        op.M = place[1];
        (void)ccu_cuda_linear_wgmma(ccu_cuda_of(a->be), &op);
        float *alone = agree_values(a, part);
        if (whole == NULL || alone == NULL ||
            memcmp(alone, whole + (size_t)place[0] * N, (size_t)place[1] * N * 4) != 0) {
            (void)agree_fail(a, "%d rows from %d differ from the same among %d", place[1],
                             place[0], M);
        }
        free(alone);
    }
    free(whole);
    free(w);
}

/* What the kernel must refuse: other chips, f32, rows that TMA or 16-byte stores cannot reach. */
static void run_refusals(agree *a) {
    agree_begin(a, "linear_wgmma", "refusals");
    alignas(16) unsigned char memory[64] = {};
    ccu_cuda   cuda = *ccu_cuda_of(a->be);
    ccu_linear good = {};
    good.y = memory;
    good.x = good.w = memory;
    good.M = good.N = good.K = 8;
    good.dtype = CCU_F16;
    if (!ccu_cuda_linear_wgmma_can(&cuda, &good)) { (void)agree_fail(a, "a plain case"); }
    ccu_linear bad[7];
    for (ccu_linear &op : bad) { op = good; }
    bad[0].dtype    = CCU_F32;
    bad[1].N        = 12;
    bad[2].K        = 12;
    bad[3].x_stride = 20;
    bad[4].y_stride = 12;
    bad[5].x        = memory + 2;
    bad[6].r        = memory + 8;
    for (int32_t i = 0; i < 7; i++) {
        if (ccu_cuda_linear_wgmma_can(&cuda, &bad[i])) { (void)agree_fail(a, "bad case %d", i); }
    }
    cuda.facts.capability = 89;
    if (ccu_cuda_linear_wgmma_can(&cuda, &good)) { (void)agree_fail(a, "capability 8.9"); }
}

int main(int argc, char **argv) {
    const bool      few      = argc > 1 && strcmp(argv[1], "few") == 0;
    const ccu_dtype dtypes[] = { CCU_F16, CCU_BF16 };
    clipcu_error    error    = {};
    ccu_backend    *be       = NULL;
    agree           a;
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    agree_init(&a, be, 1);
    for (const ccu_dtype dtype : dtypes) {
        for (const wgmma_case &c : cases) {
            if (!few || c.few) { (void)run(&a, &c, dtype); }
        }
        if (!few) { run_alone(&a, dtype); }
    }
    run_refusals(&a);
    agree_end(&a);
    printf("linear_wgmma: %d cases, %d failures, worst %.2f of the bound at %s\n", a.cases,
           a.failures, a.worst, a.worst_at);
    be->ops->close(be);
    return a.failures != 0;
}
