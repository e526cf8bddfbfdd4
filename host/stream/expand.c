/* Names for which one pattern stands; see expand.h. */
#include "stream/expand.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 10000000

bool ccu_expand_is(const char *name) {
    return strpbrk(name, "{*?[") != NULL;
}

/* ---- Braces --------------------------------------------------------------------------------- */

/* A number of at most 18 digits that ends at `end`. */
static bool number(const char *text, const char *end, int64_t *out) {
    char *stop = NULL;
    if (end == text || end - text > 18 || text[strspn(text, "0123456789")] != *end) {
        return false;
    }
    *out = strtoll(text, &stop, 10);
    return stop == end;
}

/* {A..B}: with zeros in front if one of the two has them. */
static bool cut_range(ccu_brace *brace) {
    const char *end  = brace->text + brace->bytes;
    const char *dots = strstr(brace->text, "..");
    int64_t     last = 0;
    if (dots == NULL || dots >= end) { return false; }
    if (!number(brace->text, dots, &brace->first) || !number(dots + 2, end, &last)) {
        return false;
    }
    const int64_t first_digits = dots - brace->text;
    const int64_t last_digits  = end - dots - 2;
    const bool    zeros        = (first_digits > 1 && brace->text[0] == '0') ||
                       (last_digits > 1 && dots[2] == '0');
    brace->step   = last >= brace->first ? 1 : -1;
    brace->count  = (last - brace->first) * brace->step + 1;
    brace->digits = (int32_t)(!zeros                       ? 0
                              : first_digits > last_digits ? first_digits
                                                           : last_digits);
    return true;
}

static bool cut_list(ccu_brace *brace) {
    brace->step  = 0;
    brace->count = 1;
    for (size_t i = 0; i < brace->bytes; i++) { brace->count += brace->text[i] == ','; }
    return brace->count > 1;
}

/* The next braces behind `at` that stand for others; NULL: none. */
static const char *next_brace(const char *at, ccu_brace *brace) {
    for (; (at = strchr(at, '{')) != NULL; at++) {
        const size_t bytes = strcspn(at + 1, "{}");
        *brace             = (ccu_brace){ .text = at + 1, .bytes = bytes };
        if (at[1 + bytes] == '}' && (cut_range(brace) || cut_list(brace))) { return at; }
    }
    return NULL;
}

clipcu_status ccu_expand_open(const char *pattern, ccu_expand *expand, clipcu_error *error) {
    ccu_brace   brace;
    const char *at = pattern;
    *expand        = (ccu_expand){ .pattern = pattern, .count = 1 };
    while ((at = next_brace(at, &brace)) != NULL) {
        if (expand->braces_count == CCU_EXPAND_BRACES || brace.count > NAMES_MAX / expand->count) {
            expand->pattern = NULL;
            return ccu_fail(error, CLIPCU_ERR_LIMIT,
                            "%s: expected at most %d braces and %d names", pattern,
                            CCU_EXPAND_BRACES, NAMES_MAX);
        }
        expand->count *= brace.count;
        expand->braces[expand->braces_count++] = brace;
        at = brace.text + brace.bytes;
    }
    return CLIPCU_OK;
}

void ccu_expand_close(ccu_expand *expand) {
    if (expand->globbed) { globfree(&expand->found); }
    expand->globbed = false;
    expand->pattern = NULL;
}

/* ---- Names ---------------------------------------------------------------------------------- */

/* Adds bytes to name, of which *used are; false: no room. */
static bool add(char name[CCU_PATH_MAX], size_t *used, const char *bytes, size_t count) {
    if (count >= CCU_PATH_MAX - *used) { return false; }
    memcpy(name + *used, bytes, count);
    *used += count;
    name[*used] = '\0';
    return true;
}

/* What stands in a list or range at `index`. */
static bool add_choice(const ccu_brace *brace, int64_t index, char name[CCU_PATH_MAX],
                       size_t *used) {
    char        digits[32];
    const char *text = brace->text;
    if (brace->step != 0) {
        const int bytes = snprintf(digits, sizeof digits, "%0*" PRId64, (int)brace->digits,
                                   brace->first + index * brace->step); /* fits */
        return add(name, used, digits, (size_t)bytes);
    }
    for (; index > 0; index--) { text = strchr(text, ',') + 1; }
    return add(name, used, text, strcspn(text, ",}"));
}

/* The name for which braces stand at `index`, the last of them changing fastest. */
static bool put_together(ccu_expand *expand, int64_t index) {
    const char *at   = expand->pattern;
    int64_t     rest = expand->count;
    size_t      used = 0;
    bool        fits = add(expand->name, &used, "", 0);
    for (int32_t i = 0; i < expand->braces_count && fits; i++) {
        const ccu_brace *brace = &expand->braces[i];
        rest /= brace->count;
        fits = add(expand->name, &used, at, (size_t)(brace->text - 1 - at)) &&
               add_choice(brace, index / rest, expand->name, &used);
        index %= rest;
        at = brace->text + brace->bytes + 1;
    }
    return fits && add(expand->name, &used, at, strlen(at));
}

static bool next_found(ccu_expand *expand, const char **name) {
    if (!expand->globbed) { return false; }
    if (expand->found_next < expand->found.gl_pathc) {
        *name = expand->found.gl_pathv[expand->found_next++];
        return true;
    }
    globfree(&expand->found);
    expand->globbed = false;
    return false;
}

bool ccu_expand_next(ccu_expand *expand, const char **name, clipcu_error *error) {
    for (;;) {
        if (next_found(expand, name)) { return true; }
        if (expand->next == expand->count) { return false; }
        *name = expand->name;
        if (!put_together(expand, expand->next++)) {
            (void)ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes",
                           expand->name, CCU_PATH_MAX - 1);
            return true;
        }
        if (strpbrk(expand->name, "*?[") == NULL || ccu_name_exists(expand->name)) { return true; }
        const int result = glob(expand->name, 0, NULL, &expand->found);
        expand->globbed    = result == 0;
        expand->found_next = 0;
        if (result == 0) { continue; }
        (void)ccu_fail(error, result == GLOB_NOSPACE ? CLIPCU_ERR_NOMEM : CLIPCU_ERR_IO, "%s: %s",
                       expand->name,
                       result == GLOB_NOSPACE ? "no memory to look for it" : "nothing matches");
        return true;
    }
}
