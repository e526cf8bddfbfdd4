/* Fuzz target: class bank files, bank/bank_file.c.
 *
 *   f  a whole file
 *   h  a header alone: eight unit rows of two numbers follow it */
#include <math.h>
#include <string.h>

#include "bank/bank.h"
#include "fuzz/fuzz.h"

/* A bank that could be read is what a bank should be, and is the same once written and read. */
static void use(const clipcu_bank *bank) {
    fuzz_expect(bank->K >= 1 && bank->E >= 1 && isfinite(bank->logit_scale), "sizes and scale");
    const char *path = fuzz_file("again.safetensors", "", 0);
    clipcu_bank *again = NULL;
    clipcu_error error = { .code = CLIPCU_OK };
    fuzz_expect_status(ccu_bank_write(bank, path, &error), &error, path);
    fuzz_expect(error.code == CLIPCU_OK, "what was read can be written");
    fuzz_expect_status(ccu_bank_read(path, &again, &error), &error, path);
    fuzz_expect(again != NULL, "what was written can be read");
    fuzz_expect(again->K == bank->K && again->E == bank->E &&
                    again->fingerprint == bank->fingerprint && again->content == bank->content &&
                    memcmp(&again->logit_scale, &bank->logit_scale, sizeof(float)) == 0,
                "a bank is the same after writing and reading");
    for (int32_t k = 0; k < bank->K; k++) {
        fuzz_expect(bank->labels[k][0] != '\0', "a label is not empty");
        fuzz_expect(strcmp(bank->labels[k], again->labels[k]) == 0, "labels stay the same");
    }
    clipcu_bank_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static const float rows[8][2] = { { 1, 0 },  { 0, 1 },       { -1, 0 },       { 0, -1 },
                                      { 1, 0 },  { 0.6f, 0.8f }, { 0.6f, -0.8f }, { 0.8f, 0.6f } };
    const char *path = fuzz_kind("fh", &data, &bytes) == 0
                           ? fuzz_file("bank.safetensors", data, bytes)
                           : fuzz_tensors("bank.safetensors", data, bytes, rows, sizeof rows);
    clipcu_bank        *bank   = NULL;
    clipcu_error        error  = { .code = CLIPCU_OK };
    const clipcu_status status = ccu_bank_read(path, &bank, &error);
    fuzz_expect_status(status, &error, path);
    fuzz_expect((status == CLIPCU_OK) == (bank != NULL), "a bank on success only");
    if (bank != NULL) { use(bank); }
    clipcu_bank_close(bank);
    return 0;
}
