/* The class bank; see bank.h. */
#include "bank/bank.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

bool ccu_label_empty(const char *label) { return label[strspn(label, " \t")] == '\0'; }

static clipcu_status check_labels(const char *const *labels, int32_t K, clipcu_error *error) {
    for (int32_t i = 0; i < K; i++) {
        if (labels[i] == NULL || ccu_label_empty(labels[i])) {
            return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "label %d is empty", i + 1);
        }
    }
    return CLIPCU_OK;
}

clipcu_status ccu_bank_create(const char *const *labels, int32_t K, int32_t E, clipcu_bank **out,
                              clipcu_error *error) {
    assert(E >= 1);
    if (labels == NULL || K < 1) {
        return ccu_fail(error, CLIPCU_ERR_ARGUMENT, "a class bank needs at least one label");
    }
    clipcu_status status = check_labels(labels, K, error);
    if (status != CLIPCU_OK) { return status; }

    size_t bytes = 0;
    for (int32_t i = 0; i < K; i++) { bytes += strlen(labels[i]) + 1; }
    clipcu_bank *bank = ccu_alloc_zeroed(1, sizeof *bank);
    if (bank == NULL) { goto nomem; }
    bank->K          = K;
    bank->E          = E;
    bank->labels     = ccu_alloc((size_t)K * sizeof *bank->labels);
    bank->label_text = ccu_alloc(bytes);
    bank->rows       = ccu_alloc_zeroed((size_t)K * (size_t)E, sizeof *bank->rows);
    if (bank->labels == NULL || bank->label_text == NULL || bank->rows == NULL) { goto nomem; }
    char *at = bank->label_text;
    for (int32_t i = 0; i < K; i++) {
        const size_t length = strlen(labels[i]) + 1;
        memcpy(at, labels[i], length);
        bank->labels[i] = at;
        at += length;
    }
    *out = bank;
    return CLIPCU_OK;

nomem:
    clipcu_bank_close(bank);
    return ccu_fail(error, CLIPCU_ERR_NOMEM, "no memory for a bank of %d classes", K);
}

void ccu_bank_seal(clipcu_bank *bank) {
    /* FNV-1a over 32-bit words: 64-bit state, good enough to tell banks apart in one process. */
    uint64_t     hash  = 0xcbf29ce484222325u ^ bank->fingerprint;
    const size_t count = (size_t)bank->K * (size_t)bank->E;
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ ccu_f32_bits(bank->rows[i])) * 0x100000001b3u;
    }
    bank->content = hash;
}

void clipcu_bank_close(clipcu_bank *bank) {
    if (bank == NULL) { return; }
    if (bank->conditional != NULL) { bank->conditional_close(bank->conditional); }
    ccu_free(bank->labels);
    ccu_free(bank->label_text);
    ccu_free(bank->rows);
    ccu_free(bank);
}

int32_t clipcu_bank_count(const clipcu_bank *bank) {
    return bank->K;
}

int32_t clipcu_bank_embed_dim(const clipcu_bank *bank) {
    return bank->E;
}

uint64_t clipcu_bank_fingerprint(const clipcu_bank *bank) {
    return bank->fingerprint;
}

float clipcu_bank_logit_scale(const clipcu_bank *bank) {
    return bank->logit_scale;
}

const char *clipcu_bank_label(const clipcu_bank *bank, int32_t index) {
    return index < 0 || index >= bank->K ? NULL : bank->labels[index];
}

const float *clipcu_bank_rows(const clipcu_bank *bank) {
    return bank->rows;
}
