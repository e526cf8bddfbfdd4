/* What the CUDA backend's ops and towers cost on the device at hand, beside what its memory and
 * its tensor cores give.
 *
 *     gpu_bench [--tiny] [--json FILE] [--tower NAME] [--dtype bf16|f16] ops|towers|all
 *
 * Prints Markdown; --json appends one line per case. --tiny runs one small case of each, to see
 * that they run. Inputs are random, other ones each round until more than the L2 cache has gone by;
 * times are medians of device-event intervals, after a warm-up. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gpu_bench.h"
#include "cuda_backend.h"
#include "gpu/inside.h"

const bench_tower bench_towers[] = {
    { "B/32", 768, 12, 12, 3072, 512, 224, 32, CCU_ACT_QUICK_GELU },
    { "B/16", 768, 12, 12, 3072, 512, 224, 16, CCU_ACT_QUICK_GELU },
    { "L/14", 1024, 16, 24, 4096, 768, 224, 14, CCU_ACT_QUICK_GELU },
    { "L/14@336", 1024, 16, 24, 4096, 768, 336, 14, CCU_ACT_QUICK_GELU },
    { "H/14", 1280, 16, 32, 5120, 1024, 224, 14, CCU_ACT_GELU },
    { .name = NULL },
};

const bench_tower bench_tower_tiny[] = {
    { "tiny", 64, 1, 2, 128, 32, 32, 16, CCU_ACT_QUICK_GELU },
    { .name = NULL },
};

typedef struct request {
    const char *what, *json;
    ccu_dtype   dtype;
    bool        tiny;
    const char *tower;
} request;

/* False for anything it does not know. */
static bool read_arguments(int argc, char **argv, request *out) {
    *out = (request){ .dtype = CCU_BF16 };
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--tiny") == 0) {
            out->tiny = true;
        } else if (strcmp(argv[i], "--json") == 0 && value != NULL) {
            out->json = argv[++i];
        } else if (strcmp(argv[i], "--tower") == 0 && value != NULL) {
            out->tower = argv[++i];
        } else if (strcmp(argv[i], "--dtype") == 0 && value != NULL) {
            i += 1;
            if (strcmp(value, "f16") != 0 && strcmp(value, "bf16") != 0) { return false; }
            out->dtype = strcmp(value, "f16") == 0 ? CCU_F16 : CCU_BF16;
        } else if (argv[i][0] != '-' && out->what == NULL) {
            out->what = argv[i];
        } else {
            return false;
        }
    }
    return out->what != NULL && (strcmp(out->what, "ops") == 0 || strcmp(out->what, "all") == 0 ||
                                 strcmp(out->what, "towers") == 0);
}

static void heading(void) {
    printf("\n| op | tower | part | batch | dtype | way | ms | spread | GB/s | TFLOP/s "
           "| of the ceiling | |\n|---|---|---|--:|---|---|--:|--:|--:|--:|--:|--:|\n");
}

static void run(bench *b, const request *r) {
    const bench_tower *towers = b->tiny ? bench_tower_tiny : bench_towers;
    const int32_t      batches[] = { 256, 8, 1 };
    const bool         ops = strcmp(r->what, "towers") != 0, whole = strcmp(r->what, "ops") != 0;
    heading();
    bench_ceilings(b);
    for (const bench_tower *t = towers; ops && t->name != NULL; t++) {
        if (b->only != NULL && strcmp(b->only, t->name) != 0) { continue; }
        for (size_t i = b->tiny ? 2 : 0; i < 3; i++) {
            bench_linears(b, t, batches[i]);
            bench_ops(b, t, batches[i]);
        }
    }
    if (ops && b->only == NULL) { bench_text_and_head(b); }
    for (const bench_tower *t = towers; whole && t->name != NULL; t++) {
        if (b->only == NULL || strcmp(b->only, t->name) == 0) { bench_tower_run(b, t); }
    }
}

static void print_header(bench *b) {
    char                    text[192], when[32] = "";
    const ccu_device_facts *facts = ccu_device_facts_of(b->device);
    const time_t            now   = time(NULL);
    struct tm               utc;
    size_t                  free_bytes = 0;
    ccu_cuda_describe(b->be, text, sizeof text);
    (void)ccu_device_memory_free(b->device, &free_bytes);
    if (gmtime_r(&now, &utc) != NULL) { (void)strftime(when, sizeof when, "%F %H:%M UTC", &utc); }
    printf("%s; %s; %d multiprocessors, %.1f MB of L2, %.1f of %.1f GB free\n", when, text,
           facts->multiprocessors, (double)facts->l2_bytes / 1e6, (double)free_bytes / 1e9,
           (double)facts->memory_bytes / 1e9);
    if (b->json == NULL) { return; }
    (void)fprintf(b->json, "{\"header\":true,\"when\":\"%s\",\"device\":\"%s\",\"driver\":%d,"
                           "\"runtime\":%d,\"multiprocessors\":%d}\n",
                  when, facts->name, facts->driver, facts->runtime, facts->multiprocessors);
}

int main(int argc, char **argv) {
    request      r;
    clipcu_error error = { 0 };
    if (!read_arguments(argc, argv, &r)) {
        (void)fprintf(stderr, "usage: %s [--tiny] [--json FILE] [--tower NAME] "
                              "[--dtype bf16|f16] ops|towers|all\n", argv[0]);
        return 2;
    }
    bench b = { .tiny = r.tiny, .only = r.tiny ? NULL : r.tower };
    if (ccu_cuda_open(0, NULL, &b.be, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    b.device   = gpu_device(b.be);
    b.l2_bytes = ccu_device_facts_of(b.device)->l2_bytes;
    if (r.json != NULL) {
        b.json = fopen(r.json, "a");
        if (b.json == NULL) { perror(r.json); }
    }
    bool good = (r.json == NULL || b.json != NULL) && bench_open_pool(&b, r.dtype);
    if (good) {
        print_header(&b);
        run(&b, &r);
        printf("\n%d cases, %d failed\n", b.cases, b.failures);
    }
    bench_close_pool(&b);
    if (b.json != NULL) { (void)fclose(b.json); }
    b.be->ops->close(b.be);
    return good && b.failures == 0 && b.cases > 0 ? 0 : 1;
}
