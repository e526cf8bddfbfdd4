/* Kernels with a mistake on purpose, by number; 0 is the same kernel without. */
#ifndef CCU_EMU_DEFECTS_H
#define CCU_EMU_DEFECTS_H

#include <stddef.h>

enum defect_build { IN_PLAIN = 1, IN_ASAN = 2, IN_RACE = 4, IN_ALL = 7 };

/* What a defect must lead to: in which builds, and which words the report has. The other builds may
 * or may not notice. */
struct defect {
    const char *what;
    void (*run)(int number);
    int         number;
    int         caught_in;
    const char *report; /* in asan: one of the sanitizers' reports */
};

/* The last one has what == NULL. */
extern const defect basic_defects[];  /* defects.cu */
extern const defect hopper_defects[]; /* defects_hopper.cu */

/* A kernel's result is not what it should be: the report of a test that compares numbers. */
void defect_wrong_result();

/* Device memory. */
void *defect_alloc(size_t bytes);
void  defect_free(void *memory);

#endif
