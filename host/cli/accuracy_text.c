/* Accuracy as a table and as JSON; see accuracy_text.h. */
#include "cli/accuracy_text.h"

#include <math.h>

#include "stream/escape.h"

#define CLASSES_MAX 20 /* rows of classes; of more, the weakest */
#define PAIRS_MAX 10

/* ---- Sums ----------------------------------------------------------------------------------- */

static ccu_class_tally sum_classes(const ccu_accuracy *accuracy, int32_t first, int32_t end) {
    ccu_class_tally sum = { .pictures = 0 };
    for (int32_t i = first; i < end; i++) {
        sum.pictures += accuracy->classes[i].pictures;
        sum.top1 += accuracy->classes[i].top1;
        sum.top5 += accuracy->classes[i].top5;
    }
    return sum;
}

/* 2ab / (a + b), as the papers on base and new classes combine the two; NaN if either is. */
static double harmonic_mean(double a, double b) {
    return a + b == 0.0 ? 0.0 : 2.0 * a * b / (a + b);
}

/* The top-1 share of base and new classes in one number. */
static double both_halves(const ccu_class_tally *base, const ccu_class_tally *fresh) {
    return harmonic_mean(ccu_accuracy_share(base->top1, base->pictures),
                         ccu_accuracy_share(fresh->top1, fresh->pictures));
}

/* ---- Table ---------------------------------------------------------------------------------- */

static void add_share(ccu_buffer *buffer, double share) {
    if (isnan(share)) {
        ccu_buffer_text(buffer, "       - ");
    } else {
        ccu_buffer_format(buffer, " %6.1f %%", 100.0 * share);
    }
}

/* Numbers come first: names may be of any length. */
static void add_row(ccu_buffer *buffer, const ccu_class_tally *tally, const char *name) {
    add_share(buffer, ccu_accuracy_share(tally->top1, tally->pictures));
    add_share(buffer, ccu_accuracy_share(tally->top5, tally->pictures));
    ccu_buffer_format(buffer, " %9lld  ", (long long)tally->pictures);
    ccu_escape_plain(buffer, name);
    ccu_buffer_text(buffer, "\n");
}

/* A row with a top-1 share alone. */
static void add_mean(ccu_buffer *buffer, double share, const char *name) {
    add_share(buffer, share);
    ccu_buffer_repeat(buffer, ' ', 21);
    ccu_buffer_text(buffer, name);
    ccu_buffer_text(buffer, "\n");
}

static void add_whole(const ccu_accuracy_text *text, ccu_buffer *buffer) {
    const ccu_accuracy *accuracy = text->accuracy;
    ccu_buffer_text(buffer, "   top-1    top-5  pictures\n");
    add_row(buffer, &accuracy->all, "all");
    add_mean(buffer, ccu_accuracy_mean_per_class(accuracy), "mean of classes");
    if (text->base > 0) {
        const ccu_class_tally base  = sum_classes(accuracy, 0, text->base);
        const ccu_class_tally fresh = sum_classes(accuracy, text->base, accuracy->K);
        add_row(buffer, &base, "base classes");
        add_row(buffer, &fresh, "new classes");
        add_mean(buffer, both_halves(&base, &fresh), "harmonic mean of base and new");
    }
}

static void add_classes(const ccu_accuracy_text *text, ccu_buffer *buffer) {
    const ccu_accuracy *accuracy = text->accuracy;
    int32_t             shown[CLASSES_MAX];
    int32_t             count = accuracy->K;
    if (count <= CLASSES_MAX) {
        for (int32_t i = 0; i < count; i++) { shown[i] = i; }
    } else {
        count = ccu_accuracy_worst(accuracy, CLASSES_MAX, shown);
    }
    if (count == 0) { return; } /* many classes, all of them always right */
    ccu_buffer_format(buffer, "\n   top-1    top-5  pictures  %s\n",
                      accuracy->K <= CLASSES_MAX ? "class" : "weakest classes");
    for (int32_t i = 0; i < count; i++) {
        add_row(buffer, &accuracy->classes[shown[i]], text->names[shown[i]]);
    }
}

static void add_pairs(const ccu_accuracy_text *text, ccu_buffer *buffer) {
    ccu_confusion pairs[PAIRS_MAX];
    const int32_t count = ccu_accuracy_confusions(text->accuracy, PAIRS_MAX, pairs);
    if (count > 0) {
        ccu_buffer_text(buffer, "\n                   pictures  most confused\n");
    }
    for (int32_t i = 0; i < count; i++) {
        ccu_buffer_format(buffer, "%27lld  ", (long long)pairs[i].times);
        ccu_escape_plain(buffer, text->names[pairs[i].truth]);
        ccu_buffer_text(buffer, " -> ");
        ccu_escape_plain(buffer, text->names[pairs[i].taken_for]);
        ccu_buffer_text(buffer, "\n");
    }
}

