/* tokenizer.json of Hugging Face's tokenizers library; see vocab.h. What is read must be the layout
 * that CLIP's conversions have; everything that would give other ids is refused by name. */
#include <string.h>

#include "base/json.h"
#include "text/vocab.h"

#define SPLIT_REGEX "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"
#define SPECIAL_REGEX "<\\|startoftext\\|>|<\\|endoftext\\|>|"

/* ---- Expectations --------------------------------------------------------------------------- */

/* UNSUPPORTED unless object[key] is the string wanted. where names the object in the file. */
static clipcu_status want_string(const cJSON *object, const char *path, const char *where,
                                 const char *key, const char *wanted, clipcu_error *error) {
    const cJSON *item  = cJSON_GetObjectItemCaseSensitive(object, key);
    const char  *found = cJSON_IsString(item) ? item->valuestring : NULL;
    if (found != NULL && strcmp(found, wanted) == 0) { return CLIPCU_OK; }
    return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: %s.%s is %s%.60s%s, CLIP's is \"%s\"", path,
                    where, key, found == NULL ? "not a string" : "\"", found == NULL ? "" : found,
                    found == NULL ? "" : "\"", wanted);
}

/* UNSUPPORTED unless object[key], or its default where absent, is wanted. */
static clipcu_status want_bool(const cJSON *object, const char *path, const char *where,
                               const char *key, bool absent, bool wanted, clipcu_error *error) {
    bool                found  = absent;
    const clipcu_status status = ccu_json_bool(object, path, key, &found, error);
    if (status != CLIPCU_OK || found == wanted) { return status; }
    return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: %s.%s is %s, CLIP's is %s", path, where,
                    key, found ? "true" : "false", wanted ? "true" : "false");
}

/* The steps of a Sequence: UNSUPPORTED unless it has count of them. */
static clipcu_status want_sequence(const cJSON *root, const char *path, const char *where,
                                   const char *key, int count, const cJSON **steps,
                                   clipcu_error *error) {
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, where);
    if (!cJSON_IsObject(object)) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: no %s, CLIP has one", path, where);
    }
    const clipcu_status status = want_string(object, path, where, "type", "Sequence", error);
    if (status != CLIPCU_OK) { return status; }
    *steps = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsArray(*steps) || cJSON_GetArraySize(*steps) != count) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: %s has other than CLIP's %d steps",
                        path, where, count);
    }
    return CLIPCU_OK;
}

/* NFC, white space to one space, lower case. */
static clipcu_status check_normalizer(const cJSON *root, const char *path, clipcu_error *error) {
    const char *const where  = "normalizer";
    const cJSON      *steps  = NULL;
    clipcu_status     status = want_sequence(root, path, where, "normalizers", 3, &steps, error);
    if (status != CLIPCU_OK) { return status; }
    const cJSON *nfc = steps->child, *replace = nfc->next, *lower = replace->next;
    const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(replace, "pattern");
    status               = want_string(nfc, path, where, "type", "NFC", error);
    if (status != CLIPCU_OK) { return status; }
    status = want_string(replace, path, where, "type", "Replace", error);
    if (status != CLIPCU_OK) { return status; }
    status = want_string(pattern, path, "normalizer.pattern", "Regex", "\\s+", error);
    if (status != CLIPCU_OK) { return status; }
    status = want_string(replace, path, where, "content", " ", error);
    if (status != CLIPCU_OK) { return status; }
    return want_string(lower, path, where, "type", "Lowercase", error);
}

