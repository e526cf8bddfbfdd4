/* host/stream/accuracy: hand-made cases, and a naive count beside it that notices a wrong tally. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>

#include "stream/accuracy.h"
#include "base/memory.h"

#define PICTURES 500
#define TOP 7

static void open_tally(int32_t K, ccu_accuracy *accuracy) {
    clipcu_error error = { .code = CLIPCU_OK };
    assert_int_equal(ccu_accuracy_open(K, accuracy, &error), CLIPCU_OK);
}

/* One picture of class truth whose matches are these. */
static void add(ccu_accuracy *accuracy, int32_t truth, const int32_t *best, int32_t count) {
    clipcu_match matches[TOP] = { { .class_index = 0 } };
    for (int32_t i = 0; i < count; i++) { matches[i].class_index = best[i]; }
    ccu_accuracy_add(accuracy, truth, matches, count);
}

#define ADD(accuracy, truth, ...) \
    add(accuracy, truth, (const int32_t[]){ __VA_ARGS__ }, \
        (int32_t)(sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t)))

static void counts_by_hand(void **state) {
    (void)state;
    ccu_accuracy  accuracy;
    int32_t       worst[4];
    ccu_confusion pairs[4];
    open_tally(7, &accuracy);
    ADD(&accuracy, 0, 0, 1, 2, 3, 4);
    ADD(&accuracy, 0, 1, 0, 2, 3, 4); /* second */
    ADD(&accuracy, 0, 1, 2, 3, 4, 0); /* fifth */
    ADD(&accuracy, 0, 1, 2, 3, 4, 5, 0); /* sixth: not among five */
    ADD(&accuracy, 2, 2, 0, 1, 3, 4);
    ADD(&accuracy, 6, 5, 4, 3, 2, 1);

    assert_int_equal(accuracy.all.pictures, 6);
    assert_int_equal(accuracy.all.top1, 2);
    assert_int_equal(accuracy.all.top5, 4);
    assert_int_equal(accuracy.classes[0].pictures, 4);
    assert_int_equal(accuracy.classes[0].top1, 1);
    assert_int_equal(accuracy.classes[0].top5, 3);
    assert_int_equal(accuracy.classes[1].pictures, 0);
    assert_int_equal(accuracy.confusion[0 * 7 + 1], 3);
    assert_int_equal(accuracy.confusion[1 * 7 + 0], 0);
    assert_int_equal(accuracy.confusion[6 * 7 + 5], 1);
    assert_int_equal(ccu_accuracy_unseen(&accuracy), 4);
    /* (1/4 + 1/1 + 0/1) / 3 */
    assert_true(fabs(ccu_accuracy_mean_per_class(&accuracy) - 1.25 / 3.0) < 1e-15);

    assert_int_equal(ccu_accuracy_worst(&accuracy, 4, worst), 2); /* class 2 is always right */
    assert_int_equal(worst[0], 6);
    assert_int_equal(worst[1], 0);
    assert_int_equal(ccu_accuracy_confusions(&accuracy, 4, pairs), 2);
    assert_int_equal(pairs[0].truth, 0);
    assert_int_equal(pairs[0].taken_for, 1);
    assert_int_equal(pairs[0].times, 3);
    assert_int_equal(pairs[1].truth, 6);
    ccu_accuracy_close(&accuracy);
    ccu_accuracy_close(&accuracy); /* harmless */
}

static void has_no_share_of_nothing(void **state) {
    (void)state;
    ccu_accuracy  accuracy;
    int32_t       worst[1];
    ccu_confusion pair;
    open_tally(1, &accuracy);
    assert_true(isnan(ccu_accuracy_share(0, 0)));
    assert_true(isnan(ccu_accuracy_mean_per_class(&accuracy)));
    assert_int_equal(ccu_accuracy_worst(&accuracy, 1, worst), 0);
    assert_int_equal(ccu_accuracy_confusions(&accuracy, 1, &pair), 0);
    ADD(&accuracy, 0, 0);
    assert_true(ccu_accuracy_mean_per_class(&accuracy) == 1.0);
    assert_int_equal(accuracy.all.top5, 1);
    ccu_accuracy_close(&accuracy);
}

/* Worst first; of equal shares the class with more pictures; then the lower index. */
static void orders_the_worst(void **state) {
    (void)state;
    ccu_accuracy accuracy;
    int32_t      worst[3];
    open_tally(6, &accuracy);
    static const ccu_class_tally tallies[6] = {
        { 3, 1, 3 }, { 6, 2, 6 }, { 9, 9, 9 }, { 3, 1, 3 }, { 1, 0, 1 }, { 7, 6, 7 }
    };
    for (int32_t i = 0; i < 6; i++) { accuracy.classes[i] = tallies[i]; }
    assert_int_equal(ccu_accuracy_worst(&accuracy, 3, worst), 3);
    assert_int_equal(worst[0], 4);
    assert_int_equal(worst[1], 1);
    assert_int_equal(worst[2], 0);
    ccu_accuracy_close(&accuracy);
}

