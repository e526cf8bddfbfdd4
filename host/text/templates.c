/* Prompt templates and lists of lines; see templates.h. */
#include "text/templates.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "text/unicode.h"

#define LINES_BYTES_MAX ((size_t)256 << 20) /* of a file of lines */
#define SHOWN_MAX 60                        /* bytes of a template in a message */

const char *const ccu_templates_openai80[80] = {
    "a bad photo of a {}.",
    "a photo of many {}.",
    "a sculpture of a {}.",
    "a photo of the hard to see {}.",
    "a low resolution photo of the {}.",
    "a rendering of a {}.",
    "graffiti of a {}.",
    "a bad photo of the {}.",
    "a cropped photo of the {}.",
    "a tattoo of a {}.",
    "the embroidered {}.",
    "a photo of a hard to see {}.",
    "a bright photo of a {}.",
    "a photo of a clean {}.",
    "a photo of a dirty {}.",
    "a dark photo of the {}.",
    "a drawing of a {}.",
    "a photo of my {}.",
    "the plastic {}.",
    "a photo of the cool {}.",
    "a close-up photo of a {}.",
    "a black and white photo of the {}.",
    "a painting of the {}.",
    "a painting of a {}.",
    "a pixelated photo of the {}.",
    "a sculpture of the {}.",
    "a bright photo of the {}.",
    "a cropped photo of a {}.",
    "a plastic {}.",
    "a photo of the dirty {}.",
    "a jpeg corrupted photo of a {}.",
    "a blurry photo of the {}.",
    "a photo of the {}.",
    "a good photo of the {}.",
    "a rendering of the {}.",
    "a {} in a video game.",
    "a photo of one {}.",
    "a doodle of a {}.",
    "a close-up photo of the {}.",
    "a photo of a {}.",
    "the origami {}.",
    "the {} in a video game.",
    "a sketch of a {}.",
    "a doodle of the {}.",
    "a origami {}.",
    "a low resolution photo of a {}.",
    "the toy {}.",
    "a rendition of the {}.",
    "a photo of the clean {}.",
    "a photo of a large {}.",
    "a rendition of a {}.",
    "a photo of a nice {}.",
    "a photo of a weird {}.",
    "a blurry photo of a {}.",
    "a cartoon {}.",
    "art of a {}.",
    "a sketch of the {}.",
    "a embroidered {}.",
    "a pixelated photo of a {}.",
    "itap of the {}.",
    "a jpeg corrupted photo of the {}.",
    "a good photo of a {}.",
    "a plushie {}.",
    "a photo of the nice {}.",
    "a photo of the small {}.",
    "a photo of the weird {}.",
    "the cartoon {}.",
    "art of the {}.",
    "a drawing of the {}.",
    "a photo of the large {}.",
    "a black and white photo of a {}.",
    "the plushie {}.",
    "a dark photo of a {}.",
    "itap of a {}.",
    "graffiti of the {}.",
    "a toy {}.",
    "itap of my {}.",
    "a photo of a cool {}.",
    "a photo of a small {}.",
    "a tattoo of the {}.",
};

const char *const ccu_templates_openai7[7] = {
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
};

/* ---- Templates ------------------------------------------------------------------------------ */

clipcu_status ccu_template_check(const char *text, clipcu_error *error) {
    int count = 0;
    for (const char *c = strstr(text, "{}"); c != NULL; c = strstr(c + 2, "{}")) { count++; }
    if (count == 1) { return CLIPCU_OK; }
    return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                    "template \"%.*s\": expected {} once, where the class name goes, found it %d "
                    "times",
                    ccu_utf8_fit(text, strlen(text), SHOWN_MAX), text, count);
}

char *ccu_template_fill(const char *text, const char *name) {
    const char *gap = strstr(text, "{}");
    if (gap == NULL) { return ccu_strdup(text); }
    const size_t before = (size_t)(gap - text);
    const size_t middle = strlen(name);
    const size_t after  = strlen(gap + 2);
    char        *out    = ccu_alloc(before + middle + after + 1);
    if (out == NULL) { return NULL; }
    memcpy(out, text, before);
    memcpy(out + before, name, middle);
    memcpy(out + before + middle, gap + 2, after + 1); /* with the NUL */
    return out;
}

/* ---- Lines ---------------------------------------------------------------------------------- */

/* Cuts [*at, end) at the next line feed: NUL-terminates the line, drops a CR before it, and steps
 * *at behind it. NULL at the end. There is a byte to write at end. */
static char *cut_line(char **at, char *end, size_t *bytes) {
    if (*at >= end) { return NULL; }
    char *line = *at;
    char *feed = memchr(line, '\n', (size_t)(end - line));
    char *stop = feed == NULL ? end : feed;
    *at        = feed == NULL ? end : feed + 1;
    if (stop > line && stop[-1] == '\r') { stop--; }
    *stop  = '\0';
    *bytes = (size_t)(stop - line);
    return line;
}

static bool is_blank(const char *line, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (line[i] != ' ' && line[i] != '\t') { return false; }
    }
    return true;
}

/* Fills items (one for each line feed, and one) with the lines that are not blank. */
static clipcu_status cut_lines(const char *path, char *at, char *end, ccu_lines *lines,
                               clipcu_error *error) {
    int64_t number = 0;
    size_t  bytes  = 0;
    size_t  bad    = 0;
    for (char *line = cut_line(&at, end, &bytes); line != NULL; line = cut_line(&at, end, &bytes)) {
        number++;
        if (!ccu_utf8_check((const uint8_t *)line, bytes, &bad)) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: line %lld is not UTF-8 at its byte %zu",
                            path, (long long)number, bad);
        }
        if (memchr(line, '\0', bytes) != NULL) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: line %lld holds a NUL byte", path,
                            (long long)number);
        }
        if (!is_blank(line, bytes)) { lines->items[lines->count++] = line; }
    }
    if (lines->count == 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: holds no line of text", path);
    }
    return CLIPCU_OK;
}

clipcu_status ccu_lines_read(const char *path, ccu_lines *out, clipcu_error *error) {
    ccu_lines     lines  = { 0 };
    uint8_t      *data   = NULL;
    size_t        bytes  = 0;
    clipcu_status status = ccu_file_read(path, LINES_BYTES_MAX, &data, &bytes, error);
    if (status != CLIPCU_OK) { return status; }
    size_t count = 1;
    for (size_t i = 0; i < bytes; i++) { count += data[i] == '\n'; }
    lines.text  = (char *)data;
    lines.items = ccu_alloc_zeroed(count, sizeof *lines.items);
    if (lines.items == NULL) {
        ccu_lines_free(&lines);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %zu lines", path, count);
    }
    const size_t bom = bytes >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    status           = cut_lines(path, lines.text + bom, lines.text + bytes, &lines, error);
    if (status != CLIPCU_OK) {
        ccu_lines_free(&lines);
        return status;
    }
    *out = lines;
    return CLIPCU_OK;
}

void ccu_lines_free(ccu_lines *lines) {
    ccu_free(lines->items);
    ccu_free(lines->text);
    *lines = (ccu_lines){ 0 };
}
