/* How near two words are; see suggest.h. */
#include "cli/suggest.h"

#include <string.h>

#define LETTERS_MAX 31

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

int32_t ccu_suggest_distance(const char *a, const char *b) {
    /* cost[i][k]: to make the first k letters of b of the first i of a */
    int32_t       cost[LETTERS_MAX + 1][LETTERS_MAX + 1];
    const int32_t a_count = (int32_t)strnlen(a, LETTERS_MAX);
    const int32_t b_count = (int32_t)strnlen(b, LETTERS_MAX);
    for (int32_t i = 0; i <= a_count; i++) { cost[i][0] = i; }
    for (int32_t k = 0; k <= b_count; k++) { cost[0][k] = k; }
    for (int32_t i = 1; i <= a_count; i++) {
        for (int32_t k = 1; k <= b_count; k++) {
            const int32_t change = cost[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
            cost[i][k]           = least(change, 1 + least(cost[i - 1][k], cost[i][k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1]) {
                cost[i][k] = least(cost[i][k], cost[i - 2][k - 2] + 1);
            }
        }
    }
    return cost[a_count][b_count];
}

bool ccu_suggest_near(const char *typed, const char *known) {
    const size_t typed_count = strlen(typed);
    const size_t known_count = strlen(known);
    /* The beginning of a word is as good as a slip: --temp for --templates. */
    if (typed_count >= 3 && strncmp(typed, known, typed_count) == 0) { return true; }
    const int32_t allowed = known_count < 4 ? 1 : known_count < 8 ? 2 : 3;
    return ccu_suggest_distance(typed, known) <= allowed;
}
