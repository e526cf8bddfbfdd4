/* The part of a page that says how good the answers were; see markup.h.
 *
 * Up to MATRIX_TABLE_MAX classes the confusion matrix is a table. Beyond, it is a picture that the
 * script draws from the entries that are not 0. Without the script the largest mistakes remain,
 * which are a table of their own. */
#include "page/markup.h"

#include <assert.h>

#include "stream/escape.h"

#define MATRIX_TABLE_MAX 24
#define MISTAKES_MAX 20
/* Percent of colour in a cell: text on the darkest still has a contrast above 4.5. */
#define TINT_LEAST 10.0
#define TINT_RANGE 36.0

/* An entry of the matrix beside its diagonal. */
typedef struct mistake {
    int32_t row, column;
    int64_t count;
} mistake;

static int64_t entry(const ccu_page_accuracy *a, int32_t row, int32_t column) {
    return a->confusion[(size_t)row * (size_t)a->K + (size_t)column];
}

static void add_tile(const char *name, int64_t part, int64_t whole, ccu_buffer *buffer) {
    ccu_buffer_format(buffer, "<div><dt>%s</dt><dd><b>", name);
    ccu_markup_share(part, whole, buffer);
    ccu_buffer_text(buffer, "</b> <small>");
    ccu_markup_count(part, buffer);
    ccu_buffer_text(buffer, " of ");
    ccu_markup_count(whole, buffer);
    ccu_buffer_text(buffer, "</small></dd></div>\n");
}

/* The mean of the classes' own shares: a large class counts no more than a small one. */
static void add_mean_tile(const ccu_page_accuracy *a, ccu_buffer *buffer) {
    double  sum     = 0.0;
    int32_t counted = 0;
    for (int32_t k = 0; k < a->K; k++) {
        if (a->classes[k].pictures == 0) { continue; }
        sum += (double)a->classes[k].top1 / (double)a->classes[k].pictures;
        counted++;
    }
    ccu_buffer_text(buffer, "<div><dt>Mean of classes</dt><dd><b>");
    if (counted > 0) {
        ccu_buffer_format(buffer, "%.1f\xc2\xa0%%", 100.0 * sum / counted);
    } else {
        ccu_markup_share(0, 0, buffer);
    }
    ccu_buffer_text(buffer, "</b> <small>");
    ccu_markup_count(counted, buffer);
    ccu_buffer_text(buffer, counted == 1 ? " class" : " classes");
    ccu_buffer_text(buffer, "</small></dd></div>\n");
}

static void add_label_cell(const char *before, const char *label, const char *behind,
                           ccu_buffer *buffer) {
    ccu_buffer_text(buffer, before);
    ccu_escape_html(buffer, label);
    ccu_buffer_text(buffer, behind);
}

/* How many pictures of class r were answered. */
static int64_t row_sum(const ccu_page_accuracy *a, int32_t r) {
    int64_t sum = 0;
    for (int32_t c = 0; c < a->K; c++) { sum += entry(a, r, c); }
    return sum;
}

/* The largest share that one mistake has of its class: the darkest cell beside the diagonal. */
static double worst_share(const ccu_page_accuracy *a) {
    double worst = 0.0;
    for (int32_t r = 0; r < a->K; r++) {
        const double sum = (double)row_sum(a, r);
        for (int32_t c = 0; c < a->K; c++) {
            const double share = (double)entry(a, r, c) / sum; /* NaN for 0 of 0 */
            if (c != r && share > worst) { worst = share; }
        }
    }
    return worst;
}

static void add_matrix_row(const ccu_page_accuracy *a, int32_t row, double worst,
                           ccu_buffer *buffer) {
    const double sum = (double)row_sum(a, row);
    add_label_cell("<tr><th scope=\"row\"><span>", a->classes[row].label, "</span></th>", buffer);
    for (int32_t c = 0; c < a->K; c++) {
        const int64_t count = entry(a, row, c);
        if (count == 0) {
            ccu_buffer_text(buffer, c == row ? "<td class=\"same\"></td>" : "<td></td>");
            continue;
        }
        const double share = (double)count / (c == row ? sum : sum * worst);
        ccu_buffer_format(buffer, "<td class=\"%s\" style=\"--tint:%.0f%%\">",
                          c == row ? "same" : "other", TINT_LEAST + TINT_RANGE * share);
        ccu_markup_count(count, buffer);
        ccu_buffer_text(buffer, "</td>");
    }
    ccu_buffer_text(buffer, "</tr>\n");
}

