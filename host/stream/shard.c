/* Pictures in archives; see shard.h. */
#include "stream/shard.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"
#include "stream/escape.h"
#include "stream/folder.h"

#define BLOCK_BYTES ((size_t)256 << 10)
#define PICTURE_BYTES_MAX ((size_t)256 << 20)
#define WORDS_BYTES_MAX ((size_t)1 << 20)
#define ROOM_MAX ((size_t)4 << 20) /* that is taken on a header's word */

bool ccu_shard_is(const char *name) {
    static const char *const endings[] = { ".tar",     ".tar.gz", ".tgz",  ".tar.bz2", ".tbz2",
                                           ".tar.xz", ".txz",    ".tar.zst", ".tzst" };
    const size_t             bytes     = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t ending = strlen(endings[i]);
        if (bytes > ending && strcasecmp(name + bytes - ending, endings[i]) == 0) { return true; }
    }
    return false;
}

/* libarchive's way to the file. Nothing is passed over by seeking, so that a shard that was cut
 * short says so wherever reading ends. */
static la_ssize_t read_block(struct archive *archive, void *context, const void **block) {
    const ccu_shard *shard = context;
    for (;;) {
        const ssize_t got = read(shard->file.fd, shard->block, BLOCK_BYTES);
        if (got < 0 && errno == EINTR) { continue; }
        if (got < 0) { archive_set_error(archive, errno, "cannot read: %s", strerror(errno)); }
        *block = shard->block;
        return got;
    }
}

static bool support(struct archive *archive) {
    /* Each is built in, or ARCHIVE_WARN: an outside program would be run. */
    return archive_read_support_filter_gzip(archive) >= ARCHIVE_WARN &&
           archive_read_support_filter_bzip2(archive) >= ARCHIVE_WARN &&
           archive_read_support_filter_xz(archive) >= ARCHIVE_WARN &&
           archive_read_support_filter_zstd(archive) >= ARCHIVE_WARN &&
           archive_read_support_format_tar(archive) == ARCHIVE_OK;
}

/* member "": the archive itself. */
static clipcu_status broken(const ccu_shard *shard, const char *member, clipcu_error *error) {
    const char *why = archive_error_string(shard->archive);
    const bool  no_memory = archive_errno(shard->archive) == ENOMEM || why == NULL;
    return ccu_fail(error, no_memory ? CLIPCU_ERR_NOMEM : CLIPCU_ERR_FORMAT,
                    "%s%s%s: the archive cannot be read on: %s", shard->name,
                    member[0] == '\0' ? "" : "/", member, why == NULL ? "no memory" : why);
}

clipcu_status ccu_shard_open(const char *path, ccu_shard *shard, clipcu_error *error) {
    *shard               = (ccu_shard){ .name = NULL };
    clipcu_status status = ccu_file_open(path, &shard->file, error);
    if (status != CLIPCU_OK) { return status; }
    shard->name    = path;
    shard->block   = ccu_alloc(BLOCK_BYTES);
    shard->archive = archive_read_new();
    if (shard->block == NULL || shard->archive == NULL || !support(shard->archive)) {
        ccu_shard_close(shard);
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory to read an archive", path);
    }
    if (archive_read_open(shard->archive, shard, NULL, read_block, NULL) == ARCHIVE_OK) {
        return CLIPCU_OK;
    }
    status = broken(shard, "", error);
    ccu_shard_close(shard);
    return status;
}

static void free_pictures(ccu_shard *shard) {
    for (int32_t i = 0; i < shard->count; i++) {
        ccu_free(shard->pictures[i].path);
        ccu_free(shard->pictures[i].bytes);
        shard->pictures[i] = (ccu_shard_picture){ .path = NULL };
    }
    shard->count = 0;
    shard->next  = 0;
}

static void end_archive(ccu_shard *shard) {
    if (shard->archive != NULL) { (void)archive_read_free(shard->archive); } /* only read from */
    shard->archive = NULL;
}

void ccu_shard_close(ccu_shard *shard) {
    end_archive(shard);
    free_pictures(shard);
    ccu_file_close(&shard->file);
    ccu_free(shard->block);
    ccu_buffer_free(&shard->text);
    ccu_buffer_free(&shard->json);
    ccu_buffer_free(&shard->sample);
    shard->block = NULL;
    shard->name  = NULL;
}

/* ---- Members -------------------------------------------------------------------------------- */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* Length of a member's name up to the first dot behind the last slash. */
static size_t key_bytes(const char *member) {
    const char *base = base_name(member);
    return (size_t)(base - member) + strcspn(base, ".");
}

