/* clipcu: classify and embed images with CLIP.
 *
 * The only header a program includes. A complete program:
 *
 *     #include <clipcu.h>
 *     #include <stdio.h>
 *
 *     int main(void) {
 *         const char *const labels[] = { "dog", "cat", "boat" };
 *         clipcu_options options = clipcu_options_default();
 *         clipcu_error   error;
 *         clipcu_engine *engine = NULL;
 *         clipcu_bank   *bank   = NULL;
 *         clipcu_match   best;
 *
 *         if (clipcu_open("weights/demo", &options, &engine, &error) != CLIPCU_OK ||
 *             clipcu_bank_build(engine, labels, 3, NULL, 0, &bank, &error) != CLIPCU_OK ||
 *             clipcu_classify_file(engine, bank, "photo.jpg", 1, &best, &error) != CLIPCU_OK) {
 *             fprintf(stderr, "%s\n", error.text);
 *             return 1;
 *         }
 *         printf("%s %.1f %%\n", clipcu_bank_label(bank, best.class_index),
 *                100.0 * best.probability);
 *         clipcu_bank_close(bank);
 *         clipcu_close(engine);
 *         return 0;
 *     }
 *
 * Conventions
 *   Letters     B images or texts, S image side in pixels, E embedding width, K classes.
 *   Memory      All pointers are host memory. The creator closes; close accepts NULL.
 *   Strings     UTF-8, NUL-terminated.
 *   Failure     Functions that can fail return clipcu_status and fill the caller's clipcu_error;
 *               outputs are unspecified then, handles are left NULL.
 *   Silence     The library never prints, never exits, never aborts.
 *
 * Threads: one engine serves one thread at a time, except where a function says "any thread";
 * different engines are independent. A bank is immutable: any number of threads may read it.
 */
#ifndef CLIPCU_H
#define CLIPCU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLIPCU_VERSION_MAJOR 0
#define CLIPCU_VERSION_MINOR 1
#define CLIPCU_VERSION_PATCH 0

#if defined(__GNUC__)
#define CLIPCU_API __attribute__((visibility("default")))
#define CLIPCU_CHECKED __attribute__((warn_unused_result))
#else
#define CLIPCU_API
#define CLIPCU_CHECKED
#endif

/* ---- Status ------------------------------------------------------------------------------- */

typedef enum clipcu_status {
    CLIPCU_OK              = 0,
    CLIPCU_ERR_ARGUMENT    = 1, /* the caller broke a documented precondition */
    CLIPCU_ERR_IO          = 2, /* open, read, write or map failed */
    CLIPCU_ERR_FORMAT      = 3, /* not a valid image, weight file or vocabulary */
    CLIPCU_ERR_UNSUPPORTED = 4, /* valid, but not handled by this build */
    CLIPCU_ERR_LIMIT       = 5, /* valid, but larger than a documented maximum */
    CLIPCU_ERR_NOMEM       = 6, /* host or device memory exhausted */
    CLIPCU_ERR_CUDA        = 7, /* the CUDA runtime or driver reported an error */
    CLIPCU_ERR_BACKEND     = 8  /* a library below the CPU backend reported an error */
} clipcu_status;

/* Owned by the caller, may be NULL in every call. Cleared on entry, filled on failure. */
typedef struct clipcu_error {
    clipcu_status code;
    char          text[508]; /* one line, NUL-terminated, names the file or tensor at fault */
} clipcu_error;

/* "OK", "ARGUMENT", ...; "UNKNOWN" for a number that is no status. Any thread. */
CLIPCU_API const char *clipcu_status_name(clipcu_status status);

/* "0.1.0". Any thread. */
CLIPCU_API const char *clipcu_version(void);

/* ---- Options and engine --------------------------------------------------------------------- */

typedef enum clipcu_device {
    CLIPCU_DEVICE_AUTO = 0, /* CUDA where this build has it and a device is present, else CPU */
    CLIPCU_DEVICE_CPU  = 1,
    CLIPCU_DEVICE_CUDA = 2
} clipcu_device;

