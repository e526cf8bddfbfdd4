/* The pictures that a prompt is learned from: found in labelled data sets, drawn, put in the order
 * of an epoch, and loaded as random views. */
#ifndef CCU_STREAM_FEW_SHOT_H
#define CCU_STREAM_FEW_SHOT_H

#include <stdbool.h>

#include "stream/classes.h"

typedef struct ccu_few_shot_options {
    const char *const *inputs; /* labelled data sets, see labelled.h */
    int32_t            inputs_count;
    const char        *root;             /* see ccu_source_options */
    const char        *labels, *classes; /* a file of class names, or names parted by commas; both
                                            NULL: those that the data bring */
    bool               base;   /* the first half of the classes only, rounded up */
    int64_t            shots;  /* pictures of each class */
    uint64_t           seed;
    clipcu_warn_fn     warn;   /* told what is passed over; may be NULL */
    void              *warn_user;
} ccu_few_shot_options;

typedef struct ccu_few_shot {
    ccu_classes classes; /* all; the first K are learned */
    int32_t     K;
    char      **paths;   /* owned (count), each owned */
    int32_t    *label;   /* (count) 0 .. K-1 */
    int32_t     count;
} ccu_few_shot;

/* Draws as CoOp's data code does (prompt/shots.h). A class with fewer pictures gives all it has,
 * with a warning. ARGUMENT for one without any; IO, FORMAT, NOMEM. */
clipcu_status ccu_few_shot_open(const ccu_few_shot_options *options, ccu_few_shot *out,
                                clipcu_error *error);
void          ccu_few_shot_close(ccu_few_shot *data);

/* order (data->count): the pictures as an epoch takes them. */
void ccu_few_shot_order(const ccu_few_shot *data, uint64_t seed, int32_t epoch, int32_t *order);

/* A batch of views. */
typedef struct ccu_views {
    const ccu_few_shot *data;
    const clipcu_engine  *engine;
    const int32_t        *picks;   /* (count) of data */
    const uint64_t       *draws;   /* (count) which view of the seed's */
    clipcu_error         *errors;  /* (count) scratch */
    uint8_t              *pixels;  /* (count, S, S, 3) out */
    uint64_t              seed;
    size_t                image_bytes;
    int32_t               count, threads;
} ccu_views;

/* Loads them side by side. The first failure, by the order of picks. */
clipcu_status ccu_views_load(ccu_views *views, clipcu_error *error);

#endif
