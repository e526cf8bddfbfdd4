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

/* Becomes the process that it should have been started as; returns where that is this one.
 *
 * A package for every x86-64 brings this command a second time, compiled for AVX2 (x86-64-v3), for
 * processors that have it. And OpenMP's threads spin while they wait, which takes the cores from
 * threads that decode pictures (demo model from files, two cores: 8 % fewer pictures/s); only the
 * environment that a process is started with changes that: OMP_WAIT_POLICY, unless it is set. */
void ccu_self_change(char **argv);

#endif