typedef enum clipcu_precision {
    CLIPCU_PRECISION_F32  = 0, /* reference */
    CLIPCU_PRECISION_BF16 = 1, /* bf16 storage and products, f32 accumulation, norms, softmax */
    CLIPCU_PRECISION_F16  = 2, /* as BF16 with f16; CUDA only */
    CLIPCU_PRECISION_AUTO = 3, /* BF16 on CUDA, F32 on the CPU */
    CLIPCU_PRECISION_INT8 = 4  /* CPU only: int8 products in the transformer blocks, else as F32 */
} clipcu_precision;

/* Which column or row a centre crop starts at when the difference is odd. */
typedef enum clipcu_crop {
    CLIPCU_CROP_FLOOR     = 0, /* floor(d / 2): Hugging Face CLIPImageProcessor */
    CLIPCU_CROP_HALF_EVEN = 1  /* round half to even (d / 2): torchvision, open_clip */
} clipcu_crop;

typedef enum clipcu_tokenizer {
    CLIPCU_TOKENIZER_OPENAI  = 0, /* OpenAI SimpleTokenizer with ftfy, open_clip */
    CLIPCU_TOKENIZER_HF_FAST = 1  /* Hugging Face CLIPTokenizerFast */
} clipcu_tokenizer;

/* Called with one line per thing worth knowing while a model opens (an unknown tensor, a
 * precision that this machine emulates). `text` lives during the call only. */
typedef void (*clipcu_warn_fn)(void *user, const char *text);

/* Start from clipcu_options_default() and change what differs. */
typedef struct clipcu_options {
    clipcu_device    device;
    int32_t          device_index; /* which CUDA device; 0 */
    clipcu_precision precision;
    int32_t          batch_max;    /* images per encode call, 1 .. 4096. 0 = automatic, default:
                                      32 on the CPU; on CUDA the largest power of two up to 1024
                                      that fits into 80 % of the free memory. clipcu_info has it */
    int32_t          threads;      /* CPU threads, 1 .. 1024; 0 = one per online core */
    clipcu_crop      crop;
    clipcu_tokenizer tokenizer;
    int32_t          truncate;     /* 1: cut texts longer than the context; 0: refuse them */
    int32_t          exif;         /* 1: turn pictures upright by their EXIF tag; 0: as stored,
                                      which is what CLIP's own transforms do. Default 0 */
    int64_t          pixels_max;   /* refuse pictures of more pixels; 178,956,970 (Pillow's) */
    clipcu_warn_fn   warn;         /* NULL: warnings are dropped */
    void            *warn_user;
    void            *stream;       /* CUDA: a cudaStream_t of the device that all work is queued
                                      on, borrowed until clipcu_close; NULL: one of our own.
                                      Ignored on the CPU */
    int32_t          draft;        /* 1: decode large JPEGs at 1/2, 1/4 or 1/8 of their size where
                                      that leaves at least twice the side that the model takes:
                                      faster, and not the same pixels. Not for
                                      clipcu_load_view. Default 0 */
} clipcu_options;

CLIPCU_API clipcu_options clipcu_options_default(void);

typedef struct clipcu_engine clipcu_engine;

/* Open a model directory: Hugging Face CLIP (config.json, model.safetensors or its sharded
 * index, preprocessor_config.json, tokenizer.json or vocab.json + merges.txt) or open_clip
 * (open_clip_config.json, open_clip_model.safetensors). No conversion step.
 *
 * The towers' weights and activations are sized and allocated here, for batch_max images.
 * Encoding images allocates nothing more of ours (libraries below may, when a batch size is new);
 * texts and banks take memory for their prompts.
 * Returns IO, FORMAT, UNSUPPORTED (the feature is named), NOMEM, LIMIT, CUDA, ARGUMENT. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_open(const char *model_dir,
                                                    const clipcu_options *options,
                                                    clipcu_engine **engine, clipcu_error *error);

/* Closes and frees. NULL is a harmless no-op. Banks made by the engine stay valid. */
CLIPCU_API void clipcu_close(clipcu_engine *engine);

