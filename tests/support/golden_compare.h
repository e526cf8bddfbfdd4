/* Comparing what the project computed with a reference, and saying where they part. */
#ifndef CCU_SUPPORT_GOLDEN_COMPARE_H
#define CCU_SUPPORT_GOLDEN_COMPARE_H

#include <stdbool.h>

#include "base/dtype.h"

/* Results of all comparisons of one run. Zeroed is "nothing compared yet". */
typedef struct golden_verdict {
    const char *model;
    bool        quiet;     /* do not print differences (they are wanted) */
    int32_t     compared;  /* tensors */
    int32_t     failed;
    double      worst;     /* largest error / tolerance */
    double      cosine;    /* smallest, of golden_cosine; 1 when nothing was compared */
} golden_verdict;

/* max |got - want| <= tolerance * max |want|; NaN fails. Prints the model, `what`, the index of
 * the first bad element, both values and the tolerance. */
void golden_close_to(golden_verdict *verdict, const char *what, const float *got,
                     const float *want, size_t count, double tolerance);

/* max |got - want| <= tolerance, same report. */
void golden_within(golden_verdict *verdict, const char *what, const float *got, const float *want,
                   size_t count, double tolerance);

/* Every row of got and want (rows, width) has at least this cosine. */
void golden_cosine(golden_verdict *verdict, const char *what, const float *got, const float *want,
                   int32_t rows, int32_t width, double cosine_min);

/* count elements of dtype as f32. */
void golden_to_f32(const void *from, ccu_dtype dtype, size_t count, float *out);

#endif
