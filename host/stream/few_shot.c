/* The pictures that a prompt is learned from; see few_shot.h. */
#include "stream/few_shot.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/threads.h"
#include "prompt/random.h"
#include "prompt/shots.h"
#include "stream/source.h"
#include "stream/words.h"

#define WARNING_BYTES 512

/* ---- Classes -------------------------------------------------------------------------------- */

static clipcu_status find_classes(const ccu_few_shot_options *o, ccu_classes *out,
                                  clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    if (o->labels != NULL) {
        status = ccu_classes_read(o->labels, out, error);
    } else if (o->classes != NULL) {
        ccu_words words = { .count = 0 };
        status          = ccu_words_classes(o->classes, &words, error);
        if (status == CLIPCU_OK) {
            status = ccu_classes_named((const char *const *)words.items, words.count, out, error);
        }
        ccu_words_free(&words);
    } else {
        return ccu_labelled_classes(o->inputs, o->inputs_count, out, error);
    }
    if (status != CLIPCU_OK) { return status; }
    return ccu_labelled_check(out, o->inputs, o->inputs_count, error);
}

/* ---- Pictures ------------------------------------------------------------------------------- */

typedef struct pictures {
    char   **paths; /* (count), each owned */
    int32_t *label; /* (count) */
    int32_t  count, count_max;
} pictures;

static clipcu_status add(pictures *p, const char *path, int32_t label, clipcu_error *error) {
    if (p->count == p->count_max) {
        const size_t  kept = (size_t)p->count, most = 2 * kept + 1024;
        char        **paths = ccu_realloc(p->paths, kept * sizeof *paths, most * sizeof *paths);
        if (paths != NULL) { p->paths = paths; }
        int32_t *labels = ccu_realloc(p->label, kept * sizeof *labels, most * sizeof *labels);
        if (labels != NULL) { p->label = labels; }
        if (paths == NULL || labels == NULL || p->count_max > INT32_MAX / 4) {
            return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %zu pictures", most);
        }
        p->count_max = (int32_t)most;
    }
    p->paths[p->count] = ccu_strdup(path);
    if (p->paths[p->count] == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory for its path", path);
    }
    p->label[p->count++] = label;
    return CLIPCU_OK;
}

static void free_pictures(pictures *p) {
    for (int32_t i = 0; i < p->count; i++) { ccu_free(p->paths[i]); }
    ccu_free(p->paths);
    ccu_free(p->label);
}

/* All pictures of the first K classes, in their order. */
static clipcu_status list(const ccu_few_shot_options *o, const ccu_few_shot *data, pictures *all,
                          clipcu_error *error) {
    const ccu_source_options options = { .inputs       = o->inputs,
                                         .inputs_count = o->inputs_count,
                                         .wake_fd      = -1,
                                         .warn         = o->warn,
                                         .warn_user    = o->warn_user,
                                         .classes      = &data->classes,
                                         .part         = "train",
                                         .root         = o->root };
    ccu_source     *source = NULL;
    ccu_source_item item;
    clipcu_status   status = ccu_source_open(&options, &source, error);
    while (status == CLIPCU_OK && ccu_source_next(source, -1, &item) == CCU_SOURCE_ITEM) {
        if (item.error.code != CLIPCU_OK) {
            if (o->warn != NULL) { o->warn(o->warn_user, item.error.text); }
        } else if (item.class_index >= 0 && item.class_index < data->K) {
            status = add(all, item.path, item.class_index, error);
        }
    }
    ccu_source_close(source);
    return status;
}

static void warn_of_few(const ccu_few_shot_options *o, const char *name, int32_t count) {
    char text[WARNING_BYTES];
    (void)snprintf(text, sizeof text,
                   "%lld pictures of each class: \"%.200s\" has only %d; all of them are taken, of "
                   "others with too few as well",
                   (long long)o->shots, name, (int)count);
    if (o->warn != NULL) { o->warn(o->warn_user, text); }
}

