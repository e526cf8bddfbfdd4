/* Saved embeddings, mapped: what clipcu_index_open gives. index.c opens and checks the file,
 * search.c looks for the nearest rows in it. */
#ifndef CCU_BANK_INDEX_H
#define CCU_BANK_INDEX_H

#include <time.h>

#include "base/file.h"
#include "checkpoint/safetensors.h"

#define CCU_INDEX_WIDTH_MAX 65536

struct clipcu_index {
    ccu_file        npy;     /* what was opened: one of the two */
    ccu_st_file    *tensors;
    const ccu_file *file;    /* of either */
    ccu_map         map;     /* of it */
    struct timespec changed; /* when it was, as it was opened */
    const uint8_t  *data;    /* (rows, E) of dtype, in the mapping, at any alignment */
    int64_t         rows;
    int32_t         E;
    ccu_dtype       dtype;
};

/* IO if the file is not what it was when it was opened. Any thread. */
clipcu_status ccu_index_check(const clipcu_index *index, clipcu_error *error);

#endif
