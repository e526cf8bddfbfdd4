/* Few-shot draws; see shots.h. */
#include "prompt/shots.h"

#include "base/memory.h"
#include "prompt/random.h"

/* Members of classes, class after class: those of class k are member[first[k]] .. */
typedef struct groups {
    int32_t *first;  /* (classes + 1) */
    int32_t *member; /* (n) */
    int32_t *order;  /* (classes) in order of first appearance; then those that never appear */
    int32_t *drawn;  /* (n) scratch */
} groups;

static void group(const int32_t *label, int32_t n, int32_t classes, groups *g) {
    int32_t seen = 0;
    for (int32_t i = 0; i < n; i++) {
        if (g->first[label[i] + 1]++ == 0) { g->order[seen++] = label[i]; }
    }
    for (int32_t k = 0; k < classes; k++) {
        if (g->first[k + 1] == 0) { g->order[seen++] = k; }
    }
    for (int32_t k = 0; k < classes; k++) { g->first[k + 1] += g->first[k]; }
    for (int32_t i = 0; i < n; i++) { g->member[g->first[label[i]]++] = i; }
    for (int32_t k = classes; k > 0; k--) { g->first[k] = g->first[k - 1]; }
    g->first[0] = 0;
}

static clipcu_status draw(const groups *g, int32_t classes, int32_t shots, uint64_t seed,
                          int32_t *picks, int32_t *count, clipcu_error *error) {
    ccu_random    random;
    clipcu_status status = CLIPCU_OK;
    ccu_random_seed(&random, seed);
    *count = 0;
    for (int32_t i = 0; i < classes && status == CLIPCU_OK; i++) {
        const int32_t  k      = g->order[i], have = g->first[k + 1] - g->first[k];
        const int32_t *member = g->member + g->first[k];
        const int32_t  taken  = have < shots ? have : shots;
        for (int32_t j = 0; j < taken; j++) { g->drawn[j] = j; }
        if (have >= shots) {
            status = ccu_random_sample(&random, have, shots, g->drawn, error);
        }
        for (int32_t j = 0; j < taken; j++) { picks[(*count)++] = member[g->drawn[j]]; }
    }
    return status;
}

clipcu_status ccu_shots_draw(const int32_t *label, int32_t n, int32_t classes, int32_t shots,
                             uint64_t seed, int32_t *picks, int32_t *count, int32_t *fewest,
                             int32_t *fewest_count, clipcu_error *error) {
    groups g = { .first  = ccu_alloc_zeroed((size_t)classes + 2, sizeof *g.first),
                 .member = ccu_alloc_zeroed((size_t)n + 1, sizeof *g.member),
                 .order  = ccu_alloc_zeroed((size_t)classes + 1, sizeof *g.order),
                 .drawn  = ccu_alloc_zeroed((size_t)n + 1, sizeof *g.drawn) };
    clipcu_status status = CLIPCU_OK;
    if (g.first == NULL || g.member == NULL || g.order == NULL || g.drawn == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d pictures", n);
    } else {
        group(label, n, classes, &g);
        status  = draw(&g, classes, shots, seed, picks, count, error);
        *fewest = 0;
        for (int32_t k = 1; k < classes; k++) {
            const int32_t have = g.first[k + 1] - g.first[k];
            if (have < g.first[*fewest + 1] - g.first[*fewest]) { *fewest = k; }
        }
        *fewest_count = g.first[*fewest + 1] - g.first[*fewest];
    }
    ccu_free(g.first);
    ccu_free(g.member);
    ccu_free(g.order);
    ccu_free(g.drawn);
    return status;
}
