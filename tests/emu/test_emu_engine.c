/* The whole engine on the emulated CUDA backend: it opens, classifies pictures as the CPU does,
 * takes device pointers, picks a batch that fits, and says what does not.
 *
 *     test_emu_engine [f32|bf16|f16]...     all three without arguments */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clipcu.h"
#include "device.h"
#include "emu/device_emu.h"

#define SOURCE CLIPCU_SOURCE_DIR
#define DEMO SOURCE "/weights/demo"
#define SMALL SOURCE "/tests/golden/hf_b32"
#define PICTURES 3
#define CLASSES 3

static int32_t failures;

static void check(bool good, const char *what, const char *detail) {
    if (good) { return; }
    printf("FAILED: %s (%s)\n", what, detail);
    failures++;
}

static void keep(void *user, const char *text) {
    (void)snprintf((char *)user, 256, "%s", text);
}

static clipcu_engine *open_model(const char *dir, clipcu_device device, clipcu_precision precision,
                                 int32_t batch_max) {
    clipcu_options options = clipcu_options_default();
    clipcu_engine *engine  = NULL;
    clipcu_error   error;
    options.device    = device;
    options.precision = precision;
    options.batch_max = batch_max;
    options.threads   = 1;
    if (clipcu_open(dir, &options, &engine, &error) != CLIPCU_OK) {
        printf("FAILED: %s\n", error.text);
        exit(1);
    }
    return engine;
}

/* ---- The demo model's pictures -------------------------------------------------------------- */

typedef struct outcome {
    float        *rows; /* (PICTURES, E) */
    clipcu_match  matches[PICTURES * CLASSES];
} outcome;

static outcome classify(clipcu_engine *engine) {
    static const char *const files[PICTURES] = { SOURCE "/tests/data/emoji/octopus.png",
                                                 SOURCE "/tests/data/emoji/red-apple.png",
                                                 SOURCE "/tests/data/emoji/dog-face.jpg" };
    static const char *const labels[CLASSES] = { "octopus", "red apple", "dog face" };
    const clipcu_info info = clipcu_engine_info(engine);
    const size_t      S = (size_t)info.image_size, E = (size_t)info.embed_dim;
    uint8_t          *pixels = malloc(PICTURES * S * S * 3);
    clipcu_bank      *bank   = NULL;
    outcome           out    = { .rows = calloc(PICTURES * E, sizeof(float)) };
    clipcu_error      error  = { .code = CLIPCU_OK };
    bool good = clipcu_bank_build(engine, labels, CLASSES, NULL, 0, &bank, &error) == CLIPCU_OK;
    for (size_t i = 0; i < PICTURES; i++) {
        good = good && clipcu_load_image(engine, files[i], pixels + i * S * S * 3, &error) ==
                           CLIPCU_OK;
    }
    /* Three times: as it is, recorded, replayed. */
    for (int32_t run = 0; run < 3; run++) {
        memset(out.rows, 0, PICTURES * E * sizeof(float));
        good = good && clipcu_encode_images(engine, pixels, PICTURES, out.rows, &error) ==
                           CLIPCU_OK;
    }
    good = good && clipcu_rank(engine, bank, out.rows, PICTURES, CLASSES, out.matches, &error) ==
                       CLIPCU_OK;
    check(good, "classify", error.text);
    clipcu_bank_close(bank);
    free(pixels);
    return out;
}

static void pictures_are_classified(clipcu_precision precision, const char *name, float most) {
    clipcu_engine *cpu  = open_model(DEMO, CLIPCU_DEVICE_CPU, CLIPCU_PRECISION_F32, PICTURES);
    clipcu_engine *cuda = open_model(DEMO, CLIPCU_DEVICE_CUDA, precision, PICTURES);
    const size_t   E    = (size_t)clipcu_engine_info(cpu).embed_dim;
    check(strcmp(clipcu_engine_info(cuda).precision, name) == 0, name, "precision");
    check(strncmp(clipcu_engine_info(cuda).device, "cuda:0: ", 8) == 0, name, "device");
    outcome wanted = classify(cpu), found = classify(cuda);
    float   worst = 0.0f;
    for (size_t i = 0; i < PICTURES * E; i++) {
        worst = fmaxf(worst, fabsf(wanted.rows[i] - found.rows[i]));
    }
    printf("%s: embeddings differ by at most %.3g\n", name, (double)worst);
    check(worst <= most, name, "embeddings differ");
    for (int32_t i = 0; i < PICTURES; i++) {
        check(found.matches[i * CLASSES].class_index == i, name, "not the right class");
        check(found.matches[i * CLASSES].probability > 0.5f, name, "not sure of it");
    }
    free(wanted.rows);
    free(found.rows);
    clipcu_close(cpu);
    clipcu_close(cuda);
    check(device_emu_memory_used() == 0 && device_emu_pinned_used() == 0, name, "memory is left");
}

/* ---- Device pointers ------------------------------------------------------------------------ */

