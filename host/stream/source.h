/* What is to be worked on: the inputs of a command, handed out one picture at a time, in order.
 *
 *   a file       that picture, whatever it is called
 *   a folder     every picture in it and below (see folder.h)
 *   NAME.tar     an archive: every picture in it, with its caption (see shard.h)
 *   NAME.txt     a list: one path per line, from the current folder on; blank lines are passed
 *                over. A line is one picture, never another list, folder or archive
 *   -            such a list from standard input
 *   a pattern    where nothing has that name: what it stands for (see expand.h), each of it one of
 *                the above
 *
 * As a labelled data set: a folder of classes, or a list with labels; see labelled.h.
 *
 * Memory does not grow with the number of pictures, except for the listing of a folder. */
#ifndef CCU_STREAM_SOURCE_H
#define CCU_STREAM_SOURCE_H

#include <stdbool.h>

#include "stream/labelled.h"

typedef struct ccu_source ccu_source;

typedef struct ccu_source_options {
    const char *const *inputs; /* borrowed for the source's life */
    int32_t            inputs_count;
    int                wake_fd; /* the source ends when this becomes readable; -1: never */
    clipcu_warn_fn     warn;    /* a folder without pictures, links not followed; may be NULL */
    void              *warn_user;
    const ccu_classes *classes; /* inputs are labelled data sets of these; NULL: not labelled */
    const char        *part;    /* of split files among them */
    const char        *root;    /* folder that paths of split files start at; NULL: their own */
    int64_t            task, tasks; /* only every tasks-th from task (0 ..) on, of archives as a
                                       whole and other pictures; tasks 0: everything */
} ccu_source_options;

typedef enum ccu_source_result {
    CCU_SOURCE_ITEM,
    CCU_SOURCE_LATER, /* nothing yet, within the time given */
    CCU_SOURCE_END
} ccu_source_result;

typedef struct ccu_source_item {
    const char  *path;        /* lives until the next call */
    int32_t      class_index; /* of a labelled data set; -1: none */
    uint8_t     *bytes;       /* the receiver's: the file, where it stands in an archive; NULL: to
                                 be read from path */
    size_t       bytes_count;
    bool         decoded;     /* bytes are the pixels already */
    uint64_t     id;          /* for whoever hands items in; 0 */
    const char  *sample;      /* "" or what its archive says of it (see shard.h); lives as path */
    clipcu_error error;       /* OK: a picture to load; else why this input gives none */
} ccu_source_item;

/* Touches no file. UNSUPPORTED names a kind of input that this version does not read. */
clipcu_status ccu_source_open(const ccu_source_options *options, ccu_source **out,
                              clipcu_error *error);
void          ccu_source_close(ccu_source *source);

/* Whether only paths are wanted from now on: items have no bytes then. */
void ccu_source_names_only(ccu_source *source, bool names_only);

/* The next input. wait_ms bounds the wait for standard input; -1: for ever. */
ccu_source_result ccu_source_next(ccu_source *source, int wait_ms, ccu_source_item *item);

#endif
