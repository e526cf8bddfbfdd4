/* Where this command lies, and what was installed with it: an installed or unpacked folder may be
 * moved as a whole. */
#ifndef CCU_CLI_SELF_H
#define CCU_CLI_SELF_H

#include <limits.h>
#include <stdbool.h>

/* The path of something beside the command. False: it is not there, or the system does not say
 * where the command is.
 *
 *   relative  seen from the command's folder. */
bool ccu_self_beside(const char *relative, char path[PATH_MAX]);

/* A package for every x86-64 brings this command a second time, compiled for AVX2 (x86-64-v3), and
 * this function goes over to it where the processor can. Returns where there is nothing to go over
 * to, as in every other build. */
void ccu_self_change(char **argv);

#endif