/* Split by CLIP's expression, then ByteLevel. */
static clipcu_status check_split(const cJSON *root, const char *path, bool *older,
                                 clipcu_error *error) {
    const char *const where  = "pre_tokenizer";
    const cJSON      *steps  = NULL;
    clipcu_status     status = want_sequence(root, path, where, "pretokenizers", 2, &steps, error);
    if (status != CLIPCU_OK) { return status; }
    const cJSON *split = steps->child, *bytes = split->next;
    const cJSON *regex = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(split, "pattern"), "Regex");
    const char *text = cJSON_IsString(regex) ? regex->valuestring : "";
    status           = want_string(split, path, where, "type", "Split", error);
    if (status != CLIPCU_OK) { return status; }
    if (strcmp(text, SPLIT_REGEX) != 0 && strcmp(text, SPECIAL_REGEX SPLIT_REGEX) != 0) {
        return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED,
                        "%s: pre_tokenizer splits by \"%.200s\", CLIP by \"%s\"", path, text,
                        SPLIT_REGEX);
    }
    *older = strcmp(text, SPLIT_REGEX) == 0;
    status = want_string(split, path, where, "behavior", "Removed", error);
    if (status != CLIPCU_OK) { return status; }
    status = want_bool(split, path, where, "invert", false, true, error);
    if (status != CLIPCU_OK) { return status; }
    status = want_string(bytes, path, where, "type", "ByteLevel", error);
    if (status != CLIPCU_OK) { return status; }
    status = want_bool(bytes, path, where, "add_prefix_space", true, false, error);
    if (status != CLIPCU_OK) { return status; }
    return want_bool(bytes, path, where, "use_regex", true, true, error);
}

/* Byte-level BPE with </w>; older files do not say the type. */
static clipcu_status check_model(const cJSON *model, const char *path, clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    if (!cJSON_IsObject(model)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: \"model\" should be an object", path);
    }
    if (ccu_json_has(model, "type")) {
        status = want_string(model, path, "model", "type", "BPE", error);
        if (status != CLIPCU_OK) { return status; }
    }
    status = want_string(model, path, "model", "end_of_word_suffix", "</w>", error);
    if (status != CLIPCU_OK) { return status; }
    if (ccu_json_has(model, "continuing_subword_prefix")) {
        status = want_string(model, path, "model", "continuing_subword_prefix", "", error);
        if (status != CLIPCU_OK) { return status; }
    }
    status = want_bool(model, path, "model", "byte_fallback", false, false, error);
    if (status != CLIPCU_OK) { return status; }
    status = want_bool(model, path, "model", "ignore_merges", false, false, error);
    if (status != CLIPCU_OK) { return status; }
    double dropout = 0.0;
    status         = ccu_json_double(model, path, "dropout", &dropout, error);
    if (status != CLIPCU_OK || dropout == 0.0) { return status; }
    return ccu_fail(error, CLIPCU_ERR_UNSUPPORTED, "%s: model.dropout is %g, CLIP has none", path,
                    dropout);
}

/* ---- Tokens and merges ---------------------------------------------------------------------- */

/* One added token: a name, unless the vocabulary has it, and an entry of vocab->added. */
static clipcu_status add_token(const cJSON *item, const char *path, ccu_names *names,
                               ccu_vocab *vocab, clipcu_error *error) {
    const char   *text    = NULL;
    int32_t       id      = -1;
    bool          strip_l = false, strip_r = false, single = false;
    ccu_added     added  = { 0 };
    clipcu_status status = ccu_json_string(item, path, "content", &text, error);
    if (status != CLIPCU_OK) { return status; }
    status = ccu_json_int(item, path, "id", 0, CCU_VOCAB_MAX - 1, &id, error);
    if (status != CLIPCU_OK) { return status; }
    if (text == NULL || text[0] == '\0' || id < 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: an added token has no \"content\" or no \"id\"", path);
    }
    status = ccu_json_bool(item, path, "normalized", &added.normalized, error);
    if (status != CLIPCU_OK) { return status; }
    status = ccu_json_bool(item, path, "lstrip", &strip_l, error);
    if (status != CLIPCU_OK) { return status; }
    status = ccu_json_bool(item, path, "rstrip", &strip_r, error);
    if (status != CLIPCU_OK) { return status; }
    status = ccu_json_bool(item, path, "single_word", &single, error);
    if (status != CLIPCU_OK) { return status; }

    const size_t  bytes = strlen(text);
    const int32_t known = ccu_names_find(names, text, bytes, "", 0);
    if (known < 0) {
        status = ccu_names_add(names, text, bytes, id, error);
    } else if (known != id) {
        status = ccu_fail(error, CLIPCU_ERR_FORMAT,
                          "%s: token \"%.40s\" has id %d in the vocabulary and %d among the "
                          "added tokens",
                          path, text, known, id);
    }
    if (status != CLIPCU_OK) { return status; }
    added.text  = (char *)(uintptr_t)text; /* copied by ccu_vocab_add */
    added.bytes = bytes;
    added.id    = id;
    added.plain = !strip_l && !strip_r && !single;
    return ccu_vocab_add(vocab, path, &added, error);
}

