/* How often a model is right; see accuracy.h. */
#include "stream/accuracy.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#include "base/memory.h"

clipcu_status ccu_accuracy_open(int32_t K, ccu_accuracy *out, clipcu_error *error) {
    const size_t count = (size_t)K;
    assert(K >= 1);
    *out         = (ccu_accuracy){ .K = K };
    out->classes = ccu_alloc_zeroed(count, sizeof *out->classes);
    if (K <= CCU_CONFUSION_MAX) {
        out->confusion = ccu_alloc_zeroed(count * count, sizeof *out->confusion);
    }
    if (out->classes == NULL || (K <= CCU_CONFUSION_MAX && out->confusion == NULL)) {
        ccu_accuracy_close(out);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for the tallies of %d classes", (int)K);
    }
    return CLIPCU_OK;
}

void ccu_accuracy_close(ccu_accuracy *accuracy) {
    ccu_free(accuracy->classes);
    ccu_free(accuracy->confusion);
    *accuracy = (ccu_accuracy){ .K = 0 };
}

void ccu_accuracy_add(ccu_accuracy *accuracy, int32_t truth, const clipcu_match *best,
                      int32_t count) {
    assert(truth >= 0 && truth < accuracy->K);
    assert(count >= 1);
    assert(best[0].class_index >= 0 && best[0].class_index < accuracy->K);
    ccu_class_tally *mine = &accuracy->classes[truth];
    const size_t     K    = (size_t)accuracy->K;
    accuracy->all.pictures++;
    mine->pictures++;
    if (best[0].class_index == truth) {
        accuracy->all.top1++;
        mine->top1++;
    }
    for (int32_t k = 0; k < count && k < CCU_ACCURACY_TOP; k++) {
        if (best[k].class_index != truth) { continue; }
        accuracy->all.top5++;
        mine->top5++;
        break;
    }
    if (accuracy->confusion != NULL) {
        accuracy->confusion[(size_t)truth * K + (size_t)best[0].class_index]++;
    }
}

double ccu_accuracy_share(int64_t part, int64_t whole) {
    return whole > 0 ? (double)part / (double)whole : (double)NAN;
}

double ccu_accuracy_mean_per_class(const ccu_accuracy *accuracy) {
    double  sum   = 0.0;
    int64_t count = 0;
    for (int32_t i = 0; i < accuracy->K; i++) {
        const ccu_class_tally *tally = &accuracy->classes[i];
        if (tally->pictures == 0) { continue; }
        sum += ccu_accuracy_share(tally->top1, tally->pictures);
        count++;
    }
    return count > 0 ? sum / (double)count : (double)NAN;
}

int32_t ccu_accuracy_unseen(const ccu_accuracy *accuracy) {
    int32_t count = 0;
    for (int32_t i = 0; i < accuracy->K; i++) { count += accuracy->classes[i].pictures == 0; }
    return count;
}

/* Whether a is worse than b. Shares are multiplied out, so that equal ones are equal. */
static bool is_worse(const ccu_class_tally *a, const ccu_class_tally *b) {
    const double left  = (double)a->top1 * (double)b->pictures; /* exact up to 2^26 pictures */
    const double right = (double)b->top1 * (double)a->pictures;
    if (left < right) { return true; }
    return left == right && a->pictures > b->pictures;
}

/* Insertion into a short sorted list: one pass over the classes, nothing allocated. */
int32_t ccu_accuracy_worst(const ccu_accuracy *accuracy, int32_t max, int32_t *out) {
    int32_t count = 0;
    for (int32_t i = 0; i < accuracy->K; i++) {
        const ccu_class_tally *tally = &accuracy->classes[i];
        int32_t                at    = count;
        if (tally->top1 == tally->pictures) { continue; } /* also those without pictures */
        while (at > 0 && is_worse(tally, &accuracy->classes[out[at - 1]])) { at--; }
        if (at == max) { continue; }
        if (count < max) { count++; }
        for (int32_t k = count - 1; k > at; k--) { out[k] = out[k - 1]; }
        out[at] = i;
    }
    return count;
}

int32_t ccu_accuracy_confusions(const ccu_accuracy *accuracy, int32_t max, ccu_confusion *out) {
    int32_t count = 0;
    if (accuracy->confusion == NULL) { return 0; }
    for (int32_t i = 0; i < accuracy->K; i++) {
        for (int32_t j = 0; j < accuracy->K; j++) {
            const int64_t times = accuracy->confusion[(size_t)i * (size_t)accuracy->K + (size_t)j];
            int32_t       at    = count;
            if (i == j || times == 0) { continue; }
            while (at > 0 && times > out[at - 1].times) { at--; }
            if (at == max) { continue; }
            if (count < max) { count++; }
            for (int32_t k = count - 1; k > at; k--) { out[k] = out[k - 1]; }
            out[at] = (ccu_confusion){ .truth = i, .taken_for = j, .times = times };
        }
    }
    return count;
}
