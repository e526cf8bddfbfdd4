/* Tar archives for tests; see st_tar.h. */
#include "support/st_tar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512

void st_tar_add(st_tar *tar, const char *name, const void *data, size_t size) {
    const size_t padded = (size + BLOCK - 1) / BLOCK * BLOCK;
    uint8_t     *header = tar->bytes + tar->count;
    unsigned     sum    = 0;
    if (tar->count + BLOCK + padded + 2 * BLOCK > sizeof tar->bytes) { abort(); }
    memset(header, 0, BLOCK + padded);
    (void)snprintf((char *)header, 100, "%s", name);             /* may be cut */
    (void)snprintf((char *)header + 100, 8, "%07o", 0644U);      /* mode */
    (void)snprintf((char *)header + 108, 8, "%07o", 0U);         /* owner */
    (void)snprintf((char *)header + 116, 8, "%07o", 0U);         /* group */
    (void)snprintf((char *)header + 124, 12, "%011zo", size);
    (void)snprintf((char *)header + 136, 12, "%011o", 0U);       /* time */
    memcpy(header + 148, "        ", 8);
    header[156] = '0'; /* a file */
    memcpy(header + 257, "ustar\00000", 8);
    for (size_t i = 0; i < BLOCK; i++) { sum += header[i]; }
    (void)snprintf((char *)header + 148, 8, "%06o", sum);
    memcpy(header + BLOCK, data, size);
    tar->count += BLOCK + padded;
}

void st_tar_add_text(st_tar *tar, const char *name, const char *text) {
    st_tar_add(tar, name, text, strlen(text));
}

void st_tar_write(const st_tar *tar, const st_dir *dir, const char *name) {
    uint8_t *whole = calloc(1, tar->count + 2 * BLOCK);
    if (whole == NULL) { abort(); }
    memcpy(whole, tar->bytes, tar->count);
    st_dir_write(dir, name, whole, tar->count + 2 * BLOCK);
    free(whole);
}