/* What was opened. Strings live as long as the engine. */
typedef struct clipcu_info {
    const char *model_dir;
    const char *family;        /* "clip" */
    const char *layout;        /* "huggingface" or "open_clip" */
    const char *device;        /* "cpu: oneDNN 2.6.3, 2 threads", "cuda:0: NVIDIA A100 ..., ..." */
    const char *precision;     /* "f32", "bf16", "bf16 (emulated)", "f16", "int8" */
    const char *activation;    /* "quick_gelu" or "gelu" */
    uint64_t    fingerprint;   /* of the weights; a bank remembers it */
    int32_t     has_image;     /* 0 for a text-only checkpoint */
    int32_t     has_text;      /* 0 for an image-only checkpoint, or if no tokenizer was found */
    int32_t     image_size;    /* S */
    int32_t     patch_size;
    int32_t     image_width, image_layers, image_heads;
    int32_t     text_width, text_layers, text_heads;
    int32_t     context_length, vocab_size;
    int32_t     embed_dim;     /* E */
    int32_t     batch_max;
    float       logit_scale;   /* exp of the stored temperature: what cosines are multiplied by */
    int64_t     parameters;    /* numbers in both towers */
    size_t      weights_bytes, activations_bytes;
} clipcu_info;

CLIPCU_API clipcu_info clipcu_engine_info(const clipcu_engine *engine);

/* ---- Images --------------------------------------------------------------------------------- */

/* Read, decode, resize and crop one picture to what the image tower takes.
 *
 *   pixels   (S, S, 3) u8, RGB interleaved, top row first; written on success.
 *
 * JPEG, PNG, WebP, GIF (first frames), BMP, PNM. Resize is Pillow's bicubic, byte for byte.
 * Any thread, any number at once. Returns IO, FORMAT, UNSUPPORTED, LIMIT, NOMEM. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_load_image(const clipcu_engine *engine,
                                                          const char *path, uint8_t *pixels,
                                                          clipcu_error *error);

/* The same from a file already in memory. `name` is used in messages only. Any thread. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_decode_image(const clipcu_engine *engine,
                                                            const char *name, const uint8_t *bytes,
                                                            size_t bytes_count, uint8_t *pixels,
                                                            clipcu_error *error);

/* The same from pixels already decoded: (height, width, 3) u8 RGB, no padding. Any thread. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_fit_image(const clipcu_engine *engine,
                                                         const uint8_t *rgb, int32_t width,
                                                         int32_t height, uint8_t *pixels,
                                                         clipcu_error *error);

/* Encode a batch of pictures.
 *
 *   pixels      (count, S, S, 3) u8 RGB, as the functions above write it.
 *   count       1 .. batch_max.
 *   embeddings  (count, E) f32, unit rows; written in full on success.
 *
 * Blocks until the result is in host memory. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_encode_images(clipcu_engine *engine,
                                                             const uint8_t *pixels, int32_t count,
                                                             float *embeddings,
                                                             clipcu_error *error);

/* As above for callers that normalise themselves: (count, 3, S, S) f32, planar RGB, already
 * (x / 255 - mean) / std. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_encode_images_f32(clipcu_engine *engine,
                                                                 const float *pixels,
                                                                 int32_t count, float *embeddings,
                                                                 clipcu_error *error);

/* As clipcu_encode_images in device memory: queues the work on the engine's stream and returns
 * without waiting.
 *
 *   pixels      (count, S, S, 3) u8, device memory; unchanged until the stream has passed.
 *   embeddings  (count, E) f32, device memory; written when the stream gets there.
 *
 * Memory of the engine's device only. What goes wrong later is reported by the next call that
 * blocks. With a stream of the engine's own (options.stream NULL) nothing says when the stream has
 * passed but such a call. UNSUPPORTED on the CPU. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_encode_images_device(clipcu_engine *engine,
                                                                    const void *pixels,
                                                                    int32_t count,
                                                                    float *embeddings,
                                                                    clipcu_error *error);

/* ---- Texts ---------------------------------------------------------------------------------- */

