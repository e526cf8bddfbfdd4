/* The header of .npy files; see npy_header.h. */
#include "base/npy_header.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAGIC "\x93NUMPY"
#define MAGIC_BYTES 6
#define PREFIX_BYTES 10 /* of version 1.0 */
#define RANK_MAX 32     /* NumPy's own */

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are as they are in memory");

void ccu_npy_header(int64_t rows, int32_t columns, ccu_dtype dtype,
                    char out[CCU_NPY_HEADER_BYTES]) {
    char      text[CCU_NPY_HEADER_BYTES];
    const int length = snprintf(text, sizeof text,
                                "{'descr': '<f%d', 'fortran_order': False, 'shape': (%lld, %d), }",
                                dtype == CCU_F16 ? 2 : 4, (long long)rows, (int)columns);
    assert(dtype == CCU_F16 || dtype == CCU_F32);
    assert(length > 0);
    assert(length < CCU_NPY_HEADER_BYTES - PREFIX_BYTES); /* 89 with the longest numbers */
    memset(out, ' ', CCU_NPY_HEADER_BYTES);
    memcpy(out, MAGIC "\x01\x00\x76\x00", PREFIX_BYTES);
    memcpy(out + PREFIX_BYTES, text, (size_t)length);
    out[CCU_NPY_HEADER_BYTES - 1] = '\n';
}

/* ---- Reading: a cursor over the dictionary -------------------------------------------------- */

typedef struct cursor {
    const char *name; /* of the file */
    const char *at, *end;
} cursor;

/* A quoted word of the dictionary; points into it. */
typedef struct word {
    const char *text;
    size_t      bytes;
} word;

static void skip_spaces(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) { c->at++; }
}

/* Takes one character if it is the next. */
static bool take(cursor *c, char wanted) {
    skip_spaces(c);
    if (c->at == c->end || *c->at != wanted) { return false; }
    c->at++;
    return true;
}

static clipcu_status fail_at(const cursor *c, const char *expected, clipcu_error *error) {
    const size_t left = (size_t)(c->end - c->at);
    return ccu_fail(error, CLIPCU_ERR_FORMAT,
                    "%s: damaged .npy header: expected %s, found \"%.*s\"", c->name, expected,
                    (int)(left < 20 ? left : 20), c->at);
}

static clipcu_status read_word(cursor *c, const char *expected, word *out, clipcu_error *error) {
    skip_spaces(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) {
        return fail_at(c, expected, error);
    }
    const char  quote = *c->at;
    const char *stop  = memchr(c->at + 1, quote, (size_t)(c->end - c->at) - 1);
    if (stop == NULL) { return fail_at(c, expected, error); }
    *out  = (word){ .text = c->at + 1, .bytes = (size_t)(stop - c->at) - 1 };
    c->at = stop + 1;
    return CLIPCU_OK;
}

static bool is_word(word w, const char *text) {
    return w.bytes == strlen(text) && memcmp(w.text, text, w.bytes) == 0;
}

static clipcu_status read_number(cursor *c, int64_t *out, clipcu_error *error) {
    int64_t value = 0;
    skip_spaces(c);
    if (c->at == c->end || *c->at < '0' || *c->at > '9') {
        return fail_at(c, "a dimension", error);
    }
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++) {
        const int64_t digit = *c->at - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return fail_at(c, "a dimension that fits into 64 bits", error);
        }
        value = 10 * value + digit;
    }
    *out = value;
    return CLIPCU_OK;
}

/* ---- The three entries ---------------------------------------------------------------------- */

typedef struct entries {
    bool    descr, order, shape; /* seen */
    bool    fortran;
    word    type;
    int64_t dims[RANK_MAX];
    int32_t rank;
} entries;

static clipcu_status read_descr(cursor *c, entries *e, clipcu_error *error) {
    skip_spaces(c);
    if (c->at < c->end && *c->at == '[') {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: records of several fields, expected one matrix of '<f4' or '<f2'",
                        c->name);
    }
    return read_word(c, "the type of the numbers", &e->type, error);
}

static clipcu_status read_order(cursor *c, entries *e, clipcu_error *error) {
    skip_spaces(c);
    const size_t left = (size_t)(c->end - c->at);
    e->fortran        = left >= 4 && memcmp(c->at, "True", 4) == 0;
    if (!e->fortran && (left < 5 || memcmp(c->at, "False", 5) != 0)) {
        return fail_at(c, "True or False", error);
    }
    c->at += e->fortran ? 4 : 5;
    return CLIPCU_OK;
}

