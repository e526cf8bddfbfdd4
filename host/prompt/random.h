/* Random numbers as CPython's random module makes them (Mersenne Twister MT19937, Matsumoto and
 * Nishimura 1998), so that few-shot draws are those that were published: seed, getrandbits, random,
 * sample and shuffle give the same values as CPython 3. */
#ifndef CCU_PROMPT_RANDOM_H
#define CCU_PROMPT_RANDOM_H

#include "base/status.h"

#define CCU_RANDOM_WORDS 624

typedef struct ccu_random {
    uint32_t words[CCU_RANDOM_WORDS];
    int32_t  at;
} ccu_random;

/* random.seed(seed) */
void ccu_random_seed(ccu_random *random, uint64_t seed);
/* What a seed is used for beside CPython's draws: each kind and part has a stream of its own. */
typedef enum ccu_random_kind {
    CCU_RANDOM_START = 1, /* start values */
    CCU_RANDOM_ORDER = 2, /* of an epoch's pictures */
    CCU_RANDOM_VIEW  = 3
} ccu_random_kind;

void ccu_random_seed_part(ccu_random *random, uint64_t seed, ccu_random_kind kind, uint64_t part);

uint32_t ccu_random_word(ccu_random *random);
/* random.random(): 53 bits, 0 <= x < 1 */
double ccu_random_unit(ccu_random *random);
/* random.randrange(n), 1 <= n */
int32_t ccu_random_below(ccu_random *random, int32_t n);
/* Normal, mean 0, deviation 1 (Box and Muller 1958); not CPython's. */
double ccu_random_normal(ccu_random *random);
/* random.shuffle(items) */
void ccu_random_shuffle(ccu_random *random, int32_t *items, int32_t count);
/* random.sample(range(n), count) into out; count <= n. NOMEM. */
clipcu_status ccu_random_sample(ccu_random *random, int32_t n, int32_t count, int32_t *out,
                                clipcu_error *error);

#endif
