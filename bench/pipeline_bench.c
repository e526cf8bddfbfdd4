/* Whether the pipeline of host/stream could feed a device that is not here:
 *
 *   pipeline_bench [SECONDS [SHARD.tar...]]
 *
 * The device is simulated: an encoder sleeps as long as the assumptions below say that it would
 * copy and compute, two encoders share it as two streams do. All else is the pipeline's own code.
 *
 *   raw        pictures of 224 x 224 pixels come as they are, from memory
 *   shards     the same as .ppm files from .tar shards (made where none are named), read, decoded
 *              and fitted by the product's own code
 *   decoders   decoding sleeps, as it would take on each of N cores
 *
 * Prints a row for each: images/s, and the share of the time that each stage was at work. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "image/image.h"
#include "stream/pipeline.h"

/* ---- Assumptions ----------------------------------------------------------------------------- */

/* ViT-B/32 with everything fused on an H100, planned and not measured; and what its bus takes. */
#define DEVICE_IMAGES_S 63000.0
#define DEVICE_BUS_BYTES_S 50e9
/* A JPEG photo of 640 x 480 pixels to 224 x 224, as measured on one core (README.md). */
#define DECODE_MS 3.3

#define SIDE 224
#define IMAGE_BYTES ((size_t)SIDE * SIDE * 3)
#define BATCH 256
#define ENCODERS 2
#define POOL 64 /* pictures that take turns: 9.6 MB */

/* ---- The device ------------------------------------------------------------------------------ */

static void rest(double seconds) {
    const struct timespec time = { .tv_sec  = (time_t)seconds,
                                   .tv_nsec = (long)(fmod(seconds, 1.0) * 1e9) };
    (void)nanosleep(&time, NULL); /* nobody interrupts it */
}

static clipcu_status encode(void *context, ccu_batch *batch, clipcu_error *error) {
    pthread_mutex_t *compute = context;
    (void)error;
    rest((double)batch->loaded * (double)IMAGE_BYTES / DEVICE_BUS_BYTES_S);
    (void)pthread_mutex_lock(compute); /* plain: cannot fail */
    rest((double)batch->loaded / DEVICE_IMAGES_S);
    (void)pthread_mutex_unlock(compute);
    return CLIPCU_OK;
}

static clipcu_status take(void *context, ccu_batch *batch, clipcu_error *error) {
    (void)context;
    (void)batch;
    (void)error;
    return CLIPCU_OK;
}

/* ---- Inputs ---------------------------------------------------------------------------------- */

typedef struct feed {
    const uint8_t *pool; /* (POOL) pictures */
    int64_t        count;
    double         until;
    bool           raw;  /* pictures; else something to be decoded */
} feed;

