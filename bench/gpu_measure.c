/* Timing, memory and rows; see gpu_bench.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gpu_bench.h"

#define FROM_EVENT 6 /* the backend uses the lower ones */
#define TO_EVENT 7
#define SAMPLES_MAX 21
#define CASE_MS 60.0  /* of measuring, about */
#define SAMPLE_MS 1.0 /* at least, where rounds are short: events resolve half a microsecond */
#define ROUNDS_MAX 50
#define RANDOM_COUNT ((size_t)1 << 24)

static_assert(TO_EVENT < CCU_DEVICE_EVENTS, "events of our own");

/* ---- Time ----------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Milliseconds per round. Negative on failure. */
static double sample(bench *b, bench_work work, void *user, int32_t *round, int32_t rounds) {
    float ms   = 0.0f;
    int   code = ccu_device_event_record(b->device, FROM_EVENT);
    for (int32_t i = 0; i < rounds; i++) {
        work(b, user, *round);
        *round += 1;
    }
    if (code == 0) { code = ccu_device_event_record(b->device, TO_EVENT); }
    if (code == 0) { code = ccu_device_event_wait(b->device, TO_EVENT); }
    if (code == 0) { code = ccu_device_elapsed(b->device, FROM_EVENT, TO_EVENT, &ms); }
    return code == 0 ? (double)ms / rounds : -1.0;
}

static int32_t between(double value, int32_t least, int32_t most) {
    return value < least ? least : value > most ? most : (int32_t)value;
}

bool bench_measure(bench *b, bench_work work, void *user, bench_time *time) {
    double       ms[SAMPLES_MAX];
    int32_t      round = 0;
    clipcu_error error = { 0 };
    (void)sample(b, work, user, &round, 1); /* kernels load, libraries choose */
    if (b->be->ops->finish(b->be, &error) != CLIPCU_OK) {
        printf("\n%s\n", error.text);
        return false;
    }
    const double once = b->tiny ? CASE_MS : sample(b, work, user, &round, 3);
    *time = (bench_time){ .rounds = between(SAMPLE_MS / (once + 1e-6), 1, ROUNDS_MAX) };
    time->samples = between(CASE_MS / (once * time->rounds + 1e-6), 3, SAMPLES_MAX);
    if (b->tiny) { time->samples = 1; }
    for (int32_t i = 0; i < time->samples; i++) {
        ms[i] = sample(b, work, user, &round, time->rounds);
    }
    if (b->be->ops->finish(b->be, &error) != CLIPCU_OK) {
        printf("\n%s\n", error.text);
        return false;
    }
    qsort(ms, (size_t)time->samples, sizeof ms[0], ascending);
    time->ms     = b->tiny ? 0.0 : ms[time->samples / 2]; /* one small case tells nothing */
    time->spread = time->ms > 0.0 ? (ms[(time->samples - 1) * 9 / 10] -
                                     ms[(time->samples - 1) / 10]) / time->ms
                                  : 0.0;
    return ms[0] >= 0.0;
}

/* ---- Memory --------------------------------------------------------------------------------- */

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* About normal, deviation 1: what activations look like after a LayerNorm. */
static float next_normal(uint64_t *state) {
    float sum = 0.0f;
    for (int32_t i = 0; i < 4; i++) { sum += (float)next_random(state) * 0x1p-31f - 0.5f; }
    return sum * 1.7320508f;
}

static void fill_host(void *to, size_t count, ccu_dtype dtype, uint64_t seed) {
    uint64_t state = seed;
    for (size_t i = 0; i < count; i++) {
        const float value = next_normal(&state);
        switch (dtype) {
        case CCU_F32: ((float *)to)[i] = value; break;
        case CCU_BF16: ((ccu_bf16 *)to)[i] = ccu_bf16_from_f32(value); break;
        case CCU_F16: ((ccu_f16 *)to)[i] = ccu_f16_from_f32(value); break;
        }
    }
}

