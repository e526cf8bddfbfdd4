/* Results of a search as text; see hits.h. */
#include "cli/hits.h"

#include <inttypes.h>

#include "stream/escape.h"

#define DIGITS 6 /* significant ones: f32 cosines of two machines differ behind them */

#define CODE_BOLD "\033[1m"
#define CODE_RED "\033[31m"
#define CODE_NONE "\033[0m"

static void code(const ccu_hits_sink *sink, ccu_buffer *buffer, const char *escape) {
    if (sink->colour) { ccu_buffer_text(buffer, escape); }
}

void ccu_hits_begin(const ccu_hits_sink *sink, ccu_buffer *buffer) {
    if (sink->format == CCU_FORMAT_CSV) {
        ccu_buffer_text(buffer, "query,rank,row,cosine,name,error\n");
    }
}

static void add_jsonl(const ccu_hits *h, ccu_buffer *buffer) {
    ccu_buffer_text(buffer, "{");
    ccu_escape_json_path(buffer, h->kind, h->query);
    if (h->error != NULL) {
        ccu_buffer_text(buffer, ",\"error\":");
        ccu_escape_json(buffer, h->error);
        ccu_buffer_text(buffer, "}\n");
        return;
    }
    ccu_buffer_text(buffer, ",\"hits\":[");
    for (int32_t i = 0; i < h->count && h->hits[i].row >= 0; i++) {
        ccu_buffer_text(buffer, i == 0 ? "{" : ",{");
        if (h->names[i] != NULL) {
            ccu_escape_json_path(buffer, h->key, h->names[i]);
            ccu_buffer_text(buffer, ",");
        }
        ccu_buffer_format(buffer, "\"row\":%" PRId64 ",\"cosine\":", h->hits[i].row);
        ccu_escape_json_number(buffer, h->hits[i].cosine, DIGITS);
        ccu_buffer_text(buffer, "}");
    }
    ccu_buffer_text(buffer, "]}\n");
}

static void add_csv(const ccu_hits *h, ccu_buffer *buffer) {
    if (h->error != NULL) {
        ccu_escape_csv(buffer, h->query);
        ccu_buffer_text(buffer, ",,,,,");
        ccu_escape_csv(buffer, h->error);
        ccu_buffer_text(buffer, "\n");
        return;
    }
    for (int32_t i = 0; i < h->count && h->hits[i].row >= 0; i++) {
        ccu_escape_csv(buffer, h->query);
        ccu_buffer_format(buffer, ",%d,%" PRId64 ",%.*g,", (int)i + 1, h->hits[i].row, DIGITS,
                          (double)h->hits[i].cosine);
        if (h->names[i] != NULL) { ccu_escape_csv(buffer, h->names[i]); }
        ccu_buffer_text(buffer, ",\n");
    }
}

static void add_table(const ccu_hits_sink *sink, const ccu_hits *h, ccu_buffer *buffer) {
    code(sink, buffer, CODE_BOLD);
    ccu_escape_plain(buffer, h->query);
    code(sink, buffer, CODE_NONE);
    ccu_buffer_text(buffer, "\n");
    if (h->error != NULL) {
        code(sink, buffer, CODE_RED);
        ccu_buffer_text(buffer, "   error  ");
        code(sink, buffer, CODE_NONE);
        ccu_escape_plain(buffer, h->error);
        ccu_buffer_text(buffer, "\n");
        return;
    }
    for (int32_t i = 0; i < h->count && h->hits[i].row >= 0; i++) {
        ccu_buffer_format(buffer, "%8.4f  ", (double)h->hits[i].cosine);
        if (h->names[i] != NULL) {
            ccu_escape_plain(buffer, h->names[i]);
        } else {
            ccu_buffer_format(buffer, "row %" PRId64, h->hits[i].row);
        }
        ccu_buffer_text(buffer, "\n");
    }
}

void ccu_hits_add(const ccu_hits_sink *sink, const ccu_hits *hits, ccu_buffer *buffer) {
    switch (sink->format) {
    case CCU_FORMAT_JSONL: add_jsonl(hits, buffer); return;
    case CCU_FORMAT_CSV: add_csv(hits, buffer); return;
    case CCU_FORMAT_TABLE: add_table(sink, hits, buffer); return;
    }
}
