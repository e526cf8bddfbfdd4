/* See inside.h. */
#include "gpu/inside.h"

#include <string.h>

#include "linear_ways.h"

static const char *const way_names[] = { "auto", "cublaslt", "wgmma", "mma", "plain" };

#define WAYS ((int32_t)(sizeof way_names / sizeof way_names[0]))

static_assert(CCU_LINEAR_CUBLASLT == 1 && CCU_LINEAR_PLAIN == 4, "the order of the names");

ccu_device *gpu_device(ccu_backend *be) {
    return ccu_cuda_of(be)->device;
}

const char *gpu_way_name(int32_t way) {
    return way >= 0 && way < WAYS ? way_names[way] : NULL;
}

static int32_t way_of(const char *name) {
    int32_t way = 0;
    while (way < WAYS && strcmp(way_names[way], name) != 0) { way++; }
    return way;
}

bool gpu_way_can(ccu_backend *be, const char *name, const ccu_linear *op) {
    const ccu_cuda *cuda = ccu_cuda_of(be);
    switch (way_of(name)) {
    case CCU_LINEAR_AUTO: return true;
    case CCU_LINEAR_CUBLASLT: return cuda->cublaslt != NULL;
    case CCU_LINEAR_WGMMA: return ccu_cuda_linear_wgmma_can(cuda, op);
    case CCU_LINEAR_MMA: return ccu_cuda_linear_mma_can(cuda, op);
    case CCU_LINEAR_PLAIN: return ccu_cuda_linear_plain_can(cuda, op);
    default: return false;
    }
}

/* In place of the table's own entry; the way asked for is back in its place afterwards. */
static void linear_by_way(ccu_backend *be, const ccu_linear *op) {
    ccu_cuda            *cuda  = ccu_cuda_of(be);
    const ccu_linear_way asked = cuda->way;
    if (op->M > 0 && op->N > 0 && op->K > 0 && !gpu_way_can(be, way_names[asked], op)) {
        cuda->way = CCU_LINEAR_AUTO;
    }
    ccu_cuda_linear(be, op);
    cuda->way = asked;
}

bool gpu_set_way(ccu_backend *be, const char *name) {
    static ccu_ops ops;
    ccu_cuda      *cuda = ccu_cuda_of(be);
    const int32_t  way  = way_of(name);
    if (way == WAYS || (way == CCU_LINEAR_CUBLASLT && cuda->cublaslt == NULL)) { return false; }
    if (way == CCU_LINEAR_WGMMA && cuda->facts.capability != 90) { return false; }
    if (be->ops != &ops) {
        ops        = *be->ops;
        ops.linear = linear_by_way;
        be->ops    = &ops;
    }
    cuda->way = (ccu_linear_way)way;
    return true;
}
