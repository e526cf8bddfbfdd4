/* Labelled data sets: pictures whose class is known.
 *
 *   a folder   each folder in it is a class; every picture in and below that belongs to it
 *   a list     lines PATH<TAB>LABEL; paths from the current folder on
 *   NAME.csv   lines PATH,LABEL, quoted as in RFC 4180; a first line "path,label" is a heading
 *   NAME.json  a part of a split file of CoOp, see split_file.h
 *
 * Here: what stands in a line or path, and the classes that there are. host/stream/source.c hands
 * the pictures out. */
#ifndef CCU_STREAM_LABELLED_H
#define CCU_STREAM_LABELLED_H

#include <stdbool.h>

#include "base/file.h"
#include "stream/classes.h"

#define CCU_LABELLED_LINE_MAX (CCU_PATH_MAX + CCU_LABEL_MAX)

/* A line of a list taken apart. */
typedef struct ccu_labelled_line {
    char path[CCU_PATH_MAX];
    char label[CCU_LABEL_MAX];
} ccu_labelled_line;

/* Whether a list of that name is one of commas. */
bool ccu_labelled_is_csv(const char *name);

/* The heading of a .csv, which is no picture. number: of the line, from 1. */
bool ccu_labelled_is_heading(const char *line, int64_t number, bool csv);

/* Takes a line of so many bytes apart. FORMAT or LIMIT; the message names no file or line. */
clipcu_status ccu_labelled_cut(const char *line, size_t bytes, bool csv, ccu_labelled_line *out,
                               clipcu_error *error);

/* The class of a picture in the folder of a data set, by the first part of its path in there.
 * FORMAT if it lies in no class's folder or the class is not known. */
clipcu_status ccu_labelled_folder(const ccu_classes *classes, const char *path_in_data,
                                  int32_t *class_index, clipcu_error *error);

/* The classes that data sets bring themselves, see ccu_classes_distinct; those of a single split
 * file by label. Looks at the folders right in each, or reads the list. IO, FORMAT; ARGUMENT for
 * what is no data set, or for "-", which can be read only once. */
clipcu_status ccu_labelled_classes(const char *const *inputs, int32_t count, ccu_classes *out,
                                   clipcu_error *error);

/* Whether every label of the data sets is one of these classes; "-" is passed over. FORMAT names
 * the first that is not; else as above. */
clipcu_status ccu_labelled_check(const ccu_classes *classes, const char *const *inputs,
                                 int32_t count, clipcu_error *error);

#endif
