/* Every allocation of the pieces below a command fails in turn: tokenizer, picture decoders, inputs
 * and batches, results and their files, saved embeddings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "hostile/sweep.h"
#include "image/image.h"
#include "page/page.h"
#include "stream/npy.h"
#include "stream/pipeline.h"
#include "stream/sink.h"
#include "stream/words.h"
#include "support/st_dir.h"
#include "support/st_tar.h"
#include "text/tokenizer.h"

#define SOURCE CLIPCU_SOURCE_DIR
#define PICTURES SOURCE "/tests/data/images"

static void sweep_both(const sweep *s) {
    sweep_run(s, HEAP_OURS);
    sweep_run(s, HEAP_ALL);
}

/* ---- Tokenizer ------------------------------------------------------------------------------ */

static clipcu_status open_tokenizer(void *dir, clipcu_error *error) {
    ccu_tokenizer *tokenizer = NULL;
    int32_t        ids[77], count = 0;
    clipcu_status  status = ccu_tokenizer_open(dir, CLIPCU_TOKENIZER_OPENAI, &tokenizer, error);
    assert_true((status == CLIPCU_OK) == (tokenizer != NULL));
    if (status == CLIPCU_OK) {
        status = ccu_tokenize(tokenizer, "a caf\xc3\xa9 &amp; an I\xcc\x87", true, ids, 77, &count,
                              error);
    }
    ccu_tokenizer_close(tokenizer);
    return status;
}

static void tokenizers(void **state) {
    (void)state;
    char        small[] = SOURCE "/tests/data/text/small", pair[] = SOURCE "/tests/golden/hf_b32";
    const sweep json  = { .name = "tokenizer.json", .work = open_tokenizer, .fixture = small };
    const sweep files = { .name = "vocab.json", .work = open_tokenizer, .fixture = pair };
    sweep_both(&json);
    sweep_both(&files);
}

/* ---- Pictures ------------------------------------------------------------------------------- */

typedef struct picture {
    char    name[300];
    uint8_t bytes[1 << 16];
    size_t  count;
    uint8_t rgb[1 << 20]; /* what it decodes to */
    size_t  rgb_bytes;    /* 0: not known yet */
} picture;

static clipcu_status decode(void *context, clipcu_error *error) {
    picture                 *p       = context;
    const ccu_decode_options options = { .pixels_max = 1 << 20, .exif = true };
    ccu_image                image   = { .rgb = NULL };
    const clipcu_status status = ccu_image_decode(p->name, p->bytes, p->count, &options, &image,
                                                  error);
    assert_true((status == CLIPCU_OK) == (image.rgb != NULL));
    const size_t rgb_bytes = (size_t)image.W * (size_t)image.H * 3;
    if (status == CLIPCU_OK && p->rgb_bytes == 0) {
        assert_true(rgb_bytes <= sizeof p->rgb);
        memcpy(p->rgb, image.rgb, rgb_bytes);
        p->rgb_bytes = rgb_bytes;
    } else if (status == CLIPCU_OK) {
        assert_int_equal(rgb_bytes, p->rgb_bytes);
        assert_memory_equal(image.rgb, p->rgb, rgb_bytes);
    }
    ccu_image_free(&image);
    return status;
}

static void pictures(void **state) {
    (void)state;
    picture             *p       = malloc(sizeof *p);
    DIR                 *dir     = opendir(PICTURES);
    const struct dirent *entry   = NULL;
    int                  decoded = 0;
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char path[600];
        (void)snprintf(path, sizeof path, PICTURES "/%s", entry->d_name);
        (void)snprintf(p->name, sizeof p->name, "%s", entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (file == NULL) { continue; }
        p->rgb_bytes = 0;
        p->count     = fread(p->bytes, 1, sizeof p->bytes, file);
        (void)fclose(file);
        if (p->count == sizeof p->bytes || decode(p, NULL) != CLIPCU_OK) { continue; }
        /* libjpeg asks for less when it gets nothing. */
        const sweep ours = { .name = p->name, .work = decode, .fixture = p };
        const sweep all  = { .name = p->name, .work = decode, .fixture = p, .may_succeed = true };
        sweep_run(&ours, HEAP_OURS);
        sweep_run(&all, HEAP_ALL);
        decoded++;
    }
    (void)closedir(dir);
    free(p);
    assert_true(decoded > 100);
}

/* ---- Inputs --------------------------------------------------------------------------------- */

typedef struct files {
    st_dir dir;
    char   list[512], output[512], labels[512], shard[512];
    off_t  page_bytes; /* 0: not known yet */
    bool   archives;   /* among the inputs. libarchive ends the process where it has no memory */
} files;

