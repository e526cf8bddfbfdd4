/* An unnamed file that pieces of a page wait in until what stands before them is known. */
#ifndef CCU_PAGE_SPOOL_H
#define CCU_PAGE_SPOOL_H

#include <stdio.h>

#include "stream/output.h"

/* Zeroed is closed. */
typedef struct ccu_spool {
    FILE   *file;
    int64_t records;
} ccu_spool;

/* In the folder of the file `beside`, so that large pages need no room elsewhere; NULL: where the
 * system keeps temporary files. IO, LIMIT. */
clipcu_status ccu_spool_open(const char *beside, ccu_spool *spool, clipcu_error *error);
void          ccu_spool_close(ccu_spool *spool);

/* Appends a record of at most 4 GiB. IO. */
clipcu_status ccu_spool_add(ccu_spool *spool, const void *bytes, size_t count,
                            clipcu_error *error);

/* Writes the first records_max records to output. IO. */
clipcu_status ccu_spool_copy(ccu_spool *spool, int64_t records_max, ccu_output *output,
                             clipcu_error *error);

#endif
