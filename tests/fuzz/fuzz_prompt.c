/* Fuzz target: learned prompts, prompt/prompt_file.c.
 *
 *   f  a whole file
 *   h  a header alone: 256 numbers follow it */
#include <math.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "prompt/prompt.h"

static void expect_same(const clipcu_prompt *a, const clipcu_prompt *b) {
    fuzz_expect(a->method == b->method && a->position == b->position &&
                    a->class_specific == b->class_specific && a->M == b->M && a->C == b->C &&
                    a->E == b->E && a->K == b->K && a->epoch == b->epoch &&
                    a->fingerprint == b->fingerprint && a->count == b->count,
                "what a prompt is stays the same");
    fuzz_expect(memcmp(a->values, b->values, a->count * sizeof *a->values) == 0,
                "numbers stay the same");
    for (int32_t k = 0; k < a->K; k++) {
        fuzz_expect(a->labels[k][0] != '\0', "a label is not empty");
        fuzz_expect(strcmp(a->labels[k], b->labels[k]) == 0, "labels stay the same");
    }
}

/* A prompt that could be read is one, and is the same once written and read. */
static void use(const clipcu_prompt *prompt) {
    clipcu_prompt *again = NULL;
    clipcu_error   error = { .code = CLIPCU_OK };
    const char    *path  = fuzz_file("again.safetensors", "", 0);
    fuzz_expect(prompt->K >= 1 && prompt->M >= 1 && prompt->C >= 1 && prompt->E >= 1, "sizes");
    for (size_t i = 0; i < prompt->count; i++) {
        fuzz_expect(isfinite(prompt->values[i]), "numbers are finite");
    }
    fuzz_expect_status(clipcu_prompt_save(prompt, path, &error), &error, path);
    fuzz_expect(error.code == CLIPCU_OK, "what was read can be written");
    fuzz_expect_status(clipcu_prompt_load(path, &again, &error), &error, path);
    fuzz_expect(again != NULL, "what was written can be read");
    expect_same(prompt, again);
    clipcu_prompt_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const float numbers[256] = { 0.5f, -1.0f, 3e38f, 1e-38f, 0.0f, -0.0f };
    const char *path = fuzz_kind("fh", &data, &bytes) == 0
                           ? fuzz_file("p.safetensors", data, bytes)
                           : fuzz_tensors("p.safetensors", data, bytes, numbers, sizeof numbers);
    clipcu_prompt      *prompt   = NULL;
    float              *momentum = NULL;
    char               *note     = NULL;
    clipcu_error        error    = { .code = CLIPCU_OK };
    const clipcu_status status   = clipcu_prompt_load(path, &prompt, &error);
    fuzz_expect_status(status, &error, path);
    fuzz_expect((status == CLIPCU_OK) == (prompt != NULL), "a prompt on success only");
    if (prompt != NULL) { use(prompt); }
    clipcu_prompt_close(prompt);

    prompt = NULL; /* and as what learning goes on from */
    const clipcu_status resumed = ccu_prompt_read(path, &prompt, &momentum, &note, &error);
    fuzz_expect((resumed == CLIPCU_OK) == (prompt != NULL && momentum != NULL && note != NULL),
                "all of a checkpoint or nothing");
    clipcu_prompt_close(prompt);
    clipcu_free((char *)momentum);
    clipcu_free(note);
    return 0;
}