void ccu_accuracy_table(const ccu_accuracy_text *text, ccu_buffer *buffer) {
    const int32_t unseen = ccu_accuracy_unseen(text->accuracy);
    add_whole(text, buffer);
    add_classes(text, buffer);
    add_pairs(text, buffer);
    if (unseen > 0 || text->failed > 0) { ccu_buffer_text(buffer, "\n"); }
    if (unseen > 0) {
        ccu_buffer_format(buffer, "classes without pictures: %d of %d\n", (int)unseen,
                          (int)text->accuracy->K);
    }
    if (text->failed > 0) {
        ccu_buffer_format(buffer, "pictures not counted, with an error: %lld\n",
                          (long long)text->failed);
    }
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void add_number(ccu_buffer *buffer, const char *key, double share) {
    if (isnan(share)) {
        ccu_buffer_format(buffer, ",\"%s\":null", key);
    } else {
        ccu_buffer_format(buffer, ",\"%s\":%.6f", key, share);
    }
}

/* The keys of one tally, without braces. */
static void add_tally(ccu_buffer *buffer, const ccu_class_tally *tally) {
    ccu_buffer_format(buffer, "\"pictures\":%lld,\"top1_correct\":%lld,\"top5_correct\":%lld",
                      (long long)tally->pictures, (long long)tally->top1, (long long)tally->top5);
    add_number(buffer, "top1", ccu_accuracy_share(tally->top1, tally->pictures));
    add_number(buffer, "top5", ccu_accuracy_share(tally->top5, tally->pictures));
}

static void add_halves(const ccu_accuracy_text *text, ccu_buffer *buffer) {
    const int32_t         K     = text->accuracy->K;
    const ccu_class_tally base  = sum_classes(text->accuracy, 0, text->base);
    const ccu_class_tally fresh = sum_classes(text->accuracy, text->base, K);
    ccu_buffer_format(buffer, ",\"base\":{\"classes\":%d,", (int)text->base);
    add_tally(buffer, &base);
    ccu_buffer_format(buffer, "},\"new\":{\"classes\":%d,", (int)(K - text->base));
    add_tally(buffer, &fresh);
    ccu_buffer_text(buffer, "}");
    add_number(buffer, "harmonic_mean", both_halves(&base, &fresh));
}

/* Every pair of classes that was confused; a picture taken for its own class is in top1_correct. */
static void add_confusion(const ccu_accuracy_text *text, ccu_buffer *buffer) {
    const ccu_accuracy *accuracy = text->accuracy;
    const size_t        K        = (size_t)accuracy->K;
    bool                first    = true;
    if (accuracy->confusion == NULL) {
        ccu_buffer_text(buffer, ",\"confusion\":null");
        return;
    }
    ccu_buffer_text(buffer, ",\"confusion\":[");
    for (size_t i = 0; i < K; i++) {
        for (size_t j = 0; j < K; j++) {
            const int64_t times = accuracy->confusion[i * K + j];
            if (i == j || times == 0) { continue; }
            ccu_buffer_text(buffer, first ? "{\"class\":" : ",{\"class\":");
            ccu_escape_json(buffer, text->names[i]);
            ccu_buffer_text(buffer, ",\"taken_for\":");
            ccu_escape_json(buffer, text->names[j]);
            ccu_buffer_format(buffer, ",\"pictures\":%lld}", (long long)times);
            first = false;
        }
    }
    ccu_buffer_text(buffer, "]");
}

void ccu_accuracy_json(const ccu_accuracy_text *text, ccu_buffer *buffer) {
    const ccu_accuracy *accuracy = text->accuracy;
    ccu_buffer_format(buffer, "{\"classes\":%d,", (int)accuracy->K);
    add_tally(buffer, &accuracy->all);
    add_number(buffer, "mean_per_class", ccu_accuracy_mean_per_class(accuracy));
    ccu_buffer_format(buffer, ",\"failed\":%lld", (long long)text->failed);
    if (text->base > 0) { add_halves(text, buffer); }
    ccu_buffer_text(buffer, ",\"per_class\":[");
    for (int32_t i = 0; i < accuracy->K; i++) {
        ccu_buffer_text(buffer, i == 0 ? "{\"class\":" : ",{\"class\":");
        ccu_escape_json(buffer, text->names[i]);
        ccu_buffer_text(buffer, ",");
        add_tally(buffer, &accuracy->classes[i]);
        ccu_buffer_text(buffer, "}");
    }
    ccu_buffer_text(buffer, "]");
    add_confusion(text, buffer);
    ccu_buffer_text(buffer, "}\n");
}
