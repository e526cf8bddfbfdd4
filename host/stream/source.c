/* Inputs, one picture at a time; see source.h. */
#include "stream/source.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "stream/expand.h"
#include "stream/folder.h"
#include "stream/reader.h"
#include "stream/shard.h"
#include "stream/split_file.h"

struct ccu_source {
    ccu_source_options options;
    int32_t            next; /* input to open next */
    ccu_expand         expand;
    ccu_shard          shard;
    bool               names_only;
    int64_t            units; /* archives and other pictures so far, for tasks */
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
    assert(options->inputs_count >= 0);
    for (int32_t i = 0; i < options->inputs_count; i++) {
        const char *input = options->inputs[i];
        if (ends_with(input, ".zip") || (ccu_shard_is(input) && options->classes != NULL)) {
            return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                            "%s: expected a folder or list%s, found an archive; unpack it and give "
                            "the folder",
                            input, options->classes == NULL ? " or tar archive" : " with labels");
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
    ccu_shard_close(&source->shard);
    ccu_expand_close(&source->expand);
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

/* The next picture of the open archive; false when it is done. */
static bool next_in_shard(ccu_source *source, ccu_source_item *item) {
    ccu_shard_picture *picture = NULL;
    if (ccu_shard_next(&source->shard, !source->names_only, &picture, &item->sample)) {
        item->path        = picture->path != NULL ? picture->path : source->name;
        item->error       = picture->error;
        item->bytes       = picture->bytes;
        item->bytes_count = picture->bytes_count;
        picture->bytes    = NULL;
        return true;
    }
    if (source->shard.left_out > 0) {
        warn(source, "texts in it were left out: too long, or no JSON object",
             source->shard.left_out);
    }
    if (source->shard.found == 0) { warn(source, "no pictures in this archive", -1); }
    ccu_shard_close(&source->shard);
    return false;
}

/* Whether the next archive or picture is this task's. */
static bool is_mine(ccu_source *source) {
    const int64_t tasks = source->options.tasks;
    return tasks <= 1 || source->units++ % tasks == source->options.task;
}

typedef enum opened { OPENED, OPENED_ITEM, OPENED_SHARD_ITEM } opened;

/* Opens an input, which may itself be an item, a picture or a failure. */
static opened open_input(ccu_source *source, const char *input, ccu_source_item *item) {
    struct stat   info;
    const bool    standard = strcmp(input, "-") == 0;
    const bool    folder   = !standard && stat(input, &info) == 0 && S_ISDIR(info.st_mode);
    clipcu_status status   = CLIPCU_OK;
    source->name           = standard ? "standard input" : input;
    source->line           = 0;
    item->path             = source->name;
    if (folder) {
        status = ccu_folder_open(input, &source->folder, &item->error);
    } else if (!standard && ccu_shard_is(input)) {
        if (!is_mine(source)) { return OPENED; }
        status = ccu_shard_open(input, &source->shard, &item->error);
        return status == CLIPCU_OK ? OPENED : OPENED_SHARD_ITEM;
    } else if (source->options.classes != NULL && !standard && ccu_split_file_is(input)) {
        status = ccu_split_file_open(input, source->options.part, source->options.root,
                                     &source->split, &item->error);
    } else if (standard || ends_with(input, ".txt") || source->options.classes != NULL) {
        status = ccu_reader_open(standard ? NULL : input, (size_t)line_max(source),
                                 source->options.wake_fd, &source->list, &item->error);
    } else {
        return OPENED_ITEM; /* also a missing file: whoever loads it says so */
    }
    return status == CLIPCU_OK ? OPENED : OPENED_ITEM;
}

/* The next input that is no pattern, or *error with the name of one. False: there is none. */
static bool next_input(ccu_source *source, const char **input, clipcu_error *error) {
    for (;;) {
        if (source->expand.pattern != NULL) {
            if (ccu_expand_next(&source->expand, input, error)) { return true; }
            ccu_expand_close(&source->expand);
        }
        if (source->next == source->options.inputs_count) { return false; }
        *input = source->options.inputs[source->next++];
        if (!ccu_expand_is(*input) || ccu_name_exists(*input)) { return true; }
        if (ccu_expand_open(*input, &source->expand, error) != CLIPCU_OK) { return true; }
    }
}

void ccu_source_names_only(ccu_source *source, bool names_only) {
    source->names_only = names_only;
}

/* The next input; *whole: it needs no asking whose it is. */
static ccu_source_result next_of_all(ccu_source *source, int wait_ms, ccu_source_item *item,
                                     bool *whole) {
    for (;;) {
        const char *input = NULL;
        *item  = (ccu_source_item){ .class_index = -1, .sample = "" };
        *whole = false;
        if (source->list.fd >= 0) {
            const ccu_source_result result = next_in_list(source, wait_ms, item);
            if (result != CCU_SOURCE_END) { return result; }
        } else if (source->folder.depth > 0) {
            if (next_in_folder(source, item)) { return CCU_SOURCE_ITEM; }
        } else if (source->split.root != NULL) {
            if (next_in_split(source, item)) { return CCU_SOURCE_ITEM; }
        } else if (source->shard.name != NULL) {
            *whole = true;
            if (next_in_shard(source, item)) { return CCU_SOURCE_ITEM; }
        } else if (!next_input(source, &input, &item->error)) {
            return CCU_SOURCE_END;
        } else if (item->error.code != CLIPCU_OK) {
            item->path = input;
            return CCU_SOURCE_ITEM;
        } else {
            const opened result = open_input(source, input, item);
            *whole              = result == OPENED_SHARD_ITEM;
            if (result != OPENED) { return CCU_SOURCE_ITEM; }
        }
    }
}

ccu_source_result ccu_source_next(ccu_source *source, int wait_ms, ccu_source_item *item) {
    for (;;) {
        bool                    whole  = false;
        const ccu_source_result result = next_of_all(source, wait_ms, item, &whole);
        if (result != CCU_SOURCE_ITEM || whole || is_mine(source)) { return result; }
    }
}
