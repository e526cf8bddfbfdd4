/* The command's own place; see self.h. realpath is of POSIX's XSI part. */
#define _XOPEN_SOURCE 700
#include "cli/self.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool find_self(char self[PATH_MAX]) {
    const ssize_t bytes = readlink("/proc/self/exe", self, PATH_MAX - 1);
    if (bytes <= 0 || bytes == PATH_MAX - 1) { return false; }
    self[bytes] = '\0';
    return true;
}

bool ccu_self_beside(const char *relative, char path[PATH_MAX]) {
    char self[PATH_MAX], beside[2 * PATH_MAX];
    if (!find_self(self)) { return false; }
    char *name = strrchr(self, '/');
    if (name == NULL) { return false; }
    *name             = '\0';
    const int written = snprintf(beside, sizeof beside, "%s/%s", self, relative);
    return written > 0 && (size_t)written < sizeof beside && realpath(beside, path) != NULL;
}

#if defined(CLIPCU_AVX2_SELF) && defined(__x86_64__)
static bool better_self(char path[PATH_MAX]) {
    return __builtin_cpu_supports("x86-64-v3") && ccu_self_beside(CLIPCU_AVX2_SELF, path);
}
#else
static bool better_self(char path[PATH_MAX]) {
    (void)path;
    return false;
}
#endif

void ccu_self_change(char **argv) {
    char       path[PATH_MAX];
    const bool spins = getenv("OMP_WAIT_POLICY") == NULL &&
                       setenv("OMP_WAIT_POLICY", "passive", 0) == 0;
    if (better_self(path) || (spins && find_self(path))) {
        (void)execv(path, argv); /* if this fails, the slower way still works */
    }
}
