/* Vocabularies in plain files: vocab.json with merges.txt, or OpenAI's merges alone; see
 * vocab.h. */
#include <assert.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "text/unicode.h"
#include "text/vocab.h"

/* OpenAI's code reads this many merges of the 262,144 in its file: 49152 - 256 - 2. */
#define OPENAI_MERGES 48894

/* ---- Lines ---------------------------------------------------------------------------------- */

/* The lines of a text not read yet. */
typedef struct lines {
    const char *at, *end;
    int32_t     number; /* of the line read last, from 1 */
} lines;

/* The next line without its end (LF or CR LF); false at the end. */
static bool next_line(lines *in, ccu_name *line) {
    if (in->at >= in->end) { return false; }
    const char *feed = memchr(in->at, '\n', (size_t)(in->end - in->at));
    const char *stop = feed == NULL ? in->end : feed;
    line->text       = in->at;
    line->bytes      = (size_t)(stop - in->at);
    if (line->bytes > 0 && line->text[line->bytes - 1] == '\r') { line->bytes--; }
    in->at = feed == NULL ? in->end : feed + 1;
    in->number++;
    return true;
}

/* Empty lines at the end are none. */
static lines lines_of(const uint8_t *data, size_t bytes) {
    while (bytes > 0 && (data[bytes - 1] == '\n' || data[bytes - 1] == '\r')) { bytes--; }
    return (lines){ .at = (const char *)data, .end = (const char *)data + bytes };
}

static int64_t count_lines(lines in) {
    int64_t  count = 0;
    ccu_name line;
    while (next_line(&in, &line)) { count++; }
    return count;
}

static clipcu_status fail_line(const char *path, const lines *in, const ccu_name *line,
                               clipcu_error *error) {
    return ccu_fail(error, CLIPCU_ERR_FORMAT,
                    "%s: line %d: expected a merge like \"i n\", found "
                    "\"%.*s\"",
                    path, in->number, ccu_utf8_fit(line->text, line->bytes, 40), line->text);
}

/* Adds up to merges_max merges from the lines left in `in`. */
static clipcu_status add_merges(lines in, int64_t merges_max, const ccu_names *names,
                                const char *path, ccu_bpe *bpe, clipcu_error *error) {
    ccu_name line, left, right;
    for (int64_t i = 0; i < merges_max && next_line(&in, &line); i++) {
        if (!ccu_vocab_part(line.text, line.bytes, &left, &right)) {
            return fail_line(path, &in, &line, error);
        }
        const clipcu_status status = ccu_bpe_add(bpe, names, &left, &right, error);
        if (status != CLIPCU_OK) { return status; }
    }
    return CLIPCU_OK;
}

/* ---- vocab.json and merges.txt -------------------------------------------------------------- */

clipcu_status ccu_vocab_read_pair(const char *vocab_path, const char *merges_path, ccu_vocab *vocab,
                                  clipcu_error *error) {
    cJSON        *root  = NULL;
    uint8_t      *data  = NULL;
    size_t        bytes = 0;
    ccu_names     names = { 0 };
    clipcu_status status;

    status = ccu_json_read(vocab_path, CCU_VOCAB_FILE_MAX, &root, error);
    if (status != CLIPCU_OK) { goto done; }
    status = ccu_names_init(&names, vocab_path, cJSON_GetArraySize(root), error);
    if (status != CLIPCU_OK) { goto done; }
    status = ccu_vocab_names(root, &names, error);
    if (status != CLIPCU_OK) { goto done; }
    status = ccu_file_read(merges_path, CCU_VOCAB_FILE_MAX, &data, &bytes, error);
    if (status != CLIPCU_OK) { goto done; }

    lines in = lines_of(data, bytes);
    if (bytes >= 8 && memcmp(data, "#version", 8) == 0) {
        ccu_name header;
        (void)next_line(&in, &header); /* only stepped over */
    }
    const int64_t merges = count_lines(in);
    status               = ccu_bpe_init(&vocab->bpe, merges_path, merges, error);
    if (status != CLIPCU_OK) { goto done; }
    names.path = merges_path;
    status     = add_merges(in, merges, &names, merges_path, &vocab->bpe, error);
    if (status != CLIPCU_OK) { goto done; }
    names.path = vocab_path;
    status     = ccu_vocab_finish(vocab, &names, error);
    if (status == CLIPCU_OK) { status = ccu_vocab_add_default(vocab, vocab_path, error); }

done:
    ccu_names_free(&names);
    ccu_free(data);
    cJSON_Delete(root);
    return status;
}

