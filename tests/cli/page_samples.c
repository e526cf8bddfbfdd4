/* Writes pages that no run of the command makes on purpose: evaluations of many classes, texts
 * that are long, foreign or hostile, pages of nothing and of very much. test_cli_html_browser.sh
 * looks at them in a browser.
 *
 *   page_samples FOLDER
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page/page.h"

#define SIDE 112
#define CLASSES_MAX 1000
#define PER_CLASS 20

typedef struct samples {
    const char    *folder;
    uint32_t       random;
    uint8_t        pixels[SIDE * SIDE * 3];
    char           labels[CLASSES_MAX][40];
    ccu_page_class classes[CLASSES_MAX];
    int64_t        confusion[CLASSES_MAX * CLASSES_MAX];
} samples;

static void must(clipcu_status status, const clipcu_error *error) {
    if (status == CLIPCU_OK) { return; }
    (void)fprintf(stderr, "page_samples: %s\n", error->text);
    exit(1);
}

/* The next of a fixed sequence of numbers, 0 .. below-1: a linear congruential generator. */
static int32_t draw(samples *s, int32_t below) {
    s->random = s->random * 1664525u + 1013904223u;
    return (int32_t)((s->random >> 8) % (uint32_t)below);
}

/* A disc in front of a slope, in the colours of number k. */
static const uint8_t *paint(samples *s, int32_t k) {
    const int32_t radius = 24 + k * 7 % 24;
    for (int32_t y = 0; y < SIDE; y++) {
        for (int32_t x = 0; x < SIDE; x++) {
            const int32_t dx   = x - SIDE / 2;
            const int32_t dy   = y - SIDE / 2;
            const bool    disc = dx * dx + dy * dy < radius * radius;
            uint8_t      *rgb  = &s->pixels[(y * SIDE + x) * 3];
            rgb[0]             = (uint8_t)((k * 53 + (disc ? 130 : y)) % 256);
            rgb[1]             = (uint8_t)((k * 97 + (disc ? 60 : y)) % 256);
            rgb[2]             = (uint8_t)((k * 29 + (disc ? 200 : y)) % 256);
        }
    }
    return s->pixels;
}

static ccu_page *open_page(const samples *s, const char *name, ccu_page_kind kind,
                           int64_t items_max) {
    char         path[4096];
    ccu_page    *page  = NULL;
    clipcu_error error = { .code = CLIPCU_OK };
    (void)snprintf(path, sizeof path, "%s/%s.html", s->folder, name);
    must(ccu_page_open(&(ccu_page_options){ .path       = path,
                                            .kind       = kind,
                                            .model      = "model",
                                            .details    = "drawn, not computed",
                                            .items_max  = items_max,
                                            .image_size = SIDE },
                       &page, &error),
         &error);
    return page;
}

static void add(ccu_page *page, const ccu_page_item *item) {
    clipcu_error error = { .code = CLIPCU_OK };
    must(ccu_page_add(page, item, &error), &error);
}

static void close_page(ccu_page *page) {
    clipcu_error error = { .code = CLIPCU_OK };
    must(ccu_page_close(page, true, &error), &error);
}

/* One picture of class `truth` and what it was taken for; counts it. */
static void answer(samples *s, ccu_page *page, int32_t K, int32_t truth, int32_t number) {
    const int32_t near    = (truth + 1 + draw(s, 3)) % K;
    const int32_t guess   = draw(s, 5) > 0 ? truth : draw(s, 4) > 0 ? near : draw(s, K);
    const int32_t third   = (guess + 3) % K;
    const float   sure    = 0.4f + 0.005f * (float)draw(s, 100);
    const float   rest    = 1.0f - sure;
    char          path[64];
    const ccu_page_score scores[3] = {
        { .label = s->labels[guess], .value = sure, .cosine = 0.3f },
        { .label = s->labels[guess == truth ? near : truth], .value = 0.7f * rest, .cosine = 0.2f },
        { .label = s->labels[third], .value = 0.2f * rest, .cosine = 0.1f },
    };
    (void)snprintf(path, sizeof path, "photos/%s/%04d.jpg", s->labels[truth], (int)number);
    add(page, &(ccu_page_item){ .path   = path,
                                .truth  = s->labels[truth],
                                .pixels = ccu_page_has_room(page) ? paint(s, truth) : NULL,
                                .scores = scores,
                                .count  = 3 });
    s->classes[truth].pictures++;
    s->classes[truth].top5++;
    if (guess == truth) { s->classes[truth].top1++; }
    s->confusion[truth * K + guess]++;
}