static clipcu_status read_shape(cursor *c, entries *e, clipcu_error *error) {
    if (!take(c, '(')) { return fail_at(c, "(", error); }
    while (!take(c, ')')) {
        if (e->rank == RANK_MAX) { return fail_at(c, "at most 32 dimensions", error); }
        const clipcu_status status = read_number(c, &e->dims[e->rank], error);
        if (status != CLIPCU_OK) { return status; }
        e->rank++;
        if (!take(c, ',')) {
            if (e->rank == 1 || !take(c, ')')) { return fail_at(c, "a comma or )", error); }
            break;
        }
    }
    return CLIPCU_OK;
}

static clipcu_status read_entry(cursor *c, entries *e, clipcu_error *error) {
    word          key    = { .text = NULL };
    bool         *seen   = NULL;
    clipcu_status status = read_word(c, "a key in quotes", &key, error);
    if (status != CLIPCU_OK) { return status; }
    if (is_word(key, "descr")) { seen = &e->descr; }
    if (is_word(key, "fortran_order")) { seen = &e->order; }
    if (is_word(key, "shape")) { seen = &e->shape; }
    if (seen == NULL || *seen) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: damaged .npy header: the key \"%.*s\" is unknown or stands twice",
                        c->name, (int)(key.bytes < 20 ? key.bytes : 20), key.text);
    }
    *seen = true;
    if (!take(c, ':')) { return fail_at(c, ":", error); }
    if (seen == &e->descr) { return read_descr(c, e, error); }
    return seen == &e->order ? read_order(c, e, error) : read_shape(c, e, error);
}

static clipcu_status read_dictionary(cursor *c, entries *e, clipcu_error *error) {
    if (!take(c, '{')) { return fail_at(c, "{", error); }
    while (!take(c, '}')) {
        const clipcu_status status = read_entry(c, e, error);
        if (status != CLIPCU_OK) { return status; }
        if (!take(c, ',')) {
            if (!take(c, '}')) { return fail_at(c, "a comma or }", error); }
            break;
        }
    }
    skip_spaces(c);
    if (c->at != c->end) { return fail_at(c, "its end", error); }
    if (!e->descr || !e->order || !e->shape) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: damaged .npy header: expected the keys descr, fortran_order and shape",
                        c->name);
    }
    return CLIPCU_OK;
}

/* ---- All of it ------------------------------------------------------------------------------ */

/* Finds the dictionary. */
static clipcu_status find_dictionary(const uint8_t *data, size_t bytes, cursor *c,
                                     clipcu_error *error) {
    if (bytes < PREFIX_BYTES || memcmp(data, MAGIC, MAGIC_BYTES) != 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: no .npy file: it does not begin as one",
                        c->name);
    }
    if (data[6] < 1 || data[6] > 3 || data[7] != 0) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: version %d.%d of .npy, expected 1.0, 2.0 or 3.0", c->name, data[6],
                        data[7]);
    }
    const size_t digits = data[6] == 1 ? 2 : 4;
    const size_t first  = MAGIC_BYTES + 2 + digits;
    size_t       length = 0;
    for (size_t i = digits; i > 0 && first <= bytes; i--) {
        length = length << 8 | data[MAGIC_BYTES + 1 + i];
    }
    if (first > bytes || length > bytes - first) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: a header of %zu bytes does not fit into the file of %zu; it is "
                        "truncated or damaged",
                        c->name, length, bytes);
    }
    c->at  = (const char *)data + first;
    c->end = c->at + length;
    return CLIPCU_OK;
}

clipcu_status ccu_npy_header_read(const char *name, const uint8_t *data, size_t bytes,
                                  ccu_npy_shape *out, clipcu_error *error) {
    cursor        c      = { .name = name };
    entries       e      = { .rank = 0 };
    clipcu_status status = find_dictionary(data, bytes, &c, error);
    if (status == CLIPCU_OK) { status = read_dictionary(&c, &e, error); }
    if (status != CLIPCU_OK) { return status; }
    if (!is_word(e.type, "<f4") && !is_word(e.type, "<f2")) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: numbers of type '%.*s', expected '<f4' (float32) or '<f2' (float16)",
                        name, (int)(e.type.bytes < 20 ? e.type.bytes : 20), e.type.text);
    }
    if (e.rank != 2) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: %d dimensions, expected 2: (rows, columns)", name, (int)e.rank);
    }
    if (e.fortran) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: stored column after column (Fortran's order), expected row after row",
                        name);
    }
    out->rows        = e.dims[0];
    out->columns     = e.dims[1];
    out->dtype       = is_word(e.type, "<f4") ? CCU_F32 : CCU_F16;
    out->data_offset = (size_t)(c.end - (const char *)data);
    return CLIPCU_OK;
}
