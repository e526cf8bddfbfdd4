/* CUDA graphs of op sequences that repeat: one forward pass of a batch size is some 150 launches,
 * which a graph makes one.
 *
 * A key runs as it is the first time (kernels load, libraries choose their ways), is recorded the
 * second time and replayed from then on. A key that comes once costs nothing. Where a recording
 * fails, the sequence runs as it is, and nothing is recorded any more. */
#ifndef CCU_KERNELS_GRAPHS_H
#define CCU_KERNELS_GRAPHS_H

#include "cuda_state.h"

#define CCU_GRAPHS_MAX 16 /* keys remembered; the one longest unused makes room */

/* NOMEM. NULL is fine for close. */
clipcu_status ccu_graphs_open(ccu_graphs **out, clipcu_error *error);
/* Drops every graph: their pointers may no longer be ours. */
void          ccu_graphs_forget(ccu_graphs *graphs, ccu_device *device);
void          ccu_graphs_close(ccu_graphs *graphs, ccu_device *device);

/* The entries replay, record and record_end of the op table. */
bool ccu_cuda_replay(ccu_backend *be, uint64_t key);
void ccu_cuda_record(ccu_backend *be, uint64_t key);
bool ccu_cuda_record_end(ccu_backend *be);

#endif
