/* Results of a search as text: one line (or one block, in a table) per query; a line per hit in
 * CSV. */
#ifndef CCU_CLI_HITS_H
#define CCU_CLI_HITS_H

#include "clipcu.h"
#include "stream/sink.h"

typedef struct ccu_hits_sink {
    ccu_format format; /* JSONL: {"query":..,"hits":[{"path":..,"row":..,"cosine":..},..]}
                          or {"query":..,"error":..}
                          CSV: query,rank,row,cosine,name,error with a header line */
    bool       colour; /* table: escape codes of a terminal */
} ccu_hits_sink;

/* One query and what was found. */
typedef struct ccu_hits {
    const char       *kind;  /* "query" or "image" */
    const char       *query;
    const char       *error; /* NULL: none */
    const clipcu_hit *hits;  /* (count), best first; row -1: no further */
    char *const      *names; /* (count); NULL: the row has none */
    const char       *key;   /* what names are; see row_names.h */
    int32_t           count;
} ccu_hits;

/* What stands before the first result. */
void ccu_hits_begin(const ccu_hits_sink *sink, ccu_buffer *buffer);
void ccu_hits_add(const ccu_hits_sink *sink, const ccu_hits *hits, ccu_buffer *buffer);

#endif
