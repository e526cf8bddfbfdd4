/* What the stages of a pipeline did with their time, and which of them set the pace. */
#ifndef CCU_STREAM_STAGES_H
#define CCU_STREAM_STAGES_H

#include "stream/buffer.h"

enum { CCU_STAGE_SOURCE, CCU_STAGE_READ, CCU_STAGE_DECODE, CCU_STAGE_ENCODE, CCU_STAGE_SINK,
       CCU_STAGES };

/* Seconds are sums over the threads of the stage. */
typedef struct ccu_stage {
    int32_t  threads;
    int64_t  items; /* that went through it */
    uint64_t bytes; /* that it put out; 0: not counted */
    double   busy;
    double   waiting; /* for something to do */
    double   blocked; /* for room in the next stage */
} ccu_stage;

typedef struct ccu_stages {
    ccu_stage stage[CCU_STAGES];
    double    seconds;        /* from the first input asked for to the last result taken */
    int64_t   images, errors; /* items that were taken; those of them that failed */
    int64_t   batches;
    double    queue_decode;   /* mean number of files read that waited for a decoder */
    double    queue_encode;   /* mean number of batches that waited for the encoder */
    bool      shared_cores;   /* encoding uses the cores that decode */
} ccu_stages;

/* The stage whose threads had least to wait for, -1 if nothing was done. */
int32_t ccu_stages_slowest(const ccu_stages *stages);

/* A table and one sentence on what sets the pace and what would move it. */
void ccu_stages_table(const ccu_stages *stages, ccu_buffer *out);
/* The same as one JSON object and a newline. */
void ccu_stages_json(const ccu_stages *stages, ccu_buffer *out);

#endif