/* Three of four are right; mistakes fall mostly on neighbours. */
static void evaluation(samples *s, const char *name, int32_t K, int64_t items_max) {
    ccu_page    *page  = open_page(s, name, CCU_PAGE_EVAL, items_max);
    clipcu_error error = { .code = CLIPCU_OK };
    ccu_page_accuracy accuracy = { .classes = s->classes, .confusion = s->confusion, .K = K };
    memset(s->confusion, 0, sizeof s->confusion);
    for (int32_t k = 0; k < K; k++) {
        (void)snprintf(s->labels[k], sizeof s->labels[k],
                       k % 7 == 3 ? "long-haired kind number %d" : "kind %d", (int)k);
        s->classes[k] = (ccu_page_class){ .label = s->labels[k] };
    }
    for (int32_t i = 0; i < K * PER_CLASS; i++) { answer(s, page, K, i % K, i); }
    for (int32_t k = 0; k < K; k++) {
        accuracy.pictures += s->classes[k].pictures;
        accuracy.top1 += s->classes[k].top1;
        accuracy.top5 += s->classes[k].top5;
    }
    must(ccu_page_accuracy_add(page, &accuracy, &error), &error);
    close_page(page);
}

/* Texts that break layouts and parsers, as paths, labels and errors at once. */
static void odd_texts(samples *s) {
    static const char *const texts[] = {
        "<script>document.title = 'planted'</script>.jpg",
        "\" onload='x' <img src=x onerror=y> & &lt; '",
        "Donaudampfschifffahrtsgesellschaftskapitaensmuetzenabzeichenverordnungsentwurfsbegruendung"
        "spapierkorbfarbe",
        "\xd7\x97\xd7\xaa\xd7\x95\xd7\x9c \xd7\xa2\xd7\x9c 3 \xd7\x9e\xd7\x97\xd7\xa6"
        "\xd7\x9c\xd7\x90\xd7\x95\xd7\xaa",
        "\xd9\x82\xd8\xb7\xd8\xa9 \xd8\xb9\xd9\x84\xd9\x89 \xd8\xa7\xd9\x84\xd8\xb7\xd8\xa7\xd9\x88"
        "\xd9\x84\xd8\xa9.jpg",
        "\xf0\x9f\x90\xb1\xf0\x9f\x90\xb6\xf0\x9f\xa6\x8a \xf0\x9f\x91\xa9\xe2\x80\x8d"
        "\xf0\x9f\x9a\x80",
        "two\nlines\tand \xff\xfe no UTF-8 \xe2\x80\xaetxet",
        "",
        "a/very/deep/folder/that/goes/on/and/on/and/on/and/on/until/there/is/no/more/room/x.jpg",
    };
    enum { TEXTS = sizeof texts / sizeof texts[0] };
    ccu_page *page = open_page(s, "odd", CCU_PAGE_CLASSIFY, 100);
    for (int32_t i = 0; i < TEXTS; i++) {
        ccu_page_score scores[TEXTS];
        for (int32_t k = 0; k < TEXTS; k++) {
            scores[k] = (ccu_page_score){ .label = texts[(i + k) % TEXTS],
                                          .value = k == 0 ? 0.9f : 0.1f / (float)k };
        }
        add(page, &(ccu_page_item){ .path   = texts[i],
                                    .pixels = i % 3 == 2 ? NULL : paint(s, i),
                                    .scores = scores,
                                    .count  = i == 4 ? TEXTS : 3 });
        add(page, &(ccu_page_item){ .path = texts[i], .error = texts[(i + 2) % TEXTS] });
    }
    close_page(page);
}

