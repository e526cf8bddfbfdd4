/* Between the conformance files: launches on the device's stream. */
#ifndef CCU_GPU_CONFORMANCE_PARTS_H
#define CCU_GPU_CONFORMANCE_PARTS_H

#include "gpu/conformance.h"
#include "simt.h"

/* conformance_numbers.cu: the cases of conversions, pairs and approximations. */
void conformance_numbers(conformance *c);

static inline simt_grid conformance_grid(conformance *c, unsigned blocks, unsigned threads,
                                         size_t shared_bytes) {
    return simt_grid{dim3(blocks), dim3(threads), shared_bytes,
                     (simt_stream)ccu_device_stream(c->device)};
}

#endif
