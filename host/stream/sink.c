/* Results as text; see sink.h. */
#include "stream/sink.h"

#include <assert.h>
#include <string.h>

#include "stream/escape.h"

#define BAR_CELLS 20
#define LABEL_COLUMNS_MAX 40
#define DIGITS 6 /* significant ones: f32 cosines of two machines differ behind them */

#define CODE_BOLD "\033[1m"
#define CODE_DIM "\033[2m"
#define CODE_RED "\033[31m"
#define CODE_GREEN "\033[32m"
#define CODE_NONE "\033[0m"

static void code(const ccu_sink *sink, ccu_buffer *buffer, const char *escape) {
    if (sink->colour) { ccu_buffer_text(buffer, escape); }
}

void ccu_sink_begin(const ccu_sink *sink, ccu_buffer *buffer) {
    if (sink->format != CCU_FORMAT_CSV) { return; }
    ccu_buffer_text(buffer, "path");
    for (int32_t i = 1; i <= sink->top; i++) {
        ccu_buffer_format(buffer, ",label_%d,probability_%d,cosine_%d", (int)i, (int)i, (int)i);
    }
    ccu_buffer_text(buffer, ",error\n");
}

const char *ccu_sink_bare_error(const char *path, const char *error) {
    const size_t bytes = strlen(path);
    if (strncmp(error, path, bytes) == 0 && strncmp(error + bytes, ": ", 2) == 0) {
        return error + bytes + 2;
    }
    return error;
}

static void end_jsonl(const ccu_result *result, ccu_buffer *buffer) {
    if (result->sample != NULL) { ccu_buffer_text(buffer, result->sample); }
    ccu_buffer_text(buffer, "}\n");
}

static void add_jsonl(const ccu_result *result, ccu_buffer *buffer) {
    ccu_buffer_text(buffer, "{");
    ccu_escape_json_path(buffer, "path", result->path);
    if (result->error != NULL) {
        ccu_buffer_text(buffer, ",\"error\":");
        ccu_escape_json(buffer, ccu_sink_bare_error(result->path, result->error));
        end_jsonl(result, buffer);
        return;
    }
    ccu_buffer_text(buffer, ",\"labels\":[");
    for (int32_t i = 0; i < result->count; i++) {
        ccu_buffer_text(buffer, i == 0 ? "{\"label\":" : ",{\"label\":");
        ccu_escape_json(buffer, result->scores[i].label);
        ccu_buffer_text(buffer, ",\"probability\":");
        ccu_escape_json_number(buffer, result->scores[i].probability, DIGITS);
        ccu_buffer_text(buffer, ",\"cosine\":");
        ccu_escape_json_number(buffer, result->scores[i].cosine, DIGITS);
        ccu_buffer_text(buffer, "}");
    }
    ccu_buffer_text(buffer, "]");
    end_jsonl(result, buffer);
}

static void add_csv(const ccu_sink *sink, const ccu_result *result, ccu_buffer *buffer) {
    ccu_escape_csv(buffer, result->path);
    for (int32_t i = 0; i < sink->top; i++) {
        if (result->error != NULL || i >= result->count) {
            ccu_buffer_text(buffer, ",,,");
            continue;
        }
        ccu_buffer_text(buffer, ",");
        ccu_escape_csv(buffer, result->scores[i].label);
        ccu_buffer_format(buffer, ",%.*g,%.*g", DIGITS, (double)result->scores[i].probability,
                          DIGITS, (double)result->scores[i].cosine);
    }
    ccu_buffer_text(buffer, ",");
    if (result->error != NULL) {
        ccu_escape_csv(buffer, ccu_sink_bare_error(result->path, result->error));
    }
    ccu_buffer_text(buffer, "\n");
}

/* A bar of BAR_CELLS cells, in eighths of a cell where the terminal can show them. */
static void add_bar(const ccu_sink *sink, float share, ccu_buffer *buffer) {
    static const char *const eighths[8] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    const float              clipped    = share > 1.0f ? 1.0f : share > 0.0f ? share : 0.0f;
    const int32_t            filled     = (int32_t)(clipped * (8 * BAR_CELLS) + 0.5f);
    int32_t                  used       = 0;
    for (; used < filled / 8; used++) { ccu_buffer_text(buffer, sink->unicode ? "█" : "#"); }
    if (sink->unicode && filled % 8 != 0) {
        ccu_buffer_text(buffer, eighths[filled % 8]);
        used++;
    }
    ccu_buffer_repeat(buffer, ' ', BAR_CELLS - used + 2);
}

static void add_percent(float probability, ccu_buffer *buffer) {
    ccu_buffer_format(buffer, "%6.1f %%  ", 100.0 * (double)probability);
}

static int32_t widest_label(const ccu_sink *sink) {
    return sink->label_columns < LABEL_COLUMNS_MAX ? sink->label_columns : LABEL_COLUMNS_MAX;
}

/* One line: the path stands last, so that columns align however long it is. */
static void add_table_line(const ccu_sink *sink, const ccu_result *result, ccu_buffer *buffer) {
    const char   *label   = result->error != NULL ? "" : result->scores[0].label;
    const int32_t columns = ccu_plain_columns(label);
    const int32_t widest  = widest_label(sink);
    if (result->error != NULL) {
        code(sink, buffer, CODE_RED);
        ccu_buffer_text(buffer, "   error  ");
    } else {
        add_percent(result->scores[0].probability, buffer);
        code(sink, buffer, CODE_GREEN);
    }
    ccu_escape_plain(buffer, label);
    code(sink, buffer, CODE_NONE);
    ccu_buffer_repeat(buffer, ' ', (columns < widest ? widest - columns : 0) + 2);
    ccu_escape_plain(buffer, result->path);
    if (result->error != NULL) {
        ccu_buffer_text(buffer, ": ");
        ccu_escape_plain(buffer, ccu_sink_bare_error(result->path, result->error));
    }
    ccu_buffer_text(buffer, "\n");
}

static void add_table_block(const ccu_sink *sink, const ccu_result *result, ccu_buffer *buffer) {
    code(sink, buffer, CODE_BOLD);
    ccu_escape_plain(buffer, result->path);
    code(sink, buffer, CODE_NONE);
    ccu_buffer_text(buffer, "\n");
    if (result->error != NULL) {
        code(sink, buffer, CODE_RED);
        ccu_buffer_text(buffer, "   error  ");
        code(sink, buffer, CODE_NONE);
        ccu_escape_plain(buffer, ccu_sink_bare_error(result->path, result->error));
        ccu_buffer_text(buffer, "\n");
        return;
    }
    for (int32_t i = 0; i < result->count; i++) {
        const ccu_score *score = &result->scores[i];
        code(sink, buffer, i == 0 ? CODE_GREEN : CODE_DIM);
        add_percent(score->probability, buffer);
        if (sink->bars) { add_bar(sink, score->probability, buffer); }
        ccu_escape_plain(buffer, score->label);
        code(sink, buffer, CODE_NONE);
        ccu_buffer_text(buffer, "\n");
    }
}

void ccu_sink_add(const ccu_sink *sink, const ccu_result *result, ccu_buffer *buffer) {
    assert(result->path != NULL);
    assert(result->error != NULL || result->count > 0);
    switch (sink->format) {
    case CCU_FORMAT_JSONL: add_jsonl(result, buffer); return;
    case CCU_FORMAT_CSV: add_csv(sink, result, buffer); return;
    case CCU_FORMAT_TABLE: break;
    }
    if (sink->top == 1) {
        add_table_line(sink, result, buffer);
    } else {
        add_table_block(sink, result, buffer);
    }
}
