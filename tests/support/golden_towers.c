/* Towers under watch; see golden_towers.h.
 *
 * Tolerances. A value of a layer comes out of dot products of K terms; in f32 each is off by about
 * 6e-8 * sqrt(K) of its largest terms, and the blocks' errors add up like independent ones.
 * 1e-6 * sqrt(blocks + 1) holds that for the widths here; the largest measured is 0.54 of it.
 * PyTorch's own f32 is off by 2e-7 to 1.7e-6 (printed by make_golden.py). */
#include "support/golden_towers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ops/cpu_backend.h"

#define TOLERANCE_F32 1e-6      /* of a layer, times sqrt(blocks + 1) */
#define TOLERANCE_UNIT_F32 2e-6 /* of unit rows, times sqrt(blocks) */
#define COSINE_F32 0.999999
#define COSINE_BF16 0.999
#define COSINE_F16 0.9995
#define ROWS_MAX 256

/* ---- Opening -------------------------------------------------------------------------------- */

static void lay_out(golden_towers *towers, ccu_plan *plan) {
    if (towers->checkpoint.config.image.present) {
        ccu_image_weights_lay_out(&towers->image, towers->be, plan);
        ccu_image_tower_lay_out(&towers->image, towers->be, plan);
    }
    if (towers->checkpoint.config.text.present) {
        ccu_text_weights_lay_out(&towers->text, towers->be, plan);
        ccu_text_tower_lay_out(&towers->text, plan);
    }
}

static clipcu_status open_dims(golden_towers *towers, ccu_dtype dtype, clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    if (towers->checkpoint.config.image.present) {
        towers->image.batch_max = GOLDEN_BATCH;
        status = ccu_image_weights_open(&towers->checkpoint, dtype, &towers->image, error);
    }
    if (status == CLIPCU_OK && towers->checkpoint.config.text.present) {
        towers->text.rows_max = ROWS_MAX;
        status = ccu_text_weights_open(&towers->checkpoint, dtype, &towers->text, error);
        if (status == CLIPCU_OK) { status = ccu_text_tower_open_trie(&towers->text, error); }
    }
    return status;
}

static clipcu_status upload(golden_towers *towers, clipcu_error *error) {
    clipcu_status status = CLIPCU_OK;
    if (towers->checkpoint.config.image.present) {
        status = ccu_image_weights_upload(&towers->checkpoint, &towers->image, towers->be, error);
        ccu_image_tower_prepare(&towers->image, towers->be);
    }
    if (status == CLIPCU_OK && towers->checkpoint.config.text.present) {
        status = ccu_text_weights_upload(&towers->checkpoint, &towers->text, towers->be, error);
    }
    return status == CLIPCU_OK ? towers->be->ops->finish(towers->be, error) : status;
}

golden_towers *golden_towers_open_on(ccu_backend *be, const golden_file *golden,
                                     const char *folder, ccu_dtype dtype) {
    golden_towers *towers = calloc(1, sizeof *towers);
    clipcu_error   error  = {0};
    char           dir[1024];
    assert_non_null(towers);
    towers->golden = golden;
    towers->be     = be;
    towers->slack  = 1.0;
    (void)snprintf(dir, sizeof dir, "%s/%s", folder, golden->model);
    clipcu_status status = ccu_checkpoint_open(dir, NULL, NULL, &towers->checkpoint, &error);
    if (status == CLIPCU_OK) { status = open_dims(towers, dtype, &error); }
    if (status == CLIPCU_OK) {
        ccu_plan plan = {0};
        lay_out(towers, &plan);
        towers->slab = towers->be->ops->slab_alloc(towers->be, plan.bytes);
        assert_non_null(towers->slab);
        plan = (ccu_plan){.base = towers->slab};
        lay_out(towers, &plan);
        status = upload(towers, &error);
    }
    if (status != CLIPCU_OK) { fail_msg("%s: %s", dir, error.text); }
    return towers;
}

