/* Inputs, one picture at a time; see source.h. */
#include "stream/source.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "stream/folder.h"
#include "stream/reader.h"
#include "stream/split_file.h"

struct ccu_source {
    ccu_source_options options;
    int32_t            next; /* input to open next */
    ccu_reader         list; /* fd -1: none open */
    ccu_folder         folder;
    ccu_split_file     split;
    const char        *name; /* of the list, folder or split file that is open */
    int64_t            line; /* of the list, from 1 */
    ccu_labelled_line  cut;
};

static bool ends_with(const char *text, const char *ending) {
    const size_t bytes        = strlen(text);
    const size_t ending_bytes = strlen(ending);
    return bytes >= ending_bytes && strcasecmp(text + bytes - ending_bytes, ending) == 0;
}

clipcu_status ccu_source_open(const ccu_source_options *options, ccu_source **out,
                              clipcu_error *error) {
    static const char *const refused[] = { ".tar", ".tar.gz", ".tgz", ".zip" };
    assert(options->inputs_count >= 0);
    for (int32_t i = 0; i < options->inputs_count; i++) {
        for (size_t k = 0; k < sizeof refused / sizeof refused[0]; k++) {
            if (ends_with(options->inputs[i], refused[k])) {
                return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                                "%s: %s archives are not in this version; unpack it and give the "
                                "folder",
                                options->inputs[i], refused[k]);
            }
        }
    }
    ccu_source *source = ccu_alloc_zeroed(1, sizeof *source);
    if (source == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "inputs: no memory for %zu bytes", sizeof *source);
    }
    source->options = *options;
    source->list.fd = -1;
    *out            = source;
    return CLIPCU_OK;
}

void ccu_source_close(ccu_source *source) {
    if (source == NULL) { return; }
    ccu_reader_close(&source->list);
    ccu_folder_close(&source->folder);
    ccu_split_file_close(&source->split);
    ccu_free(source);
}

static void warn(const ccu_source *source, const char *format, int64_t count) {
    char text[CCU_PATH_MAX + 128];
    if (source->options.warn == NULL) { return; }
    if (count < 0) {
        (void)snprintf(text, sizeof text, "%s: %s", source->name, format);
    } else {
        (void)snprintf(text, sizeof text, "%s: %lld %s", source->name, (long long)count, format);
    }
    source->options.warn(source->options.warn_user, text);
}

static int line_max(const ccu_source *source) {
    return source->options.classes != NULL ? CCU_LABELLED_LINE_MAX : CCU_PATH_MAX;
}

static void set_class(const ccu_source *source, const char *label, ccu_source_item *item) {
    item->class_index = ccu_classes_index(source->options.classes, label);
    if (item->class_index < 0) {
        (void)ccu_fail(&item->error, CLIPCU_ERR_FORMAT, "%s: no class is called \"%.100s\"",
                       item->path, label);
    }
}

/* The next picture of the open folder; false when it is done. */
static bool next_in_folder(ccu_source *source, ccu_source_item *item) {
    const size_t top_bytes = source->folder.listings[0].path_bytes;
    if (ccu_folder_next(&source->folder, &item->path, &item->error)) {
        clipcu_error why = { .code = CLIPCU_OK };
        if (source->options.classes != NULL && item->error.code == CLIPCU_OK &&
            ccu_labelled_folder(source->options.classes, item->path + top_bytes,
                                &item->class_index, &why) != CLIPCU_OK) {
            (void)ccu_fail(&item->error, why.code, "%s: %s", item->path, why.text);
        }
        return true;
    }
    if (source->folder.links_skipped > 0) {
        warn(source, "links to folders in it were not followed", source->folder.links_skipped);
    }
    if (source->folder.pictures == 0) { warn(source, "no pictures in this folder", -1); }
    return false;
}

/* The next picture of the open split file; false when it is done. */
static bool next_in_split(ccu_source *source, ccu_source_item *item) {
    const char *label = NULL;
    if (!ccu_split_file_next(&source->split, &item->path, &label, &item->error)) {
        ccu_split_file_close(&source->split);
        return false;
    }
    if (label == NULL) { return true; }
    set_class(source, label, item);
    return true;
}

