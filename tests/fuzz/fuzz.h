/* What the fuzz targets share. A target is a fuzz_NAME.c with LLVMFuzzerTestOneInput: `make fuzz`
 * links it with libFuzzer, the tests link it with replay.c. A target looks for more than crashes:
 * it states what must hold after any input, through fuzz_expect. */
#ifndef CCU_FUZZ_FUZZ_H
#define CCU_FUZZ_FUZZ_H

#include <stdbool.h>

#include "base/status.h"

/* One input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Prints what did not hold and aborts. */
void fuzz_expect(bool holds, const char *what);

/* What every call of the library promises: OK with an empty error, or a failure with one printable
 * line in it, of the same code, that names `object` (NULL: not asked). */
void fuzz_expect_status(clipcu_status status, const clipcu_error *error, const char *object);

/* The first byte of an input may choose what is done with the rest: 0 .. count - 1, the place of
 * that byte in letters, or of any other byte by its value. 0 for an empty input. */
int fuzz_kind(const char *letters, const uint8_t **data, size_t *bytes);

/* Writes a file called name into this process's own folder, in memory where there is /dev/shm, and
 * returns its path, which lives until name is written again. At most 8 names. */
const char *fuzz_file(const char *name, const void *data, size_t bytes);

/* As fuzz_file, a safetensors file: 8 bytes of length, then header, then data. */
const char *fuzz_tensors(const char *name, const void *header, size_t header_bytes,
                         const void *data, size_t data_bytes);

/* That folder. */
const char *fuzz_dir(void);

/* Removes the files in it. */
void fuzz_clear(void);

#endif
