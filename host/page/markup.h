/* The pieces of a page as HTML text: cards, tables, the matrix, head and foot. page.c puts them
 * together; nothing here knows of files. */
#ifndef CCU_PAGE_MARKUP_H
#define CCU_PAGE_MARKUP_H

#include "page/page.h"
#include "stream/buffer.h"

typedef struct ccu_card {
    ccu_page_kind        kind;
    const ccu_page_item *item;
    const ccu_buffer    *jpeg; /* its thumbnail; NULL: none */
    int64_t              rank; /* search: 1 is the query's best hit */
    float                best; /* search: the cosine of that hit, a full bar */
} ccu_card;

/* One <img>, which the text beside it describes. */
void ccu_markup_thumbnail(const ccu_buffer *jpeg, ccu_buffer *buffer);

/* One <li>. */
void ccu_markup_card(const ccu_card *card, ccu_buffer *buffer);

/* One <li> of a picture that could not be read. */
void ccu_markup_error(const ccu_page_item *item, ccu_buffer *buffer);

/* The result of an evaluation: figures, confusion, classes. */
void ccu_markup_accuracy(const ccu_page_accuracy *accuracy, ccu_buffer *buffer);

/* What is known of a page when it is closed. */
typedef struct ccu_page_totals {
    int64_t items, errors, groups;
    int64_t shown, errors_shown; /* cards and lines on the page */
    int64_t seconds;             /* since 1970 */
    bool    complete;            /* false: the run was cut short */
    bool    accuracy;            /* the page has that part */
} ccu_page_totals;

/* From the doctype to where the first section begins. */
void ccu_markup_head(const ccu_page_options *options, const ccu_page_totals *totals,
                     ccu_buffer *buffer);

/* Before and behind the ccu_markup_error lines. */
void ccu_markup_errors_head(const ccu_page_totals *totals, ccu_buffer *buffer);
void ccu_markup_errors_foot(const ccu_page_totals *totals, ccu_buffer *buffer);

/* What stands before the first card: heading and controls. */
void ccu_markup_cards_head(const ccu_page_options *options, const ccu_page_totals *totals,
                           ccu_buffer *buffer);
/* Search: what stands before the first card of a query; ends the one before it. jpeg: the query's
 * thumbnail; NULL: it is a text. */
void ccu_markup_group(const char *query, const ccu_buffer *jpeg, bool first, ccu_buffer *buffer);

/* From behind the last card to the end. */
void ccu_markup_foot(const ccu_page_options *options, const ccu_page_totals *totals,
                     ccu_buffer *buffer);

/* 1234567 as 1,234,567. */
void ccu_markup_count(int64_t count, ccu_buffer *buffer);
/* "93.1 %"; a dash where whole is 0. */
void ccu_markup_share(int64_t part, int64_t whole, ccu_buffer *buffer);

#endif