static void add_matrix_table(const ccu_page_accuracy *a, ccu_buffer *buffer) {
    ccu_buffer_text(buffer, "<table>\n<thead><tr><th scope=\"col\"><span>is \xe2\x86\x93 &nbsp; "
                            "taken for \xe2\x86\x92</span></th>");
    for (int32_t c = 0; c < a->K; c++) {
        add_label_cell("<th scope=\"col\"><span>", a->classes[c].label, "</span></th>", buffer);
    }
    ccu_buffer_text(buffer, "</tr></thead>\n<tbody>\n");
    const double worst = worst_share(a);
    for (int32_t r = 0; r < a->K; r++) { add_matrix_row(a, r, worst, buffer); }
    ccu_buffer_text(buffer, "</tbody>\n</table>\n");
}

/* Row, column and count of what is not 0, for the script. */
static void add_matrix_data(const ccu_page_accuracy *a, ccu_buffer *buffer) {
    const char *comma = "";
    ccu_buffer_text(buffer, "<canvas hidden></canvas>\n<div id=\"mark\" hidden></div>\n"
                            "<noscript>The matrix of so many classes is drawn by a script, which "
                            "is off. Its largest entries are in the table beside it.</noscript>\n"
                            "<script type=\"application/json\" id=\"confusion\">[");
    for (int32_t r = 0; r < a->K; r++) {
        for (int32_t c = 0; c < a->K; c++) {
            if (entry(a, r, c) == 0) { continue; }
            ccu_buffer_format(buffer, "%s%d,%d,%lld", comma, (int)r, (int)c,
                              (long long)entry(a, r, c));
            comma = ",";
        }
        if (r + 1 < a->K) { ccu_buffer_text(buffer, "\n"); }
    }
    ccu_buffer_text(buffer, "]</script>\n");
}

static void add_matrix(const ccu_page_accuracy *a, ccu_buffer *buffer) {
    const bool table = a->K <= MATRIX_TABLE_MAX;
    ccu_buffer_format(buffer, "<section class=\"confusion%s\">\n", table ? "" : " drawn");
    ccu_buffer_text(buffer,
                    "<h2>What was taken for what</h2>\n<p class=\"hint\" id=\"matrix-hint\">"
                    "Rows are what pictures show, columns what they were taken for; the diagonal "
                    "is right. The stronger a colour, the larger the share of the class."
                    "<span class=\"script\"> Point or tap, or use the arrow keys and "
                    "Enter.</span></p>\n"
                    "<div class=\"scroll\" id=\"matrix\" tabindex=\"0\" role=\"group\" "
                    "aria-label=\"Confusion matrix\" aria-describedby=\"matrix-hint\">\n");
    if (table) {
        add_matrix_table(a, buffer);
    } else {
        add_matrix_data(a, buffer);
    }
    ccu_buffer_text(buffer, "</div>\n<p class=\"script readout\"><span id=\"readout\" "
                            "aria-live=\"polite\"></span>\n<button type=\"button\" id=\"open\" "
                            "hidden>Show</button></p>\n</section>\n");
}

/* The largest entries beside the diagonal, ties in the order of the matrix. Returns how many. */
static int32_t find_mistakes(const ccu_page_accuracy *a, mistake *out) {
    int32_t found = 0;
    for (int32_t r = 0; r < a->K; r++) {
        for (int32_t c = 0; c < a->K; c++) {
            const int64_t count = entry(a, r, c);
            if (r == c || count == 0) { continue; }
            if (found == MISTAKES_MAX && count <= out[found - 1].count) { continue; }
            int32_t at = found < MISTAKES_MAX ? found++ : found - 1;
            for (; at > 0 && out[at - 1].count < count; at--) { out[at] = out[at - 1]; }
            out[at] = (mistake){ .row = r, .column = c, .count = count };
        }
    }
    return found;
}

