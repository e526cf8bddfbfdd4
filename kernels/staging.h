/* Pinned host memory between the caller's and the device's: a ring of chunks on the way up, one
 * landing area on the way down. Everything is allocated when the backend opens.
 *
 * A copy between pinned memory and the device is queued on the stream and needs no attention; one
 * from ordinary memory would block, or read what the caller has changed meanwhile. */
#ifndef CCU_KERNELS_STAGING_H
#define CCU_KERNELS_STAGING_H

#include "cuda_state.h"

/* Events 0 .. CCU_STAGING_CHUNKS - 1 of the device belong to the ring. */
#define CCU_STAGING_CHUNKS 4
#define CCU_STAGING_CHUNK_BYTES ((size_t)4 << 20)
#define CCU_STAGING_LANDING_BYTES ((size_t)4 << 20)
#define CCU_STAGING_LANDINGS 64 /* downloads under way at once */

/* NOMEM. NULL is fine for close. */
clipcu_status ccu_staging_open(ccu_device *device, ccu_staging **out, clipcu_error *error);
void          ccu_staging_close(ccu_staging *staging, ccu_device *device);

/* For those who make what they upload: room for up to bytes_max bytes in pinned memory, 64-byte
 * aligned; *bytes says how many there are (at least min(bytes_max, CCU_STAGING_CHUNK_BYTES)). It is
 * filled and sent before the next begin. NULL if the backend has failed, or fails now. */
void *ccu_staging_begin(ccu_cuda *cuda, size_t bytes_max, size_t *bytes);

/* Queues the copy of the first `bytes` bytes of that room. */
void ccu_staging_send(ccu_cuda *cuda, void *to, size_t bytes);

/* Copies the caller's bytes into the ring piece by piece and queues them. Waits only for room. */
void ccu_staging_upload(ccu_cuda *cuda, void *to, const void *host, size_t bytes);

/* Queues the copy to pinned memory; ccu_staging_deliver brings it to `host`. What does not fit into
 * the landing area with what is under way waits for that. */
void ccu_staging_download(ccu_cuda *cuda, void *host, const void *from, size_t bytes);

/* After the stream has passed everything: copies what has landed to where it was asked for, or
 * forgets it where the backend has failed. */
void ccu_staging_deliver(ccu_cuda *cuda);

#endif
