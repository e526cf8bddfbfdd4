/* Pinned memory on the way to the device and back; see staging.h. */
#include "staging.h"

#include <assert.h>
#include <string.h>

extern "C" {
#include "base/memory.h"
}

#define ALIGN ((size_t)64)

static_assert(CCU_STAGING_CHUNKS <= CCU_DEVICE_EVENTS, "an event per chunk");
static_assert(CCU_STAGING_CHUNK_BYTES % ALIGN == 0, "chunks start aligned");

/* A download under way. */
typedef struct landing {
    void          *host;
    const uint8_t *pinned;
    size_t         bytes;
} landing;

struct ccu_staging {
    uint8_t *pinned;  /* the chunks, then the landing area */
    int32_t  chunk;   /* that is being filled */
    size_t   used;    /* of it */
    size_t   room;    /* what the last begin gave; 0: nothing is open */
    size_t   landed;  /* of the landing area */
    int32_t  landings_count;
    landing  landings[CCU_STAGING_LANDINGS];
};

static size_t align_up(size_t bytes) {
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

clipcu_status ccu_staging_open(ccu_device *device, ccu_staging **out, clipcu_error *error) {
    const size_t bytes =
        CCU_STAGING_CHUNKS * CCU_STAGING_CHUNK_BYTES + CCU_STAGING_LANDING_BYTES;
    void        *pinned  = NULL;
    ccu_staging *staging = (ccu_staging *)ccu_alloc_zeroed(1, sizeof *staging);
    *out                 = NULL;
    if (staging == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "CUDA backend: no memory for its staging ring");
    }
    const int code = ccu_device_alloc_pinned(device, bytes, &pinned);
    if (code != 0) {
        ccu_free(staging);
        return ccu_fail(error, CLIPCU_ERR_NOMEM,
                        "CUDA backend: no %zu bytes of pinned host memory: %s", bytes,
                        ccu_device_text(code));
    }
    staging->pinned = (uint8_t *)pinned;
    *out            = staging;
    return CLIPCU_OK;
}

void ccu_staging_close(ccu_staging *staging, ccu_device *device) {
    if (staging == NULL) { return; }
    ccu_device_free_pinned(device, staging->pinned);
    ccu_free(staging);
}

/* ---- Up ------------------------------------------------------------------------------------- */

void *ccu_staging_begin(ccu_cuda *cuda, size_t bytes_max, size_t *bytes) {
    ccu_staging *staging = cuda->staging;
    const size_t wanted =
        bytes_max < CCU_STAGING_CHUNK_BYTES ? bytes_max : CCU_STAGING_CHUNK_BYTES;
    assert(wanted > 0);
    *bytes = 0;
    if (!ccu_cuda_ready(cuda)) { return NULL; }
    if (CCU_STAGING_CHUNK_BYTES - staging->used < wanted) {
        /* The next chunk, as soon as what was last sent from it has left. */
        staging->chunk = (staging->chunk + 1) % CCU_STAGING_CHUNKS;
        staging->used  = 0;
        ccu_cuda_result(cuda, ccu_device_event_wait(cuda->device, staging->chunk),
                        "upload: wait for pinned memory");
        if (!ccu_cuda_ready(cuda)) { return NULL; }
    }
    staging->room = wanted;
    *bytes        = wanted;
    return staging->pinned + (size_t)staging->chunk * CCU_STAGING_CHUNK_BYTES + staging->used;
}

void ccu_staging_send(ccu_cuda *cuda, void *to, size_t bytes) {
    ccu_staging *staging = cuda->staging;
    assert(to != NULL);
    assert(bytes > 0 && bytes <= staging->room);
    if (!ccu_cuda_ready(cuda)) { return; }
    const uint8_t *from =
        staging->pinned + (size_t)staging->chunk * CCU_STAGING_CHUNK_BYTES + staging->used;
    int code = ccu_device_upload(cuda->device, to, from, bytes);
    if (code == 0) { code = ccu_device_event_record(cuda->device, staging->chunk); }
    ccu_cuda_result(cuda, code, "upload of %zu bytes", bytes);
    staging->room = 0;
    staging->used = align_up(staging->used + bytes);
}

void ccu_staging_upload(ccu_cuda *cuda, void *to, const void *host, size_t bytes) {
    uint8_t       *at   = (uint8_t *)to;
    const uint8_t *from = (const uint8_t *)host;
    while (bytes > 0) {
        size_t room = 0;
        void  *pinned = ccu_staging_begin(cuda, bytes, &room);
        if (pinned == NULL) { return; }
        memcpy(pinned, from, room);
        ccu_staging_send(cuda, at, room);
        at += room;
        from += room;
        bytes -= room;
    }
}

/* ---- Down ----------------------------------------------------------------------------------- */

void ccu_staging_deliver(ccu_cuda *cuda) {
    ccu_staging *staging = cuda->staging;
    for (int32_t i = 0; i < staging->landings_count && ccu_cuda_ready(cuda); i++) {
        const landing *down = &staging->landings[i];
        memcpy(down->host, down->pinned, down->bytes);
    }
    staging->landings_count = 0;
    staging->landed         = 0;
}

void ccu_staging_download(ccu_cuda *cuda, void *host, const void *from, size_t bytes) {
    ccu_staging   *staging = cuda->staging;
    uint8_t       *to      = (uint8_t *)host;
    const uint8_t *at      = (const uint8_t *)from;
    uint8_t *const area = staging->pinned + CCU_STAGING_CHUNKS * CCU_STAGING_CHUNK_BYTES;
    while (bytes > 0 && ccu_cuda_ready(cuda)) {
        const size_t free = CCU_STAGING_LANDING_BYTES - staging->landed;
        const size_t size = bytes < free ? bytes : free;
        if (size == 0 || staging->landings_count == CCU_STAGING_LANDINGS) {
            ccu_cuda_result(cuda, ccu_device_sync(cuda->device), "download of %zu bytes", bytes);
            ccu_staging_deliver(cuda);
            continue;
        }
        uint8_t *pinned = area + staging->landed;
        staging->landings[staging->landings_count++] = landing{to, pinned, size};
        staging->landed                              = align_up(staging->landed + size);
        ccu_cuda_result(cuda, ccu_device_download(cuda->device, pinned, at, size),
                        "download of %zu bytes", size);
        to += size;
        at += size;
        bytes -= size;
    }
}
