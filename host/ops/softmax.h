/* The softmax inside attention: one row of scores in f32, in place. */
#ifndef CCU_OPS_SOFTMAX_H
#define CCU_OPS_SOFTMAX_H

#include "ops/lanes.h"

/* s (count) becomes exp(s - max); returns their sum. s has room for count rounded up to whole
 * lanes; what lies beyond count is overwritten. A NaN or only -inf gives a NaN sum, as PyTorch. */
static inline float ccu_softmax_row(float *s, int32_t count) {
    ccu_lanes max = ccu_lanes_set(-INFINITY);
    ccu_lanes sum = { 0 };
    for (int32_t i = count; i % CCU_LANES != 0; i++) { s[i] = -INFINITY; }
    for (int32_t i = 0; i < count; i += CCU_LANES) {
        max = ccu_lanes_max(ccu_lanes_load(s + i), max);
    }
    const float top = ccu_lanes_max_of(max);
    for (int32_t i = 0; i < count; i += CCU_LANES) {
        const ccu_lanes e = ccu_lanes_exp(ccu_lanes_load(s + i) - top);
        ccu_lanes_store(s + i, e);
        sum += e;
    }
    return ccu_lanes_sum(sum);
}

#endif