static bool ends_as(const char *member, const char *ending) {
    const char *dot = strrchr(base_name(member), '.');
    return dot != NULL && strcasecmp(dot, ending) == 0;
}

typedef enum member_result { MEMBER, MEMBER_END, MEMBER_BROKEN } member_result;

/* The next header into member; *error for MEMBER_BROKEN. */
static member_result next_member(ccu_shard *shard, clipcu_error *error) {
    struct archive_entry *entry = NULL;
    for (;;) {
        const int result = archive_read_next_header(shard->archive, &entry);
        if (result == ARCHIVE_EOF) { return MEMBER_END; }
        if (result == ARCHIVE_RETRY) { continue; }
        if (result < ARCHIVE_WARN) {
            (void)broken(shard, "", error);
            return MEMBER_BROKEN;
        }
        if (archive_entry_filetype(entry) != AE_IFREG) { continue; }
        /* Bytes as they are in the archive; where a header says that it is UTF-8, that. */
        const char *path = archive_entry_pathname(entry);
        if (path == NULL) { path = archive_entry_pathname_utf8(entry); }
        if (path == NULL) { continue; } /* nothing that could be asked for */
        while (strncmp(path, "./", 2) == 0) { path += 2; }
        if (base_name(path)[0] == '.' || strlen(path) >= sizeof shard->member) { continue; }
        (void)snprintf(shard->member, sizeof shard->member, "%s", path); /* fits */
        shard->member_bytes = archive_entry_size(entry) > 0 ? (size_t)archive_entry_size(entry) : 0;
        return MEMBER;
    }
}

/* All of the member's data. The size in its header is only where growing begins. */
static clipcu_status read_member(ccu_shard *shard, size_t bytes_max, uint8_t **out, size_t *count,
                                 clipcu_error *error) {
    size_t   room = shard->member_bytes < ROOM_MAX ? shard->member_bytes + 1 : ROOM_MAX;
    size_t   used = 0;
    uint8_t *data = ccu_alloc(room);
    while (data != NULL) {
        const la_ssize_t got = archive_read_data(shard->archive, data + used, room - used);
        if (got < 0 || used + (size_t)got > bytes_max) {
            ccu_free(data);
            shard->at_end = got < 0;
            return got < 0 ? broken(shard, shard->member, error)
                           : ccu_fail(error, CLIPCU_ERR_LIMIT,
                                      "%s/%s: expected at most %zu bytes, found more", shard->name,
                                      shard->member, bytes_max);
        }
        used += (size_t)got;
        if (got == 0) {
            *out   = data;
            *count = used;
            return CLIPCU_OK;
        }
        if (used == room) {
            uint8_t *more = ccu_realloc(data, room, 2 * room);
            if (more == NULL) { break; }
            data = more;
            room *= 2;
        }
    }
    ccu_free(data);
    return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s/%s: no memory for %zu bytes", shard->name,
                    shard->member, room);
}

/* ---- Samples -------------------------------------------------------------------------------- */

static void add_picture(ccu_shard *shard, bool keep) {
    ccu_shard_picture *picture = &shard->pictures[shard->count++];
    const size_t       bytes   = strlen(shard->name) + strlen(shard->member) + 2;
    shard->found++;
    shard->in_sample++;
    picture->path = ccu_alloc(bytes);
    if (picture->path == NULL) { /* has the archive's name, which is there */
        (void)ccu_fail(&picture->error, CLIPCU_ERR_NOMEM, "%s: no memory for a name", shard->name);
    } else {
        (void)snprintf(picture->path, bytes, "%s/%s", shard->name, shard->member); /* fits */
    }
    if (picture->path == NULL) { return; }
    if (keep) {
        picture->error.code = read_member(shard, PICTURE_BYTES_MAX, &picture->bytes,
                                          &picture->bytes_count, &picture->error);
    } else if (archive_read_data_skip(shard->archive) < ARCHIVE_WARN) {
        shard->at_end = true;
    }
}

/* One JSON object, on one line: spaces between its parts are taken out. */
static clipcu_status check_json(uint8_t *data, size_t bytes) {
    cJSON *json = NULL;
    if (memchr(data, '\0', bytes) != NULL) { return CLIPCU_ERR_FORMAT; }
    const clipcu_status status = ccu_json_parse("json", data, bytes, &json, NULL);
    if (status != CLIPCU_OK) { return status; }
    cJSON_Delete(json);
    char *text = (char *)data;
    cJSON_Minify(text);
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20) { return CLIPCU_ERR_FORMAT; }
    }
    return ccu_utf8_valid(text) ? CLIPCU_OK : CLIPCU_ERR_FORMAT;
}

