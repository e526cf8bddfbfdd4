/* clipcu info: what a model or a bank is, and what it takes. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/report.h"
#include "cli/runner.h"
#include "cli/session.h"
#include "stream/escape.h"

#define LABELS_SHOWN 5
#define MIB (1024.0 * 1024.0)

/* One object of JSON, or lines "title   value". */
typedef struct page {
    ccu_buffer buffer;
    bool       json;
} page;

static void add_key(page *p, const char *key, const char *title) {
    if (p->json) {
        ccu_buffer_format(&p->buffer, "%s\"%s\":", p->buffer.bytes > 1 ? "," : "", key);
    } else {
        ccu_buffer_format(&p->buffer, "%-13s", title);
    }
}

static void add_text(page *p, const char *key, const char *title, const char *text) {
    add_key(p, key, title);
    if (p->json) {
        ccu_escape_json(&p->buffer, text);
        return;
    }
    ccu_escape_plain(&p->buffer, text);
    ccu_buffer_text(&p->buffer, "\n");
}

/* A number in JSON; in the table the text, which may say more. */
static void add_number(page *p, const char *key, const char *title, int64_t number,
                       const char *text) {
    if (p->json) {
        add_key(p, key, title);
        ccu_buffer_format(&p->buffer, "%" PRId64, number);
    } else if (text != NULL) {
        add_text(p, key, title, text);
    }
}

static void add_scale(page *p, float scale) {
    add_key(p, "logit_scale", "logit scale");
    ccu_escape_json_number(&p->buffer, scale, 9);
    if (!p->json) { ccu_buffer_text(&p->buffer, "\n"); }
}

static void add_fingerprint(page *p, uint64_t fingerprint) {
    char text[32];
    (void)snprintf(text, sizeof text, "%016" PRIx64, fingerprint); /* fits */
    add_text(p, "fingerprint", "fingerprint", text);
}

static void add_towers(page *p, const clipcu_info *info) {
    char text[160];
    (void)snprintf(text, sizeof text,
                   "%d x %d pixels, patches of %d; %d layers, width %d, %d heads", info->image_size,
                   info->image_size, info->patch_size, info->image_layers, info->image_width,
                   info->image_heads); /* fits */
    if (info->has_image != 0) {
        add_number(p, "image_size", "image tower", info->image_size, text);
        add_number(p, "patch_size", "", info->patch_size, NULL);
        add_number(p, "image_layers", "", info->image_layers, NULL);
        add_number(p, "image_width", "", info->image_width, NULL);
        add_number(p, "image_heads", "", info->image_heads, NULL);
    }
    (void)snprintf(text, sizeof text, "%d tokens of %d; %d layers, width %d, %d heads",
                   info->context_length, info->vocab_size, info->text_layers, info->text_width,
                   info->text_heads); /* fits */
    if (info->has_text != 0) {
        add_number(p, "context_length", "text tower", info->context_length, text);
        add_number(p, "vocab_size", "", info->vocab_size, NULL);
        add_number(p, "text_layers", "", info->text_layers, NULL);
        add_number(p, "text_width", "", info->text_width, NULL);
        add_number(p, "text_heads", "", info->text_heads, NULL);
    }
}

static void add_model(page *p, const clipcu_info *info) {
    char text[160];
    add_text(p, "model", "model", info->model_dir);
    add_text(p, "family", "family", info->family);
    add_text(p, "layout", "layout", info->layout);
    add_towers(p, info);
    add_text(p, "activation", "activation", info->activation);
    (void)snprintf(text, sizeof text, "%d numbers", info->embed_dim); /* fits */
    add_number(p, "embed_dim", "embedding", info->embed_dim, text);
    add_scale(p, info->logit_scale);
    (void)snprintf(text, sizeof text, "%.1f million", 1e-6 * (double)info->parameters); /* fits */
    add_number(p, "parameters", "parameters", info->parameters, text);
    add_fingerprint(p, info->fingerprint);
    add_text(p, "device", "device", info->device);
    add_text(p, "precision", "precision", info->precision);
    (void)snprintf(text, sizeof text, "%.1f MiB weights + %.1f MiB activations (batch of %d)",
                   (double)info->weights_bytes / MIB, (double)info->activations_bytes / MIB,
                   info->batch_max); /* fits */
    add_number(p, "weights_bytes", "memory", (int64_t)info->weights_bytes, text);
    add_number(p, "activations_bytes", "", (int64_t)info->activations_bytes, NULL);
    add_number(p, "batch_max", "", info->batch_max, NULL);
    add_text(p, "image_formats", "reads", "JPEG, PNG, WebP, GIF (first frames), BMP, PNM");
    add_text(p, "version", "clipcu", clipcu_version());
}

