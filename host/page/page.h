/* Results as one self-contained HTML page: a card with a thumbnail per picture, sortable, and for
 * an evaluation the accuracy per class and the confusion matrix. No network, no other files; light
 * and dark, wide and narrow.
 *
 * Written as results come: memory grows neither with the pictures nor with the size of the page.
 * Beyond items_max the page only counts, and says so. */
#ifndef CCU_PAGE_PAGE_H
#define CCU_PAGE_PAGE_H

#include "stream/output.h"

typedef struct ccu_page ccu_page;

typedef struct ccu_page_options {
    const char *path;  /* the page; appears when it is complete (ccu_output_open) */
    const char *title; /* "classify", "search", "eval": also which columns there are */
    const char *model; /* shown in the head */
    int64_t     items_max;
    int32_t     image_size; /* S of the pixels handed to ccu_page_add */
} ccu_page_options;

typedef struct ccu_page_score {
    const char *label; /* a class; in a search the query */
    float       value; /* 0 .. 1: probability, or cosine */
    float       cosine;
} ccu_page_score;

typedef struct ccu_page_item {
    const char           *path;   /* of the picture; in a search of texts the text */
    const char           *group;  /* search: the query this is a hit of; items of a group follow one
                                     another. Else NULL */
    const char           *truth;  /* eval: the class it is; else NULL */
    const char           *error;  /* NULL: none */
    const uint8_t        *pixels; /* (S, S, 3) as the model saw it; NULL: no thumbnail */
    const ccu_page_score *scores; /* (count), best first */
    int32_t               count;
} ccu_page_item;

typedef struct ccu_page_class {
    const char *label;
    int64_t     pictures, top1, top5;
} ccu_page_class;

typedef struct ccu_page_accuracy {
    const ccu_page_class *classes;   /* (K) */
    const int64_t        *confusion; /* (K, K): row is what it is, column what it was taken for;
                                        NULL if K is too large for a matrix */
    int32_t               K;
    int64_t               pictures, errors, top1, top5;
} ccu_page_accuracy;

/* Whether ccu_page_open is likely to work; see ccu_output_check. */
clipcu_status ccu_page_check(const char *path, clipcu_error *error);
clipcu_status ccu_page_open(const ccu_page_options *options, ccu_page **out, clipcu_error *error);
clipcu_status ccu_page_add(ccu_page *page, const ccu_page_item *item, clipcu_error *error);
/* At most once, before closing. */
clipcu_status ccu_page_accuracy_add(ccu_page *page, const ccu_page_accuracy *accuracy,
                                    clipcu_error *error);
/* Ends and frees the page; see ccu_output_close. NULL is a no-op. */
clipcu_status ccu_page_close(ccu_page *page, bool complete, clipcu_error *error);

#endif