static clipcu_status pick(const ccu_few_shot_options *o, const pictures *all, ccu_few_shot *data,
                          int32_t *picks, int32_t *count, clipcu_error *error) {
    const int32_t shots = o->shots > all->count ? all->count : (int32_t)o->shots;
    int32_t       fewest = 0, fewest_count = 0;
    data->paths          = ccu_alloc_zeroed((size_t)all->count + 1, sizeof *data->paths);
    data->label          = ccu_alloc_zeroed((size_t)all->count + 1, sizeof *data->label);
    if (picks == NULL || data->paths == NULL || data->label == NULL) {
        return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for %d pictures", (int)all->count);
    }
    const clipcu_status status = ccu_shots_draw(all->label, all->count, data->K, shots, o->seed,
                                                picks, count, &fewest, &fewest_count, error);
    if (status == CLIPCU_OK && fewest_count == 0) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                        "the class \"%s\" has no picture to learn from",
                        data->classes.names[fewest]);
    }
    if (status == CLIPCU_OK && fewest_count < o->shots) {
        warn_of_few(o, data->classes.names[fewest], fewest_count);
    }
    return status;
}

clipcu_status ccu_few_shot_open(const ccu_few_shot_options *o, ccu_few_shot *out,
                                clipcu_error *error) {
    ccu_few_shot  data   = { .count = 0 };
    pictures      all    = { .count = 0 };
    int32_t      *picks  = NULL, count = 0;
    clipcu_status status = find_classes(o, &data.classes, error);
    if (status == CLIPCU_OK) {
        data.K = o->base ? data.classes.K - data.classes.K / 2 : data.classes.K;
        status = list(o, &data, &all, error);
    }
    if (status == CLIPCU_OK) {
        picks  = ccu_alloc_zeroed((size_t)all.count + 1, sizeof *picks);
        status = pick(o, &all, &data, picks, &count, error);
    }
    for (int32_t i = 0; i < count && status == CLIPCU_OK; i++) {
        data.paths[i]        = all.paths[picks[i]]; /* ownership moves */
        data.label[i]        = all.label[picks[i]];
        all.paths[picks[i]]  = NULL;
        data.count           = i + 1;
    }
    ccu_free(picks);
    free_pictures(&all);
    if (status != CLIPCU_OK) {
        ccu_few_shot_close(&data);
        return status;
    }
    *out = data;
    return CLIPCU_OK;
}

void ccu_few_shot_close(ccu_few_shot *data) {
    for (int32_t i = 0; i < data->count; i++) { ccu_free(data->paths[i]); }
    ccu_free(data->paths);
    ccu_free(data->label);
    ccu_classes_free(&data->classes);
    *data = (ccu_few_shot){ .count = 0 };
}

void ccu_few_shot_order(const ccu_few_shot *data, uint64_t seed, int32_t epoch, int32_t *order) {
    ccu_random random;
    ccu_random_seed_part(&random, seed, CCU_RANDOM_ORDER, (uint64_t)epoch);
    for (int32_t i = 0; i < data->count; i++) { order[i] = i; }
    ccu_random_shuffle(&random, order, data->count);
}

/* ---- Views ---------------------------------------------------------------------------------- */

static void load(void *context, int32_t i) {
    ccu_views *v = context;
    v->errors[i].code  = clipcu_load_view(v->engine, v->data->paths[v->picks[i]], v->seed,
                                          v->draws[i], v->pixels + (size_t)i * v->image_bytes,
                                          &v->errors[i]);
}

clipcu_status ccu_views_load(ccu_views *v, clipcu_error *error) {
    ccu_parallel_for(v->threads, v->count, load, v);
    for (int32_t i = 0; i < v->count; i++) {
        if (v->errors[i].code != CLIPCU_OK) {
            return ccu_fail(error, v->errors[i].code, "%s", v->errors[i].text);
        }
    }
    return CLIPCU_OK;
}
