/* Labelled data sets; see labelled.h. */
#include "stream/labelled.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "stream/buffer.h"
#include "stream/folder.h"
#include "stream/reader.h"
#include "stream/split_file.h"

/* ---- Lines of a list ------------------------------------------------------------------------ */

bool ccu_labelled_is_csv(const char *name) {
    const size_t bytes = strlen(name);
    return bytes > 4 && strcasecmp(name + bytes - 4, ".csv") == 0;
}

bool ccu_labelled_is_heading(const char *line, int64_t number, bool csv) {
    return csv && number == 1 && strcmp(line, "path,label") == 0;
}

/* Copies bytes without the blanks around them; false if that does not fit. */
static bool copy_trimmed(const char *from, size_t bytes, char *out, size_t out_bytes) {
    while (bytes > 0 && (from[bytes - 1] == ' ' || from[bytes - 1] == '\t')) { bytes--; }
    while (bytes > 0 && (*from == ' ' || *from == '\t')) {
        from++;
        bytes--;
    }
    if (bytes >= out_bytes) { return false; }
    memcpy(out, from, bytes);
    out[bytes] = '\0';
    return true;
}

/* One field of a CSV line, without its quotes. Returns what stands behind it, NULL if it is no
 * field or does not fit. */
static const char *cut_field(const char *at, char *out, size_t out_bytes) {
    size_t used = 0;
    if (*at != '"') {
        used = strcspn(at, ",");
        if (memchr(at, '"', used) != NULL) { return NULL; }
        return copy_trimmed(at, used, out, out_bytes) ? at + used : NULL;
    }
    for (at++; *at != '\0'; at++) {
        if (at[0] == '"' && at[1] != '"') {
            out[used] = '\0';
            return at + 1;
        }
        if (used + 1 >= out_bytes) { return NULL; }
        if (*at == '"') { at++; }
        out[used++] = *at;
    }
    return NULL; /* the quote does not end */
}

static clipcu_status cut_csv(const char *line, ccu_labelled_line *out, clipcu_error *error) {
    const char *at = cut_field(line, out->path, sizeof out->path);
    if (at != NULL && *at == '\0') {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "expected PATH,LABEL, found no comma");
    }
    if (at != NULL && *at == ',') { at = cut_field(at + 1, out->label, sizeof out->label); }
    if (at == NULL || *at != '\0') {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "expected PATH,LABEL (a comma or quote inside needs quotes around, quotes "
                        "doubled), found \"%.100s\"",
                        line);
    }
    return CLIPCU_OK;
}

static clipcu_status cut_tabs(const char *line, ccu_labelled_line *out, clipcu_error *error) {
    const char *tab = strchr(line, '\t');
    if (tab == NULL) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "expected PATH<TAB>LABEL, found no tab");
    }
    if (strchr(tab + 1, '\t') != NULL) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "expected PATH<TAB>LABEL, found several tabs");
    }
    if (!copy_trimmed(line, (size_t)(tab - line), out->path, sizeof out->path) ||
        !copy_trimmed(tab + 1, strlen(tab + 1), out->label, sizeof out->label)) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT,
                        "expected a path of at most %d bytes and a label of at most %d, found more",
                        CCU_PATH_MAX - 1, CCU_LABEL_MAX - 1);
    }
    return CLIPCU_OK;
}

clipcu_status ccu_labelled_cut(const char *line, size_t bytes, bool csv, ccu_labelled_line *out,
                               clipcu_error *error) {
    if (strlen(line) != bytes) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "expected text, found a NUL byte");
    }
    const clipcu_status status = csv ? cut_csv(line, out, error) : cut_tabs(line, out, error);
    if (status == CLIPCU_OK && (out->path[0] == '\0' || out->label[0] == '\0')) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "expected a path and a label, found no %s",
                        out->path[0] == '\0' ? "path" : "label");
    }
    return status;
}

clipcu_status ccu_labelled_folder(const ccu_classes *classes, const char *path_in_data,
                                  int32_t *class_index, clipcu_error *error) {
    char        label[CCU_LABEL_MAX];
    const char *slash = strchr(path_in_data, '/');
    if (slash == NULL) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "lies in no folder of a class");
    }
    (void)snprintf(label, sizeof label, "%.*s", (int)(slash - path_in_data),
                   path_in_data); /* the name of a file fits */
    *class_index = ccu_classes_index(classes, label);
    if (*class_index < 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "no class is called \"%.100s\"", label);
    }
    return CLIPCU_OK;
}

/* ---- All labels of a data set --------------------------------------------------------------- */

/* Is shown every label with where it stands. */
typedef clipcu_status (*visit_fn)(void *context, const char *label, const char *place,
                                  clipcu_error *error);

typedef struct visitor {
    visit_fn visit;
    void    *context;
} visitor;

static clipcu_status visit_folder(const char *path, const visitor *v, clipcu_error *error) {
    ccu_folder    folder;
    int64_t       found  = 0;
    clipcu_status status = ccu_folder_open(path, &folder, error);
    if (status != CLIPCU_OK) { return status; }
    const ccu_listing *top = &folder.listings[0];
    for (size_t i = 0; i < top->count && status == CLIPCU_OK; i++) {
        if (top->entries[i][0] != 'd') { continue; }
        status = v->visit(v->context, top->entries[i] + 1, path, error);
        found++;
    }
    if (status == CLIPCU_OK && found == 0) {
        status = ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                          "%s: expected a folder for each class in it, found none%s", path,
                          folder.links_skipped > 0 ? " (links to folders are not followed)" : "");
    }
    ccu_folder_close(&folder);
    return status;
}

