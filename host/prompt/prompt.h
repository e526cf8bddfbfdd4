/* A learned prompt: what it holds, in memory and as a file. The public functions on it are declared
 * in clipcu.h; prompt.c holds the type and its start values, prompt_file.c its file. */
#ifndef CCU_PROMPT_PROMPT_H
#define CCU_PROMPT_PROMPT_H

#include "bank/encode.h"
#include "checkpoint/checkpoint.h"

#define CCU_META_NET_SHARE 16 /* the meta-net's hidden layer has E / 16 units */

struct clipcu_prompt {
    clipcu_method   method;
    clipcu_position position;
    bool            class_specific;
    int32_t         M, C, E, K;
    int32_t         hidden; /* units of the meta-net; 0: none */
    int32_t         epoch;
    uint64_t        fingerprint;
    char           *init;   /* words it began as, or NULL */
    const char    **labels; /* (K), one block behind them: label_text */
    char           *label_text;

    /* All that is learned, one block, in the order of the file's tensors. */
    float *values;
    size_t count;
    float *context;          /* (M, C) or (K, M, C) */
    float *w1, *b1, *w2, *b2; /* (hidden, E), (hidden), (C, hidden), (C); NULL: no meta-net */
};

/* What a new prompt is like. */
typedef struct ccu_prompt_shape {
    clipcu_method      method;
    clipcu_position    position;
    bool               class_specific;
    int32_t            M, C, E, K;
    const char *const *labels;
} ccu_prompt_shape;

/* All values 0. ARGUMENT for what does not go together (see clipcu_learn_options) and for an empty
 * label; NOMEM. */
clipcu_status ccu_prompt_create(const ccu_prompt_shape *shape, clipcu_prompt **out,
                                clipcu_error *error);

/* Start values of PyTorch's and the papers' distributions: contexts normal with deviation 0.02, the
 * meta-net uniform within 1 / sqrt(inputs), biases too. */
void ccu_prompt_randomise(clipcu_prompt *prompt, uint64_t seed);

/* momentum (count): laid out as the prompt's own values; NULL: the prompt alone. */
clipcu_status ccu_prompt_write(const clipcu_prompt *prompt, const float *momentum,
                               const char *note, const char *path, clipcu_error *error);
/* momentum and note NULL: the prompt alone. Else both are the caller's to free (ccu_free); FORMAT
 * if the file has none. */
clipcu_status ccu_prompt_read(const char *path, clipcu_prompt **out, float **momentum, char **note,
                              clipcu_error *error);

/* ARGUMENT if the prompt is of another model. model: its folder, for the message. */
clipcu_status ccu_prompt_check_model(const clipcu_prompt *prompt, uint64_t fingerprint, int32_t C,
                                     int32_t E, const char *model, clipcu_error *error);

#endif