static double now(void) {
    struct timespec time = { .tv_sec = 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &time); /* cannot fail */
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static ccu_source_result next_of_feed(void *context, int wait_ms, ccu_source_item *item) {
    feed        *f     = context;
    const size_t count = f->raw ? IMAGE_BYTES : 1;
    (void)wait_ms;
    if (now() > f->until) { return CCU_SOURCE_END; }
    *item = (ccu_source_item){ .path = "picture", .class_index = -1, .sample = "",
                               .bytes = ccu_alloc(count), .bytes_count = count,
                               .decoded = f->raw };
    if (item->bytes == NULL) { return CCU_SOURCE_END; }
    memcpy(item->bytes, f->pool + (size_t)(f->count++ % POOL) * IMAGE_BYTES, count);
    return CCU_SOURCE_ITEM;
}

typedef struct shards {
    ccu_source *source;
    double      until;
} shards;

static ccu_source_result next_of_shards(void *context, int wait_ms, ccu_source_item *item) {
    shards *s = context;
    return now() > s->until ? CCU_SOURCE_END : ccu_source_next(s->source, wait_ms, item);
}

static clipcu_status decode_by_sleeping(const void *context, const char *name,
                                        const uint8_t *bytes, size_t bytes_count, uint8_t *pixels,
                                        clipcu_error *error) {
    (void)context;
    (void)name;
    (void)bytes;
    (void)bytes_count;
    (void)pixels;
    (void)error;
    rest(DECODE_MS * 1e-3);
    return CLIPCU_OK;
}

static clipcu_status decode(const void *context, const char *name, const uint8_t *bytes,
                            size_t bytes_count, uint8_t *pixels, clipcu_error *error) {
    const ccu_decode_options options = { .pixels_max = 1 << 28 };
    const ccu_fit            fit     = { .size = SIDE, .resize_size = SIDE,
                                         .resample = CCU_RESAMPLE_BICUBIC };
    ccu_image                image   = { .rgb = NULL };
    (void)context;
    clipcu_status status = ccu_image_decode(name, bytes, bytes_count, &options, &image, error);
    if (status == CLIPCU_OK) { status = ccu_image_fit(&image, &fit, pixels, error); }
    ccu_image_free(&image);
    return status;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static bool run(const char *name, ccu_pipeline_options *o) {
    pthread_mutex_t compute = PTHREAD_MUTEX_INITIALIZER;
    void *const     encoders[ENCODERS] = { &compute, &compute };
    ccu_stages      stages;
    clipcu_error    error = { .code = CLIPCU_OK };
    o->batch_max      = BATCH;
    o->image_bytes    = IMAGE_BYTES;
    o->encode         = encode;
    o->encoders       = encoders;
    o->encoders_count = ENCODERS;
    o->take           = take;
    if (ccu_pipeline_run(o, &stages, &error) != CLIPCU_OK || stages.errors > 0) {
        (void)fprintf(stderr, "%s: %s\n", name,
                      stages.errors > 0 ? "pictures cannot be read" : error.text);
        return false;
    }
    printf("| %s | %.0f |", name, (double)stages.images / stages.seconds);
    for (int32_t s = 0; s < CCU_STAGES; s++) {
        const ccu_stage *stage = &stages.stage[s];
        printf(" %.0f %% |", 100.0 * stage->busy / (stages.seconds * stage->threads));
    }
    printf("\n");
    return true;
}

static bool run_shards(const char *const *paths, int32_t count, double seconds) {
    clipcu_error error = { .code = CLIPCU_OK };
    shards       s     = { .until = now() + seconds };
    if (ccu_source_open(&(ccu_source_options){ .inputs = paths, .inputs_count = count,
                                               .wake_fd = -1 },
                        &s.source, &error) != CLIPCU_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        return false;
    }
    const bool good = run("shards", &(ccu_pipeline_options){ .next = next_of_shards,
                                                             .next_context = &s,
                                                             .decode = decode });
    ccu_source_close(s.source);
    return good;
}

int main(int argc, char **argv) {
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 5.0;
    uint8_t     *pool    = ccu_alloc(POOL * IMAGE_BYTES);
    bool         good    = pool != NULL && seconds > 0.0;
    for (size_t i = 0; good && i < POOL * IMAGE_BYTES; i++) {
        pool[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    printf("assumed: a device of %.0f images/s behind %.0f GB/s, %d streams; decoding %.1f ms a "
           "picture\n\n| | images/s | source | read | decode | encode | sink |\n"
           "|---|--:|--:|--:|--:|--:|--:|\n",
           DEVICE_IMAGES_S, DEVICE_BUS_BYTES_S / 1e9, ENCODERS, DECODE_MS);
    if (good) {
        feed f = { .pool = pool, .until = now() + seconds, .raw = true };
        good   = run("raw", &(ccu_pipeline_options){ .next = next_of_feed, .next_context = &f,
                                                     .decode = decode_by_sleeping });
    }
    if (good && argc > 2) {
        good = run_shards((const char *const *)(argv + 2), argc - 2, seconds);
    }
    for (int32_t decoders = 4; good && decoders <= 64; decoders *= 2) {
        char name[32];
        feed f = { .pool = pool, .until = now() + seconds };
        (void)snprintf(name, sizeof name, "%d decoders", (int)decoders); /* fits */
        good = run(name, &(ccu_pipeline_options){ .next = next_of_feed, .next_context = &f,
                                                  .decode = decode_by_sleeping,
                                                  .decoders = decoders });
    }
    ccu_free(pool);
    return good ? 0 : 1;
}
