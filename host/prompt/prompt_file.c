/* A learned prompt as a safetensors file:
 *
 *   tensors   "ctx" (M, C) or (K, M, C) f32; CoCoOp also "meta_net.linear1.weight" (E / 16, E),
 *             "meta_net.linear1.bias" (E / 16), "meta_net.linear2.weight" (C, E / 16),
 *             "meta_net.linear2.bias" (C): the names of the papers' own checkpoints. While it is
 *             learned the same with "momentum." before them
 *   metadata  "format" "clipcu-prompt-1", "method" coop or cocoop, "position" end, middle or front,
 *             "class_specific" true or false, "embed_dim" E, "epoch", "fingerprint" 16 hexadecimal
 *             digits, "labels" a JSON array of K strings, "init" words or nothing; "note" while it
 *             is learned
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "checkpoint/safetensors.h"
#include "prompt/prompt.h"

#define FORMAT_NAME "clipcu-prompt-1"
#define TENSORS 5
#define NAME_BYTES 48

static const char *const methods[]   = {"coop", "cocoop", NULL};
static const char *const positions[] = {"end", "middle", "front", NULL};
static const char *const truths[]    = {"false", "true", NULL};

/* ---- Tensors -------------------------------------------------------------------------------- */

/* The tensors over values (count); how many there are. */
static int32_t tensors_of(const clipcu_prompt *p, const float *values,
                          ccu_tensor tensors[TENSORS]) {
    const ccu_tensor context = {.name = "ctx", .rank = p->class_specific ? 3 : 2,
                                .shape = {p->class_specific ? p->K : p->M,
                                          p->class_specific ? p->M : p->C, p->C}};
    const ccu_tensor meta[] = {
        {.name = "meta_net.linear1.weight", .rank = 2, .shape = {p->hidden, p->E}},
        {.name = "meta_net.linear1.bias", .rank = 1, .shape = {p->hidden}},
        {.name = "meta_net.linear2.weight", .rank = 2, .shape = {p->C, p->hidden}},
        {.name = "meta_net.linear2.bias", .rank = 1, .shape = {p->C}},
    };
    const int32_t count = p->hidden > 0 ? TENSORS : 1;
    size_t        at    = 0;
    for (int32_t i = 0; i < count; i++) {
        tensors[i]       = i == 0 ? context : meta[i - 1];
        tensors[i].dtype = CCU_F32;
        tensors[i].data  = (const uint8_t *)(values + at);
        at += ccu_tensor_count(&tensors[i]);
    }
    return count;
}

/* ---- Writing -------------------------------------------------------------------------------- */

static char *labels_to_json(const clipcu_prompt *p) {
    char  *text  = NULL;
    cJSON *array = cJSON_CreateStringArray(p->labels, p->K);
    if (array != NULL) { text = cJSON_PrintUnformatted(array); }
    cJSON_Delete(array);
    return text;
}

clipcu_status ccu_prompt_write(const clipcu_prompt *p, const float *momentum, const char *note,
                               const char *path, clipcu_error *error) {
    char fingerprint[17], width[16], epoch[16], names[TENSORS][NAME_BYTES];
    (void)snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, p->fingerprint);
    (void)snprintf(width, sizeof width, "%d", p->E);
    (void)snprintf(epoch, sizeof epoch, "%d", p->epoch);
    ccu_tensor tensors[2 * TENSORS];
    int32_t    count = tensors_of(p, p->values, tensors);
    if (momentum != NULL) {
        const int32_t more = tensors_of(p, momentum, tensors + count);
        for (int32_t i = 0; i < more; i++) {
            (void)snprintf(names[i], NAME_BYTES, "momentum.%s", tensors[i].name);
            tensors[count + i].name = names[i];
        }
        count += more;
    }
    char *labels = labels_to_json(p);
    if (labels == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %d labels", path, p->K);
    }
    const ccu_st_pair metadata[] = {
        {"format", FORMAT_NAME},
        {"method", methods[p->method]},
        {"position", positions[p->position]},
        {"class_specific", truths[p->class_specific]},
        {"embed_dim", width},
        {"epoch", epoch},
        {"fingerprint", fingerprint},
        {"labels", labels},
        {"init", p->init == NULL ? "" : p->init},
        {"note", note},
    };
    const int32_t pairs = (int32_t)(sizeof metadata / sizeof *metadata) - (note == NULL ? 1 : 0);
    const clipcu_status status = ccu_st_write(path, metadata, pairs, tensors, count, error);
    cJSON_free(labels);
    return status;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* What stands in the metadata. */
typedef struct header {
    int32_t      method, position, class_specific, E, epoch, K;
    uint64_t     fingerprint;
    cJSON       *array;  /* owned */
    const char **labels; /* (K) borrowed from array */
} header;

