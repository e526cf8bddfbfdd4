/* A page from its items; see page.h. The pieces are made in markup.h's files; here they wait in
 * spools and are put in order. */
#include "page/page.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "page/markup.h"
#include "page/spool.h"
#include "page/thumbnail.h"

struct ccu_page {
    ccu_page_options options; /* its texts are the three below */
    char            *path, *model, *details;
    ccu_page_totals  totals;
    ccu_output       output;
    ccu_buffer       buffer, jpeg;
    ccu_spool        accuracy, errors;
    ccu_spool        wrong; /* eval: cards of wrong answers, which come first */
    ccu_spool        cards; /* all others; both together show at most items_max */
    char            *group; /* of the last item; NULL: none yet */
    int64_t          rank;  /* of the last item in its group */
    float            best;  /* cosine of the group's first item */
};

clipcu_status ccu_page_check(const char *path, clipcu_error *error) {
    if (path == NULL) { return CLIPCU_OK; }
    if (strcmp(path, "-") == 0) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "--html: expected a file to write, found - (standard output)");
    }
    return ccu_output_check(path, error);
}

static void free_page(ccu_page *page) {
    ccu_spool_close(&page->accuracy);
    ccu_spool_close(&page->errors);
    ccu_spool_close(&page->wrong);
    ccu_spool_close(&page->cards);
    ccu_buffer_free(&page->buffer);
    ccu_buffer_free(&page->jpeg);
    ccu_free(page->path);
    ccu_free(page->model);
    ccu_free(page->details);
    ccu_free(page->group);
    ccu_free(page);
}

static clipcu_status open_spools(ccu_page *page, clipcu_error *error) {
    ccu_spool *const spools[] = { &page->accuracy, &page->errors, &page->wrong, &page->cards };
    clipcu_status    status   = CLIPCU_OK;
    for (size_t i = 0; i < sizeof spools / sizeof spools[0] && status == CLIPCU_OK; i++) {
        status = ccu_spool_open(page->output.atomic ? page->path : NULL, spools[i], error);
    }
    return status;
}

clipcu_status ccu_page_open(const ccu_page_options *options, ccu_page **out, clipcu_error *error) {
    assert(options->path != NULL);
    assert(options->items_max >= 0);
    *out                 = NULL;
    clipcu_status status = ccu_page_check(options->path, error);
    if (status != CLIPCU_OK) { return status; }
    ccu_page *page = ccu_alloc_zeroed(1, sizeof *page);
    if (page == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "--html: no memory"); }
    page->output.fd = -1;
    page->path      = ccu_strdup(options->path);
    page->model     = ccu_strdup(options->model);
    page->details   = ccu_strdup(options->details == NULL ? "" : options->details);
    page->options   = *options;
    page->options.path    = page->path;
    page->options.model   = page->model;
    page->options.details = page->details;
    if (page->path == NULL || page->model == NULL || page->details == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "--html: no memory");
    } else {
        status = ccu_output_open(page->path, &page->output, error);
    }
    if (status == CLIPCU_OK) { status = open_spools(page, error); }
    if (status != CLIPCU_OK) {
        (void)ccu_output_close(&page->output, false, NULL); /* already failing; nothing is in it */
        free_page(page);
        return status;
    }
    *out = page;
    return CLIPCU_OK;
}

bool ccu_page_has_room(const ccu_page *page) {
    if (page == NULL) { return false; }
    const bool evaluates = page->options.kind == CCU_PAGE_EVAL;
    return page->cards.records < page->options.items_max ||
           (evaluates && page->wrong.records < page->options.items_max);
}

/* Starts the section of another query. Sets rank and best. */
static clipcu_status enter_group(ccu_page *page, const ccu_page_item *item, clipcu_error *error) {
    const bool same = page->group != NULL && strcmp(page->group, item->group) == 0;
    page->rank      = same ? page->rank + 1 : 1;
    if (same) { return CLIPCU_OK; }
    char *group = ccu_strdup(item->group);
    if (group == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "--html: no memory"); }
    ccu_free(page->group);
    page->group = group;
    page->best  = item->count > 0 ? item->scores[0].value : 0.0f;
    page->totals.groups++;
    return CLIPCU_OK;
}

/* Whether an item is what an evaluation counts as a mistake. */
static bool is_wrong(const ccu_page_item *item) {
    return item->truth != NULL &&
           (item->count == 0 || strcmp(item->scores[0].label, item->truth) != 0);
}

/* Makes the thumbnail of pixels in page->jpeg; NULL makes none. */
static clipcu_status make_thumbnail(ccu_page *page, const uint8_t *pixels, clipcu_error *error) {
    ccu_buffer_clear(&page->jpeg);
    if (pixels == NULL) { return CLIPCU_OK; }
    assert(page->options.image_size > 0);
    const clipcu_status status = ccu_thumbnail_add(pixels, page->options.image_size, &page->jpeg,
                                                   error);
    return status == CLIPCU_OK ? ccu_buffer_status(&page->jpeg, error) : status;
}

