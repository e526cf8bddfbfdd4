/* Reading tests/golden/<model>.golden.safetensors; what stands in it is told by make_golden.py.
 * Fails the running test when a file or tensor is not there. */
#ifndef CCU_SUPPORT_GOLDEN_FILE_H
#define CCU_SUPPORT_GOLDEN_FILE_H

#include <stdbool.h>

#include "checkpoint/safetensors.h"

#define GOLDEN_TEXTS_MAX 16

typedef struct golden_file {
    const char  *model; /* "hf_b32" */
    ccu_st_file *file;
    ccu_map      map;
    char        *texts[GOLDEN_TEXTS_MAX]; /* owned */
    int32_t      texts_count;
} golden_file;

/* A tensor, read through its file. data is aligned for its dtype. */
typedef struct golden_tensor {
    const void *data;
    int64_t     shape[4]; /* 1 beyond rank */
    int64_t     count;    /* elements */
} golden_tensor;

/* folder is that of the golden files; the model's own directory is folder/model. */
golden_file golden_open(const char *folder, const char *model);
void        golden_close(golden_file *golden);

bool          golden_has(const golden_file *golden, const char *name);
golden_tensor golden_get(const golden_file *golden, const char *name, const char *dtype);
const float  *golden_f32(const golden_file *golden, const char *name);

#endif