/* ---- A bare merges file --------------------------------------------------------------------- */

/* Inflates one gzip member of at most CCU_VOCAB_FILE_MAX bytes. *out is the caller's (ccu_free). */
static clipcu_status inflate_file(const char *path, const uint8_t *data, size_t bytes,
                                  uint8_t **out, size_t *out_bytes, clipcu_error *error) {
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)bytes };
    if (inflateInit2(&stream, 15 + 16) != Z_OK) { /* 15: window, 16: gzip */
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory to decompress", path);
    }
    uint8_t *text     = NULL;
    size_t   capacity = 0;
    int      code     = Z_OK;
    while (code == Z_OK && capacity < CCU_VOCAB_FILE_MAX) {
        const size_t more  = capacity == 0 ? (size_t)1 << 20 : capacity;
        uint8_t     *grown = ccu_realloc(text, capacity, capacity + more);
        if (grown == NULL) {
            code = Z_MEM_ERROR;
            break;
        }
        text             = grown;
        stream.next_out  = text + capacity;
        stream.avail_out = (uInt)more;
        capacity += more;
        code = inflate(&stream, Z_NO_FLUSH);
        if (code == Z_OK && stream.avail_out > 0) { code = Z_BUF_ERROR; } /* input ran out */
    }
    const size_t total = stream.total_out;
    (void)inflateEnd(&stream); /* only frees */
    if (code == Z_STREAM_END) {
        *out       = text;
        *out_bytes = total;
        return CLIPCU_OK;
    }
    ccu_free(text);
    if (code == Z_OK) {
        return ccu_fail(error, CLIPCU_ERR_LIMIT, "%s: more than %zu bytes when decompressed", path,
                        CCU_VOCAB_FILE_MAX);
    }
    return ccu_fail(error, code == Z_MEM_ERROR ? CLIPCU_ERR_NOMEM : CLIPCU_ERR_FORMAT,
                    "%s: cannot decompress after %zu bytes: the file is %s", path, total,
                    code == Z_BUF_ERROR ? "cut short" : "damaged");
}

/* Reads path, decompressed if it starts as gzip does. *out is the caller's (ccu_free). */
static clipcu_status read_text(const char *path, uint8_t **out, size_t *out_bytes,
                               clipcu_error *error) {
    uint8_t      *data   = NULL;
    size_t        bytes  = 0;
    clipcu_status status = ccu_file_read(path, CCU_VOCAB_FILE_MAX, &data, &bytes, error);
    if (status != CLIPCU_OK) { return status; }
    if (bytes < 2 || data[0] != 0x1f || data[1] != 0x8b) {
        *out       = data;
        *out_bytes = bytes;
        return CLIPCU_OK;
    }
    status = inflate_file(path, data, bytes, out, out_bytes, error);
    ccu_free(data);
    return status;
}

/* Appends left + right to the pool and gives it the id. */
static clipcu_status add_joined(ccu_names *names, char **pool, const ccu_name *left,
                                const ccu_name *right, int32_t id, clipcu_error *error) {
    char        *text  = *pool;
    const size_t bytes = left->bytes + right->bytes;
    memcpy(text, left->text, left->bytes);
    memcpy(text + left->bytes, right->text, right->bytes);
    *pool += bytes;
    return ccu_names_add(names, text, bytes, id, error);
}

