/* Results as one self-contained HTML page: a card with a thumbnail per picture, sortable, and for
 * an evaluation the accuracy per class and the confusion matrix. No network, no other files; light
 * and dark, wide and narrow.
 *
 * Cards wait in unnamed files beside the page until it is closed: then the head, which needs the
 * counts, is written before them. Memory grows neither with the pictures nor with the page.
 *
 * Calls with page NULL do nothing and return OK, so that callers need not ask whether a page was
 * wanted. Texts are borrowed during the call only; whatever is in them stays text. */
#ifndef CCU_PAGE_PAGE_H
#define CCU_PAGE_PAGE_H

#include <stdbool.h>

#include "base/status.h"

/* Scores that a card shows, at most. */
#define CCU_CARD_SCORES_MAX 10

typedef struct ccu_page ccu_page;

typedef enum ccu_page_kind { CCU_PAGE_CLASSIFY, CCU_PAGE_SEARCH, CCU_PAGE_EVAL } ccu_page_kind;

typedef struct ccu_page_options {
    const char   *path;       /* the page; appears when it is complete (ccu_output_open) */
    ccu_page_kind kind;
    const char   *model;      /* shown in the head */
    const char   *details;    /* how the results were made, one line for the head; NULL: nothing */
    int64_t       items_max;  /* cards; at least 0. Beyond it pictures are only counted */
    int32_t       image_size; /* S of the pixels handed to ccu_page_add; 0: there are none */
} ccu_page_options;

typedef struct ccu_page_score {
    const char *label;
    float       value;  /* classify, eval: probability. search: cosine */
    float       cosine; /* shown beside a probability; not read in a search */
} ccu_page_score;

typedef struct ccu_page_item {
    const char           *path;   /* of the picture; in a search of texts the text */
    const char           *group;  /* search: the query this is a hit of; items of a group follow one
                                     another, best first. Else NULL */
    const uint8_t *group_pixels;  /* search: (S, S, 3) the query, where it is a picture; read with
                                     the first item of the group. Else NULL */
    const char           *truth;  /* eval: the class it is; else NULL */
    const char           *error;  /* NULL: none. Else pixels and scores are not read */
    const uint8_t        *pixels; /* (S, S, 3) as the model saw it; NULL: no thumbnail */
    const ccu_page_score *scores; /* (count), best first. eval: the first is the answer.
                                     search: one, its label is not read */
    int32_t               count;
} ccu_page_item;

typedef struct ccu_page_class {
    const char *label;
    int64_t     pictures, top1, top5; /* answered; of these right at once, and among the first 5 */
} ccu_page_class;

typedef struct ccu_page_accuracy {
    const ccu_page_class *classes;   /* (K) */
    const int64_t        *confusion; /* (K, K): row is what it is, column what it was taken for;
                                        NULL if K is too large for a matrix */
    int32_t               K;
    int64_t               pictures, top1, top5; /* all classes together */
} ccu_page_accuracy;

/* Whether ccu_page_open is likely to work. A page is a file: ARGUMENT for "-". Else see
 * ccu_output_check. path NULL: no page, OK. */
clipcu_status ccu_page_check(const char *path, clipcu_error *error);

/* IO, LIMIT, NOMEM. */
clipcu_status ccu_page_open(const ccu_page_options *options, ccu_page **out, clipcu_error *error);

/* Whether the next item's card would still be shown: whoever has to load pixels for nothing else
 * asks first. False for NULL. */
bool ccu_page_has_room(const ccu_page *page);

clipcu_status ccu_page_add(ccu_page *page, const ccu_page_item *item, clipcu_error *error);

/* At most once, before closing. */
clipcu_status ccu_page_accuracy_add(ccu_page *page, const ccu_page_accuracy *accuracy,
                                    clipcu_error *error);

/* Writes, ends and frees the page. Not complete: what there is goes to FILE.part, with a word that
 * the run did not end; nothing is left behind if there are no items. */
clipcu_status ccu_page_close(ccu_page *page, bool complete, clipcu_error *error);

#endif