static clipcu_status read_choice(const ccu_st_file *file, const char *path, const char *key,
                                 const char *const *choices, int32_t *out, clipcu_error *error) {
    const char *text = ccu_st_metadata(file, key);
    for (int32_t i = 0; choices[i] != NULL && text != NULL; i++) {
        if (strcmp(choices[i], text) == 0) {
            *out = i;
            return CLIPCU_OK;
        }
    }
    return ccu_fail(error, CLIPCU_ERR_FORMAT,
                    "%s: metadata \"%s\" is \"%.40s\", expected one of %s, %s%s%s", path, key,
                    text == NULL ? "" : text, choices[0], choices[1],
                    choices[2] == NULL ? "" : ", ", choices[2] == NULL ? "" : choices[2]);
}

static clipcu_status read_number(const ccu_st_file *file, const char *path, const char *key,
                                 int32_t base, uint64_t max, uint64_t *out, clipcu_error *error) {
    const char *text = ccu_st_metadata(file, key);
    char       *end  = NULL;
    const bool digit = text != NULL && strspn(text, "0123456789abcdef") == strlen(text) &&
                       strlen(text) <= 16;
    if (digit && text[0] != '\0') { *out = strtoull(text, &end, base); }
    if (end == NULL || *end != '\0' || *out > max) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: metadata \"%s\" is \"%.40s\", expected a number up to %" PRIu64, path,
                        key, text == NULL ? "" : text, max);
    }
    return CLIPCU_OK;
}

static clipcu_status read_labels(const ccu_st_file *file, const char *path, header *h,
                                 clipcu_error *error) {
    const char   *text   = ccu_st_metadata(file, "labels");
    clipcu_status status = CLIPCU_OK;
    if (text != NULL) {
        status = ccu_json_parse_value(path, (const uint8_t *)text, strlen(text), &h->array, error);
    }
    if (status != CLIPCU_OK) { return status; }
    h->K = cJSON_IsArray(h->array) ? cJSON_GetArraySize(h->array) : 0;
    if (h->K < 1) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: metadata \"labels\" is no list of names",
                        path);
    }
    h->labels = ccu_alloc_zeroed((size_t)h->K, sizeof *h->labels);
    if (h->labels == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for %d labels", path, h->K);
    }
    int32_t i = 0;
    for (const cJSON *item = h->array->child; item != NULL; item = item->next) {
        if (!cJSON_IsString(item)) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: label %d is no string", path, i + 1);
        }
        h->labels[i++] = item->valuestring;
    }
    return CLIPCU_OK;
}

static clipcu_status read_header(const ccu_st_file *file, const char *path, header *h,
                                 clipcu_error *error) {
    const char *format = ccu_st_metadata(file, "format");
    uint64_t    E = 0, epoch = 0;
    if (format == NULL || strcmp(format, FORMAT_NAME) != 0) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: not a learned prompt: metadata \"format\" is \"%.60s\", expected "
                        "\"%s\"",
                        path, format == NULL ? "" : format, FORMAT_NAME);
    }
    clipcu_status status = read_choice(file, path, "method", methods, &h->method, error);
    if (status == CLIPCU_OK) {
        status = read_choice(file, path, "position", positions, &h->position, error);
    }
    if (status == CLIPCU_OK) {
        status = read_choice(file, path, "class_specific", truths, &h->class_specific, error);
    }
    if (status == CLIPCU_OK) {
        status = read_number(file, path, "embed_dim", 10, 65536, &E, error);
    }
    if (status == CLIPCU_OK) {
        status = read_number(file, path, "epoch", 10, INT32_MAX, &epoch, error);
    }
    if (status == CLIPCU_OK) {
        status = read_number(file, path, "fingerprint", 16, UINT64_MAX, &h->fingerprint, error);
    }
    h->E     = (int32_t)E;
    h->epoch = (int32_t)epoch;
    return status == CLIPCU_OK ? read_labels(file, path, h, error) : status;
}

/* An empty prompt of the shape that "ctx" and the metadata give. */
static clipcu_status create(const ccu_st_file *file, const char *path, const header *h,
                            clipcu_prompt **out, clipcu_error *error) {
    const ccu_st_entry *entry = ccu_st_find(file, "ctx");
    const int32_t       rank  = h->class_specific != 0 ? 3 : 2;
    if (entry == NULL || entry->rank != rank ||
        (rank == 3 && entry->shape[0] != h->K) || entry->shape[rank - 2] > 65536 ||
        entry->shape[rank - 1] < 1 || entry->shape[rank - 1] > 65536 || h->E < 1) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: expected a tensor \"ctx\" of %s, found %s", path,
                        rank == 3 ? "(classes, vectors, width)" : "(vectors, width)",
                        entry == NULL ? "none" : "another shape");
    }
    const ccu_prompt_shape shape = {.method         = (clipcu_method)h->method,
                                    .position       = (clipcu_position)h->position,
                                    .class_specific = h->class_specific != 0,
                                    .M              = (int32_t)entry->shape[rank - 2],
                                    .C              = (int32_t)entry->shape[rank - 1],
                                    .E              = h->E,
                                    .K              = h->K,
                                    .labels         = h->labels};
    clipcu_error        reason = {0};
    const clipcu_status status = ccu_prompt_create(&shape, out, &reason);
    if (status == CLIPCU_OK) { return CLIPCU_OK; }
    return ccu_fail(error, status == CLIPCU_ERR_NOMEM ? status : CLIPCU_ERR_FORMAT, "%s: %s", path,
                    reason.text);
}

