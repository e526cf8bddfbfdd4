/* What the stages of a pipeline did; see stages.h. */
#include "stream/stages.h"

#include <inttypes.h>

static const char *const names[CCU_STAGES] = { "source", "read", "decode", "encode", "sink" };

static const char *const advice[CCU_STAGES] = {
    "finding the inputs: fewer, larger folders or a list of paths",
    "reading the files: faster storage",
    "decoding and resizing: more cores (--threads)",
    "the model: a GPU, a smaller model or a lower --precision",
    "writing the results: a faster disk, --format jsonl, a smaller --top, no --html",
};

/* Share of the run that the threads of a stage were at work, 0 .. 1. */
static double share(const ccu_stages *stages, int32_t s) {
    const ccu_stage *stage = &stages->stage[s];
    const double     whole = stages->seconds * stage->threads;
    return whole > 0.0 ? stage->busy / whole : 0.0;
}

int32_t ccu_stages_slowest(const ccu_stages *stages) {
    int32_t slowest = -1;
    for (int32_t s = 0; s < CCU_STAGES; s++) {
        if (share(stages, s) > (slowest < 0 ? 0.0 : share(stages, slowest))) { slowest = s; }
    }
    return slowest;
}

static double per_second(int64_t count, double seconds) {
    return seconds > 0.0 ? (double)count / seconds : 0.0;
}

static void add_sentence(const ccu_stages *stages, ccu_buffer *out) {
    const int32_t s = ccu_stages_slowest(stages);
    if (s < 0) { return; }
    ccu_buffer_format(out, "%s was at work %.0f %% of the time. What would move it is %s.",
                      names[s], 100.0 * share(stages, s), advice[s]);
    if (stages->shared_cores && (s == CCU_STAGE_DECODE || s == CCU_STAGE_ENCODE)) {
        ccu_buffer_text(out, " Decoding and the model share the cores here.");
    }
}

void ccu_stages_table(const ccu_stages *stages, ccu_buffer *out) {
    ccu_buffer_format(out, "%-8s%8s%12s%12s%10s%10s%10s%12s\n", "stage", "threads", "items", "MiB",
                      "busy s", "waiting", "blocked", "items/busy s");
    for (int32_t s = 0; s < CCU_STAGES; s++) {
        const ccu_stage *stage = &stages->stage[s];
        ccu_buffer_format(out, "%-8s%8d%12" PRId64 "%12.1f%10.2f%10.2f%10.2f%12.1f\n", names[s],
                          stage->threads, stage->items, (double)stage->bytes / (1024.0 * 1024.0),
                          stage->busy, stage->waiting, stage->blocked,
                          per_second(stage->items, stage->busy));
    }
    ccu_buffer_format(out, "waiting on average: %.1f files for a decoder, %.1f batches for the "
                           "model\n",
                      stages->queue_decode, stages->queue_encode);
    add_sentence(stages, out);
    ccu_buffer_text(out, "\n");
}

void ccu_stages_json(const ccu_stages *stages, ccu_buffer *out) {
    const int32_t slowest = ccu_stages_slowest(stages);
    ccu_buffer_format(out, "{\"seconds\":%.6f,\"images\":%" PRId64 ",\"errors\":%" PRId64
                           ",\"batches\":%" PRId64 ",\"images_per_second\":%.3f,\"stages\":[",
                      stages->seconds, stages->images, stages->errors, stages->batches,
                      per_second(stages->images, stages->seconds));
    for (int32_t s = 0; s < CCU_STAGES; s++) {
        const ccu_stage *stage = &stages->stage[s];
        ccu_buffer_format(out, "%s{\"stage\":\"%s\",\"threads\":%d,\"items\":%" PRId64
                               ",\"bytes\":%" PRIu64 ",\"busy\":%.6f,\"waiting\":%.6f,"
                               "\"blocked\":%.6f}",
                          s == 0 ? "" : ",", names[s], stage->threads, stage->items, stage->bytes,
                          stage->busy, stage->waiting, stage->blocked);
    }
    ccu_buffer_format(out, "],\"queue_decode\":%.3f,\"queue_encode\":%.3f,\"slowest\":\"%s\","
                           "\"explanation\":\"",
                      stages->queue_decode, stages->queue_encode,
                      slowest < 0 ? "" : names[slowest]);
    add_sentence(stages, out); /* holds nothing that JSON escapes */
    ccu_buffer_text(out, "\"}\n");
}