/* The label in line `number` of a list, if it holds one. */
static clipcu_status visit_line(const char *path, const char *line, size_t bytes, int64_t number,
                                const visitor *v, clipcu_error *error) {
    ccu_labelled_line cut;
    char              place[CCU_PATH_MAX + 40];
    const bool        csv = ccu_labelled_is_csv(path);
    clipcu_error      why = { .code = CLIPCU_OK };
    if (bytes == 0 || ccu_labelled_is_heading(line, number, csv)) { return CLIPCU_OK; }
    (void)snprintf(place, sizeof place, "%s: line %lld", path, (long long)number); /* fits */
    const clipcu_status status = ccu_labelled_cut(line, bytes, csv, &cut, &why);
    if (status != CLIPCU_OK) { return ccu_fail(error, status, "%s: %s", place, why.text); }
    return v->visit(v->context, cut.label, place, error);
}

static clipcu_status visit_list(const char *path, const visitor *v, clipcu_error *error) {
    ccu_reader    reader;
    clipcu_status status = ccu_reader_open(path, CCU_LABELLED_LINE_MAX, -1, &reader, error);
    if (status != CLIPCU_OK) { return status; }
    for (int64_t number = 1; status == CLIPCU_OK; number++) {
        const char             *line   = NULL;
        size_t                  bytes  = 0;
        const ccu_reader_result result = ccu_reader_next(&reader, -1, &line, &bytes);
        if (result == CCU_READER_END) { break; }
        if (result == CCU_READER_FAILED) {
            status = ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot read: %s", path,
                              strerror(reader.cause));
        } else if (result == CCU_READER_TOO_LONG) {
            status = ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: line %lld: longer than %d bytes", path,
                              (long long)number, CCU_LABELLED_LINE_MAX);
        } else {
            status = visit_line(path, line, bytes, number, v, error);
        }
    }
    ccu_reader_close(&reader);
    return status;
}

static clipcu_status visit_split(const char *path, const visitor *v, clipcu_error *error) {
    ccu_classes   classes = { .K = 0 };
    clipcu_status status  = ccu_split_file_classes(path, &classes, error);
    for (int32_t i = 0; i < classes.K && status == CLIPCU_OK; i++) {
        status = v->visit(v->context, classes.names[i], path, error);
    }
    ccu_classes_free(&classes);
    return status;
}

static clipcu_status visit_input(const char *input, const visitor *v, clipcu_error *error) {
    struct stat info;
    if (stat(input, &info) == 0 && S_ISDIR(info.st_mode)) { return visit_folder(input, v, error); }
    if (ccu_folder_is_picture(input)) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "%s: expected a folder with a folder for each class, a list of "
                        "PATH<TAB>LABEL lines or a split file NAME.json, found a picture",
                        input);
    }
    return ccu_split_file_is(input) ? visit_split(input, v, error) : visit_list(input, v, error);
}

/* ---- The classes ---------------------------------------------------------------------------- */

typedef struct collection {
    ccu_buffer labels;
    size_t     count;
} collection;

static clipcu_status collect(void *context, const char *label, const char *place,
                             clipcu_error *error) {
    collection *c = context;
    (void)place;
    ccu_buffer_add(&c->labels, label, strlen(label) + 1);
    c->count++;
    return ccu_buffer_status(&c->labels, error);
}

clipcu_status ccu_labelled_classes(const char *const *inputs, int32_t count, ccu_classes *out,
                                   clipcu_error *error) {
    collection    c      = { .count = 0 };
    const visitor v      = { .visit = collect, .context = &c };
    clipcu_status status = CLIPCU_OK;
    if (count == 1 && ccu_split_file_is(inputs[0])) {
        return ccu_split_file_classes(inputs[0], out, error);
    }
    for (int32_t i = 0; i < count && status == CLIPCU_OK; i++) {
        status = strcmp(inputs[i], "-") != 0
                     ? visit_input(inputs[i], &v, error)
                     : ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                                "-: the classes of standard input are not known before its end; "
                                "give them with --labels, --classes or --bank");
    }
    if (status == CLIPCU_OK && c.count == 0) {
        status = ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: expected PATH<TAB>LABEL lines, found none",
                          inputs[0]);
    }
    if (status != CLIPCU_OK) {
        ccu_buffer_free(&c.labels);
        return status;
    }
    return ccu_classes_distinct(c.labels.data, c.count, out, error); /* ownership moved */
}

static clipcu_status check_label(void *context, const char *label, const char *place,
                                 clipcu_error *error) {
    if (ccu_classes_index(context, label) >= 0) { return CLIPCU_OK; }
    return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: no class is called \"%.100s\"", place, label);
}

clipcu_status ccu_labelled_check(const ccu_classes *classes, const char *const *inputs,
                                 int32_t count, clipcu_error *error) {
    ccu_classes   borrowed = *classes; /* a context is no pointer to const */
    const visitor v        = { .visit = check_label, .context = &borrowed };
    clipcu_status status   = CLIPCU_OK;
    for (int32_t i = 0; i < count && status == CLIPCU_OK; i++) {
        if (strcmp(inputs[i], "-") != 0) { status = visit_input(inputs[i], &v, error); }
    }
    return status;
}