/* Token ids of one text, with start and end tokens, not padded.
 *
 *   ids        ids_max entries; context_length is always enough.
 *   ids_count  how many were written.
 *
 * Any thread. LIMIT if the text is longer than the context and options.truncate is 0. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_tokenize(const clipcu_engine *engine,
                                                        const char *text, int32_t *ids,
                                                        int32_t ids_max, int32_t *ids_count,
                                                        clipcu_error *error);

/* Encode texts; any count >= 1. Shared beginnings are computed once.
 *
 *   embeddings  (count, E) f32, unit rows. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_encode_texts(clipcu_engine *engine,
                                                            const char *const *texts,
                                                            int32_t count, float *embeddings,
                                                            clipcu_error *error);

/* ---- Class banks ---------------------------------------------------------------------------- */

/* Class names turned into one unit vector each: what pictures are compared with. */
typedef struct clipcu_bank clipcu_bank;

/* Encode count class names.
 *
 *   labels     non-empty texts. One that stands twice makes two equal rows, which share their
 *              probability (CLIP's own 1000 ImageNet names hold two such pairs).
 *   templates  each holds exactly one {}; NULL with 0: "a photo of a {}."
 *
 * With several templates each prompt's embedding is normalised, the mean over templates is
 * taken per class and normalised again (CLIP's ensemble). */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_bank_build(clipcu_engine *engine,
                                                          const char *const *labels, int32_t count,
                                                          const char *const *templates,
                                                          int32_t templates_count,
                                                          clipcu_bank **bank, clipcu_error *error);

/* Prompt templates that come with clipcu, by name: "openai80" (the 80 that CLIP's ImageNet figures
 * were made with), "openai7" (the 7 of its notebook that do nearly as well) and "single"
 * ("a photo of a {}.", what clipcu_bank_build takes when given none).
 *
 *   count  how many; may not be NULL.
 *
 * Constant; ready to be handed to clipcu_bank_build. NULL and 0 for a name that is none of them.
 * Any thread. */
CLIPCU_API const char *const *clipcu_builtin_templates(const char *name, int32_t *count);

/* A safetensors file: "bank" (K, E) f32, and as metadata the labels (JSON), the model's
 * fingerprint and the logit scale. Written under another name first, then renamed. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_bank_save(const clipcu_bank *bank, const char *path,
                                                         clipcu_error *error);
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_bank_load(const char *path, clipcu_bank **bank,
                                                         clipcu_error *error);
CLIPCU_API void clipcu_bank_close(clipcu_bank *bank);

CLIPCU_API int32_t     clipcu_bank_count(const clipcu_bank *bank);     /* K */
CLIPCU_API int32_t     clipcu_bank_embed_dim(const clipcu_bank *bank); /* E */
CLIPCU_API uint64_t    clipcu_bank_fingerprint(const clipcu_bank *bank);
CLIPCU_API float       clipcu_bank_logit_scale(const clipcu_bank *bank);
/* NULL if index is not 0 .. K-1. Lives as long as the bank. */
CLIPCU_API const char *clipcu_bank_label(const clipcu_bank *bank, int32_t index);
/* (K, E) f32 unit rows. Lives as long as the bank. NULL: see clipcu_bank_build_prompt. */
CLIPCU_API const float *clipcu_bank_rows(const clipcu_bank *bank);

/* ---- Prompts that are learned ------------------------------------------------------------------
 *
 * Context vectors in the place of "a photo of a", learned from a few pictures of each class while
 * both towers stay as they are. CoOp (Zhou et al. 2022, "Learning to Prompt for Vision-Language
 * Models") learns the vectors; CoCoOp (Zhou et al. 2022, "Conditional Prompt Learning for
 * Vision-Language Models") also learns a small network, the meta-net, that adds to them a vector
 * computed from each picture. */

