/* The emulator's inside. A block of threads runs on one OS thread: every thread of it is a fiber
 * that runs until it waits for others; the last to arrive at a meeting does the work for all.
 * Blocks are independent and are spread over the cores.
 *
 *     emu_block.cpp     launches, the scheduler, the deadlock report
 *     emu_fiber.cpp     switching stacks
 *     emu_sync.cpp      barriers, warp collectives
 *     emu_async.cpp     cp.async
 *     emu_tensor.cpp    ldmatrix, mma
 *     emu_mbarrier.cpp  mbarriers and TMA
 *     emu_wgmma.cpp     warpgroups, wgmma
 *     emu_memory.cpp    shared memory, device memory
 *     emu_race.cpp      the race detector
 *     emu_report.cpp    errors
 *
 * None of it is ever built with -fsanitize=thread; see emu_race.cpp. */
#ifndef CCU_EMU_EMU_H
#define CCU_EMU_EMU_H

#include <memory>
#include <utility>
#include <vector>

#include "simt.h"

#if !defined(__has_feature)
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define EMU_ASAN 1
#else
#define EMU_ASAN 0
#endif

/* 1: the kernels are built with -fsanitize=thread and the detector is on. */
#ifndef SIMT_RACE_BUILD
#define SIMT_RACE_BUILD 0
#endif

namespace simt {

static constexpr bool     RACE               = SIMT_RACE_BUILD;
static constexpr unsigned THREADS_MAX        = 1024;
static constexpr unsigned WARPS_MAX          = THREADS_MAX / WARP;
static constexpr unsigned WARPGROUP_THREADS  = 128;
static constexpr uint32_t SHARED_BASE        = 1024; /* where shared memory starts: 0 is nowhere */
static constexpr size_t   SHARED_ARENA_BYTES = (size_t)256 << 10;

/* When asynchronous copies land: as late as allowed, at once, or by the seed. */
enum Landing { LANDS_LATE, LANDS_AT_ONCE, LANDS_AT_RANDOM };

struct Options {
    int     seed; /* SIMT_SEED. 0: threads run in order; -1: in reverse; else by chance */
    Landing landing; /* SIMT_ASYNC */
};

extern const Options options;

/* ---- Fibers ---------------------------------------------------------------------------------- */

struct Fiber {
    void       *stack_pointer = nullptr; /* of a fiber that does not run */
    const void *stack         = nullptr; /* lowest address; NULL: the OS thread's, not known yet */
    size_t      stack_bytes   = 0;
    void       *sanitizer     = nullptr; /* what AddressSanitizer keeps for it */
};

void fiber_make(Fiber *fiber, void (*entry)());
void fiber_switch(Fiber *from, Fiber *to);
void fiber_started(); /* the first call of every entry */

/* ---- Threads and blocks ---------------------------------------------------------------------- */

enum State : uint8_t { READY, AT_BARRIER, AT_WARP, AT_WARPGROUP, AT_MBARRIER, EXITED };

struct Block;
struct Hopper; /* emu_hopper.h */

struct AsyncCopy {
    uint32_t    to;
    const void *from;
    bool        real;
    uint32_t    group;
    Site        site;
};

struct Thread : Place {
    Block                 *owner;
    uint32_t               index, lane, warp;
    State                  state;
    Site                   site;     /* where it waits */
    unsigned               barrier;  /* AT_BARRIER: which */
    uint32_t               mbarrier; /* AT_MBARRIER: which, */
    uint32_t               parity;   /*     for which phase */
    Fiber                  fiber;
    std::vector<AsyncCopy> copies; /* not landed yet, oldest first */
    uint32_t               copy_group;
    uint32_t              *clock;  /* RACE: what it knows of everyone's past, see emu_race.cpp */
    uint32_t               fenced; /* RACE: its own clock at its last proxy fence */
};

/* A meeting of lanes of one warp, or of threads of one warpgroup. */
template <unsigned COUNT> struct Meeting {
    uint32_t arrived; /* lanes: a mask; threads of a warpgroup: a number */
    uint32_t mask;
    int      op;
    Site     site;
    void    *arguments[COUNT];
};

struct Barrier {
    unsigned arrived, expected;
    Site     site;
    Site     warp_site[WARPS_MAX]; /* file NULL: nobody of this warp waits */
};

struct StaticArray {
    const void *key;
    uint32_t    offset;
    size_t      bytes;
};

struct Block {
    const Launch            *launch;
    unsigned                 threads, exited;
    uint64_t                 random;
    Thread                   thread[THREADS_MAX];
    uint16_t                 order[THREADS_MAX];      /* the scheduler's: place -> thread */
    uint16_t                 place[THREADS_MAX];      /* and back */
    uint64_t                 ready[THREADS_MAX / 64]; /* by place */
    unsigned                 next;                    /* the place looked at first */
    Fiber                    outside;                 /* who launched */
    Barrier                  barriers[16];
    Meeting<WARP>            meetings[WARPS_MAX][WARP]; /* by warp and lowest lane of the mask */
    unsigned char           *shared;                    /* SHARED_ARENA_BYTES; offsets are smem_t */
    uint32_t                 shared_end;                /* of what is handed out */
    std::vector<StaticArray> arrays;
    std::shared_ptr<Hopper>  hopper;
    unsigned                 clock_ids; /* RACE: entries of a vector clock */
    std::vector<uint32_t>    clocks;
};

static inline Thread *current() {
    return const_cast<Thread *>(static_cast<const Thread *>(here));
}

static inline void make_ready(Block *block, Thread *thread) {
    const unsigned place = block->place[thread->index];
    thread->state        = READY;
    block->ready[place / 64] |= (uint64_t)1 << place % 64;
}

/* The current thread waits in this state until make_ready. */
void wait(State state, Site site);

uint32_t random_number(Block *block);

/* Two call sites, where the same header may be compiled into several files. */
static inline bool same_site(Site a, Site b) {
    return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0);
}

