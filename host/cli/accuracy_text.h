/* What clipcu eval found, as text. */
#ifndef CCU_CLI_ACCURACY_TEXT_H
#define CCU_CLI_ACCURACY_TEXT_H

#include "stream/accuracy.h"
#include "stream/buffer.h"

typedef struct ccu_accuracy_text {
    const ccu_accuracy *accuracy;
    char *const        *names;  /* (K) */
    int64_t             failed; /* pictures that could not be read, or whose class is not known */
    int32_t             base;   /* classes before the new ones; 0: not in halves */
} ccu_accuracy_text;

/* For people: the whole, each class or the weakest of many, what was confused most often. */
void ccu_accuracy_table(const ccu_accuracy_text *text, ccu_buffer *buffer);

/* One JSON object and a line end; README.md, "Reading the output", has its keys. */
void ccu_accuracy_json(const ccu_accuracy_text *text, ccu_buffer *buffer);

#endif
