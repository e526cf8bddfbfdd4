/* Cleaning of texts; see clean.h. */
#include "text/clean.h"

#include <assert.h>
#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "text/entities.h"

#define ESCAPE 0x1b

/* ---- Plain text ----------------------------------------------------------------------------- */

/* True for ASCII without references and control characters: both rules leave all of it as it is
 * but for case and white space. Almost every prompt is of this kind. */
static bool is_plain(const uint8_t *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        const bool printable = text[i] >= ' ' && text[i] <= '~' && text[i] != '&';
        if (!printable && text[i] != '\t' && text[i] != '\n' && text[i] != '\r') { return false; }
    }
    return true;
}

/* Lower case, runs of white space to one space; with strip none at either end. */
static clipcu_status clean_plain(const uint8_t *text, size_t bytes, bool strip, char **out,
                                 size_t *out_bytes, clipcu_error *error) {
    char *to = ccu_alloc(bytes + 1);
    if (to == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "text: no memory for %zu bytes", bytes);
    }
    size_t count = 0;
    for (size_t i = 0; i < bytes; i++) {
        const uint8_t c     = text[i];
        const bool    space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!space) {
            to[count++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
        } else if (count == 0 ? !strip : to[count - 1] != ' ') {
            to[count++] = ' ';
        }
    }
    if (strip && count > 0 && to[count - 1] == ' ') { count--; }
    to[count]  = '\0';
    *out       = to;
    *out_bytes = count;
    return CLIPCU_OK;
}

/* ---- ftfy's steps --------------------------------------------------------------------------- */

/* Pushes a Latin ligature or digraph as its letters; false if code is none. */
static bool push_ligature(int32_t code, ccu_codes *out) {
    const char *letters = NULL;
    switch (code) {
    case 0x132: letters = "IJ"; break;
    case 0x133: letters = "ij"; break;
    case 0x149: letters = "'n"; break; /* by way of U+02BC, which step 5 makes straight */
    case 0x1c7: letters = "LJ"; break;
    case 0x1c8: letters = "Lj"; break;
    case 0x1c9: letters = "lj"; break;
    case 0x1ca: letters = "NJ"; break;
    case 0x1cb: letters = "Nj"; break;
    case 0x1cc: letters = "nj"; break;
    case 0x1f1: letters = "DZ"; break;
    case 0x1f2: letters = "Dz"; break;
    case 0x1f3: letters = "dz"; break;
    case 0x1c4: letters = "D\u017d"; break;
    case 0x1c5: letters = "D\u017e"; break;
    case 0x1c6: letters = "d\u017e"; break;
    case 0xfb00: letters = "ff"; break;
    case 0xfb01: letters = "fi"; break;
    case 0xfb02: letters = "fl"; break;
    case 0xfb03: letters = "ffi"; break;
    case 0xfb04: letters = "ffl"; break;
    case 0xfb05: letters = "\u017ft"; break;
    case 0xfb06: letters = "st"; break;
    default: return false;
    }
    ccu_codes_append_utf8(out, (const uint8_t *)letters, strlen(letters));
    return true;
}

/* Pushes a full-width or half-width form as what it is compatible with; false if code is none.
 * No product of these is a curly quote or a line break but U+FF07, which becomes a straight one. */
