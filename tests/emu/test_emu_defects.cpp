/* Does the emulator notice mistakes? Each runs in a process of its own; the builds that must notice
 * it are in the tables (defects.cu, defects_hopper.cu), and the kernels without mistake must pass.
 *
 *     test_emu_defects [NUMBER]     that defect alone, in this process, with its report */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include <sys/wait.h>

#include "emu/defects.h"
#include "emu/emu.h"

static const int THIS_BUILD = simt::RACE ? IN_RACE : EMU_ASAN ? IN_ASAN : IN_PLAIN;

void defect_wrong_result() {
    fprintf(stderr, "wrong result\n");
    exit(3);
}

void *defect_alloc(size_t bytes) {
    return simt::device_alloc(bytes);
}

void defect_free(void *memory) {
    simt::device_free(memory);
}

static const defect *find(int number) {
    int i = 0;
    for (const defect *table : { basic_defects, hopper_defects }) {
        for (; table->what != NULL; table++) {
            if (i++ == number) { return table; }
        }
    }
    return NULL;
}

/* The exit status, and what was written to stderr. */
static int run_apart(const defect *one, std::string *report) {
    int    ends[2], status = 0;
    char   text[4096];
    size_t got;
    fflush(NULL);
    if (pipe(ends) != 0) { return -1; }
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        alarm(60);
        one->run(one->number);
        exit(0);
    }
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    report->clear();
    while ((got = fread(text, 1, sizeof text, from)) > 0) { report->append(text, got); }
    fclose(from);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool check(int number, const defect *one) {
    std::string report;
    const int   status = run_apart(one, &report);
    const bool  must   = (one->caught_in & THIS_BUILD) != 0;
    bool        right  = status != -1;
    if (one->number == 0) { right = status == 0; }
    if (must) { right = status != 0 && report.find(one->report) != std::string::npos; }
    printf("%-6s %2d %-40s %s%.*s\n", right ? "ok" : "FAILED", number, one->what,
           status == 0 ? "passes" : "", (int)std::min<size_t>(report.find('\n'), 120),
           report.c_str());
    if (!right) { printf("exit status %d\n%s\n", status, report.c_str()); }
    return right;
}

int main(int argc, char **argv) {
    int failures = 0;
    if (argc > 1) {
        const defect *one = find((int)strtol(argv[1], NULL, 10));
        if (one == NULL) { return 1; }
        one->run(one->number);
        return 0;
    }
    for (int number = 0; find(number) != NULL; number++) {
        failures += !check(number, find(number));
    }
    return failures != 0;
}
