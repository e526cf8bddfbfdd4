/* Vocabularies; see vocab.h. The readers are in vocab_files.c and tokenizer_json.c. */
#include "text/vocab.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "text/unicode.h"

void ccu_vocab_close(ccu_vocab *vocab) {
    ccu_bpe_free(&vocab->bpe);
    for (int32_t i = 0; i < vocab->added_count; i++) { ccu_free(vocab->added[i].text); }
    *vocab = (ccu_vocab){ 0 };
}

clipcu_status ccu_vocab_names(const cJSON *object, ccu_names *names, clipcu_error *error) {
    for (const cJSON *item = object->child; item != NULL; item = item->next) {
        const double id = cJSON_IsNumber(item) ? item->valuedouble : -1.0;
        if (!(id >= 0.0 && id < CCU_VOCAB_MAX) || floor(id) != id) {
            const size_t bytes = strlen(item->string);
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: token \"%.*s\": the id should be a whole number below %d",
                            names->path, ccu_utf8_fit(item->string, bytes, 40), item->string,
                            CCU_VOCAB_MAX);
        }
        const clipcu_status status = ccu_names_add(names, item->string, strlen(item->string),
                                                   (int32_t)id, error);
        if (status != CLIPCU_OK) { return status; }
    }
    return CLIPCU_OK;
}

bool ccu_vocab_part(const char *text, size_t bytes, ccu_name *left, ccu_name *right) {
    const char *space = memchr(text, ' ', bytes);
    if (space == NULL) { return false; }
    *left  = (ccu_name){ .text = text, .bytes = (size_t)(space - text) };
    *right = (ccu_name){ .text = space + 1, .bytes = bytes - left->bytes - 1 };
    return left->bytes > 0 && right->bytes > 0 && memchr(right->text, ' ', right->bytes) == NULL;
}

clipcu_status ccu_vocab_add(ccu_vocab *vocab, const char *path, const ccu_added *added,
                            clipcu_error *error) {
    if (vocab->added_count == CCU_ADDED_MAX) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: more than %d added tokens", path,
                        CCU_ADDED_MAX);
    }
    char *text = ccu_strdup(added->text);
    if (text == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory", path); }
    vocab->added[vocab->added_count]      = *added;
    vocab->added[vocab->added_count].text = text;
    vocab->added_count++;
    return CLIPCU_OK;
}

clipcu_status ccu_vocab_finish(ccu_vocab *vocab, const ccu_names *names, clipcu_error *error) {
    clipcu_status status = ccu_names_check_dense(names, error);
    if (status != CLIPCU_OK) { return status; }
    vocab->size = names->count;
    vocab->sot  = ccu_names_find(names, CCU_SOT_TEXT, strlen(CCU_SOT_TEXT), "", 0);
    vocab->eot  = ccu_names_find(names, CCU_EOT_TEXT, strlen(CCU_EOT_TEXT), "", 0);
    if (vocab->sot < 0 || vocab->eot < 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: no token \"%s\": not CLIP's vocabulary",
                        names->path, vocab->sot < 0 ? CCU_SOT_TEXT : CCU_EOT_TEXT);
    }
    return ccu_bpe_set_bytes(&vocab->bpe, names, error);
}

clipcu_status ccu_vocab_add_default(ccu_vocab *vocab, const char *path, clipcu_error *error) {
    char            sot[] = CCU_SOT_TEXT, eot[] = CCU_EOT_TEXT;
    const ccu_added start = {
        .text = sot, .bytes = strlen(sot), .id = vocab->sot, .normalized = true, .plain = true
    };
    const ccu_added end = { .text = eot, .bytes = strlen(eot), .id = vocab->eot, .plain = true };
    const clipcu_status status = ccu_vocab_add(vocab, path, &start, error);
    return status != CLIPCU_OK ? status : ccu_vocab_add(vocab, path, &end, error);
}

/* Reads the first kind of file that dir has. */
static clipcu_status read_first(const char *dir, char (*paths)[CCU_PATH_MAX], ccu_vocab *vocab,
                                clipcu_error *error) {
    if (ccu_name_exists(paths[0])) { return ccu_vocab_read_tokenizer_json(paths[0], vocab, error); }
    if (ccu_name_exists(paths[1]) && ccu_name_exists(paths[2])) {
        return ccu_vocab_read_pair(paths[1], paths[2], vocab, error);
    }
    if (ccu_name_exists(paths[3])) { return ccu_vocab_read_merges(paths[3], vocab, error); }
    if (ccu_name_exists(paths[4])) { return ccu_vocab_read_merges(paths[4], vocab, error); }
    return ccu_fail(error, CLIPCU_ERR_IO,
                    "%s: no vocabulary: looked for tokenizer.json, vocab.json with merges.txt, "
                    "bpe_simple_vocab_16e6.txt, bpe_simple_vocab_16e6.txt.gz",
                    dir);
}

#define FILES_COUNT 5

static const char *const file_names[FILES_COUNT] = {
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "bpe_simple_vocab_16e6.txt",
    "bpe_simple_vocab_16e6.txt.gz",
};

clipcu_status ccu_vocab_open(const char *dir, ccu_vocab *vocab, clipcu_error *error) {
    *vocab                     = (ccu_vocab){ 0 };
    char(*paths)[CCU_PATH_MAX] = ccu_alloc_zeroed(FILES_COUNT, CCU_PATH_MAX);
    if (paths == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory", dir); }
    clipcu_status status = CLIPCU_OK;
    for (int i = 0; i < FILES_COUNT && status == CLIPCU_OK; i++) {
        status = ccu_path_join(paths[i], dir, file_names[i], error);
    }
    if (status == CLIPCU_OK) { status = read_first(dir, paths, vocab, error); }
    if (status != CLIPCU_OK) { ccu_vocab_close(vocab); }
    ccu_free(paths);
    return status;
}
