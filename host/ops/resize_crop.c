/* Pictures to the S x S bytes of the image tower on the CPU: the passes of base/resample.c, a
 * picture per task. */
#include <assert.h>
#include <omp.h>

#include "ops/cpu_state.h"

static void resize(const ccu_resize_crop *op, int32_t b, uint8_t *block) {
    const ccu_resize_item *item = &op->items[b];
    const size_t           each = (size_t)op->S * (size_t)op->S * 3;
    ccu_resample_job       job  = { .source = op->pixels + item->pixels,
                                    .stride = (size_t)item->stride,
                                    .W      = item->W,
                                    .H      = item->H,
                                    .passes = (ccu_passes)item->passes,
                                    .middle = op->scratch + item->middle,
                                    .block  = block,
                                    .out    = op->y + (size_t)b * each };
    assert(item->W <= op->W_max);
    if (job.passes != CCU_PASSES_DOWN) {
        job.across = ccu_taps_of(op->tables + item->across, op->S);
    }
    if (job.passes != CCU_PASSES_ACROSS) {
        job.down = ccu_taps_of(op->tables + item->down, op->S);
    }
    ccu_resample_run(&job);
}

size_t ccu_cpu_resize_crop_scratch(ccu_backend *be, const ccu_resize_crop *op) {
    const size_t threads = (size_t)ccu_cpu_of(be)->threads;
    return op->middle_bytes + threads * ccu_resample_block_bytes(op->W_max);
}

void ccu_cpu_resize_crop(ccu_backend *be, const ccu_resize_crop *op) {
    ccu_cpu *cpu = ccu_cpu_of(be);
    if (!ccu_cpu_ready(cpu, "resize_crop", CCU_F32)) { return; }
    assert(op->B >= 0 && op->S > 0 && op->W_max > 0);
    assert(op->scratch != NULL);
    const size_t block_bytes = ccu_resample_block_bytes(op->W_max);
#pragma omp parallel for schedule(dynamic) num_threads(cpu->threads)
    for (int32_t b = 0; b < op->B; b++) {
        resize(op, b, op->scratch + op->middle_bytes + (size_t)omp_get_thread_num() * block_bytes);
    }
}