static void add_mistakes(const ccu_page_accuracy *a, ccu_buffer *buffer) {
    mistake       mistakes[MISTAKES_MAX];
    const int32_t count = find_mistakes(a, mistakes);
    if (count == 0) { return; }
    ccu_buffer_text(buffer,
                    "<section class=\"mistakes\">\n<h2>Most frequent mistakes</h2>\n"
                    "<div class=\"scroll\" tabindex=\"0\" role=\"group\" "
                    "aria-label=\"Most frequent mistakes\">\n<table id=\"mistakes\">\n<thead><tr>"
                    "<th scope=\"col\">Is</th><th scope=\"col\">Taken for</th>"
                    "<th scope=\"col\" class=\"number\">Times</th>"
                    "<th scope=\"col\" class=\"number\">Of class</th></tr></thead>\n<tbody>\n");
    for (int32_t i = 0; i < count; i++) {
        const ccu_page_class *class = &a->classes[mistakes[i].row];
        ccu_buffer_format(buffer, "<tr data-row=\"%d\" data-column=\"%d\">", (int)mistakes[i].row,
                          (int)mistakes[i].column);
        add_label_cell("<td>", class->label, "</td>", buffer);
        add_label_cell("<td>", a->classes[mistakes[i].column].label, "</td>", buffer);
        ccu_buffer_text(buffer, "<td class=\"number\">");
        ccu_markup_count(mistakes[i].count, buffer);
        ccu_buffer_text(buffer, "</td><td class=\"number\">");
        ccu_markup_share(mistakes[i].count, class->pictures, buffer);
        ccu_buffer_text(buffer, "</td></tr>\n");
    }
    ccu_buffer_text(buffer, "</tbody>\n</table>\n</div>\n</section>\n");
}

static void add_number_cell(int64_t count, ccu_buffer *buffer) {
    ccu_buffer_text(buffer, "<td class=\"number\">");
    ccu_markup_count(count, buffer);
    ccu_buffer_text(buffer, "</td>");
}

static void add_share_cell(int64_t part, int64_t whole, ccu_buffer *buffer) {
    ccu_buffer_format(buffer, "<td class=\"number share\" style=\"--bar-length:%.1f%%\"><span>",
                      whole > 0 ? 100.0 * (double)part / (double)whole : 0.0);
    ccu_markup_share(part, whole, buffer);
    ccu_buffer_text(buffer, "</span></td>");
}

/* How many pictures were taken for class k. */
static int64_t column_sum(const ccu_page_accuracy *a, int32_t k) {
    int64_t sum = 0;
    for (int32_t r = 0; r < a->K; r++) { sum += entry(a, r, k); }
    return sum;
}

static void add_classes(const ccu_page_accuracy *a, ccu_buffer *buffer) {
    ccu_buffer_text(buffer,
                    "<section class=\"classes\">\n<h2>Class by class</h2>\n"
                    "<div class=\"scroll tall\" tabindex=\"0\" role=\"group\" "
                    "aria-label=\"Class by class\">\n<table id=\"classes\">\n<thead><tr>"
                    "<th scope=\"col\">Class</th><th scope=\"col\" class=\"number\">Pictures</th>"
                    "<th scope=\"col\" class=\"number\">Top-1</th>"
                    "<th scope=\"col\" class=\"number\">Top-5</th>");
    if (a->confusion != NULL) {
        ccu_buffer_text(buffer, "<th scope=\"col\" class=\"number\" title=\"of the pictures taken "
                                "for this class, how many are of it\">Precision</th>");
    }
    ccu_buffer_text(buffer, "</tr></thead>\n<tbody>\n");
    for (int32_t k = 0; k < a->K; k++) {
        const ccu_page_class *class = &a->classes[k];
        add_label_cell("<tr><th scope=\"row\">", class->label, "</th>", buffer);
        add_number_cell(class->pictures, buffer);
        add_share_cell(class->top1, class->pictures, buffer);
        add_share_cell(class->top5, class->pictures, buffer);
        if (a->confusion != NULL) { add_share_cell(entry(a, k, k), column_sum(a, k), buffer); }
        ccu_buffer_text(buffer, "</tr>\n");
    }
    ccu_buffer_text(buffer, "</tbody>\n</table>\n</div>\n</section>\n");
}

void ccu_markup_accuracy(const ccu_page_accuracy *accuracy, ccu_buffer *buffer) {
    ccu_buffer_text(buffer, "<dl class=\"tiles\">\n");
    add_tile("Top-1", accuracy->top1, accuracy->pictures, buffer);
    add_tile("Top-5", accuracy->top5, accuracy->pictures, buffer);
    add_mean_tile(accuracy, buffer);
    ccu_buffer_text(buffer, "</dl>\n");
    ccu_buffer_text(buffer, "<div class=\"columns\">\n");
    if (accuracy->confusion != NULL) {
        add_matrix(accuracy, buffer);
        add_mistakes(accuracy, buffer);
    }
    add_classes(accuracy, buffer);
    ccu_buffer_text(buffer, "</div>\n");
}