static int set_up(void **state) {
    static st_tar tar;
    files        *f = calloc(1, sizeof *f);
    st_dir_make(&f->dir);
    st_dir_write_text(&f->dir, "list.txt", "one.png\n\nmissing.png\ntwo.png\n");
    st_dir_write_text(&f->dir, "labels.txt", "cat {}\n\ndog {}\nboat {}\n");
    st_tar_add_text(&tar, "1.json", "{\"a\": 1}");
    st_tar_add_text(&tar, "1.jpg", "any");
    st_tar_add_text(&tar, "1.txt", "a caption");
    st_tar_add_text(&tar, "2.jpg", "any");
    st_tar_write(&tar, &f->dir, "a.tar");
    (void)st_dir_join(&f->dir, "list.txt", f->list);
    (void)st_dir_join(&f->dir, "a.tar", f->shard);
    (void)st_dir_join(&f->dir, "labels.txt", f->labels);
    (void)st_dir_join(&f->dir, "out.npy", f->output);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    files *f = *state;
    st_dir_remove(&f->dir);
    free(f);
    return 0;
}

static clipcu_status decode_stage(const void *context, const char *name, const uint8_t *bytes,
                                  size_t bytes_count, uint8_t *pixels, clipcu_error *error) {
    (void)context;
    (void)bytes;
    (void)bytes_count;
    void *scratch = ccu_alloc(100);
    if (scratch == NULL) { return ccu_fail(error, CLIPCU_ERR_NOMEM, "%s: no memory", name); }
    memset(pixels, 1, 12);
    ccu_free(scratch);
    return CLIPCU_OK;
}

static clipcu_status encode_stage(void *context, ccu_batch *batch, clipcu_error *error) {
    (void)context;
    (void)batch;
    (void)error;
    return CLIPCU_OK;
}

typedef struct taken {
    int32_t      count;
    clipcu_error error; /* of the first item that has one, but for files that are not there */
} taken;

static ccu_source_result next(void *context, int wait_ms, ccu_source_item *item) {
    return ccu_source_next(context, wait_ms, item);
}

static clipcu_status take(void *context, ccu_batch *batch, clipcu_error *error) {
    taken *t = context;
    (void)error;
    t->count += batch->count;
    for (int32_t i = 0; i < batch->count && t->error.code == CLIPCU_OK; i++) {
        if (batch->items[i].error.code != CLIPCU_ERR_IO) { t->error = batch->items[i].error; }
    }
    return CLIPCU_OK;
}

/* An input that cannot be read for want of memory is an item with that error. */
static clipcu_status read_inputs(void *context, clipcu_error *error) {
    files                   *f        = context;
    const char              *inputs[] = { f->list, PICTURES, "single.png", f->shard };
    void                    *encoder  = NULL;
    taken                    t        = { .count = 0 };
    ccu_source              *source   = NULL;
    ccu_stages               stages;
    const ccu_source_options options = { .inputs       = inputs,
                                         .inputs_count = f->archives ? 4 : 3,
                                         .wake_fd      = -1 };
    clipcu_status            status  = ccu_source_open(&options, &source, error);
    assert_true((status == CLIPCU_OK) == (source != NULL));
    if (status == CLIPCU_OK) {
        const ccu_pipeline_options pipeline = { .batch_max = 64, .readers = 1, .decoders = 1,
                                                .image_bytes = 12, .next = next,
                                                .next_context = source, .decode = decode_stage,
                                                .encode = encode_stage, .encoders = &encoder,
                                                .encoders_count = 1, .take = take,
                                                .take_context = &t };
        status = ccu_pipeline_run(&pipeline, &stages, error);
    }
    if (status == CLIPCU_OK && t.error.code != CLIPCU_OK) {
        status = ccu_fail(error, t.error.code, "%s", t.error.text);
    }
    assert_true(status != CLIPCU_OK || t.count > 100); /* nothing is dropped */
    ccu_source_close(source);
    return status;
}

static clipcu_status read_words(void *context, clipcu_error *error) {
    files        *f      = context;
    ccu_words     words  = { .items = NULL }, classes = { .items = NULL };
    ccu_words     templates = { .items = NULL };
    clipcu_status status = ccu_words_labels(f->labels, &words, error);
    if (status == CLIPCU_OK) { status = ccu_words_classes("a, b,c", &classes, error); }
    if (status == CLIPCU_OK) { status = ccu_words_templates(f->labels, &templates, error); }
    ccu_words_free(&words);
    ccu_words_free(&classes);
    ccu_words_free(&templates);
    return status;
}

static void inputs(void **state) {
    files      *f           = *state;
    const sweep pictures_in = { .name = "inputs", .work = read_inputs, .fixture = *state,
                                .may_be_io = true };
    const sweep words_in    = { .name = "words", .work = read_words, .fixture = *state };
    sweep_both(&pictures_in);
    f->archives = true;
    sweep_run(&pictures_in, HEAP_OURS);
    f->archives = false;
    sweep_both(&words_in);
}

/* ---- Results -------------------------------------------------------------------------------- */

