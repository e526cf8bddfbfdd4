/* Temporary folders; see st_dir.h. */
#include "support/st_dir.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(int good, const char *what) {
    if (!good) {
        perror(what);
        exit(1);
    }
}

void st_dir_make(st_dir *dir) {
    const char *root = getenv("TMPDIR");
    (void)snprintf(dir->path, sizeof dir->path, "%s/clipcu_test_XXXXXX",
                   root == NULL ? "/tmp" : root);
    check(mkdtemp(dir->path) != NULL, dir->path);
}

void st_dir_empty(const st_dir *dir) {
    DIR *stream = opendir(dir->path);
    check(stream != NULL, dir->path);
    for (struct dirent *item = readdir(stream); item != NULL; item = readdir(stream)) {
        if (strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0) {
            st_dir_delete(dir, item->d_name);
        }
    }
    (void)closedir(stream);
}

void st_dir_remove(const st_dir *dir) {
    st_dir_empty(dir);
    check(rmdir(dir->path) == 0, dir->path);
}

const char *st_dir_join(const st_dir *dir, const char *name, char path[512]) {
    (void)snprintf(path, 512, "%s/%s", dir->path, name);
    return path;
}

void st_dir_delete(const st_dir *dir, const char *name) {
    char path[512];
    check(unlink(st_dir_join(dir, name, path)) == 0, name);
}

void st_dir_write(const st_dir *dir, const char *name, const void *data, size_t bytes) {
    char path[512];
    /* Removed first: some file systems write a truncated file back to disk when it is closed. */
    (void)unlink(st_dir_join(dir, name, path));
    FILE *stream = fopen(path, "wb");
    check(stream != NULL, path);
    check(bytes == 0 || fwrite(data, 1, bytes, stream) == bytes, path);
    check(fclose(stream) == 0, path);
}

void st_dir_write_text(const st_dir *dir, const char *name, const char *text) {
    st_dir_write(dir, name, text, strlen(text));
}

void st_dir_write_tensors(const st_dir *dir, const char *name, uint64_t header_bytes,
                          const char *header, size_t header_length, const void *data,
                          size_t data_bytes) {
    const size_t bytes = 8 + header_length + data_bytes;
    uint8_t     *whole = malloc(bytes);
    check(whole != NULL, name);
    for (int i = 0; i < 8; i++) { whole[i] = (uint8_t)(header_bytes >> (8 * i)); }
    if (header_length > 0) { memcpy(whole + 8, header, header_length); }
    if (data_bytes > 0) { memcpy(whole + 8 + header_length, data, data_bytes); }
    st_dir_write(dir, name, whole, bytes);
    free(whole);
}

int st_dir_set_up(void **state) {
    st_dir *dir = malloc(sizeof *dir);
    if (dir == NULL) { return -1; }
    st_dir_make(dir);
    *state = dir;
    return 0;
}

int st_dir_tear_down(void **state) {
    st_dir_remove(*state);
    free(*state);
    return 0;
}

uint64_t st_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}