typedef enum clipcu_method {
    CLIPCU_METHOD_COOP   = 0,
    CLIPCU_METHOD_COCOOP = 1
} clipcu_method;

/* Where the M context vectors stand. */
typedef enum clipcu_position {
    CLIPCU_POSITION_END    = 0, /* v1 .. vM name . */
    CLIPCU_POSITION_MIDDLE = 1, /* v1 .. vh name vh+1 .. vM .   h = M / 2, rounded down */
    CLIPCU_POSITION_FRONT  = 2  /* name v1 .. vM . */
} clipcu_position;

typedef struct clipcu_prompt clipcu_prompt;

/* Strings and arrays live as long as the prompt. */
typedef struct clipcu_prompt_info {
    clipcu_method      method;
    clipcu_position    position;
    int32_t            class_specific; /* 1: every class has context vectors of its own */
    int32_t            context_count;  /* M */
    int32_t            width;          /* C: of a context vector, the text tower's */
    int32_t            embed_dim;      /* E */
    int32_t            classes;        /* K: that it was learned with */
    int32_t            epoch;          /* after which it stands */
    uint64_t           fingerprint;    /* of the model's weights */
    const char *const *labels;         /* (K) */
    const float       *context;        /* (M, C), or (K, M, C) if class_specific */
} clipcu_prompt_info;

/* A safetensors file: "ctx" (M, C) or (K, M, C) f32; for CoCoOp "meta_net.linear1.weight"
 * (E / 16, E), ".bias" (E / 16), "meta_net.linear2.weight" (C, E / 16), ".bias" (C); as metadata
 * what clipcu_prompt_info has. Written under another name first, then renamed.
 * IO, FORMAT, NOMEM. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_prompt_save(const clipcu_prompt *prompt,
                                                           const char *path, clipcu_error *error);
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_prompt_load(const char *path,
                                                           clipcu_prompt **prompt,
                                                           clipcu_error *error);
CLIPCU_API void               clipcu_prompt_close(clipcu_prompt *prompt);
CLIPCU_API clipcu_prompt_info clipcu_prompt_get_info(const clipcu_prompt *prompt);

/* A token of the vocabulary that stands near a context vector. */
typedef struct clipcu_near_token {
    int32_t id;
    int32_t ends_word; /* 0: a part within a word */
    float   distance;  /* Euclidean, between the vector and the token's embedding */
    char    text[48];  /* bytes as they are, cut to fit; empty for a special token */
} clipcu_near_token;

/* The nearest tokens of each context vector, nearest first, ties by lowest id: CoOp's way to look
 * at a prompt. Words need not mean anything: vectors are not bound to the places of words.
 *
 *   top   1 .. 100.
 *   near  (M, top).
 *
 * UNSUPPORTED for a class-specific prompt; ARGUMENT if it belongs to another model. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_prompt_nearest(clipcu_engine *engine,
                                                              const clipcu_prompt *prompt,
                                                              int32_t top, clipcu_near_token *near,
                                                              clipcu_error *error);

/* A class bank of these class names in a learned prompt; NULL with 0: the names it was learned
 * with. Underscores in names are blanks.
 *
 * CoCoOp's class rows depend on the picture: such a bank has none to show (clipcu_bank_rows gives
 * NULL) and cannot be saved; clipcu_rank computes K rows for every picture, which takes as long as
 * K short texts. ARGUMENT if the prompt belongs to another model, or is class-specific and the
 * names are not those it was learned with; LIMIT for a prompt longer than the context. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_bank_build_prompt(clipcu_engine *engine,
                                                                 const clipcu_prompt *prompt,
                                                                 const char *const *labels,
                                                                 int32_t count, clipcu_bank **bank,
                                                                 clipcu_error *error);

/* Start from clipcu_learn_options_default() and change what differs. */
typedef struct clipcu_learn_options {
    clipcu_method   method;
    clipcu_position position;       /* CoCoOp: END only */
    int32_t         class_specific; /* CoOp only */
    int32_t         context_count;  /* M, 1 ..; 16. Ignored with init */
    const char     *init;           /* words, one token each, that the vectors begin as ("a photo
                                       of a"), shared by all classes; NULL: normal, deviation
                                       0.02 */
    uint64_t        seed;           /* of what begins at random; 1 */
    int32_t         batch_max;      /* pictures of a step; 32. CoCoOp's paper has 1 */
    float           momentum;       /* 0.9 */
    float           weight_decay;   /* 5e-4 */
    size_t          memory_max;     /* bytes of activations; 0: whatever it takes. What does not fit
                                       goes in parts, forward twice: half as long again */
} clipcu_learn_options;

