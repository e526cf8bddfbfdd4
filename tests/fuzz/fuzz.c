/* What the fuzz targets share; see fuzz.h. */
#include "fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 8
#define PATH_BYTES 512

/* The folder and the files in it, removed when the process ends. */
typedef struct fuzz_folder {
    char path[256];
    char files[FILES_MAX][PATH_BYTES];
    int  count;
} fuzz_folder;

static fuzz_folder folder;

void fuzz_expect(bool holds, const char *what) {
    if (!holds) {
        (void)fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

void fuzz_expect_status(clipcu_status status, const clipcu_error *error, const char *object) {
    fuzz_expect(strcmp(clipcu_status_name(status), "UNKNOWN") != 0, "a status of clipcu.h");
    fuzz_expect(error->code == status, "the error's code is the status");
    if (status == CLIPCU_OK) { return; }
    fuzz_expect(error->text[0] != '\0', "a failure has a message");
    fuzz_expect(memchr(error->text, '\0', sizeof error->text) != NULL, "a message ends");
    for (const char *c = error->text; *c != '\0'; c++) {
        fuzz_expect((unsigned char)*c >= 0x20 && *c != 0x7f, "a message is one printable line");
    }
    if (object != NULL && strstr(error->text, object) == NULL) {
        (void)fprintf(stderr, "%s\n", error->text);
        fuzz_expect(false, "a message names its object");
    }
}

int fuzz_kind(const char *letters, const uint8_t **data, size_t *bytes) {
    if (*bytes == 0) { return 0; }
    const uint8_t first = **data;
    *data += 1;
    *bytes -= 1;
    const char *place = first == 0 ? NULL : strchr(letters, first);
    return place != NULL ? (int)(place - letters) : (int)(first % strlen(letters));
}

void fuzz_clear(void) {
    /* What is not there is no failure: a target may remove or rename its files. */
    for (int i = 0; i < folder.count; i++) { (void)unlink(folder.files[i]); }
    folder.count = 0;
}

static void remove_folder(void) {
    fuzz_clear();
    (void)rmdir(folder.path); /* a leftover in /dev/shm is no failure of the library */
}

static void check(bool good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

const char *fuzz_dir(void) {
    if (folder.path[0] == '\0') {
        const char *root = getenv("TMPDIR");
        if (access("/dev/shm", W_OK) == 0) { root = "/dev/shm"; }
        (void)snprintf(folder.path, sizeof folder.path, "%s/clipcu_fuzz_XXXXXX",
                       root == NULL ? "/tmp" : root);
        check(mkdtemp(folder.path) != NULL, folder.path);
        check(atexit(remove_folder) == 0, "atexit");
    }
    return folder.path;
}

/* The file's path and an open descriptor for writing it anew. */
static int open_file(const char *name, const char **path) {
    char wanted[PATH_BYTES];
    (void)snprintf(wanted, sizeof wanted, "%s/%s", fuzz_dir(), name);
    int at = 0;
    while (at < folder.count && strcmp(folder.files[at], wanted) != 0) { at++; }
    check(at < FILES_MAX, "too many files");
    if (at == folder.count) {
        memcpy(folder.files[at], wanted, sizeof wanted);
        folder.count++;
    }
    *path = folder.files[at];
    const int fd = open(*path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    check(fd >= 0, *path);
    return fd;
}

static void put(int fd, const void *data, size_t bytes) {
    check(bytes == 0 || write(fd, data, bytes) == (ssize_t)bytes, "write");
}

const char *fuzz_file(const char *name, const void *data, size_t bytes) {
    const char *path = NULL;
    const int   fd   = open_file(name, &path);
    put(fd, data, bytes);
    check(close(fd) == 0, path);
    return path;
}

const char *fuzz_tensors(const char *name, const void *header, size_t header_bytes,
                         const void *data, size_t data_bytes) {
    const char *path = NULL;
    const int   fd   = open_file(name, &path);
    uint8_t     length[8];
    for (int i = 0; i < 8; i++) { length[i] = (uint8_t)((uint64_t)header_bytes >> (8 * i)); }
    put(fd, length, sizeof length);
    put(fd, header, header_bytes);
    put(fd, data, data_bytes);
    check(close(fd) == 0, path);
    return path;
}
