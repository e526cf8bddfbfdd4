/* What a run was begun with; see run_file.h. */
#include "cli/run_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/report.h"

#define ENDING_BYTES 16
#define TEXT_BYTES_MAX 65536
#define PROMPT_BYTES_MAX ((size_t)1 << 32)

/* False: too long, so there is none. */
static bool run_path(const char *path, const char *ending, char out[CCU_PATH_MAX]) {
    if (strlen(path) + ENDING_BYTES > CCU_PATH_MAX) { return false; }
    (void)snprintf(out, CCU_PATH_MAX, "%.*s%s", CCU_PATH_MAX - ENDING_BYTES, path, ending);
    return true;
}

ccu_run_state ccu_run_file_state(const char *path) {
    char part[CCU_PATH_MAX], run[CCU_PATH_MAX];
    if (!run_path(path, ".part", part) || !run_path(path, ".part.run", run)) { return CCU_RUN_NEW; }
    if (ccu_file_exists(part)) { return ccu_file_exists(run) ? CCU_RUN_PART : CCU_RUN_NEW; }
    return ccu_file_exists(path) ? CCU_RUN_COMPLETE : CCU_RUN_NEW;
}

int ccu_run_file_check_arguments(const ccu_arguments *arguments) {
    const char *against = NULL;
    if (arguments->resume == 0) { return CCU_EXIT_OK; }
    if (arguments->output == NULL || strcmp(arguments->output, "-") == 0) {
        ccu_report("--resume goes on with an unfinished file: name it with -o");
        return CCU_EXIT_USAGE;
    }
    if (arguments->html != NULL) { against = "--html"; }
    if (arguments->text != NULL) { against = "--text"; }
    if (against == NULL) { return CCU_EXIT_OK; }
    ccu_report("--resume does not go with %s", against);
    return CCU_EXIT_USAGE;
}

void ccu_run_file_describe(const ccu_arguments *arguments, const clipcu_info *info,
                           ccu_buffer *text) {
    ccu_buffer_format(text, "model %016" PRIx64 "\n", info->fingerprint);
    ccu_buffer_format(text, "device %.4s\n", info->device); /* cpu: or cuda */
    ccu_buffer_format(text, "precision %s\n", info->precision);
    ccu_buffer_format(text, "crop %d\n", (int)arguments->crop);
    ccu_buffer_format(text, "exif %d\n", (int)arguments->exif);
    ccu_buffer_format(text, "draft %d\n", (int)arguments->draft);
    ccu_buffer_format(text, "max-pixels %" PRId64 "\n", arguments->pixels_max);
    ccu_buffer_format(text, "task %" PRId64 "/%" PRId64 "\n", arguments->task.index,
                      arguments->task.count);
}

/* FNV-1a, 64 bits. */
static uint64_t hash(uint64_t so_far, const void *bytes, size_t count) {
    const uint8_t *b = bytes;
    for (size_t i = 0; i < count; i++) { so_far = (so_far ^ b[i]) * UINT64_C(0x100000001b3); }
    return so_far;
}

clipcu_status ccu_run_file_describe_classes(const clipcu_bank *bank, const char *prompt,
                                            ccu_buffer *text, clipcu_error *error) {
    const int32_t K    = clipcu_bank_count(bank);
    const float  *rows = clipcu_bank_rows(bank);
    uint64_t      all  = UINT64_C(0xcbf29ce484222325);
    for (int32_t i = 0; i < K; i++) {
        const char *label = clipcu_bank_label(bank, i);
        all               = hash(all, label, strlen(label) + 1);
    }
    if (rows != NULL) {
        all = hash(all, rows, (size_t)K * (size_t)clipcu_bank_embed_dim(bank) * sizeof *rows);
    } else {
        uint8_t            *data   = NULL;
        size_t              bytes  = 0;
        const clipcu_status status = ccu_file_read(prompt, PROMPT_BYTES_MAX, &data, &bytes, error);
        if (status != CLIPCU_OK) { return status; }
        all = hash(all, data, bytes);
        ccu_free(data);
    }
    ccu_buffer_format(text, "classes %016" PRIx64 "\n", all);
    return CLIPCU_OK;
}

clipcu_status ccu_run_file_write(const char *path, const ccu_buffer *text, clipcu_error *error) {
    char          run[CCU_PATH_MAX];
    ccu_writer    writer;
    clipcu_status status = ccu_buffer_status(text, error);
    if (status != CLIPCU_OK || !run_path(path, ".part.run", run)) { return status; }
    status = ccu_writer_open(run, &writer, error);
    if (status != CLIPCU_OK) { return status; }
    (void)fwrite(text->data, 1, text->bytes, writer.stream); /* commit looks at the stream */
    return ccu_writer_commit(&writer, error);
}

clipcu_status ccu_run_file_check(const char *path, const ccu_buffer *text, clipcu_error *error) {
    char          run[CCU_PATH_MAX];
    uint8_t      *data   = NULL;
    size_t        bytes  = 0;
    clipcu_status status = ccu_buffer_status(text, error);
    if (status != CLIPCU_OK || !run_path(path, ".part.run", run)) { return status; }
    status = ccu_file_read(run, TEXT_BYTES_MAX, &data, &bytes, error);
    if (status != CLIPCU_OK) { return status; }
    const char *then = (const char *)data;
    const char *now  = text->data;
    while (*then != '\0' || *now != '\0') {
        const size_t then_bytes = strcspn(then, "\n");
        const size_t now_bytes  = strcspn(now, "\n");
        if (then_bytes != now_bytes || memcmp(then, now, now_bytes) != 0) {
            status = ccu_fail(error, CLIPCU_ERR_ARGUMENT,
                              "%s.part: cannot be gone on with: it was begun with \"%.*s\", this "
                              "is \"%.*s\"; run without --resume to begin anew",
                              path, (int)then_bytes, then, (int)now_bytes, now);
            break;
        }
        then += then_bytes + (then[then_bytes] == '\n');
        now += now_bytes + (now[now_bytes] == '\n');
    }
    ccu_free(data);
    return status;
}

void ccu_run_file_remove(const char *path) {
    char run[CCU_PATH_MAX];
    if (run_path(path, ".part.run", run)) { (void)unlink(run); } /* may not be there */
}