CLIPCU_API clipcu_learn_options clipcu_learn_options_default(void);

/* A prompt while it is learned. Borrows the engine, which must outlive it. */
typedef struct clipcu_learner clipcu_learner;

/* UNSUPPORTED on int8 weights and for models without both towers; ARGUMENT; LIMIT; NOMEM. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_learner_open(clipcu_engine *engine,
                                                            const clipcu_learn_options *options,
                                                            const char *const *labels,
                                                            int32_t count,
                                                            clipcu_learner **learner,
                                                            clipcu_error *error);
CLIPCU_API void clipcu_learner_close(clipcu_learner *learner);

/* One step of stochastic gradient descent (PyTorch's SGD: d = g + decay w; m = d at first, then
 * momentum m + d; w -= rate m) on the mean cross-entropy.
 *
 *   embeddings   (count, E) f32 unit rows
 *   class_index  (count) 0 .. K-1
 *   loss         the batch's mean, before the step
 *   correct      how many were labelled rightly, before the step
 *
 * ARGUMENT also where the rate is so high that vectors are not finite any more. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_learner_step(clipcu_learner *learner,
                                                            const float *embeddings,
                                                            const int32_t *class_index,
                                                            int32_t count, float rate,
                                                            double *loss, int32_t *correct,
                                                            clipcu_error *error);

/* clipcu_load_image of a random view: torchvision's RandomResizedCrop and, every second time, a
 * flip, as CoOp learns from. Equal seeds and draws give equal views. Any thread. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_load_view(const clipcu_engine *engine,
                                                         const char *path, uint64_t seed,
                                                         uint64_t draw, uint8_t *pixels,
                                                         clipcu_error *error);

/* The rate of an epoch, 1 .. epochs, as CoOp schedules it: 1e-5 in the first, then a cosine from
 * `rate` (0.002) that is one epoch late. Any thread. */
CLIPCU_API float clipcu_learning_rate(int32_t epoch, int32_t epochs, float rate);

/* The prompt as it stands: borrowed, it changes with every step. epoch: what its info says. */
CLIPCU_API const clipcu_prompt *clipcu_learner_prompt(clipcu_learner *learner, int32_t epoch);

/* All that learning goes on from: the prompt and its momentum; note is kept with them. Loading
 * wants the same labels and options, and gives the epoch and the note (NULL: not wanted; freed with
 * clipcu_free). A run that goes on has the bits of one that was never interrupted. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_learner_save(clipcu_learner *learner, int32_t epoch,
                                                            const char *note, const char *path,
                                                            clipcu_error *error);
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_learner_load(clipcu_learner *learner,
                                                            const char *path, int32_t *epoch,
                                                            char **note, clipcu_error *error);
CLIPCU_API void clipcu_free(char *text);

/* ---- Classification ------------------------------------------------------------------------- */

typedef struct clipcu_match {
    int32_t class_index; /* row of the bank */
    float   cosine;      /* -1 .. 1 */
    float   probability; /* softmax over all K classes of cosine * logit_scale */
} clipcu_match;