static void leaves_the_matrix_out_of_many_classes(void **state) {
    (void)state;
    ccu_accuracy  accuracy;
    ccu_confusion pair;
    open_tally(CCU_CONFUSION_MAX, &accuracy);
    assert_non_null(accuracy.confusion);
    ccu_accuracy_close(&accuracy);
    open_tally(CCU_CONFUSION_MAX + 1, &accuracy);
    assert_null(accuracy.confusion);
    ADD(&accuracy, CCU_CONFUSION_MAX, 3, CCU_CONFUSION_MAX);
    assert_int_equal(accuracy.all.top1, 0);
    assert_int_equal(accuracy.all.top5, 1);
    assert_int_equal(ccu_accuracy_confusions(&accuracy, 1, &pair), 0);
    ccu_accuracy_close(&accuracy);
}

/* ---- Beside a naive count ------------------------------------------------------------------- */

typedef struct picture {
    int32_t      truth;
    clipcu_match best[TOP];
} picture;

static uint32_t draw(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void make_pictures(int32_t K, picture *pictures) {
    uint32_t seed = 20260611u;
    for (int32_t i = 0; i < PICTURES; i++) {
        const int32_t start = (int32_t)(draw(&seed) % (uint32_t)K);
        pictures[i].truth   = (int32_t)(draw(&seed) % (uint32_t)(K - 1)); /* the last: unseen */
        for (int32_t k = 0; k < TOP; k++) {
            pictures[i].best[k] = (clipcu_match){ .class_index = (start + 3 * k) % K };
        }
    }
}

/* Counts everything again, the slow way: once per number. */
static bool agrees(const ccu_accuracy *accuracy, const picture *pictures) {
    const int32_t K     = accuracy->K;
    bool          right = true;
    int64_t       top1 = 0, top5 = 0;
    for (int32_t i = 0; i < K; i++) {
        ccu_class_tally mine = { 0, 0, 0 };
        for (int32_t p = 0; p < PICTURES; p++) {
            bool among = false;
            if (pictures[p].truth != i) { continue; }
            for (int32_t k = 0; k < 5; k++) { among |= pictures[p].best[k].class_index == i; }
            mine.pictures++;
            mine.top1 += pictures[p].best[0].class_index == i;
            mine.top5 += among;
        }
        top1 += mine.top1;
        top5 += mine.top5;
        right &= accuracy->classes[i].pictures == mine.pictures &&
                 accuracy->classes[i].top1 == mine.top1 && accuracy->classes[i].top5 == mine.top5;
        for (int32_t j = 0; j < K; j++) {
            int64_t times = 0;
            for (int32_t p = 0; p < PICTURES; p++) {
                times += pictures[p].truth == i && pictures[p].best[0].class_index == j;
            }
            right &= accuracy->confusion[i * K + j] == times;
        }
    }
    return right && accuracy->all.pictures == PICTURES && accuracy->all.top1 == top1 &&
           accuracy->all.top5 == top5;
}

static void agrees_with_a_naive_count(void **state) {
    (void)state;
    static const int32_t K        = 11;
    picture             *pictures = ccu_alloc(PICTURES * sizeof *pictures);
    ccu_accuracy         accuracy;
    assert_non_null(pictures);
    make_pictures(K, pictures);
    open_tally(K, &accuracy);
    for (int32_t i = 0; i < PICTURES; i++) {
        ccu_accuracy_add(&accuracy, pictures[i].truth, pictures[i].best, TOP);
    }
    assert_true(agrees(&accuracy, pictures));
    assert_true(accuracy.all.top1 > 0 && accuracy.all.top5 > accuracy.all.top1);

    /* The count itself can fail: each planted mistake is noticed. */
    int64_t *const planted[] = { &accuracy.all.pictures,      &accuracy.all.top1,
                                 &accuracy.all.top5,          &accuracy.classes[3].pictures,
                                 &accuracy.classes[3].top1,   &accuracy.classes[3].top5,
                                 &accuracy.confusion[3 * K] };
    for (size_t i = 0; i < sizeof planted / sizeof planted[0]; i++) {
        ++*planted[i];
        assert_false(agrees(&accuracy, pictures));
        --*planted[i];
    }
    assert_true(agrees(&accuracy, pictures));
    ccu_accuracy_close(&accuracy);
    ccu_free(pictures);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_by_hand),
        cmocka_unit_test(has_no_share_of_nothing),
        cmocka_unit_test(orders_the_worst),
        cmocka_unit_test(leaves_the_matrix_out_of_many_classes),
        cmocka_unit_test(agrees_with_a_naive_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
