/* The classes of a labelled data set, and which of them a label means. */
#ifndef CCU_STREAM_CLASSES_H
#define CCU_STREAM_CLASSES_H

#include "base/status.h"

#define CCU_LABEL_MAX 1024 /* bytes of a label with its NUL */

/* What a label is looked up by. */
typedef struct ccu_class_key {
    const char *text;
    int32_t     rank; /* 0: a folder, 1: a name; of equal texts the lower comes first */
    int32_t     index;
} ccu_class_key;

typedef struct ccu_classes {
    int32_t        K;
    char         **names; /* owned (K), into text */
    ccu_class_key *keys;  /* owned (keys_count), sorted */
    int32_t        keys_count;
    char          *text;  /* owned */
} ccu_classes;

/* Classes of these names, in this order. NOMEM. */
clipcu_status ccu_classes_named(const char *const *names, int32_t count, ccu_classes *out,
                                clipcu_error *error);

/* A file of class names, one per line (see ccu_lines_read), all or none of them with the folder
 * before: FOLDER<TAB>NAME. FORMAT also if lines are of both kinds or a folder stands twice. */
clipcu_status ccu_classes_read(const char *path, ccu_classes *out, clipcu_error *error);

/* The different ones among count labels that follow one another, each with its NUL: underscores
 * become spaces, then by the bytes of the names. Takes over `labels`, which must come from
 * ccu_alloc. count >= 1. NOMEM. */
clipcu_status ccu_classes_distinct(char *labels, size_t count, ccu_classes *out,
                                   clipcu_error *error);

/* Harmless on a zeroed one. */
void ccu_classes_free(ccu_classes *classes);

/* The class that a label means: the one with that folder, else with that name, else with that name
 * once underscores are spaces. Of several the first; -1: none. */
int32_t ccu_classes_index(const ccu_classes *classes, const char *label);

/* The first name that stands twice, or NULL. Such classes share their probability. */
const char *ccu_classes_repeated(const ccu_classes *classes);

#endif