/* A merge: "i n" or ["i", "n"]. */
static bool part_merge(const cJSON *item, ccu_name *left, ccu_name *right) {
    if (cJSON_IsString(item)) {
        return ccu_vocab_part(item->valuestring, strlen(item->valuestring), left, right);
    }
    if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2) { return false; }
    const cJSON *first = item->child, *second = item->child->next;
    if (!cJSON_IsString(first) || !cJSON_IsString(second)) { return false; }
    *left  = (ccu_name){ .text = first->valuestring, .bytes = strlen(first->valuestring) };
    *right = (ccu_name){ .text = second->valuestring, .bytes = strlen(second->valuestring) };
    return left->bytes > 0 && right->bytes > 0;
}

static clipcu_status add_merges(const cJSON *merges, const char *path, const ccu_names *names,
                                ccu_bpe *bpe, clipcu_error *error) {
    clipcu_status status = ccu_bpe_init(bpe, path, cJSON_GetArraySize(merges), error);
    if (status != CLIPCU_OK) { return status; }
    for (const cJSON *item = merges->child; item != NULL; item = item->next) {
        ccu_name left, right;
        if (!part_merge(item, &left, &right)) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: merge %d: expected \"i n\" or [\"i\", \"n\"]", path, bpe->count);
        }
        status = ccu_bpe_add(bpe, names, &left, &right, error);
        if (status != CLIPCU_OK) { return status; }
    }
    return CLIPCU_OK;
}

/* The vocabulary and the added tokens, of which `added` is the first. */
static clipcu_status add_names(const cJSON *tokens, const cJSON *added, const char *path,
                               ccu_names *names, ccu_vocab *vocab, clipcu_error *error) {
    clipcu_status status = ccu_vocab_names(tokens, names, error);
    for (const cJSON *item = added; item != NULL && status == CLIPCU_OK; item = item->next) {
        status = add_token(item, path, names, vocab, error);
    }
    return status;
}

static clipcu_status read_root(const cJSON *root, const char *path, ccu_vocab *vocab,
                               clipcu_error *error) {
    const cJSON *model  = cJSON_GetObjectItemCaseSensitive(root, "model");
    const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(model, "vocab");
    const cJSON *merges = cJSON_GetObjectItemCaseSensitive(model, "merges");
    const cJSON *added  = cJSON_GetObjectItemCaseSensitive(root, "added_tokens");
    ccu_names    names  = { 0 };

    clipcu_status status = check_model(model, path, error);
    if (status != CLIPCU_OK) { return status; }
    status = check_normalizer(root, path, error);
    if (status != CLIPCU_OK) { return status; }
    status = check_split(root, path, &vocab->older_split, error);
    if (status != CLIPCU_OK) { return status; }
    if (!cJSON_IsObject(tokens) || !cJSON_IsArray(merges)) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: model.%s should be %s", path,
                        cJSON_IsObject(tokens) ? "merges" : "vocab",
                        cJSON_IsObject(tokens) ? "a list" : "an object");
    }
    const cJSON  *first = cJSON_IsArray(added) ? added->child : NULL;
    const int64_t ids   = cJSON_GetArraySize(tokens) +
                        (int64_t)(first == NULL ? 0 : cJSON_GetArraySize(added));
    status = ccu_names_init(&names, path, ids, error);
    if (status != CLIPCU_OK) { return status; }
    status = add_names(tokens, first, path, &names, vocab, error);
    if (status == CLIPCU_OK) { status = add_merges(merges, path, &names, &vocab->bpe, error); }
    if (status == CLIPCU_OK) { status = ccu_vocab_finish(vocab, &names, error); }
    ccu_names_free(&names);
    return status;
}

clipcu_status ccu_vocab_read_tokenizer_json(const char *path, ccu_vocab *vocab,
                                            clipcu_error *error) {
    cJSON        *root   = NULL;
    clipcu_status status = ccu_json_read(path, CCU_VOCAB_FILE_MAX, &root, error);
    if (status == CLIPCU_OK) { status = read_root(root, path, vocab, error); }
    cJSON_Delete(root);
    return status;
}