/* The top classes of each embedding, best first, ties by lowest class index.
 *
 *   embeddings  (count, E) f32 unit rows; 1 .. batch_max rows.
 *   top         1 .. min(K, 1024).
 *   matches     (count, top).
 *
 * ARGUMENT if the bank was made by another model (fingerprints differ) or top is out of range. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_rank(clipcu_engine *engine, const clipcu_bank *bank,
                                                    const float *embeddings, int32_t count,
                                                    int32_t top, clipcu_match *matches,
                                                    clipcu_error *error);

/* clipcu_rank, and the cosine of every class, those of `matches` among them, bit for bit.
 *
 *   cosines  (count, K) f32. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_rank_all(clipcu_engine *engine,
                                                        const clipcu_bank *bank,
                                                        const float *embeddings, int32_t count,
                                                        int32_t top, clipcu_match *matches,
                                                        float *cosines, clipcu_error *error);

/* clipcu_load_image, clipcu_encode_images and clipcu_rank of one file. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_classify_file(clipcu_engine *engine,
                                                             const clipcu_bank *bank,
                                                             const char *path, int32_t top,
                                                             clipcu_match *matches,
                                                             clipcu_error *error);

/* ---- Pipelines ---------------------------------------------------------------------------------
 *
 * Pictures go in one at a time, from any thread; results come out, in the order in which they went
 * in. Files are read and decoded by threads of the pipeline's own, batches are put together and
 * encoded by one thread for each engine, all at the same time. A batch that is not full is encoded
 * when nothing has come for 50 ms. Every picture that was accepted gives one result, with an
 * embedding or with its error. Memory is bounded: who submits waits while there is no room. */

typedef struct clipcu_pipeline clipcu_pipeline;

typedef struct clipcu_result {
    uint64_t            id;            /* as it was submitted */
    clipcu_status       status;        /* of this picture */
    const char         *error;         /* NULL if that is OK */
    const float        *embedding;     /* (E) f32 unit row; NULL if not */
    const clipcu_match *matches;       /* (matches_count), best first; none without a bank */
    int32_t             matches_count;
} clipcu_result;

/* *result and what it points to live until it returns. Always from the same thread, one after the
 * other; it may submit with wait_ms 0 only, and not close. */
typedef void (*clipcu_result_fn)(void *user, const clipcu_result *result);

/* Start from clipcu_pipeline_options_default() and change what differs. */
typedef struct clipcu_pipeline_options {
    const clipcu_bank *bank;        /* classes to compare with, borrowed; NULL: embeddings only */
    int32_t            top;         /* matches of each picture, 1 .. min(K, 1024); 1 */
    int32_t            threads;     /* that decode, 1 .. 1024; 0 = one per online core */
    int32_t            pending_max; /* pictures that wait to be begun; 0 = two batches */
    clipcu_result_fn   take;        /* NULL: results are fetched with clipcu_pipeline_next */
    void              *user;
} clipcu_pipeline_options;

CLIPCU_API clipcu_pipeline_options clipcu_pipeline_options_default(void);

/* Starts a pipeline over engines of the same model, which are its alone until it is closed.
 *
 *   engines  (engines_count), one per device; borrowed.
 *
 * ARGUMENT, UNSUPPORTED without an image tower, NOMEM, LIMIT if no thread can be started. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_pipeline_open(clipcu_engine *const *engines,
                                                             int32_t engines_count,
                                                             const clipcu_pipeline_options *options,
                                                             clipcu_pipeline **pipeline,
                                                             clipcu_error *error);

/* Hand in a picture: the bytes of a file, copied; the path of one; or pixels (S, S, 3) u8 as
 * clipcu_decode_image makes them, copied. Pixels in device memory need no pipeline: see
 * clipcu_encode_images_device.
 *
 *   id       comes back with the result; any number.
 *   wait_ms  how long to wait for room; 0: not at all, -1: for ever. A thread that also fetches
 *            the results must not wait for ever.
 *
 * Any thread. LIMIT: no room within that time, the picture was not taken. ARGUMENT behind
 * clipcu_pipeline_finish; NOMEM; what made the pipeline fail. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_pipeline_submit(clipcu_pipeline *pipeline,
                                                               uint64_t id, const uint8_t *bytes,
                                                               size_t bytes_count, int32_t wait_ms,
                                                               clipcu_error *error);
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_pipeline_submit_file(clipcu_pipeline *pipeline,
                                                                    uint64_t id, const char *path,
                                                                    int32_t wait_ms,
                                                                    clipcu_error *error);
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_pipeline_submit_pixels(clipcu_pipeline *pipeline,
                                                                      uint64_t id,
                                                                      const uint8_t *pixels,
                                                                      int32_t wait_ms,
                                                                      clipcu_error *error);

/* Says that no more pictures come. With `take`, waits until all results were taken. Any thread. OK
 * also if it was said before; what made the pipeline fail. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_pipeline_finish(clipcu_pipeline *pipeline,
                                                               clipcu_error *error);

typedef enum clipcu_arrival {
    CLIPCU_ARRIVAL_RESULT = 0,
    CLIPCU_ARRIVAL_LATER  = 1, /* none within wait_ms */
    CLIPCU_ARRIVAL_END    = 2  /* none comes: clipcu_pipeline_finish was called, all were fetched */
} clipcu_arrival;

