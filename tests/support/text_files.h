/* Vocabularies in temporary folders, for the tests of host/text. Failures end the test (cmocka). */
#ifndef CCU_SUPPORT_TEXT_FILES_H
#define CCU_SUPPORT_TEXT_FILES_H

#include <stddef.h>
#include <stdint.h>

#define TEXT_DIR_MAX 256

/* tests/data/text/name. `source` is CLIPCU_SOURCE_DIR, which only test programs know. */
void text_data_path(char out[1024], const char *source, const char *name);

/* Folder of data that is not part of the project ($CLIPCU_TEST_DATA), or NULL. */
const char *text_outside_data(void);

/* A fresh folder, and its removal with the vocabulary files in it. */
void text_dir_make(char dir[TEXT_DIR_MAX]);
void text_dir_remove(const char *dir);

void text_write(const char *dir, const char *name, const void *data, size_t bytes);
void text_write_string(const char *dir, const char *name, const char *text);

/* A whole file; bytes may be NULL. Freed with free. */
char *text_read(const char *path, size_t *bytes);

/* text with the first `from` replaced by `to`, which must be there. Freed with free. */
char *text_replace(const char *text, const char *from, const char *to);

/* The small vocabulary's tokenizer.json. Freed with free. */
char *text_small_json(const char *source);

/* The small vocabulary's other forms: vocab.json, and merges with header as first line and line
 * end `end`. Freed with free. */
char *text_small_vocab(const char *source);
char *text_small_merges(const char *source, const char *header, const char *end);

#endif
