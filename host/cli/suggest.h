/* How near two words are: for "did you mean". */
#ifndef CCU_CLI_SUGGEST_H
#define CCU_CLI_SUGGEST_H

#include <stdbool.h>
#include <stdint.h>

/* Least number of letters to add, drop, change or swap with a neighbour to make one word of the
 * other. Words longer than 31 letters are cut. */
int32_t ccu_suggest_distance(const char *a, const char *b);

/* Whether `typed` is likely a slip for `known`. */
bool ccu_suggest_near(const char *typed, const char *known);

#endif