/* ---- Errors: emu_report.cpp ------------------------------------------------------------------ */

static constexpr int EXIT_ERROR = 86;

static constexpr Site NOWHERE = { nullptr, 0 };

/* Where an access to memory comes from: an address in a kernel's code, or a wrapper's call. */
struct Origin {
    const void *code;
    Site        site;
};

/* Prints the message with kernel, block, thread and site; ends the process with EXIT_ERROR. */
[[noreturn]] void fail(Site site, const char *format, ...) __attribute__((format(printf, 2, 3)));
[[noreturn]] void fail_deadlock(const Block *block);

/* The same for a race: two accesses with what they are. what_b NULL: there is one. */
[[noreturn]] void fail_race(const char *what_a, const Origin &a, const char *what_b,
                            const Origin &b, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* ---- Warp collectives ------------------------------------------------------------------------ */

/* Distinguishes what lanes meet for: all of a meeting must ask for the same. */
enum Op { OP_SYNC, OP_SHUFFLE, OP_BALLOT = OP_SHUFFLE + 4, OP_LOAD, OP_MULTIPLY = OP_LOAD + 2 };

/* Lanes of mask meet; the last to arrive calls execute(first thread of the warp, their arguments,
 * mask) and the others go on with it done. */
void meet(uint32_t mask, int op, void *argument, Site site,
          void (*execute)(Thread *warp, void **arguments, uint32_t mask));

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Shared memory for an instruction: aligned and inside what the block has. */
unsigned char *shared_at(Block *block, uint32_t offset, size_t bytes, size_t align, Site site,
                         const char *what);
void           shared_reset(Block *block, size_t dynamic_bytes);

/* 256-byte aligned, full of NaN; NULL: exhausted. */
void *device_alloc(size_t bytes);
void  device_free(void *memory);
/* Whether bytes at pointer lie inside one allocation. */
bool  device_owns(const void *pointer, size_t bytes);

/* All of this thread's copies in groups before end land. */
void copies_land(Thread *thread, uint32_t end);

/* ---- The device: device_emu.cpp -------------------------------------------------------------- */

/* Error codes, with the CUDA runtime's numbers. */
static constexpr int ERROR_ARGUMENT = 1, ERROR_MEMORY = 2, ERROR_CONFIGURATION = 9,
                     ERROR_NOT_READY = 600, ERROR_LAUNCH = 719, ERROR_CAPTURE = 900;

/* Work in the order of the stream; NULL: at once. 0 or an error code. */
int device_queue(simt_stream stream, std::function<void()> work);

size_t device_shared_max(); /* bytes of one block */

/* ---- Races: emu_race.cpp; without RACE they do nothing --------------------------------------- */

enum Access : uint8_t { READ, WRITE, ATOMIC, PROXY_READ };

void race_block_begin(Block *block);
void race_launch_begin();
/* bytes of shared memory, by the owner of clock: a thread's index or an id from race_*_id. */
void race_access(Block *block, unsigned id, uint32_t *clock, uint32_t offset, size_t bytes,
                 Access access, const Origin &origin);
/* By the current thread. */
void race_use(uint32_t offset, size_t bytes, Access access, Site site);
void race_use_global(const void *at, size_t bytes, Access access, Site site);
/* Everyone's past becomes everyone's past. */
void race_join(Block *block, Thread *const *threads, size_t count);
/* Shadow memory of an allocation. */
void race_track(void *memory, size_t bytes);
void race_forget(void *memory);

/* Besides its threads a block has asynchronous readers and writers: TMA loads, one per mbarrier,
 * and what wgmma reads, one per warp. */
static constexpr unsigned MBARRIERS_MAX = 64;

static inline unsigned race_mbarrier_id(const Block *block, unsigned mbarrier) {
    return block->threads + mbarrier;
}

static inline unsigned race_warp_id(const Block *block, unsigned warp) {
    return block->threads + MBARRIERS_MAX + warp;
}

} // namespace simt

#endif