static clipcu_status format_results(void *context, clipcu_error *error) {
    static const ccu_score scores[2] = { { "cat", 0.75f, 0.25f }, { "a \"dog\"", 0.25f, 0.5f } };
    char                   path[3000];
    ccu_buffer             buffer = { .data = NULL };
    (void)context;
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    for (int format = CCU_FORMAT_TABLE; format <= CCU_FORMAT_CSV; format++) {
        const ccu_sink   sink   = { .format = (ccu_format)format, .top = 2, .bars = true };
        const ccu_result result = { .path = path, .scores = scores, .count = 2 };
        ccu_sink_begin(&sink, &buffer);
        for (int i = 0; i < 4; i++) { ccu_sink_add(&sink, &result, &buffer); }
    }
    const clipcu_status status = ccu_buffer_status(&buffer, error);
    assert_true(status != CLIPCU_OK || buffer.bytes > 12 * sizeof path);
    ccu_buffer_free(&buffer);
    return status;
}

static clipcu_status write_matrix(void *context, clipcu_error *error) {
    static const float row[3] = { 1.0f, 2.0f, 3.0f };
    files             *f      = context;
    ccu_npy            npy    = { .output = { .fd = -1 } };
    clipcu_status      status = ccu_npy_open(f->output, 3, CCU_F16, &npy, error);
    if (status != CLIPCU_OK) { return status; }
    status = ccu_npy_add(&npy, row, 1, error);
    if (status == CLIPCU_OK) { status = ccu_npy_add_missing(&npy, error); }
    const clipcu_status closed = ccu_npy_close(&npy, status == CLIPCU_OK, error);
    return status != CLIPCU_OK ? status : closed;
}

static clipcu_status search(void *context, clipcu_error *error) {
    static const float query[3] = { 1.0f, 0.0f, 0.0f };
    files             *f        = context;
    clipcu_index      *index    = NULL;
    clipcu_hit         hits[2]  = { { -1, 0.0f }, { -1, 0.0f } };
    clipcu_status      status   = clipcu_index_open(f->output, &index, error);
    assert_true((status == CLIPCU_OK) == (index != NULL));
    if (status == CLIPCU_OK) {
        status = clipcu_index_search(index, query, 1, 2, 1, hits, error);
    }
    assert_true(status != CLIPCU_OK || (hits[0].row == 0 && hits[1].row == -1));
    clipcu_index_close(index);
    return status;
}

static clipcu_status write_page(void *context, clipcu_error *error) {
    static const uint8_t        pixels[8 * 8 * 3] = { 200, 100, 50 };
    static const ccu_page_score scores[2] = { { "cat", 0.75f, 0.25f }, { "<dog>", 0.25f, 0.125f } };
    files                      *f         = context;
    ccu_page                   *page      = NULL;
    char                        path[600];
    (void)snprintf(path, sizeof path, "%s.html", f->output);
    const ccu_page_options options = { .path = path, .kind = CCU_PAGE_CLASSIFY, .model = "m",
                                       .items_max = 10, .image_size = 8 };
    clipcu_status          status  = ccu_page_open(&options, &page, error);
    assert_true((status == CLIPCU_OK) == (page != NULL));
    if (status != CLIPCU_OK) { return status; }
    for (int i = 0; i < 3 && status == CLIPCU_OK; i++) {
        const ccu_page_item item = { .path = "a & b.png", .pixels = pixels, .scores = scores,
                                     .count = 2, .error = i == 1 ? "no picture" : NULL };
        status                   = ccu_page_add(page, &item, error);
    }
    const clipcu_status closed = ccu_page_close(page, status == CLIPCU_OK, error);
    struct stat info;
    if (status == CLIPCU_OK && closed == CLIPCU_OK) { /* whole, thumbnails and all */
        assert_int_equal(stat(path, &info), 0);
        if (f->page_bytes == 0) { f->page_bytes = info.st_size; }
        assert_int_equal(info.st_size, f->page_bytes);
    }
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s.html.part", f->output);
    (void)unlink(path); /* what there was of a page that did not end */
    return status != CLIPCU_OK ? status : closed;
}

static void results(void **state) {
    const sweep text   = { .name = "results", .work = format_results, .fixture = *state };
    const sweep matrix = { .name = ".npy", .work = write_matrix, .fixture = *state,
                           .may_be_io = true };
    const sweep page   = { .name = "page", .work = write_page, .fixture = *state,
                           .may_be_io = true, .may_succeed = true }; /* libjpeg, as above */
    const sweep index  = { .name = "search", .work = search, .fixture = *state };
    sweep_both(&text);
    sweep_run(&matrix, HEAP_ALL);
    sweep_both(&page);
    sweep_both(&index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizers),
        cmocka_unit_test(pictures),
        cmocka_unit_test_setup_teardown(inputs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(results, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