/* Keeps what a .txt or .json member holds. data ends with a NUL behind bytes. */
static clipcu_status keep_words(ccu_buffer *to, bool json, uint8_t *data, size_t bytes) {
    if (json) {
        const clipcu_status status = check_json(data, bytes);
        if (status != CLIPCU_OK) { return status; }
    } else {
        while (bytes > 0 && (data[bytes - 1] == '\n' || data[bytes - 1] == '\r')) { bytes--; }
        data[bytes] = '\0';
    }
    ccu_buffer_text(to, (const char *)data);
    return CLIPCU_OK;
}

static void add_words(ccu_shard *shard, bool json) {
    ccu_buffer   *to     = json ? &shard->json : &shard->text;
    uint8_t      *data   = NULL;
    size_t        bytes  = 0;
    clipcu_status status = read_member(shard, WORDS_BYTES_MAX, &data, &bytes, NULL);
    ccu_buffer_clear(to);
    if (status == CLIPCU_OK) {
        data[bytes] = '\0'; /* there was room for more */
        status      = keep_words(to, json, data, bytes);
        ccu_free(data);
    }
    if (status == CLIPCU_ERR_NOMEM) {
        to->failed = true; /* its picture says so */
    } else if (status != CLIPCU_OK) {
        shard->left_out++;
    }
}

/* An archive that breaks off between pictures, as an item of its own. */
static void add_broken(ccu_shard *shard, const clipcu_error *error) {
    ccu_shard_picture *picture = &shard->pictures[shard->count++];
    picture->path              = ccu_strdup(shard->name);
    shard->found++;
    picture->error             = *error;
}

static void begin_sample(ccu_shard *shard) {
    const size_t bytes = key_bytes(shard->member);
    memcpy(shard->key, shard->member, bytes);
    shard->key[bytes] = '\0';
    shard->in_sample  = 0;
    ccu_buffer_clear(&shard->text);
    ccu_buffer_clear(&shard->json);
}

static bool same_key(const ccu_shard *shard) {
    const size_t bytes = key_bytes(shard->member);
    return strlen(shard->key) == bytes && memcmp(shard->key, shard->member, bytes) == 0;
}

/* Reads members until a sample with at least one picture is complete, or, if its pictures are not
 * kept, has one more picture. False: there are none. */
static bool read_sample(ccu_shard *shard, bool keep) {
    free_pictures(shard);
    while (shard->archive != NULL) {
        clipcu_error error = { .code = CLIPCU_OK };
        if (!shard->member_waits) {
            const member_result result = next_member(shard, &error);
            if (result == MEMBER_BROKEN) { add_broken(shard, &error); }
            if (result != MEMBER) {
                end_archive(shard);
                break;
            }
        }
        if (!same_key(shard)) {
            if (shard->count > 0) {
                shard->member_waits = true;
                return true;
            }
            begin_sample(shard);
        }
        shard->member_waits = false;
        if (ccu_folder_is_picture(shard->member)) {
            add_picture(shard, keep);
        } else if (ends_as(shard->member, ".txt") || ends_as(shard->member, ".json")) {
            add_words(shard, ends_as(shard->member, ".json"));
        }
        if (shard->at_end) { end_archive(shard); }
        const bool full = shard->in_sample % CCU_SHARD_SAMPLE_MAX == 0;
        if (shard->count > 0 && (full || !keep)) { return true; }
    }
    return shard->count > 0;
}

static clipcu_status describe(ccu_shard *shard, clipcu_error *error) {
    ccu_buffer *out = &shard->sample;
    ccu_buffer_clear(out);
    ccu_buffer_text(out, "");
    if (shard->text.bytes > 0) {
        ccu_buffer_text(out, ",");
        ccu_escape_json_path(out, "text", shard->text.data);
    }
    if (shard->json.bytes > 0) {
        ccu_buffer_text(out, ",\"json\":");
        ccu_buffer_text(out, shard->json.data);
    }
    out->failed = out->failed || shard->text.failed || shard->json.failed;
    return ccu_buffer_status(out, error);
}

bool ccu_shard_next(ccu_shard *shard, bool keep, ccu_shard_picture **picture, const char **sample) {
    clipcu_error error = { .code = CLIPCU_OK };
    if (shard->next == shard->count && !read_sample(shard, keep)) { return false; }
    *picture = &shard->pictures[shard->next++];
    *sample  = "";
    if (describe(shard, &error) == CLIPCU_OK) {
        *sample = shard->sample.data;
    } else if ((*picture)->error.code == CLIPCU_OK) {
        (*picture)->error = error;
    }
    return true;
}