#define LONG_QUERY \
    "<b>bold</b> & a very long query that goes on for more than one line of a narrow window, and " \
    "then some more"

static void searches(samples *s) {
    static const char *const queries[] = { "a cat on a mat", "\xd7\x97\xd7\xaa\xd7\x95\xd7\x9c",
                                           LONG_QUERY };
    ccu_page *pictures = open_page(s, "search", CCU_PAGE_SEARCH, 100);
    ccu_page *texts    = open_page(s, "search-texts", CCU_PAGE_SEARCH, 100);
    for (int32_t i = 0; i < 36; i++) {
        char                 path[64];
        char                 text[200];
        const ccu_page_score score = { .value = 0.34f - 0.03f * (float)(i % 12) };
        (void)snprintf(path, sizeof path, "photos/2024/summer/IMG_%04d.jpg", (int)(4711 + i * 37));
        (void)snprintf(text, sizeof text, "text number %d: %s", (int)i,
                       i % 3 == 0 ? "short" : "a text that is so long that it goes on for more "
                                              "than one line, as the captions of pictures do");
        const ccu_page_item item = { .path   = path,
                                     .group  = queries[i / 12],
                                     .pixels = i % 12 == 7 ? NULL : paint(s, i),
                                     .scores = &score,
                                     .count  = 1 };
        add(pictures, &item);
        add(texts, &(ccu_page_item){
                       .path = text, .group = item.group, .scores = &score, .count = 1 });
    }
    close_page(pictures);
    close_page(texts);
}

static void few_and_many(samples *s) {
    ccu_page *page = open_page(s, "empty", CCU_PAGE_CLASSIFY, 100);
    close_page(page);
    page = open_page(s, "bad", CCU_PAGE_CLASSIFY, 100);
    add(page, &(ccu_page_item){ .path = "a.jpg", .error = "a.jpg: not a picture" });
    close_page(page);
    page = open_page(s, "one", CCU_PAGE_CLASSIFY, 100);
    const ccu_page_score sure = { .label = "red apple", .value = 0.945f, .cosine = 0.31f };
    add(page, &(ccu_page_item){
                  .path = "apple.png", .pixels = paint(s, 2), .scores = &sure, .count = 1 });
    close_page(page);
    page = open_page(s, "many", CCU_PAGE_CLASSIFY, 2000);
    for (int32_t i = 0; i < 2000; i++) {
        char                 path[64];
        char                 labels[5][24];
        ccu_page_score       scores[5];
        const float          first = 0.2f + 0.0079f * (float)draw(s, 100);
        for (int32_t k = 0; k < 5; k++) {
            (void)snprintf(labels[k], sizeof labels[k], "kind %d", (int)draw(s, 200));
            scores[k] = (ccu_page_score){ .label = labels[k],
                                          .value = k == 0 ? first : (1 - first) / (float)(4 * k) };
        }
        (void)snprintf(path, sizeof path, "photos/%04d.jpg", (int)i);
        add(page, &(ccu_page_item){
                      .path = path, .pixels = paint(s, i), .scores = scores, .count = 5 });
    }
    close_page(page);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "usage: page_samples FOLDER\n");
        return 1;
    }
    samples *s = calloc(1, sizeof *s);
    if (s == NULL) { return 1; }
    s->folder = argv[1];
    evaluation(s, "eval10", 10, 200);
    evaluation(s, "eval100", 100, 500);
    evaluation(s, "eval1000", 1000, 500);
    odd_texts(s);
    searches(s);
    few_and_many(s);
    free(s);
    return 0;
}