golden_towers *golden_towers_open(const golden_file *golden, const char *folder,
                                  ccu_dtype dtype) {
    ccu_backend *be    = NULL;
    clipcu_error error = {0};
    if (ccu_cpu_open(2, &be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    return golden_towers_open_on(be, golden, folder, dtype);
}

void golden_towers_close(golden_towers *towers) {
    towers->be->ops->slab_free(towers->be, towers->slab);
    ccu_text_tower_close_trie(&towers->text);
    ccu_text_weights_close(&towers->text);
    ccu_image_weights_close(&towers->image);
    towers->be->ops->close(towers->be);
    ccu_checkpoint_close(&towers->checkpoint);
    free(towers);
}

/* ---- Watching ------------------------------------------------------------------------------- */

/* What a probe needs to find the golden row of each of its rows. */
typedef struct watch {
    golden_towers  *towers;
    golden_verdict *verdict;
    const char     *kind;       /* "image", "text" */
    int32_t         layers;
    int32_t         from;       /* of this chunk in order */
    const int32_t  *order;      /* text: prompt numbers as packed; NULL for images */
    const int32_t  *first;      /* text: golden rows of each prompt */
} watch;

/* What is queued is done: the rows a probe was given can be read. */
static void settle(const watch *w) {
    clipcu_error error = {0};
    ccu_backend *be    = w->towers->be;
    if (be->ops->finish(be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
}

static double cosine_of(ccu_dtype dtype) {
    return dtype == CCU_F32 ? COSINE_F32 : dtype == CCU_F16 ? COSINE_F16 : COSINE_BF16;
}

static void check(const watch *w, const char *stage, const void *got, ccu_dtype dtype,
                  const float *want, int32_t rows, int32_t width, double tolerance) {
    const size_t count = (size_t)rows * (size_t)width;
    float       *own   = malloc(count * sizeof *own);
    char         what[64];
    assert_non_null(own);
    (void)snprintf(what, sizeof what, "%s.%s", w->kind, stage);
    golden_to_f32(got, dtype, count, own);
    if (dtype == CCU_F32) {
        golden_close_to(w->verdict, what, own, want, count, tolerance * w->towers->slack);
    } else {
        golden_cosine(w->verdict, what, own, want, rows, width, cosine_of(dtype));
    }
    free(own);
}

static double layer_tolerance(int32_t layer) {
    return TOLERANCE_F32 * sqrt((double)layer + 1.0);
}

/* Golden rows in the order of the tower's rows: the class token of each picture, or each prompt's
 * tokens as the trie has them (rows that several prompts share are compared for each). */
static void image_layer(void *user, int32_t layer, const void *x, int32_t rows, int32_t width,
                        ccu_dtype dtype) {
    const watch *w = user;
    char         stage[32], name[64];
    settle(w);
    (void)snprintf(stage, sizeof stage, "layer.%02d", layer);
    (void)snprintf(name, sizeof name, "image.%s", stage);
    const golden_tensor want = golden_get(w->towers->golden, name, "F32");
    const int32_t       B = (int32_t)want.shape[0], T = (int32_t)want.shape[1];
    assert_int_equal(width, want.shape[2]);
    const float *all = want.data;
    if (layer < w->layers) {
        assert_int_equal(rows, B * T);
        check(w, stage, x, dtype, all, rows, width, layer_tolerance(layer));
        return;
    }
    assert_int_equal(rows, B); /* only pooled rows are left */
    for (int32_t b = 0; b < B; b++) {
        const uint8_t *row = (const uint8_t *)x + (size_t)(b * width) * ccu_dtype_bytes(dtype);
        check(w, stage, row, dtype, all + (size_t)(b * T * width), 1, width,
              layer_tolerance(layer));
    }
}

static void text_layer(void *user, int32_t layer, const void *x, int32_t rows, int32_t width,
                       ccu_dtype dtype) {
    const watch    *w    = user;
    const ccu_trie *trie = &w->towers->text.trie;
    char            stage[32], name[64];
    settle(w);
    (void)snprintf(stage, sizeof stage, "layer.%02d", layer);
    (void)snprintf(name, sizeof name, "text.%s", stage);
    const golden_tensor want = golden_get(w->towers->golden, name, "F32");
    assert_int_equal(width, want.shape[1]);
    assert_int_equal(rows, layer < w->layers ? trie->rows : trie->leaves);
    for (int32_t i = 0; i < trie->leaves; i++) {
        const int32_t  prompt = w->order[w->from + i], leaf = trie->leaf[i];
        const int32_t  length = w->first[prompt + 1] - w->first[prompt];
        const int32_t *path   = trie->path + trie->path_first[leaf];
        assert_int_equal(trie->path_count[leaf], length);
        for (int32_t p = layer < w->layers ? 0 : length - 1; p < length; p++) {
            const int32_t  at  = layer < w->layers ? path[p] : i;
            const uint8_t *row = (const uint8_t *)x + (size_t)(at * width) * ccu_dtype_bytes(dtype);
            const float   *ref = (const float *)want.data +
                               (size_t)((w->first[prompt] + p) * width);
            check(w, stage, row, dtype, ref, 1, width, layer_tolerance(layer));
        }
    }
}

/* ---- Heads ---------------------------------------------------------------------------------- */

/* After the last block: LayerNorm, projection, unit rows. Row i belongs to golden row which[i]. */
static void check_head(const watch *w, const ccu_transformer *t, const void *embeddings,
                       const float *unit, int32_t E, const int32_t *which, int32_t rows) {
    const golden_file *golden = w->towers->golden;
    const size_t       size   = ccu_dtype_bytes(t->dtype);
    char               name[64];
    const char *const stages[] = {"norm", "projected", "unit"};
    for (int32_t s = 0; s < 3; s++) {
        const int32_t   width = s == 0 ? t->C : E;
        const ccu_dtype dtype = s == 2 ? CCU_F32 : t->dtype;
        const void     *from  = s == 0 ? t->pooled_norm : s == 1 ? embeddings : unit;
        const size_t    bytes = (size_t)width * (s == 2 ? sizeof(float) : size);
        (void)snprintf(name, sizeof name, "%s.%s", w->kind, stages[s]);
        const float *want = golden_f32(golden, name);
        for (int32_t i = 0; i < rows; i++) {
            const float *ref = want + (size_t)(which[i] * width);
            const void  *row = (const uint8_t *)from + (size_t)i * bytes;
            if (s < 2) {
                check(w, stages[s], row, dtype, ref, 1, width, layer_tolerance(w->layers + s));
                continue;
            }
            if (t->dtype == CCU_F32) {
                golden_within(w->verdict, name, row, ref, (size_t)width,
                              TOLERANCE_UNIT_F32 * sqrt((double)w->layers) * w->towers->slack);
            }
            golden_cosine(w->verdict, name, row, ref, 1, width,
                          cosine_of(t->dtype));
        }
    }
}

void golden_check_images(golden_towers *towers, const float *pixels, golden_verdict *verdict) {
    const golden_tensor u8  = golden_get(towers->golden, "pixels", "U8");
    ccu_transformer    *t   = &towers->image.trunk;
    watch               w   = {.towers = towers, .verdict = verdict, .kind = "image",
                               .layers = t->layers};
    const int32_t       all[GOLDEN_BATCH] = {0, 1, 2, 3};
    const int32_t       B   = (int32_t)u8.shape[0];
    clipcu_error        error = {0};
    assert_int_equal(u8.shape[1], towers->image.S);
    assert_true(B <= GOLDEN_BATCH);
    t->probe      = image_layer;
    t->probe_user = &w;
    ccu_image_tower_run(&towers->image, towers->be, pixels != NULL ? (const void *)pixels : u8.data,
                        pixels != NULL ? CCU_PIXELS_F32 : CCU_PIXELS_U8, B);
    t->probe = NULL;
    if (towers->be->ops->finish(towers->be, &error) != CLIPCU_OK) { fail_msg("%s", error.text); }
    check_head(&w, t, towers->image.embeddings, towers->image.unit, towers->image.E, all, B);
}

void golden_check_texts(golden_towers *towers, golden_verdict *verdict) {
    const int32_t   count = towers->golden->texts_count;
    const int32_t  *first = golden_get(towers->golden, "first", "I32").data;
    const int32_t  *ids   = golden_get(towers->golden, "ids", "I32").data;
    ccu_transformer *t    = &towers->text.trunk;
    int32_t         order[GOLDEN_TEXTS_MAX], scratch[GOLDEN_TEXTS_MAX];
    size_t          at[GOLDEN_TEXTS_MAX + 1];
    clipcu_error    error = {0};
    for (int32_t i = 0; i <= count; i++) { at[i] = (size_t)first[i]; }
    const ccu_prompts prompts = {.ids = ids, .first = at, .count = count};
    watch w = {.towers = towers, .verdict = verdict, .kind = "text", .layers = t->layers,
               .order = order, .first = first};
    ccu_trie_sort(&prompts, order, scratch);
    t->probe      = text_layer;
    t->probe_user = &w;
    while (w.from < count) {
        const int32_t packed = ccu_text_tower_run(&towers->text, towers->be, &prompts, order,
                                                  w.from);
        if (towers->be->ops->finish(towers->be, &error) != CLIPCU_OK) {
            fail_msg("%s", error.text);
        }
        check_head(&w, t, towers->text.embeddings, towers->text.unit, towers->text.E,
                   order + w.from, packed);
        w.from += packed;
    }
    t->probe = NULL;
}
