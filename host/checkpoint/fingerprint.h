/* One number that tells models apart. */
#ifndef CCU_CHECKPOINT_FINGERPRINT_H
#define CCU_CHECKPOINT_FINGERPRINT_H

#include "checkpoint/checkpoint.h"

/* 64-bit FNV-1a over, in this order (integers as 8 bytes, little-endian):
 *
 *   1. for the image tower, then the text tower, if present: its name ("image", "text"), heads,
 *      activation, bits of epsilon as f32; for text also eot_id;
 *      then its tensors in the order of roles.h, then its blocks, each tensor as
 *      role with its NUL, index of the block (-1 outside), dtype, rank, dims, sampled contents;
 *   2. bits of logit_scale as f32.
 *
 * Sampled contents: all bytes of a tensor up to 66 * 64 bytes; of a larger one 66 blocks of 64
 * bytes at offsets floor(i * (bytes - 64) / 65), i = 0 .. 65: the first, the last, and 64 evenly
 * spaced between, so that a model of 10 GB is not read whole. Does not depend on file names, shard
 * boundaries, the order of tensors, alignment or unused tensors. A change to a few elements of a
 * large tensor may go unseen: this guards against mistakes, not against forgery.
 *
 * Into *out. IO if a file cannot be read. */
clipcu_status ccu_fingerprint(const ccu_checkpoint *checkpoint, uint64_t *out,
                              clipcu_error *error);

#endif
