/* Real pictures through resize_crop and patch_embed of the CPU backend: the project's own small
 * ones, and the photographs in $CLIPCU_TEST_DATA/photos. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "ops/cpu_backend.h"
#include "support/photos.h"
#include "support/text_files.h"

static void compare(const char *folder) {
    clipcu_error error = { 0 };
    ccu_backend *be    = NULL;
    if (ccu_cpu_open(2, &be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    assert_int_equal(photos_compare(be, folder, INT32_MAX), 0);
    be->ops->close(be);
}

static void test_small_pictures(void **state) {
    (void)state;
    compare(CLIPCU_SOURCE_DIR "/tests/data/images");
}

static void test_photographs(void **state) {
    (void)state;
    char        folder[1024];
    const char *data = text_outside_data();
    if (data == NULL) {
        print_message("SKIPPED: CLIPCU_TEST_DATA (a folder with photos/) is not set\n");
        skip();
    }
    (void)snprintf(folder, sizeof folder, "%s/photos", data);
    compare(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_pictures),
        cmocka_unit_test(test_photographs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
