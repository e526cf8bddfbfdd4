/* Checkpoint tensors as checked numbers; see weights_stage.h. */
#include "model/weights_stage.h"

#include "base/memory.h"

/* Numbers read and looked at together: 128 KiB, a part of the L2 cache. */
#define PIECE ((size_t)32768)

void *ccu_writable(const void *weights) {
    return (void *)(uintptr_t)weights;
}

size_t ccu_stage_numbers(const ccu_transformer *t, size_t first, size_t second) {
    const size_t C = (size_t)t->C, mlp = (size_t)t->mlp;
    size_t       most = 3 * C * C > C * mlp ? 3 * C * C : C * mlp;
    most              = first > most ? first : most;
    return second > most ? second : most;
}

clipcu_status ccu_stage_open(ccu_stage *stage, ccu_backend *be, size_t numbers,
                             clipcu_error *error) {
    stage->be    = be;
    stage->error = error;
    stage->a     = ccu_alloc(numbers * sizeof(float));
    stage->b     = ccu_alloc(numbers * sizeof(float));
    if (stage->a == NULL || stage->b == NULL) {
        stage->status = ccu_fail(error, CLIPCU_ERR_NOMEM,
                                 "no memory to convert weights of %zu numbers", numbers);
    }
    return stage->status;
}

void ccu_stage_close(ccu_stage *stage) {
    ccu_free(stage->b);
    ccu_free(stage->a);
}

/* True if none is infinite or NaN. A sum of bits, not an early end: this way it is vectorised. */
static bool all_finite(const float *numbers, size_t count) {
    uint32_t others = 0;
    for (size_t i = 0; i < count; i++) {
        others += (ccu_f32_bits(numbers[i]) & 0x7fffffffu) >= 0x7f800000u;
    }
    return others == 0;
}

/* Piece by piece: what was read is still in the cache when it is looked at. */
bool ccu_stage_read(ccu_stage *stage, const ccu_tensor *tensor, size_t first, size_t count,
                    float *to) {
    for (size_t done = 0; done < count && stage->status == CLIPCU_OK; done += PIECE) {
        const size_t length = count - done < PIECE ? count - done : PIECE;
        stage->status = ccu_tensor_to_f32(tensor, first + done, length, to + done, stage->error);
        if (stage->status == CLIPCU_OK && !all_finite(to + done, length)) {
            stage->status = ccu_fail(stage->error, CLIPCU_ERR_FORMAT,
                                     "%s: tensor %s holds numbers that are infinite or NaN: the "
                                     "weights are damaged",
                                     tensor->file == NULL ? "weights" : tensor->file->path,
                                     tensor->name);
        }
    }
    return stage->status == CLIPCU_OK;
}
