/* Where a run goes on; see resume.h. */
#define _GNU_SOURCE /* getc_unlocked */
#include "stream/resume.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stream/buffer.h"
#include "stream/escape.h"

/* A file of records, read byte by byte. */
typedef struct records {
    const ccu_resume_options *o;
    FILE                     *stream;
    uint64_t                  at;     /* bytes read */
    bool                      quoted; /* CSV: within quotes, where a line end is no end */
} records;

static int next_byte(records *r) {
    const int c = getc_unlocked(r->stream);
    if (c == EOF) { return EOF; }
    r->at++;
    if (r->o->csv && c == '"') { r->quoted = !r->quoted; }
    return c;
}

/* Reads to the end of a record; false if there is none. */
static bool end_record(records *r) {
    for (;;) {
        const int c = next_byte(r);
        if (c == EOF) { return false; }
        if (c == '\n' && !r->quoted) { return true; }
    }
}

/* Whether these bytes come next. */
static bool begins(records *r, const char *text) {
    for (; *text != '\0'; text++) {
        if (next_byte(r) != (unsigned char)*text) { return false; }
    }
    return true;
}

/* How a record of this path begins, up to the comma behind what all of them have. */
static void expect(const records *r, const char *path, int64_t index, ccu_buffer *out) {
    ccu_buffer_clear(out);
    if (r->o->csv) {
        ccu_escape_csv(out, path);
    } else {
        ccu_buffer_text(out, "{");
        ccu_escape_json_path(out, "path", path);
        if (r->o->rows) { ccu_buffer_format(out, ",\"row\":%" PRId64, index); }
    }
    ccu_buffer_text(out, r->o->rows ? "" : ",");
}

/* Behind that: whether the record is an error. What is read of it is not its end. */
static bool is_error(records *r) {
    if (r->o->csv) {
        const int c = getc_unlocked(r->stream); /* an empty label */
        if (c != EOF) { (void)ungetc(c, r->stream); } /* one byte can always be put back */
        return c == ',';
    }
    return begins(r, r->o->rows ? ",\"e" : "\"e"); /* no record holds an LF before its end */
}

/* Whole records, the heading among them. */
static int64_t count_records(records *r) {
    int64_t count = 0;
    while (end_record(r)) { count++; }
    rewind(r->stream);
    r->at     = 0;
    r->quoted = false;
    return count;
}

static clipcu_status read_record(records *r, ccu_source *source, ccu_buffer *expected,
                                 ccu_resumed *out, clipcu_error *error) {
    const char     *name = r->o->path;
    ccu_source_item item;
    if (ccu_source_next(source, -1, &item) != CCU_SOURCE_ITEM) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: it has more results than there are inputs, which end behind %" PRId64
                        "; run without --resume to begin anew",
                        name, out->items);
    }
    expect(r, item.path, out->items, expected);
    const clipcu_status status = ccu_buffer_status(expected, error);
    if (status != CLIPCU_OK) { return status; }
    if (!begins(r, expected->data)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: result %" PRId64 " is not that of %.200s, which stands there among "
                        "the inputs; run without --resume to begin anew",
                        name, out->items + 1, item.path);
    }
    if (is_error(r)) { out->errors++; }
    out->items++;
    return CLIPCU_OK;
}

clipcu_status ccu_resume_read(const ccu_resume_options *options, ccu_source *source,
                              ccu_resumed *out, clipcu_error *error) {
    records       r        = { .o = options, .stream = fopen(options->path, "rb") };
    ccu_buffer    expected = { .data = NULL };
    clipcu_status status   = CLIPCU_OK;
    *out                   = (ccu_resumed){ .items = 0 };
    if (r.stream == NULL) {
        return ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot open: %s", options->path,
                        strerror(errno));
    }
    int64_t count = count_records(&r);
    if (count > 0 && options->heading[0] != '\0') {
        count--;
        if (!begins(&r, options->heading)) {
            status = ccu_fail(error, CLIPCU_ERR_FORMAT,
                              "%s: its first line is not that of such results; run without "
                              "--resume to begin anew",
                              options->path);
        }
        out->bytes = r.at;
    }
    if (options->most >= 0 && count > options->most) { count = options->most; }
    ccu_source_names_only(source, true);
    while (status == CLIPCU_OK && out->items < count && !out->stopped) {
        out->stopped = options->stopped != NULL && options->stopped(options->stopped_context);
        if (!out->stopped) { status = read_record(&r, source, &expected, out, error); }
        if (status == CLIPCU_OK && !out->stopped) {
            (void)end_record(&r); /* counted, so it is there */
            out->bytes = r.at;
        }
    }
    ccu_source_names_only(source, false);
    ccu_buffer_free(&expected);
    (void)fclose(r.stream); /* only read from */
    return status;
}