/* Fetches the next result; *result lives until the next call. One thread at a time.
 *
 *   wait_ms  0: no wait, -1: for ever.
 *
 * ARGUMENT with options.take; what made the pipeline fail. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_pipeline_next(clipcu_pipeline *pipeline,
                                                             int32_t wait_ms,
                                                             clipcu_result *result,
                                                             clipcu_arrival *arrival,
                                                             clipcu_error *error);

/* Ends it, with or without clipcu_pipeline_finish: what was not encoded by then is dropped. No
 * other thread may be in a call. */
CLIPCU_API void clipcu_pipeline_close(clipcu_pipeline *pipeline);

/* ---- Search --------------------------------------------------------------------------------- */

/* Saved embeddings, mapped into memory: what texts and pictures are looked for in. */
typedef struct clipcu_index clipcu_index;

typedef struct clipcu_hit {
    int64_t row;    /* of the index; -1: the index has no further row to give */
    float   cosine; /* -1 .. 1 */
} clipcu_hit;

/* Open embeddings as clipcu embed or NumPy saved them.
 *
 *   path  NAME.npy: one C-ordered matrix (rows, E) of f32 or f16.
 *         NAME.safetensors: its only matrix, or the one called "embeddings" or "bank", of f32, f16
 *         or bf16.
 *
 * The file is mapped, not read: opening takes no time or memory in proportion to its rows. Rows
 * need not have length 1; a row that holds a NaN (clipcu embed writes one for an input that it
 * could not read) or is all zero is never found.
 * Returns IO, FORMAT, UNSUPPORTED, LIMIT, NOMEM. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_index_open(const char *path, clipcu_index **index,
                                                          clipcu_error *error);
CLIPCU_API void    clipcu_index_close(clipcu_index *index);
CLIPCU_API int64_t clipcu_index_count(const clipcu_index *index);     /* rows */
CLIPCU_API int32_t clipcu_index_embed_dim(const clipcu_index *index); /* E */

/* The rows nearest to each query by cosine, best first, ties by lowest row. Exact: every row is
 * looked at, and the result does not depend on the number of threads or queries.
 *
 *   queries  (count, E) f32, of any length but 0.
 *   top      1 .. 1024; where the index has fewer rows to give, the rest is { -1, 0 }.
 *   threads  1 .. 1024; 0: one per online core.
 *   hits     (count, top).
 *
 * Any thread, any number at once. Needs no engine. IO if the file was changed since it was opened;
 * a file that is cut short in the very moment of reading cannot be caught: the process gets SIGBUS,
 * as with any mapped file. ARGUMENT, NOMEM. */
CLIPCU_API CLIPCU_CHECKED clipcu_status clipcu_index_search(const clipcu_index *index,
                                                            const float *queries, int32_t count,
                                                            int32_t top, int32_t threads,
                                                            clipcu_hit *hits, clipcu_error *error);

#ifdef __cplusplus
}
#endif

#endif /* CLIPCU_H */
