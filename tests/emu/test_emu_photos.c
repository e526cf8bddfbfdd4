/* Real pictures through resize_crop and patch_embed of the CUDA backend under the emulator.
 *
 *     test_emu_photos [COUNT [FOLDER]]     the first pictures of a folder, else eight of the
 *                                          project's own or of $CLIPCU_TEST_DATA/photos */
#include <stdio.h>
#include <stdlib.h>

#include "cuda_backend.h"
#include "support/photos.h"
#include "support/text_files.h"

int main(int argc, char **argv) {
    const int32_t count = argc > 1 ? (int32_t)strtol(argv[1], NULL, 10) : 8;
    const char   *data  = text_outside_data();
    char          folder[1024];
    clipcu_error  error = { 0 };
    ccu_backend  *be    = NULL;
    if (data != NULL) {
        (void)snprintf(folder, sizeof folder, "%s/photos", data);
    } else {
        (void)snprintf(folder, sizeof folder, "%s/tests/data/images", CLIPCU_SOURCE_DIR);
    }
    if (ccu_cuda_open(0, NULL, &be, &error) != CLIPCU_OK) {
        printf("%s\n", error.text);
        return 1;
    }
    const int32_t failures = photos_compare(be, argc > 2 ? argv[2] : folder, count);
    be->ops->close(be);
    return failures != 0;
}
