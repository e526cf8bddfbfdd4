/* Errors: what went wrong, in which kernel, block and thread, at which line. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <dlfcn.h>

#include "emu/emu.h"

namespace simt {

static const char *const state_names[] = { "ready",      "a barrier", "a warp collective",
                                           "a warpgroup", "an mbarrier", "" };

static void print_place(const Place *place, const char *kernel) {
    fprintf(stderr, "  kernel %s, block (%u,%u,%u)", kernel, place->block.x, place->block.y,
            place->block.z);
}

static void complain(const char *format, va_list args) {
    fprintf(stderr, "emulator: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    if (here == nullptr) { return; }
    print_place(here, current()->owner->launch->kernel);
    fprintf(stderr, ", thread %u", current()->index);
    if (here->threads.y > 1 || here->threads.z > 1) {
        fprintf(stderr, " (%u,%u,%u)", here->thread.x, here->thread.y, here->thread.z);
    }
    fprintf(stderr, "\n");
}

[[noreturn]] static void leave() {
    fflush(nullptr);
    _exit(EXIT_ERROR);
}

void fail(Site site, const char *format, ...) {
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
    if (site.file != nullptr) { fprintf(stderr, "  at %s:%d\n", site.file, site.line); }
    leave();
}

/* Neighbours that wait at the same line share one line of the report. */
void fail_deadlock(const Block *block) {
    fprintf(stderr, "emulator: deadlock: no thread of the block can go on\n");
    print_place(&block->thread[0], block->launch->kernel);
    fprintf(stderr, "\n");
    for (unsigned first = 0; first < block->threads;) {
        const Thread &a   = block->thread[first];
        unsigned      end = first + 1;
        while (end < block->threads && block->thread[end].state == a.state &&
               (a.state == EXITED || same_site(block->thread[end].site, a.site))) {
            end++;
        }
        fprintf(stderr, "  threads %u to %u ", first, end - 1);
        if (a.state == EXITED) {
            fprintf(stderr, "have left the kernel\n");
        } else {
            fprintf(stderr, "wait at %s, %s:%d\n", state_names[a.state], a.site.file, a.site.line);
        }
        first = end;
    }
    leave();
}

/* ---- Races ----------------------------------------------------------------------------------- */

/* addr2line knows the lines; without it the address in the program is printed. */
static void print_code(const char *what, const void *code) {
    Dl_info info;
    char    command[4352], line[1024];
    if (dladdr(code, &info) == 0) { return; }
    const size_t at = (size_t)((const char *)code - (const char *)info.dli_fbase) - 1;
    snprintf(command, sizeof command, "addr2line -s -i -p -e '%s' 0x%zx 2>&1", info.dli_fname, at);
    fflush(nullptr);
    FILE *pipe  = popen(command, "r");
    bool  known = false;
    for (const char *lead = "at"; pipe != nullptr && fgets(line, sizeof line, pipe) != nullptr;
         lead             = "  ") {
        known = true;
        fprintf(stderr, "  %s %s %s", what, lead, line);
    }
    if (pipe != nullptr) { pclose(pipe); }
    if (!known) { fprintf(stderr, "  %s at %s+0x%zx\n", what, info.dli_fname, at); }
}

static void print_origin(const char *what, const Origin &origin) {
    if (origin.code != nullptr) {
        print_code(what, origin.code);
    } else if (origin.site.file != nullptr) {
        fprintf(stderr, "  %s at %s:%d\n", what, origin.site.file, origin.site.line);
    }
}

void fail_race(const char *what_a, const Origin &a, const char *what_b, const Origin &b,
               const char *format, ...) {
    va_list args;
    va_start(args, format);
    complain(format, args);
    va_end(args);
    print_origin(what_a, a);
    if (what_b != nullptr) { print_origin(what_b, b); }
    leave();
}

} // namespace simt