/* count random numbers, then copies of them over the rest of the slab. */
static void *random_slab(bench *b, size_t bytes, ccu_dtype dtype) {
    const ccu_ops *ops   = b->be->ops;
    size_t         count = bytes / ccu_dtype_bytes(dtype);
    clipcu_error   error = { 0 };
    if (count > RANDOM_COUNT) { count = RANDOM_COUNT; }
    const size_t part = count * ccu_dtype_bytes(dtype);
    void        *host = malloc(part);
    uint8_t     *slab = ops->slab_alloc(b->be, bytes);
    if (host != NULL && slab != NULL) {
        fill_host(host, count, dtype, 20240229 + bytes);
        ops->upload(b->be, slab, host, part);
        for (size_t done = part; done < bytes; done += part) {
            ops->copy(b->be, slab + done, slab, bytes - done < part ? bytes - done : part);
        }
    }
    if (ops->finish(b->be, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
        ops->slab_free(b->be, slab);
        slab = NULL;
    }
    free(host);
    return slab;
}

float *bench_host_random(size_t count, float deviation) {
    uint64_t state = 7 + count;
    float   *host  = malloc(count * sizeof *host);
    for (size_t i = 0; host != NULL && i < count; i++) {
        host[i] = next_normal(&state) * deviation;
    }
    return host;
}

void bench_host_free(float *host) {
    free(host);
}

void *bench_random_f32(bench *b, size_t count) {
    return random_slab(b, count * sizeof(float), CCU_F32);
}

bool bench_open_pool(bench *b, ccu_dtype dtype) {
    bench_close_pool(b);
    b->pool_bytes = b->tiny ? (size_t)16 << 20 : (size_t)3 << 30;
    b->dtype      = dtype;
    b->pool       = random_slab(b, b->pool_bytes, dtype);
    b->out        = b->pool == NULL ? NULL : b->be->ops->slab_alloc(b->be, b->pool_bytes);
    if (b->out == NULL) { bench_close_pool(b); }
    return b->out != NULL;
}

void bench_close_pool(bench *b) {
    if (b->pool != NULL) { b->be->ops->slab_free(b->be, b->pool); }
    if (b->out != NULL) { b->be->ops->slab_free(b->be, b->out); }
    b->pool = b->out = NULL;
}

int32_t bench_sets(const bench *b, size_t bytes) {
    return between((double)(2 * b->l2_bytes) / (double)(bytes + 1) + 1.0, 2, b->tiny ? 2 : 64);
}

static void *rotate(const bench *b, void *slab, size_t bytes, int32_t round) {
    const size_t step = (bytes + 255) / 256 * 256;
    const size_t fits = step == 0 || step > b->pool_bytes ? 1 : b->pool_bytes / step;
    size_t       sets = (size_t)bench_sets(b, bytes);
    if (sets > fits) { sets = fits; }
    return (uint8_t *)slab + (size_t)round % sets * step;
}

void *bench_input(const bench *b, size_t bytes, int32_t round) {
    return rotate(b, b->pool, bytes, round);
}

void *bench_output(const bench *b, size_t bytes, int32_t round) {
    return rotate(b, b->out, bytes, round);
}

/* ---- Rows ----------------------------------------------------------------------------------- */

static void report_json(bench *b, const bench_row *row, double ceiling_ms, const char *why) {
    if (b->json == NULL) { return; }
    const double seconds = row->time.ms / 1000.0;
    (void)fprintf(b->json,
                  "{\"op\":\"%s\",\"tower\":\"%s\",\"part\":\"%s\",\"way\":\"%s\",\"batch\":%d,"
                  "\"dtype\":\"%s\",\"flop\":%.6g,\"bytes\":%.6g,",
                  row->op, row->tower, row->part, row->way, row->batch,
                  ccu_dtype_name(row->dtype), row->flop, row->bytes);
    if (why != NULL || seconds <= 0.0) {
        (void)fprintf(b->json, "\"ms\":null,\"why\":\"%s\"}\n",
                      why != NULL ? why : "this device measures no time");
        return;
    }
    (void)fprintf(b->json, "\"ms\":%.6g,\"spread\":%.3g,\"samples\":%d,\"rounds\":%d,",
                  row->time.ms, row->time.spread, row->time.samples, row->time.rounds);
    if (row->images > 0.0) { (void)fprintf(b->json, "\"images_s\":%.6g,", row->images / seconds); }
    (void)fprintf(b->json, "\"gb_s\":%.6g,\"tflop_s\":%.6g,\"of_ceiling\":%.4g}\n",
                  row->bytes / seconds / 1e9, row->flop / seconds / 1e12,
                  ceiling_ms / row->time.ms);
}

void bench_report(bench *b, const bench_row *row) {
    const double by_bytes = b->copy_bytes_s > 0.0 ? row->bytes / b->copy_bytes_s * 1e3 : 0.0;
    const double by_flop  = b->product_flop_s > 0.0 ? row->flop / b->product_flop_s * 1e3 : 0.0;
    const double ceiling  = by_bytes > by_flop ? by_bytes : by_flop;
    const double seconds  = row->time.ms / 1000.0;
    b->cases += 1;
    report_json(b, row, ceiling, NULL);
    printf("| %s | %s | %s | %d | %s | %s | ", row->op, row->tower, row->part, row->batch,
           ccu_dtype_name(row->dtype), row->way);
    if (seconds <= 0.0) {
        printf("no time measured | | | | |\n");
        return;
    }
    printf("%.4g | %.3g | %.4g | %.4g | %.0f %% (%s) |", row->time.ms, row->time.spread,
           row->bytes / seconds / 1e9, row->flop / seconds / 1e12,
           ceiling / row->time.ms * 100.0, by_bytes > by_flop ? "bytes" : "FLOP");
    if (row->images > 0.0) { printf(" %.4g images/s", row->images / seconds); }
    printf("\n");
    (void)fflush(stdout);
}

void bench_report_missing(bench *b, const bench_row *row, const char *why) {
    b->failures += 1;
    report_json(b, row, 0.0, why);
    printf("| %s | %s | %s | %d | %s | %s | %s | | | | |\n", row->op, row->tower, row->part,
           row->batch, ccu_dtype_name(row->dtype), row->way, why);
}
