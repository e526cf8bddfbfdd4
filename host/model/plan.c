/* Slab lay-out by arithmetic; see plan.h. */
#include "model/plan.h"

void *ccu_plan_take(ccu_plan *plan, size_t count, size_t size) {
    if (plan->bytes == SIZE_MAX || (size != 0 && count > (SIZE_MAX - CCU_PLAN_ALIGN) / size)) {
        plan->bytes = SIZE_MAX;
        return NULL;
    }
    const size_t at    = plan->bytes;
    const size_t bytes = (count * size + CCU_PLAN_ALIGN - 1) & ~(CCU_PLAN_ALIGN - 1);
    if (bytes > SIZE_MAX - 1 - at) {
        plan->bytes = SIZE_MAX;
        return NULL;
    }
    plan->bytes = at + bytes;
    return plan->base == NULL ? NULL : plan->base + at;
}
