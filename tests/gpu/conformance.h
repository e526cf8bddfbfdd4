/* Conformance: what each wrapper of simt.h and simt_hopper.h does, written down as numbers.
 *
 * Small kernels use one family of wrappers each. The same file runs in the emulator, whose numbers
 * are stored (*.golden), and on a device, whose numbers are compared with them. Inputs are small
 * integers wherever a sum's order would show, so nearly everything is compared bit by bit; what the
 * hardware approximates is compared within the bound its manual states.
 *
 * A golden file is text: "case NAME exact COUNT" or "case NAME near RELATIVE ABSOLUTE COUNT", then
 * COUNT words in hexadecimal; words of a `near` case are f32 bits. */
#ifndef CCU_GPU_CONFORMANCE_H
#define CCU_GPU_CONFORMANCE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "device.h"

#define CONFORMANCE_WORDS_MAX 32768

typedef struct conformance {
    ccu_device *device;
    FILE       *golden;   /* read and compared with, or NULL: results are printed */
    FILE       *print;    /* where to, if golden is NULL */
    int32_t     cases, failures;
    uint32_t    words[CONFORMANCE_WORDS_MAX];
} conformance;

/* All cases of a header. */
void conformance_simt(conformance *c);
void conformance_hopper(conformance *c); /* needs sm_90a */

/* How many cases the golden file has: none is to be left out. */
int32_t conformance_golden_cases(conformance *c);

/* Device memory with a copy of host (NULL: of 0xa5 bytes). NULL and a failure if there is none. */
void *conformance_input(conformance *c, const void *host, size_t bytes);
void  conformance_release(conformance *c, void *memory);

/* Ends a case: waits for the kernel, whose launch gave code, and brings count words of its result
 * to c->words. False, and a failure recorded, if something went wrong; result is released. */
bool conformance_result(conformance *c, const char *name, int code, void *result, size_t count);

/* Compares count of c->words with the golden file or prints them. */
void conformance_exact(conformance *c, const char *name, size_t count);
/* |got - want| <= relative |want| + absolute; NaN with NaN, an infinity with itself. */
void conformance_near(conformance *c, const char *name, double relative, double absolute,
                      size_t count);

/* Of c->words, an (rows, columns) matrix of f32 integers: keeps the sum of each row, weighted by
 * column numbers, then of each column, weighted by row numbers. A wrong element shows in both, so
 * its place can be told, and the golden file stays small. Returns rows + columns. */
size_t conformance_digest(conformance *c, size_t rows, size_t columns);

/* Of c->words: one hash for each 1024 of them. Returns how many. */
size_t conformance_hashes(conformance *c, size_t count);

/* NaNs of 16-bit (f16, bf16: infinity is the pattern above which they start) and 32-bit words lose
 * their payload, which is not the same everywhere. */
void conformance_plain_nans16(conformance *c, size_t count, uint32_t infinity);
void conformance_plain_nans32(conformance *c, size_t count);

#ifdef __cplusplus
}
#endif

#endif