/* What a line of a list says. False: nothing. */
static bool read_line(ccu_source *source, size_t bytes, ccu_source_item *item) {
    const bool   csv = ccu_labelled_is_csv(source->name);
    clipcu_error why = { .code = CLIPCU_OK };
    source->line++;
    if (bytes == 0) { return false; }
    if (source->options.classes == NULL) {
        if (strlen(item->path) != bytes) {
            (void)ccu_fail(&item->error, CLIPCU_ERR_FORMAT,
                           "%s: a line of this list holds a NUL byte", source->name);
        }
        return true;
    }
    if (ccu_labelled_is_heading(item->path, source->line, csv)) { return false; }
    if (ccu_labelled_cut(item->path, bytes, csv, &source->cut, &why) != CLIPCU_OK) {
        (void)ccu_fail(&item->error, why.code, "%s: line %lld: %s", source->name,
                       (long long)source->line, why.text);
        item->path = source->name;
        return true;
    }
    item->path = source->cut.path;
    set_class(source, source->cut.label, item);
    return true;
}

/* The next line of the open list. */
static ccu_source_result next_in_list(ccu_source *source, int wait_ms, ccu_source_item *item) {
    size_t bytes = 0;
    for (;;) {
        switch (ccu_reader_next(&source->list, wait_ms, &item->path, &bytes)) {
        case CCU_READER_LINE:
            if (!read_line(source, bytes, item)) { continue; }
            return CCU_SOURCE_ITEM;
        case CCU_READER_TOO_LONG:
            item->path = source->name;
            source->line++;
            (void)ccu_fail(&item->error, CLIPCU_ERR_LIMIT,
                           "%s: a line of this list is longer than %d bytes", source->name,
                           line_max(source));
            return CCU_SOURCE_ITEM;
        case CCU_READER_FAILED:
            item->path = source->name;
            (void)ccu_fail(&item->error, CLIPCU_ERR_IO, "%s: cannot read: %s", source->name,
                           strerror(source->list.cause));
            ccu_reader_close(&source->list);
            return CCU_SOURCE_ITEM;
        case CCU_READER_LATER: return CCU_SOURCE_LATER;
        case CCU_READER_END: ccu_reader_close(&source->list); return CCU_SOURCE_END;
        }
    }
}

/* Opens an input. True: it is itself an item, a picture or a failure. */
static bool open_input(ccu_source *source, const char *input, ccu_source_item *item) {
    struct stat info;
    const bool  standard = strcmp(input, "-") == 0;
    const bool  folder   = !standard && stat(input, &info) == 0 && S_ISDIR(info.st_mode);
    source->name         = standard ? "standard input" : input;
    source->line         = 0;
    item->path           = source->name;
    if (source->options.classes != NULL && !standard && !folder && ccu_split_file_is(input)) {
        return ccu_split_file_open(input, source->options.part, source->options.root,
                                   &source->split, &item->error) != CLIPCU_OK;
    }
    if (standard || ends_with(input, ".txt") || (source->options.classes != NULL && !folder)) {
        return ccu_reader_open(standard ? NULL : input, (size_t)line_max(source),
                               source->options.wake_fd, &source->list,
                               &item->error) != CLIPCU_OK;
    }
    if (folder) { return ccu_folder_open(input, &source->folder, &item->error) != CLIPCU_OK; }
    return true; /* also a missing file: whoever loads it says so */
}

ccu_source_result ccu_source_next(ccu_source *source, int wait_ms, ccu_source_item *item) {
    for (;;) {
        item->path        = NULL;
        item->class_index = -1;
        item->error       = (clipcu_error){ .code = CLIPCU_OK };
        if (source->list.fd >= 0) {
            const ccu_source_result result = next_in_list(source, wait_ms, item);
            if (result != CCU_SOURCE_END) { return result; }
        } else if (source->folder.depth > 0) {
            if (next_in_folder(source, item)) { return CCU_SOURCE_ITEM; }
        } else if (source->split.root != NULL) {
            if (next_in_split(source, item)) { return CCU_SOURCE_ITEM; }
        } else if (source->next == source->options.inputs_count) {
            return CCU_SOURCE_END;
        } else if (open_input(source, source->options.inputs[source->next++], item)) {
            return CCU_SOURCE_ITEM;
        }
    }
}