static void add_bank(page *p, const char *path, const clipcu_bank *bank) {
    char          text[64];
    const int32_t count = clipcu_bank_count(bank);
    add_text(p, "bank", "bank", path);
    (void)snprintf(text, sizeof text, "%d", count); /* fits */
    add_number(p, "classes", "classes", count, text);
    (void)snprintf(text, sizeof text, "%d numbers", clipcu_bank_embed_dim(bank)); /* fits */
    add_number(p, "embed_dim", "embedding", clipcu_bank_embed_dim(bank), text);
    add_scale(p, clipcu_bank_logit_scale(bank));
    add_fingerprint(p, clipcu_bank_fingerprint(bank));
    if (p->json) {
        add_key(p, "labels", "");
        for (int32_t i = 0; i < count; i++) {
            ccu_buffer_text(&p->buffer, i == 0 ? "[" : ",");
            ccu_escape_json(&p->buffer, clipcu_bank_label(bank, i));
        }
        ccu_buffer_text(&p->buffer, "]");
        return;
    }
    for (int32_t i = 0; i < count && i < LABELS_SHOWN; i++) {
        add_text(p, "", i == 0 ? "labels" : "", clipcu_bank_label(bank, i));
    }
    if (count > LABELS_SHOWN) {
        ccu_buffer_format(&p->buffer, "%-13s... and %d more\n", "", count - LABELS_SHOWN);
    }
}

static int write_page(page *p) {
    ccu_output    output = { .fd = -1 };
    clipcu_error  error  = { .code = CLIPCU_OK };
    clipcu_status status = ccu_buffer_status(&p->buffer, &error);
    if (status == CLIPCU_OK) { status = ccu_output_open(NULL, &output, &error); }
    if (status == CLIPCU_OK) {
        status = ccu_output_write(&output, p->buffer.data, p->buffer.bytes, &error);
    }
    return status == CLIPCU_OK ? CCU_EXIT_OK : ccu_runner_fatal(&error, &output);
}

/* Fills the page with a bank, and with whether it fits the model if one is named too. */
static int describe_bank(const ccu_arguments *arguments, page *p) {
    clipcu_bank   *bank   = NULL;
    clipcu_engine *engine = NULL;
    clipcu_error   error;
    int            status = CCU_EXIT_OK;
    if (clipcu_bank_load(arguments->bank, &bank, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        return CCU_EXIT_USAGE;
    }
    add_bank(p, arguments->bank, bank);
    if (arguments->model != NULL) { status = ccu_session_open(arguments, &engine); }
    if (engine != NULL) {
        const bool fits = clipcu_engine_info(engine).fingerprint == clipcu_bank_fingerprint(bank);
        if (p->json) {
            add_key(p, "fits_model", "");
            ccu_buffer_text(&p->buffer, fits ? "true" : "false");
        } else {
            add_text(p, "", "fits model", fits ? "yes" : "no: it was made with another");
        }
    }
    clipcu_close(engine);
    clipcu_bank_close(bank);
    return status;
}

static int describe_model(const ccu_arguments *arguments, page *p) {
    clipcu_engine *engine = NULL;
    const int      status = ccu_session_open(arguments, &engine);
    if (status == CCU_EXIT_OK) {
        const clipcu_info info = clipcu_engine_info(engine);
        add_model(p, &info);
    }
    clipcu_close(engine);
    return status;
}

int ccu_cmd_info(const ccu_arguments *arguments) {
    page p = { .json = arguments->format != 0 };
    if (arguments->inputs_count > 0) {
        ccu_report("info takes no inputs, found \"%s\"; name a model with --model DIR, a bank with "
                   "--bank FILE",
                   arguments->inputs[0]);
        return CCU_EXIT_USAGE;
    }
    if (p.json) { ccu_buffer_text(&p.buffer, "{"); }
    int status = arguments->bank != NULL ? describe_bank(arguments, &p)
                                         : describe_model(arguments, &p);
    if (p.json) { ccu_buffer_text(&p.buffer, "}\n"); }
    if (status == CCU_EXIT_OK) { status = write_page(&p); }
    ccu_buffer_free(&p.buffer);
    return status;
}
