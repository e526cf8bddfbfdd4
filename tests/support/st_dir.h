/* A temporary folder of flat files for one test program. Failing to write ends the program. */
#ifndef CCU_SUPPORT_ST_DIR_H
#define CCU_SUPPORT_ST_DIR_H

#include <stddef.h>
#include <stdint.h>

typedef struct st_dir {
    char path[256];
} st_dir;

void st_dir_make(st_dir *dir);
/* Removes every file in it. */
void st_dir_empty(const st_dir *dir);
void st_dir_remove(const st_dir *dir);

/* A folder for a whole cmocka group: *state is the st_dir. */
int st_dir_set_up(void **state);
int st_dir_tear_down(void **state);

/* dir/name into path[512]; returns path. */
const char *st_dir_join(const st_dir *dir, const char *name, char path[512]);
void        st_dir_write(const st_dir *dir, const char *name, const void *data, size_t bytes);
void        st_dir_write_text(const st_dir *dir, const char *name, const char *text);
void        st_dir_delete(const st_dir *dir, const char *name);

/* dir/name as a safetensors file: the length `header_bytes`, the header's text, the data. */
void st_dir_write_tensors(const st_dir *dir, const char *name, uint64_t header_bytes,
                          const char *header, size_t header_length, const void *data,
                          size_t data_bytes);

/* A reproducible stream of numbers (xorshift). state must not be 0. */
uint64_t st_random(uint64_t *state);

#endif
