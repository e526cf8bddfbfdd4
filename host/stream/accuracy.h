/* How often a model is right: tallies of pictures whose class is known. Pure; clipcu eval feeds it
 * and shows what comes out.
 *
 * Letters: K classes. "truth" is the class a picture is of, "taken for" the best match. */
#ifndef CCU_STREAM_ACCURACY_H
#define CCU_STREAM_ACCURACY_H

#include "base/status.h"

enum {
    CCU_ACCURACY_TOP  = 5,
    CCU_CONFUSION_MAX = 1000 /* classes: above, (K, K) numbers are more than anyone looks at */
};

typedef struct ccu_class_tally {
    int64_t pictures, top1, top5;
} ccu_class_tally;

typedef struct ccu_accuracy {
    int32_t          K;
    ccu_class_tally  all;
    ccu_class_tally *classes;   /* owned (K) */
    int64_t         *confusion; /* owned (K, K): row truth, column taken for; NULL above
                                   CCU_CONFUSION_MAX */
} ccu_accuracy;

typedef struct ccu_confusion {
    int32_t truth, taken_for;
    int64_t times;
} ccu_confusion;

/* K >= 1. NOMEM. */
clipcu_status ccu_accuracy_open(int32_t K, ccu_accuracy *out, clipcu_error *error);
void          ccu_accuracy_close(ccu_accuracy *accuracy);

/* One picture. best (count): its matches, best first; those behind the fifth are not looked at. */
void ccu_accuracy_add(ccu_accuracy *accuracy, int32_t truth, const clipcu_match *best,
                      int32_t count);

/* part / whole; NaN if there is nothing to divide. */
double ccu_accuracy_share(int64_t part, int64_t whole);

/* The mean over the classes that have pictures of each class's top-1 share; NaN if none has. */
double ccu_accuracy_mean_per_class(const ccu_accuracy *accuracy);

/* How many classes no picture is of. */
int32_t ccu_accuracy_unseen(const ccu_accuracy *accuracy);

/* Up to max classes that are not always right, by the lowest top-1 share; of equal ones first that
 * with more pictures, then by index. Returns how many. */
int32_t ccu_accuracy_worst(const ccu_accuracy *accuracy, int32_t max, int32_t *out);

/* Up to max pairs of classes most often confused, ties by truth, then by what it was taken for.
 * Returns how many; 0 without a confusion matrix. */
int32_t ccu_accuracy_confusions(const ccu_accuracy *accuracy, int32_t max, ccu_confusion *out);

#endif
