/* Measuring the CUDA backend: times by device events, beside the ceilings of the device. */
#ifndef CCU_BENCH_GPU_BENCH_H
#define CCU_BENCH_GPU_BENCH_H

#include <stdbool.h>
#include <stdio.h>

#include "device.h"
#include "ops/ops.h"

typedef struct bench_tower {
    const char *name;
    int32_t     C, H, layers, mlp, E, S, P;
    ccu_act     act;
} bench_tower;

/* B/32, B/16, L/14, L/14@336, H/14; the last entry empty. --tiny has one small tower instead. */
extern const bench_tower bench_towers[];
extern const bench_tower bench_tower_tiny[];

static inline int32_t bench_tokens(const bench_tower *t) {
    return (t->S / t->P) * (t->S / t->P) + 1;
}

typedef struct bench {
    ccu_backend *be;
    ccu_device  *device;
    FILE        *json;           /* one line per case, or NULL */
    bool         tiny;           /* one small case each: does it run at all (the emulator) */
    const char  *only;           /* one tower, or NULL */
    double       copy_bytes_s;   /* ceilings: 0 until measured */
    double       product_flop_s; /* of 16-bit dtypes */
    size_t       l2_bytes;
    void        *pool;           /* backend memory full of random numbers of `dtype` */
    void        *out;            /* backend memory for results */
    size_t       pool_bytes;     /* of each */
    ccu_dtype    dtype;          /* of the pool */
    int32_t      cases, failures;
} bench;

/* What is timed: round counts up, so that inputs can be rotated. */
typedef void (*bench_work)(bench *b, void *user, int32_t round);

typedef struct bench_time {
    double  ms;     /* median of the samples, per round; 0: the device measures no time */
    double  spread; /* (90th percentile - 10th) / median */
    int32_t samples, rounds;
} bench_time;

/* False (and a row that says why) if the work fails. */
bool bench_measure(bench *b, bench_work work, void *user, bench_time *time);

/* A finished case. flop and bytes are the least the work needs. */
typedef struct bench_row {
    const char *op, *tower, *part, *way;
    int32_t     batch;
    ccu_dtype   dtype;
    double      flop, bytes;
    double      images; /* per round; 0: no images are counted */
    bench_time  time;
} bench_row;

void bench_report(bench *b, const bench_row *row);
void bench_report_missing(bench *b, const bench_row *row, const char *why);

/* Opens the pool with numbers of dtype in it. */
bool bench_open_pool(bench *b, ccu_dtype dtype);
void bench_close_pool(bench *b);

/* Bytes from the pool or the results' memory for round `round` of cases that use bytes each: other
 * ones each time, until more than the L2 cache has gone by. */
void *bench_input(const bench *b, size_t bytes, int32_t round);
void *bench_output(const bench *b, size_t bytes, int32_t round);

/* How many sets of `bytes` it takes to outgrow the L2 cache twice. */
int32_t bench_sets(const bench *b, size_t bytes);

/* Backend memory for weights or f32 parameters, random; NULL on failure. */
void *bench_random_f32(bench *b, size_t count);

/* Host memory with normal random numbers of that deviation; NULL if there is none. */
float *bench_host_random(size_t count, float deviation);
void   bench_host_free(float *host);

void bench_ceilings(bench *b);
void bench_ops(bench *b, const bench_tower *t, int32_t batch);
void bench_linears(bench *b, const bench_tower *t, int32_t batch);
void bench_text_and_head(bench *b);
void bench_tower_run(bench *b, const bench_tower *t);

#endif
