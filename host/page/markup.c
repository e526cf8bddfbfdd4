/* What surrounds the cards of a page; see markup.h. */
#include "page/markup.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "page/assets.h"
#include "stream/escape.h"

void ccu_markup_count(int64_t count, ccu_buffer *buffer) {
    char      digits[24];
    const int length = snprintf(digits, sizeof digits, "%lld", (long long)count);
    assert(count >= 0);
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) { ccu_buffer_text(buffer, ","); }
        ccu_buffer_add(buffer, digits + i, 1);
    }
}

void ccu_markup_share(int64_t part, int64_t whole, ccu_buffer *buffer) {
    if (whole > 0) {
        ccu_buffer_format(buffer, "%.1f\xc2\xa0%%", 100.0 * (double)part / (double)whole);
    } else {
        ccu_buffer_text(buffer, "\xe2\x80\x93");
    }
}

static void add_asset(const ccu_asset *asset, ccu_buffer *buffer) {
    ccu_buffer_add(buffer, asset->bytes, asset->count);
}

/* "1 picture", "1,200 pictures" */
static void add_things(int64_t count, const char *one, const char *many, ccu_buffer *buffer) {
    ccu_markup_count(count, buffer);
    ccu_buffer_format(buffer, " %s", count == 1 ? one : many);
}

static const char *name_of(ccu_page_kind kind) {
    switch (kind) {
    case CCU_PAGE_CLASSIFY: return "classify";
    case CCU_PAGE_SEARCH: return "search";
    case CCU_PAGE_EVAL: return "eval";
    }
    return "";
}

static void add_title(const ccu_page_options *options, const ccu_page_totals *totals,
                      ccu_buffer *buffer) {
    switch (options->kind) {
    case CCU_PAGE_CLASSIFY:
        if (totals->errors > 0) {
            ccu_markup_count(totals->items - totals->errors, buffer);
            ccu_buffer_text(buffer, " of ");
        }
        add_things(totals->items, "picture", "pictures", buffer);
        ccu_buffer_text(buffer, totals->errors > 0 ? " classified" : ", classified");
        break;
    case CCU_PAGE_SEARCH:
        add_things(totals->groups, "query", "queries", buffer);
        ccu_buffer_text(buffer, ", ");
        add_things(totals->items - totals->errors, "hit", "hits", buffer);
        break;
    case CCU_PAGE_EVAL:
        ccu_buffer_text(buffer, "Accuracy on ");
        add_things(totals->items - totals->errors, "picture", "pictures", buffer);
        break;
    }
}

static void add_fact(const char *name, const char *value, ccu_buffer *buffer) {
    if (value[0] == '\0') { return; }
    ccu_buffer_format(buffer, "<div><dt>%s</dt><dd>", name);
    ccu_escape_html(buffer, value);
    ccu_buffer_text(buffer, "</dd></div>\n");
}

static void add_date(int64_t seconds, ccu_buffer *buffer) {
    const time_t now = (time_t)seconds;
    struct tm    parts;
    char         text[64];
    if (gmtime_r(&now, &parts) == NULL) { return; }
    if (strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts) > 0) {
        add_fact("Date", text, buffer);
    }
}

/* No network, no script but ours: what a label or a path holds can run nothing, even if it were
 * not escaped. Styles are inline: bars carry their length. */
static void add_policy(ccu_buffer *buffer) {
    ccu_buffer_format(buffer,
                      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                      "img-src data:; style-src 'unsafe-inline'; script-src '%s'; "
                      "base-uri 'none'; form-action 'none'\">\n",
                      ccu_asset_js_hash);
}

void ccu_markup_head(const ccu_page_options *options, const ccu_page_totals *totals,
                     ccu_buffer *buffer) {
    ccu_buffer_format(buffer,
                      "<!DOCTYPE html>\n<html lang=\"en\" data-kind=\"%s\">\n<head>\n"
                      "<meta charset=\"utf-8\">\n",
                      name_of(options->kind));
    add_policy(buffer);
    ccu_buffer_text(buffer, "<meta name=\"viewport\" content=\"width=device-width, "
                            "initial-scale=1\">\n<meta name=\"color-scheme\" "
                            "content=\"light dark\">\n<title>");
    add_title(options, totals, buffer);
    ccu_buffer_text(buffer, " \xc2\xb7 clipcu</title>\n<style>\n");
    add_asset(&ccu_asset_css, buffer);
    ccu_buffer_format(buffer,
                      "</style>\n</head>\n<body>\n<header class=\"top\">\n"
                      "<p class=\"brand\"><b>clipcu</b> %s</p>\n"
                      "<button type=\"button\" id=\"theme\" hidden>Dark</button>\n<h1>",
                      name_of(options->kind));
    add_title(options, totals, buffer);
    ccu_buffer_text(buffer, "</h1>\n<dl class=\"facts\">\n");
    add_fact("Model", options->model, buffer);
    add_fact("Made with", options->details, buffer);
    add_date(totals->seconds, buffer);
    ccu_buffer_text(buffer, "</dl>\n</header>\n<main>\n");
    if (!totals->complete) {
        ccu_buffer_text(buffer, "<p class=\"notice\">The run was cut short: this is what was done "
                                "until then.</p>\n");
    }
}