/* The byte alphabet: the 188 bytes that print, then the 68 others; plain and with </w>. */
static clipcu_status add_alphabet(ccu_names *names, char **pool, clipcu_error *error) {
    const ccu_name none = { .text = "", .bytes = 0 }, end = { .text = "</w>", .bytes = 4 };
    int32_t        id = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t byte = 0; byte < 256; byte++) {
            char     text[4];
            ccu_name name = { .text = text, .bytes = ccu_bpe_byte_text(byte, text) };
            int32_t  code = 0;
            (void)ccu_utf8_decode((const uint8_t *)text, name.bytes, &code); /* just encoded */
            const bool prints = code < 0x100;
            if (prints != (pass == 0)) { continue; }
            clipcu_status status = add_joined(names, pool, &name, &none, id, error);
            if (status == CLIPCU_OK) {
                status = add_joined(names, pool, &name, &end, id + 256, error);
            }
            if (status != CLIPCU_OK) { return status; }
            id++;
        }
    }
    return CLIPCU_OK;
}

/* Every text of the vocabulary: alphabet, merges, special tokens. */
static clipcu_status add_all_names(ccu_names *names, lines in, int32_t merges, char *pool,
                                   clipcu_error *error) {
    clipcu_status status = add_alphabet(names, &pool, error);
    ccu_name      line   = { 0 }, left, right;
    for (int32_t i = 0; i < merges && status == CLIPCU_OK; i++) {
        (void)next_line(&in, &line); /* they were counted */
        if (!ccu_vocab_part(line.text, line.bytes, &left, &right)) {
            return fail_line(names->path, &in, &line, error);
        }
        status = add_joined(names, &pool, &left, &right, 512 + i, error);
    }
    const ccu_name none = { .text = "", .bytes = 0 };
    const ccu_name sot  = { .text = CCU_SOT_TEXT, .bytes = strlen(CCU_SOT_TEXT) };
    const ccu_name eot  = { .text = CCU_EOT_TEXT, .bytes = strlen(CCU_EOT_TEXT) };
    if (status == CLIPCU_OK) {
        status = add_joined(names, &pool, &sot, &none, 512 + merges, error);
    }
    if (status == CLIPCU_OK) {
        status = add_joined(names, &pool, &eot, &none, 513 + merges, error);
    }
    return status;
}

clipcu_status ccu_vocab_read_merges(const char *path, ccu_vocab *vocab, clipcu_error *error) {
    uint8_t      *data  = NULL;
    char         *pool  = NULL;
    size_t        bytes = 0;
    ccu_names     names = { 0 };
    clipcu_status status;

    status = read_text(path, &data, &bytes, error);
    if (status != CLIPCU_OK) { goto done; }
    lines    in = lines_of(data, bytes);
    ccu_name header;
    (void)next_line(&in, &header); /* the first line is never a merge */
    const int64_t lines_count = count_lines(in);
    if (lines_count == 0) {
        status = ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: holds no merges", path);
        goto done;
    }
    const int32_t merges = lines_count < OPENAI_MERGES ? (int32_t)lines_count : OPENAI_MERGES;

    pool = ccu_alloc(bytes + 512 * 8 + 64); /* merges; alphabet; special tokens */
    if (pool == NULL) {
        status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %d tokens", path, merges);
        goto done;
    }
    status = ccu_names_init(&names, path, 514 + (int64_t)merges, error);
    if (status != CLIPCU_OK) { goto done; }
    status = add_all_names(&names, in, merges, pool, error);
    if (status != CLIPCU_OK) { goto done; }
    status = ccu_bpe_init(&vocab->bpe, path, merges, error);
    if (status != CLIPCU_OK) { goto done; }
    status = add_merges(in, merges, &names, path, &vocab->bpe, error);
    if (status != CLIPCU_OK) { goto done; }
    status = ccu_vocab_finish(vocab, &names, error);
    if (status == CLIPCU_OK) { status = ccu_vocab_add_default(vocab, path, error); }

done:
    ccu_names_free(&names);
    ccu_free(pool);
    ccu_free(data);
    return status;
}
