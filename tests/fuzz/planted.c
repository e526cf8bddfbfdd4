/* A target with a defect, so that test_replay.sh sees replay.c find one. */
#include <string.h>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    fuzz_expect(bytes < 5 || memcmp(data, "magic", 5) != 0, "no input begins with magic");
    return 0;
}
