/* A walk through folders; see folder.h. */
#define _DEFAULT_SOURCE /* d_type: without it every entry would cost a stat */
#include "stream/folder.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "stream/buffer.h"

static const char *const picture_endings[] = { "jpg", "jpeg", "jpe",  "jfif", "png",  "gif",
                                               "bmp", "dib",  "ppm",  "pgm",  "pbm",  "pnm",
                                               "tif", "tiff", "webp", "avif", "heic", "heif" };

bool ccu_folder_is_picture(const char *name) {
    const char *dot = strrchr(name, '.');
    if (dot == NULL) { return false; }
    for (size_t i = 0; i < sizeof picture_endings / sizeof picture_endings[0]; i++) {
        if (strcasecmp(dot + 1, picture_endings[i]) == 0) { return true; }
    }
    return false;
}

/* 'd' for a folder to walk into, 'f' for a picture, 'l' for a link to a folder, 0 for the rest. */
static char entry_kind(DIR *dir, const struct dirent *entry) {
    struct stat info;
    const bool  picture = ccu_folder_is_picture(entry->d_name);
    if (entry->d_name[0] == '.') { return 0; }
    if (entry->d_type == DT_DIR) { return 'd'; }
    if (entry->d_type == DT_REG) { return picture ? 'f' : 0; }
    if (fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) { return 0; }
    if (S_ISDIR(info.st_mode)) { return 'd'; }
    if (S_ISLNK(info.st_mode) && fstatat(dirfd(dir), entry->d_name, &info, 0) == 0 &&
        S_ISDIR(info.st_mode)) {
        return 'l';
    }
    /* A broken link or a pipe that is named like a picture is one line with "error" later. */
    return picture ? 'f' : 0;
}

static int compare_entries(const void *a, const void *b) {
    const char *const *left  = a;
    const char *const *right = b;
    return strcmp(*left + 1, *right + 1);
}

/* Turns the names put one after the other into a sorted table of them. */
static clipcu_status sort_listing(ccu_listing *listing, const char *path, clipcu_error *error) {
    listing->entries = ccu_alloc_zeroed(listing->count + 1, sizeof *listing->entries);
    if (listing->entries == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for its %zu entries", path,
                        listing->count);
    }
    char *name = listing->names;
    for (size_t i = 0; i < listing->count; i++) {
        listing->entries[i] = name;
        name += strlen(name) + 1;
    }
    if (listing->count > 1) {
        qsort(listing->entries, listing->count, sizeof *listing->entries, compare_entries);
    }
    return CLIPCU_OK;
}

static void free_listing(ccu_listing *listing) {
    ccu_free(listing->entries);
    ccu_free(listing->names);
    *listing = (ccu_listing){ .names = NULL };
}

/* Reads the folder named by folder->path into a listing. */
static clipcu_status read_listing(ccu_folder *folder, ccu_listing *listing, clipcu_error *error) {
    ccu_buffer    names  = { .data = NULL };
    clipcu_status status = CLIPCU_OK;
    DIR          *dir    = opendir(folder->path);
    if (dir == NULL) {
        return ccu_fail(error, errno == ENOMEM ? CLIPCU_ERR_NOMEM : CLIPCU_ERR_IO,
                        "%s: cannot list the folder: %s", folder->path, strerror(errno));
    }
    for (;;) {
        errno                      = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) { break; }
        const char kind = entry_kind(dir, entry);
        if (kind == 'l') { folder->links_skipped++; }
        if (kind != 'd' && kind != 'f') { continue; }
        ccu_buffer_add(&names, &kind, 1);
        ccu_buffer_add(&names, entry->d_name, strlen(entry->d_name) + 1);
        listing->count++;
    }
    if (errno != 0) {
        status = ccu_fail(error, CLIPCU_ERR_IO, "%s: cannot list the folder: %s", folder->path,
                          strerror(errno));
    }
    if (status == CLIPCU_OK) { status = ccu_buffer_status(&names, error); }
    listing->names = names.data; /* ownership moved */
    if (status == CLIPCU_OK) { status = sort_listing(listing, folder->path, error); }
    if (status != CLIPCU_OK) { free_listing(listing); }
    (void)closedir(dir); /* nothing was written */
    return status;
}

/* Goes into the folder named by folder->path, which is path_bytes long. */
static clipcu_status enter(ccu_folder *folder, size_t path_bytes, clipcu_error *error) {
    if (folder->depth == CCU_FOLDER_DEPTH) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: folders nested deeper than %d", folder->path,
                        CCU_FOLDER_DEPTH);
    }
    ccu_listing        *listing = &folder->listings[folder->depth];
    const clipcu_status status  = read_listing(folder, listing, error);
    if (status != CLIPCU_OK) { return status; }
    if (folder->path[path_bytes - 1] != '/') {
        folder->path[path_bytes++] = '/'; /* room was checked by the callers */
        folder->path[path_bytes]   = '\0';
    }
    listing->path_bytes = path_bytes;
    folder->depth++;
    return CLIPCU_OK;
}

clipcu_status ccu_folder_open(const char *path, ccu_folder *folder, clipcu_error *error) {
    const size_t bytes = strlen(path);
    assert(bytes > 0);
    *folder = (ccu_folder){ .depth = 0 };
    if (bytes + 2 > sizeof folder->path) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%.100s...: path longer than %d bytes", path,
                        CCU_PATH_MAX - 2);
    }
    memcpy(folder->path, path, bytes + 1);
    return enter(folder, bytes, error);
}

void ccu_folder_close(ccu_folder *folder) {
    for (int32_t i = 0; i < folder->depth; i++) { free_listing(&folder->listings[i]); }
    folder->depth = 0;
}

bool ccu_folder_next(ccu_folder *folder, const char **path, clipcu_error *error) {
    while (folder->depth > 0) {
        ccu_listing *listing = &folder->listings[folder->depth - 1];
        if (listing->next == listing->count) {
            free_listing(listing);
            folder->depth--;
            continue;
        }
        const char  *entry = listing->entries[listing->next++];
        const size_t bytes = strlen(entry + 1);
        *path              = folder->path;
        if (listing->path_bytes + bytes + 2 > sizeof folder->path) {
            folder->path[listing->path_bytes] = '\0';
            (void)ccu_fail(error, CLIPCU_ERR_LIMIT,
                           "%.100s...: a path in it is longer than %d bytes", folder->path,
                           CCU_PATH_MAX - 2);
            return true;
        }
        memcpy(folder->path + listing->path_bytes, entry + 1, bytes + 1);
        if (*entry == 'f') {
            folder->pictures++;
            return true;
        }
        if (enter(folder, listing->path_bytes + bytes, error) != CLIPCU_OK) { return true; }
    }
    return false;
}