static clipcu_status add_card(ccu_page *page, const ccu_page_item *item, ccu_spool *spool,
                              clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    ccu_buffer_clear(&page->buffer);
    if (item->group != NULL && page->rank == 1) {
        status = make_thumbnail(page, item->group_pixels, error);
        if (status != CLIPCU_OK) { return status; }
        ccu_markup_group(item->group, item->group_pixels != NULL ? &page->jpeg : NULL,
                         page->totals.groups == 1, &page->buffer);
    }
    status = make_thumbnail(page, item->pixels, error);
    if (status != CLIPCU_OK) { return status; }
    ccu_markup_card(&(ccu_card){ .kind = page->options.kind,
                                 .item = item,
                                 .jpeg = item->pixels != NULL ? &page->jpeg : NULL,
                                 .rank = page->rank,
                                 .best = page->best },
                    &page->buffer);
    status = ccu_buffer_status(&page->buffer, error);
    if (status != CLIPCU_OK) { return status; }
    return ccu_spool_add(spool, page->buffer.data, page->buffer.bytes, error);
}

clipcu_status ccu_page_add(ccu_page *page, const ccu_page_item *item, clipcu_error *error) {
    if (page == NULL) { return CLIPCU_OK; }
    assert(item->path != NULL);
    assert(item->count == 0 || item->scores != NULL);
    page->totals.items++;
    if (item->error != NULL) {
        page->totals.errors++;
        if (page->errors.records >= page->options.items_max) { return CLIPCU_OK; }
        ccu_buffer_clear(&page->buffer);
        ccu_markup_error(item, &page->buffer);
        const clipcu_status status = ccu_buffer_status(&page->buffer, error);
        if (status != CLIPCU_OK) { return status; }
        return ccu_spool_add(&page->errors, page->buffer.data, page->buffer.bytes, error);
    }
    if (item->group != NULL) {
        const clipcu_status status = enter_group(page, item, error);
        if (status != CLIPCU_OK) { return status; }
    }
    ccu_spool *spool = is_wrong(item) ? &page->wrong : &page->cards;
    if (spool->records >= page->options.items_max) { return CLIPCU_OK; }
    return add_card(page, item, spool, error);
}

clipcu_status ccu_page_accuracy_add(ccu_page *page, const ccu_page_accuracy *accuracy,
                                    clipcu_error *error) {
    if (page == NULL) { return CLIPCU_OK; }
    assert(accuracy->K > 0);
    assert(page->accuracy.records == 0);
    ccu_buffer_clear(&page->buffer);
    ccu_markup_accuracy(accuracy, &page->buffer);
    const clipcu_status status = ccu_buffer_status(&page->buffer, error);
    if (status != CLIPCU_OK) { return status; }
    return ccu_spool_add(&page->accuracy, page->buffer.data, page->buffer.bytes, error);
}

/* Writes what is in the buffer and empties it. */
static clipcu_status flush(ccu_page *page, clipcu_error *error) {
    clipcu_status status = ccu_buffer_status(&page->buffer, error);
    if (status == CLIPCU_OK && page->buffer.bytes > 0) {
        status = ccu_output_write(&page->output, page->buffer.data, page->buffer.bytes, error);
    }
    ccu_buffer_clear(&page->buffer);
    return status;
}

/* The page from head to foot. */
static clipcu_status write_page(ccu_page *page, clipcu_error *error) {
    const int64_t    most   = page->options.items_max;
    const int64_t    wrong  = page->wrong.records < most ? page->wrong.records : most;
    const int64_t    right  = page->cards.records < most - wrong ? page->cards.records
                                                                 : most - wrong;
    ccu_page_totals *totals = &page->totals;
    clipcu_status    status = CLIPCU_OK;
    totals->shown           = wrong + right;
    totals->errors_shown    = page->errors.records;
    totals->accuracy        = page->accuracy.records > 0;
    totals->seconds         = (int64_t)time(NULL);

    ccu_buffer_clear(&page->buffer);
    ccu_markup_head(&page->options, totals, &page->buffer);
    status = flush(page, error);
    if (status == CLIPCU_OK) {
        status = ccu_spool_copy(&page->accuracy, INT64_MAX, &page->output, error);
    }
    if (status == CLIPCU_OK && totals->errors > 0) {
        ccu_markup_errors_head(totals, &page->buffer);
        status = flush(page, error);
        if (status == CLIPCU_OK) {
            status = ccu_spool_copy(&page->errors, INT64_MAX, &page->output, error);
        }
        ccu_markup_errors_foot(totals, &page->buffer);
    }
    ccu_markup_cards_head(&page->options, totals, &page->buffer);
    if (status == CLIPCU_OK) { status = flush(page, error); }
    if (status == CLIPCU_OK) { status = ccu_spool_copy(&page->wrong, wrong, &page->output, error); }
    if (status == CLIPCU_OK) { status = ccu_spool_copy(&page->cards, right, &page->output, error); }
    ccu_markup_foot(&page->options, totals, &page->buffer);
    return status == CLIPCU_OK ? flush(page, error) : status;
}

clipcu_status ccu_page_close(ccu_page *page, bool complete, clipcu_error *error) {
    if (page == NULL) { return CLIPCU_OK; }
    clipcu_status status  = CLIPCU_OK;
    page->totals.complete = complete;
    if (complete || page->totals.items > 0) { status = write_page(page, error); }
    const clipcu_status closed = ccu_output_close(&page->output, complete && status == CLIPCU_OK,
                                                  status == CLIPCU_OK ? error : NULL);
    free_page(page);
    return status == CLIPCU_OK ? closed : status;
}
