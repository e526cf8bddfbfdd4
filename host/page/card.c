/* One card or one line of a page; see markup.h. */
#include "page/markup.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "page/thumbnail.h"
#include "stream/escape.h"
#include "stream/sink.h"

void ccu_markup_thumbnail(const ccu_buffer *jpeg, ccu_buffer *buffer) {
    ccu_buffer_text(buffer, "<img src=\"data:image/jpeg;base64,");
    ccu_escape_base64(buffer, jpeg->data, jpeg->bytes);
    ccu_buffer_format(buffer, "\" width=\"%d\" height=\"%d\" alt=\"\" decoding=\"async\">",
                      CCU_THUMBNAIL_SIDE, CCU_THUMBNAIL_SIDE);
}

/* The folders of a path, to be broken at their slashes first. */
static void add_folders(const char *path, const char *end, ccu_buffer *buffer) {
    ccu_buffer part = { .data = NULL };
    while (path < end) {
        const char *slash = memchr(path, '/', (size_t)(end - path)); /* the last is end - 1 */
        ccu_buffer_clear(&part);
        ccu_buffer_add(&part, path, (size_t)(slash + 1 - path));
        if (part.data != NULL) { ccu_escape_html(buffer, part.data); }
        ccu_buffer_text(buffer, "<wbr>");
        path = slash + 1;
    }
    buffer->failed = buffer->failed || part.failed;
    ccu_buffer_free(&part);
}

/* A picture's path with its folders apart, so that they can stand back; any other text as it is. */
static void add_path(const ccu_card *card, ccu_buffer *buffer) {
    const char *path    = card->item->path;
    const bool  picture = card->kind != CCU_PAGE_SEARCH || card->jpeg != NULL;
    const char *slash   = picture ? strrchr(path, '/') : NULL;
    ccu_buffer_text(buffer, "<p class=\"path\">");
    if (slash != NULL) {
        ccu_buffer_text(buffer, "<span class=\"folder\">");
        add_folders(path, slash + 1, buffer);
        ccu_buffer_text(buffer, "</span>");
        path = slash + 1;
    }
    ccu_buffer_text(buffer, "<span class=\"file\">");
    ccu_escape_html(buffer, path);
    ccu_buffer_text(buffer, "</span></p>");
}

/* Percent of a full bar, 0 .. 100. */
static double bar_of(float value, float full) {
    const double share = 100.0 * (double)value / (double)full;
    if (!(full > 0.0f) || !(share > 0.0)) { return 0.0; } /* also for a NaN */
    return share < 100.0 ? share : 100.0;
}

static void add_number(ccu_page_kind kind, float value, ccu_buffer *buffer) {
    if (!isfinite(value)) {
        ccu_buffer_text(buffer, "\xe2\x80\x93"); /* a dash */
    } else if (kind == CCU_PAGE_SEARCH) {
        ccu_buffer_format(buffer, "%.3f", (double)value);
    } else {
        ccu_buffer_format(buffer, "%.1f\xc2\xa0%%", 100.0 * (double)value);
    }
}

static void add_scores(const ccu_card *card, ccu_buffer *buffer) {
    const ccu_page_item *item  = card->item;
    const int32_t        count = item->count < CCU_CARD_SCORES_MAX ? item->count
                                                                   : CCU_CARD_SCORES_MAX;
    ccu_buffer_text(buffer, "<ol class=\"scores\">");
    for (int32_t i = 0; i < count; i++) {
        const ccu_page_score *score = &item->scores[i];
        const bool            truth = item->truth != NULL && strcmp(score->label, item->truth) == 0;
        ccu_buffer_format(buffer, "<li%s style=\"--bar-length:%.1f%%\" title=\"cosine %.4f\">",
                          truth ? " class=\"true\"" : "", bar_of(score->value, 1.0f),
                          (double)score->cosine);
        ccu_buffer_text(buffer, "<span class=\"label\">");
        ccu_escape_html(buffer, score->label);
        ccu_buffer_text(buffer, "</span> <span class=\"number\">");
        add_number(card->kind, score->value, buffer);
        ccu_buffer_text(buffer, "</span></li>");
    }
    ccu_buffer_text(buffer, "</ol>");
}

static void add_hit(const ccu_card *card, ccu_buffer *buffer) {
    const float cosine = card->item->scores[0].value;
    ccu_buffer_format(buffer,
                      "<p class=\"hit\" style=\"--bar-length:%.1f%%\">"
                      "<span class=\"rank\">%lld</span> <span class=\"number\">",
                      bar_of(cosine, card->best), (long long)card->rank);
    add_number(CCU_PAGE_SEARCH, cosine, buffer);
    ccu_buffer_text(buffer, "</span></p>");
}

/* What it is and what it was taken for, in words: colour alone would not do. */
static void add_verdict(const ccu_page_item *item, bool right, ccu_buffer *buffer) {
    ccu_buffer_text(buffer, right ? "<p class=\"verdict\">right: <b class=\"truth\">"
                                  : "<p class=\"verdict\">wrong: it is <b class=\"truth\">");
    ccu_escape_html(buffer, item->truth);
    ccu_buffer_text(buffer, "</b></p>");
}

void ccu_markup_card(const ccu_card *card, ccu_buffer *buffer) {
    const ccu_page_item *item  = card->item;
    const bool           right = item->truth != NULL && item->count > 0 &&
                       strcmp(item->scores[0].label, item->truth) == 0;
    assert(item->error == NULL);
    ccu_buffer_text(buffer, item->truth == NULL ? "<li class=\"card\">"
                            : right             ? "<li class=\"card right\">"
                                                : "<li class=\"card wrong\">");
    if (card->jpeg != NULL) { ccu_markup_thumbnail(card->jpeg, buffer); }
    ccu_buffer_text(buffer, "<div class=\"body\">");
    add_path(card, buffer);
    if (item->truth != NULL) { add_verdict(item, right, buffer); }
    if (card->kind == CCU_PAGE_SEARCH && item->count > 0) {
        add_hit(card, buffer);
    } else if (item->count > 0) {
        add_scores(card, buffer);
    }
    ccu_buffer_text(buffer, "</div></li>\n");
}

void ccu_markup_error(const ccu_page_item *item, ccu_buffer *buffer) {
    ccu_buffer_text(buffer, "<li><code>");
    ccu_escape_html(buffer, item->path);
    ccu_buffer_text(buffer, "</code> <span>");
    ccu_escape_html(buffer, ccu_sink_bare_error(item->path, item->error));
    ccu_buffer_text(buffer, "</span></li>\n");
}
