/* The loop that classify and embed share: inputs -> loaded batch -> embeddings -> results. */
#ifndef CCU_CLI_RUNNER_H
#define CCU_CLI_RUNNER_H

#include "cli/interrupt.h"
#include "cli/options.h"
#include "stream/output.h"
#include "stream/pipeline.h"
#include "stream/resume.h"

/* A part of the work on one batch; item i has row items[i].row of pixels and embeddings. */
typedef clipcu_status (*ccu_take_fn)(void *context, ccu_batch *batch, const float *embeddings,
                                     clipcu_error *error);

/* Passes over the inputs that an earlier run has done, and keeps its results. */
typedef clipcu_status (*ccu_skip_fn)(void *context, ccu_source *source,
                                     const ccu_resume_options *options, ccu_resumed *out,
                                     clipcu_error *error);

typedef struct ccu_run {
    clipcu_engine       *engine;
    const ccu_arguments *arguments;
    ccu_interrupt       *interrupt;
    const ccu_classes   *classes; /* inputs are labelled data sets of these; NULL: not labelled */
    bool                 tells;   /* failed inputs are reported: the results do not hold them */
    const ccu_output    *output;  /* where results are read: says whether anyone still listens */
    ccu_skip_fn          skip;    /* --resume; NULL: begin with the first input */
    ccu_take_fn          score;   /* compares a batch, with at least one row, into its results on
                                     the engine's thread; NULL: nothing to compare */
    size_t               results_bytes; /* that score fills */
    ccu_take_fn          take; /* writes the results of a batch, in the order of its items, on a
                                  thread of its own */
    void                *context;
} ccu_run;

/* Runs to the end of the inputs, to the first signal or to the first failure that is not an
 * input's own, reports it and prints the summary. Returns the exit status: CCU_EXIT_OK, _INPUTS,
 * _FATAL, or 128 + the signal. */
int ccu_runner_run(const ccu_run *run);

/* Refuses inputs that this version cannot read, before the model is opened. */
int ccu_runner_check(const ccu_arguments *arguments);

/* Whether the progress line has the terminal for itself. */
bool ccu_runner_shows_progress(const ccu_arguments *arguments);

/* Reports a failure that ends a run and returns the exit status for it. A closed pipe is silent:
 * whoever reads has seen enough. */
int ccu_runner_fatal(const clipcu_error *error, const ccu_output *output);

#endif
