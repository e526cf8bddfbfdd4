/* Few-shot draws as CoOp's data code makes them: after random.seed(seed), for every class in the
 * order in which it first appears, random.sample of its pictures; all of them, unshuffled, where
 * there are fewer. */
#ifndef CCU_PROMPT_SHOTS_H
#define CCU_PROMPT_SHOTS_H

#include "base/status.h"

/* picks (count_max = classes * shots) indices into label, class after class. label (n) 0 ..
 * classes - 1. *fewest: the class with fewest pictures, *fewest_count how many it has; 0 is a class
 * without any. NOMEM. */
clipcu_status ccu_shots_draw(const int32_t *label, int32_t n, int32_t classes, int32_t shots,
                             uint64_t seed, int32_t *picks, int32_t *count, int32_t *fewest,
                             int32_t *fewest_count, clipcu_error *error);

#endif
