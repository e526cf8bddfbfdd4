/* A checkpoint's towers without an engine around them, so that a test can watch every block, and
 * spoil a weight to see that it is noticed. */
#ifndef CCU_SUPPORT_GOLDEN_TOWERS_H
#define CCU_SUPPORT_GOLDEN_TOWERS_H

#include "model/weights.h"
#include "support/golden_compare.h"
#include "support/golden_file.h"

#define GOLDEN_BATCH 4

typedef struct golden_towers {
    const golden_file *golden;
    ccu_checkpoint     checkpoint;
    ccu_backend       *be;
    ccu_image_tower    image; /* present as config says */
    ccu_text_tower     text;
    void              *slab;  /* weights, then activations; host memory on these backends */
    double             slack; /* factor on f32 tolerances, 1 unless a test says more */
} golden_towers;

/* On the CPU backend. Fails the running test if the model does not open. Close with
 * golden_towers_close. */
golden_towers *golden_towers_open(const golden_file *golden, const char *folder, ccu_dtype dtype);
/* The same on be, whose memory is host memory; it is closed with the towers. */
golden_towers *golden_towers_open_on(ccu_backend *be, const golden_file *golden,
                                     const char *folder, ccu_dtype dtype);
void           golden_towers_close(golden_towers *towers);

/* Runs the tower over the golden inputs and compares every stage. f32: layer by layer; narrower
 * dtypes: cosines. pixels NULL: the golden u8 pixels; else (B, 3, S, S) f32. */
void golden_check_images(golden_towers *towers, const float *pixels, golden_verdict *verdict);
void golden_check_texts(golden_towers *towers, golden_verdict *verdict);

#endif
