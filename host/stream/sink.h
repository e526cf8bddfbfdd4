/* Results of classification as text: one line (or one block, in a table) per picture. */
#ifndef CCU_STREAM_SINK_H
#define CCU_STREAM_SINK_H

#include "stream/buffer.h"

typedef enum ccu_format {
    CCU_FORMAT_TABLE = 0, /* for people */
    CCU_FORMAT_JSONL = 1, /* {"path":..,"labels":[{"label":..,"probability":..,"cosine":..},..]}
                             or {"path":..,"error":..}; behind either
                             what its archive says: ,"text":..,"json":.. */
    CCU_FORMAT_CSV   = 2  /* path,label_1,probability_1,cosine_1,..,error with a header line */
} ccu_format;

typedef struct ccu_score {
    const char *label;
    float       probability, cosine;
} ccu_score;

typedef struct ccu_result {
    const char      *path;
    const char      *sample; /* what its archive says of it, see source.h; NULL: nothing */
    const char      *error;  /* NULL: none */
    const ccu_score *scores; /* (count), best first; not read if there is an error */
    int32_t          count;
} ccu_result;

typedef struct ccu_sink {
    ccu_format format;
    int32_t    top;           /* scores per picture: how many columns a CSV has */
    int32_t    label_columns; /* widest label, for aligned tables of one label per picture */
    bool       colour;        /* table: escape codes of a terminal */
    bool       bars;          /* table: a bar beside each percentage */
    bool       unicode;       /* table: bars of block characters, not of # */
} ccu_sink;

/* What stands before the first result. */
void ccu_sink_begin(const ccu_sink *sink, ccu_buffer *buffer);
void ccu_sink_add(const ccu_sink *sink, const ccu_result *result, ccu_buffer *buffer);

/* The error without the path at its beginning, which results have beside it already. Points into
 * error. */
const char *ccu_sink_bare_error(const char *path, const char *error);

#endif