static bool push_width(int32_t code, ccu_codes *out) {
    if (code == 0x3000) {
        ccu_codes_push(out, ' ');
        return true;
    }
    if (code < 0xff01 || code >= 0xfff0) { return false; }
    utf8proc_int32_t       parts[8];
    int                    boundary = 0;
    const utf8proc_ssize_t count    = utf8proc_decompose_char(
           code, parts, 8, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
    if (count < 1 || count > 8) { return false; }
    ccu_codes_append(out, parts, (size_t)count);
    return true;
}

/* Steps 2 to 6, one character at a time. */
static void fold_characters(const ccu_codes *in, ccu_codes *out) {
    for (size_t i = 0; i < in->count; i++) {
        int32_t code = in->items[i];
        if (code >= 0x80 && code <= 0x9f) { code = ccu_windows_1252(code); }
        if (push_ligature(code, out) || push_width(code, out)) { continue; }
        if (code == 0x2bc || (code >= 0x2018 && code <= 0x201b)) {
            ccu_codes_push(out, '\'');
        } else if (code >= 0x201c && code <= 0x201f) {
            ccu_codes_push(out, '"');
        } else if (code == '\r') {
            const bool paired = i + 1 < in->count && in->items[i + 1] == '\n';
            if (!paired) { ccu_codes_push(out, '\n'); }
        } else if (code == 0x2028 || code == 0x2029) {
            ccu_codes_push(out, '\n');
        } else {
            ccu_codes_push(out, code);
        }
    }
}

/* Length of the ANSI escape at items: ESC [ digits and semicolons, a letter. 0 if it is none. */
static size_t ansi_length(const int32_t *items, size_t count) {
    if (count < 3 || items[0] != ESCAPE || items[1] != '[') { return 0; }
    size_t i = 2;
    while (i < count && (items[i] == ';' || ccu_is_decimal(items[i]))) { i++; }
    const bool letter = i < count && ((items[i] >= 'a' && items[i] <= 'z') ||
                                      (items[i] >= 'A' && items[i] <= 'Z'));
    return letter ? i + 1 : 0;
}

static bool is_unwanted(int32_t code) {
    if (code < 0x20) { return code != '\t' && code != '\n' && code != '\f' && code != '\r'; }
    return code == 0x7f || (code >= 0x206a && code <= 0x206f) || code == 0xfeff ||
           (code >= 0xfff9 && code <= 0xfffc);
}

/* Steps 7 and 8, in place. */
static void remove_controls(ccu_codes *codes) {
    size_t to = 0, from = 0;
    while (from < codes->count) {
        const int32_t code = codes->items[from];
        const size_t  ansi = ansi_length(codes->items + from, codes->count - from);
        if (ansi > 0) {
            from += ansi;
            continue;
        }
        if (!is_unwanted(code)) { codes->items[to++] = code; }
        from++;
    }
    codes->count = to;
}

/* The lists a line passes through. */
typedef struct stages {
    ccu_codes line, before, next;
} stages;

/* All steps of one line, until nothing changes. */
static clipcu_status fix_line(stages *work, bool unescape, clipcu_error *error) {
    ccu_codes *line = &work->line;
    for (int round = 0; round < CCU_CLEAN_ROUNDS_MAX; round++) {
        work->before.count = 0;
        ccu_codes_append(&work->before, line->items, line->count);
        if (unescape) { ccu_html_unescape_strict(line); }
        work->next.count = 0;
        fold_characters(line, &work->next);
        ccu_codes_swap(line, &work->next);
        remove_controls(line);
        work->next.count = 0;
        ccu_codes_nfc(line, &work->next);
        ccu_codes_swap(line, &work->next);
        if (line->failed || work->before.failed || work->next.failed) {
            return ccu_fail(error, CLIPCU_ERR_NOMEM, "text: no memory for %zu characters",
                            line->count);
        }
        if (ccu_codes_equal(line, &work->before)) { return CLIPCU_OK; }
    }
    return ccu_fail(error, CLIPCU_ERR_LIMIT, "text: HTML escapes nested deeper than %d",
                    CCU_CLEAN_ROUNDS_MAX);
}

/* ftfy.fix_text without fix_encoding. */
static clipcu_status fix_text(const ccu_codes *in, ccu_codes *out, clipcu_error *error) {
    stages        work     = { 0 };
    clipcu_status status   = CLIPCU_OK;
    bool          unescape = true;
    size_t        at       = 0;
    while (status == CLIPCU_OK && at < in->count) {
        size_t end = at;
        while (end < in->count && in->items[end] != '\n') {
            unescape = unescape && in->items[end] != '<';
            end++;
        }
        if (end < in->count) { end++; } /* the line feed belongs to its line */
        work.line.count = 0;
        ccu_codes_append(&work.line, in->items + at, end - at);
        status = fix_line(&work, unescape, error);
        ccu_codes_append(out, work.line.items, work.line.count);
        at = end;
    }
    ccu_codes_free(&work.line);
    ccu_codes_free(&work.before);
    ccu_codes_free(&work.next);
    return status;
}

/* ---- The rules ------------------------------------------------------------------------------ */

/* Runs of white space to one space, in place; with strip none at either end. */
static void collapse_spaces(ccu_codes *codes, bool strip) {
    size_t to = 0;
    for (size_t i = 0; i < codes->count; i++) {
        if (!ccu_is_space(codes->items[i])) {
            codes->items[to++] = codes->items[i];
        } else if (to == 0 ? !strip : codes->items[to - 1] != ' ') {
            codes->items[to++] = ' ';
        }
    }
    if (strip && to > 0 && codes->items[to - 1] == ' ') { to--; }
    codes->count = to;
}

/* Hands codes over as UTF-8. */
static clipcu_status finish(const ccu_codes *codes, char **out, size_t *out_bytes,
                            clipcu_error *error) {
    char *text = ccu_codes_to_utf8(codes, out_bytes);
    if (text == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "text: no memory for %zu characters",
                        codes->count);
    }
    *out = text;
    return CLIPCU_OK;
}

clipcu_status ccu_clean_openai(const uint8_t *text, size_t bytes, char **out, size_t *out_bytes,
                               clipcu_error *error) {
    if (is_plain(text, bytes)) { return clean_plain(text, bytes, true, out, out_bytes, error); }
    ccu_codes raw = { 0 }, clean = { 0 }, lower = { 0 };
    ccu_codes_append_utf8(&raw, text, bytes);
    clipcu_status status = fix_text(&raw, &clean, error);
    if (status == CLIPCU_OK) {
        ccu_html_unescape(&clean);
        ccu_html_unescape(&clean); /* twice, as OpenAI does: &amp;lt; is a < */
        collapse_spaces(&clean, true);
        ccu_codes_lower(&clean, true, &lower);
        lower.failed = lower.failed || raw.failed || clean.failed;
        status       = finish(&lower, out, out_bytes, error);
    }
    ccu_codes_free(&raw);
    ccu_codes_free(&clean);
    ccu_codes_free(&lower);
    return status;
}

clipcu_status ccu_clean_hf(const uint8_t *text, size_t bytes, char **out, size_t *out_bytes,
                           clipcu_error *error) {
    if (is_plain(text, bytes)) { return clean_plain(text, bytes, false, out, out_bytes, error); }
    ccu_codes raw = { 0 }, composed = { 0 }, lower = { 0 };
    ccu_codes_append_utf8(&raw, text, bytes);
    ccu_codes_nfc(&raw, &composed);
    collapse_spaces(&composed, false);
    ccu_codes_lower(&composed, false, &lower);
    lower.failed               = lower.failed || raw.failed || composed.failed;
    const clipcu_status status = finish(&lower, out, out_bytes, error);
    ccu_codes_free(&raw);
    ccu_codes_free(&composed);
    ccu_codes_free(&lower);
    return status;
}
