/* clipcu info: what a model, a bank or a learned prompt is, and what it takes. */
#include <inttypes.h>
#include <stdio.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/report.h"
#include "cli/runner.h"
#include "cli/session.h"
#include "stream/escape.h"

#define LABELS_SHOWN 5
#define NEAR 5 /* words shown of each vector */
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

/* One of a bank's or a prompt's class names. */
typedef const char *(*label_fn)(const void *of, int32_t index);

static const char *label_of_bank(const void *bank, int32_t index) {
    return clipcu_bank_label(bank, index);
}

static const char *label_of_prompt(const void *info, int32_t index) {
    return ((const clipcu_prompt_info *)info)->labels[index];
}

static void add_labels(page *p, label_fn label, const void *of, int32_t count) {
    if (p->json) {
        add_key(p, "labels", "");
        for (int32_t i = 0; i < count; i++) {
            ccu_buffer_text(&p->buffer, i == 0 ? "[" : ",");
            ccu_escape_json(&p->buffer, label(of, i));
        }
        ccu_buffer_text(&p->buffer, "]");
        return;
    }
    for (int32_t i = 0; i < count && i < LABELS_SHOWN; i++) {
        add_text(p, "", i == 0 ? "labels" : "", label(of, i));
    }
    if (count > LABELS_SHOWN) {
        ccu_buffer_format(&p->buffer, "%-13s... and %d more\n", "", count - LABELS_SHOWN);
    }
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
    add_labels(p, label_of_bank, bank, count);
}

/* ---- Prompts -------------------------------------------------------------------------------- */

static void add_prompt(page *p, const char *path, const clipcu_prompt_info *info) {
    static const char *const positions[] = { "end", "middle", "front" };
    char                     text[128];
    add_text(p, "prompt", "prompt", path);
    add_text(p, "method", "method",
             info->method == CLIPCU_METHOD_COCOOP ? "cocoop" : "coop");
    add_text(p, "position", "position", positions[info->position]);
    (void)snprintf(text, sizeof text, "%d vectors of %d%s", info->context_count, info->width,
                   info->class_specific != 0 ? " for each class" : ""); /* fits */
    add_number(p, "context_count", "context", info->context_count, text);
    add_number(p, "width", "", info->width, NULL);
    add_number(p, "class_specific", "", info->class_specific, NULL);
    (void)snprintf(text, sizeof text, "%d", info->epoch); /* fits */
    add_number(p, "epoch", "epoch", info->epoch, text);
    add_fingerprint(p, info->fingerprint);
    (void)snprintf(text, sizeof text, "%d", info->classes); /* fits */
    add_number(p, "classes", "classes", info->classes, text);
    add_labels(p, label_of_prompt, info, info->classes);
}

/* "word 0.41", or "part- 0.41" for a part within a word. */
static void add_near_token(page *p, const clipcu_near_token *near, bool first) {
    if (p->json) {
        ccu_buffer_format(&p->buffer, "%s{\"id\":%d,\"text\":", first ? "[" : ",", near->id);
        ccu_escape_json(&p->buffer, near->text);
        ccu_buffer_format(&p->buffer, ",\"ends_word\":%s,\"distance\":",
                          near->ends_word != 0 ? "true" : "false");
        ccu_escape_json_number(&p->buffer, near->distance, 6);
        ccu_buffer_text(&p->buffer, "}");
        return;
    }
    ccu_buffer_text(&p->buffer, first ? "" : ", ");
    ccu_escape_plain(&p->buffer, near->text[0] == '\0' ? "(special)" : near->text);
    ccu_buffer_format(&p->buffer, "%s ", near->ends_word != 0 || near->text[0] == '\0' ? "" : "-");
    ccu_escape_json_number(&p->buffer, near->distance, 3);
}

static void add_near(page *p, const clipcu_near_token *near, int32_t count) {
    char title[32];
    if (p->json) { add_key(p, "nearest", ""); }
    for (int32_t m = 0; m < count; m++) {
        (void)snprintf(title, sizeof title, "vector %d", m + 1); /* fits */
        if (p->json) {
            ccu_buffer_text(&p->buffer, m == 0 ? "[" : ",");
        } else {
            ccu_buffer_format(&p->buffer, "%-13s", title);
        }
        for (int32_t i = 0; i < NEAR; i++) {
            add_near_token(p, &near[(size_t)m * NEAR + (size_t)i], i == 0);
        }
        ccu_buffer_text(&p->buffer, p->json ? "]" : "\n");
    }
    if (p->json) { ccu_buffer_text(&p->buffer, "]"); }
}

/* Words nearest to the vectors of a prompt that all classes share. */
static int describe_near(const ccu_arguments *arguments, const clipcu_prompt *prompt, page *p) {
    const clipcu_prompt_info info   = clipcu_prompt_get_info(prompt);
    clipcu_engine           *engine = NULL;
    clipcu_error             error;
    clipcu_near_token       *near   = NULL;
    int                      status = ccu_session_open(arguments, &engine);
    if (status != CCU_EXIT_OK || info.class_specific != 0) {
        clipcu_close(engine);
        return status;
    }
    near = ccu_alloc_zeroed((size_t)info.context_count * NEAR, sizeof *near);
    if (near == NULL) {
        ccu_report("no memory for words near %d vectors", info.context_count);
        status = CCU_EXIT_FATAL;
    } else if (clipcu_prompt_nearest(engine, prompt, NEAR, near, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        status = CCU_EXIT_USAGE;
    } else {
        add_near(p, near, info.context_count);
    }
    ccu_free(near);
    clipcu_close(engine);
    return status;
}

static int describe_prompt(const ccu_arguments *arguments, page *p) {
    clipcu_prompt *prompt = NULL;
    clipcu_error   error;
    int            status = CCU_EXIT_OK;
    if (clipcu_prompt_load(arguments->prompt, &prompt, &error) != CLIPCU_OK) {
        ccu_report("%s", error.text);
        return CCU_EXIT_USAGE;
    }
    const clipcu_prompt_info info = clipcu_prompt_get_info(prompt);
    add_prompt(p, arguments->prompt, &info);
    if (arguments->model != NULL) { status = describe_near(arguments, prompt, p); }
    clipcu_prompt_close(prompt);
    return status;
}

/* ---- The page ------------------------------------------------------------------------------- */

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
    if (arguments->bank != NULL && arguments->prompt != NULL) {
        ccu_report("expected one of --bank and --prompt, found both");
        return CCU_EXIT_USAGE;
    }
    if (p.json) { ccu_buffer_text(&p.buffer, "{"); }
    int status = arguments->bank != NULL     ? describe_bank(arguments, &p)
                 : arguments->prompt != NULL ? describe_prompt(arguments, &p)
                                             : describe_model(arguments, &p);
    if (p.json) { ccu_buffer_text(&p.buffer, "}\n"); }
    if (status == CCU_EXIT_OK) { status = write_page(&p); }
    ccu_buffer_free(&p.buffer);
    return status;
}