static void device_pointers(void) {
    clipcu_engine *engine = open_model(SMALL, CLIPCU_DEVICE_CUDA, CLIPCU_PRECISION_F32, 2);
    ccu_device    *device = NULL;
    clipcu_error   error  = { .code = CLIPCU_OK };
    const size_t   S = (size_t)clipcu_engine_info(engine).image_size;
    const size_t   E = (size_t)clipcu_engine_info(engine).embed_dim;
    const size_t   bytes = 2 * S * S * 3, rows_bytes = 2 * E * sizeof(float);
    uint8_t       *pixels = malloc(bytes);
    float         *a = malloc(rows_bytes), *b = calloc(1, rows_bytes);
    void          *device_pixels = NULL, *device_rows = NULL, *pinned = NULL;
    for (size_t i = 0; i < bytes; i++) { pixels[i] = (uint8_t)(i * 37 + i / 251); }
    check(clipcu_encode_images(engine, pixels, 2, a, &error) == CLIPCU_OK, "host", error.text);
    bool good = ccu_device_open(0, NULL, &device, &error) == CLIPCU_OK &&
                ccu_device_alloc(device, bytes, &device_pixels) == 0 &&
                ccu_device_alloc(device, rows_bytes, &device_rows) == 0 &&
                ccu_device_alloc_pinned(device, bytes > rows_bytes ? bytes : rows_bytes,
                                        &pinned) == 0;
    if (!good) {
        printf("FAILED: no device memory: %s\n", error.text);
        exit(1);
    }
    memcpy(pinned, pixels, bytes);
    good = ccu_device_upload(device, device_pixels, pinned, bytes) == 0 &&
           ccu_device_sync(device) == 0;
    check(good, "device pointers", "upload");
    check(clipcu_encode_images_device(engine, device_pixels, 3, device_rows, &error) ==
              CLIPCU_ERR_ARGUMENT,
          "3 of at most 2", error.text);
    for (int32_t run = 0; run < 3; run++) {
        check(clipcu_encode_images_device(engine, device_pixels, 2, device_rows, &error) ==
                  CLIPCU_OK,
              "device pointers", error.text);
    }
    check(clipcu_encode_images(engine, pixels, 1, b, &error) == CLIPCU_OK, "waits", error.text);
    good = ccu_device_download(device, pinned, device_rows, rows_bytes) == 0 &&
           ccu_device_sync(device) == 0;
    check(good && memcmp(a, pinned, rows_bytes) == 0, "device pointers",
          "other bits than by the host");
    ccu_device_free_pinned(device, pinned);
    ccu_device_free(device, device_pixels);
    ccu_device_free(device, device_rows);
    ccu_device_close(device);
    free(a);
    free(b);
    free(pixels);
    clipcu_close(engine);
}

/* ---- What it picks, what it refuses --------------------------------------------------------- */

static void automatic_choices(void) {
    char              warning[256] = "";
    clipcu_options    options      = clipcu_options_default();
    clipcu_error      error        = { .code = CLIPCU_OK };
    clipcu_engine    *engine = open_model(SMALL, CLIPCU_DEVICE_AUTO, CLIPCU_PRECISION_AUTO, 0);
    const clipcu_info large  = clipcu_engine_info(engine);
    check(strncmp(large.device, "cuda:0: ", 8) == 0, "auto", large.device);
    check(strcmp(large.precision, "bf16") == 0, "auto", large.precision);
    check(large.batch_max == 1024, "auto", "not the largest batch where all memory is free");
    const size_t whole = large.weights_bytes + large.activations_bytes;
    clipcu_close(engine);

    device_emu_set_memory(whole / 2);
    engine = open_model(SMALL, CLIPCU_DEVICE_AUTO, CLIPCU_PRECISION_AUTO, 0);
    const clipcu_info small = clipcu_engine_info(engine);
    check(small.batch_max < 1024 && small.batch_max >= 128, "auto", "half the memory");
    check((double)(small.weights_bytes + small.activations_bytes) <= 0.4 * (double)whole, "auto",
          "more than 80 % of what is free");
    clipcu_close(engine);

    options.device    = CLIPCU_DEVICE_CUDA;
    options.precision = CLIPCU_PRECISION_BF16;
    options.batch_max = 4096;
    check(clipcu_open(SMALL, &options, &engine, &error) == CLIPCU_ERR_NOMEM, "4096", error.text);
    check(strstr(error.text, "would fit") != NULL, "4096", error.text);
    printf("%s\n", error.text);
    device_emu_set_memory(4096);
    options.batch_max = 0;
    check(clipcu_open(SMALL, &options, &engine, &error) == CLIPCU_ERR_NOMEM, "4 KiB", error.text);
    printf("%s\n", error.text);
    device_emu_set_memory(0);

    options.device_index = 5;
    check(clipcu_open(SMALL, &options, &engine, &error) == CLIPCU_ERR_CUDA, "cuda:5", error.text);
    options.device    = CLIPCU_DEVICE_AUTO;
    options.warn      = keep;
    options.warn_user = warning;
    check(clipcu_open(SMALL, &options, &engine, &error) == CLIPCU_OK, "auto", error.text);
    check(strncmp(clipcu_engine_info(engine).device, "cpu: ", 5) == 0, "auto", "on the CPU");
    clipcu_close(engine);
    check(strstr(warning, "using the CPU") != NULL || strstr(warning, "bf16") != NULL, "auto",
          warning);
    check(device_emu_memory_used() == 0 && device_emu_pinned_used() == 0, "auto", "memory is left");
}

int main(int argc, char **argv) {
    static const struct {
        const char      *name;
        clipcu_precision precision;
        float            most; /* that a number of a unit row may differ from f32 on the CPU */
    } runs[] = { { "f32", CLIPCU_PRECISION_F32, 1e-6f },
                 { "bf16", CLIPCU_PRECISION_BF16, 5e-3f },
                 { "f16", CLIPCU_PRECISION_F16, 6e-4f } };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        bool wanted = argc < 2;
        for (int a = 1; a < argc; a++) { wanted = wanted || strcmp(argv[a], runs[i].name) == 0; }
        if (wanted) { pictures_are_classified(runs[i].precision, runs[i].name, runs[i].most); }
    }
    device_pointers();
    automatic_choices();
    printf("%d failures\n", failures);
    return failures != 0;
}