void ccu_markup_errors_head(const ccu_page_totals *totals, ccu_buffer *buffer) {
    ccu_buffer_format(buffer, "<section class=\"errors\">\n<details%s><summary><h2>",
                      totals->errors_shown <= 10 ? " open" : "");
    add_things(totals->errors, "picture", "pictures", buffer);
    ccu_buffer_text(buffer, " could not be read</h2></summary>\n<ul>\n");
}

void ccu_markup_errors_foot(const ccu_page_totals *totals, ccu_buffer *buffer) {
    ccu_buffer_text(buffer, "</ul>\n");
    if (totals->errors_shown < totals->errors) {
        ccu_buffer_text(buffer, "<p>And ");
        ccu_markup_count(totals->errors - totals->errors_shown, buffer);
        ccu_buffer_text(buffer, " more, not shown on this page.</p>\n");
    }
    ccu_buffer_text(buffer, "</details>\n</section>\n");
}

void ccu_markup_cards_head(const ccu_page_options *options, const ccu_page_totals *totals,
                           ccu_buffer *buffer) {
    const int64_t fit = totals->items - totals->errors;
    ccu_buffer_format(buffer, "<section id=\"pictures\" tabindex=\"-1\" aria-label=\"%s\">\n",
                      options->kind == CCU_PAGE_SEARCH ? "Hits" : "Pictures");
    if (options->kind == CCU_PAGE_EVAL && fit > 0) {
        ccu_buffer_text(buffer, "<h2>The pictures</h2>\n");
    }
    if (totals->shown > 0) { add_asset(&ccu_asset_controls, buffer); }
    if (totals->shown < fit) {
        ccu_buffer_text(buffer, "<p class=\"notice\">This page shows ");
        ccu_markup_count(totals->shown, buffer);
        ccu_buffer_text(buffer, " of ");
        ccu_markup_count(fit, buffer);
        ccu_buffer_text(buffer, options->kind == CCU_PAGE_EVAL
                                    ? ", mistakes first; the figures count all of them.</p>\n"
                                    : "; the others were only counted.</p>\n");
    } else if (totals->items == 0) {
        ccu_buffer_text(buffer, "<p class=\"notice\">There is nothing to show.</p>\n");
    }
    if (options->kind != CCU_PAGE_SEARCH) { ccu_buffer_text(buffer, "<ol class=\"cards\">\n"); }
}

void ccu_markup_group(const char *query, const ccu_buffer *jpeg, bool first, ccu_buffer *buffer) {
    if (!first) { ccu_buffer_text(buffer, "</ol>\n</section>\n"); }
    ccu_buffer_text(buffer, "<section class=\"group\">\n<h2>");
    if (jpeg != NULL) { ccu_markup_thumbnail(jpeg, buffer); }
    ccu_escape_html(buffer, query);
    ccu_buffer_text(buffer, "</h2>\n<ol class=\"cards\">\n");
}

void ccu_markup_foot(const ccu_page_options *options, const ccu_page_totals *totals,
                     ccu_buffer *buffer) {
    if (options->kind != CCU_PAGE_SEARCH) {
        ccu_buffer_text(buffer, "</ol>\n");
    } else if (totals->shown > 0) {
        ccu_buffer_text(buffer, "</ol>\n</section>\n");
    }
    ccu_buffer_format(buffer,
                      "</section>\n</main>\n<footer>Made by clipcu %s. This file needs no network "
                      "and holds thumbnails of the pictures as the model saw them.</footer>\n"
                      "<script>",
                      clipcu_version());
    add_asset(&ccu_asset_js, buffer);
    ccu_buffer_text(buffer, "</script>\n</body>\n</html>\n");
}
