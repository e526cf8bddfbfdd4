/* See failing_heap.h. glibc (and the address sanitizer, which has its own) let a program define
 * malloc and its family; the originals stay within reach under other names. */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "hostile/failing_heap.h"

#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(SANITIZED)
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t bytes);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *old, size_t bytes);
void *REAL(memalign)(size_t align, size_t bytes);
void  REAL(free)(void *memory);

/* They end the process when an allocation of theirs fails: OpenMP by itself, oneDNN by using the
 * NULL that it got, or by an exception, which C cannot catch; libwebp 1.2.4 frees what it never
 * had. README.md says so. */
static const char *const excused[] = { "libgomp", "libomp",    "libdnnl",
                                       "libstdc++", "libc++", "libwebp.so" };
static const char *const libc[]    = { "libc.so" };
#define RANGES_MAX 16

typedef struct code_range {
    uintptr_t first, end;
} code_range;

typedef struct code {
    code_range ranges[RANGES_MAX];
    int        count;
} code;

static code             excused_code, libc_code;
static _Atomic int64_t  live;
static _Atomic int64_t  left = -1; /* allocations until one fails; below 0 at rest */
static _Atomic int      mode;      /* 0: at rest, else 1 + heap_who */
static _Atomic bool     lasts;
static _Atomic int64_t  failures, failures_outside_libc;

static void note(const struct dl_phdr_info *info, const char *const *names, size_t count,
                 code *out) {
    for (size_t i = 0; i < count; i++) {
        if (strstr(info->dlpi_name, names[i]) == NULL) { continue; }
        for (int p = 0; p < info->dlpi_phnum && out->count < RANGES_MAX; p++) {
            const ElfW(Phdr) *part = &info->dlpi_phdr[p];
            if (part->p_type != PT_LOAD) { continue; }
            const uintptr_t first     = info->dlpi_addr + part->p_vaddr;
            out->ranges[out->count++] = (code_range){ first, first + part->p_memsz };
        }
    }
}

static int note_library(struct dl_phdr_info *info, size_t bytes, void *context) {
    (void)bytes;
    (void)context;
    note(info, excused, sizeof excused / sizeof excused[0], &excused_code);
    note(info, libc, sizeof libc / sizeof libc[0], &libc_code);
    return 0;
}

void heap_fail_at(heap_who who, int64_t n, bool lasting) {
    if (libc_code.count == 0) { (void)dl_iterate_phdr(note_library, NULL); }
    failures              = 0;
    failures_outside_libc = 0;
    lasts    = lasting;
    left     = n;
    mode     = 1 + (int)who;
}

bool heap_stop(void) {
    mode = 0;
    return failures > 0;
}

bool heap_refused_only_libc(void) {
    return failures > 0 && failures_outside_libc == 0;
}

int64_t heap_live(void) {
    return live;
}

static bool is_in(const code *code_of, const void *caller) {
    const uintptr_t at = (uintptr_t)caller;
    for (int i = 0; i < code_of->count; i++) {
        if (at >= code_of->ranges[i].first && at < code_of->ranges[i].end) { return true; }
    }
    return false;
}

/* For a breakpoint: who asked for what was refused. */
__attribute__((noinline)) static void refuse(const void *caller) {
    failures++;
    if (!is_in(&libc_code, caller)) { failures_outside_libc++; }
    errno = ENOMEM; /* as the real ones say it */
}

/* Whether this allocation is the one. */
static bool fails(bool ours, const void *caller) {
    const int now = mode;
    if (now == 0 || (now == 1 + HEAP_OURS && !ours) ||
        is_in(&excused_code, caller)) {
        return false;
    }
    const int64_t before = atomic_fetch_sub(&left, 1);
    if (before > 0 || (before < 0 && !lasts)) { return false; }
    refuse(caller);
    return true;
}

static void *counted(void *memory) {
    if (memory != NULL) { live++; }
    return memory;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t bytes) {
    return fails(false, CALLER) ? NULL : counted(REAL(malloc)(bytes));
}

void *calloc(size_t count, size_t size) {
    return fails(false, CALLER) ? NULL : counted(REAL(calloc)(count, size));
}

void *realloc(void *old, size_t bytes) {
    if (fails(false, CALLER)) { return NULL; }
    void *memory = REAL(realloc)(old, bytes);
    if (old == NULL) { return counted(memory); }
    if (bytes == 0 && memory == NULL) { live--; }
    return memory;
}

void *aligned_alloc(size_t align, size_t bytes) {
    return fails(true, CALLER) ? NULL : counted(REAL(memalign)(align, bytes));
}

void *memalign(size_t align, size_t bytes);
void *memalign(size_t align, size_t bytes) {
    return fails(false, CALLER) ? NULL : counted(REAL(memalign)(align, bytes));
}

int posix_memalign(void **out, size_t align, size_t bytes) {
    void *memory = fails(false, CALLER) ? NULL : counted(REAL(memalign)(align, bytes));
    if (memory == NULL) { return ENOMEM; }
    *out = memory;
    return 0;
}

void free(void *memory) {
    if (memory == NULL) { return; }
    live--;
    REAL(free)(memory);
}
