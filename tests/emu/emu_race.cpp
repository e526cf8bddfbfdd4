/* The race detector: which accesses to shared and global memory are not ordered.
 *
 * Kernels are built with -fsanitize=thread, but its runtime is not linked: the functions that the
 * compiler calls at each load and store are at the end of this file.
 *
 * Each thread has a clock, which ticks when others can learn of it, and a vector of what it knows
 * of everyone's clock; barriers, __syncwarp and mbarriers join the vectors. Two bytes of memory
 * share a cell with their last write and some reads since, as (who, when). An access is ordered
 * after one in the cell if the own vector knows of that moment. Blocks run one after another, and
 * between blocks of one launch nothing is ordered; between launches everything is.
 *
 * A cell remembers few readers, so a write that races with a read alone may be missed; what it
 * reports is real. Values are not looked at: two equal writes are a race. */
#include <algorithm>
#include <map>

#include "emu/emu.h"

namespace simt {

#if SIMT_RACE_BUILD

static constexpr uint32_t CELL_BYTES  = 2;
static constexpr unsigned READERS     = 4;
static constexpr uint32_t NOBODY      = UINT32_MAX;

struct Moment {
    uint32_t who, when;
};

struct SharedCell {
    uint32_t    block_run; /* older ones mean an empty cell */
    Moment      write;
    Moment      reads[READERS];
    bool        atomic;
    Origin      write_origin, read_origin;
};

/* run: which of all blocks ever run; a launch has consecutive ones. 0: none. halves: which bytes of
 * the cell, as images of an odd number of bytes may meet in one. */
struct GlobalMoment {
    uint32_t run : 30, halves : 2;
    uint32_t who : 11, when : 21;
};

struct GlobalCell {
    GlobalMoment write, read;
};

struct Shadow {
    size_t                  bytes;
    std::vector<GlobalCell> cells;
};

/* One OS thread runs all blocks. */
static std::vector<SharedCell>      shared_cells(SHARED_ARENA_BYTES / CELL_BYTES);
static std::map<uintptr_t, Shadow>  shadows; /* by the end of the allocation */
static uint32_t                     block_run, launch_run; /* the launch's first */

void race_launch_begin() {
    launch_run = block_run + 1;
}

void race_block_begin(Block *block) {
    block->clock_ids = block->threads + MBARRIERS_MAX + block->threads / WARP;
    block->clocks.assign((size_t)block->threads * block->clock_ids, 0);
    for (unsigned i = 0; i < block->threads; i++) {
        Thread *thread   = &block->thread[i];
        thread->clock    = &block->clocks[(size_t)i * block->clock_ids];
        thread->clock[i] = 1;
        thread->fenced   = 0;
    }
    block_run++;
}

void race_join(Block *block, Thread *const *threads, size_t count) {
    std::vector<uint32_t> known(block->clock_ids, 0);
    for (size_t i = 0; i < count; i++) {
        for (unsigned id = 0; id < block->clock_ids; id++) {
            known[id] = std::max(known[id], threads[i]->clock[id]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        std::copy(known.begin(), known.end(), threads[i]->clock);
        threads[i]->clock[threads[i]->index]++;
    }
}

/* ---- Shared memory --------------------------------------------------------------------------- */

static const char *role(const Block *block, uint32_t who) {
    return who < block->threads                   ? "thread"
           : who < race_warp_id(block, 0) ? "TMA on mbarrier"
                                                  : "wgmma of warp";
}

static uint32_t number(const Block *block, uint32_t who) {
    return who < block->threads                   ? who
           : who < race_warp_id(block, 0) ? who - block->threads
                                                  : who - race_warp_id(block, 0);
}

[[noreturn]] static void report(const Block *block, uint32_t at, uint32_t who, const char *what,
                                const Origin &origin, Moment other, const char *other_what,
                                const Origin &other_origin) {
    fail_race(what, origin, other_what, other_origin,
              "race in shared memory at byte %u: %s by %s %u, %s by %s %u, not ordered",
              at - SHARED_BASE, what, role(block, who), number(block, who), other_what,
              role(block, other.who), number(block, other.who));
}

static bool is_ordered(Moment before, uint32_t who, const uint32_t *clock) {
    return before.who == NOBODY || before.who == who || before.when <= clock[before.who];
}

static void note_write(Block *block, SharedCell *cell, uint32_t at, uint32_t who,
                       const uint32_t *clock, bool atomic, const Origin &origin) {
    if (!(atomic && cell->atomic)) {
        for (const Moment &read : cell->reads) {
            if (!is_ordered(read, who, clock)) {
                report(block, at, who, "write", origin, read, "read", cell->read_origin);
            }
        }
    }
    for (Moment &read : cell->reads) { read.who = NOBODY; }
    cell->write        = { who, clock[who] };
    cell->atomic       = atomic;
    cell->write_origin = origin;
}

/* Whom to forget: one the new reader knows of; else one of its warp; else by the address. */
static void note_read(SharedCell *cell, uint32_t at, uint32_t who, const uint32_t *clock,
                      const Origin &origin) {
    Moment *slot = &cell->reads[at / CELL_BYTES % READERS];
    for (Moment &read : cell->reads) {
        if (read.who / WARP == who / WARP) { slot = &read; }
    }
    for (Moment &read : cell->reads) {
        if (is_ordered(read, who, clock)) { slot = &read; }
    }
    *slot             = { who, clock[who] };
    cell->read_origin = origin;
}

static SharedCell *cell_at(uint32_t at) {
    SharedCell *cell = &shared_cells[at / CELL_BYTES];
    if (cell->block_run != block_run) {
        *cell           = {};
        cell->block_run = block_run;
        cell->write.who = NOBODY;
        for (Moment &read : cell->reads) { read.who = NOBODY; }
    }
    return cell;
}

void race_access(Block *block, unsigned id, uint32_t *clock, uint32_t offset, size_t bytes,
                 Access access, const Origin &origin) {
    const uint32_t end   = offset + (uint32_t)bytes;
    const bool     reads = access == READ || access == PROXY_READ;
    for (uint32_t at = offset / CELL_BYTES * CELL_BYTES; at < end; at += CELL_BYTES) {
        SharedCell  *cell  = cell_at(at);
        const Moment write = cell->write;
        if (!is_ordered(write, id, clock) && !(access == ATOMIC && cell->atomic)) {
            report(block, at, id, reads ? "read" : "write", origin, write, "write",
                   cell->write_origin);
        }
        if (access == PROXY_READ && write.who < block->threads &&
            write.when > block->thread[write.who].fenced) {
            report(block, at, id, "asynchronous read without fence_proxy_async", origin, write,
                   "write", cell->write_origin);
        }
        if (reads && write.who == NOBODY) {
            fail_race("read", origin, nullptr, origin,
                      "read of shared memory at byte %u, which nobody has written",
                      at - SHARED_BASE);
        }
        if (reads) {
            note_read(cell, at, id, clock, origin);
        } else {
            note_write(block, cell, at, id, clock, access == ATOMIC, origin);
        }
    }
}

void race_use(uint32_t offset, size_t bytes, Access access, Site site) {
    Thread *me = current();
    race_access(me->owner, me->index, me->clock, offset, bytes, access, { nullptr, site });
}

/* ---- Global memory --------------------------------------------------------------------------- */

void race_track(void *memory, size_t bytes) {
    if (bytes == 0) { return; }
    shadows[(uintptr_t)memory + bytes] = { bytes,
                                           std::vector<GlobalCell>(bytes / CELL_BYTES + 1) };
}

void race_forget(void *memory) {
    for (auto shadow = shadows.begin(); shadow != shadows.end(); ++shadow) {
        if (shadow->first - shadow->second.bytes == (uintptr_t)memory) {
            shadows.erase(shadow);
            return;
        }
    }
}

/* By another block of this launch, or by a thread of this block that is not known to have been. */
static bool conflicts(const GlobalMoment &other, const Thread *me) {
    if (other.run < launch_run) { return false; }
    return other.run != block_run ||
           (other.who != me->index && other.when > me->clock[other.who]);
}

[[noreturn]] static void report_global(const Thread *me, size_t at, bool writes,
                                       const GlobalMoment &other, bool other_writes,
                                       const Origin &origin) {
    const char *what = writes ? "write" : "read", *other_what = other_writes ? "write" : "read";
    const dim3    &blocks = me->blocks;
    const uint32_t number = other.run - launch_run;
    if (other.run != block_run) {
        fail_race(what, origin, nullptr, origin,
                  "race in global memory at byte %zu of its buffer: %s here, %s by block (%u,%u,%u)"
                  " of the same launch",
                  at, what, other_what, number % blocks.x, number / blocks.x % blocks.y,
                  number / (blocks.x * blocks.y));
    }
    fail_race(what, origin, nullptr, origin,
              "race in global memory at byte %zu of its buffer: %s here, %s by thread %u, not "
              "ordered",
              at, what, other_what, (unsigned)other.who);
}

static void access_global(const Thread *me, uintptr_t pointer, size_t bytes, bool writes,
                          const Origin &origin) {
    const auto found = shadows.upper_bound(pointer);
    if (found == shadows.end() || pointer < found->first - found->second.bytes) { return; }
    Shadow            &shadow = found->second;
    const size_t       offset = pointer - (found->first - shadow.bytes);
    const size_t       end    = std::min(offset + bytes, shadow.bytes);
    GlobalMoment       now    = { block_run, 0, me->index, me->clock[me->index] };
    for (size_t at = offset / CELL_BYTES * CELL_BYTES; at < end; at += CELL_BYTES) {
        GlobalCell &cell = shadow.cells[at / CELL_BYTES];
        now.halves       = (at >= offset ? 1u : 0u) | (at + 1 < end ? 2u : 0u);
        if ((cell.write.halves & now.halves) != 0 && conflicts(cell.write, me)) {
            report_global(me, at, writes, cell.write, true, origin);
        }
        if (writes && (cell.read.halves & now.halves) != 0 && conflicts(cell.read, me)) {
            report_global(me, at, writes, cell.read, false, origin);
        }
        if (writes) {
            cell.write = now;
        } else if (cell.read.run < launch_run || cell.read.run == block_run) {
            cell.read = now; /* another block's read says more than another one of ours */
        }
    }
}

void race_use_global(const void *at, size_t bytes, Access access, Site site) {
    if (here == nullptr) { return; }
    access_global(current(), (uintptr_t)at, bytes, access != READ, { nullptr, site });
}

/* ---- What the compiler calls ----------------------------------------------------------------- */

static void access_any(const void *pointer, size_t bytes, bool writes, const void *code) {
    if (here == nullptr || bytes == 0) { return; }
    const Origin    origin = { code, NOWHERE };
    Thread         *me     = current();
    const ptrdiff_t offset = (const unsigned char *)pointer - me->owner->shared;
    const ptrdiff_t local  = (const char *)pointer - (const char *)me->fiber.stack;
    if (offset >= 0 && (size_t)offset < SHARED_ARENA_BYTES) {
        race_access(me->owner, me->index, me->clock, (uint32_t)offset, bytes,
                    writes ? WRITE : READ, origin);
    } else if (local < 0 || (size_t)local >= me->fiber.stack_bytes) {
        access_global(me, (uintptr_t)pointer, bytes, writes, origin);
    }
}

#define EMU_CALLER __builtin_return_address(0)
#define EMU_HOOKS(n)                                                                               \
    void __tsan_read##n(void *at) { access_any(at, n, false, EMU_CALLER); }                        \
    void __tsan_write##n(void *at) { access_any(at, n, true, EMU_CALLER); }                        \
    void __tsan_unaligned_read##n(void *at) { access_any(at, n, false, EMU_CALLER); }              \
    void __tsan_unaligned_write##n(void *at) { access_any(at, n, true, EMU_CALLER); }

extern "C" {
EMU_HOOKS(1)
EMU_HOOKS(2)
EMU_HOOKS(4)
EMU_HOOKS(8)
EMU_HOOKS(16)
void __tsan_read_range(void *at, size_t bytes) { access_any(at, bytes, false, EMU_CALLER); }
void __tsan_write_range(void *at, size_t bytes) { access_any(at, bytes, true, EMU_CALLER); }

/* Clang calls these instead of the C library's; gcc's kernels have no calls left to replace. */
void *__tsan_memcpy(void *to, const void *from, size_t bytes) {
    access_any(from, bytes, false, EMU_CALLER);
    access_any(to, bytes, true, EMU_CALLER);
    return memcpy(to, from, bytes);
}

void *__tsan_memmove(void *to, const void *from, size_t bytes) {
    access_any(from, bytes, false, EMU_CALLER);
    access_any(to, bytes, true, EMU_CALLER);
    return memmove(to, from, bytes);
}

void *__tsan_memset(void *to, int value, size_t bytes) {
    access_any(to, bytes, true, EMU_CALLER);
    return memset(to, value, bytes);
}

void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void *, void *) {}
void __tsan_vptr_read(void *) {}
}

#else

void race_launch_begin() {}
void race_block_begin(Block *) {}
void race_join(Block *, Thread *const *, size_t) {}
void race_access(Block *, unsigned, uint32_t *, uint32_t, size_t, Access, const Origin &) {}
void race_use(uint32_t, size_t, Access, Site) {}
void race_use_global(const void *, size_t, Access, Site) {}
void race_track(void *, size_t) {}
void race_forget(void *) {}

#endif

} // namespace simt
