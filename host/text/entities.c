/* HTML character references; see entities.h. */
#include "text/entities.h"

#include <assert.h>
#include <string.h>
#include <utf8proc.h>

#define NAME_MAX_CODES 32  /* html.unescape reads at most this many characters after the & */
#define STRICT_NAME_MAX 24 /* ftfy's regular expression */
#define VALUE_MAX 3        /* code points of the longest replacement */

/* A replacement; count 0 with found: the reference stands for nothing. */
typedef struct value {
    int32_t codes[VALUE_MAX];
    size_t  count;
    bool    found;
} value;

static const uint16_t windows_1252[32] = {
    0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8d,   0x017d, 0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178,
};

int32_t ccu_windows_1252(int32_t byte) {
    assert(byte >= 0x80);
    assert(byte <= 0x9f);
    return windows_1252[byte - 0x80];
}

static bool is_digit(int32_t code) {
    return code >= '0' && code <= '9';
}

static bool is_alnum(int32_t code) {
    return is_digit(code) || (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z');
}

static int32_t hex_digit(int32_t code) {
    if (is_digit(code)) { return code - '0'; }
    if (code >= 'a' && code <= 'f') { return code - 'a' + 10; }
    if (code >= 'A' && code <= 'F') { return code - 'A' + 10; }
    return -1;
}

/* ---- Names ---------------------------------------------------------------------------------- */

/* Order of name against the name at the start of a table row. */
static int compare(const char *name, size_t bytes, const char *row) {
    const size_t row_bytes = strcspn(row, " ;");
    const int    order     = memcmp(name, row, bytes < row_bytes ? bytes : row_bytes);
    if (order != 0) { return order; }
    return bytes < row_bytes ? -1 : bytes > row_bytes ? 1 : 0;
}

static void parse_row(const char *row, value *out) {
    const char *c = strchr(row, ' ');
    *out          = (value){ .found = true };
    while (c != NULL && *c == ' ') {
        int32_t code = 0;
        for (c++; hex_digit(*c) >= 0; c++) { code = code * 16 + hex_digit(*c); }
        assert(out->count < VALUE_MAX);
        out->codes[out->count++] = code;
    }
}

/* Looks name up; without a semicolon only the legacy names count. */
static value find_name(const char *name, size_t bytes, bool semicolon) {
    size_t low = 0, high = CCU_ENTITIES;
    value  out = { .found = false };
    while (low < high) {
        const size_t      middle = low + (high - low) / 2;
        const char *const row    = ccu_entity_table[middle];
        const int         order  = compare(name, bytes, row);
        if (order == 0) {
            if (semicolon || row[bytes] == ' ') { parse_row(row, &out); }
            return out;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return out;
}

/* Copies the ASCII letters and digits at codes into name; returns how many. */
static size_t read_name(const int32_t *codes, size_t count, size_t name_max, char *name) {
    size_t bytes = 0;
    while (bytes < count && bytes < name_max && is_alnum(codes[bytes])) {
        name[bytes] = (char)codes[bytes];
        bytes++;
    }
    return bytes;
}

/* The longest legacy name of at least two letters that name begins with. */
static value find_prefix(const char *name, size_t bytes, size_t *used) {
    value out = { .found = false };
    for (size_t n = bytes; n >= 2 && !out.found; n--) {
        out   = find_name(name, n, false);
        *used = n;
    }
    return out;
}

/* ---- Numbers -------------------------------------------------------------------------------- */

/* What number stands for (html.unescape, after the HTML standard). */
static value from_number(int64_t number) {
    value out = { .codes = { (int32_t)number }, .count = 1, .found = true };
    if (number == 0 || (number >= 0xd800 && number <= 0xdfff) || number > 0x10ffff) {
        out.codes[0] = 0xfffd;
    } else if (number >= 0x80 && number <= 0x9f) {
        out.codes[0] = ccu_windows_1252((int32_t)number);
    } else if (number < 9 || number == 0xb || (number >= 0xe && number <= 0x1f) || number == 0x7f ||
               (number >= 0xfdd0 && number <= 0xfdef) || (number & 0xfffe) == 0xfffe) {
        out.count = 0;
    }
    return out;
}

/* Reads "#123" or "#x7b" at codes; *used counts what was read, 0 if there is no number. */
static value read_number(const int32_t *codes, size_t count, size_t *used) {
    const bool    hex   = count > 1 && (codes[1] == 'x' || codes[1] == 'X');
    const size_t  start = hex ? 2 : 1;
    const int64_t base  = hex ? 16 : 10;
    int64_t       total = 0;
    size_t        i     = start;
    while (i < count && hex_digit(codes[i]) >= 0 && hex_digit(codes[i]) < base) {
        total = total * base + hex_digit(codes[i]);
        if (total > 0x110000) { total = 0x110000; } /* too large stays too large */
        i++;
    }
    *used = i > start ? i : 0;
    return i > start ? from_number(total) : (value){ .found = false };
}

/* ---- html.unescape -------------------------------------------------------------------------- */

/* Reads the reference after an ampersand; *used counts what it takes up. */
static value read_reference(const int32_t *codes, size_t count, size_t *used) {
    if (count > 0 && codes[0] == '#') {
        const value out = read_number(codes, count, used);
        if (*used > 0 && *used < count && codes[*used] == ';') { (*used)++; }
        return out;
    }
    char         name[NAME_MAX_CODES];
    const size_t bytes = read_name(codes, count, NAME_MAX_CODES, name);
    if (bytes > 0 && bytes < count && codes[bytes] == ';') {
        *used           = bytes + 1;
        const value out = find_name(name, bytes, true);
        if (out.found) { return out; }
    }
    return find_prefix(name, bytes, used);
}

/* Replaces in place: no reference is shorter than what it stands for. */
static void replace(ccu_codes *codes, value (*read)(const int32_t *, size_t, size_t *)) {
    size_t to = 0, from = 0;
    while (from < codes->count) {
        size_t used = 0;
        value  out  = { .found = false };
        if (codes->items[from] == '&') {
            out = read(codes->items + from + 1, codes->count - from - 1, &used);
        }
        if (out.found) {
            assert(out.count <= used);
            for (size_t i = 0; i < out.count; i++) { codes->items[to++] = out.codes[i]; }
            from += used + 1;
        } else {
            codes->items[to++] = codes->items[from++];
        }
    }
    codes->count = to;
}

void ccu_html_unescape(ccu_codes *codes) {
    replace(codes, read_reference);
}

/* ---- ftfy's unescape_html ------------------------------------------------------------------- */

/* Python's str.upper of what an entity stands for: seven of them grow. */
static value upper(value in) {
    value out = { .found = true };
    for (size_t i = 0; i < in.count; i++) {
        switch (in.codes[i]) {
        case 0xdf: return (value){ .codes = { 'S', 'S' }, .count = 2, .found = true };
        case 0x149: return (value){ .codes = { 0x2bc, 'N' }, .count = 2, .found = true };
        case 0xfb00: return (value){ .codes = { 'F', 'F' }, .count = 2, .found = true };
        case 0xfb01: return (value){ .codes = { 'F', 'I' }, .count = 2, .found = true };
        case 0xfb02: return (value){ .codes = { 'F', 'L' }, .count = 2, .found = true };
        case 0xfb03: return (value){ .codes = { 'F', 'F', 'I' }, .count = 3, .found = true };
        case 0xfb04: return (value){ .codes = { 'F', 'F', 'L' }, .count = 3, .found = true };
        default: out.codes[out.count++] = utf8proc_toupper(in.codes[i]); break;
        }
    }
    return out;
}

/* An all-capital spelling of a lower-case name, unless html.unescape would read part of it. */
static value find_capitals(const char *name, size_t bytes) {
    char   lower[STRICT_NAME_MAX];
    size_t used = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (name[i] >= 'a' && name[i] <= 'z') { return (value){ .found = false }; }
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a') : name[i];
    }
    if (find_prefix(name, bytes, &used).found) { return (value){ .found = false }; }
    const value out = find_name(lower, bytes, true);
    return out.found ? upper(out) : out;
}

static value read_strict(const int32_t *codes, size_t count, size_t *used) {
    const value  none  = { .found = false };
    const bool   sharp = count > 0 && codes[0] == '#';
    char         name[STRICT_NAME_MAX];
    const size_t skip  = sharp ? 1 : 0;
    const size_t bytes = read_name(codes + skip, count - skip, STRICT_NAME_MAX, name);
    if (bytes == 0 || skip + bytes >= count || codes[skip + bytes] != ';') { return none; }
    *used = skip + bytes + 1;
    if (sharp) { /* the number must fill the reference, and a semicolon is left to html.unescape */
        size_t      digits = 0;
        const value out    = read_number(codes, count, &digits);
        const bool  whole  = out.found && digits == skip + bytes;
        return whole && !(out.count == 1 && out.codes[0] == ';') ? out : none;
    }
    const value out = find_name(name, bytes, true);
    return out.found ? out : find_capitals(name, bytes);
}

void ccu_html_unescape_strict(ccu_codes *codes) {
    replace(codes, read_strict);
}
