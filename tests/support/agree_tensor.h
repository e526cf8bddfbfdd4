/* Tensors for the agree tests: what a backend holds, what the reference reads, and sentinels
 * around and between rows that no op may touch. */
#ifndef CCU_SUPPORT_AGREE_TENSOR_H
#define CCU_SUPPORT_AGREE_TENSOR_H

#include <stdbool.h>

#include "ops/ops.h"

#define AGREE_TENSORS_MAX 16

typedef struct agree_tensor {
    void     *at;     /* backend memory: row 0 */
    float    *host;   /* (rows, stride) the values as stored, for the reference */
    uint8_t  *before; /* everything in the slab as it was uploaded, guards included */
    void     *slab;
    size_t    bytes; /* of the slab */
    size_t    rows, columns, stride;
    ccu_dtype dtype;
} agree_tensor;

typedef struct agree {
    ccu_backend *be;
    uint64_t     random;        /* state of the generator */
    const char  *op;            /* what is checked, for messages */
    char         what[160];     /* the case: dims, dtype */
    int32_t      tensor_count;
    agree_tensor tensors[AGREE_TENSORS_MAX];
    double       work_max;      /* multiply-adds: larger cases are left out; 0: none is */
    int32_t      cases, failures, left_out;
    double       worst;         /* largest error / bound so far */
    char         worst_at[160];
    bool         quiet;         /* the checker's own test: failures are expected, say nothing */
    bool         inject;        /* add an error to one element of the next result */
} agree;

void agree_init(agree *a, ccu_backend *be, uint64_t seed);

/* Starts a case: frees the tensors of the last one. */
void agree_begin(agree *a, const char *op, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void agree_end(agree *a);

/* Before agree_begin: whether to leave out a case of this many multiply-adds, which is counted. */
bool agree_too_large(agree *a, double work);

/* Uniform in mean - spread .. mean + spread. */
float    agree_random(agree *a, float mean, float spread);
uint32_t agree_random_below(agree *a, uint32_t limit);

/* An input of random values rounded to dtype; between rows there are NaNs. */
agree_tensor *agree_input(agree *a, size_t rows, size_t columns, size_t stride, ccu_dtype dtype,
                          float mean, float spread);
/* The same from given values (rows, columns). */
agree_tensor *agree_input_from(agree *a, const float *values, size_t rows, size_t columns,
                               ccu_dtype dtype);
/* An output full of NaNs. */
agree_tensor *agree_output(agree *a, size_t rows, size_t columns, size_t stride, ccu_dtype dtype);
/* Bytes that are not numbers: row lists, pixels. */
void *agree_bytes(agree *a, const void *host, size_t bytes);
/* Packed weights of host (N, K), rounded to dtype first. */
void *agree_weights(agree *a, const float *host, int32_t N, int32_t K, ccu_dtype dtype);

/* Waits for the backend, downloads t, and compares: rows and columns against want within bound,
 * everything else against what was there before. False (and one line on stdout) on failure. */
bool agree_check(agree *a, agree_tensor *t, const double *want, const double *bound);

/* The tensor's values now: (rows, columns) f32. NULL if the backend failed. free() it. */
float *agree_values(agree *a, const agree_tensor *t);

/* Reports one failed case. */
bool agree_fail(agree *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