/* One set of tensors, with `prefix` before their names, into values (count). */
static clipcu_status read_values(const ccu_st_file *file, const char *path, const clipcu_prompt *p,
                                 const char *prefix, float *values, clipcu_error *error) {
    ccu_tensor    want[TENSORS];
    clipcu_status status = CLIPCU_OK;
    const int32_t count  = tensors_of(p, values, want);
    for (int32_t i = 0; i < count && status == CLIPCU_OK; i++) {
        char       name[NAME_BYTES];
        ccu_tensor found = {0};
        (void)snprintf(name, sizeof name, "%s%s", prefix, want[i].name);
        const ccu_st_entry *entry = ccu_st_find(file, name);
        if (entry == NULL) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: no tensor \"%s\"", path, name);
        }
        status = ccu_st_tensor(file, entry, &found, error);
        if (status != CLIPCU_OK) { return status; }
        if (found.rank != want[i].rank ||
            memcmp(found.shape, want[i].shape, (size_t)found.rank * sizeof *found.shape) != 0) {
            return ccu_fail(error, CLIPCU_ERR_FORMAT,
                            "%s: tensor \"%s\" has another shape than \"ctx\" and embed_dim %d ask "
                            "for",
                            path, name, p->E);
        }
        float       *to      = values + (want[i].data - (const uint8_t *)values) / sizeof(float);
        const size_t numbers = ccu_tensor_count(&found);
        status               = ccu_tensor_to_f32(&found, 0, numbers, to, error);
        for (size_t n = 0; n < numbers && status == CLIPCU_OK; n++) {
            if (!isfinite(to[n])) {
                return ccu_fail(error, CLIPCU_ERR_FORMAT, "%s: tensor \"%s\" holds %g", path, name,
                                (double)to[n]);
            }
        }
    }
    return status;
}

/* Momentum and note into fresh memory. */
static clipcu_status read_extra(const ccu_st_file *file, const char *path, const clipcu_prompt *p,
                                float **momentum, char **note, clipcu_error *error) {
    const char *text = ccu_st_metadata(file, "note");
    if (text == NULL) {
        return ccu_fail(error, CLIPCU_ERR_FORMAT,
                        "%s: a learned prompt, not one that learning can go on from", path);
    }
    *momentum = ccu_alloc_zeroed(p->count, sizeof **momentum);
    *note     = ccu_strdup(text);
    if (*momentum == NULL || *note == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for its momentum", path);
    }
    return read_values(file, path, p, "momentum.", *momentum, error);
}

static clipcu_status read_file(const ccu_st_file *file, const char *path, clipcu_prompt **out,
                               float **momentum, char **note, clipcu_error *error) {
    header         h      = {0};
    clipcu_prompt *p      = NULL;
    const char    *init   = ccu_st_metadata(file, "init");
    clipcu_status  status = read_header(file, path, &h, error);
    if (status == CLIPCU_OK) { status = create(file, path, &h, &p, error); }
    if (status == CLIPCU_OK && init != NULL && init[0] != '\0') {
        p->init = ccu_strdup(init);
        if (p->init == NULL) {
            status = ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for its words", path);
        }
    }
    if (status == CLIPCU_OK) { status = read_values(file, path, p, "", p->values, error); }
    if (status == CLIPCU_OK && momentum != NULL) {
        status = read_extra(file, path, p, momentum, note, error);
    }
    ccu_free(h.labels);
    cJSON_Delete(h.array);
    if (status != CLIPCU_OK) {
        clipcu_prompt_close(p);
        return status;
    }
    p->fingerprint = h.fingerprint;
    p->epoch       = h.epoch;
    *out           = p;
    return CLIPCU_OK;
}

clipcu_status ccu_prompt_read(const char *path, clipcu_prompt **out, float **momentum, char **note,
                              clipcu_error *error) {
    ccu_st_file *file = NULL;
    if (momentum != NULL) {
        *momentum = NULL;
        *note     = NULL;
    }
    clipcu_status status = ccu_st_open(path, &file, error);
    if (status == CLIPCU_OK) { status = read_file(file, path, out, momentum, note, error); }
    ccu_st_close(file);
    if (status != CLIPCU_OK && momentum != NULL) {
        ccu_free(*momentum);
        ccu_free(*note);
        *momentum = NULL;
        *note     = NULL;
    }
    return status;
}
